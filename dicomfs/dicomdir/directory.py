"""A DICOMDIR, read lazily: its header, and directory entities by their offsets.

Offsets count from the first byte of the file and name the first byte of an item
(PS3.3 F.2.2.2). Only the links make the tree: the order in which records lie in the
file means nothing.
"""

import hashlib
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.element import (
    EXPLICIT_LITTLE,
    SEQUENCE_DELIMITATION,
    UNDEFINED_LENGTH,
    Syntax,
    elements,
    read_values,
)
from dicomfs.dicom.header import Meta, read_meta
from dicomfs.dicom.uids import DEFLATED, DIRECTORY, EXPLICIT_VR_LITTLE_ENDIAN
from dicomfs.dicomdir.models import Models
from dicomfs.dicomdir.record import NO_RECORD, DirectoryRecord
from dicomfs.errors import DirectoryError, ElementError, NotDicomError
from dicomfs.findings import Kind
from dicomfs.source.source import Source
from dicomfs.source.window import Window

_DIRECTORY_GROUP: Final = 0x0004
_MAX_VALUE: Final = 256
_BEGINNING: Final = 1024
# What is looked at behind the records, and the length of a delimiter there.
_END: Final = 4096
_DELIMITER: Final = 8


class Header(NamedTuple):
    """The elements in front of the directory records.

    *root* is the offset of the first record of the root entity as written, *records*
    that of the first item of the Directory Record Sequence, *behind* that of what follows
    the sequence, 0 if that is not known, *unusual* what is not as the standard wants it,
    but harmless.
    """

    syntax: Syntax
    file_set_uid: bytes
    file_set_id: bytes
    root: int
    records: int
    behind: int
    is_whole: bool
    unusual: tuple[Kind, ...]


class Links(Protocol):
    """Links between records as they should have been written."""

    def of(self, offset: int) -> tuple[int, int]:
        """Return the next and the first lower record of the one at *offset*."""
        ...


class Directory:
    """The records of one DICOMDIR.

    Safe to use from several threads: each walk reads through a window of its own.
    """

    def __init__(self, source: Source) -> None:
        """Read the header of the DICOMDIR in *source*.

        Raises NotDicomError or DirectoryError, and OSError from the medium.
        """
        self.source = source
        window = Window(source)
        window.load(0)
        # The File-set UID is not enough: some writers give all their discs the same.
        beginning = b"%d %b" % (source.size, window.data)
        self.identity: bytes = hashlib.sha256(beginning).digest()
        self._beginning = window.data[:_BEGINNING]
        # Records that overlap could make a small file take for ever to be read.
        self.most_read = 2 * source.size
        # Set where the links as written are wrong.
        self.links: Links | None = None
        try:
            self.header = _read_header(window)
        except ElementError as error:
            raise DirectoryError(f"the header is damaged: {error}") from error
        self._models = Models(self.header.syntax, source.size)

    def is_unchanged(self) -> bool:
        """Whether the DICOMDIR still begins as it did; raises OSError."""
        return self.source.read_at(0, len(self._beginning)) == self._beginning

    def character_set(self) -> bytes:
        """Return the Specific Character Set of the data set, empty if it has none.

        An item without one of its own takes that of the data set around it (PS3.3
        C.12.1.1.2). It stands behind the sequence, as tags ascend. What cannot be read
        is none.
        """
        try:
            return self._character_set()
        except (OSError, ElementError):
            return b""

    def _character_set(self) -> bytes:
        size, syntax = self.source.size, self.header.syntax
        start = self.header.behind
        if not start:
            # Of undefined length: it ends with a delimiter, and little follows.
            start = max(size - _END, 0)
            tail = self.source.read_at(start, _END)
            found = tail.rfind(syntax.tag(SEQUENCE_DELIMITATION))
            if found < 0:
                return b""
            start += found + _DELIMITER
        values: dict[int, bytes] = {}
        wanted = {tags.SPECIFIC_CHARACTER_SET: _MAX_VALUE}
        end = min(start + _END, size)
        read_values(Window(self.source, _END), start, end, syntax, wanted, values)
        return Attributes(values).raw(tags.SPECIFIC_CHARACTER_SET)

    def written(self, offset: int, window: Window | None = None) -> DirectoryRecord:
        """Return the record at *offset* as it is written; DirectoryError if none is."""
        return self._models.read(window or Window(self.source), offset)

    def record(self, offset: int, window: Window | None = None) -> DirectoryRecord:
        """Return the record at *offset*, with the links that it should have."""
        record = self.written(offset, window)
        if self.links is None:
            return record
        next_, lower = self.links.of(offset)
        return record._replace(next=next_, lower=lower)

    def entity(self, first: int) -> Iterator[DirectoryRecord]:
        """Yield the records of the directory entity whose first record is at *first*.

        Inactive records are passed over: of them only the link to the next one counts
        (PS3.3 F.3.2.2). Raises DirectoryError where the chain breaks or closes a loop,
        behind the records that came before, and OSError from the medium.
        """
        window = Window(self.source)
        seen: set[int] = set()
        length = 0
        offset = first
        while offset != NO_RECORD:
            if offset in seen:
                raise DirectoryError("a chain of records loops back", offset)
            seen.add(offset)
            record = self.record(offset, window)
            length += record.length
            if length > self.most_read:
                raise DirectoryError("records overlap", offset)
            if record.in_use:
                yield record
            offset = record.next


def _read_header(window: Window) -> Header:
    meta = read_meta(window)
    if meta.transfer_syntax == DEFLATED:
        raise DirectoryError("the DICOMDIR is deflated and so its offsets lead nowhere")
    syntax = meta.syntax(window)
    values: dict[int, bytes] = {}
    records, behind = meta.start, 0
    for element in elements(window, meta.start, window.size, syntax, cut=True):
        values[element.tag] = b""
        if element.tag == tags.DIRECTORY_RECORD_SEQUENCE:
            records = element.start
            is_whole = True
            if element.length != UNDEFINED_LENGTH:
                behind = element.start + element.length
                is_whole = behind <= window.size
            break
        if element.length <= _MAX_VALUE:
            values[element.tag] = window.read(element.start, element.length)
    else:
        # A DICOMDIR without records is whole only if it says that it is empty.
        is_whole = not any(values.get(tags.OFFSET_OF_FIRST_ROOT_RECORD, b"?"))
    if not any(tag >> 16 == _DIRECTORY_GROUP for tag in values):
        raise NotDicomError("the file is in DICOM format, but no directory")
    return Header(
        syntax,
        meta.sop_instance_uid,
        values.get(tags.FILE_SET_ID, b"").strip(b" \0"),
        syntax.integer(values.get(tags.OFFSET_OF_FIRST_ROOT_RECORD, b"")),
        records,
        behind,
        is_whole,
        tuple(_unusual(meta, syntax, values)),
    )


def _unusual(meta: Meta, syntax: Syntax, values: dict[int, bytes]) -> Iterator[Kind]:
    if not meta.is_whole:
        yield Kind.NO_FILE_META
    elif meta.sop_class_uid != DIRECTORY:
        yield Kind.WRONG_SOP_CLASS
    is_declared = meta.transfer_syntax == EXPLICIT_VR_LITTLE_ENDIAN
    if not is_declared or syntax is not EXPLICIT_LITTLE:
        yield Kind.WRONG_SYNTAX
    if any(values.get(tags.FILE_SET_CONSISTENCY_FLAG, b"")):
        yield Kind.CONSISTENCY_FLAG
