"""What is mounted, as the kernel says in /proc/self/mountinfo (proc_pid_mountinfo(5))."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_MOUNTINFO: Final = Path("/proc/self/mountinfo")
# Blanks, tabs, newlines and backslashes in paths are written as octal numbers.
_ESCAPED: Final = re.compile(rb"\\([0-7]{3})")
# What /proc/self/fdinfo says of a descriptor: the mount that it lies on; of /dev/fuse
# the number of the device, since Linux 6.16.
_MOUNT_ID: Final = re.compile(rb"^mnt_id:\s*(\d+)$", re.MULTILINE)
_CONNECTION: Final = re.compile(rb"^fuse_connection:\s*(\d+)$", re.MULTILINE)


class Mount(NamedTuple):
    """A file system of type *fstype*, mounted on *mountpoint* with *options*.

    *source* is what it says to be made of. *device* is the number of its device, as
    MAJOR:MINOR; *id* is that of the mount.
    """

    mountpoint: bytes
    device: str
    fstype: str
    options: str
    source: str = ""
    id: int = 0


def mounts() -> Iterator[Mount]:
    """Yield all mounts; of two on one mountpoint the upper one comes later."""
    for line in _MOUNTINFO.read_bytes().splitlines():
        # The fields in between are optional, and end with a dash.
        place, _, kind = line.partition(b" - ")
        number, _, device, _, mountpoint, *_ = place.split(b" ")
        fstype, source, options = kind.split(b" ", 2)
        yield Mount(
            _ESCAPED.sub(_unescaped, mountpoint),
            device.decode(),
            fstype.decode(),
            options.decode("utf-8", "replace"),
            _ESCAPED.sub(_unescaped, source).decode("utf-8", "replace"),
            int(number),
        )


def changes() -> int:
    """Return a descriptor on which poll tells (POLLPRI) that something was (un)mounted."""
    return os.open(_MOUNTINFO, os.O_RDONLY | os.O_CLOEXEC)


def mount_of(fd: int) -> Mount | None:
    """Return the mount that *fd* lies on, if it can be seen from here; asks no medium."""
    number = _fact(_MOUNT_ID, fd)
    return next((each for each in mounts() if each.id == number), None)


def fstype(fd: int) -> str:
    """Return the type of the file system that *fd* lies on, empty if it is not known."""
    mount = mount_of(fd)
    return mount.fstype if mount else ""


def connected_device(fd: int) -> str | None:
    """Return the device that the FUSE descriptor *fd* serves; None if it is not told."""
    number = _fact(_CONNECTION, fd)
    return None if number is None else f"0:{number}"


def _fact(pattern: re.Pattern[bytes], fd: int) -> int | None:
    found = pattern.search(Path(f"/proc/self/fdinfo/{fd}").read_bytes())
    return int(found[1]) if found else None


def _unescaped(escaped: re.Match[bytes]) -> bytes:
    return bytes([int(escaped[1], 8)])
