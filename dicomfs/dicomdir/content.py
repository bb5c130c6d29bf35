"""What a directory record consists of: its elements, each as a DICOMDIR should have it.

Elements that are as they should be are copied byte for byte. Those in other encodings
are written in explicit VR, little endian, and a VR that is not the attribute's own is
mended.
"""

from collections.abc import Iterator
from struct import error as StructError  # noqa: N812 - an exception's name
from typing import Final

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.element import (
    EXPLICIT_LITTLE,
    ITEM,
    ITEM_DELIMITATION,
    MAX_DEPTH,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    Element,
    Syntax,
    elements,
    end_of_undefined,
    items,
    syntax_inside,
)
from dicomfs.dicomdir.encoding import VRS, element, item
from dicomfs.dicomdir.record import ITEM_HEADER
from dicomfs.errors import ElementError, EndlessError
from dicomfs.source.source import BytesSource
from dicomfs.source.window import Window

Content = dict[int, bytes]
"""The elements of a record by their tags, each with its header, as they are written."""

_TEXTS: Final = frozenset(b"AE AS CS DA DS DT IS LO LT PN SH ST TM UI UN".split())
# How many bytes are one number, which are in another order in big endian.
_WIDTHS: Final = (
    dict.fromkeys((b"AT", b"OW", b"SS", b"US"), 2)
    | dict.fromkeys((b"FL", b"OF", b"OL", b"SL", b"UL"), 4)
    | dict.fromkeys((b"FD", b"OD", b"OV", b"SV", b"UV"), 8)
)
# How long the header of an element is (PS3.5 7.1.2).
_SHORT: Final = 8
_LONG: Final = 12
_SEQUENCE: Final = b"SQ"
_UNKNOWN: Final = b"UN"


def content_of(data: bytes, syntax: Syntax) -> Content:
    """Return what the item consists of that is *data*, its header included.

    The first of several elements with one tag counts, and group lengths do not (they were
    retired, and may not be true any more). Raises ElementError if the elements are not
    encoded as they should be.
    """
    return _Copier(data, syntax).content(ITEM_HEADER, len(data), 0)


def content_from(attributes: Attributes) -> Content:
    """Return a record's content made of the values that are known of it."""
    return {
        tag: element(tag, value)
        for tag, value in attributes.values.items()
        if tag in VRS or tag == tags.CONCEPT_NAME_CODE_SEQUENCE
    }


def raw(content: Content, tag: int) -> bytes:
    """Return the value of an element in *content* without padding; empty if none is.

    For text and UIDs.
    """
    found = content.get(tag)
    if found is None:
        return b""
    return found[_SHORT if found[4:6] in SHORT_VRS else _LONG :].strip(b" \0")


class _Copier:
    """Copies the elements of an item, *data*, in a *syntax*."""

    def __init__(self, data: bytes, syntax: Syntax) -> None:
        self._data = data
        self._window = Window(BytesSource(data))
        self._syntax = syntax

    def content(self, start: int, end: int, depth: int) -> Content:
        """Return the elements from *start* to *end*, or to a delimiter before."""
        found: Content = {}
        if self._syntax is EXPLICIT_LITTLE:
            start = self._copy_plain(found, start, end)
        for each, stop in self._elements(start, end, depth):
            if each.tag & 0xFFFF:
                found.setdefault(each.tag, self._written(each, stop, depth))
        return found

    def _copy_plain(self, found: Content, at: int, end: int) -> int:
        """Copy elements to *found* up to the first that is not simply to be copied.

        Return where that begins. Most records consist of nothing else.
        """
        data, unpack = self._data, self._syntax.short
        while at + _SHORT <= end:
            group, element_, vr, length = unpack(data, at)
            tag, stop = group << 16 | element_, at + _SHORT + length
            is_short = vr in SHORT_VRS and not length % 2 and stop <= end
            if not is_short or VRS.get(tag, vr) != vr:
                break
            if element_:
                found.setdefault(tag, data[at:stop])
            at = stop
        return at

    def _elements(self, at: int, end: int, depth: int) -> Iterator[tuple[Element, int]]:
        """Yield the elements and where each ends; raises ElementError."""
        if depth > MAX_DEPTH:
            raise ElementError(f"sequences nest deeper than {MAX_DEPTH}", at)
        while at < end:
            each = self._element_at(at, end)
            if each.tag == ITEM_DELIMITATION:
                return
            stop = each.start + each.length
            if each.length == UNDEFINED_LENGTH:
                inner = syntax_inside(each.vr, self._syntax)
                stop = end_of_undefined(self._window, each.start, end, inner, depth + 1)
            yield each, stop
            at = stop

    def _element_at(self, at: int, end: int) -> Element:
        try:
            found = next(elements(self._window, at, end, self._syntax), None)
        except StructError:
            found = None
        if found is None or (found.tag >> 16 == ITEM >> 16) != (
            found.tag == ITEM_DELIMITATION
        ):
            raise EndlessError("its elements do not fill it", at)
        return found

    def _written(self, each: Element, stop: int, depth: int) -> bytes:
        """Return an element as it should be written."""
        value = self._window.read(each.start, stop - each.start)
        vr = self._vr(each)
        if vr == _SEQUENCE:
            return self._sequence(each, stop, value, depth)
        if not self._syntax.little and (width := _WIDTHS.get(vr)):
            value = _turned(value, width)
        if each.length == UNDEFINED_LENGTH:
            return _open(each.tag, _UNKNOWN, value)
        return element(each.tag, value, vr)

    def _vr(self, each: Element) -> bytes:
        """Return the VR to write an element with: its own, if it is not a wrong one."""
        own = VRS.get(each.tag, b"")
        if each.vr is None:
            is_open = each.length == UNDEFINED_LENGTH
            return _SEQUENCE if is_open and self._syntax.explicit else own or _UNKNOWN
        if own in _TEXTS and each.vr in _TEXTS and each.length != UNDEFINED_LENGTH:
            return own
        return each.vr

    def _sequence(self, each: Element, stop: int, value: bytes, depth: int) -> bytes:
        """Return a sequence; in the right encoding it is copied once it proves sound."""
        parts: list[Content] = []
        end = stop
        for start, last in items(self._window, each.start, end, self._syntax):
            parts.append(self.content(start, last, depth + 1))
        if self._syntax is not EXPLICIT_LITTLE:
            inside = b"".join(item(joined(part)) for part in parts)
            return element(each.tag, inside, _SEQUENCE)
        if each.length == UNDEFINED_LENGTH:
            return _open(each.tag, _SEQUENCE, value)
        return element(each.tag, value, _SEQUENCE)


def joined(content: Content) -> bytes:
    """Return the elements of *content*, in the order of their tags."""
    return b"".join(data for _, data in sorted(content.items()))


def _open(tag: int, vr: bytes, value: bytes) -> bytes:
    """Return an element of undefined length; *value* ends with its delimiter."""
    head = element(tag, b"", vr)
    return head[:-4] + UNDEFINED_LENGTH.to_bytes(4, "little") + value


def _turned(value: bytes, width: int) -> bytes:
    """Return numbers in little endian."""
    return b"".join(value[at : at + width][::-1] for at in range(0, len(value), width))
