"""A file of a medium as Python reads files."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from dicomfs.source.source import Source

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# What is read at once of a file, however little somebody wants: a header is read in many
# small steps.
_BLOCK: Final = 64 * 1024


def _nothing() -> None:
    pass


class Stream(io.RawIOBase):
    """A raw binary file over *source*, which it owns; called *name*, for messages.

    Whoever reads it past bytes that the medium cannot give gets OSError, never other
    bytes. It belongs to one thread at a time. *check* raises ValueError once the disc is
    closed that it is of.
    """

    def __init__(
        self, source: Source, name: str, check: Callable[[], None] = _nothing
    ) -> None:
        self.name = name
        self._check_disc = check
        self._source = source
        self._at = 0
        self._block = b""
        self._begin = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return where the next byte is read."""
        self._check()
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Read next at *offset* from the beginning, from here or from the end."""
        self._check()
        starts = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}
        if whence not in starts:
            raise ValueError(f"whence is {whence}, and not 0, 1 or 2")
        at = starts[whence] + offset
        if at < 0:
            raise ValueError(f"offset {at} lies before the beginning")
        self._at = at
        return at

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill *buffer*; return how many bytes that are, fewer only at the end."""
        self._check()
        with memoryview(buffer) as view, view.cast("B") as part:
            data = self._read(len(part))
            part[: len(data)] = data
        self._at += len(data)
        return len(data)

    def readall(self) -> bytes:
        """Return all bytes from here on."""
        self._check()
        data = self._read(max(self._source.size - self._at, 0))
        self._at += len(data)
        return data

    def _read(self, size: int) -> bytes:
        size = min(size, self._source.size - self._at)
        if size <= 0:
            return b""
        if size >= _BLOCK:
            return self._source.read_at(self._at, size)
        start = self._at - self._begin
        if start < 0 or start + size > len(self._block):
            self._load(size)
            start = 0
        return self._block[start : start + size]

    def _load(self, size: int) -> None:
        """Have at least *size* bytes from here on in memory; a block, if that is whole."""
        try:
            block = self._source.read_at(self._at, _BLOCK)
        except OSError:
            block = self._source.read_at(self._at, size)
        self._block, self._begin = block, self._at

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._source.close()
            self._block = b""
        super().close()

    def _check(self) -> None:
        if self.closed:
            raise ValueError("the file is closed")
        self._check_disc()
