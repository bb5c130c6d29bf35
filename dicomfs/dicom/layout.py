"""Items laid out as earlier ones: all their values in one look, or many Items in one.

Writers give the images of a series the same elements. Once some of them were read element
by element, others only have to have the same headers in the same order, with lengths of
values that were met before (PS3.5 7.1). That is what a compiled expression finds out. It
holds in all encodings, and for Items and sequences that have no length: reading passes
over values, and is led by headers alone.
"""

import re
from collections.abc import Container, Mapping, Sequence
from functools import cached_property
from operator import eq, sub
from struct import error as StructError  # noqa: N812 - an exception's name
from typing import Final, NamedTuple

from dicomfs.dicom.element import (
    ITEM,
    ITEM_DELIMITATION,
    SEQUENCE_DELIMITATION,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    Syntax,
)

_HEADER: Final = 8
_ITEM_GROUP: Final = 0xFFFE
_MOST_PARTS: Final = 200


class Part(NamedTuple):
    """A part of an Item: bytes that are the same in all of them, and then a value.

    In front of the value stands its length, in so many bytes as its *width*. A value that
    is read has a *tag*, others 0. Where there is no *width*, *passed* bytes come instead.
    """

    fixed: bytes
    width: int = 0
    tag: int = 0
    passed: int = 0


class Form(NamedTuple):
    """What Items laid out alike have in common: their *parts*, and the values in those.

    One that *is_open* has no length, and ends with a delimiter.
    """

    is_open: bool
    parts: tuple[Part, ...]
    same: tuple[tuple[int, bytes], ...]


def form_of(
    item: bytes, syntax: Syntax, wanted: Mapping[int, int], same: Container[int]
) -> tuple[Form, list[int]] | None:
    """Return the form of an *item*, and the lengths of the values that may have others.

    The *item* goes from its header to its end or its delimiter. *wanted* has the tags
    whose values are read, and the longest value of each; those of tags in *same* belong to
    the form. None if reading it is led by anything but headers in their order.
    """
    try:
        return _Former(item, syntax, wanted, same).form()
    except (StructError, _OddError):
        return None


class _OddError(Exception):
    """An Item has something that only careful reading knows what to do with."""


class _Former:
    """Takes one Item apart, from the first element to the last."""

    def __init__(
        self,
        item: bytes,
        syntax: Syntax,
        wanted: Mapping[int, int],
        same: Container[int],
    ) -> None:
        self._item = item
        self._syntax = syntax
        self._wanted = wanted
        self._is_same = same
        self._parts: list[Part] = []
        self._same: list[tuple[int, bytes]] = []
        self._lengths: list[int] = []

    def form(self) -> tuple[Form, list[int]]:
        """Return what the Item is made of; raises StructError and _OddError."""
        item = self._item
        tag, _, length, _ = self._syntax.plain_header(item, 0)
        is_open = length == UNDEFINED_LENGTH
        if tag != ITEM or not (is_open or length == len(item) - _HEADER):
            raise _OddError
        if self._elements(_HEADER, is_open=is_open, is_inside=False) != len(item):
            raise _OddError
        return Form(is_open, tuple(self._parts), tuple(self._same)), self._lengths

    def _elements(self, at: int, *, is_open: bool, is_inside: bool) -> int:
        """Add the elements from *at* on; return where they end, their delimiter included."""
        item, before = self._item, -1
        while at < len(item):
            tag, vr, length, size = self._syntax.header(item, at)
            value = at + size
            if is_open and tag == ITEM_DELIMITATION and not length:
                self._add(Part(item[at:value]))
                return value
            if tag >> 16 == _ITEM_GROUP or (tag <= before and not is_inside):
                raise _OddError
            before = tag
            if length == UNDEFINED_LENGTH:
                if vr == b"UN" or tag in self._wanted:
                    raise _OddError
                self._add(Part(item[at:value]))
                at = self._items(value)
                continue
            if is_inside:
                self._add(Part(item[at:value], passed=length))
            else:
                self._add_element(tag, vr, at, value, length)
            at = value + length
        if is_open:
            raise _OddError
        return at

    def _items(self, at: int) -> int:
        """Add the Items of a sequence without a length; return where it ends."""
        while True:
            tag, _, length, _ = self._syntax.plain_header(self._item, at)
            header, at = self._item[at : at + _HEADER], at + _HEADER
            if tag == SEQUENCE_DELIMITATION:
                self._add(Part(header))
                return at
            if tag != ITEM:
                raise _OddError
            if length == UNDEFINED_LENGTH:
                self._add(Part(header))
                at = self._elements(at, is_open=True, is_inside=True)
            else:
                self._add(Part(header, passed=length))
                at += length

    def _add_element(
        self, tag: int, vr: bytes | None, at: int, value: int, length: int
    ) -> None:
        """Add the element at *at*, whose *value* may be longer or shorter in others."""
        longest = self._wanted.get(tag)
        if longest is not None and length > longest:
            raise _OddError
        if tag in self._is_same:
            self._same.append((tag, self._item[value : value + length]))
            self._add(Part(self._item[at : value + length]))
            return
        width = 2 if vr in SHORT_VRS else 4
        fixed = self._item[at : value - width]
        self._add(Part(fixed, width, 0 if longest is None else tag))
        self._lengths.append(length)

    def _add(self, part: Part) -> None:
        if len(self._parts) == _MOST_PARTS:
            raise _OddError
        self._parts.append(part)


class Alike(NamedTuple):
    """Items that touch each other and are laid out alike, with the values in *same*.

    *starts* says where in the data each begins, *end* where the last one ends.
    """

    starts: list[int]
    end: int
    same: Mapping[int, bytes]
    # What was found of all Items; of each tag where it is there, and what is in front.
    columns: Sequence[Sequence[bytes]]
    places: Mapping[int, tuple[int, int]]

    def values(self, tag: int) -> Sequence[bytes]:
        """Return the value that each Item has of a *tag*; KeyError if it is not there."""
        if tag in self.same:
            return [self.same[tag]] * len(self.starts)
        number, width = self.places[tag]
        column = self.columns[number]
        return [each[width:] for each in column] if width else column


class Layout:
    """How Items of one *form* are laid out, by the *lengths* that each value may have."""

    def __init__(
        self, form: Form, lengths: Sequence[frozenset[int]], syntax: Syntax
    ) -> None:
        self.form = form
        self.same = dict(form.same)
        self._lengths = lengths
        self._syntax = syntax
        # Of each value that is read: which group it is, and how much is in front of it.
        self._places: dict[int, tuple[int, int]] = {}
        varying = [part for part in form.parts if part.width]
        for part, ways in zip(varying, lengths, strict=True):
            if part.tag:
                width = part.width if len(ways) > 1 else 0
                self._places[part.tag] = len(self._places) + 1, width

    @cached_property
    def _expression(self) -> "re.Pattern[bytes]":
        lengths = iter(self._lengths)
        said = re.escape(b"\xff" * 4) if self.form.is_open else b"...."
        parts = [re.escape(self._syntax.tag(ITEM)), b"(%b)" % said]
        for part in self.form.parts:
            parts.append(re.escape(part.fixed))
            if not part.width:
                parts.append(b".{%d}" % part.passed)
                continue
            ways = self._ways(part.width, next(lengths), is_read=bool(part.tag))
            parts.append(ways)
        return re.compile(b"".join(parts), re.DOTALL)

    def _ways(self, width: int, lengths: frozenset[int], *, is_read: bool) -> bytes:
        """Return what finds a length and its value; if that is read, in a group."""
        order: Final = "little" if self._syntax.little else "big"
        ways = [
            (re.escape(each.to_bytes(width, order)), b".{%d}" % each)
            for each in sorted(lengths)
        ]
        if len(ways) == 1 and is_read:
            return b"%b(%b)" % ways[0]
        joined = b"|".join(map(b"".join, ways))
        return b"(%b)" % joined if is_read else b"(?:%b)" % joined

    def read(self, data: bytes, at: int) -> tuple[int, dict[int, bytes]] | None:
        """Return where the Item at *at* ends, and its values by tag.

        None if it is laid out in another way, or *data* does not have all of it.
        """
        found = self._expression.match(data, at)
        if found is None:
            return None
        row = found.groups()
        if not self._sound([at, found.end()], row[:1]):
            return None
        values = self.same.copy()
        for tag, (number, width) in self._places.items():
            values[tag] = row[number][width:]
        return found.end(), values

    def run(self, data: bytes, at: int, most: int) -> Alike | None:
        """Return the Item at *at* and those behind it that are laid out so, *most* in all."""
        places = [at]
        rows: list[tuple[bytes, ...]] = []
        match = self._expression.match
        while len(rows) < most and (found := match(data, at)) is not None:
            at = found.end()
            places.append(at)
            rows.append(found.groups())
        count = self._sound(places, [row[0] for row in rows])
        if not count:
            return None
        columns = list(zip(*rows[:count], strict=True))
        return Alike(places[:count], places[count], self.same, columns, self._places)

    def _sound(self, places: Sequence[int], said: Sequence[bytes]) -> int:
        """Return how many Items, from the first on, are as long as they have *said*.

        Each goes from one of *places* to the next.
        """
        if self.form.is_open or not said:
            return len(said)
        lengths = list(map(_HEADER.__rsub__, map(sub, places[1:], places)))
        told = [*self._syntax.integers(said)]
        if lengths == told:
            return len(said)
        return list(map(eq, lengths, told)).index(False)
