"""Bytes at offsets: what every reader of dicomfs stands on.

All access is positional, so one source serves many threads. The medium is read with
``pread`` and never mapped: a mapping of a medium that is pulled kills the process with
SIGBUS.
"""

import errno
import hashlib
import os
import stat
import threading
import time
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

BLOCK: Final = 64 * 1024
# The kernel keeps, and so loses, the files of a medium in pages of this size.
PAGE: Final = 4096

# What begins at the start of a window can be told by this much: the header of an item
# and that of its first element, or the longest header of an element.
_LEAST: Final = 16
# Where an image is told from another one that was written over it, if neither size nor
# time do: the first descriptor of an ISO 9660 volume has its name and times (ECMA-119
# 6.7.1.1, 8.4). One of UDF alone has the same there as all others.
_DESCRIPTOR: Final = 16 * 2048
# How long the medium is not asked again for a page that it could not give.
_REST: Final = 60.0
_MOST_FAILURES: Final = 16_384

# What tells a file from all others: its device and inode number.
FileKey = tuple[int, int]


class Status(NamedTuple):
    """Of a file: its length in bytes, and its times in nanoseconds since 1970.

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
    send a drive back and forth.
    """

    size: int
    status: Status
    is_prompt: bool = True
    in_turn: bool = False

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

        For one who gave up waiting for them; ``hangs_no_more`` takes it back.
        """

    def hangs_no_more(self, offset: int, size: int) -> None:  # noqa: B027 - as above
        """Let those bytes be read again."""

    def close(self) -> None:  # noqa: B027 - not all hold something
        """Give up what the source holds."""


class Failures:
    """The pages of files that the medium could not give a moment ago.

    Each attempt at a bad sector may hold a drive up for a minute, and with it all
    other files; and a disc that is dying dies faster. So a page that failed rests for
    a minute: until then whoever asks for it gets the error from memory. Used by all
    threads. Of too many pages those that failed first are forgotten.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        most: int = _MOST_FAILURES,
    ) -> None:
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        # Until when each page rests, in the order in which they failed.
        self._until: dict[tuple[FileKey, int], float] = {}
        # What somebody waits for already, without hope: file, first and last page.
        self._hanging: list[tuple[FileKey, int, int]] = []

    def add(self, file: FileKey, offset: int) -> None:
        """Remember that the page at *offset* of *file* could not be read."""
        page = (file, offset // PAGE)
        with self._lock:
            self._until.pop(page, None)
            self._until[page] = self._clock() + _REST
            if len(self._until) > self._most:
                del self._until[next(iter(self._until))]

    def hold(self, file: FileKey, offset: int, size: int) -> None:
        """Remember that reading the *size* bytes at *offset* hangs, until ``let_go``."""
        with self._lock:
            self._hanging.append((file, *_pages(offset, size)))

    def let_go(self, file: FileKey, offset: int, size: int) -> None:
        """Forget that reading those bytes hung."""
        with self._lock:
            self._hanging.remove((file, *_pages(offset, size)))

    def check(self, file: FileKey, offset: int, size: int) -> None:
        """Raise OSError (EIO) if one of the *size* bytes at *offset* is not to be read."""
        if not self._until and not self._hanging:
            return
        first, last = _pages(offset, size)
        now = self._clock()
        with self._lock:
            is_bad = any(
                self._until.get((file, number), now) > now
                for number in range(first, last + 1)
            ) or any(
                which == file and begin <= last and first <= end
                for which, begin, end in self._hanging
            )
        if is_bad:
            raise OSError(errno.EIO, "the medium failed there a moment ago")


def _length(fd: int) -> int:
    """Return where a block device ends, which has no other size."""
    return os.lseek(fd, 0, os.SEEK_END)


def _pages(offset: int, size: int) -> tuple[int, int]:
    """Return the numbers of the first and the last page of a range."""
    return offset // PAGE, (offset + size - 1) // PAGE


# Of the process: it opens each file of its media many times.
_FAILURES: Final = Failures()


class FileSource(Source):
    """An open file or block device, by its descriptor, which it owns.

    One that *is_medium* itself, an image, an archive or a drive, may get another name
    or other rights while it is read, as long as its bytes stay.
    """

    in_turn = True

    def __init__(
        self,
        fd: int,
        *,
        is_prompt: bool = False,
        is_medium: bool = False,
        failures: Failures = _FAILURES,
    ) -> None:
        self.fd = fd
        self.is_prompt = is_prompt
        found = os.fstat(fd)
        # A block device has no size of its own but where it ends.
        self._is_device = stat.S_ISBLK(found.st_mode)
        self.size = _length(fd) if self._is_device else found.st_size
        self.status = Status(self.size, found.st_mtime_ns, found.st_ctime_ns)
        self._changed_ns = found.st_ctime_ns
        self._is_medium = is_medium
        self._descriptor = self._digest() if is_medium else b""
        self._id: FileKey = (found.st_dev, found.st_ino)
        self._failures = failures
        self._tells = True

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*, fewer only where the file ends.

        A short ``pread`` is continued: the kernel of a mount takes a short answer for
        the end of the file, and half an image would silently be gone. A file that ends
        before the size it was opened with raises OSError (EIO), and so does a page that
        failed a moment ago, without asking the medium.
        """
        size = min(size, self.size - offset)
        if size <= 0:
            return b""
        self._failures.check(self._id, offset, size)
        data = self._pread(offset, size)
        if len(data) < size:
            data = self._read_on(data, offset, size)
        if self._is_changed():
            raise OSError(errno.EIO, "the file was changed since it was opened")
        return data

    def _is_changed(self) -> bool:
        """Whether somebody wrote to the file: what was read may be another patient's.

        A file system notes the time before it takes the first byte.
        """
        found = os.fstat(self.fd)
        if found.st_ctime_ns == self._changed_ns:
            return False
        if not self._is_same(found):
            return True
        self._changed_ns = found.st_ctime_ns
        return False

    def _is_same(self, found: os.stat_result) -> bool:
        """Whether a medium is what it was, though something about it was changed.

        Who copies another image over it may set its time back. A device has no time of
        its own: that of its node says nothing.
        """
        if not self._is_medium:
            return False
        if self._is_device:
            return _length(self.fd) == self.size
        is_as_before = (found.st_size, found.st_mtime_ns) == self.status[:2]
        return is_as_before and self._digest() == self._descriptor

    def _digest(self) -> bytes:
        """Return a hash of what tells images apart, or nothing if it cannot be read."""
        try:
            page = os.pread(self.fd, PAGE, _DESCRIPTOR)
        except OSError:
            return b""
        return hashlib.sha256(page).digest()

    def _read_on(self, data: bytes, offset: int, size: int) -> bytes:
        """Return *data* with what is missing of the *size* bytes at *offset*.

        Where a read ended early there is most likely a bad page. It is asked for by
        itself, so that it is known which page it is.
        """
        while len(data) < size:
            at = offset + len(data)
            more = self._pread(at, min(PAGE - at % PAGE, size - len(data)))
            if not more:
                raise OSError(errno.EIO, "the file ended before its size")
            data += more
            if len(data) < size:
                data += self._pread(offset + len(data), size - len(data))
        return data

    def _pread(self, offset: int, size: int) -> bytes:
        try:
            return os.pread(self.fd, size, offset)
        except OSError as error:
            # Other errors are no bad sectors: a medium that was pulled may come back.
            if error.errno == errno.EIO:
                self._remember(offset, size)
            raise

    def _remember(self, offset: int, size: int) -> None:
        # Of several pages nobody knows which is bad: who needs them asks for each.
        if offset % PAGE + size <= PAGE:
            self._failures.add(self._id, offset)

    def hangs(self, offset: int, size: int) -> None:
        """Let reads of any of the *size* bytes at *offset* fail at once."""
        self._failures.hold(self._id, offset, size)

    def hangs_no_more(self, offset: int, size: int) -> None:
        """Let those bytes be read again."""
        self._failures.let_go(self._id, offset, size)

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
        # Where the file was changed, ``read_at`` sees how, and may have to wait for that.
        is_touched = os.fstat(self.fd).st_ctime_ns != self._changed_ns
        return None if count < size or is_touched else count

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.fd)


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


class ExtentSource(Source):
    """A file that lies in *extents* of another source, one after the other.

    Without copying, and without closing that source, which others use, too. An extent
    that the other source ends before cannot be read there (OSError, EIO).
    """

    def __init__(
        self, source: Source, extents: Sequence[Extent], mtime_ns: int = 0
    ) -> None:
        self._source = source
        self.in_turn = source.in_turn
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
            raise OSError(errno.EIO, "the medium ends before the file does")
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


class AtHand(Source):
    """Another source, as far as memory holds it; it stays open."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.size = source.size
        self.status = source.status

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*; BlockingIOError if that takes waiting."""
        buffer = bytearray(max(min(size, self.size - offset), 0))
        count = self._source.read_cached(offset, memoryview(buffer))
        if count is None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return bytes(buffer[:count])


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

    def load(self, offset: int, least: int = _LEAST) -> None:
        """Move the window so that it begins at *offset* and shows *least* bytes.

        Next to a bad page it shows no more than the pages that hold those: so a bad
        sector costs the records on it, not all others in the block. Raises OSError if
        they cannot be read, and shows what it showed.
        """
        try:
            data = self.source.read_at(offset, self._block)
        except OSError:
            data = self._pages(offset, least)
        self.data, self.start = data, offset

    def _pages(self, offset: int, least: int) -> bytes:
        """Return what is at *offset*, to the end of the page that has the last byte."""
        data = b""
        while len(data) < least:
            at = offset + len(data)
            page = self.source.read_at(at, PAGE - at % PAGE)
            if not page:
                break
            data += page
        return data

    def read(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*, fewer only where the source ends."""
        at = offset - self.start
        if at >= 0 and at + size <= len(self.data):
            return self.data[at : at + size]
        if size > self._block:
            return self.source.read_at(offset, size)
        self.load(offset, size)
        return self.data[:size]
