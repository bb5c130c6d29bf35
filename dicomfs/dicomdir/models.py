"""Records that were read, as models for others that are laid out alike.

A writer lays out the records of all images of a series in the same way. Once a few of
them were read element by element, the others are read in one look each, or many of them in
one.
"""

from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.element import UNDEFINED_LENGTH, Syntax
from dicomfs.dicom.layout import Alike, Form, Layout, form_of
from dicomfs.dicom.types import type_as_written
from dicomfs.dicomdir.record import (
    ITEM_HEADER,
    NO_RECORD,
    REPEATED,
    WANTED,
    DirectoryRecord,
    compact,
    file_id_of,
    level_of_record,
    read_record,
)
from dicomfs.source.window import Window

# How many layouts are known at a time, and how many more are being made out.
MOST_LAYOUTS: Final = 16
_MOST_SEEN: Final = 64
# A layout is made of so many records, and makes up for so many that are read singly.
_FEW: Final = 4
_WORTH: Final = 16
_LONGEST_MODEL: Final = 4096
# Other lengths of a value are left to those who read element by element.
_MOST_LENGTHS: Final = 32
# Values that are the same in all records of one layout.
_SAME: Final = REPEATED | {tags.RECORD_IN_USE_FLAG}


class _Seen(NamedTuple):
    """What was seen of a form: the lengths of its values, and how *often* since it was made."""

    lengths: tuple[frozenset[int], ...]
    often: int = 0

    def with_lengths(self, lengths: list[int]) -> "_Seen":
        """Return what was seen once more, with these lengths."""
        merged = (a | {b} for a, b in zip(self.lengths, lengths, strict=True))
        return _Seen(tuple(merged), self.often + 1)


class Models:
    """The layouts of the records of one DICOMDIR that ends at *end*.

    Safe to use from several threads: a layout is complete before others see it. What two
    of them learn at a time one of them may forget again.
    """

    def __init__(self, syntax: Syntax, end: int) -> None:
        self._syntax = syntax
        self._end = end
        # Those that were of use last come first.
        self._layouts: tuple[Layout, ...] = ()
        self._seen: dict[Form, _Seen] = {}
        # How many records were read singly, less those that layouts were worth.
        self._credit = 0

    def __len__(self) -> int:
        return len(self._layouts)

    def read(self, window: Window, offset: int) -> DirectoryRecord:
        """Return what ``read_record`` returns, and raise what it raises."""
        if NO_RECORD < offset < self._end:
            window.read(offset, ITEM_HEADER)
            if (alike := self._alike(window, offset)) is not None:
                return alike
        record = read_record(window, offset, self._syntax, self._end)
        self._credit += 1
        self._learn(window, record)
        return record

    def run(self, window: Window, offset: int, most: int) -> Alike | None:
        """Return the record at *offset* and those behind it, as far as they are alike.

        There are *most* in all. They are told by their places in what the *window* shows; None if it does not show
        any that is like one before.
        """
        at = offset - window.start
        for layout in self._layouts if at >= 0 else ():
            if (found := layout.run(window.data, at, most)) is not None:
                self._was_of_use(layout)
                return found
        return None

    def _alike(self, window: Window, offset: int) -> DirectoryRecord | None:
        """Return the record at *offset*; None if it is like none before, or not in sight."""
        at = offset - window.start
        for layout in self._layouts if at >= 0 else ():
            if (record := self._as(layout, window.data, at, offset)) is not None:
                self._was_of_use(layout)
                return record
        return None

    def _as(
        self, layout: Layout, data: bytes, at: int, offset: int
    ) -> DirectoryRecord | None:
        """Return the record at *at* of *data* if it is laid out as *layout* says."""
        found = layout.read(data, at)
        if found is None:
            return None
        end, values = found
        integer = self._syntax.integer
        in_use = values.get(tags.RECORD_IN_USE_FLAG, b"")
        type_ = type_as_written(values[tags.DIRECTORY_RECORD_TYPE])
        attributes = Attributes(compact(values))
        return DirectoryRecord(
            offset,
            integer(values.get(tags.OFFSET_OF_NEXT_RECORD, b"")),
            integer(values.get(tags.OFFSET_OF_LOWER_ENTITY, b"")),
            not in_use or any(in_use),
            integer(values.get(tags.MRDR_OFFSET, b"")),
            type_,
            attributes,
            level_of_record(type_, attributes),
            file_id_of(attributes),
            end - at - (ITEM_HEADER if layout.form.is_open else 0),
        )

    def _was_of_use(self, layout: Layout) -> None:
        if self._layouts[0] is not layout:
            self._put(layout)

    def _put(self, layout: Layout) -> None:
        others = [each for each in self._layouts if each.form != layout.form]
        self._layouts = (layout, *others[: MOST_LAYOUTS - 1])

    def _learn(self, window: Window, record: DirectoryRecord) -> None:
        """Learn from *record*, if it is a plain one.

        Nothing more is read for it: what was passed over may lie on a bad sector.
        """
        at = record.offset - window.start
        if record.damage or at < 0:
            return
        header = window.data[at : at + ITEM_HEADER]
        is_open = self._syntax.integer(header[4:]) == UNDEFINED_LENGTH
        end = at + record.length + (ITEM_HEADER if is_open else 0)
        if end - at > _LONGEST_MODEL or end > len(window.data):
            return
        found = form_of(window.data[at:end], self._syntax, WANTED, _SAME)
        if found is None:
            return
        form, lengths = found
        empty = _Seen((frozenset(),) * len(lengths))
        seen = self._seen.get(form, empty).with_lengths(lengths)
        if seen.often >= _FEW and self._credit >= 0:
            self._credit -= _WORTH
            layout = Layout(form, seen.lengths, self._syntax)
            if _is_sound(layout, seen) and (
                self._as(layout, window.data, at, record.offset) == record
            ):
                self._put(layout)
            seen = seen._replace(often=0)
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        self._seen[form] = seen


def _is_sound(layout: Layout, seen: _Seen) -> bool:
    """Whether records of this layout are read alike, and its expression is not too long."""
    # Where the type is missing the bytes behind the Item count, too.
    has_type = tags.DIRECTORY_RECORD_TYPE in layout.same
    return has_type and max(map(len, seen.lengths), default=0) <= _MOST_LENGTHS
