"""Media behind URLs: a process that fetches, and sources of bytes that ask it.

It stands on ``media`` and, for the process, on ``sandbox``. Others use ``urls`` (is it one?)
and ``opening``.
"""
