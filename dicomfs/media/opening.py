"""Opening SOURCE: the one moment at which a path leads to a medium.

Done by the process that was asked, with the rights of its user. From here on there are
only descriptors, so what comes to lie at the path later is nobody's business.

Nothing here knows of URLs: ``remote.opening`` makes an ``OpenedSource`` of one, and who
stands above both chooses (``cli.sources``).
"""

import fcntl
import os
import re
import resource
import select
import signal
import stat
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, NoReturn, Protocol

from dicomfs.errors import Failure, LibraryError, MethodError, PasswordError, Problem
from dicomfs.media.folder import FolderMedium
from dicomfs.media.medium import Medium
from dicomfs.media.mountinfo import fstype
from dicomfs.source.file import FileSource
from dicomfs.source.source import Source

# A DICOMDIR by name, whatever it holds, also as ISO 9660 writes it (7.5.1), or by its
# prefix (PS3.10 7.1).
_NAME: Final = re.compile(r"dicomdir\.?(;1)?", re.IGNORECASE)
_PREFIX: Final = b"DICM"
_PREAMBLE: Final = 128
# How long a file may take to say whether it is one.
_PATIENCE: Final = 2.0
# What images and archives are called, those too that are not read: then it is said what
# they are. Sectors may have another name outside of them.
_READ: Final = (".iso", ".img", ".udf", ".zip", ".tar")
_NOT_READ: Final = (".7z", ".rar", ".nrg", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
_IMAGES: Final = (*_READ, *_NOT_READ)
_SECTORS: Final = (".bin",)

# Descriptors that a source may take at once, its own and that of its DICOMDIR, and what
# everything else does.
_EACH: Final = 2
_OTHERS: Final = 32

# <linux/cdrom.h>: where the last session of a disc begins, as a logical block address.
_CDROMMULTISESSION: Final = 0x5310
_CDROM_LBA: Final = 1
_MULTISESSION: Final = struct.Struct("=iBBxx")


class Files(NamedTuple):
    """A source that is a *medium* by itself, a folder.

    *dicomdir* is the name of the DICOMDIR in its root that was meant, empty if none was.
    """

    medium: Medium
    dicomdir: bytes = b""


class Bytes(NamedTuple):
    """A source that an image or archive lies in, or a disc in a drive.

    The last *session* of a disc begins at that sector; 0 if that is not known.
    """

    source: Source
    session: int = 0


class OpenedSource(Protocol):
    """A source that was opened, and passes to other processes by a fork."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def descriptors(self) -> Sequence[int]:
        """The descriptors by which it is read."""
        ...

    def open(self) -> Files | Bytes:
        """Return what it has; raises Failure."""
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

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self.path)

    @property
    def descriptors(self) -> Sequence[int]:
        """The descriptors by which it is read."""
        return [self.fd]

    def open(self) -> Files:
        """Return it as a medium, which owns the descriptor."""
        return Files(FolderMedium(self.fd, self.file_system), self.dicomdir)

    def leave(self) -> None:
        """Close what this process has of it; others have it still."""
        os.close(self.fd)


class OpenedFile(NamedTuple):
    """An image, an archive or a drive, by its descriptor."""

    path: Path
    fd: int
    session: int

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self.path)

    @property
    def descriptors(self) -> Sequence[int]:
        """The descriptors by which it is read."""
        return [self.fd]

    def open(self) -> Bytes:
        """Return its bytes, which own the descriptor."""
        return Bytes(FileSource(self.fd, is_medium=True), self.session)

    def leave(self) -> None:
        """Close what this process has of it; others have it still."""
        os.close(self.fd)


class Unopened(NamedTuple):
    """One of several sources that could not be opened, for the reason of *failure*."""

    name: str
    failure: Failure

    @property
    def descriptors(self) -> Sequence[int]:
        """The descriptors by which it is read: none."""
        return []

    def open(self) -> NoReturn:
        """Raise the Failure."""
        raise self.failure

    def leave(self) -> None:
        """Do nothing: there is nothing of it."""


Opened = OpenedFolder | OpenedFile | Unopened


def is_image(name: str) -> bool:
    """Whether a file of this name is meant to be an image or an archive."""
    return name.partition(";")[0].lower().endswith(_IMAGES)


def open_sources(paths: Sequence[Path]) -> list[Opened]:
    """Open all of *paths*; one of several that cannot be opened costs only itself.

    Raises Failure where a path leads nowhere, as most likely it is misspelt, for the
    only one, and for more than this process may have open.
    """
    make_room(len(paths))
    if len(paths) == 1:
        return [open_source(paths[0])]
    return [open_source_if_possible(path) for path in paths]


def make_room(sources: int) -> None:
    """Let this process have so many *sources* open; raises Failure if it may not."""
    # Each takes a descriptor, and so does each file that is read at the same time.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if sources == 1:
        return
    if most != resource.RLIM_INFINITY and _EACH * sources + _OTHERS > most:
        raise Failure(Problem.TOO_MANY_SOURCES, count=sources, most=most)


def open_source_if_possible(path: Path) -> Opened:
    """Open one of several sources; raises Failure only where *path* leads nowhere."""
    try:
        return open_source(path)
    except Failure as failure:
        if failure.problem is Problem.SOURCE_MISSING:
            raise
        return Unopened(str(path), failure)


def open_source(
    path: Path, looks: Callable[[int], bool] | None = None
) -> OpenedFolder | OpenedFile:
    """Open the folder, image, archive or device *path*, or the folder of a DICOMDIR.

    *looks* says whether the file with that descriptor begins as DICOM; by default a process
    of its own looks. Raises Failure for a path that leads to none of them.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _open_folder(path)
        if stat.S_ISREG(mode) or stat.S_ISBLK(mode):
            return _open_file(path, looks or _begins_as_dicom)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Failure(Problem.SOURCE_MISSING, name=path) from error
    except OSError as error:
        raise unreadable(error, str(path)) from error
    raise unsupported(str(path))


def unsupported(name: str) -> Failure:
    """Return the Failure for a source that is nothing that dicomfs knows."""
    return Failure(Problem.SOURCE_UNSUPPORTED, name=name)


def unreadable(error: OSError, name: str = "the medium") -> Failure:
    """Return the Failure for a medium that answers with *error*, whatever its *name*."""
    if isinstance(error, LibraryError):
        return Failure(Problem.LIBRARY_NEEDED, reason=error.strerror)
    if isinstance(error, MethodError):
        return Failure(Problem.METHOD_UNSUPPORTED, reason=error.strerror)
    if isinstance(error, PasswordError):
        return Failure(Problem.PASSWORD_NEEDED, reason=error.strerror)
    if isinstance(error, TimeoutError):
        return Failure(Problem.SOURCE_SILENT)
    return Failure(Problem.SOURCE_UNREADABLE, name=name, reason=error.strerror)


def _open_file(path: Path, looks: Callable[[int], bool]) -> OpenedFolder | OpenedFile:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISBLK(os.fstat(fd).st_mode):
        return OpenedFile(path, fd, _last_session(fd))
    if is_dicomdir(path.name) or (not _is_known(path.name) and looks(fd)):
        os.close(fd)
        return _open_folder(path.parent)._replace(dicomdir=os.fsencode(path.name))
    return OpenedFile(path, fd, 0)


def is_dicomdir(name: str) -> bool:
    """Whether a file of this name is meant to be a DICOMDIR, whatever it holds."""
    return _NAME.fullmatch(name) is not None


def _is_known(name: str) -> bool:
    """Whether the name says that it is an image: then nobody has to read it for that."""
    return is_image(name) or name.lower().endswith(_SECTORS)


def begins_as_dicom(fd: int) -> bool:
    """Whether the file has the prefix of a DICOM file; raises OSError."""
    return os.pread(fd, len(_PREFIX), _PREAMBLE) == _PREFIX


def _begins_as_dicom(fd: int) -> bool:
    """Whether the file has the prefix of a DICOM file.

    A process of its own looks, as a drive that hangs would hold whoever reads. A file
    that does not answer in time does not count as one.
    """
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(not begins_as_dicom(fd))
        finally:  # the worker will meet the error, too, and say so
            os._exit(1)
    pidfd = os.pidfd_open(pid)
    try:
        if not select.select([pidfd], [], [], _PATIENCE)[0]:
            os.kill(pid, signal.SIGKILL)
            return False
        return os.waitpid(pid, 0)[1] == 0
    finally:
        os.close(pidfd)


def _last_session(fd: int) -> int:
    """Return the sector at which the last session of a disc begins, 0 if it is not known."""
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
