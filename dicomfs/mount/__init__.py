"""A mount: the processes that make, serve and end it, and the translation to FUSE.

It stands on ``tree`` and ``sandbox``. Only here are pyfuse3 and trio known.
"""
