"""Opening SOURCE: the one moment at which a path leads to a medium.

Done by the process that was asked, with the rights of its user. From here on there are
only descriptors, so what comes to lie at the path later is nobody's business.
"""

import fcntl
import os
import re
import resource
import stat
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from dicomfs.errors import Exit, Failure, LibraryError, PasswordError
from dicomfs.media.folder import Folder, fstype
from dicomfs.media.medium import Medium
from dicomfs.source import FileSource, Source

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+-]*://")
# A DICOMDIR by name, whatever it holds, or by its prefix (PS3.10 7.1).
_NAME: Final = "dicomdir"
_PREFIX: Final = b"DICM"
_PREAMBLE: Final = 128

# <linux/cdrom.h>: where the last session of a disc begins, as a logical block address.
_CDROMMULTISESSION: Final = 0x5310
_CDROM_LBA: Final = 1
_MULTISESSION: Final = struct.Struct("=iBBxx")


class OpenedSource(Protocol):
    """A source that was opened, and passes to other processes by a fork."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def dicomdir(self) -> bytes:
        """The DICOMDIR that was named in a folder, empty if none was."""
        ...

    @property
    def session(self) -> int:
        """The sector at which the last session of a disc in a drive begins, else 0."""
        ...

    def open(self) -> Medium | Source:
        """Return the folder as a medium, or the bytes that an image or archive has.

        Raises Failure.
        """
        ...

    def leave(self) -> None:
        """Close what this process has of it; others have it still."""
        ...


class OpenedFolder(NamedTuple):
    """The folder of a medium, by its descriptor, which lies on a *file_system*."""

    path: Path
    fd: int
    file_system: str
    dicomdir: bytes = b""
    session: int = 0

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self.path)

    def open(self) -> Folder:
        """Return it as a medium, which owns the descriptor."""
        return Folder(self.fd, self.file_system)

    def leave(self) -> None:
        """Close what this process has of it; others have it still."""
        os.close(self.fd)


class OpenedFile(NamedTuple):
    """An image, an archive or a drive, by its descriptor."""

    path: Path
    fd: int
    session: int
    dicomdir: bytes = b""

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self.path)

    def open(self) -> FileSource:
        """Return its bytes, which own the descriptor."""
        return FileSource(self.fd)

    def leave(self) -> None:
        """Close what this process has of it; others have it still."""
        os.close(self.fd)


def is_url(source: str) -> bool:
    """Whether *source* is a URL, and not a path."""
    return _URL.match(source) is not None


def open_sources(paths: Sequence[Path]) -> list[OpenedFolder | OpenedFile]:
    """Open all of *paths*; raises Failure for the first that cannot be opened."""
    # Each takes a descriptor, and so does each file that is read at the same time.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return [open_source(path) for path in paths]


def open_source(path: Path) -> OpenedFolder | OpenedFile:
    """Open the folder, image, archive or device *path*, or the folder of a DICOMDIR.

    Raises Failure with the exit code that says what is wrong.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _open_folder(path)
        if stat.S_ISREG(mode) or stat.S_ISBLK(mode):
            return _open_file(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Failure(
            Exit.SOURCE_MISSING,
            f"there is no {path}",
            "look whether the medium is inserted and mounted, and how the path is spelt",
        ) from error
    except OSError as error:
        raise unreadable(error) from error
    raise unsupported(str(path))


def unsupported(name: str) -> Failure:
    """Return the Failure for a source that is nothing that dicomfs knows."""
    return Failure(
        Exit.SOURCE_UNSUPPORTED,
        f"{name} is neither a folder, a DICOMDIR, an ISO or UDF image nor a ZIP archive",
        "give the folder that the medium is mounted on, or an image of the medium",
    )


def unreadable(error: OSError) -> Failure:
    """Return the Failure for a medium that answers with *error*."""
    if isinstance(error, LibraryError):
        return Failure(
            Exit.PASSWORD_NEEDED,
            f"the archive cannot be opened: {error.strerror}",
            "install it: pip install 'dicomfs[aes]'",
        )
    if isinstance(error, PasswordError):
        return Failure(
            Exit.PASSWORD_NEEDED,
            f"the archive cannot be opened: {error.strerror}",
            "write the password into a file of yours and give it with --password-file",
        )
    return Failure(
        Exit.SOURCE_UNREADABLE,
        f"the medium cannot be read: {error.strerror}",
        "see that you may read it (ls -l), clean the disc, or try another drive",
    )


def _open_file(path: Path) -> OpenedFolder | OpenedFile:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if is_dicomdir(path.name) or _begins_as_dicom(fd):
        os.close(fd)
        return _open_folder(path.parent)._replace(dicomdir=os.fsencode(path.name))
    return OpenedFile(path, fd, _last_session(fd))


def is_dicomdir(name: str) -> bool:
    """Whether a file of this name is meant to be a DICOMDIR, whatever it holds."""
    return name.lower().startswith(_NAME)


def _begins_as_dicom(fd: int) -> bool:
    try:
        return os.pread(fd, len(_PREFIX), _PREAMBLE) == _PREFIX
    except OSError:  # the worker will see it, too, and say so
        return False


def _last_session(fd: int) -> int:
    """Return the sector at which the last session begins, 0 for all but drives."""
    asked = _MULTISESSION.pack(0, 0, _CDROM_LBA)
    try:
        answer = fcntl.ioctl(fd, _CDROMMULTISESSION, asked)
    except OSError:
        return 0
    begin, is_multisession, _ = _MULTISESSION.unpack(answer)
    return begin if is_multisession else 0


def _open_folder(path: Path) -> OpenedFolder:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return OpenedFolder(path, fd, fstype(fd))
