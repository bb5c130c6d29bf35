"""Records that reach into what cannot be read of a DICOMDIR, completed out of headers.

The links come first in a record, so it leads on all the same; what it lacks, the
header of its instance, or of one below it, has.
"""

from bisect import bisect_left
from contextlib import suppress
from typing import Final

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.header import sop_class_uid
from dicomfs.dicom.types import Level
from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.index import Index
from dicomfs.dicomdir.origin import Origin
from dicomfs.dicomdir.record import NO_RECORD, UNREADABLE, DirectoryRecord
from dicomfs.dicomdir.recovery.repair import Repair
from dicomfs.dicomdir.writer import COPIED
from dicomfs.errors import DirectoryError
from dicomfs.fileset.references import References


class PartialRecords:
    """The records of *directory* that are cut by what *index* says is unreadable.

    They are completed at once as far as their own links lead to a header. There is at
    most one for each unreadable range.
    """

    def __init__(
        self, directory: Directory, references: References, index: Index
    ) -> None:
        self._directory = directory
        self._references = references
        self._cut: list[DirectoryRecord] = []
        for first, _ in index.unreadable:
            if (at := bisect_left(index.offsets, first) - 1) >= 0:
                self._look_at(index.offsets[at])

    def _look_at(self, offset: int) -> None:
        with suppress(DirectoryError, OSError):
            record = self._directory.written(offset)
            if record.damage == UNREADABLE:
                record = self._completed(record, record)
                self._directory.known[offset] = record
                self._cut.append(record)

    def open_up(self, made: Repair) -> None:
        """Tell *made* where something is lost, as these records lead to nothing."""
        for record in self._cut:
            if self._is_empty(record, made):
                above = made.above(record.offset)
                made.open.add(above[-1] if above else NO_RECORD)
                made.lost += record.level is Level.INSTANCE

    def settle(self, made: Repair) -> None:
        """Complete them further by what was found to be below them.

        What leads to nothing even so is left out.
        """
        for record in self._cut:
            if below := made.adopted.get(record.offset):
                with suppress(DirectoryError, OSError):
                    first = self._directory.written(below[0])
                    record = self._completed(record, first)
            elif self._is_empty(record, made):
                record = record._replace(in_use=False)
            self._directory.known[record.offset] = record

    def _is_empty(self, record: DirectoryRecord, made: Repair) -> bool:
        """Whether nothing comes of *record*: neither a file nor anything below it."""
        lower = made.links.of(record.offset)[1] if made.links is not None else 0
        return record.level <= Level.INSTANCE and not record.file_id and not lower

    def _completed(
        self, record: DirectoryRecord, instance: DirectoryRecord
    ) -> DirectoryRecord:
        """Return *record* with what the header of *instance*, or one below it, adds.

        That is nothing if the header contradicts it.
        """
        header = self._header(instance)
        if header is None or not _agree(record, header):
            return record
        values = {**copied(header, record.level), **record.attributes.values}
        return record._replace(attributes=Attributes(values))

    def _header(self, record: DirectoryRecord) -> Attributes | None:
        """Return the header of the instance that *record* has or leads to first."""
        for _ in Level:
            if record.file_id:
                return self._references.header(record)
            if record.lower == NO_RECORD:
                break
            try:
                record = self._directory.written(record.lower)
            except (DirectoryError, OSError):
                break
        return None


def _agree(record: DirectoryRecord, header: Attributes) -> bool:
    """Whether nothing in *header* contradicts what could be read of *record*."""
    own = record.attributes
    character_set = own.raw(tags.SPECIFIC_CHARACTER_SET)
    if character_set not in {b"", header.raw(tags.SPECIFIC_CHARACTER_SET)}:
        return False
    if record.sop_instance_uid not in {b"", header.raw(tags.SOP_INSTANCE_UID)}:
        return False
    return Origin.of(own).agrees(Origin.of(header), record.level) is not False


_REFERENCES: Final = (
    (tags.REFERENCED_SOP_INSTANCE_UID, tags.SOP_INSTANCE_UID),
    (tags.REFERENCED_TRANSFER_SYNTAX_UID, tags.TRANSFER_SYNTAX_UID),
)


def copied(header: Attributes, level: int) -> dict[int, bytes]:
    """Return what a record of this *level* says of an instance with this *header*."""
    values = {
        tag: header.values[tag]
        for tag in COPIED.get(Level(level), ())
        if tag in header.values
    }
    if level == Level.INSTANCE:
        values[tags.REFERENCED_SOP_CLASS_UID] = sop_class_uid(header)
        values |= {tag: header.raw(source) for tag, source in _REFERENCES}
    return values
