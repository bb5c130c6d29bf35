"""Pictures: small ones of images, for file managers, painted by processes of their own.

It stands on ``tree`` for the images and on ``sandbox``; ``decoding`` and ``windowing``,
which stand on libraries in C, are loaded by the painter alone.
"""
