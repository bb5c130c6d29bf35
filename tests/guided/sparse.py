"""Images of discs as inputs: only the sectors that have something in them.

    place    two bytes: the sector
    length   two bytes, of what follows
    bytes    what the sector begins with; the rest of it is zeros

Nearly all of an image is zeros, and where something lies in it is what breaks readers.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final, NamedTuple

from dicomfs.source.source import SECTOR, Source, Status

# Whatever an input says, no image is longer.
MOST_SECTORS: Final = 1024
_HEAD: Final = struct.Struct("<HH")


class Run(NamedTuple):
    """Bytes from the beginning of a sector on."""

    sector: int
    data: bytes


def runs_of(data: bytes) -> Iterator[Run]:
    """Yield what an input says; the last may be cut off."""
    at = 0
    while at + _HEAD.size <= len(data):
        sector, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        yield Run(sector % MOST_SECTORS, data[at : at + length])
        at += length


def packed(runs: Iterator[Run] | list[Run]) -> bytes:
    """Return *runs* as an input."""
    return b"".join(_HEAD.pack(run.sector, len(run.data)) + run.data for run in runs)


def shortened(image: bytes, most: int = SECTOR) -> bytes:
    """Return an image as an input, with at most so much of each sector."""
    runs = []
    for sector in range(min(len(image) // SECTOR, MOST_SECTORS)):
        whole = image[sector * SECTOR : (sector + 1) * SECTOR].rstrip(b"\0")
        if whole:
            runs.append(Run(sector, whole[:most]))
    return packed(runs)


class SparseSource(Source):
    """The image that an input stands for; counts what is read of it."""

    def __init__(self, data: bytes) -> None:
        parts: dict[int, bytes] = {}
        for run in runs_of(data):
            if run.data:
                parts[run.sector * SECTOR] = run.data
        self._starts = sorted(parts)
        self._parts = parts
        ends = (start + len(part) for start, part in parts.items())
        # A disc consists of whole sectors.
        self.size = -(-max(ends, default=0) // SECTOR) * SECTOR
        self.status = Status(self.size, 0)
        self.bytes_read = 0

    @property
    def content(self) -> bytes:
        """All that is not zeros."""
        sectors = (part + bytes(-len(part) % SECTOR) for part in self._parts.values())
        return b"".join(sectors)

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*, fewer only at the end."""
        size = max(min(size, self.size - offset), 0)
        self.bytes_read += size
        found = bytearray(size)
        # A long run may reach over the beginnings of those behind it.
        first = bisect_right(self._starts, offset - 1) - 32
        for start in self._starts[max(first, 0) :]:
            if start >= offset + size:
                break
            part = self._parts[start]
            skipped = max(offset - start, 0)
            part = part[skipped : skipped + size - max(start - offset, 0)]
            at = max(start - offset, 0)
            found[at : at + len(part)] = part
        return bytes(found)

    def read_cached(self, offset: int, buffer: memoryview) -> int | None:
        """Fill *buffer* with the bytes at *offset*, and return how many there are."""
        data = self.read_at(offset, len(buffer))
        buffer[: len(data)] = data
        return len(data)
