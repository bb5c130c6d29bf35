"""Where a process gives up its rights, its caller and its files: the one place for it.

It stands on nothing but the ground (``errors``, ``logs``).
"""
