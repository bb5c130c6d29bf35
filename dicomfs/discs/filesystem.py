"""Media as a file system of fsspec: ``dicom://``, also chained on others.

    fsspec.filesystem("dicom", fo="/media/cd")
    fsspec.open("dicom://Doe, Jane (12345)/.../0017.dcm", fo="disc.iso")
    fsspec.open("dicom://Doe, Jane (12345)/.../0017.dcm::s3://shelf/disc.iso")

fsspec finds it by an entry point. Nobody else imports this module.
"""

import datetime
import errno
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, NoReturn

import fsspec
from fsspec.implementations.local import LocalFileSystem

from dicomfs.discs.disc import Disc
from dicomfs.discs.given import Given, OpenedMedium, OpenedStream, StreamSource
from dicomfs.discs.nodes import File, Folder
from dicomfs.discs.opening import open_disc
from dicomfs.discs.stream import Stream
from dicomfs.media.archive import Archive
from dicomfs.media.medium import Place
from dicomfs.remote.medium import RemoteEntry
from dicomfs.remote.stores import status_of
from dicomfs.source.pulse import DEADLINE
from dicomfs.source.source import BytesSource, Source

# What is read at once for who reads little by little.
_BLOCK = 256 * 1024

# What every file system of fsspec takes.
_OF_FSSPEC = {
    *("use_listings_cache", "listings_expiry_time", "max_paths"),
    *("skip_instance_cache", "asynchronous", "loop", "batch_size"),
}

Info = dict[str, Any]


class DicomFileSystem(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """The tree of a medium, read-only, under the names that a mount shows.

    *fo* is the medium: a path or URL, or a path of the file system *target_protocol*
    with *target_options*, as a chained URL gives it. The options are those of
    ``dicomfs.open``. Raises Failure if there is nothing to be shown, TypeError for an
    option that there is not.
    """

    protocol: ClassVar[str] = "dicom"
    # Without it, fsspec would copy what is in two patients into one folder.
    root_marker: ClassVar[str] = "/"

    def __init__(
        self,
        fo: str | os.PathLike[str] = "",
        target_protocol: str | None = None,
        target_options: Mapping[str, Any] | None = None,
        *,
        scan: bool = False,
        index_only: bool = False,
        extras: bool = False,
        passwords: Iterable[str] = (),
        charset: str = "",
        deadline: float = DEADLINE,
        **others: Any,
    ) -> None:
        # fsspec itself would keep whatever it is given, and nobody would hear of it.
        if unknown := sorted(others.keys() - _OF_FSSPEC):
            raise TypeError(
                f"dicom:// has no option {unknown[0]}: it has those of dicomfs.open"
            )
        super().__init__(**others)
        if not fo:
            raise ValueError("fo= has to say which medium, or a URL behind ::")
        # Kept, as one that nobody has any more closes its files.
        self._below = None
        medium: Given = os.fspath(fo)
        if target_protocol is not None:
            self._below = fsspec.filesystem(target_protocol, **(target_options or {}))
            medium = _medium(self._below, str(medium), target_protocol)
        self.disc: Disc = open_disc(
            medium,
            scan=scan,
            index_only=index_only,
            extras=extras,
            passwords=passwords,
            charset=charset,
            deadline=deadline,
        )

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        stripped = str(super()._strip_protocol(path)).strip("/")
        return f"/{stripped}" if stripped else ""

    def _at(self, path: str) -> Folder | File:
        try:
            return self.disc[self._strip_protocol(path).lstrip("/")]
        except KeyError as error:
            raise FileNotFoundError(
                errno.ENOENT, os.strerror(errno.ENOENT), path
            ) from error

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Info] | list[str]:
        """Return what is in the folder *path*, or that file."""
        found = self._at(path)
        entries = [*found] if isinstance(found, Folder) else [found]
        infos = [_info(each) for each in entries]
        return infos if detail else [info["name"] for info in infos]

    def info(self, path: str, **_: Any) -> Info:
        """Return what is told of *path*, with the ``attributes`` that records have."""
        found = self._at(path)
        return {**_info(found), "attributes": dict(found.attributes)}

    def modified(self, path: str) -> datetime.datetime:
        """Return the time that a mount shows."""
        return self._at(path).modified

    def _open(self, path: str, mode: str = "rb", **_: Any) -> io.BufferedReader:
        if mode != "rb":
            _refuse()
        found = self._at(path)
        if isinstance(found, Folder):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return _Reader(found.open(), found.size)

    def touch(self, path: str, truncate: bool = True, **_: Any) -> None:  # noqa: ARG002 - as fsspec has it
        """Raise OSError: a medium is never changed."""
        _refuse()

    def pipe_file(self, path: str, value: bytes, *_: Any, **__: Any) -> None:  # noqa: ARG002 - as fsspec has it
        """Raise OSError: a medium is never changed."""
        _refuse()

    def put_file(self, lpath: str, rpath: str, *_: Any, **__: Any) -> None:  # noqa: ARG002 - as fsspec has it
        """Raise OSError: a medium is never changed."""
        _refuse()

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> NoReturn:  # noqa: ARG002 - as fsspec has it
        """Raise OSError: a medium is never changed."""
        _refuse()

    def makedirs(self, path: str, exist_ok: bool = False) -> NoReturn:  # noqa: ARG002 - as fsspec has it
        """Raise OSError: a medium is never changed."""
        _refuse()

    def rmdir(self, path: str) -> NoReturn:  # noqa: ARG002 - as fsspec has it
        """Raise OSError: a medium is never changed."""
        _refuse()

    def _rm(self, path: str) -> NoReturn:  # noqa: ARG002 - as fsspec has it
        _refuse()

    def cp_file(self, path1: str, path2: str, **_: Any) -> NoReturn:  # noqa: ARG002 - as fsspec has it
        """Raise OSError: a medium is never changed."""
        _refuse()


class _Reader(io.BufferedReader):
    """A file, read in blocks; fsspec wants its *size*, too."""

    def __init__(self, raw: Stream, size: int) -> None:
        super().__init__(raw, _BLOCK)
        self.size = size


def _refuse() -> NoReturn:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def _info(entry: Folder | File) -> Info:
    known: Info = {"name": f"/{entry.path}", "mtime": entry.modified, "uid": entry.uid}
    if isinstance(entry, Folder):
        return {**known, "type": "directory", "size": 0, "kind": entry.kind}
    error = entry.error or None
    return {**known, "type": "file", "size": entry.size, "error": error}


# -- media on other file systems -------------------------------------------------------


def _medium(files: Any, path: str, protocol: str) -> Given:
    """Return the medium at *path* of the file system *files*, of that *protocol*."""
    if isinstance(files, LocalFileSystem):
        return str(files._strip_protocol(path))
    if files.isdir(path):
        return OpenedMedium(f"{protocol}://{path}", FileSystemFolder(files, path))
    return OpenedStream(files.open(path, "rb"), owned=True)


class FileSystemFolder(Archive[RemoteEntry]):
    """A folder of another file system of fsspec, as a medium."""

    def __init__(self, files: Any, path: str) -> None:
        super().__init__(BytesSource(b""))
        self._files = files
        self._path = str(files._strip_protocol(path)).rstrip("/")

    def _path_of(self, place: Iterable[bytes]) -> str:
        return "/".join([self._path, *map(os.fsdecode, place)])

    def read_folder(self, folder: Place) -> Mapping[bytes, RemoteEntry]:
        """Ask for what is in *folder*."""
        infos = self._files.ls(self._path_of(folder), detail=True)
        return {entry.name.rpartition(b"/")[2]: entry for entry in _entries(infos)}

    def open_entry(self, entry: RemoteEntry) -> Source:
        """Open the file; raises OSError."""
        stream = self._files.open(os.fsdecode(entry.name), "rb")
        source = StreamSource(stream, owned=True)
        source.status = entry.status
        return source


def _entries(infos: Iterable[Mapping[str, Any]]) -> Iterator[RemoteEntry]:
    for info in infos:
        found = status_of(info)
        if found is not None:
            yield RemoteEntry(os.fsencode(str(info["name"]).rstrip("/")), found)
