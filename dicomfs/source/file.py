"""Open files and block devices.

They are read with ``pread`` and never mapped: a mapping of a medium that is pulled kills
the process with SIGBUS.
"""

import errno
import hashlib
import os
import stat
from typing import Final

from dicomfs.source.digests import Digests
from dicomfs.source.failures import Failures
from dicomfs.source.pulse import beat
from dicomfs.source.source import PAGE, SECTOR, FileKey, Source, Status

# An image is told from another one that was written over it by this page, if neither
# size nor time tell: the first descriptor of an ISO 9660 volume has its name and times
# (ECMA-119 6.7.1.1, 8.4). A volume of UDF alone has the same there as all others.
_DESCRIPTOR: Final = 16 * SECTOR

_CLOSED: Final = -1

# One for the process, as it opens each file of its media many times.
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
        self._digests: Digests | None = None

    def remember(self, digests: Digests) -> None:
        """Note in *digests* what is read, and let pass what changes none of it."""
        self._digests = digests

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
        data = self._read(offset, size)
        if self._is_changed(offset, data):
            raise OSError(errno.EIO, "the file was changed since it was opened")
        if self._digests is not None:
            self._digests.note(offset, data)
        return data

    def _read(self, offset: int, size: int) -> bytes:
        self._failures.check(self._id, offset, size)
        data = self._pread(offset, size)
        return data if len(data) == size else self._read_on(data, offset, size)

    def _is_changed(self, offset: int, data: bytes) -> bool:
        """Whether somebody wrote to the file: *data*, just read, may be another patient's.

        A file system notes the time before it takes the first byte.
        """
        found = os.fstat(self.fd)
        if found.st_ctime_ns == self._changed_ns:
            return False
        if not self._is_same(found, offset, data):
            return True
        self._changed_ns = found.st_ctime_ns
        return False

    def _is_same(self, found: os.stat_result, offset: int, data: bytes) -> bool:
        """Whether a file is what it was, though something about it was changed.

        A copy of another one over it may bring an older time along. A device has no
        time of its own: that of its node says nothing.
        """
        if self._is_device:
            return self._is_medium and _length(self.fd) == self.size
        if (found.st_size, found.st_mtime_ns) != self.status[:2]:
            return False
        if self._is_medium:
            return self._digest() == self._descriptor
        return self._reads_as_before(offset, data)

    def _reads_as_before(self, offset: int, data: bytes) -> bool:
        """Whether *data* and all that was read before, the head too, read the same."""
        if self._digests is None or not self._digests.has_head:
            return False
        is_as_before = self._digests.hold(self._read)
        return is_as_before and self._read(offset, len(data)) == data

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
        beat()
        try:
            return os.pread(self.fd, size, offset)
        except OSError as error:
            # Other errors are no bad sectors: a medium that was pulled may come back.
            if error.errno == errno.EIO:
                self._remember(offset, size)
            raise

    def _remember(self, offset: int, size: int) -> None:
        # If there are several pages, nobody knows which is bad: each is asked for later.
        if offset % PAGE + size <= PAGE:
            self._failures.add(self._id, offset)

    @property
    def is_worn(self) -> bool:
        """Whether a page of this file or of another one was bad."""
        return not self._failures.is_clean

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
        if count < size or is_touched:
            return None
        if self._digests is not None:
            self._digests.note(offset, buffer[:size], whole=False)
        return count

    def close(self) -> None:
        """Close the descriptor; what gets its number later is never read."""
        fd, self.fd = self.fd, _CLOSED
        if fd != _CLOSED:
            os.close(fd)


def _length(fd: int) -> int:
    """Return where a block device ends, which has no other size."""
    return os.lseek(fd, 0, os.SEEK_END)
