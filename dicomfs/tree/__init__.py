"""The tree that people see: joined, named, listed folder by folder. No FUSE, no trio.

It stands on ``fileset``. Every front end walks it: the mount, ``dicomfs tree``, ``check``.
"""
