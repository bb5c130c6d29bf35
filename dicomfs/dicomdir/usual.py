"""Usual records: those that begin as nearly all do, found a megabyte at a time.

They begin with the offsets of the next and the first lower record, the flag and the
type, in this order, in explicit VR, little endian. One compiled expression finds them,
and each value of all of them is taken out in one step.
"""

import re
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from itertools import compress, count, islice
from operator import add, ne
from typing import Final, NamedTuple

from dicomfs.dicom.element import UNDEFINED_LENGTH

_HEADER: Final = 8
# The first bytes of a record, which all lie at the same places: in double words the
# length of its item and the offset of the next record, in words the flag and both halves
# of the offset of the first lower record; then the type, and what follows.
SIZE: Final = 68
_LENGTH, _NEXT, _DOUBLE_WORDS = 1, 4, 17
_IN_USE, _LOW, _HIGH, _WORDS = 14, 19, 20, 34
_TYPE: Final = slice(48, 66)
_MAX_TYPE: Final = 16
# A record of fewer bytes may end within its type.
_LEAST: Final = 50 - _HEADER + _MAX_TYPE
# Records with longer types are left to those who read them one by one.
_BEGINNING: Final = re.compile(
    rb"\xfe\xff\x00\xe0...."
    rb"\x04\x00\x00\x14UL\x04\x00...."
    rb"\x04\x00\x10\x14US\x02\x00.."
    rb"\x04\x00\x20\x14UL\x04\x00...."
    rb"\x04\x00\x30\x14CS[\x00-\x10]\x00.{18}",
    re.DOTALL,
)
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
    """The kinds of types, by the length of a type, the type, and what follows it.

    *kind_of* tells the kind of a type as written, None if a record of it is not usual.
    """

    def __init__(self, kind_of: Callable[[bytes], int | None]) -> None:
        super().__init__()
        self._kind_of = kind_of

    def __missing__(self, key: bytes) -> int:
        """Return the kind of a type that was not met yet."""
        if len(self) >= _MOST_TYPES:
            self.clear()
        kind = self._kind_of(key[2 : 2 + key[0]])
        self[key] = _UNKNOWN if kind is None else kind
        return self[key]


class Piece:
    """The usual records in *data* from the byte at *at* on.

    *data* lies at *start* of a DICOMDIR of *size* bytes.
    """

    def __init__(
        self, data: bytes, at: int, start: int, size: int, kinds: Kinds
    ) -> None:
        self.data = data
        places = [match.start() for match in _BEGINNING.finditer(data, at)]
        beginnings = [data[place : place + SIZE] for place in places]
        joined = b"".join(beginnings)
        double_words, words = _numbers("I", joined), _numbers("H", joined)
        lengths = double_words[_LENGTH::_DOUBLE_WORDS]
        self._nexts = double_words[_NEXT::_DOUBLE_WORDS]
        self._lowers = _joined(words[_LOW::_WORDS], words[_HIGH::_WORDS])
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


def _numbers(form: str, data: bytes) -> "array[int]":
    """Return the little endian numbers in *data*."""
    numbers = array(form, data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


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
