"""Reading files to their last byte, to find out which of them a medium cannot give.

A drive takes seconds for each sector that it fails to read, and wears: nothing is asked
for more than twice, and a file in which nothing can be read is given up early.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from dicomfs.errors import DamagedError
from dicomfs.source.pulse import beat
from dicomfs.source.source import PAGE, Source, Wrapper

BLOCK: Final = 64 * 1024
# In a row: two blocks without one good page. More would take a drive minutes.
_MOST_FAILURES: Final = 2 * (1 + BLOCK // PAGE)
# The medium itself is gone: not one more file of it is worth a try.
GONE: Final = frozenset(
    {
        errno.ENODEV,
        errno.ENOMEDIUM,
        errno.ENOTCONN,
        errno.ESHUTDOWN,
    }
)

Range = tuple[int, int]


@dataclass(slots=True)
class Readability:
    """Where a file of *size* bytes is unreadable; *untried* is where we gave up."""

    size: int
    unreadable: list[Range] = field(default_factory=list)
    untried: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether every byte could be read."""
        return not self.unreadable and not self.untried

    def overlaps(self, start: int, end: int) -> bool:
        """Whether anything from *start* to *end* is not to be read."""
        if self.untried and end > self.untried:
            return True
        return any(first < end and start < last for first, last in self.unreadable)

    def add(self, start: int, end: int) -> None:
        """Add an unreadable range behind all others."""
        if self.unreadable and self.unreadable[-1][1] == start:
            start = self.unreadable.pop()[0]
        self.unreadable.append((start, end))

    def __str__(self) -> str:
        told = [f"bytes {start} to {end - 1}" for start, end in self.unreadable]
        if self.untried:
            told.append(f"bytes {self.untried} to {self.size - 1} were not tried")
        return ", ".join(told)


def read_through(
    source: Source, tell: Callable[[int], None] = lambda _: None
) -> Readability:
    """Read *source* to its end and return where it is unreadable.

    *tell* hears of each block how many bytes it has. Raises OSError if the medium is
    gone, DamagedError if the file is not what its archive says.
    """
    return _Pass(source, tell).readability


def readable(
    source: Source, tell: Callable[[int], None] = lambda _: None
) -> "ReadableSource":
    """Read *source* to its end, and return what is readable of it; see ``read_through``."""
    found = _Pass(source, tell)
    return ReadableSource(source, found.readability, found.beginning)


class _Pass:
    def __init__(self, source: Source, tell: Callable[[int], None]) -> None:
        self._source = source
        self._failures = 0
        # The first block, if it could be read: most of what is looked at lies there.
        self.beginning = b""
        self.readability = Readability(source.size)
        for start in range(0, source.size, BLOCK):
            if self._failures >= _MOST_FAILURES:
                self.readability.untried = start
                return
            beat()
            end = min(start + BLOCK, source.size)
            self._block(start, end)
            tell(end - start)

    def _block(self, start: int, end: int) -> None:
        if self._is_readable(start, end):
            return
        # The kernel reads pages: of a bad sector it loses the whole one.
        for page in range(start, end, PAGE):
            after = min(page + PAGE, end)
            if not self._is_readable(page, after):
                self.readability.add(page, after)

    def _is_readable(self, start: int, end: int) -> bool:
        try:
            data = self._source.read_at(start, end - start)
        except OSError as error:
            if error.errno in GONE or isinstance(error, DamagedError):
                raise
            self._failures += 1
            return False
        self._failures = 0
        if start == 0:
            self.beginning = data
        return len(data) == end - start


class ReadableSource(Wrapper):
    """A source that asks the medium only for what is known to be readable.

    What it has in its *beginning* it asks nobody for.
    """

    def __init__(
        self, source: Source, readability: Readability, beginning: bytes = b""
    ) -> None:
        super().__init__(source)
        self.readability = readability
        self._beginning = beginning

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*; raises OSError where some are bad."""
        if min(offset + size, self.size) <= len(self._beginning):
            return self._beginning[offset : offset + size]
        if self._is_bad(offset, size):
            raise OSError(errno.EIO, "an unreadable range")
        return super().read_at(offset, size)

    def read_cached(self, offset: int, buffer: memoryview) -> int | None:
        """Fill *buffer* with what ``read_at`` would give, if memory holds it all."""
        if self._is_bad(offset, len(buffer)):
            return None
        return super().read_cached(offset, buffer)

    def _is_bad(self, offset: int, size: int) -> bool:
        return self.readability.overlaps(offset, min(offset + size, self.size))


def first_difference(one: Source, other: Source) -> int | None:
    """Return the first byte in which two sources differ; None if they are the same."""
    for start in range(0, max(one.size, other.size), BLOCK):
        mine, theirs = one.read_at(start, BLOCK), other.read_at(start, BLOCK)
        if mine != theirs:
            pairs = zip(mine, theirs, strict=False)
            same = (at for at, (a, b) in enumerate(pairs) if a != b)
            return start + next(same, min(len(mine), len(theirs)))
    return None
