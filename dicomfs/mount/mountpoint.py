"""Mountpoints: what is mounted on them, and the folder itself, held before it is used.

A path is believed once. What it led to is held by a descriptor from then on: whoever
may rename a folder above it cannot lead the mount to another one.
"""

import errno
import os
import re
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from dicomfs.errors import Failure, Problem
from dicomfs.media.mountinfo import Mount, mount_of, mounts
from dicomfs.mount.peer import Peer

FSTYPE: Final = "fuse.dicomfs"

# What statvfs says of a mount whose process has ended.
_DEAD: Final = frozenset({errno.ENOTCONN, errno.ECONNABORTED})
_PATIENCE: Final = 2.0
# Asks no file system that is mounted there, so none can hang.
_LOOK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def find_mount(mountpoint: Path) -> Mount | None:
    """Return what is mounted on *mountpoint*, the uppermost if several are."""
    wanted = os.fsencode(mountpoint)
    found = [each for each in mounts() if each.mountpoint == wanted]
    return found[-1] if found else None


def is_ours(mount: Mount) -> bool:
    """Whether *mount* is one of dicomfs that this user made."""
    user = f"user_id={os.getuid()}"
    return mount.fstype == FSTYPE and user in re.split("[ ,]", mount.options)


def is_stale(mountpoint: Path) -> bool:
    """Whether the mount on *mountpoint* is one whose process has ended."""
    try:
        fd = os.open(mountpoint, _LOOK)
    except OSError:
        return False
    try:
        return is_dead(fd)
    finally:
        os.close(fd)


def is_dead(fd: int) -> bool:
    """Whether the mount that *fd* lies on is one whose process has ended.

    Asked by statvfs, which goes to that process: the kernel would answer a stat for a
    dead mount from what it remembers. A child asks, as a mount that hangs would hold
    whoever asks; one that does not answer in time is not dead.
    """
    try:
        pid = os.fork()
    except OSError:  # no more processes; one that is dead answers at once
        return _ask(fd) in _DEAD
    if pid == 0:
        try:
            os._exit(_ask(fd))
        finally:
            os._exit(errno.EINTR)
    child = Peer(pid)
    try:
        if not child.has_ended(_PATIENCE):
            child.send(signal.SIGKILL)
            return False
        return child.exit_code() in _DEAD
    finally:
        child.close()


def _ask(fd: int) -> int:
    try:
        os.fstatvfs(fd)
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def resolve(path: Path) -> Path:
    """Return *path* as the kernel names it, without asking a mount that is there."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would ask it
    here = Path(os.path.realpath(absolute.parent)) / absolute.name
    return here if find_mount(here) else Path(os.path.realpath(path))


def hold(mountpoint: Path, folders: Sequence[Path]) -> int:
    """Return a descriptor of *mountpoint*, a resolved path that can be mounted on.

    The media lie in *folders*. A dead mount of this user's is cleared away first, by
    who calls: see ``attachment.clear_stale``. Raises Failure.
    """
    for folder in folders:
        _check_overlap(mountpoint, folder)
    try:
        held = _opened(mountpoint)
        is_empty = not os.listdir(held)  # noqa: PTH208 - a descriptor
    except FileNotFoundError as error:
        raise Failure(Problem.MOUNTPOINT_MISSING, mountpoint=mountpoint) from error
    except NotADirectoryError as error:
        raise Failure(Problem.MOUNTPOINT_NOT_FOLDER, mountpoint=mountpoint) from error
    except OSError as error:
        raise Failure(
            Problem.MOUNTPOINT_CLOSED, mountpoint=mountpoint, reason=error.strerror
        ) from error
    if not is_empty:
        raise Failure(Problem.MOUNTPOINT_NOT_EMPTY, mountpoint=mountpoint)
    return held


def _check_overlap(mountpoint: Path, folder: Path) -> None:
    # A mount inside its own medium can end up waiting for itself.
    if folder.is_relative_to(mountpoint) or mountpoint.is_relative_to(folder):
        raise Failure(Problem.MOUNTPOINT_OVERLAPS, mountpoint=mountpoint)


def _opened(folder: Path) -> int:
    """Open *folder* with no link on the way: all were resolved; any is new."""
    fd = os.open("/", _LOOK | os.O_DIRECTORY)
    for name in folder.parts[1:]:
        below = fd
        try:
            fd = os.open(name, _LOOK | os.O_DIRECTORY, dir_fd=below)
        finally:
            os.close(below)
    try:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
    finally:
        os.close(fd)


def remove(made: Path | None) -> None:
    """Remove a mountpoint that was *made*, unless it is still in use."""
    if made is not None:
        with suppress(OSError):
            made.rmdir()


def path_of(held: int) -> Path:
    """Return where the folder *held* is now."""
    return Path(f"/proc/self/fd/{held}").readlink()


def mounted_on(held: int) -> Mount | None:
    """Return what is mounted on the folder *held* itself, wherever that is now."""
    with suppress(OSError):
        # While it is mounted on, nobody can rename it; only folders above it.
        fd = os.open(f"../{path_of(held).name}", _LOOK, dir_fd=held)
        try:
            found = mount_of(fd)
        finally:
            os.close(fd)
        if found != mount_of(held):
            return found
    return None
