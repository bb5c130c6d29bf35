"""Remote media: an object behind a URL as a source of bytes, and a folder of objects.

Their bytes come from the fetcher (see ``fetcher.py``), as this process has no network,
through blocks that are kept in memory. All bytes of an object are of the version that
it had when it was found: once it is changed, what was not read before cannot be read any
more (OSError, EIO). A block that failed is asked for anew by the next who wants it, so
that reads recover when the network does.
"""

import errno
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Final, NamedTuple, Protocol

from dicomfs.media.archive import Archive
from dicomfs.media.medium import Place
from dicomfs.remote.blocks import Blocks
from dicomfs.remote.wire import (
    MOST_NAME,
    ProtocolError,
    RemoteStatus,
    Request,
    UrlStatus,
    Verb,
    decode_listing,
)
from dicomfs.source.pulse import beat
from dicomfs.source.source import BytesSource, Source, Status

# The share of a request's deadline in which all is fetched for it; the rest is for giving
# the answer, or the error, back. The fetcher's share of that: it can say what failed.
_SHARE: Final = 0.95
_FETCHERS_SHARE: Final = 0.95
# Fetched at once of a read that is longer.
_SLAB: Final = 8 * 1024 * 1024


class Asked(Protocol):
    """Whoever answers requests: the fetcher at the end of a connection, or a thread."""

    @property
    def looked(self) -> Sequence[UrlStatus]:
        """What each URL leads to."""
        ...

    @property
    def deadline(self) -> float:
        """How many seconds a request may take."""
        ...

    @property
    def descriptors(self) -> Sequence[int]:
        """What of this process belongs to it."""
        ...

    def ask(self, request: Request) -> Future[bytes]:
        """Return what the answer to *request* will be, or OSError."""
        ...

    def leave(self) -> None:
        """Close what this process has of it; others have it still."""
        ...


class Remotes:
    """What all remote media of a process share: who is asked, and blocks in memory."""

    def __init__(self, connection: Asked, blocks: Blocks | None = None) -> None:
        self.connection = connection
        self.blocks = blocks or Blocks()
        self.seconds = connection.deadline * _SHARE

    def source(self, which: int) -> "RemoteSource":
        """Return the object that URL *which* leads to; raises OSError."""
        return RemoteSource(self, which, b"", self._found(which, is_folder=False))

    def folder(self, which: int) -> "RemoteFolder":
        """Return the folder that URL *which* leads to; raises OSError."""
        self._found(which, is_folder=True)
        return RemoteFolder(self, which)

    def _found(self, which: int, *, is_folder: bool) -> RemoteStatus:
        found = self.connection.looked[which].found
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if found.is_folder != is_folder:
            wrong = errno.EISDIR if found.is_folder else errno.ENOTDIR
            raise OSError(wrong, os.strerror(wrong))
        return found


class RemoteSource(Source):
    """The object *name* below URL *which*, as it was *found*."""

    def __init__(
        self, remotes: Remotes, which: int, name: bytes, found: RemoteStatus
    ) -> None:
        self.size = found.size
        self.status = Status(found.size, found.mtime_ns)
        self._remotes = remotes
        self._which = which
        self._name = name
        self._tag = found.tag.encode()
        self.key = which, name, found.tag

    def fetch(self, offset: int, size: int, seconds: float) -> Future[bytes]:
        """Ask for just the *size* bytes at *offset*, which come or fail in that time."""
        milliseconds = _milliseconds(seconds)
        place = offset, size, milliseconds
        request = Request(Verb.READ, self._which, self._name, self._tag, *place)
        return self._remotes.connection.ask(request)

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*, fewer only where the object ends."""
        size = min(size, self.size - offset)
        if size <= 0:
            return b""
        return b"".join(
            self._slab(at, min(_SLAB, offset + size - at))
            for at in range(offset, offset + size, _SLAB)
        )

    def _slab(self, offset: int, size: int) -> bytes:
        remotes = self._remotes
        beat()
        try:
            return remotes.blocks.read(self, offset, size, remotes.seconds)
        except TimeoutError as error:
            raise OSError(errno.EIO, "the server did not answer in time") from error

    def read_cached(self, offset: int, buffer: memoryview) -> int | None:
        """Fill *buffer* with what ``read_at`` would give, if memory holds it all."""
        size = min(len(buffer), self.size - offset)
        if size <= 0:
            return 0
        remotes = self._remotes
        part = buffer[:size]
        if remotes.blocks.read_cached(self, offset, part, remotes.seconds):
            return size
        return None


class RemoteEntry(NamedTuple):
    """An object, or a folder, below a URL: its *name* from there, and what it is."""

    name: bytes
    found: RemoteStatus

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.found.is_folder

    @property
    def is_file(self) -> bool:
        """Whether it is an object."""
        return not self.found.is_folder

    @property
    def status(self) -> Status:
        """Its size and time."""
        return Status(self.found.size, self.found.mtime_ns)


class RemoteFolder(Archive[RemoteEntry]):
    """The folder that URL *which* leads to.

    Its files are of the versions that they had when their folder was listed.
    """

    def __init__(self, remotes: Remotes, which: int) -> None:
        super().__init__(BytesSource(b""))
        self._remotes = remotes
        self._which = which

    def read_folder(self, folder: Place) -> Mapping[bytes, RemoteEntry]:
        """Ask for what is in *folder*."""
        path = b"/".join(folder)
        if len(path) > MOST_NAME or any(b"/" in name for name in folder):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        beat()
        seconds = self._remotes.seconds
        request = Request(
            Verb.LIST, self._which, path, milliseconds=_milliseconds(seconds)
        )
        answer = self._remotes.connection.ask(request)
        try:
            listing = decode_listing(answer.result(seconds))
            named = {os.fsencode(name): found for name, found in listing.items()}
        except (TimeoutError, ProtocolError, UnicodeEncodeError) as error:
            raise OSError(errno.EIO, "the server did not list the folder") from error
        return {
            name: RemoteEntry(b"/".join((*folder, name)), found)
            for name, found in named.items()
        }

    def open_entry(self, entry: RemoteEntry) -> RemoteSource:
        """Return the object, which takes no asking."""
        return RemoteSource(self._remotes, self._which, entry.name, entry.found)


def _milliseconds(seconds: float) -> int:
    """Return what the fetcher gets of the time that somebody waits for it."""
    return max(int(seconds * _FETCHERS_SHARE * 1000), 1)
