"""ISO 9660 images (ECMA-119), with Joliet and Rock Ridge, read in user space.

Others use ``image``. It stands on ``tree``, that on ``volume``, and all on ``record``.
"""
