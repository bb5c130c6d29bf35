"""The index pass: every directory record of a DICOMDIR, in the order of the file.

Walking by links does not need it. It serves to check the links and to mend them: it
says where each record begins, what it links to, and of which level it is. There may be
millions of records, so these are arrays of numbers.
"""

from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import repeat
from typing import Final

from dicomfs.dicom.types import (
    MRDR,
    ROOT_TYPES,
    Level,
    is_known,
)
from dicomfs.dicomdir.record import NO_RECORD, DirectoryRecord
from dicomfs.source.worn import Range

# Kinds of records: a Level from PATIENT to INSTANCE, or one of these.
ROOT_KIND: Final = 5
"""A record of the root entity that is not a patient: HANGING PROTOCOL, PALETTE ..."""
BRANCH_KIND: Final = 6
"""A PRIVATE record, or one of a retired type that has records below it."""
MRDR_KIND: Final = 7
"""A retired Multi-Referenced Directory Record: not a part of the tree."""
INACTIVE: Final = 8
"""Added to the kind of an inactive record."""
NOWHERE: Final = 254
"""Instead of a kind: there is no link."""
LOST: Final = 255
"""Instead of a kind: a link leads to where no record begins."""


@dataclass(slots=True)
class Index:
    """All records: entry *i* of each array is about the record at ``offsets[i]``.

    Offsets ascend. ``nexts`` and ``lowers`` are as written, ``kinds`` as above. *gaps*
    are the offsets behind which bytes were passed over that are not a record,
    *unreadable* the byte ranges that the medium did not give, or gave as zeros.
    """

    offsets: "array[int]" = field(default_factory=lambda: array("L"))
    nexts: "array[int]" = field(default_factory=lambda: array("L"))
    lowers: "array[int]" = field(default_factory=lambda: array("L"))
    kinds: bytearray = field(default_factory=bytearray)
    gaps: list[int] = field(default_factory=list)
    unreadable: list[Range] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)
    private: list[int] = field(default_factory=list)
    is_complete: bool = True
    _led_to: tuple[bytes, bytes] | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.offsets)

    def position(self, offset: int) -> int:
        """Return which record begins at *offset*, -1 if none does."""
        at = bisect_left(self.offsets, offset)
        return at if at < len(self.offsets) and self.offsets[at] == offset else -1

    def led_to(self) -> tuple[bytes, bytes]:
        """Return the kinds of the records that *nexts* and *lowers* lead to.

        NOWHERE where there is no link, LOST where no record is.
        """
        if self._led_to is None:
            kind_at = dict(zip(self.offsets, self.kinds, strict=True))
            kind_at[NO_RECORD] = NOWHERE
            of_nexts, of_lowers = (
                bytes(map(kind_at.get, links, repeat(LOST)))
                for links in (self.nexts, self.lowers)
            )
            self._led_to = of_nexts, of_lowers
        return self._led_to

    def add(self, offset: int, next_: int, lower: int, kind: int) -> None:
        """Add a record behind all others."""
        self._led_to = None
        self.offsets.append(offset)
        self.nexts.append(next_)
        self.lowers.append(lower)
        self.kinds.append(kind)

    def sort(self) -> None:
        """Bring the records into the order of their offsets again."""
        self._led_to = None
        order = sorted(range(len(self)), key=self.offsets.__getitem__)
        for name in ("offsets", "nexts", "lowers"):
            old = getattr(self, name)
            setattr(self, name, array("L", map(old.__getitem__, order)))
        self.kinds = bytearray(map(self.kinds.__getitem__, order))


def kind_of(record: DirectoryRecord) -> int:
    """Return the kind of *record*, as in ``Index.kinds``."""
    if record.type == MRDR:
        return MRDR_KIND
    if not is_known(record.type) and record.level is Level.INSTANCE and record.lower:
        return BRANCH_KIND
    return kind_of_level(record.level, record.type)


def kind_of_level(level: Level, type_: str) -> int:
    """Return the kind of records of a *level* and type."""
    if level is not Level.OTHER:
        return int(level)
    return ROOT_KIND if type_ in ROOT_TYPES else BRANCH_KIND
