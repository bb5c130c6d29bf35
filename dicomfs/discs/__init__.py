"""dicomfs as a library: media as Python objects, without FUSE. It stands on ``catalogue``.

The package ``dicomfs`` itself has the names that others may use; all else may change.
"""
