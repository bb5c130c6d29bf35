"""How a mount gets to its place, and how it is taken away again.

root does both by system calls, which take descriptors in place of paths. Others need
``fusermount3``, which takes a path; so what it did is looked at afterwards.
"""

import ctypes
import errno
import os
import re
import shutil
import socket
import subprocess
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Final, NamedTuple

from dicomfs.errors import Failure, Problem
from dicomfs.media.mountinfo import Mount, connected_device, mount_of, mounts
from dicomfs.mount import mountpoint
from dicomfs.mount.options import Options

FUSE_DEVICE: Final = Path("/dev/fuse")
# A folder for each mount; a new mount gets a new one, whatever its number.
_CONNECTIONS: Final = Path("/sys/fs/fuse/connections")

# MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC
_FLAGS: Final = 1 | 2 | 4 | 8
_OPTIONS: Final = "ro,nosuid,nodev,noexec,subtype=dicomfs"
# What ends an option, or begins an escape.
_SPECIAL: Final = re.compile(r"([\\,])")
_WITHIN_MODES: Final = "default_permissions"
_FOLDER_MODE: Final = 0o40000

_MNT_DETACH: Final = 2
_UMOUNT_NOFOLLOW: Final = 8
# Folders above a mount may be renamed while it is sought.
_TRIES: Final = 5

_FUSERMOUNT: Final = "fusermount3"
# Not $PATH: whoever sets that must not choose what a mount runs. The last is NixOS's.
_PLACES: Final = (
    "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/run/wrappers/bin"
)
# Words of fusermount3 that tell why it refuses.
_REFUSALS: Final = {
    "user_allow_other": Problem.OTHERS_REFUSED,
    "username": Problem.USER_REFUSED,
    "/dev/fuse": Problem.DEVICE_REFUSED,
}

_LOOK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (*[ctypes.c_char_p] * 3, ctypes.c_ulong, ctypes.c_char_p)


class Attached(NamedTuple):
    """A *mount*, and the descriptor of the FUSE *device* that serves it."""

    device: int
    mount: Mount


def check_fuse() -> None:
    """See that this machine and this user can mount with FUSE; raises Failure."""
    os.close(_open_device())
    if not _is_root():
        fusermount()


def _is_root() -> bool:
    return os.geteuid() == 0


def _open_device() -> int:
    try:
        return os.open(FUSE_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise Failure(
            Problem.NO_FUSE_DEVICE, name=FUSE_DEVICE, reason=error.strerror
        ) from error


def fusermount() -> str:
    """Return the path of fusermount3; raises Failure if it is not installed."""
    if found := shutil.which(_FUSERMOUNT, path=_PLACES):
        return found
    raise Failure(Problem.NO_FUSERMOUNT, name=_FUSERMOUNT)


# -- to its place ----------------------------------------------------------------------


def attach(held: int, options: Options) -> Attached:
    """Mount on the folder *held*, and nowhere else; raises Failure."""
    before = mountpoint.mounted_on(held)
    fd = (_by_system_call if _is_root() else _by_helper)(held, options)
    device = connected_device(fd)
    mount = mountpoint.mounted_on(held)
    if (
        mount is not None
        and mount != before
        and mountpoint.is_ours(mount)
        and device in {mount.device, None}
    ):
        if not _covers_another(mount):
            return Attached(fd, mount)
        os.close(fd)
        _detach_dead(mount)
        place = mountpoint.path_of(held)
        raise Failure(Problem.MOUNTPOINT_OURS, mountpoint=place)
    os.close(fd)  # now it is dead, wherever it is
    for each in reversed(list(mounts())):
        if mountpoint.is_ours(each) and device in {each.device, None}:
            _detach_dead(each)
    raise Failure(
        Problem.MOUNT_REFUSED, reason="the mountpoint was moved while it was mounted on"
    )


def _covers_another(mount: Mount) -> bool:
    """Whether somebody mounted a medium there meanwhile, which would be out of sight."""
    below = takewhile(lambda each: each.id != mount.id, mounts())
    return any(
        (each.mountpoint, each.fstype) == (mount.mountpoint, mount.fstype)
        for each in below
    )


def _detach_dead(mount: Mount) -> None:
    if _is_dead(mount):
        detach(mount, lazy=True)


def _by_system_call(held: int, options: Options) -> int:
    device = _open_device()
    owner = f"user_id={os.getuid()},group_id={os.getgid()}"
    data = f"fd={device},rootmode={_FOLDER_MODE:o},{owner},{_modes(options)}"
    if _libc.mount(
        os.fsencode(options.shown_as),
        f"/proc/self/fd/{held}".encode(),
        mountpoint.FSTYPE.encode(),
        _FLAGS,
        data.encode(),
    ):
        os.close(device)
        reason = f"mounting failed: {os.strerror(ctypes.get_errno())}"
        raise Failure(Problem.MOUNT_REFUSED, reason=reason)
    return device


def _by_helper(held: int, options: Options) -> int:
    name = _SPECIAL.sub(r"\\\1", options.shown_as)
    wanted = f"{_OPTIONS},{_modes(options)},fsname={name}"
    ours, theirs = socket.socketpair()
    place = mountpoint.path_of(held)
    # Whatever comes in between, the helper is waited for: it might mount later.
    with (
        ours,
        theirs,
        subprocess.Popen(
            [fusermount(), "-o", wanted, "--", str(place)],
            env={**os.environ, "_FUSE_COMMFD": str(theirs.fileno())},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as helper,
    ):
        theirs.close()
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
        _, said = helper.communicate()
    if not descriptors:
        raise Failure(
            _refusal(said), reason=said.strip() or "fusermount3 refused to mount"
        )
    return descriptors[0]


def _modes(options: Options) -> str:
    return _WITHIN_MODES + (",allow_other" if options.allow_other else "")


def _refusal(said: str) -> Problem:
    """Return what fusermount3 objects to, by the words that it *said*."""
    for word, problem in _REFUSALS.items():
        if word in said:
            return problem
    return Problem.MOUNT_REFUSED


# -- away from it ----------------------------------------------------------------------


def end(place: Path, *, lazy: bool) -> None:
    """End the dicomfs mount on *place*; raises Failure."""
    mount = mountpoint.find_mount(place)
    if mount is None or mount.fstype != mountpoint.FSTYPE:
        raise Failure(Problem.NOT_MOUNTED, mountpoint=place)
    if said := detach(mount, lazy=lazy):
        raise Failure(Problem.UNMOUNT_REFUSED, mountpoint=place, reason=said)


def clear_stale(place: Path) -> None:
    """Take a dead mount of this user's away from *place*.

    Raises Failure if another FUSE mount is there.
    """
    mount = mountpoint.find_mount(place)
    if mount is None or not mount.fstype.startswith("fuse"):
        return
    if mountpoint.is_stale(place):
        if mountpoint.is_ours(mount) and not detach(mount, lazy=True):
            return
        raise Failure(Problem.MOUNTPOINT_STALE, mountpoint=place)
    if mount.fstype == mountpoint.FSTYPE:
        raise Failure(Problem.MOUNTPOINT_OURS, mountpoint=place)
    raise Failure(Problem.MOUNTPOINT_TAKEN, mountpoint=place, fstype=mount.fstype)


def clear(device: str, *, if_dead: bool) -> bool:
    """Take the mount of *device* out of sight, wherever it is; return whether it is.

    A number that is free goes to the next mount: *if_dead* lets one be that answers.
    Raises OSError if no helper can be started.
    """
    left = {each.id for each in seen(device) if not if_dead or _is_dead(each)}
    for _ in range(_TRIES):
        # Each once: then its numbers may be those of another one.
        for mount in seen(device):
            if mount.id in left and not detach(mount, lazy=True):
                left.discard(mount.id)
        left &= {each.id for each in seen(device)}
        if not left:
            break
    return not left


def connection(device: str) -> int | None:
    """Return what tells the mount of *device* from others that have that number.

    None if there is none, or the kernel's list of connections cannot be seen.
    """
    try:
        return (_CONNECTIONS / device.partition(":")[2]).stat().st_ino
    except OSError:
        return None


def seen(device: str) -> list[Mount]:
    """Return all places where the mount of *device* is to be seen, the latest first."""
    return [
        each
        for each in reversed(list(mounts()))
        if each.device == device and mountpoint.is_ours(each)
    ]


def detach(mount: Mount, *, lazy: bool) -> str:
    """Unmount *mount*; return what is said against it, else nothing.

    A *lazy* one takes the mount out of sight at once, and lets open files be. Raises
    OSError if the helper cannot be started.
    """
    place = _place(mount)
    try:
        root, parent = _reached(mount, place)
    except OSError as error:
        return error.strerror or str(error)
    os.close(root)  # it would keep the mount busy
    try:
        if _is_root():
            return _unmounted(parent, place.name, lazy=lazy)
    finally:
        os.close(parent)
    done = subprocess.run(
        _helper(place, lazy=lazy),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr.strip() or "fusermount3 failed"


def become_helper(mount: Mount) -> None:
    """Let this process become the helper that takes *mount* away: that needs no fork.

    Returns if it cannot.
    """
    place = _place(mount)
    # A path that leads elsewhere would cost somebody else's mount.
    with suppress(OSError, Failure):
        _reached(mount, place)
        command = _helper(place, lazy=True)
        os.execv(command[0], command)


def _helper(place: Path, *, lazy: bool) -> list[str]:
    return [fusermount(), "-u", *(["-z"] if lazy else []), "--", str(place)]


def _reached(mount: Mount, place: Path) -> tuple[int, int]:
    """Return descriptors of *mount* itself and of the folder that its *place* is in.

    Asks nobody who serves a mount. Raises OSError if the path does not lead there, as
    something is mounted over it.
    """
    parent = os.open(place.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        root = os.open(place.name, _LOOK, dir_fd=parent)
    except OSError:
        os.close(parent)
        raise
    found = mount_of(root)
    if found is None or found.id != mount.id:
        os.close(root)
        os.close(parent)
        raise OSError(errno.EBUSY, "something else is mounted over it")
    return root, parent


def _unmounted(parent: int, name: str, *, lazy: bool) -> str:
    place = os.fsencode(f"/proc/self/fd/{parent}/{name}")
    flags = _UMOUNT_NOFOLLOW | (_MNT_DETACH if lazy else 0)
    if _libc.umount2(place, flags) == 0:
        return ""
    return os.strerror(ctypes.get_errno())


def _is_dead(mount: Mount) -> bool:
    """Whether nobody serves *mount* any more; if it cannot be asked, it may be so."""
    try:
        root, parent = _reached(mount, _place(mount))
    except OSError:
        return True
    try:
        return mountpoint.is_dead(root)
    finally:
        os.close(root)
        os.close(parent)


def _place(mount: Mount) -> Path:
    return Path(os.fsdecode(mount.mountpoint))
