"""Records that were read, as models for others that are laid out alike.

A writer lays out the records of all images of a series in the same way. Once one of
them was read element by element, the others are read in one look each.
"""

from dataclasses import dataclass
from typing import Final

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.element import EXPLICIT_LITTLE, Syntax
from dicomfs.dicom.layout import Layout, layout_of
from dicomfs.dicomdir.record import (
    ITEM_HEADER,
    NO_RECORD,
    REPEATED,
    WANTED,
    DirectoryRecord,
    file_id_of,
    level_of_record,
    read_record,
)
from dicomfs.source.window import Window

# How many records are models for others, and how many in a row may not be like one
# before another takes its place.
MOST_MODELS: Final = 64
_MOST_MISSES: Final = 2
_LONGEST_MODEL: Final = 2048
_LINKS: Final = (
    tags.OFFSET_OF_NEXT_RECORD,
    tags.OFFSET_OF_LOWER_ENTITY,
    tags.MRDR_OFFSET,
)


@dataclass(slots=True)
class _Model:
    """How a record was laid out that was read, and of which type those like it are."""

    layout: Layout
    type: str
    # How many in a row were not like it.
    misses: int = 0

    def read(self, window: Window, offset: int, end: int) -> DirectoryRecord | None:
        """Return the record at *offset*; None if it is not like this, or not in sight."""
        data, at, size = window.data, offset - window.start, self.layout.size
        if at < 0 or at + size > len(data) or offset + size > end:
            return None
        values = self.layout.read(data, at)
        if values is None:
            self.misses += 1
            return None
        self.misses = 0
        next_, lower, mrdr = [
            int.from_bytes(values.pop(tag, b""), "little") for tag in _LINKS
        ]
        in_use = values.pop(tags.RECORD_IN_USE_FLAG, b"")
        attributes = Attributes(values)
        return DirectoryRecord(
            offset,
            next_,
            lower,
            not in_use or any(in_use),
            mrdr,
            self.type,
            attributes,
            level_of_record(self.type, attributes),
            file_id_of(attributes),
            size,
        )


class Models:
    """The models of one DICOMDIR that ends at *end*; at most ``MOST_MODELS``.

    Safe to use from several threads: a model is complete before others see it. A miss
    that two threads count as one only keeps a model a little longer.
    """

    def __init__(self, syntax: Syntax, end: int) -> None:
        self._syntax = syntax
        self._end = end
        # By the header of their items, which has their length.
        self._models: dict[bytes, _Model] = {}

    def __len__(self) -> int:
        return len(self._models)

    def read(self, window: Window, offset: int) -> DirectoryRecord:
        """Return what ``read_record`` returns, and raise what it raises."""
        end = self._end
        if self._syntax is not EXPLICIT_LITTLE or not NO_RECORD < offset < end:
            return read_record(window, offset, self._syntax, end)
        header = window.read(offset, ITEM_HEADER)
        model = self._models.get(header)
        if model is not None and (alike := model.read(window, offset, end)) is not None:
            return alike
        record = read_record(window, offset, self._syntax, end)
        if model is None or model.misses > _MOST_MISSES:
            self._learn(window, header, record)
        return record

    def _learn(self, window: Window, header: bytes, record: DirectoryRecord) -> None:
        """Make *record* the model of those with the same *header*, if it is a plain one.

        Nothing more is read for it: what was passed over may lie on a bad sector.
        """
        at, length = record.offset - window.start, record.length
        # Only a length that is written says that nothing but these elements belongs to it.
        if int.from_bytes(header[4:], "little") != length - ITEM_HEADER:
            return
        if length > _LONGEST_MODEL or at < 0 or at + length > len(window.data):
            return
        layout = layout_of(window.data[at : at + length], WANTED, REPEATED)
        # Where the type is missing the bytes behind the Item count, too.
        if layout is None or tags.DIRECTORY_RECORD_TYPE not in layout.repeated:
            return
        model = _Model(layout, record.type)
        if model.read(window, record.offset, record.offset + length) == record:
            if len(self._models) >= MOST_MODELS:
                self._models.clear()
            self._models[header] = model
