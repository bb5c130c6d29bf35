"""The seam between bytes and those who read them, and what stands on it alone.

All access is positional, so one source serves many threads.
"""

import errno
import os
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from dicomfs.errors import CutOffError
from dicomfs.source.digests import Digests

# The kernel keeps, and so loses, the files of a medium in pages of this size.
PAGE: Final = 4096
# A disc loses, and so a drive may give, what it holds in sectors of this size.
SECTOR: Final = 2048

# What tells a file from all others: its device and inode number.
FileKey = tuple[int, int]


class Status(NamedTuple):
    """The length of a file in bytes, and its times in nanoseconds since 1970.

    *changed_ns* is when anything about it was changed last, which nobody can set back;
    0 where there is no such time.
    """

    size: int
    mtime_ns: int
    changed_ns: int = 0


class Source(ABC):
    """Something that can be read at an offset, from several threads.

    Its *size* in bytes and its *status* are those it had when it was opened.
    *is_prompt* says that closing it asks nobody: then the event loop may do it;
    *in_turn* that reads had better come one after the other: side by side they would
    send a drive back and forth; *is_stand_in* that it is read in place of another file,
    with whose bytes its own must not be mixed; *is_renewed* that something about it was
    changed since it was opened before, and what the kernel kept of it is better read anew.
    """

    size: int
    status: Status
    is_prompt: bool = True
    in_turn: bool = False
    is_stand_in: bool = False
    is_renewed: bool = False

    @abstractmethod
    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*, fewer only where the source ends.

        Raises OSError where the medium cannot be read.
        """

    def read_cached(self, offset: int, buffer: memoryview) -> int | None:  # noqa: ARG002 - for those who can
        """Fill *buffer* with what ``read_at`` would give, if memory holds it all.

        Return how many bytes it is, or None where that takes waiting for the medium.
        """
        return None

    def hangs(self, offset: int, size: int) -> None:  # noqa: B027 - not all can know
        """Let reads of any of the *size* bytes at *offset* fail at once.

        This is for one who gave up waiting for them; ``hangs_no_more`` takes it back.
        """

    def hangs_no_more(self, offset: int, size: int) -> None:  # noqa: B027 - as above
        """Let those bytes be read again."""

    def remember(self, digests: Digests) -> None:  # noqa: B027 - not all change
        """Note in *digests* what is read.

        Where only the time of the last change tells that something about the file is
        new, it is read on if all that was noted still reads the same.
        """

    def close(self) -> None:  # noqa: B027 - not all hold something
        """Give up what the source holds."""


class Wrapper(Source):
    """A source made of another one, *source*, which it owns.

    Everything is passed on. A wrapper that shows other bytes than *source* has says so
    in ``read_at`` and ``read_cached``, and where they lie in ``hangs`` and
    ``hangs_no_more``.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.size = source.size
        self.status = source.status
        self.is_prompt = source.is_prompt
        self.in_turn = source.in_turn
        self.is_stand_in = source.is_stand_in
        self.is_renewed = source.is_renewed

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*, fewer only where the source ends."""
        return self._source.read_at(offset, size)

    def read_cached(self, offset: int, buffer: memoryview) -> int | None:
        """Fill *buffer* with what ``read_at`` would give, if memory holds it all."""
        return self._source.read_cached(offset, buffer)

    def hangs(self, offset: int, size: int) -> None:
        """Let reads of any of the *size* bytes at *offset* fail at once."""
        self._source.hangs(offset, size)

    def hangs_no_more(self, offset: int, size: int) -> None:
        """Let those bytes be read again."""
        self._source.hangs_no_more(offset, size)

    def remember(self, digests: Digests) -> None:
        """Note in *digests* what is read."""
        self._source.remember(digests)

    def close(self) -> None:
        """Close the source."""
        self._source.close()


class View(Wrapper):
    """A wrapper of a source that others use, too: closing it leaves that open."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.is_prompt = True

    def remember(self, digests: Digests) -> None:
        """Do nothing: others read the source at other places."""

    def close(self) -> None:
        """Do nothing: others still read the source."""


class BytesSource(Source):
    """Bytes in memory."""

    def __init__(self, data: bytes, mtime_ns: int = 0) -> None:
        self.data = data
        self.size = len(data)
        self.status = Status(self.size, mtime_ns)

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*, fewer only at the end."""
        return self.data[offset : offset + size]

    def read_cached(self, offset: int, buffer: memoryview) -> int | None:
        """Fill *buffer* with the bytes at *offset*, and return how many there are."""
        data = self.data[offset : offset + len(buffer)]
        buffer[: len(data)] = data
        return len(data)


class Extent(NamedTuple):
    """A run of bytes in a source: its *offset* there, and its *size*."""

    offset: int
    size: int


def are_within(extents: Iterable[Extent], size: int) -> bool:
    """Whether all bytes of *extents* lie within a source of so many."""
    # Asked of each file of a disc: the loop takes half as long as ``all``.
    for offset, length in extents:  # noqa: SIM110
        if length and offset + length > size:
            return False
    return True


def clipped(extents: Iterable[Extent], size: int) -> list[Extent]:
    """Return *extents* up to the first byte that does not lie within *size* bytes."""
    found = []
    for offset, length in extents:
        found.append(Extent(offset, max(0, min(length, size - offset))))
        if length and offset + length > size:
            break
    return found


class ExtentSource(View):
    """A file that lies in *extents* of another source, one after the other.

    An extent that reaches beyond that source cannot be read there (OSError, EIO).
    """

    def __init__(
        self, source: Source, extents: Sequence[Extent], mtime_ns: int = 0
    ) -> None:
        super().__init__(source)
        self._extents = extents
        # Where in the file each extent begins, and at last where the file ends.
        self._begins = [0, *accumulate(extent.size for extent in extents)]
        self.size = self._begins[-1]
        self.status = Status(self.size, mtime_ns)

    def _runs(self, offset: int, size: int) -> list[Extent]:
        """Return where the *size* bytes at *offset* lie, all of them within the file."""
        runs = []
        number = bisect_right(self._begins, offset) - 1
        while size > 0:
            skipped = offset - self._begins[number]
            extent = self._extents[number]
            length = min(size, extent.size - skipped)
            if length > 0:
                runs.append(Extent(extent.offset + skipped, length))
            offset, size, number = offset + length, size - length, number + 1
        return runs

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*, fewer only where the file ends."""
        size = min(size, self.size - offset)
        runs = self._runs(offset, size)
        data = b"".join([self._source.read_at(*run) for run in runs])
        if len(data) < size:
            raise CutOffError
        return data

    def read_cached(self, offset: int, buffer: memoryview) -> int | None:
        """Fill *buffer* with what ``read_at`` would give, if memory holds it all."""
        size = min(len(buffer), self.size - offset)
        done = 0
        for run in self._runs(offset, size):
            part = buffer[done : done + run.size]
            if self._source.read_cached(run.offset, part) != run.size:
                return None
            done += run.size
        return done

    def hangs(self, offset: int, size: int) -> None:
        """Let reads of any of the *size* bytes at *offset* fail at once."""
        for run in self._runs(offset, min(size, self.size - offset)):
            self._source.hangs(*run)

    def hangs_no_more(self, offset: int, size: int) -> None:
        """Let those bytes be read again."""
        for run in self._runs(offset, min(size, self.size - offset)):
            self._source.hangs_no_more(*run)


class AtHand(View):
    """Another source, as far as memory holds it."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*; BlockingIOError if that takes waiting."""
        buffer = bytearray(max(min(size, self.size - offset), 0))
        count = self._source.read_cached(offset, memoryview(buffer))
        if count is None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return bytes(buffer[:count])
