"""A DICOMDIR, read lazily: its header, and directory entities by their offsets.

Offsets count from the first byte of the file and name the first byte of an item
(PS3.3 F.2.2.2). Only the links make the tree: the order in which records lie in the
file means nothing.
"""

import hashlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from dicomfs import tags
from dicomfs.element import Syntax, elements
from dicomfs.errors import DirectoryError, ElementError, NotDicomError
from dicomfs.meta import DEFLATED, read_meta
from dicomfs.record import NO_RECORD, DirectoryRecord, read_record
from dicomfs.source import Source, Window

_DIRECTORY_GROUP: Final = 0x0004
_MAX_VALUE: Final = 256


class Header(NamedTuple):
    """What stands in front of the directory records."""

    syntax: Syntax
    file_set_uid: bytes
    file_set_id: bytes
    root: int
    is_whole: bool


class Directory:
    """The records of one DICOMDIR.

    Safe to use from several threads: each walk reads through a window of its own.
    """

    def __init__(self, source: Source) -> None:
        """Read the header of the DICOMDIR in *source* and check its root.

        Raises NotDicomError or DirectoryError, and OSError from the medium.
        """
        self.source = source
        window = Window(source)
        window.load(0)
        # Not the File-set UID alone: some writers give all their discs the same.
        beginning = b"%d %b" % (source.size, window.data)
        self.identity: bytes = hashlib.sha256(beginning).digest()
        try:
            self.header = _read_header(window)
        except ElementError as error:
            raise DirectoryError(f"the header is damaged: {error}") from error
        if self.header.root != NO_RECORD:
            self.record(self.header.root, window)

    def record(self, offset: int, window: Window | None = None) -> DirectoryRecord:
        """Return the directory record at *offset*; DirectoryError if there is none."""
        return read_record(
            window or Window(self.source),
            offset,
            self.header.syntax,
            self.source.size,
        )

    def entity(self, first: int) -> Iterator[DirectoryRecord]:
        """Yield the records of the directory entity whose first record is at *first*.

        Inactive records are passed over: of them only the link to the next one counts
        (PS3.3 F.3.2.2). Raises DirectoryError where the chain breaks or closes a loop,
        behind the records that came before.
        """
        window = Window(self.source)
        seen: set[int] = set()
        offset = first
        while offset != NO_RECORD:
            if offset in seen:
                raise DirectoryError("a chain of records loops back", offset)
            seen.add(offset)
            record = self.record(offset, window)
            if record.in_use:
                yield record
            offset = record.next


def _read_header(window: Window) -> Header:
    meta = read_meta(window)
    if meta.transfer_syntax == DEFLATED:
        raise DirectoryError("the DICOMDIR is deflated and so its offsets lead nowhere")
    syntax = meta.syntax(window)
    values: dict[int, bytes] = {}
    for element in elements(window, meta.start, window.size, syntax):
        values[element.tag] = b""
        if element.tag == tags.DIRECTORY_RECORD_SEQUENCE:
            break
        if element.length <= _MAX_VALUE:
            values[element.tag] = window.read(element.start, element.length)
    if not any(tag >> 16 == _DIRECTORY_GROUP for tag in values):
        raise NotDicomError("the file is in DICOM format, but no directory")
    return Header(
        syntax,
        meta.sop_instance_uid,
        values.get(tags.FILE_SET_ID, b"").strip(b" \0"),
        root := syntax.integer(values.get(tags.OFFSET_OF_FIRST_ROOT_RECORD, b"")),
        # A sequence that is longer than the file is not met here.
        root == NO_RECORD or tags.DIRECTORY_RECORD_SEQUENCE in values,
    )
