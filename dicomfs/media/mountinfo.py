"""What is mounted, as the kernel says in /proc/self/mountinfo (proc_pid_mountinfo(5))."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_MOUNTINFO: Final = Path("/proc/self/mountinfo")
# Blanks, tabs, newlines and backslashes in paths are written as octal numbers.
_ESCAPED: Final = re.compile(rb"\\([0-7]{3})")


class Mount(NamedTuple):
    """A file system of type *fstype*, mounted on *mountpoint* with *options*.

    *source* is what it says to be made of. *device* is the number of its device, as MAJOR:MINOR.
    """

    mountpoint: bytes
    device: str
    fstype: str
    options: str
    source: str = ""


def mounts() -> Iterator[Mount]:
    """Yield all mounts; of two on one mountpoint the upper one comes later."""
    for line in _MOUNTINFO.read_bytes().splitlines():
        # The fields in between are optional, and end with a dash.
        place, _, kind = line.partition(b" - ")
        _, _, device, _, mountpoint, *_ = place.split(b" ")
        fstype, source, options = kind.split(b" ", 2)
        yield Mount(
            _ESCAPED.sub(_unescaped, mountpoint),
            device.decode(),
            fstype.decode(),
            options.decode("utf-8", "replace"),
            _ESCAPED.sub(_unescaped, source).decode("utf-8", "replace"),
        )


def fstype(fd: int) -> str:
    """Return the type of the file system that *fd* lies on, empty if it is not known."""
    number = os.fstat(fd).st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    return next((each.fstype for each in mounts() if each.device == device), "")


def _unescaped(escaped: re.Match[bytes]) -> bytes:
    return bytes([int(escaped[1], 8)])
