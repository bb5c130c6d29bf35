"""Reading the index of a DICOMDIR: one pass over all of its records.

Records that lie as usual are read many at a time (``usual``), and so are those without a
length that are like earlier ones (``models``); others, and what lies behind damage, one by
one.
"""

import errno
from array import array
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import chain, compress, count, repeat
from operator import not_
from typing import Final

from dicomfs.dicom import tags
from dicomfs.dicom.element import (
    ITEM,
    ITEM_DELIMITATION,
    UNDEFINED_LENGTH,
    elements,
)
from dicomfs.dicom.types import (
    MRDR,
    PRIVATE,
    is_known,
    level_of,
    type_as_written,
)
from dicomfs.dicomdir import usual
from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.index import (
    BRANCH_KIND,
    INACTIVE,
    LOST,
    MRDR_KIND,
    Index,
    kind_of,
    kind_of_level,
)
from dicomfs.dicomdir.record import HEAD, DirectoryRecord
from dicomfs.dicomdir.usual import Kinds, Piece, Run
from dicomfs.errors import DirectoryError, ElementError
from dicomfs.source.source import SECTOR
from dicomfs.source.window import Window
from dicomfs.source.worn import Range, unreadable, zeroed

MOST_RECORDS: Final = 4_000_000

_HEADER: Final = 8
_NO_LENGTH: Final = UNDEFINED_LENGTH.to_bytes(4, "little")
_LINKS: Final = (tags.OFFSET_OF_NEXT_RECORD, tags.OFFSET_OF_LOWER_ENTITY)
_LINK: Final = 4
_BLOCK: Final = 1024 * 1024
# A record counts at least so many bytes: reading many in vain has to end, too.
_LEAST: Final = 64
_GROUP: Final = 0x0004
# The medium is gone, rather than damaged, if so many sectors are unreadable.
_MOST_UNREADABLE: Final = 4096


def read_index(directory: Directory, most: int = MOST_RECORDS) -> Index:
    """Return the index of *directory*, or of its first *most* records.

    Records that lie behind damage are found again by what the first bytes of a record
    look like, and by the links that name them. Unreadable ranges are passed over.
    Raises OSError if nothing can be read.
    """
    return _Reader(directory, most).read()


class _Reader:
    """One pass over a DICOMDIR."""

    def __init__(self, directory: Directory, most: int) -> None:
        self._directory = directory
        self._syntax = directory.header.syntax
        self._window = Window(directory.source, _BLOCK)
        self._size = directory.source.size
        self._most = most
        self._index = Index()
        self._item = self._syntax.tag(ITEM)
        self._left = directory.most_read
        self._kinds = Kinds(_usual_kind, self._syntax)
        # What the window shows, if that was looked at as a whole.
        self._piece: Piece | None = None

    def read(self) -> Index:
        """Read all records."""
        index = self._index
        self._read_sequence()
        self._read_named()
        if index.is_complete and (zeros := self._zeros()):
            self._directory.leave_out(zeros)
            return read_index(self._directory, self._most)
        is_worn = self._window.is_worn or self._directory.is_worn
        if is_worn and index.is_complete:
            index.unreadable = unreadable(self._directory.source)
        if index.unreadable and not index.offsets:
            raise OSError(errno.EIO, "no directory record can be read")
        return index

    def _zeros(self) -> list[Range]:
        """Return where zeros lie in place of records."""
        index = self._index
        links = zip((index.nexts, index.lowers), index.led_to(), strict=True)
        lost = {
            link
            for targets, kinds in links
            if LOST in kinds
            for link, kind in zip(targets, kinds, strict=True)
            if kind == LOST
        }
        # One may begin right in front of them.
        lost |= {link + HEAD for link in lost}
        if self._directory.is_worn:
            lost.add(0)
        return zeroed(self._directory.source, lost)

    # -- in the order of the file --------------------------------------------------

    def _read_sequence(self) -> None:
        offset = self._directory.header.records
        while offset + _HEADER <= self._size and self._index.is_complete:
            try:
                # Behind what was tried: else an unusable item were found for ever.
                offset = self._search(self._read_run(offset) + 1)
            except OSError:
                offset = self._past_unreadable(offset)
            if not offset:
                return
            if self._index.offsets and self._index.is_complete:
                self._index.gaps.append(self._index.offsets[-1])

    def _read_run(self, offset: int) -> int:
        """Read records until something else comes; return where that is."""
        offset = self._read_usual(offset)
        while (after := self._read_one(offset)) is not None:
            offset = self._read_usual(after)
        return offset

    def _read_usual(self, offset: int) -> int:
        """Read records as long as they are usual; return where they are no more."""
        while len(self._index) < self._most:
            run = self._run(offset)
            if run is None:
                return offset
            self._add_all(run)
            offset = run.end
        self._index.is_complete = False
        return offset

    def _run(self, offset: int) -> Run | None:
        """Return the usual records at *offset*, as far as the window shows them."""
        window = self._window
        at = offset - window.start
        if at < 0 or at + usual.SIZE > len(window.data):
            window.load(offset, usual.SIZE)
            at = 0
        most = self._most - len(self._index)
        if window.data[at + 4 : at + _HEADER] == _NO_LENGTH:
            return self._run_alike(offset, most)
        if self._piece is None or self._piece.data is not window.data:
            start, size = offset - at, self._size
            self._piece = Piece(window.data, at, start, size, self._syntax, self._kinds)
        return self._piece.run(offset, most)

    def _run_alike(self, offset: int, most: int) -> Run | None:
        """Return the records at *offset*, *most* in all, that are like earlier ones."""
        found = self._directory.alike(self._window, offset, most)
        if found is None:
            return None
        kind = _usual_kind(found.same[tags.DIRECTORY_RECORD_TYPE])
        if kind is None or not found.places.keys() >= set(_LINKS):
            return None
        # They count as if they were read one by one, lest it depend on what was met before
        # which of them are looked at.
        size = found.end - found.starts[0] - _HEADER * len(found.starts)
        if size > self._left:
            return None
        self._left -= size
        start, count = self._window.start, len(found.starts)
        values = map(found.values, _LINKS)
        nexts, lowers = (array("I", self._syntax.integers(each)) for each in values)
        in_use = found.same.get(tags.RECORD_IN_USE_FLAG, b"")
        return Run(
            list(map(start.__add__, found.starts)),
            nexts,
            lowers,
            array("H", repeat(not in_use or any(in_use), count)),
            bytes([kind]) * count,
            start + found.end,
        )

    def _add_all(self, run: Run) -> None:
        index = self._index
        before = len(index)
        index.offsets.extend(run.offsets)
        index.nexts += array("L", run.nexts)
        index.lowers += array("L", run.lowers)
        index.kinds += run.kinds
        if 0 in run.in_use:
            for at in compress(count(before), map(not_, run.in_use)):
                index.kinds[at] |= INACTIVE

    def _read_one(self, offset: int) -> int | None:
        """Read any record at *offset*; return where it ends, None if there is none."""
        header = self._window.read(offset, _HEADER)
        if len(header) < _HEADER or header[:4] != self._item:
            return None
        if len(self._index) >= self._most:
            self._index.is_complete = False
            return None
        length = self._syntax.plain_header(header, 0)[2]
        record = self._record(offset)
        if record is None:
            return None
        self._add(record)
        if length != UNDEFINED_LENGTH:
            return offset + _HEADER + length
        return self._end(offset + _HEADER)

    def _end(self, start: int) -> int:
        """Return where the record of undefined length that begins at *start* ends.

        Where that cannot be told, what follows has to be searched from *start* on.
        """
        with suppress(ElementError):
            for element in elements(self._window, start, self._size, self._syntax):
                if element.tag == ITEM_DELIMITATION:
                    return element.start
        return start

    def _record(self, offset: int) -> DirectoryRecord | None:
        if self._left < 0:
            self._index.is_complete = False
            return None
        try:
            record = self._directory.written(offset, self._window)
        except DirectoryError as error:
            # How far it was read in vain counts as well.
            stop = getattr(error.__cause__, "offset", offset)
            self._left -= max(stop - offset, _LEAST)
            return None
        self._left -= record.length
        return record

    def _add(self, record: DirectoryRecord) -> None:
        index = self._index
        kind = kind_of(record)
        if not is_known(record.type):
            index.unknown.append(record.offset)
        if record.type == PRIVATE:
            index.private.append(record.offset)
        flag = 0 if record.in_use else INACTIVE
        index.add(record.offset, record.next, record.lower, kind | flag)

    # -- behind damage ---------------------------------------------------------------

    def _search(self, offset: int) -> int:
        """Return where behind *offset* something begins as a record does; 0 if nowhere."""
        window = self._window
        while offset + _HEADER <= self._size:
            at = offset - window.start
            if at < 0 or at + 2 * _HEADER > len(window.data):
                window.load(offset)
                at = 0
            data, start = window.data, window.start
            at = data.find(self._item, at)
            while at >= 0:
                if at + 2 * _HEADER > len(data) and start + len(data) < self._size:
                    break
                if self._begins(data, at):
                    return start + at
                at = data.find(self._item, at + 1)
            if start + len(data) >= self._size:
                return 0
            behind = at if at >= 0 else len(data) - len(self._item)
            offset = max(start + behind, offset + 1)
        return 0

    def _begins(self, data: bytes, at: int) -> bool:
        """Whether at *at* an item begins whose first element is of group 0004."""
        group = data[at + _HEADER : at + _HEADER + 2]
        return self._syntax.integer(group) == _GROUP and len(group) == 2

    def _past_unreadable(self, offset: int) -> int:
        """Return the first readable sector behind the unreadable ones that stopped us.

        0 if there is none, and OSError if the whole medium seems to be gone.
        """
        if self._index.offsets:
            offset = max(offset, self._index.offsets[-1] + _HEADER)
        failed = 0
        for sector in range(offset // SECTOR * SECTOR, self._size, SECTOR):
            if self._is_unreadable(sector):
                failed += 1
            elif failed:
                return max(sector, offset)
            if failed > _MOST_UNREADABLE:
                break
        else:
            if failed:
                return 0
        raise OSError(errno.EIO, "the DICOMDIR cannot be read")

    def _is_unreadable(self, sector: int) -> bool:
        try:
            self._directory.source.read_at(sector, SECTOR)
        except OSError:
            return True
        return False

    def _read_named(self) -> None:
        """Read the records that only links name, as a wrong length swallowed them."""
        index = self._index
        if not any(LOST in each for each in index.led_to()):
            return
        known = set(index.offsets)
        waiting = [link for link in self._links() if link not in known]
        found = len(index)
        while waiting:
            offset = waiting.pop()
            if offset in known or len(known) >= self._most:
                continue
            known.add(offset)
            try:
                head = self._window.read(offset, 2 * _HEADER)
                record = self._record(offset) if self._begins_at(head) else None
            except OSError:
                continue
            if record is not None:
                self._add(record)
                waiting += [link for link in (record.next, record.lower) if link]
        if len(index) != found:
            index.sort()

    def _begins_at(self, head: bytes) -> bool:
        return head.startswith(self._item) and self._begins(head, 0)

    def _links(self) -> Iterator[int]:
        return filter(None, chain(self._index.nexts, self._index.lowers))


@lru_cache(maxsize=256)
def _usual_kind(type_: bytes) -> int | None:
    """Return the kind of a type as written, None if a record of it is worth a look."""
    name = type_as_written(type_)
    if name == MRDR:
        return MRDR_KIND
    kind = kind_of_level(level_of(name), name) if is_known(name) else BRANCH_KIND
    return None if kind == BRANCH_KIND else kind
