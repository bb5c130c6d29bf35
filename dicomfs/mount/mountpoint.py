"""Mountpoints: whether one can be used, what is mounted on it, and how it is cleared."""

import errno
import os
import re
import select
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from dicomfs.errors import Failure, Problem
from dicomfs.media.mountinfo import Mount, mounts

FSTYPE: Final = "fuse.dicomfs"
FUSE_DEVICE: Final = Path("/dev/fuse")

# What statvfs says of a mount whose process has ended.
_DEAD: Final = frozenset({errno.ENOTCONN, errno.ECONNABORTED})
_PATIENCE: Final = 2.0
_FUSERMOUNT: Final = "fusermount3"
# Not $PATH: whoever sets that must not choose what a mount runs. The last is NixOS's.
_PLACES: Final = (
    "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/run/wrappers/bin"
)


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
    """Whether the mount on *mountpoint* is one whose process has ended.

    Asked by statvfs, which goes to that process: the kernel would answer a stat for a
    dead mount from what it remembers. A process of its own asks, as a mount that hangs
    would hold whoever asks; one that does not answer in time is not dead.
    """
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(_ask(mountpoint))
        finally:
            os._exit(errno.EINTR)
    pidfd = os.pidfd_open(pid)
    try:
        if not select.select([pidfd], [], [], _PATIENCE)[0]:
            os.kill(pid, signal.SIGKILL)
            return False
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) in _DEAD
    finally:
        os.close(pidfd)


def _ask(mountpoint: Path) -> int:
    try:
        os.statvfs(mountpoint)
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def resolve(path: Path) -> Path:
    """Return *path* as the kernel names it, without asking a mount that is there."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would ask it
    here = Path(os.path.realpath(absolute.parent)) / absolute.name
    return here if find_mount(here) else Path(os.path.realpath(path))


def check(mountpoint: Path, folders: Sequence[Path]) -> None:
    """See that *mountpoint* can be mounted on with media in *folders*; raises Failure.

    A dead mount of this user's is cleared away.
    """
    if (mount := find_mount(mountpoint)) and mount.fstype.startswith("fuse"):
        _check_stale(mountpoint, mount)
        _clear_stale(mountpoint, mount)
    for folder in folders:
        _check_overlap(mountpoint, folder)
    try:
        if not any(mountpoint.iterdir()):
            return
    except FileNotFoundError as error:
        raise Failure(Problem.MOUNTPOINT_MISSING, mountpoint=mountpoint) from error
    except NotADirectoryError as error:
        raise Failure(Problem.MOUNTPOINT_NOT_FOLDER, mountpoint=mountpoint) from error
    except OSError as error:
        raise Failure(
            Problem.MOUNTPOINT_CLOSED, mountpoint=mountpoint, reason=error.strerror
        ) from error
    raise Failure(Problem.MOUNTPOINT_NOT_EMPTY, mountpoint=mountpoint)


def _check_overlap(mountpoint: Path, folder: Path) -> None:
    # A mount inside its own medium can end up waiting for itself.
    if folder.is_relative_to(mountpoint) or mountpoint.is_relative_to(folder):
        raise Failure(Problem.MOUNTPOINT_OVERLAPS, mountpoint=mountpoint)


def _check_stale(mountpoint: Path, mount: Mount) -> None:
    if is_stale(mountpoint):
        return
    if mount.fstype == FSTYPE:
        raise Failure(Problem.MOUNTPOINT_OURS, mountpoint=mountpoint)
    raise Failure(Problem.MOUNTPOINT_TAKEN, mountpoint=mountpoint, fstype=mount.fstype)


def _clear_stale(mountpoint: Path, mount: Mount) -> None:
    if is_ours(mount) and not unmount(mountpoint, lazy=True):
        return
    raise Failure(Problem.MOUNTPOINT_STALE, mountpoint=mountpoint)


def check_fuse() -> None:
    """See that this machine and this user can mount with FUSE; raises Failure."""
    try:
        os.close(os.open(FUSE_DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        raise Failure(
            Problem.NO_FUSE_DEVICE, name=FUSE_DEVICE, reason=error.strerror
        ) from error
    fusermount()


def fusermount() -> str:
    """Return the path of fusermount3; raises Failure if it is not installed."""
    if found := shutil.which(_FUSERMOUNT, path=_PLACES):
        return found
    raise Failure(Problem.NO_FUSERMOUNT, name=_FUSERMOUNT)


def end(mountpoint: Path, *, lazy: bool) -> None:
    """End the dicomfs mount on *mountpoint*; raises Failure."""
    mount = find_mount(mountpoint)
    if mount is None or mount.fstype != FSTYPE:
        raise Failure(Problem.NOT_MOUNTED, mountpoint=mountpoint)
    if said := unmount(mountpoint, lazy=lazy):
        raise Failure(Problem.UNMOUNT_REFUSED, mountpoint=mountpoint, reason=said)


def remove(made: Path | None) -> None:
    """Remove a mountpoint that was *made*, unless it is still in use."""
    if made is not None:
        with suppress(OSError):
            made.rmdir()


def unmount(mountpoint: Path, *, lazy: bool) -> str:
    """Unmount *mountpoint*; return what fusermount3 says against it, else nothing.

    A *lazy* unmount takes the mount out of sight at once, and lets open files be.
    """
    import subprocess  # noqa: PLC0415 - slow, and who only resolves paths needs none

    flags = ["-u", "-z"] if lazy else ["-u"]
    done = subprocess.run(
        [fusermount(), *flags, "--", str(mountpoint)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr.strip() or "fusermount3 failed"
