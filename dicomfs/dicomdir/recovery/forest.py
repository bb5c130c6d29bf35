"""All records of a DICOMDIR with links between them, which may or may not make a tree."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress
from typing import Final, NamedTuple

from dicomfs.dicom.types import Level
from dicomfs.dicomdir.index import INACTIVE, MRDR_KIND

# Levels of records below records; the Basic Directory of the standard has four.
MAX_DEPTH: Final = 32

NONE: Final = -1
"""No record."""
MISSING: Final = -2
"""A record that is not there, although a link names it."""

# Steps along chains, to find out which of two links closes a loop.
_MOST_STEPS: Final = 1_000_000
_SAMPLE: Final = 4096
_STUDY, _INSTANCE = int(Level.STUDY), int(Level.INSTANCE)
_WITHOUT_FLAGS: Final = bytes(number & (INACTIVE - 1) for number in range(256))


def kinds_alone(flagged: bytearray) -> bytes:
    """Return the kinds in an index without the flag of inactive records."""
    return bytes(flagged.translate(_WITHOUT_FLAGS))


class Link(NamedTuple):
    """The link from *referrer*, one of *links*."""

    links: "array[int]"
    referrer: int

    @property
    def target(self) -> int:
        """Where the link leads."""
        return self.links[self.referrer]

    def cut(self) -> None:
        """Take the link away."""
        self.links[self.referrer] = NONE


class Forest:
    """Records, known by their positions in the index, and what they link to.

    *kinds* are those of the records; *nexts* and *lowers* are positions, NONE or
    MISSING.
    """

    def __init__(self, kinds: bytes, nexts: "array[int]", lowers: "array[int]") -> None:
        self.kinds = kinds
        self.nexts = nexts
        self.lowers = lowers

    def __len__(self) -> int:
        return len(self.kinds)

    @property
    def _targets(self) -> Iterator[int]:
        return chain(self.nexts, self.lowers)

    @property
    def _parts(self) -> int:
        """How many records are parts of a tree, if this is one."""
        return len(self.kinds) - self.kinds.count(MRDR_KIND)

    @property
    def missing(self) -> int:
        """How many links name a record that is not there."""
        return self.nexts.count(MISSING) + self.lowers.count(MISSING)

    def broken(self) -> Iterator[Link]:
        """Yield the links that name a record that is not there."""
        for links in (self.nexts, self.lowers):
            for at, target in enumerate(links):
                if target == MISSING:
                    yield Link(links, at)

    # -- asked as a whole --------------------------------------------------------------

    def is_sound(self, root: int) -> bool:
        """Whether *root* leads to each record once, by levels that descend."""
        kinds = self.kinds
        links = [
            link
            for link in self._targets
            if link == MISSING or (link >= 0 and kinds[link] != MRDR_KIND)
        ]
        if MISSING in links or root in links or len(links) != self._parts - 1:
            return False
        if not self.levels_descend():
            return False
        walk = Walk(self)
        return walk.reaches_all_from([root]) and not walk.too_deep

    def is_tree(self) -> bool:
        """Whether each record but one has one parent and is of a level below it."""
        named = bytearray(len(self))
        for target in self._targets:
            if target >= 0:
                if named[target]:
                    return False
                named[target] = 1
        heads = self.heads()
        if len(heads) != 1 or not self.levels_descend():
            return False
        return Walk(self).reaches_all_from(heads)

    def levels_descend(self) -> bool:
        """Whether all links lead to records that may lie below, or beside."""
        return next(self.impossible(), None) is None

    def impossible(self) -> Iterator[Link]:
        """Yield the links that no tree of patients can have."""
        kinds, nexts, lowers = self.kinds, self.nexts, self.lowers
        for at, kind in enumerate(kinds):
            if kind > _INSTANCE:
                continue
            lower, following = lowers[at], nexts[at]
            # Instances below instances are odd, but of one series all the same.
            if lower >= 0 and kinds[lower] < kind + (kind < _INSTANCE):
                yield Link(lowers, at)
            if following >= 0 and kind != kinds[following] <= _INSTANCE:
                yield Link(nexts, at)

    def keeps(self, written: "Forest") -> bool:
        """Whether all links of *written* that name a record lead to the same one here."""
        return all(
            was in (MISSING, now)
            for was, now in zip(written._targets, self._targets, strict=True)
        )

    # -- asked about some records ------------------------------------------------------

    def heads(self) -> list[int]:
        """Return the records that no link names."""
        named = bytearray(len(self))
        for target in self._targets:
            if target >= 0:
                named[target] = 1
        kinds = self.kinds
        return [
            at
            for at, is_named in enumerate(named)
            if not is_named and kinds[at] != MRDR_KIND
        ]

    def leads_to(self, roots: Iterable[int], wanted: int) -> bool:
        """Whether *wanted* is one of *roots*, beside one or below one."""
        seen: set[int] = set()
        waiting = list(roots)
        while waiting:
            at = waiting.pop()
            while at >= 0 and at not in seen:
                if at == wanted:
                    return True
                seen.add(at)
                if self.lowers[at] >= 0:
                    waiting.append(self.lowers[at])
                at = self.nexts[at]
        return False

    def entity(self, head: int) -> Iterator[int]:
        """Yield *head* and the records beside it that it leads to."""
        while head >= 0:
            yield head
            head = self.nexts[head]

    def sample(self, head: int) -> Iterator[int]:
        """Yield records at *head*, beside and below it, until many were looked at."""
        seen: set[int] = set()
        waiting = [head]
        while waiting:
            at = waiting.pop()
            if at < 0 or at in seen or len(seen) > _SAMPLE:
                continue
            seen.add(at)
            yield at
            waiting += [self.nexts[at], self.lowers[at]]


class Conflict(NamedTuple):
    """A *target* that was reached before, by a *link* from a record below *parent*."""

    target: int
    link: Link
    parent: int


class Walk:
    """A walk through a forest: which records were reached, and from where.

    *too_deep* are records that lead to more levels than may be, and what they lead to.
    """

    def __init__(self, forest: Forest) -> None:
        count = len(forest)
        self.forest = forest
        self.visited = bytearray(count)
        self.parents = array("l", [NONE]) * count
        self.too_deep: list[tuple[int, int]] = []
        self._referrers = array("l", [NONE]) * count
        # Whether the referrer leads down to it, and not on.
        self._is_first = bytearray(count)
        self._steps = _MOST_STEPS

    def reaches_all_from(self, heads: Sequence[int]) -> bool:
        """Whether all records are reached from *heads*, and each just once."""
        conflicts = self.visit(heads)
        are_parts = (kind != MRDR_KIND for kind in self.forest.kinds)
        return not conflicts and all(compress(self.visited, are_parts))

    def visit(self, heads: Iterable[int]) -> list[Conflict]:
        """Visit everything below *heads*; first visit wins, and the others are returned.

        What lies too deep is noted, and begins anew without a parent.
        """
        conflicts: list[Conflict] = []
        nexts, lowers, visited = self.forest.nexts, self.forest.lowers, self.visited
        parents, referrers, is_first = self.parents, self._referrers, self._is_first
        # Entities whose first record is still to be visited: it, its parent, its depth.
        waiting = [(head, NONE, 0) for head in reversed(list(heads))]
        while waiting:
            at, parent, depth = waiting.pop()
            referrer, links = parent, lowers
            below = []
            while at >= 0:
                if visited[at]:
                    if referrer >= 0:
                        conflicts.append(Conflict(at, Link(links, referrer), parent))
                    break
                visited[at] = 1
                parents[at] = parent
                referrers[at] = referrer
                is_first[at] = links is lowers
                if (lower := lowers[at]) >= 0:
                    if depth + 1 < MAX_DEPTH:
                        below.append((lower, at, depth + 1))
                    else:
                        self.too_deep.append((at, lower))
                        below.append((lower, NONE, 0))
                referrer, links, at = at, nexts, nexts[at]
            waiting += reversed(below)
        return conflicts

    def chain(self, at: int) -> list[int]:
        """Return *at* and the records above it, from the top."""
        found: list[int] = []
        while at >= 0 and len(found) <= MAX_DEPTH:
            found.append(at)
            at = self.parents[at]
        return found[::-1]

    def study(self, at: int) -> int:
        """Return the STUDY that *at* is or lies below, else the topmost record."""
        above = self.chain(at)
        top = above[0] if above else NONE
        return next((each for each in above if self.forest.kinds[each] == _STUDY), top)

    def link_to(self, target: int) -> Link:
        """Return the link by which *target* was reached first."""
        forest = self.forest
        links = forest.lowers if self._is_first[target] else forest.nexts
        return Link(links, self._referrers[target])

    def leads_from(self, target: int, referrer: int) -> bool:
        """Whether *referrer* was reached by way of *target*; yes, where that takes long."""
        at = referrer
        while at >= 0 and at != target and self._steps:
            self._steps -= 1
            at = self._referrers[at]
        return at >= 0

    def move(self, first: int, parent: int) -> None:
        """Put the entity that begins at *first* below *parent*."""
        for at in self.forest.entity(first):
            self.parents[at] = parent

    def relink(self, conflict: Conflict) -> None:
        """Let the link of *conflict* be the one by which its target was reached."""
        target, link, parent = conflict
        self._referrers[target] = link.referrer
        self._is_first[target] = link.links is self.forest.lowers
        self.move(target, parent)
