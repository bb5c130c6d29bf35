"""A folder as a medium: a mounted disc, a stick, or a copy of one."""

import errno
import os
import stat
from collections.abc import Sequence
from typing import Final

from dicomfs.media import beneath
from dicomfs.media.medium import Capacity, EntryType, Place, Status
from dicomfs.source.file import FileSource
from dicomfs.source.pulse import beat

# File systems on which opening a file asks nobody once its inode is in memory; network
# file systems and FUSE ask their server each time.
_PROMPT: Final = frozenset(
    {
        "btrfs",
        "erofs",
        "exfat",
        "ext2",
        "ext3",
        "ext4",
        "iso9660",
        "ntfs3",
        "squashfs",
        "tmpfs",
        "udf",
        "vfat",
        "xfs",
    }
)

_CLOSED: Final = -1


class FolderMedium:
    """A folder by its descriptor, which it owns.

    The descriptor pins the medium: after a disc was swapped the path leads to another
    patient's files, the descriptor to the old ones or to an error.
    """

    in_turn = True

    def __init__(self, fd: int, file_system: str = "") -> None:
        """Make one of *fd*, which lies on a *file_system*, if that is known (see ``mountinfo.fstype``)."""
        self.fd = fd
        self._is_prompt = file_system in _PROMPT

    def names(self, folder: Place) -> list[bytes]:
        """Return the names in *folder*."""
        fd = beneath.open_folder(self.fd, folder)
        try:
            return [os.fsencode(name) for name in os.listdir(fd)]  # noqa: PTH208 - a descriptor
        finally:
            os.close(fd)

    def entries(self, folder: Place) -> dict[bytes, EntryType]:
        """Return the names in *folder* and what they are."""
        fd = beneath.open_folder(self.fd, folder)
        try:
            with os.scandir(fd) as entries:
                return {os.fsencode(entry.name): _type(entry) for entry in entries}
        finally:
            os.close(fd)

    def status(self, path: Place) -> Status:
        """Return the status of the regular file at *path*, without opening it."""
        found = _status(beneath.status(self.fd, path))
        if isinstance(found, OSError):
            raise found
        return found

    def statuses(self, folder: Place, names: Sequence[bytes]) -> list[Status | OSError]:
        """Return the status of each of *names* in *folder*, or why it has none."""
        return [_status(each) for each in beneath.statuses(self.fd, folder, names)]

    def open(self, path: Place) -> FileSource:
        """Open the regular file at *path*."""
        return FileSource(beneath.open_file(self.fd, path), is_prompt=self._is_prompt)

    def open_cached(self, path: Place) -> FileSource | None:
        """Open the file at *path* if that takes no waiting for the medium, else None."""
        if not self._is_prompt:
            return None
        fd = beneath.open_file_cached(self.fd, path)
        return None if fd is None else FileSource(fd, is_prompt=True)

    def capacity(self) -> Capacity:
        """Return how large the file system is that the folder lies on."""
        found = os.statvfs(self.fd)
        return Capacity(found.f_frsize, found.f_blocks)

    def close(self) -> None:
        """Close the descriptor; what gets its number later is never read."""
        fd, self.fd = self.fd, _CLOSED
        if fd != _CLOSED:
            os.close(fd)


def _type(entry: os.DirEntry[str]) -> EntryType:
    beat()  # a drive is asked what it is
    try:
        if entry.is_dir(follow_symlinks=False):
            return EntryType.FOLDER
        if not entry.is_file(follow_symlinks=False):
            return EntryType.OTHER
    except OSError:
        pass  # its status says so
    return EntryType.FILE


def _status(found: os.stat_result | OSError) -> Status | OSError:
    if isinstance(found, OSError):
        return found
    if not stat.S_ISREG(found.st_mode):
        return OSError(errno.EINVAL, "not a regular file")
    return Status(found.st_size, found.st_mtime_ns, found.st_ctime_ns)
