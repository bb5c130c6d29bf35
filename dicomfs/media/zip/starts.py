"""Where the data of the members begins, and that none lies over another."""

import errno
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final

from dicomfs.media.zip.header import find_data
from dicomfs.media.zip.record import Record
from dicomfs.source.source import Source

# No archive reaches there; ZIP64 can say more than that.
_END_OF_ALL: Final = 1 << 63

# How many members that seem to lie within another one are looked at.
_MOST_RIVALS: Final = 8


class Starts:
    """Finds where the data of members begins, by their own headers, and keeps it.

    The header of each member is at the one of *offsets* that has its number, which
    *shift* has to be added to. *record* returns its record. *shown* are the numbers of
    the members that have a place in the tree; all members lie before *end*.
    """

    def __init__(
        self,
        offsets: Sequence[int],
        shown: Sequence[int],
        record: Callable[[int], Record],
        shift: int,
        end: int,
    ) -> None:
        self._record = record
        self._shift = shift
        self._end = end
        # The numbers of members in the order in which these lie, and where they begin.
        self._order = array("I", sorted(shown, key=offsets.__getitem__))
        self._begins = array("Q", (self._begin(offsets[each]) for each in self._order))
        # Where the data begins of each member, 0 until that is known.
        self._starts = array("Q", bytes(8 * len(offsets)))

    def _begin(self, offset: int) -> int:
        return min(offset + self._shift, _END_OF_ALL)

    def find(self, number: int, record: Record, source: Source) -> int:
        """Return where the data of the member *number* begins.

        Its own header is read from *source*, once. Raises OSError (EIO) if that
        contradicts its *record*, or if it lies over other members: each byte of the
        archive is given once.
        """
        if start := self._starts[number]:
            return start
        at = record.offset + self._shift
        found = find_data(source, record, at)
        if found is None:
            raise OSError(
                errno.EIO, "its header and the directory contradict each other"
            )
        end = found + record.packed
        if end > self._end or self._has_rivals(number, at, end, source):
            raise OSError(errno.EIO, "it lies over other parts of the archive")
        self._starts[number] = found
        return found

    def _has_rivals(self, number: int, at: int, end: int, source: Source) -> bool:
        """Return whether other members begin from *at* to *end*.

        Those count that are there: a wrong offset of one must not cost another.
        """
        first, last = bisect_left(self._begins, at), bisect_left(self._begins, end)
        if last - first > 1 + _MOST_RIVALS:
            return True
        return any(
            self._is_there(other, source)
            for other in self._order[first:last]
            if other != number
        )

    def _is_there(self, number: int, source: Source) -> bool:
        record = self._record(number)
        return find_data(source, record, record.offset + self._shift) is not None
