"""Lookup tables in a header: of modality, VOI and palette (PS3.3 C.11.1, C.11.2, C.7.9)."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

Array = npt.NDArray[Any]

COLOURS: Final = ("Red", "Green", "Blue")

_WORD: Final = 0x10000
_HALF: Final = 0x8000
_BYTE: Final = 8
_MOST_BITS: Final = 16
# Kinds of segments (PS3.3 C.7.9.2).
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2


class Table(NamedTuple):
    """The *entries* for values from *first* on, which are of so many *bits*."""

    first: int
    entries: Array
    bits: int

    def of(self, values: Array) -> Array:
        """Return the entries for *values*; those beyond the table get its ends."""
        first = self.first
        # Whether it is signed depends on the values, and not all writers think of that.
        if first >= _HALF and values.min() < 0:
            first -= _WORD
        elif first < 0 and values.max() >= _HALF:
            first += _WORD
        places = np.rint(values).astype(np.int64) - first
        return self.entries[np.clip(places, 0, len(self.entries) - 1)]


def table_in(item: Dataset, *, is_little: bool) -> Table:
    """Return the table in an *item* of a sequence; raises what a stranger's header does."""
    return _table(item, "LUTDescriptor", "LUTData", is_little=is_little)


def palette_in(dataset: Dataset, *, is_little: bool) -> Sequence[Table]:
    """Return the tables of the three colours; raises what a stranger's header does."""
    tables = []
    for colour in COLOURS:
        descriptor = f"{colour}PaletteColorLookupTableDescriptor"
        data = f"{colour}PaletteColorLookupTableData"
        if data not in dataset:
            data = f"Segmented{data}"
        tables.append(_table(dataset, descriptor, data, is_little=is_little))
    # Some have entries of a byte, and say that these are of 16 bits.
    bits = _BYTE if all(t.entries.max() < 2**_BYTE for t in tables) else _MOST_BITS
    return [each._replace(bits=bits) for each in tables]


def _table(
    dataset: Dataset, descriptor: str, keyword: str, *, is_little: bool
) -> Table:
    count, first, bits = _described(dataset.get(descriptor), is_little=is_little)
    data, is_segmented = dataset.get(keyword), keyword.startswith("Segmented")
    if isinstance(data, bytes):
        is_bytes = bits == _BYTE if is_segmented else len(data) < 2 * count
        order = "<" if is_little else ">"
        entries = np.frombuffer(data[: len(data) & ~1], f"{order}u2")
        if is_bytes:
            # They lie in words, the first of two in the low byte.
            entries = entries.astype("<u2").view(np.uint8)
    else:
        several = data if isinstance(data, Sequence) else [data]
        entries = np.asarray(several, np.int64) & (_WORD - 1)
    if is_segmented:
        entries = _expanded(entries, count)
    entries = entries[:count].astype(np.int64)
    if len(entries) < count:
        raise ValueError("a table that is cut off")
    needed = int(entries.max()).bit_length()
    return Table(first, entries, max(min(bits, _MOST_BITS), needed, 1))


def _described(value: object, *, is_little: bool) -> tuple[int, int, int]:
    """Return the number of entries, the first value that has one, and their bits."""
    if isinstance(value, bytes):  # nobody said whether it is signed
        value = np.frombuffer(value, "<u2" if is_little else ">u2").tolist()
    if not isinstance(value, Sequence):
        raise TypeError("no table is described")
    count, first, bits = (int(each) for each in value)
    return count & (_WORD - 1) or _WORD, first, bits & (_WORD - 1)


def _expanded(words: Array, count: int) -> Array:
    """Return the entries that segments describe, *count* at most (PS3.3 C.7.9.2)."""
    found: list[int] = []
    data = words.tolist()
    # Offsets count bytes.
    size = words.dtype.itemsize
    todo = [(0, len(data))]  # where to go on, and for how many segments
    while todo and len(found) < count:
        at, segments = todo.pop()
        if not segments or at + 2 >= len(data):
            continue
        kind, length = data[at : at + 2]
        at += 2
        if kind == _DISCRETE:
            found += data[at : at + length]
            at += length
        elif kind == _LINEAR:
            steps = np.linspace(found[-1], data[at], length + 1)[1:]
            found += np.floor(steps + 0.5).astype(int).tolist()
            at += 1
        elif kind == _INDIRECT:
            width = 4 // size
            parts = words[at : at + width].astype(f"<u{size}").tobytes()
            at += width
            if len(todo) > 1:
                raise ValueError("segments that refer to segments that do")
            todo.append((at, segments - 1))
            at, segments = int.from_bytes(parts, "little") // size, length + 1
        else:
            raise ValueError("a segment of no known kind")
        todo.append((at, segments - 1))
    return np.asarray(found[:count], np.int64)
