"""Elements that do not lead on: the other ways to read them, and the one that does.

A data set is a run of elements whose tags ascend (PS3.5 7.1). Where an element has a VR
that is none, a length of the wrong width or a sequence that is not closed, reading it as
it is written leads astray: to a tag that does not ascend, or behind the end. Then each
element is read in all the ways in which careless writers write, and the way is taken from
which ascending tags lead on.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from dicomfs.dicom.element import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_DELIMITATION,
    SEQUENCE_DELIMITATION,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    Element,
    Syntax,
    end_of_undefined,
    syntax_inside,
)
from dicomfs.errors import ElementError
from dicomfs.source.window import Window

_HEADER: Final = 8
_LONG_HEADER: Final = 12
_ITEM_GROUP: Final = 0xFFFE
_LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_VRS: Final = SHORT_VRS | _LONG_VRS
# Where an element with a VR may begin.
_BEGINNING: Final = re.compile(
    b"(?=[\\s\\S]{4}(?:%b))" % b"|".join(sorted(_VRS)), re.DOTALL
)
# How many elements are looked at ahead; by chance no more than two ascend.
_AHEAD: Final = 4
# What a way is worth at which the end is reached.
_END: Final = 100.0
# How far the end of a sequence is sought by its delimiter, and what comes behind rubbish.
_FARTHEST: Final = 256 * 1024
_FARTHEST_RUBBISH: Final = 64 * 1024
_FARTHEST_IMPLICIT_RUBBISH: Final = 4096
# A value that is no longer may be said to be longer than it is.
_LONGEST_TEXT: Final = 1024
# Delimiters, or items, behind which a sequence may end.
_MOST_DELIMITERS: Final = 8
# Headers that are looked at in one run: what takes more is made to take time.
_MOST_LOOKS: Final = 20_000
# What seeking the end of a sequence in all ways counts beside them.
_COST_OF_ENDS: Final = 200


class Step(NamedTuple):
    """An element in one way of reading it, and where the next one begins.

    *is_usual* says that it is read as it is written. A delimiter that closes nothing is a
    step, too.
    """

    element: Element
    after: int
    is_usual: bool

    @property
    def is_delimiter(self) -> bool:
        """Whether it is an item or a delimiter, and no element of the data set."""
        return self.element.tag >> 16 == _ITEM_GROUP


def steps(
    window: Window,
    offset: int,
    end: int,
    syntax: Syntax,
    *,
    is_open: bool = False,
    looks: int = _MOST_LOOKS,
) -> Iterator[Step]:
    """Yield the elements from *offset* to *end*, each in the way that leads on.

    Ends where none does. With *is_open* an Item Delimitation Item behind which another
    item or the end of the sequence comes ends the run, as does an element that was there
    already: it is of the next item. No more than *looks* are taken at what may be an
    element. Raises OSError from the medium.
    """
    reader = _Reader(window, end, syntax, looks)
    tag, since = -1, offset
    seen: set[int] = set()
    while offset + _HEADER <= end and reader.may_go_on:
        if is_open and reader.is_end_of_item(offset):
            return
        step = reader.best(offset, tag)
        if step is None:
            step = reader.behind_rubbish(
                max(since, offset - _LONGEST_TEXT), offset, tag
            )
        if step is None or (is_open and step.element.tag in seen):
            return
        yield step
        offset = since = step.after
        if not step.is_delimiter:
            tag = step.element.tag
            seen.add(tag)
            # The next element may begin in the value of one that is said to be too long.
            since = step.element.start if step.element.vr in SHORT_VRS else offset


class Found(NamedTuple):
    """Where reading a run of elements ended, and whether all was as it should be."""

    stop: int
    is_usual: bool


def read_values_in_doubt(
    window: Window,
    offset: int,
    end: int,
    syntax: Syntax,
    wanted: Mapping[int, int],
    values: dict[int, bytes],
    last_tag: int = 0xFFFFFFFF,
    *,
    is_open: bool = False,
    looks: int = _MOST_LOOKS,
) -> Found:
    """Put values into *values* as ``element.read_values`` does, each element as it leads on.

    For runs in which that one was led astray. Raises OSError from the medium.
    """
    is_usual = True
    for step in steps(window, offset, end, syntax, is_open=is_open, looks=looks):
        tag = step.element.tag
        if tag > last_tag and not step.is_delimiter:
            break
        is_usual &= step.is_usual
        offset = step.after
        length = offset - step.element.start
        # A tag that comes again is that of something which was swallowed.
        if tag not in values and length <= wanted.get(tag, -1):
            values[tag] = window.read(step.element.start, length)
    return Found(offset, is_usual)


class _Reader:
    """One run of elements, read in every way."""

    def __init__(self, window: Window, end: int, syntax: Syntax, looks: int) -> None:
        self._window = window
        self._end = end
        self._syntax = syntax
        self._looks = looks
        self._known: dict[int, list[Step]] = {}

    @property
    def may_go_on(self) -> bool:
        """Whether the run did not take too long yet."""
        return self._looks > 0

    def is_end_of_item(self, offset: int) -> bool:
        """Whether an item ends at *offset*, and nothing but the next one follows."""
        integer = self._syntax.integer
        head = self._window.read(offset, 2 * _HEADER)
        tags = [
            integer(head[at : at + 2]) << 16 | integer(head[at + 2 : at + 4])
            for at in (0, _HEADER)
        ]
        is_last = len(head) < _HEADER + 4
        return tags[0] == ITEM_DELIMITATION and (
            is_last or tags[1] in {ITEM, SEQUENCE_DELIMITATION}
        )

    def best(self, offset: int, tag: int) -> Step | None:
        """Return the reading at *offset*, behind *tag*, that leads on the farthest."""
        best, most = None, 0.0
        for step in self._readings(offset):
            worth = self._worth(step, tag, _AHEAD)
            if worth > most:
                best, most = step, worth
            if most >= _END or (step.is_usual and most >= _AHEAD):
                break
        return best

    def behind_rubbish(self, since: int, offset: int, tag: int) -> Step | None:
        """Return the first element from *since* on from which several lead on.

        One at *offset* would have been found already.
        """
        for at in self._beginnings(since, offset):
            if not self.may_go_on:
                return None
            for step in self._readings(at)[:1]:
                leads_on = self._worth(step, tag, _AHEAD) >= _AHEAD - 1
                if step.element.tag > tag and step.is_usual and leads_on:
                    return step._replace(is_usual=False)
        return None

    def _beginnings(self, since: int, offset: int) -> Iterator[int]:
        """Yield where elements may begin, from *since* to some way behind *offset*."""
        if not self._syntax.explicit:
            last = min(offset + _FARTHEST_IMPLICIT_RUBBISH, self._end - _HEADER)
            yield from range(since, last + 1)
            return
        last = min(offset + _FARTHEST_RUBBISH, self._end)
        data = self._window.read(since, last - since)
        yield from (since + found.start() for found in _BEGINNING.finditer(data))

    def _worth(self, step: Step, tag: int, ahead: int) -> float:
        """Return how far *step* leads on: how many elements, or that it meets the end."""
        if step.after > self._end:
            return 0
        mine = 1.0 if step.is_usual else 0.75
        if not step.is_delimiter:
            if step.element.tag <= tag:
                # Some writers do not sort; what is read so leads on, though not as well.
                mine = 0.25 if step.is_usual else 0
            tag = step.element.tag
        if not mine or not ahead:
            return mine
        if step.after + _HEADER > self._end:
            return mine + (_END if step.after == self._end else 0)
        return mine + self._worth_behind(step.after, tag, ahead - 1)

    def _worth_behind(self, offset: int, tag: int, ahead: int) -> float:
        most = 0.0
        for step in self._readings(offset):
            most = max(most, self._worth(step, tag, ahead))
            if most >= ahead + 1:
                break
        return most

    # -- the ways ----------------------------------------------------------------------

    def _readings(self, offset: int) -> list[Step]:
        """Return the ways to read the element at *offset*, the usual one first."""
        if offset not in self._known:
            self._looks -= 1
            self._known[offset] = list(self._ways(offset)) if self._looks > 0 else []
        return self._known[offset]

    def _ways(self, offset: int) -> Iterator[Step]:
        head = self._window.read(offset, _LONG_HEADER)
        if len(head) < _HEADER:
            return
        syntax = self._syntax
        tag = syntax.integer(head[:2]) << 16 | syntax.integer(head[2:4])
        if tag >> 16 == _ITEM_GROUP:
            yield Step(Element(tag, None, offset + _HEADER, 0), offset + _HEADER, False)
            return
        if not tag >> 16:
            # Groups 0000 are of messages: where one stands in a data set, bytes are zero.
            return
        is_usual = not syntax.explicit or head[4:6] in _VRS
        for vr, size, length in self._lengths(head):
            start = offset + size
            element = Element(tag, vr, start, length)
            if length != UNDEFINED_LENGTH:
                yield Step(element, start + length, is_usual)
            else:
                yield from self._ends(element, is_usual)
            is_usual = False

    def _lengths(self, head: bytes) -> Iterator[tuple[bytes | None, int, int]]:
        """Yield VR, length of the header and length of the value, in every way."""
        integer = self._syntax.integer
        vr = head[4:6]
        short = vr, _HEADER, integer(head[6:8])
        plain = None, _HEADER, integer(head[4:8])
        is_long_there = len(head) == _LONG_HEADER
        long = vr, _LONG_HEADER, integer(head[8:12]) if is_long_there else 0
        if not self._syntax.explicit:
            yield plain
            if vr in SHORT_VRS:
                yield short
            elif vr in _LONG_VRS and is_long_there:
                yield long
            return
        if vr in SHORT_VRS or vr not in _LONG_VRS:
            yield short
            if is_long_there and not any(head[6:8]):
                yield long
        else:
            if is_long_there:
                yield long
            yield short
        yield plain

    def _ends(self, element: Element, is_usual: bool) -> Iterator[Step]:
        """Yield the ways in which a value of undefined length may end."""
        for after, is_closed in self._found_ends(element):
            yield Step(element, after, is_usual and is_closed)

    def _found_ends(self, element: Element) -> Iterator[tuple[int, bool]]:
        self._looks -= _COST_OF_ENDS
        inner = syntax_inside(element.vr, self._syntax)
        seen: set[int] = set()
        farthest = min(element.start + _FARTHEST, self._end)
        for syntax in (inner, self._syntax, EXPLICIT_LITTLE, IMPLICIT_LITTLE):
            try:
                end = end_of_undefined(self._window, element.start, farthest, syntax, 1)
            except ElementError:
                continue
            if end not in seen:
                seen.add(end)
                yield end, syntax is inner
        # Behind a delimiter, in whichever byte order the sequence is written.
        for end in self._behind_delimiters(element.start):
            if end not in seen:
                seen.add(end)
                yield end, False
        # What is no item ends it, and so it may be empty.
        for end in self._behind_items(element.start):
            if end not in seen:
                yield end, False

    def _behind_delimiters(self, start: int) -> Iterator[int]:
        last = min(start + _FARTHEST, self._end)
        data = self._window.read(start, last - start)
        marks = [
            each.tag(SEQUENCE_DELIMITATION) for each in (EXPLICIT_LITTLE, EXPLICIT_BIG)
        ]
        found = 0
        at = 0
        while found < _MOST_DELIMITERS:
            places = [place for mark in marks if (place := data.find(mark, at)) >= 0]
            if not places:
                return
            at = min(places) + 4
            found += 1
            yield start + at + 4

    def _behind_items(self, start: int) -> Iterator[int]:
        """Yield where items of defined length end, the last first, and *start* itself."""
        ends = [start]
        item = self._syntax.tag(ITEM)
        while len(ends) < _MOST_DELIMITERS:
            head = self._window.read(ends[-1], _HEADER)
            length = self._syntax.integer(head[4:8])
            if head[:4] != item or length == UNDEFINED_LENGTH:
                break
            ends.append(ends[-1] + _HEADER + length)
        yield from reversed(ends)
