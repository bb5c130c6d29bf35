"""The sources that a program gives: paths, URLs, and files that it has open."""

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

from dicomfs.errors import Failure, Problem
from dicomfs.media.medium import Medium
from dicomfs.media.opening import (
    Bytes,
    Files,
    OpenedSource,
    Unopened,
    begins_as_dicom,
    open_source,
)
from dicomfs.source.source import Source, Status


class Kept:
    """A source that can be closed in the end, whatever became of it."""

    def __init__(self, opened: OpenedSource) -> None:
        self._opened = opened
        self._close = opened.leave

    @property
    def name(self) -> str:
        """What people call it."""
        return self._opened.name

    @property
    def descriptors(self) -> Sequence[int]:
        """The descriptors by which it is read."""
        return self._opened.descriptors

    def open(self) -> Files | Bytes:
        """Return what it has; raises Failure."""
        opened = self._opened.open()
        what = opened.medium if isinstance(opened, Files) else opened.source
        self._close = what.close
        return opened

    def leave(self) -> None:
        """Close it."""
        self._close()


class OpenedStream(NamedTuple):
    """A seekable binary file of the program, which stays the program's unless *owned*."""

    stream: BinaryIO
    owned: bool = False

    @property
    def name(self) -> str:
        """What people call it."""
        return str(getattr(self.stream, "name", "a file"))

    @property
    def descriptors(self) -> Sequence[int]:
        """The descriptors by which it is read: its own, if it has any."""
        return ()

    def open(self) -> Bytes:
        """Return its bytes; raises Failure."""
        return Bytes(StreamSource(self.stream, owned=self.owned))

    def leave(self) -> None:
        """Close it if it is ours."""
        if self.owned:
            self.stream.close()


class OpenedMedium(NamedTuple):
    """A *medium* that is one already, by the *name* that people call it."""

    name: str
    medium: Medium

    @property
    def descriptors(self) -> Sequence[int]:
        """The descriptors by which it is read: its own, if it has any."""
        return ()

    def open(self) -> Files:
        """Return it."""
        return Files(self.medium)

    def leave(self) -> None:
        """Close it."""
        self.medium.close()


Given: TypeAlias = str | os.PathLike[str] | BinaryIO | OpenedStream | OpenedMedium


class StreamSource(Source):
    """The bytes of a seekable binary file, read by one thread at a time."""

    in_turn = True

    def __init__(self, stream: BinaryIO, *, owned: bool = False) -> None:
        self._stream = stream
        self._owned = owned
        self._lock = threading.Lock()
        self.size = stream.seek(0, os.SEEK_END)
        self.status = Status(self.size, 0)

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*, fewer only where the file ends."""
        size = min(size, self.size - offset)
        with self._lock:
            try:
                self._stream.seek(offset)
                return b"".join(self._pieces(size))
            except ValueError as error:  # it was closed
                raise OSError(errno.EBADF, str(error)) from error

    def _pieces(self, size: int) -> Iterator[bytes]:
        while size > 0:
            piece = self._stream.read(size)
            if not piece:
                raise OSError(errno.EIO, "the file is shorter than it was")
            size -= len(piece)
            yield piece

    def close(self) -> None:
        """Close the file if it is ours."""
        if self._owned:
            self._stream.close()


def open_given(given: Sequence[Given], deadline: float) -> list[Kept]:
    """Open all that is *given*; one of several that cannot be costs only itself.

    Servers of URLs have to answer within *deadline* seconds. Raises Failure where a path
    leads nowhere, for the only source, and for URLs that are not understood.
    """
    from dicomfs.remote.urls import is_url  # noqa: PLC0415 - stays light without URLs

    urls = [each for each in given if isinstance(each, str) and is_url(each)]
    remote: Iterator[OpenedSource] = iter(())
    if urls:
        from dicomfs.remote.opening import open_urls_inside  # noqa: PLC0415 - as above

        remote = iter(open_urls_inside(urls, deadline))
    is_alone = len(given) == 1
    opened: list[Kept] = []
    try:
        for each in given:
            if isinstance(each, str) and is_url(each):
                opened.append(Kept(next(remote)))
            elif isinstance(each, str | os.PathLike):
                opened.append(Kept(_of_path(Path(each), is_alone=is_alone)))
            elif isinstance(each, OpenedStream | OpenedMedium):
                opened.append(Kept(each))
            else:
                opened.append(Kept(OpenedStream(each)))
    except BaseException:
        for kept in opened:
            kept.leave()
        raise
    return opened


def _of_path(path: Path, *, is_alone: bool) -> OpenedSource:
    try:
        return open_source(path, begins_as_dicom)
    except Failure as failure:
        if is_alone or failure.problem is Problem.SOURCE_MISSING:
            raise
        return Unopened(str(path), failure)
