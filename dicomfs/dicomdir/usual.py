"""Usual records: those that begin as nearly all do, found a megabyte at a time.

They have a length, and begin with the offsets of the next and the first lower record, the
flag and the type, in this order. One compiled expression finds them, and each value of all
of them is taken out in one step. Where it lies is the same in all encodings.
"""

import re
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import compress, count, islice
from operator import add, ne
from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.element import ITEM, UNDEFINED_LENGTH, Syntax

_HEADER: Final = 8
# The first bytes of a record, which all lie at the same places: in double words the
# length of its item and the offset of the next record, in words the flag and both halves
# of the offset of the first lower record; then the type, and what follows.
SIZE: Final = 68
_LENGTH, _NEXT, _DOUBLE_WORDS = 1, 4, 17
_IN_USE, _LOWER, _WORDS = 14, 19, 34
_TYPE: Final = slice(46, 66)
# Behind the tag of the type come VR and length, and then its value.
_BEHIND_TAG: Final = 4
_MAX_TYPE: Final = 16
# A record of fewer bytes may end within its type.
_LEAST: Final = 50 - _HEADER + _MAX_TYPE
_UNKNOWN: Final = 255
# Types with what follows them; of one medium these are few.
_MOST_TYPES: Final = 4096


class Run(NamedTuple):
    """Records that touch each other, value by value; the last one ends at *end*.

    *in_use* is 0 for those that are not.
    """

    offsets: list[int]
    nexts: "array[int]"
    lowers: "array[int]"
    in_use: "array[int]"
    kinds: bytes
    end: int


class Kinds(dict[bytes, int]):
    """The kinds of types, by what is behind their tag: lengths, types and what follows.

    *kind_of* tells the kind of a type as written, None if a record of it is not usual.
    """

    def __init__(self, kind_of: Callable[[bytes], int | None], syntax: Syntax) -> None:
        super().__init__()
        self._kind_of = kind_of
        self._length_at = _length_at(syntax)

    def __missing__(self, key: bytes) -> int:
        """Return the kind of a type that was not met yet."""
        if len(self) >= _MOST_TYPES:
            self.clear()
        end = _BEHIND_TAG + key[self._length_at]
        kind = self._kind_of(key[_BEHIND_TAG:end])
        self[key] = _UNKNOWN if kind is None else kind
        return self[key]


class Piece:
    """The usual records in *data* from the byte at *at* on, which are encoded in *syntax*.

    *data* lies at *start* of a DICOMDIR of *size* bytes.
    """

    def __init__(
        self,
        data: bytes,
        at: int,
        start: int,
        size: int,
        syntax: Syntax,
        kinds: Kinds,
    ) -> None:
        self.data = data
        places = [match.start() for match in _beginning(syntax).finditer(data, at)]
        beginnings = [data[place : place + SIZE] for place in places]
        joined = b"".join(beginnings)
        double_words = numbers("I", joined, syntax)
        words = numbers("H", joined, syntax)
        lengths = double_words[_LENGTH::_DOUBLE_WORDS]
        self._nexts = double_words[_NEXT::_DOUBLE_WORDS]
        halves = words[_LOWER::_WORDS], words[_LOWER + 1 :: _WORDS]
        self._lowers = _joined(*(halves if syntax.little else halves[::-1]))
        self._in_use = words[_IN_USE::_WORDS]
        types = [beginning[_TYPE] for beginning in beginnings]
        self._kinds = bytes(map(kinds.__getitem__, types))
        self._offsets = list(map(start.__add__, places))
        self._ends = list(map(add, self._offsets, map(_HEADER.__add__, lengths)))
        # Records that are not usual, although they begin so.
        self._odd: list[int] = []
        most = min(size, UNDEFINED_LENGTH)
        if (
            _UNKNOWN in self._kinds
            or max(self._ends, default=0) > most
            or min(lengths, default=_LEAST) < _LEAST
        ):
            each = zip(self._kinds, self._ends, lengths, strict=True)
            self._odd = _where(
                kind == _UNKNOWN or end > most or length < _LEAST
                for kind, end, length in each
            )
        # Behind so many records comes something else than the next one.
        following = islice(self._offsets, 1, None)
        self._breaks = _where(map(ne, self._ends, following), 1)

    def run(self, offset: int, most: int) -> Run | None:
        """Return the record at *offset* and those behind it, *most* in all.

        None if no usual record begins there.
        """
        first = bisect_left(self._offsets, offset)
        if first == len(self._offsets) or self._offsets[first] != offset:
            return None
        end = min(
            first + most,
            _at(self._breaks, bisect_right(self._breaks, first), len(self._offsets)),
            _at(self._odd, bisect_left(self._odd, first), len(self._offsets)),
        )
        if end == first:
            return None
        part = slice(first, end)
        return Run(
            self._offsets[part],
            self._nexts[part],
            self._lowers[part],
            self._in_use[part],
            self._kinds[part],
            self._ends[end - 1],
        )


def _length_at(syntax: Syntax) -> int:
    """Return where behind the tag the last byte that counts of a short length is."""
    if not syntax.little:
        return 3
    return 2 if syntax.explicit else 0


@lru_cache
def _beginning(syntax: Syntax) -> "re.Pattern[bytes]":
    """Return what finds the beginnings of records.

    Those with longer types are left to those who read them one by one.
    """
    short = b"[\\x00-\\x10]"
    size = {True: short + b"\\x00", False: b"\\x00" + short}[syntax.little]
    if not syntax.explicit:
        size = size + b"\\x00\\x00" if syntax.little else b"\\x00\\x00" + size
    order: Final = "little" if syntax.little else "big"

    def element(tag: int, vr: bytes, length: int) -> bytes:
        said = vr + length.to_bytes(2, order)
        said = said if syntax.explicit else length.to_bytes(4, order)
        return re.escape(syntax.tag(tag) + said) + b"." * length

    vr = b"CS" if syntax.explicit else b""
    return re.compile(
        re.escape(syntax.tag(ITEM))
        + b"...."
        + element(tags.OFFSET_OF_NEXT_RECORD, b"UL", 4)
        + element(tags.RECORD_IN_USE_FLAG, b"US", 2)
        + element(tags.OFFSET_OF_LOWER_ENTITY, b"UL", 4)
        + re.escape(syntax.tag(tags.DIRECTORY_RECORD_TYPE) + vr)
        + size
        + b".{18}",
        re.DOTALL,
    )


def numbers(form: str, data: bytes, syntax: Syntax) -> "array[int]":
    """Return the numbers in *data*, which are encoded in *syntax*."""
    result = array(form, data)
    if sys.byteorder != ("little" if syntax.little else "big"):
        result.byteswap()
    return result


def _joined(low: "array[int]", high: "array[int]") -> "array[int]":
    """Return the numbers of which *low* and *high* are the halves."""
    halves = array("H", bytes(4 * len(low)))
    first, second = (low, high) if sys.byteorder == "little" else (high, low)
    halves[::2] = first
    halves[1::2] = second
    return array("I", halves.tobytes())


def _where(flags: Iterable[bool], start: int = 0) -> list[int]:
    return list(compress(count(start), flags))


def _at(numbers: list[int], at: int, otherwise: int) -> int:
    return numbers[at] if at < len(numbers) else otherwise
