"""Which bytes of a source its medium cannot give, sector by sector.

Programs that rescue a disc write zeros for the sectors that it does not give.
"""

import errno
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from dicomfs.source.source import SECTOR, Source, View

# A piece that cannot be read is read anew in pieces of the next size.
_PIECES: Final = (1024 * 1024, 64 * 1024, SECTOR)
# The medium is gone, rather than damaged, if so many sectors are unreadable.
_MOST: Final = 4096

# A range of bytes: its first, and the one behind its last.
Range = tuple[int, int]


def unreadable(source: Source) -> list[Range]:
    """Return the ranges of *source* that cannot be read, in whole sectors, in order.

    Raises OSError if there are too many of them: then the medium seems to be gone.
    """
    found: list[Range] = []
    for count, (first, end) in enumerate(_failing(source, 0, source.size, 0), 1):
        if count > _MOST:
            raise OSError(errno.EIO, "the DICOMDIR cannot be read")
        found.append((first, end))
    return joined(found)


def zeroed(source: Source, offsets: Iterable[int]) -> list[Range]:
    """Return the sectors of zeros at *offsets* of *source*, and those around them."""
    found: set[int] = set()
    waiting = list({offset // SECTOR * SECTOR for offset in offsets})
    while waiting:
        at = waiting.pop()
        if at not in found and is_zero(source, at):
            found.add(at)
            waiting += [at - SECTOR, at + SECTOR]
    return joined((at, min(at + SECTOR, source.size)) for at in found)


def is_zero(source: Source, sector: int) -> bool:
    """Whether a whole *sector* of *source* is there, and nothing but zeros."""
    try:
        data = source.read_at(sector, SECTOR) if sector >= 0 else b""
    except OSError:
        return False
    return bool(data) and not any(data)


class Holed(View):
    """A source of which some *ranges* cannot be read, as nothing of use is there."""

    def __init__(self, source: Source, ranges: Sequence[Range]) -> None:
        super().__init__(source)
        self._ranges = ranges

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the bytes; OSError (EIO) if one of them is left out."""
        if meets(self._ranges, offset, min(offset + size, self.size)):
            raise OSError(errno.EIO, "zeros stand for what could not be read")
        return super().read_at(offset, size)

    def read_cached(self, offset: int, buffer: memoryview) -> int | None:
        """Fill *buffer* if memory holds it all and nothing is left out."""
        if meets(self._ranges, offset, min(offset + len(buffer), self.size)):
            return None
        return super().read_cached(offset, buffer)


def joined(ranges: Iterable[Range]) -> list[Range]:
    """Return *ranges* in order, those that touch each other as one."""
    found: list[Range] = []
    for first, end in sorted(ranges):
        if found and found[-1][1] >= first:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((first, end))
    return found


def _failing(source: Source, first: int, end: int, depth: int) -> Iterator[Range]:
    """Yield the sectors from *first* to *end* that cannot be read."""
    piece = _PIECES[depth]
    for start in range(first, end, piece):
        stop = min(start + piece, end)
        try:
            source.read_at(start, stop - start)
        except OSError:
            if piece == SECTOR:
                yield start, stop
            else:
                yield from _failing(source, start, stop, depth + 1)


def meets(ranges: Sequence[Range], first: int, end: int) -> bool:
    """Whether a byte from *first* on and before *end* is in one of *ranges*."""
    return any(first < stop and start < end for start, stop in ranges)
