"""The environment of a process, and taking out of it what may be a credential.

``del os.environ[name]`` leaves the variable in the memory that the process got when it
was started, and there ``/proc/PID/environ`` shows it as long as the process lives, and
each process that it forks. So that memory is overwritten. To run the program anew
without the variable would take some 200 ms.
"""

import ctypes
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

# What a program needs that talks to people and finds other programs. A credential may
# have any other name.
_PLAIN: Final = frozenset(
    b"PATH HOME USER LOGNAME LANG LANGUAGE TZ TERM COLUMNS LINES NO_COLOR "
    b"XDG_RUNTIME_DIR".split()
)
_PLAIN_PREFIXES: Final = (b"LC_", b"PYTHON", b"DICOMFS_")
# What is looked at after the start: the C library asks for the time zone again and again,
# and what begins like this is our own.
_NEEDED: Final = b"TZ"
_OURS: Final = b"DICOMFS_"

# Where the environment lies, in the words of /proc/self/stat after the program's name:
# env_start and env_end (proc(5)).
_PLACE: Final = slice(47, 49)
_ENTRY: Final = re.compile(rb"([^=\0]*)[^\0]+")


def withdraw() -> dict[bytes, bytes]:
    """Take all variables away but the plain ones, and return them.

    To be called before the process forks, and by a process without threads.
    """
    return _taken(_is_plain)


def leave() -> None:
    """Take all variables away that are not needed after the start."""
    _taken(lambda name: name == _NEEDED or name.startswith(_OURS))


def hide() -> None:
    """Let the kernel show no variable any more that may be a credential.

    ``os.environ`` keeps them all, and what is forked gets them. Programs do not.
    """
    _overwrite(_is_plain)


def _is_plain(name: bytes) -> bool:
    return name in _PLAIN or name.startswith(_PLAIN_PREFIXES)


def _taken(is_kept: Callable[[bytes], bool]) -> dict[bytes, bytes]:
    names = [name for name in os.environb if not is_kept(name)]
    taken = {name: os.environb.pop(name) for name in names}
    _overwrite(is_kept)
    return taken


def _overwrite(is_kept: Callable[[bytes], bool]) -> None:
    words = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    begin, end = map(int, words[_PLACE])
    # In place: a copy of it would stay in memory.
    block = (ctypes.c_char * (end - begin)).from_address(begin)
    for entry in _ENTRY.finditer(block):
        if not is_kept(entry[1]):
            ctypes.memset(begin + entry.start(), 0, entry.end() - entry.start())


def wipe(taken: Mapping[bytes, bytes]) -> None:
    """Overwrite the values of what was *taken*, once who needs them has them."""
    for value in taken.values():
        # Shorter ones are shared by all of Python.
        if len(value) > 1:
            header = bytes.__basicsize__ - 1
            ctypes.memset(id(value) + header, 0, len(value))
