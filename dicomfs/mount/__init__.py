"""A mount: the processes that make, serve and end it, and the translation to FUSE.

It stands on ``tree``. Only here are pyfuse3 and trio known.
"""
