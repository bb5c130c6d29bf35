"""Images of whole CD sectors (``.bin``, ``.img``): the 2048 bytes of each that count.

A sector on the disc is 2352 bytes: a pattern, its address, the data, and codes that
mend it (ECMA-130 14). Some programs copy them whole, and 96 bytes of subchannel behind.
"""

import errno
from contextlib import suppress
from typing import Final

from dicomfs.source.source import SECTOR, Source, Status, Wrapper

# What each sector begins with (ECMA-130 14); the address and the mode follow.
_PATTERN: Final = b"\0" + b"\xff" * 10 + b"\0"
_MODE: Final = 15
_HEAD: Final = 16
_LENGTHS: Final = (2352, 2448)
# Where the data begins: in mode 2 a subheader comes before it (CD-ROM XA, form 1).
_SKIPPED: Final = {1: 16, 2: 24}


def unpacked(source: Source) -> Source:
    """Return the data in the sectors of *source*, itself if it has none but data."""
    with suppress(OSError):
        head = source.read_at(0, _HEAD)
        skipped = _SKIPPED.get(head[_MODE]) if len(head) == _HEAD else None
        if skipped and head.startswith(_PATTERN):
            for length in _LENGTHS:
                if begins_sector(source, length):
                    return SectorSource(source, length, skipped)
    return source


def begins_sector(source: Source, offset: int) -> bool:
    """Whether a whole sector begins at *offset*; raises OSError."""
    return source.read_at(offset, len(_PATTERN)) == _PATTERN


class SectorSource(Wrapper):
    """The data in sectors of *length* bytes, *skipped* bytes into each.

    Bytes behind the last whole sector count for nothing.
    """

    def __init__(self, source: Source, length: int, skipped: int) -> None:
        super().__init__(source)
        self._length = length
        self._skipped = skipped
        self.size = source.size // length * SECTOR
        self.status = Status(
            self.size, source.status.mtime_ns, source.status.changed_ns
        )

    def _around(self, offset: int, size: int) -> tuple[int, int]:
        """Return offset and size of the whole sectors that hold these bytes."""
        first, last = offset // SECTOR, (offset + size - 1) // SECTOR
        return first * self._length, (last - first + 1) * self._length

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*, fewer only where the source ends."""
        size = min(size, self.size - offset)
        if size <= 0:
            return b""
        begin, length = self._around(offset, size)
        whole = self._source.read_at(begin, length)
        if len(whole) < length:
            raise OSError(errno.EIO, "the image ends within a sector")
        return self._cut(whole, offset, size)

    def read_cached(self, offset: int, buffer: memoryview) -> int | None:
        """Fill *buffer* with what ``read_at`` would give, if memory holds it all."""
        size = min(len(buffer), self.size - offset)
        if size <= 0:
            return 0
        begin, length = self._around(offset, size)
        whole = bytearray(length)
        if self._source.read_cached(begin, memoryview(whole)) != length:
            return None
        buffer[:size] = self._cut(whole, offset, size)
        return size

    def _cut(self, whole: bytes | bytearray, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset* out of the *whole* sectors around them."""
        data = b"".join(
            whole[at : at + SECTOR]
            for at in range(self._skipped, len(whole), self._length)
        )
        return data[offset % SECTOR : offset % SECTOR + size]

    def hangs(self, offset: int, size: int) -> None:
        """Let reads of any of the *size* bytes at *offset* fail at once."""
        self._source.hangs(*self._around(offset, size))

    def hangs_no_more(self, offset: int, size: int) -> None:
        """Let those bytes be read again."""
        self._source.hangs_no_more(*self._around(offset, size))
