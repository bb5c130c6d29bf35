"""What a process has of who started it: descriptors and arguments; see ``environment``.

A fork passes them on. Whoever starts dicomfs may hold a lock, a pipe that others wait for
the end of, or a secret; none of it is dicomfs's to keep, or a medium's to find.
"""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_ANY_DESCRIPTOR: Final = 2**31 - 1
_STREAMS: Final = (0, 1, 2)

# Where arguments lie, among the words of /proc/self/stat that follow the program's name:
# arg_start and arg_end (proc(5)).
_PLACE: Final = slice(45, 47)


def keep_descriptors(own: Iterable[int]) -> None:
    """Close all descriptors but the standard streams and *own*."""
    begin = 0
    for each in [*sorted({*_STREAMS, *own}), _ANY_DESCRIPTOR]:
        # close_range(2) where there is that; an empty range would be all to it.
        if begin < each:
            os.closerange(begin, each)
        begin = each + 1


def hide_arguments(shown: str) -> None:
    """Let all users of the machine see *shown* in the place of our arguments.

    Where the kernel does not say where those lie, as some sandboxes do not, they stay.
    """
    try:
        words = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return
    begin, end = map(int, words[_PLACE])
    if begin >= end:
        return
    data = shown.encode()[: end - begin - 1]
    ctypes.memset(begin, 0, end - begin)
    ctypes.memmove(begin, data, len(data))
