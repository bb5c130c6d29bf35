"""Records that lie where a DICOMDIR cannot be read, made anew out of headers.

Their instances are still there, most likely beside those of the records in front and
behind. What the header of one says must agree with the chain of records that it is to
be put below; and only where such a chain ends in the unreadable part can it have been
listed there.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.header import sop_class_uid
from dicomfs.dicom.types import Level, type_of_class
from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.index import Index
from dicomfs.dicomdir.origin import Origin
from dicomfs.dicomdir.record import NO_RECORD, DirectoryRecord
from dicomfs.dicomdir.recovery.repair import Repair
from dicomfs.errors import DirectoryError, FileIdError
from dicomfs.fileset import fileid
from dicomfs.fileset.beside import Unlisted
from dicomfs.fileset.partial import copied
from dicomfs.fileset.references import References
from dicomfs.fileset.witness import Witness
from dicomfs.findings import Finding, Kind
from dicomfs.media.medium import Place
from dicomfs.source.window import Window

# Files that are asked, and that are asked in vain: on a disc each may take a seek.
_MOST_ASKED: Final = 4000
_MOST_IN_VAIN: Final = 200
# In a DICOMDIR of more records nobody looks for lost ones.
_MOST_RECORDS: Final = 200_000

_ABOVE: Final = (Level.SERIES, Level.STUDY, Level.PATIENT)


class Found(NamedTuple):
    """An instance whose record was lost: below which one it belongs, and a new one."""

    home: int
    record: DirectoryRecord


class LostRecords:
    """The records that were lost where *index*, that of *directory*, is unreadable.

    *made* is what became of the links between those that are left.
    """

    def __init__(
        self,
        directory: Directory,
        references: References,
        witness: Witness,
        index: Index,
        made: Repair,
    ) -> None:
        self._directory = directory
        self._references = references
        self._witness = witness
        self._index = index
        self._made = made
        # The folders of File IDs, and the names in them; the nearest to what was lost
        # come first.
        self._listed: dict[Place, list[bytes]] = {}
        # The UIDs of instances that are listed.
        self._uids: set[bytes] = set()
        self._by_key: dict[tuple[Level, bytes], list[int]] = defaultdict(list)
        self._is_bounded = len(index) > _MOST_RECORDS

    def mend(self) -> Finding | None:
        """Put the instances that are found among the links; return what was lost.

        None if all that cannot be read are records of which the rest is known.
        """
        found: list[Found] = []
        if not self._is_bounded:
            self._read_records()
            if self._made.open:
                found = self._find()
        self._add(found)
        count = max(self._made.lost, len(found))
        if not count:
            return None
        # Of records that only lost ones linked to nobody knows.
        number = len(found) or "none"
        done = f"{number} of their instances found by their headers, beside others"
        detail = "there were more files than are looked at" if self._is_bounded else ""
        return Finding(Kind.LOST_RECORDS, count=count, done=done, detail=detail)

    # -- what is left ------------------------------------------------------------------

    def _read_records(self) -> None:
        """Read all records: what they list, and what they are called."""
        window = Window(self._directory.source)
        distances: dict[Place, int] = {}
        for offset, kind in zip(self._index.offsets, self._index.kinds, strict=True):
            with suppress(DirectoryError, OSError, FileIdError):
                record = self._directory.written(offset, window)
                if kind in _ABOVE:
                    self._learn(record)
                if uid := record.sop_instance_uid:
                    self._uids.add(uid)
                if record.file_id:
                    path = fileid.components(record.file_id)
                    self._listed.setdefault(path[:-1], []).append(path[-1])
                    far = self._distance(offset)
                    near = distances.get(path[:-1], far)
                    distances[path[:-1]] = min(near, far)
        nearest = sorted(self._listed, key=distances.__getitem__)
        self._listed = {path: self._listed[path] for path in nearest}

    def _distance(self, offset: int) -> int:
        """Return how far a record is from what cannot be read."""
        ranges = self._index.unreadable
        at = bisect_left(ranges, (offset, offset))
        near = ranges[max(at - 1, 0) : at + 1]
        return min(max(first - offset, offset - end) for first, end in near)

    def _learn(self, record: DirectoryRecord) -> None:
        """Remember a patient, study or series by its key."""
        said = Origin.of(record.attributes)
        level = record.level
        if key := said.key(level) or (
            record.sop_instance_uid if level is Level.STUDY else b""
        ):
            self._by_key[level, key].append(record.offset)

    # -- what is lost ------------------------------------------------------------------

    def _find(self) -> list[Found]:
        """Return the instances that are found, in the order of their files."""
        found: dict[bytes, Found] = {}
        near = self._references.neighbourhood(self._listed)
        for asked, file in enumerate(near.unlisted()):
            if asked - len(found) > _MOST_IN_VAIN or asked > _MOST_ASKED:
                self._is_bounded = True
                break
            if (each := self._ask(file)) is not None:
                found[each.record.file_id] = each
        self._is_bounded = self._is_bounded or near.is_bounded
        first = self._directory.source.size + 1
        return [
            found[file_id]._replace(
                record=found[file_id].record._replace(offset=first + number)
            )
            for number, file_id in enumerate(sorted(found))
        ]

    def _ask(self, file: Unlisted) -> Found | None:
        """Return what *file* is, None if it is not an instance that may be lost."""
        file_id = b"\\".join(file.path)
        header = self._references.header_at(file.place)
        if header is None or not _leads_back(file_id, file.path):
            return None
        uid = header.raw(tags.SOP_INSTANCE_UID)
        if not uid or (file.may_be_listed and uid in self._uids):
            return None
        home = self._home(Origin.of(header))
        return None if home is None else Found(home, _record(header, file_id))

    def _home(self, said: Origin) -> int | None:
        """Return the lowest record that agrees with what is *said*, if it is open."""
        for level in _ABOVE:
            key = said.key(level)
            if not key:
                return None
            known = self._by_key.get((level, key), [])
            home = next((at for at in known if self._agrees(at, said, level)), None)
            # Another patient may have the same ID, but no other study the same UID.
            if home is not None or (known and level > Level.PATIENT):
                return home
        return NO_RECORD if NO_RECORD in self._made.open else None

    def _agrees(self, offset: int, said: Origin, level: Level) -> bool:
        if offset not in self._made.open:
            return False
        chain = [*self._made.above(offset), offset]
        return self._witness.said_by_records(chain).agrees(said, level) is True

    def _add(self, found: Sequence[Found]) -> None:
        """Put what was *found* among the links, below its homes."""
        links = self._made.links
        if links is None:
            return
        by_home: dict[int, list[DirectoryRecord]] = defaultdict(list)
        for each in found:
            by_home[each.home].append(each.record)
        following = {
            record.offset: after.offset
            for those in by_home.values()
            for record, after in pairwise(those)
        }
        for home, record in found:
            parent = self._index.position(home)
            links.add(record.offset, following.get(record.offset, 0), Level.INSTANCE)
            self._made.parents.append(parent)
            self._directory.known[record.offset] = record
        for home, those in by_home.items():
            self._made.begin_below(home, those[0].offset)


def _leads_back(file_id: bytes, path: Place) -> bool:
    """Whether *file_id* is understood as *path*, as not all names may be in one."""
    try:
        return fileid.components(file_id) == path
    except FileIdError:
        return False


def _record(header: Attributes, file_id: bytes) -> DirectoryRecord:
    """Return a record for the instance of *file_id*; its offset is to be given to it."""
    values = copied(header, Level.INSTANCE) | {tags.REFERENCED_FILE_ID: file_id}
    return DirectoryRecord(
        NO_RECORD,
        NO_RECORD,
        NO_RECORD,
        True,
        NO_RECORD,
        type_of_class(sop_class_uid(header)),
        Attributes(values),
        Level.INSTANCE,
        file_id,
    )
