"""Tar archives: ``archive`` is the medium, ``members`` goes through its headers.

POSIX.1-2001 (ustar and pax) is the standard; what GNU tar adds is read, too.
"""
