"""The repair of a DICOMDIR's links, whole: what became of them, and what was wrong."""

from array import array
from dataclasses import dataclass, field
from typing import Final

from dicomfs.dicomdir.index import Index
from dicomfs.dicomdir.record import NO_RECORD
from dicomfs.dicomdir.recovery.forest import MAX_DEPTH, Forest
from dicomfs.dicomdir.recovery.ladder import Ladder, as_written
from dicomfs.dicomdir.recovery.lost import LostLinks
from dicomfs.dicomdir.recovery.notes import Notes
from dicomfs.dicomdir.recovery.placing import Placing
from dicomfs.dicomdir.recovery.plain import is_plain
from dicomfs.dicomdir.recovery.testimony import Testimony, Witness
from dicomfs.findings import Finding, Kind

# Where some links lead astray, those that do not seem to may as well.
_LEAD_ASTRAY: Final = frozenset({Kind.LOOP, Kind.SECOND_PARENT, Kind.WRONG_LEVEL})
_NOT_ASKED: Final = "so many headers were asked where records belong, and no more"


@dataclass(slots=True)
class Mended:
    """Links as they should have been written: offsets, by the offset of the record."""

    index: Index
    nexts: "array[int]"
    lowers: "array[int]"

    def of(self, offset: int) -> tuple[int, int]:
        """Return the next and the first lower record of the one at *offset*."""
        at = self.index.position(offset)
        return (NO_RECORD, NO_RECORD) if at < 0 else (self.nexts[at], self.lowers[at])

    def add(self, offset: int, next_: int, kind: int) -> None:
        """Add a record behind all others, with nothing below it."""
        self.index.add(offset, next_, NO_RECORD, kind)
        self.nexts.append(next_)
        self.lowers.append(NO_RECORD)


@dataclass(slots=True)
class Repair:
    """What became of the links.

    *roots* are the offsets at which root entities begin, *adopted* those of entities
    besides the one that a record links to, by the record, *unlinked* those of entities
    that belong nowhere. With *is_guess* each instance's own header has to agree, with
    *is_doubtful* it must not contradict; *parents* then has the parent of each record,
    by their positions in the index, and also where a part of the DICOMDIR could not be
    read. Then *open* are the offsets of records below which others are lost, NO_RECORD
    for the root, and *lost* is how many of those are known of.
    """

    roots: tuple[int, ...]
    links: Mended | None = None
    adopted: dict[int, list[int]] = field(default_factory=dict)
    unlinked: list[int] = field(default_factory=list)
    is_guess: bool = False
    is_doubtful: bool = False
    parents: "array[int]" = field(default_factory=lambda: array("l"))
    open: set[int] = field(default_factory=set)
    lost: int = 0
    findings: list[Finding] = field(default_factory=list)

    def begin_below(self, home: int, first: int) -> None:
        """Let an entity begin at *first* below the record at *home*, or in the root."""
        if home == NO_RECORD:
            self.roots = (*self.roots, first)
        else:
            self.adopted.setdefault(home, []).append(first)

    def above(self, offset: int) -> list[int]:
        """Return the offsets of the records above the one at *offset*, top down.

        Empty, too, where *parents* are not known.
        """
        if self.links is None or not self.parents:
            return []
        index = self.links.index
        at = index.position(offset)
        found: list[int] = []
        while len(found) <= MAX_DEPTH and at >= 0 and (at := self.parents[at]) >= 0:
            found.append(index.offsets[at])
        return found[::-1]


def repair(index: Index, root: int, witness: Witness) -> Repair:
    """Return what the records of *index* make, whose first root is said to be *root*."""
    if not len(index) and root == NO_RECORD:
        return Repair(())
    if not index.unreadable and is_plain(index, root):
        return Repair((root,))
    written = as_written(index)
    first = index.position(root)
    if first >= 0 and not index.unreadable and written.is_sound(first):
        return Repair((root,))
    testimony, notes = Testimony(index, witness), Notes(index)
    lost = LostLinks(index, root, written, notes)
    ladder = Ladder(index, root, written, testimony, notes)
    forest = ladder.climb()
    placing = Placing(index, first, forest, testimony, notes)
    placing.place()
    if testimony.is_ended:
        notes.add(Kind.SEARCH_ENDED, done=_NOT_ASKED)
    is_doubtful = not _LEAD_ASTRAY.isdisjoint(notes.counts)
    are_asked = ladder.is_guess or is_doubtful or bool(index.unreadable)
    offsets = index.offsets
    return Repair(
        tuple(offsets[at] for at in placing.roots),
        _mended(index, forest),
        {
            offsets[at]: [offsets[head] for head in heads]
            for at, heads in placing.adopted.items()
        },
        [offsets[at] for at in placing.unlinked],
        is_guess=ladder.is_guess,
        is_doubtful=is_doubtful,
        parents=placing.walk.parents if are_asked else array("l"),
        open=lost.open_below(placing.walk, placing.roots, placing.adopted),
        lost=lost.count,
        findings=notes.findings(),
    )


def _mended(index: Index, forest: Forest) -> Mended:
    return Mended(index, _offsets(index, forest.nexts), _offsets(index, forest.lowers))


def _offsets(index: Index, links: "array[int]") -> "array[int]":
    """Return the offsets of the records that *links* lead to."""
    offsets = index.offsets
    return array("L", (offsets[at] if at >= 0 else NO_RECORD for at in links))
