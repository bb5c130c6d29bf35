"""What a process has of who started it: descriptors, environment and arguments.

A fork passes them all on. Whoever starts dicomfs may hold a lock, a pipe that others wait
for the end of, or a secret; none of it is dicomfs's to keep, or a medium's to find.
"""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_ANY_DESCRIPTOR: Final = 2**31 - 1
_STREAMS: Final = (0, 1, 2)

# What is looked at after the start: the C library asks for the time zone again and again,
# and what begins like this is our own.
_NEEDED: Final = frozenset({"TZ"})
_OURS: Final = "DICOMFS_"

# Where arguments and environment lie, among the words of /proc/self/stat that follow the
# program's name: arg_start, arg_end, env_start, env_end (proc(5)).
_PLACES: Final = slice(45, 49)


def keep_descriptors(own: Iterable[int]) -> None:
    """Close all descriptors but the standard streams and *own*."""
    begin = 0
    for each in [*sorted({*_STREAMS, *own}), _ANY_DESCRIPTOR]:
        # close_range(2) where there is that; an empty range would be all to it.
        if begin < each:
            os.closerange(begin, each)
        begin = each + 1


def leave_environment() -> None:
    """Keep of the environment what is needed after the start.

    It is overwritten where the kernel put it: else ``/proc/PID/environ`` would show it.
    """
    for name in list(os.environ):
        if name in _NEEDED or name.startswith(_OURS):
            # The C library makes a copy of it.
            os.environ[name] = os.environ[name]
        else:
            del os.environ[name]
    kept = b"".join(b"%b=%b\0" % item for item in os.environb.items())
    _, _, begin, end = _places()
    _overwrite(begin, end, kept)


def hide_arguments(shown: str) -> None:
    """Let all users of the machine see *shown* in the place of our arguments."""
    begin, end, _, _ = _places()
    _overwrite(begin, end, shown.encode()[: end - begin - 1])


def _places() -> list[int]:
    words = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    return [int(word) for word in words[_PLACES]]


def _overwrite(begin: int, end: int, data: bytes) -> None:
    ctypes.memset(begin, 0, end - begin)
    ctypes.memmove(begin, data, min(len(data), end - begin))
