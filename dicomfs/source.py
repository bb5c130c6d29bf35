"""Bytes at offsets: what every reader of dicomfs stands on.

All access is positional, so one source serves many threads. The medium is read with
``pread`` and never mapped: a mapping of a medium that is pulled kills the process with
SIGBUS.
"""

import errno
import os
from typing import Final, Protocol

BLOCK: Final = 64 * 1024


class Source(Protocol):
    """Something that can be read at an offset."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        ...

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*, fewer only where the source ends.

        Raises OSError where the medium cannot be read.
        """
        ...

    def close(self) -> None:
        """Give up what the source holds."""
        ...


class FileSource:
    """An open file, by its descriptor, which it owns."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        status = os.fstat(fd)
        self.size: int = status.st_size
        self.mtime_ns: int = status.st_mtime_ns
        self._tells = True

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*, fewer only where the file ends.

        A short ``pread`` is continued: the kernel of a mount takes a short answer for
        the end of the file, and half an image would silently be gone. A file that ends
        before the size it was opened with raises OSError (EIO).
        """
        size = min(size, self.size - offset)
        if size <= 0:
            return b""
        data = os.pread(self.fd, size, offset)
        if len(data) == size:
            return data
        return self._read_on(data, offset, size)

    def _read_on(self, data: bytes, offset: int, size: int) -> bytes:
        while len(data) < size:
            more = os.pread(self.fd, size - len(data), offset + len(data))
            if not more:
                raise OSError(errno.EIO, "the file ended before its size")
            data += more
        return data

    def read_cached(self, offset: int, buffer: memoryview) -> int | None:
        """Fill *buffer* with what ``read_at`` would give, if memory holds it all.

        Return how many bytes it is, or None where that takes waiting for the medium.
        Many file systems (erofs, tmpfs, FUSE, and most likely isofs, udf and vfat)
        cannot tell: they always give None, and are not asked again.
        """
        size = min(len(buffer), self.size - offset)
        if size <= 0:
            return 0
        if not self._tells:
            return None
        try:
            count = os.preadv(self.fd, [buffer[:size]], offset, os.RWF_NOWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            self._tells = error.errno != errno.EOPNOTSUPP
            return None
        return count if count == size else None

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.fd)


class BytesSource:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.data)

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*, fewer only at the end."""
        return self.data[offset : offset + size]

    def close(self) -> None:
        """Do nothing: memory needs no closing."""


class Window:
    """A source seen through one block of it that is kept in memory.

    Records are small and mostly lie next to each other: one read of the medium serves
    hundreds of them. A window belongs to one thread; make one for each walk.
    """

    def __init__(self, source: Source, block: int = BLOCK) -> None:
        self.source = source
        self.size = source.size
        self.start = 0
        self.data = b""
        self._block = block

    def load(self, offset: int) -> None:
        """Move the window so that it begins at *offset*."""
        self.data = self.source.read_at(offset, self._block)
        self.start = offset

    def read(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*, fewer only where the source ends."""
        at = offset - self.start
        if at >= 0 and at + size <= len(self.data):
            return self.data[at : at + size]
        if size > self._block:
            return self.source.read_at(offset, size)
        self.load(offset)
        return self.data[:size]
