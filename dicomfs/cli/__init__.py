"""The command line: what it understands, what it says, and how it ends.

It stands on everything; nothing stands on it. Only here are there exit codes and words
for people. ``main`` runs the module of a command: ``mount``, ``umount``, ``tree``,
``check``, ``list``, ``doctor`` or ``demo``.
"""
