"""Items laid out as an earlier one: the values of all their elements in one look.

Writers give the images of a series the same elements, with values of the same lengths.
Once one of them was read element by element, the next one only has to have the same
headers in the same places (PS3.5 7.1.2, explicit VR little endian).
"""

from collections.abc import Callable, Container, Mapping
from operator import itemgetter
from struct import Struct
from typing import Any, Final, NamedTuple

from dicomfs.dicom.element import EXPLICIT_LITTLE, SHORT_VRS

_HEADER: Final = 8
# Fewer parts are not worth a layout, and ``itemgetter`` needs at least two.
_FEWEST: Final = 2


class Layout(NamedTuple):
    """How an Item of *size* bytes is laid out, its own header included.

    *tags* are those of the values in their order, *repeated* the values that are part
    of what is the same in all Items.
    """

    size: int
    repeated: dict[int, bytes]
    tags: tuple[int, ...]
    unpack: Callable[[bytes, int], tuple[bytes, ...]]
    fixed: tuple[bytes, ...]
    fixed_of: Callable[[tuple[bytes, ...]], Any]
    values_of: Callable[[tuple[bytes, ...]], Any]

    def read(self, data: bytes, at: int) -> dict[int, bytes] | None:
        """Return the values by tag of the Item at *at*, all of whose bytes are there.

        None if it is laid out in another way.
        """
        parts = self.unpack(data, at)
        if self.fixed_of(parts) != self.fixed:
            return None
        values = dict(zip(self.tags, self.values_of(parts), strict=True))
        values.update(self.repeated)
        return values


def layout_of(
    item: bytes, wanted: Mapping[int, int], repeated: Container[int]
) -> Layout | None:
    """Return how *item* is laid out, from its header to its end.

    *wanted* has the tags whose values are read, and the longest value of each. Values
    of *repeated* tags have to be the same in all such Items. None if there is anything
    but plain elements in it.
    """
    found = _Parts()
    start, at = 0, _HEADER
    while at + _HEADER <= len(item):
        group, element, vr, length = EXPLICIT_LITTLE.short(item, at)
        tag = group << 16 | element
        value = at + _HEADER
        at = value + length
        if vr not in SHORT_VRS or at > len(item):
            return None
        if tag in repeated:
            found.repeated[tag] = item[value:at]
        else:
            found.add_fixed(item[start:value])
            found.add_value(tag, length, is_read=length <= wanted.get(tag, -1))
            start = at
    if at != len(item):
        return None
    found.add_fixed(item[start:])
    return found.layout(len(item))


class _Parts:
    """The parts of an Item, from the first to the last."""

    def __init__(self) -> None:
        self._format = "<"
        self._count = 0
        self.repeated: dict[int, bytes] = {}
        self._fixed: dict[int, bytes] = {}
        self._values: dict[int, int] = {}

    def add_fixed(self, data: bytes) -> None:
        """Add bytes that are to be the same in all Items."""
        self._format += f"{len(data)}s"
        self._fixed[self._count] = data
        self._count += 1

    def add_value(self, tag: int, length: int, *, is_read: bool) -> None:
        """Add the value of an element."""
        if not is_read:
            self._format += f"{length}x"
            return
        self._format += f"{length}s"
        self._values[self._count] = tag
        self._count += 1

    def layout(self, size: int) -> Layout | None:
        """Return the layout of all parts."""
        if min(len(self._fixed), len(self._values)) < _FEWEST:
            return None
        return Layout(
            size,
            self.repeated,
            tuple(self._values.values()),
            Struct(self._format).unpack_from,
            tuple(self._fixed.values()),
            itemgetter(*self._fixed),
            itemgetter(*self._values),
        )
