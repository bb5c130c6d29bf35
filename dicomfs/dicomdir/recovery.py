"""Mending the links of a DICOMDIR: from all its records to the tree they were meant as.

In this order, and each step only if it explains every link and makes a tree:

1. the links as they are written;
2. all of them off by one distance (text was edited after offsets were computed);
3. off by growing distances: the n-th smallest link means the n-th record;
4. no links at all: the order of the file, by type. A guess, so the instances' own
   headers are asked about each of them.

Where only some links fail, the others stand. What is then left without a parent goes
where the header of its first instance says; where that says nothing it is shown as
unlinked. Nothing here moves an instance to another patient, study or series than its
chain of records or its own header says.
"""

from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress, islice
from typing import Final, NamedTuple, Protocol

from dicomfs.dicom.types import Level
from dicomfs.dicomdir.index import BRANCH_KIND, INACTIVE, MRDR_KIND, ROOT_KIND, Index
from dicomfs.dicomdir.origin import Origin
from dicomfs.dicomdir.record import NO_RECORD
from dicomfs.findings import Finding, Kind

# Of records below records; the standard's Basic Directory has four levels.
MAX_DEPTH: Final = 32

_NONE: Final = -1
_MISSING: Final = -2
_SAMPLE: Final = 4096
_MOST_FINDINGS: Final = 100
_WITNESSES: Final = 2
# Headers that are read; a medium on which more are needed is an attack.
_MOST_QUESTIONS: Final = 2000
# Candidates that are looked at where more would take long.
_FEW: Final = 16
# Along chains, to find out which of two links closes a loop.
_MOST_STEPS: Final = 1_000_000
_KIND: Final = INACTIVE - 1
_PATIENT, _STUDY = int(Level.PATIENT), int(Level.STUDY)
_SERIES, _INSTANCE = int(Level.SERIES), int(Level.INSTANCE)


class Witness(Protocol):
    """Who can say where records belong."""

    def said_by_records(self, offsets: Sequence[int]) -> Origin:
        """Return what a chain of records says, from the top to the lowest."""
        ...

    def said_by_header(self, offsets: Sequence[int]) -> Origin | None:
        """Return what the header of the first of these instances says, if any does."""
        ...


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


@dataclass(slots=True)
class Repair:
    """What became of the links.

    *roots* are the offsets at which root entities begin, *adopted* those of entities
    besides the one that a record links to, by the record, *unlinked* those of entities
    that belong nowhere. With *is_guess* each instance's own header has to agree, with
    *is_doubtful* it must not contradict; *parents* then has the parent of each record,
    by their positions in the index.
    """

    roots: tuple[int, ...]
    links: Mended | None = None
    adopted: dict[int, list[int]] = field(default_factory=dict)
    unlinked: list[int] = field(default_factory=list)
    is_guess: bool = False
    is_doubtful: bool = False
    parents: "array[int]" = field(default_factory=lambda: array("l"))
    findings: list[Finding] = field(default_factory=list)

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
    mender = _Mender(index, root, witness)
    if not mender.is_sound():
        mender.mend()
    return mender.result()


class _Forest(NamedTuple):
    """Next and lower of each record, as positions in the index."""

    nexts: "array[int]"
    lowers: "array[int]"


class _Link(NamedTuple):
    """The link from *referrer*, one of *links*."""

    links: "array[int]"
    referrer: int

    def cut(self) -> None:
        """Take the link away."""
        self.links[self.referrer] = _NONE


class _Conflict(NamedTuple):
    """A *target* that was reached before, by a *link* from a record below *parent*."""

    target: int
    link: _Link
    parent: int


class _Mender:
    """One DICOMDIR on its way from links as written to links that make a forest."""

    def __init__(self, index: Index, root: int, witness: Witness) -> None:
        self._index = index
        self._written_root = root
        self._witness = witness
        self._kinds = index.kinds
        self._forest = _exact(index)
        self._repair = Repair((root,) if root else ())
        self._counts: Counter[Kind] = Counter()
        self._changed = False
        self._first: list[int] = []
        self._questions = _MOST_QUESTIONS
        self._steps = _MOST_STEPS
        self._keys: dict[int, dict[bytes, list[int]]] = {}
        self._reset()

    # -- sound or not ----------------------------------------------------------------

    def is_sound(self) -> bool:
        """Whether the links as written make one tree out of all records."""
        index, forest = self._index, self._forest
        root = index.position(self._written_root)
        if root < 0:
            return not len(index) and self._written_root == NO_RECORD
        links = [
            link
            for link in (*forest.nexts, *forest.lowers)
            if link == _MISSING or (link >= 0 and self._kind(link) != MRDR_KIND)
        ]
        parts = sum(1 for kind in self._kinds if kind & _KIND != MRDR_KIND)
        if _MISSING in links or root in links or len(links) != parts - 1:
            return False
        if not self._levels_descend(forest):
            return False
        return self._reaches([root], parts) and not self._too_deep

    def _reaches(self, heads: Sequence[int], count: int) -> bool:
        """Whether all of *count* records lie below *heads*, and each just once."""
        self._reset()
        conflicts = self._walk(heads)
        parts = (kind & _KIND != MRDR_KIND for kind in self._kinds)
        return not conflicts and sum(compress(self._visited, parts)) == count

    def _reset(self) -> None:
        """Forget what was walked through."""
        self._visited = bytearray(len(self._index))
        self._parents = array("l", [_NONE]) * len(self._index)
        self._referrers = array("l", [_NONE]) * len(self._index)
        # Whether the referrer leads down to it, and not on.
        self._is_first = bytearray(len(self._index))
        self._too_deep: list[tuple[int, int]] = []

    # -- the ladder ------------------------------------------------------------------

    def mend(self) -> None:
        """Take the first step that explains the links, then place what is left."""
        self._changed = True
        self._choose()
        self._reset()
        self._first = self._roots()
        for conflict in self._walk(self._first):
            self._settle(conflict)
        self._place_unreached()
        for at, lower in self._too_deep:
            self._forest.lowers[at] = _NONE
            self._repair.unlinked.append(self._index.offsets[lower])
            self._note(Kind.TOO_DEEP, lower, done="shown in Unlinked")
        self._repair.roots = tuple(self._index.offsets[at] for at in self._first)
        self._show_rest()

    def _choose(self) -> None:
        """Find out what the links mean."""
        index = self._index
        links = [link for link in (*index.nexts, *index.lowers) if link]
        missing = sum(1 for link in links if index.position(link) < 0)
        if len(index) > 1 and self._are_useless(len(links)):
            self._guess()
            return
        if not missing:
            self._drop_impossible()
            return
        if self._try(_shifted(index), Kind.LINKS_SHIFTED, missing * 2 <= len(links)):
            return
        if self._try(
            _ranked(index, self._written_root),
            Kind.LINKS_DRIFTED,
            missing * 2 <= len(links),
        ):
            return
        if missing * 2 > len(links) and len(index) > 2:
            self._guess()
            return
        self._drop_missing()
        self._drop_impossible()

    def _are_useless(self, count: int) -> bool:
        """Whether there are too few links for even a fraction of the records."""
        return count * 10 < len(self._index) - 1

    def _try(self, forest: _Forest | None, kind: Kind, keep_exact: bool) -> bool:
        """Take *forest* if it makes one tree of the right levels.

        With *keep_exact* links that name a record as written must mean that record.
        """
        if forest is None or not self._is_tree(forest):
            return False
        if keep_exact and not self._keeps(forest):
            return False
        if self._contradicted(forest):
            return False
        self._forest = forest
        self._note(kind, done="repaired")
        return True

    def _is_tree(self, forest: _Forest) -> bool:
        """Whether every record has one parent and is of a level below it."""
        named = bytearray(len(self._index))
        for links in forest:
            for target in links:
                if target >= 0:
                    if named[target]:
                        return False
                    named[target] = 1
        heads = [at for at in range(len(named)) if not named[at]]
        heads = [at for at in heads if self._kind(at) != MRDR_KIND]
        if len(heads) != 1 or not self._levels_descend(forest):
            return False
        before, self._forest = self._forest, forest
        parts = sum(1 for kind in self._kinds if kind & _KIND != MRDR_KIND)
        is_tree = self._reaches(heads, parts)
        self._forest = before
        return is_tree

    def _levels_descend(self, forest: _Forest) -> bool:
        return next(self._impossible(forest), None) is None

    def _impossible(self, forest: _Forest) -> Iterator[tuple["array[int]", int]]:
        """Yield the links that no tree of patients can have: which ones, from where."""
        for at in range(len(self._index)):
            if (kind := self._kind(at)) > _INSTANCE:
                continue
            lower, following = forest.lowers[at], forest.nexts[at]
            # Instances below instances are odd, but of one series all the same.
            if lower >= 0 and self._kind(lower) < kind + (kind < _INSTANCE):
                yield forest.lowers, at
            if following >= 0 and kind != self._kind(following) <= _INSTANCE:
                yield forest.nexts, at

    def _keeps(self, forest: _Forest) -> bool:
        return all(
            was in (_MISSING, now)
            for before, after in zip(self._forest, forest, strict=True)
            for was, now in zip(before, after, strict=True)
        )

    def _contradicted(self, forest: _Forest) -> bool:
        """Whether a header of a few series says that *forest* is wrong."""
        before, self._forest = self._forest, forest
        self._reset()
        self._walk(self._heads())
        series = [at for at in range(len(self._index)) if self._kind(at) == _SERIES]
        step = max(len(series) // 4, 1)
        verdict = any(
            self._agrees(at, forest.lowers[at]) is False
            for at in series[::step]
            if forest.lowers[at] >= 0
        )
        self._forest = before
        return verdict

    def _guess(self) -> None:
        """Take the order of the file: each record below the last one of a higher level."""
        self._forest = _by_type(self._kinds)
        self._repair.is_guess = True
        self._note(Kind.LINKS_UNUSABLE, done="the order of the records was taken")

    def _drop_missing(self) -> None:
        for links in self._forest:
            for at, target in enumerate(links):
                if target == _MISSING:
                    links[at] = _NONE
                    self._note(Kind.BROKEN_LINK, at, done="the chain ends there")

    def _drop_impossible(self) -> None:
        """Cut the links that lead up, or to a record of another level."""
        for links, at in list(self._impossible(self._forest)):
            target = links[at]
            leads_up = self._kind(target) <= self._kind(at)
            # Only the name of the finding depends on it: a few may cost more.
            few = self._counts[Kind.LOOP] + self._counts[Kind.WRONG_LEVEL] < _FEW
            is_loop = leads_up and few and self._leads_to([target], at)
            links[at] = _NONE
            kind = Kind.LOOP if is_loop else Kind.WRONG_LEVEL
            self._note(kind, at, done="the chain ends there")

    # -- roots -----------------------------------------------------------------------

    def _roots(self) -> list[int]:
        """Return where root entities begin: with what no link leads to, if it may."""
        heads = self._heads()
        top = [at for at in heads if self._kind(at) in {_PATIENT, ROOT_KIND}]
        written = self._index.position(self._written_root)
        roots = top or self._highest(heads)
        if written >= 0 and written not in roots and self._kind(written) != MRDR_KIND:
            may_be_first = not top or self._kind(written) in {_PATIENT, ROOT_KIND}
            if written in heads or (
                may_be_first and not self._leads_to(roots, written)
            ):
                roots = [written, *(roots if top else [])]
        if not roots and len(self._index):
            roots = [0]
        # It is said to be first, and folders are called after the first of several.
        roots.sort(key=lambda at: at != written)
        is_kept = roots[:1] == [written]
        if not is_kept:
            self._note(Kind.WRONG_ROOT, done="records that no link names were taken")
        for at in roots:
            if at != written and is_kept:
                self._note(Kind.ADOPTED, at, done="shown in the root")
        return roots

    def _heads(self) -> list[int]:
        """Return the records that no link names."""
        named = bytearray(len(self._index))
        for links in self._forest:
            for target in links:
                if target >= 0:
                    named[target] = 1
        return [
            at
            for at in range(len(named))
            if not named[at] and self._kind(at) != MRDR_KIND
        ]

    def _highest(self, heads: Sequence[int]) -> list[int]:
        highest = min(map(self._kind, heads), default=_NONE)
        return [at for at in heads if self._kind(at) == highest]

    def _leads_to(self, roots: Iterable[int], wanted: int) -> bool:
        seen: set[int] = set()
        waiting = list(roots)
        while waiting:
            at = waiting.pop()
            while at >= 0 and at not in seen:
                if at == wanted:
                    return True
                seen.add(at)
                if self._forest.lowers[at] >= 0:
                    waiting.append(self._forest.lowers[at])
                at = self._forest.nexts[at]
        return False

    # -- walking ---------------------------------------------------------------------

    def _walk(self, heads: Iterable[int]) -> list[_Conflict]:
        """Visit everything below *heads*; first visit wins, and the others are returned.

        What lies too deep is noted, and begins anew without a parent.
        """
        conflicts: list[_Conflict] = []
        forest, visited = self._forest, self._visited
        parents, referrers = self._parents, self._referrers
        lowest = self._is_first
        # Entities whose first record is still to be visited: it, its parent, its depth.
        waiting = [(head, _NONE, 0) for head in reversed(list(heads))]
        while waiting:
            at, parent, depth = waiting.pop()
            referrer, links = parent, forest.lowers
            below = []
            while at >= 0:
                if visited[at]:
                    if referrer >= 0:
                        link = _Link(links, referrer)
                        conflicts.append(_Conflict(at, link, parent))
                    break
                visited[at] = 1
                parents[at] = parent
                referrers[at] = referrer
                lowest[at] = links is forest.lowers
                if (lower := forest.lowers[at]) >= 0:
                    if depth + 1 < MAX_DEPTH:
                        below.append((lower, at, depth + 1))
                    else:
                        self._too_deep.append((at, lower))
                        below.append((lower, _NONE, 0))
                referrer, links, at = at, forest.nexts, forest.nexts[at]
            waiting += reversed(below)
        return conflicts

    def _settle(self, conflict: _Conflict) -> None:
        """Decide between two records that lead to the same one."""
        target, link, parent = conflict
        first = self._parents[target]
        if first in {parent, _NONE} or self._leads_from(target, link.referrer):
            link.cut()
            self._note(Kind.LOOP, link.referrer, done="the chain ends there")
            return
        says_first = self._agrees(first, target)
        if says_first is not False and (
            says_first or self._study(first) == self._study(parent)
        ):
            link.cut()
            self._note(Kind.SECOND_PARENT, target, done="left with the first")
            return
        self._link_to(target).cut()
        if self._agrees(parent, target):
            self._referrers[target] = link.referrer
            self._is_first[target] = link.links is self._forest.lowers
            self._move(target, parent)
            self._note(Kind.SECOND_PARENT, target, done="left where its header says")
            return
        link.cut()
        self._move(target, _NONE)
        self._repair.unlinked.append(self._index.offsets[target])
        self._note(Kind.SECOND_PARENT, target, done="shown in Unlinked")

    def _link_to(self, target: int) -> _Link:
        """Return the link by which *target* was reached first."""
        down = self._is_first[target]
        links = self._forest.lowers if down else self._forest.nexts
        return _Link(links, self._referrers[target])

    def _leads_from(self, target: int, referrer: int) -> bool:
        """Whether *referrer* was reached by way of *target*; yes, where that takes long."""
        at = referrer
        while at >= 0 and at != target and self._steps:
            self._steps -= 1
            at = self._referrers[at]
        return at >= 0

    def _chain(self, at: int) -> list[int]:
        """Return *at* and the records above it, from the top."""
        chain: list[int] = []
        while at >= 0 and len(chain) <= MAX_DEPTH:
            chain.append(at)
            at = self._parents[at]
        return chain[::-1]

    def _study(self, at: int) -> int:
        """Return the STUDY that *at* is or lies below, else the topmost record."""
        chain = self._chain(at)
        top = chain[0] if chain else _NONE
        return next((each for each in chain if self._kind(each) == _STUDY), top)

    def _move(self, first: int, parent: int) -> None:
        at = first
        while at >= 0:
            self._parents[at] = parent
            at = self._forest.nexts[at]

    # -- what nothing leads to -------------------------------------------------------

    def _place_unreached(self) -> None:
        """Visit what was not reached, and place it: the higher levels first."""
        begun = [head for head in self._unreached_heads() if self._visit(head)]
        for head in sorted(begun, key=lambda at: (self._kind(at), at)):
            self._place(head)

    def _unreached_heads(self) -> Iterator[int]:
        """Yield unreached records: first those that no link names, then what is left."""
        waiting = self._heads()
        for at in waiting:
            following = self._forest.nexts[at]
            if self._kinds[at] & INACTIVE and following >= 0 and not self._visited[at]:
                # It hides what is below it, not its siblings.
                self._forest.nexts[at] = _NONE
                waiting.append(following)
            yield at
        for at in range(len(self._index)):
            if self._kind(at) != MRDR_KIND:
                yield at

    def _visit(self, head: int) -> bool:
        """Visit what begins at *head*, unless it was; whether it is to be shown."""
        if self._visited[head]:
            return False
        for conflict in self._walk([head]):
            conflict.link.cut()
            self._note(Kind.LOOP, conflict.link.referrer, done="the chain ends there")
        return not self._kinds[head] & INACTIVE

    def _place(self, head: int) -> None:
        """Put the entity that begins at *head* where its header says, or nowhere."""
        offset = self._index.offsets[head]
        if self._kind(head) in {_PATIENT, ROOT_KIND}:
            self._first.append(head)
            self._note(Kind.ADOPTED, head, done="shown in the root")
            return
        home = self._home(head)
        if home == _NONE:
            self._repair.unlinked.append(offset)
            self._note(Kind.UNLINKED, head, done="shown in Unlinked")
            return
        self._move(head, home)
        self._repair.adopted.setdefault(self._index.offsets[home], []).append(offset)
        self._note(Kind.ADOPTED, head, done="shown where its header says")

    def _show_rest(self) -> None:
        """See that everything is shown: what is left out all the same is unlinked."""
        shown = bytearray(len(self._index))
        position = self._index.position
        self._mark([*self._first, *map(position, self._repair.unlinked)], shown)
        for at, kind in enumerate(self._kinds):
            if kind & INACTIVE and not shown[at]:
                shown[at] = 1
                self._mark([self._forest.lowers[at]], shown)
        for at in range(len(self._index)):
            if not shown[at] and self._kind(at) != MRDR_KIND:
                self._repair.unlinked.append(self._index.offsets[at])
                self._note(Kind.UNLINKED, at, done="shown in Unlinked")
                self._mark([at], shown)

    def _mark(self, heads: Sequence[int], shown: bytearray) -> None:
        """Mark what is shown below *heads*; what leads to something marked is cut."""
        waiting = [at for at in heads if at >= 0]
        for at in waiting:
            shown[at] = 1
        while waiting:
            at = waiting.pop()
            for links in self._forest:
                if (target := links[at]) < 0:
                    continue
                if shown[target]:
                    links[at] = _NONE
                else:
                    shown[target] = 1
                    waiting.append(target)
            adopted = self._repair.adopted.get(self._index.offsets[at], [])
            for offset in list(adopted):
                if shown[head := self._index.position(offset)]:
                    adopted.remove(offset)
                else:
                    shown[head] = 1
                    waiting.append(head)

    def _home(self, head: int) -> int:
        """Return which record the entity at *head* belongs below, by its header."""
        level = self._kind(head) - 1
        if not _PATIENT <= level < _INSTANCE:
            return _NONE
        said = self._said_below(head)
        if said is None:
            return _NONE
        known = self._by_key(level).get(said.key(level), [])
        cut = bisect_left(known, head)
        near = [*known[max(cut - _FEW, 0) : cut][::-1], *known[cut : cut + _FEW]]
        entity = set(self._entity(head))
        for at in near[:_FEW]:
            # Not below what lies in the entity itself, or below it.
            is_outside = self._chain(at)[0] not in entity
            if is_outside and self._said(at).agrees(said, level):
                return at
        return _NONE

    def _entity(self, head: int) -> Iterator[int]:
        while head >= 0:
            yield head
            head = self._forest.nexts[head]

    def _by_key(self, level: int) -> dict[bytes, list[int]]:
        """Return the active records of a level that were reached, by UID or ID.

        Asked for once all records of that level have their place.
        """
        if level in self._keys:
            return self._keys[level]
        found: dict[bytes, list[int]] = defaultdict(list)
        for at in range(len(self._index)):
            if self._kinds[at] == level and self._visited[at]:
                found[self._said(at).key(level)].append(at)
        found.pop(b"", None)
        self._keys[level] = found
        return found

    # -- witnesses -------------------------------------------------------------------

    def _agrees(self, parent: int, child: int) -> bool | None:
        """Whether the header of an instance at or below *child* agrees with *parent*."""
        if parent < 0:
            return None
        said = self._said_below(child)
        if said is None:
            return None
        return self._said(parent).agrees(said, self._kind(parent))

    def _said(self, at: int) -> Origin:
        offsets = self._index.offsets
        return self._witness.said_by_records(
            [offsets[each] for each in self._chain(at)]
        )

    def _said_below(self, head: int) -> Origin | None:
        """Return what the header of an instance at or below *head* says, if any does."""
        if not self._questions:
            return None
        self._questions -= 1
        return self._witness.said_by_header(self._instances(head))

    def _instances(self, head: int) -> list[int]:
        """Return the offsets of a few instances at *head* and below it."""
        return [
            self._index.offsets[at] for at in islice(self._leaves(head), _WITNESSES)
        ]

    def _leaves(self, head: int) -> Iterator[int]:
        seen: set[int] = set()
        waiting = [head]
        while waiting:
            at = waiting.pop()
            if at < 0 or at in seen or len(seen) > _SAMPLE:
                continue
            seen.add(at)
            if self._kinds[at] == _INSTANCE:
                yield at
            waiting += [self._forest.nexts[at], self._forest.lowers[at]]

    # -- the result ------------------------------------------------------------------

    def _kind(self, at: int) -> int:
        return self._kinds[at] & _KIND

    def _note(self, kind: Kind, at: int = _NONE, done: str = "") -> None:
        """Add a finding; of very many alike only the first ones."""
        self._counts[kind] += 1
        if self._counts[kind] > _MOST_FINDINGS:
            return
        offset = self._index.offsets[at] if at >= 0 else 0
        type_ = _TYPE_NAMES.get(self._kind(at), "") if at >= 0 else ""
        self._repair.findings.append(Finding(kind, offset, type_, done=done))

    def result(self) -> Repair:
        """Return what was made of it."""
        made, index = self._repair, self._index
        for kind, count in self._counts.items():
            if more := max(count - _MOST_FINDINGS, 0):
                made.findings.append(
                    Finding(kind, count=more, detail="and more of them")
                )
        if self._changed:
            made.links = Mended(index, *map(self._offsets, self._forest))
        # Where some links lead astray, those that do not seem to may as well.
        made.is_doubtful = not _LEAD_ASTRAY.isdisjoint(self._counts)
        if made.is_guess or made.is_doubtful:
            made.parents = self._parents
        return made

    def _offsets(self, links: "array[int]") -> "array[int]":
        offsets = self._index.offsets
        return array("L", (offsets[at] if at >= 0 else NO_RECORD for at in links))


_LEAD_ASTRAY: Final = frozenset({Kind.LOOP, Kind.SECOND_PARENT, Kind.WRONG_LEVEL})
_LEVEL_BY_ORDER: Final = {ROOT_KIND: _PATIENT, BRANCH_KIND: _INSTANCE}
_TYPE_NAMES: Final = {
    _PATIENT: "PATIENT",
    _STUDY: "STUDY",
    _SERIES: "SERIES",
    _INSTANCE: "instance",
    BRANCH_KIND: "PRIVATE",
}


def _exact(index: Index) -> _Forest:
    """Return the links as they are written."""
    return _Forest(*(_positions(index, links) for links in (index.nexts, index.lowers)))


def _positions(index: Index, links: Iterable[int], delta: int = 0) -> "array[int]":
    found = (index.position(link + delta) if link else _NONE for link in links)
    if delta:
        return array("l", found)
    return array(
        "l",
        (
            _MISSING if link and at < 0 else at
            for link, at in zip(links, found, strict=True)
        ),
    )


def _shifted(index: Index) -> _Forest | None:
    """Return the links moved by the distance that makes the most of them meet records."""
    links = sorted({link for link in (*index.nexts, *index.lowers) if link})
    sample = [link for link in links if index.position(link) < 0]
    sample = sample[:: max(len(sample) // 16, 1)][:16]
    votes: Counter[int] = Counter()
    for link in sample:
        at = bisect_left(index.offsets, link)
        for near in range(max(at - 8, 0), min(at + 8, len(index))):
            votes[index.offsets[near] - link] += 1
    for delta, _ in votes.most_common(4):
        moved = [_positions(index, each, delta) for each in (index.nexts, index.lowers)]
        exact = all(
            not link or at >= 0
            for links_, moved_ in zip((index.nexts, index.lowers), moved, strict=True)
            for link, at in zip(links_, moved_, strict=True)
        )
        if exact and delta:
            return _Forest(*moved)
    return None


def _ranked(index: Index, root: int) -> _Forest | None:
    """Return the links with the n-th smallest of them leading to the n-th record."""
    links = sorted({link for link in (*index.nexts, *index.lowers) if link})
    targets = [at for at in range(len(index)) if index.kinds[at] & _KIND != MRDR_KIND]
    if not targets or len(links) != len(targets) - 1:
        return None
    # No link leads to the first record of the root: in nearly all media the very first.
    first = index.position(root)
    targets.remove(first if first in targets else targets[0])
    rank = dict(zip(links, targets, strict=True))
    return _Forest(
        *(
            array("l", (rank[link] if link else _NONE for link in each))
            for each in (index.nexts, index.lowers)
        )
    )


def _by_type(kinds: Sequence[int]) -> _Forest:
    """Return links that follow from the order of the records and their types alone."""
    nexts = array("l", [_NONE]) * len(kinds)
    lowers = array("l", [_NONE]) * len(kinds)
    last_below: dict[int, int] = {}
    # The open record of each level, the lowest one last.
    above: list[tuple[int, int]] = []
    for at, flagged in enumerate(kinds):
        kind = flagged & _KIND
        if kind == MRDR_KIND:
            continue
        level = _LEVEL_BY_ORDER.get(kind, kind)
        while above and above[-1][0] >= level:
            above.pop()
        parent = above[-1][1] if above else _NONE
        if parent in last_below:
            nexts[last_below[parent]] = at
        elif parent != _NONE:
            lowers[parent] = at
        last_below[parent] = at
        above.append((level, at))
    return _Forest(nexts, lowers)
