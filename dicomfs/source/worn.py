"""Which bytes of a source its medium cannot give, sector by sector."""

import errno
from collections.abc import Iterator, Sequence
from typing import Final

from dicomfs.source.source import SECTOR, Source

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
        if found and found[-1][1] == first:
            found[-1] = (found[-1][0], end)
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
