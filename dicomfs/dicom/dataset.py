"""A data set with the sequences in it, read whole and in one pass.

``header`` reads the beginning of any file, this reads all of what is known to be small.
Each byte is passed once, however deep sequences nest.
"""

from collections.abc import Collection, Mapping, Sequence
from struct import calcsize, iter_unpack
from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.element import (
    ITEM,
    ITEM_DELIMITATION,
    MAX_DEPTH,
    SEQUENCE_DELIMITATION,
    UNDEFINED_LENGTH,
    Element,
    Syntax,
    elements,
    end_of_undefined,
    syntax_inside,
)
from dicomfs.errors import ElementError, EndlessError
from dicomfs.source.window import Window

# All of a large report have a tenth of it.
MOST_ELEMENTS: Final = 500_000
_HEADER: Final = 8


class DataSet(NamedTuple):
    """The *attributes* of a data set, and the data sets in its *sequences*, by tag."""

    attributes: Attributes
    sequences: Mapping[int, Sequence["DataSet"]]
    syntax: Syntax

    def items(self, tag: int) -> Sequence["DataSet"]:
        """Return the items of a sequence; none if it is not there."""
        return self.sequences.get(tag, ())

    def first(self, tag: int) -> "DataSet | None":
        """Return the first item of a sequence; None if there is none."""
        return next(iter(self.items(tag)), None)

    def numbers(self, tag: int, form: str) -> list[float]:
        """Return the binary numbers of *tag*, of which each is a *form* of ``struct``."""
        value = self.attributes.values.get(tag, b"")
        order = "<" if self.syntax.little else ">"
        size = calcsize(order + form)
        whole = value[: len(value) // size * size]
        return [number for (number,) in iter_unpack(order + form, whole)]


class _Reader:
    def __init__(self, window: Window, sequences: Collection[int], most: int) -> None:
        self._window = window
        self._sequences = sequences
        self._left = most

    def data_set(
        self,
        offset: int,
        end: int,
        syntax: Syntax,
        above: tuple[bytes, ...],
        depth: int,
        *,
        is_open: bool = False,
    ) -> tuple[DataSet, int]:
        """Return the data set at *offset*, and where it ends: before *end*, if it *is_open*.

        Then it has to have an Item Delimitation Item.
        """
        if depth > MAX_DEPTH:
            raise ElementError(f"sequences nest deeper than {MAX_DEPTH}", offset)
        values: dict[int, bytes] = {}
        found: dict[int, Sequence[DataSet]] = {}
        while offset + _HEADER <= end:
            element = self._element(offset, end, syntax)
            if element.tag == ITEM_DELIMITATION:
                is_open = False
                offset = element.start
                break
            if element.tag in self._sequences:
                own = values.get(tags.SPECIFIC_CHARACTER_SET, b"")
                sets = (own, *above) if own else above
                found[element.tag], offset = self._items(
                    element, end, syntax, sets, depth + 1
                )
            elif element.length == UNDEFINED_LENGTH:
                inner = syntax_inside(element.vr, syntax)
                offset = end_of_undefined(
                    self._window, element.start, end, inner, depth + 1
                )
            else:
                offset = element.start + element.length
                values[element.tag] = self._window.read(element.start, element.length)
        if is_open:
            raise EndlessError("an item of undefined length has no end", offset)
        return DataSet(Attributes(values, above), found, syntax), offset

    def _element(self, offset: int, end: int, syntax: Syntax) -> Element:
        self._left -= 1
        if self._left < 0:
            raise ElementError("there are too many elements", offset)
        element = next(elements(self._window, offset, end, syntax), None)
        if element is None:
            raise EndlessError("the data set is cut off", offset)
        return element

    def _items(
        self,
        sequence: Element,
        end: int,
        syntax: Syntax,
        above: tuple[bytes, ...],
        depth: int,
    ) -> tuple[list[DataSet], int]:
        """Return the items of a sequence, and where it ends."""
        inner, offset = syntax_inside(sequence.vr, syntax), sequence.start
        is_open = sequence.length == UNDEFINED_LENGTH
        stop = end if is_open else sequence.start + sequence.length
        found: list[DataSet] = []
        while offset < stop:
            header = self._window.read(offset, _HEADER)
            if len(header) < _HEADER or offset + _HEADER > stop:
                raise EndlessError("a sequence is cut off", offset)
            tag, _, length, _ = inner.plain_header(header, 0)
            offset += _HEADER
            if tag == SEQUENCE_DELIMITATION:
                return found, offset
            if tag != ITEM:
                raise ElementError("there is no item in a sequence", offset)
            is_open_item = length == UNDEFINED_LENGTH
            last = stop if is_open_item else offset + length
            if last > stop:
                raise ElementError("an item is longer than its sequence", offset)
            item, behind = self.data_set(
                offset, last, inner, above, depth, is_open=is_open_item
            )
            offset = behind if is_open_item else last
            found.append(item)
        if is_open:
            raise EndlessError("a sequence of undefined length has no end", offset)
        return found, stop


def read_data_set(
    window: Window,
    offset: int,
    syntax: Syntax,
    sequences: Collection[int],
    most: int = MOST_ELEMENTS,
) -> DataSet:
    """Return the data set that begins at *offset*, and ends where the source does.

    Only sequences whose tags are among *sequences* are read, others are passed over.
    There may be *most* elements. Raises OSError from the medium, and ElementError where
    anything is damaged, nests too deeply, or is cut off.
    """
    reader = _Reader(window, sequences, most)
    end = window.size
    return reader.data_set(offset, end, syntax, (), 0)[0]
