"""Opening files below a folder and nowhere else, whatever the names say.

``openat2(2)`` makes the kernel keep the promise: no ``..``, no absolute path, no
symbolic link, no other file system. Python has no binding for it (CPython #141878).
Kernels before 5.6 and some sandboxes refuse it; then each component is opened by
itself, without following links.
"""

import ctypes
import errno
import os
import re
import stat
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from dicomfs.errors import FileIdError
from dicomfs.source.pulse import beat

Place = tuple[bytes, ...]

_SYS_OPENAT2: Final = 437
# NO_XDEV, NO_MAGICLINKS, NO_SYMLINKS, BENEATH
_RESOLVE: Final = 0x01 | 0x02 | 0x04 | 0x08
_RESOLVE_CACHED: Final = 0x20
# O_NONBLOCK: a FIFO on the medium would hold an open for ever.
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# openat2 refuses O_PATH together with flags that mean nothing to it.
_LOOK: Final = os.O_PATH | os.O_CLOEXEC
_MAX_COMPONENT: Final = 255
_IS_NAME: Final = re.compile(rb"(?!\.{1,2}\Z)[^/\0]+").fullmatch


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


_SIZE_OF_HOW: Final = ctypes.sizeof(_OpenHow)
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def open_file(root: int, path: Place) -> int:
    """Return a descriptor for reading of the regular file at *path* below *root*.

    Raises FileIdError for a path that names nothing below a folder, OSError otherwise
    (EINVAL for what is not a regular file).
    """
    return _regular(_open(root, path, _READ))


def open_file_cached(root: int, path: Place) -> int | None:
    """Do what ``open_file`` does if the kernel has the whole path in memory, else None.

    Never waits for the medium to find the file. None, too, before Linux 5.12.
    """
    _check(path)
    try:
        fd = _openat2(root, b"/".join(path), _READ, _RESOLVE | _RESOLVE_CACHED)
    except OSError:
        return None
    return _regular(fd)


def open_folder(root: int, path: Place) -> int:
    """Return a descriptor for reading of the folder at *path* below *root*."""
    return _open(root, path, _READ | os.O_DIRECTORY)


def status(root: int, path: Place) -> os.stat_result:
    """Return the status of what is at *path* below *root*, without opening it."""
    fd = _open(root, path, _LOOK)
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def statuses(
    root: int, folder: Place, names: Iterable[bytes]
) -> list[os.stat_result | OSError]:
    """Return the status of each of *names* in *folder* below *root*, or its error.

    The folder is opened once for all of them. Raises FileIdError and OSError for it.
    """
    fd = _open(root, folder, _LOOK | os.O_DIRECTORY)
    try:
        return _statuses_in(fd, names)
    finally:
        os.close(fd)


def _statuses_in(folder: int, names: Iterable[bytes]) -> list[os.stat_result | OSError]:
    """Return them for a folder that is open; there are as many as files on a medium."""
    found: list[os.stat_result | OSError] = []
    add, look = found.append, os.stat
    for name in names:
        beat()
        is_name = name.isalnum() or _IS_NAME(name)
        if not is_name or len(name) > _MAX_COMPONENT:
            add(OSError(errno.EINVAL, "no file name"))
            continue
        try:
            add(look(name, dir_fd=folder, follow_symlinks=False))
        except OSError as error:
            add(error)
    return found


def _regular(fd: int) -> int:
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise OSError(errno.EINVAL, "not a regular file")


def _open(root: int, path: Place, flags: int) -> int:
    _check(path)
    beat()
    name = b"/".join(path) or b"."
    try:
        return _openat2(root, name, flags)
    except OSError as error:
        if error.errno not in {errno.ENOSYS, errno.EPERM}:
            raise
    return _walk(root, path or (b".",), flags)


def _check(path: Sequence[bytes]) -> None:
    """Refuse components that are no names; C would cut them at a NUL, too."""
    for component in path:
        if not _IS_NAME(component):
            raise FileIdError("a path component is not a file name")
        if len(component) > _MAX_COMPONENT:
            raise FileIdError("a path component is too long")


def _openat2(root: int, name: bytes, flags: int, resolve: int = _RESOLVE) -> int:
    fd: int = _libc.syscall(
        _SYS_OPENAT2, root, name, _how(flags, resolve), _SIZE_OF_HOW
    )
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return fd


@lru_cache(maxsize=16)
def _how(flags: int, resolve: int) -> object:
    """Return a pointer to what the kernel only reads, and so always the same one."""
    return ctypes.byref(_OpenHow(flags, 0, resolve))


def _walk(root: int, path: Sequence[bytes], flags: int) -> int:
    """Open *path* component by component; what RESOLVE_* refuses is refused here."""
    device = os.fstat(root).st_dev
    folder = os.dup(root)
    try:
        for component in path[:-1]:
            below = os.open(
                component, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder
            )
            os.close(folder)
            folder = below
            _check_device(folder, device)
        fd = os.open(path[-1], flags | os.O_NOFOLLOW, dir_fd=folder)
    finally:
        os.close(folder)
    try:
        _check_last(fd, device)
    except OSError:
        os.close(fd)
        raise
    return fd


def _check_last(fd: int, device: int) -> None:
    _check_device(fd, device)
    if stat.S_ISLNK(os.fstat(fd).st_mode):  # O_PATH | O_NOFOLLOW opens the link itself
        raise OSError(errno.ELOOP, "a symbolic link")


def _check_device(fd: int, device: int) -> None:
    if os.fstat(fd).st_dev != device:
        raise OSError(errno.EXDEV, "on another file system")
