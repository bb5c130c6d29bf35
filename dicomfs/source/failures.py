"""What a medium could not give: pages that rest for a while before it is asked again.

Each attempt at a bad sector may hold a drive up for a minute, and with it all other
files; and a disc that is dying dies faster.
"""

import errno
import threading
import time
from collections.abc import Callable
from typing import Final

from dicomfs.source.cache import Cache
from dicomfs.source.source import PAGE, FileKey

# How long the medium is not asked again for a page that it could not give.
_REST: Final = 60.0
_MOST: Final = 16_384


class Failures:
    """The pages of files that the medium could not give a moment ago.

    A page that failed rests for a minute: until then whoever asks for it gets the error
    from memory. Used by all threads. If there are too many pages, those that were asked
    for longest ago are forgotten.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        most: int = _MOST,
    ) -> None:
        self._clock = clock
        # Whether every page could be read so far, which is the rule.
        self.is_clean = True
        # Until when each page rests.
        self._until = Cache[tuple[FileKey, int], float](most)
        self._lock = threading.Lock()
        # What somebody waits for already, without hope: file, first and last page.
        self._hanging: list[tuple[FileKey, int, int]] = []

    def add(self, file: FileKey, offset: int) -> None:
        """Remember that the page at *offset* of *file* could not be read."""
        self.is_clean = False
        self._until.put((file, offset // PAGE), self._clock() + _REST)

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
        # This is asked before each read.
        if self.is_clean and not self._hanging:
            return
        first, last = _pages(offset, size)
        if self._rests(file, first, last) or self._hangs(file, first, last):
            raise OSError(errno.EIO, "the medium failed there a moment ago")

    def _rests(self, file: FileKey, first: int, last: int) -> bool:
        now = self._clock()
        return any(
            (self._until.get((file, number)) or now) > now
            for number in range(first, last + 1)
        )

    def _hangs(self, file: FileKey, first: int, last: int) -> bool:
        with self._lock:
            return any(
                which == file and begin <= last and first <= end
                for which, begin, end in self._hanging
            )


def _pages(offset: int, size: int) -> tuple[int, int]:
    """Return the numbers of the first and the last page of a range."""
    return offset // PAGE, (offset + size - 1) // PAGE
