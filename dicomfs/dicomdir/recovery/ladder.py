"""What links mean: the first of a few rungs that explains every link and makes a tree.

1. The links are right as they are written.
2. All are off by one distance (text was edited after offsets were computed).
3. They are off by growing distances: the n-th smallest link means the n-th record.
4. They mean nothing: the order of the file counts, by type. That is a guess, so the
   instances' own headers are asked about each of them.

Where only some links fail, the others stand.
"""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import Final

from dicomfs.dicom.types import Level
from dicomfs.dicomdir.index import BRANCH_KIND, MRDR_KIND, ROOT_KIND, Index
from dicomfs.dicomdir.recovery.forest import MISSING, NONE, Forest, kinds_alone
from dicomfs.dicomdir.recovery.notes import Notes
from dicomfs.dicomdir.recovery.testimony import Testimony
from dicomfs.findings import Kind

_ENDS: Final = "the chain ends there"
# Loops that are told from other wrong links, which may take long.
_FEW: Final = 16
# Links that vote on a distance, the records near each, and distances that are tried.
_VOTERS: Final = 16
_NEAR: Final = 8
_DISTANCES: Final = 4
_LEVEL_BY_ORDER: Final = {
    ROOT_KIND: int(Level.PATIENT),
    BRANCH_KIND: int(Level.INSTANCE),
}


def as_written(index: Index) -> Forest:
    """Return the links of *index* as they are written."""
    kinds = kinds_alone(index.kinds)
    return Forest(
        kinds, *(_positions(index, each) for each in (index.nexts, index.lowers))
    )


class Ladder:
    """The rungs, for the links of *index* whose first root is said to be at *root*.

    *written* are the links as they are written.
    """

    def __init__(
        self,
        index: Index,
        root: int,
        written: Forest,
        testimony: Testimony,
        notes: Notes,
    ) -> None:
        self.is_guess = False
        self._index = index
        self._root = root
        self._written = written
        self._testimony = testimony
        self._notes = notes

    def climb(self) -> Forest:
        """Return the links as they were meant, without those that cannot be."""
        index, written = self._index, self._written
        count = 2 * len(index) - index.nexts.count(0) - index.lowers.count(0)
        missing = written.missing
        # There are too few links for even a fraction of the records.
        if len(index) > 1 and count * 10 < len(index) - 1:
            return self._guess()
        if missing:
            is_mostly_right = missing * 2 <= count
            for kind, forest in self._rungs():
                if forest is not None and self._explains(forest, is_mostly_right):
                    self._notes.add(kind, done="repaired")
                    return forest
            if not is_mostly_right and len(index) > 2:
                return self._guess()
            self._cut_missing()
        self._cut_impossible()
        return written

    def _rungs(self) -> Iterator[tuple[Kind, Forest | None]]:
        """Yield what all links may mean, if they are all wrong in the same way."""
        index, kinds = self._index, self._written.kinds
        yield Kind.LINKS_SHIFTED, _shifted(index, kinds)
        yield Kind.LINKS_DRIFTED, _ranked(index, kinds, self._root)

    def _explains(self, forest: Forest, is_mostly_right: bool) -> bool:
        """Whether *forest* is one tree of the right levels that no header contradicts.

        If the links as written are mostly right, those that name a record must mean it.
        """
        if not forest.is_tree() or (
            is_mostly_right and not forest.keeps(self._written)
        ):
            return False
        return not self._testimony.contradicts(forest)

    def _guess(self) -> Forest:
        """Take the order of the file: each record below the last one of a higher level."""
        self.is_guess = True
        self._notes.add(Kind.LINKS_UNUSABLE, done="the order of the records was taken")
        return _by_type(self._written.kinds)

    def _cut_missing(self) -> None:
        for link in self._written.broken():
            link.cut()
            self._notes.add(Kind.BROKEN_LINK, link.referrer, done=_ENDS)

    def _cut_impossible(self) -> None:
        """Cut the links that lead up, or to a record of another level."""
        forest, counts = self._written, self._notes.counts
        for link in list(forest.impossible()):
            at, target = link.referrer, link.target
            leads_up = forest.kinds[target] <= forest.kinds[at]
            # Only the name of the finding depends on it: a few may cost more.
            few = counts[Kind.LOOP] + counts[Kind.WRONG_LEVEL] < _FEW
            is_loop = leads_up and few and forest.leads_to([target], at)
            link.cut()
            kind = Kind.LOOP if is_loop else Kind.WRONG_LEVEL
            self._notes.add(kind, at, done=_ENDS)


def _shifted(index: Index, kinds: bytes) -> Forest | None:
    """Return the links moved by the distance that makes the most of them meet records."""
    links = sorted({link for link in (*index.nexts, *index.lowers) if link})
    voters = [link for link in links if index.position(link) < 0]
    voters = voters[:: max(len(voters) // _VOTERS, 1)][:_VOTERS]
    votes: Counter[int] = Counter()
    for link in voters:
        at = bisect_left(index.offsets, link)
        for near in range(max(at - _NEAR, 0), min(at + _NEAR, len(index))):
            votes[index.offsets[near] - link] += 1
    for distance, _ in votes.most_common(_DISTANCES):
        moved = [
            _positions(index, each, distance) for each in (index.nexts, index.lowers)
        ]
        if distance and not any(MISSING in each for each in moved):
            return Forest(kinds, *moved)
    return None


def _positions(index: Index, links: "array[int]", distance: int = 0) -> "array[int]":
    """Return which records begin *distance* behind where *links* lead."""
    position = index.position
    return array(
        "l",
        (
            (at if (at := position(link + distance)) >= 0 else MISSING)
            if link
            else NONE
            for link in links
        ),
    )


def _ranked(index: Index, kinds: bytes, root: int) -> Forest | None:
    """Return the links with the n-th smallest of them leading to the n-th record."""
    links = sorted({link for link in (*index.nexts, *index.lowers) if link})
    targets = [at for at, kind in enumerate(kinds) if kind != MRDR_KIND]
    if not targets or len(links) != len(targets) - 1:
        return None
    # No link leads to the first record of the root: in nearly all media the very first.
    first = index.position(root)
    targets.remove(first if first in targets else targets[0])
    rank = dict(zip(links, targets, strict=True))
    return Forest(
        kinds,
        *(
            array("l", (rank[link] if link else NONE for link in each))
            for each in (index.nexts, index.lowers)
        ),
    )


def _by_type(kinds: bytes) -> Forest:
    """Return links that follow from the order of the records and their types alone."""
    nexts = array("l", [NONE]) * len(kinds)
    lowers = array("l", [NONE]) * len(kinds)
    last_below: dict[int, int] = {}
    # The open record of each level, the lowest one last.
    above: list[tuple[int, int]] = []
    for at, kind in enumerate(kinds):
        if kind == MRDR_KIND:
            continue
        level = _LEVEL_BY_ORDER.get(kind, kind)
        while above and above[-1][0] >= level:
            above.pop()
        parent = above[-1][1] if above else NONE
        if parent in last_below:
            nexts[last_below[parent]] = at
        elif parent != NONE:
            lowers[parent] = at
        last_below[parent] = at
        above.append((level, at))
    return Forest(kinds, nexts, lowers)
