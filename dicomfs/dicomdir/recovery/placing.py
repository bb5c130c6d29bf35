"""Placing all records: in the root, below the record that they belong to, or nowhere.

Links decide first. An entity that no link leads to goes where the header of its first
instance says; where that says nothing it is shown as unlinked.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from dicomfs.dicom.types import Level
from dicomfs.dicomdir.index import INACTIVE, MRDR_KIND, ROOT_KIND, Index
from dicomfs.dicomdir.origin import Origin
from dicomfs.dicomdir.recovery.forest import NONE, Conflict, Forest, Walk
from dicomfs.dicomdir.recovery.notes import Notes
from dicomfs.dicomdir.recovery.testimony import Testimony
from dicomfs.findings import Kind

# Candidates that are looked at where more would take long.
_FEW: Final = 16
_PATIENT, _INSTANCE = int(Level.PATIENT), int(Level.INSTANCE)
_TOP_KINDS: Final = frozenset({_PATIENT, ROOT_KIND})
_ENDS: Final = "the chain ends there"
_IN_ROOT: Final = "shown in the root"
_IN_UNLINKED: Final = "shown in Unlinked"
_BY_HEADER: Final = "shown where its header says"
_ROOT: Final = -2
"""Not a record, but the root above all of them."""


class Placing:
    """Where the records of *index* are placed, by the links of *forest*.

    *roots* are the positions of the first records of root entities, the one *written*
    there before others; *unlinked* those of entities that belong nowhere. *adopted* are
    the entities besides the one that a record links to, by the record. Links that
    cannot be kept are cut.
    """

    def __init__(
        self,
        index: Index,
        written: int,
        forest: Forest,
        testimony: Testimony,
        notes: Notes,
    ) -> None:
        self.roots: list[int] = []
        self.adopted: dict[int, list[int]] = {}
        self.unlinked: list[int] = []
        self.walk = Walk(forest)
        self._flagged = index.kinds
        self._written = written
        self._forest = forest
        self._testimony = testimony
        self._notes = notes
        self._by_level: dict[int, dict[bytes, list[int]]] = {}
        # What should be above a record was not read at all.
        self._may_be_lost = bool(index.unreadable)

    def place(self) -> None:
        """Place all records."""
        self.roots = self._roots()
        for conflict in self.walk.visit(self.roots):
            if not settle(conflict, self.walk, self._testimony, self._notes):
                self.unlinked.append(conflict.target)
        self._place_unreached()
        for at, lower in self.walk.too_deep:
            self._forest.lowers[at] = NONE
            self.unlinked.append(lower)
            self._notes.add(Kind.TOO_DEEP, lower, done=_IN_UNLINKED)
        self._show_rest()

    # -- roots -------------------------------------------------------------------------

    def _roots(self) -> list[int]:
        """Return where root entities begin: with what no link leads to, if it may."""
        roots = self._root_candidates()
        # It is said to be first, and folders are called after the first of several.
        roots.sort(key=lambda at: at != self._written)
        is_kept = roots[:1] == [self._written]
        if not is_kept:
            done = "records that no link names were taken"
            self._notes.add(Kind.WRONG_ROOT, done=done)
        for at in roots:
            if at != self._written and is_kept:
                self._notes.add(Kind.ADOPTED, at, done=_IN_ROOT)
        return roots

    def _root_candidates(self) -> list[int]:
        forest, kinds, written = self._forest, self._forest.kinds, self._written
        heads = forest.heads()
        top = [at for at in heads if kinds[at] in _TOP_KINDS]
        roots = top or self._highest(heads)
        if written >= 0 and written not in roots and kinds[written] != MRDR_KIND:
            may_be_first = not top or kinds[written] in _TOP_KINDS
            if written in heads or (
                may_be_first and not forest.leads_to(roots, written)
            ):
                roots = [written, *top]
        return roots or [0][: len(forest)]

    def _highest(self, heads: Sequence[int]) -> list[int]:
        kinds = self._forest.kinds
        highest = min((kinds[at] for at in heads), default=NONE)
        return [at for at in heads if kinds[at] == highest]

    # -- what nothing leads to ---------------------------------------------------------

    def _place_unreached(self) -> None:
        """Visit what was not reached, and place it: the higher levels first."""
        kinds = self._forest.kinds
        begun = [head for head in self._unreached_heads() if self._visit(head)]
        for head in sorted(begun, key=lambda at: (kinds[at], at)):
            self._place_entity(head)

    def _unreached_heads(self) -> Iterator[int]:
        """Yield unreached records: first those that no link names, then what is left."""
        forest, visited = self._forest, self.walk.visited
        waiting = forest.heads()
        for at in waiting:
            following = forest.nexts[at]
            if self._flagged[at] & INACTIVE and following >= 0 and not visited[at]:
                # It hides what is below it, not its siblings.
                forest.nexts[at] = NONE
                waiting.append(following)
            yield at
        for at, kind in enumerate(forest.kinds):
            if kind != MRDR_KIND:
                yield at

    def _visit(self, head: int) -> bool:
        """Visit what begins at *head*, unless it was; whether it is to be shown."""
        if self.walk.visited[head]:
            return False
        for conflict in self.walk.visit([head]):
            conflict.link.cut()
            self._notes.add(Kind.LOOP, conflict.link.referrer, done=_ENDS)
        return not self._flagged[head] & INACTIVE

    def _place_entity(self, head: int) -> None:
        """Put the entity that begins at *head* where its header says, or nowhere."""
        if self._forest.kinds[head] in _TOP_KINDS:
            self._place_in_root(head, _IN_ROOT)
            return
        home = self._home(head)
        if home == _ROOT:
            self._place_in_root(head, _BY_HEADER)
            return
        if home == NONE:
            self.unlinked.append(head)
            self._notes.add(Kind.UNLINKED, head, done=_IN_UNLINKED)
            return
        self.walk.move(head, home)
        self.adopted.setdefault(home, []).append(head)
        self._notes.add(Kind.ADOPTED, head, done=_BY_HEADER)

    def _place_in_root(self, head: int, done: str) -> None:
        self.roots.append(head)
        self._notes.add(Kind.ADOPTED, head, done=done)

    def _home(self, head: int) -> int:
        """Return which record the entity at *head* belongs below, by its header.

        Where none has the key of its series, as that was lost, it is the study, then
        the patient, and then the root, where the header stands in for all of them.
        """
        level = self._forest.kinds[head] - 1
        if not _PATIENT <= level < _INSTANCE:
            return NONE
        said = self._testimony.of_header(self._forest, head)
        if said is None:
            return NONE
        while level >= _PATIENT and said.key(level):
            known = self._by_key(level).get(said.key(level), [])
            home = self._agreeing(known, head, said, level)
            # Another patient may have the same ID, but no other study the same UID.
            if home != NONE or not self._may_be_lost or (known and level > _PATIENT):
                return home
            level -= 1
        return _ROOT if level < _PATIENT else NONE

    def _agreeing(
        self, known: Sequence[int], head: int, said: Origin, level: int
    ) -> int:
        """Return which of *known* agrees with what is *said* of the entity at *head*."""
        cut = bisect_left(known, head)
        near = [*known[max(cut - _FEW, 0) : cut][::-1], *known[cut : cut + _FEW]]
        entity = set(self._forest.entity(head))
        for at in near[:_FEW]:
            # Not below what lies in the entity itself, or below it.
            is_outside = self.walk.chain(at)[0] not in entity
            if is_outside and self._testimony.of_records(self.walk, at).agrees(
                said, level
            ):
                return at
        return NONE

    def _by_key(self, level: int) -> dict[bytes, list[int]]:
        """Return the active records of a level that were reached, by UID or ID.

        Asked for once all records of that level have their place.
        """
        if level in self._by_level:
            return self._by_level[level]
        found: dict[bytes, list[int]] = defaultdict(list)
        for at, flagged in enumerate(self._flagged):
            if flagged == level and self.walk.visited[at]:
                said = self._testimony.of_records(self.walk, at)
                found[said.key(level)].append(at)
        found.pop(b"", None)
        self._by_level[level] = found
        return found

    # -- what is left ------------------------------------------------------------------

    def _show_rest(self) -> None:
        """See that everything is shown: what is left out all the same is unlinked."""
        shown = bytearray(len(self._forest))
        self._mark([*self.roots, *self.unlinked], shown)
        for at, flagged in enumerate(self._flagged):
            if flagged & INACTIVE and not shown[at]:
                shown[at] = 1
                self._mark([self._forest.lowers[at]], shown)
        for at, kind in enumerate(self._forest.kinds):
            if not shown[at] and kind != MRDR_KIND:
                self.unlinked.append(at)
                self._notes.add(Kind.UNLINKED, at, done=_IN_UNLINKED)
                self._mark([at], shown)

    def _mark(self, heads: Sequence[int], shown: bytearray) -> None:
        """Mark what is shown below *heads*; what leads to something marked is cut.

        A head that is marked already has its links: they are not gone through again.
        """
        waiting = [at for at in heads if at >= 0 and not shown[at]]
        for at in waiting:
            shown[at] = 1
        while waiting:
            at = waiting.pop()
            for links in (self._forest.nexts, self._forest.lowers):
                if (target := links[at]) < 0:
                    continue
                if shown[target]:
                    links[at] = NONE
                else:
                    shown[target] = 1
                    waiting.append(target)
            adopted = self.adopted.get(at, [])
            for head in list(adopted):
                if shown[head]:
                    adopted.remove(head)
                else:
                    shown[head] = 1
                    waiting.append(head)


def settle(conflict: Conflict, walk: Walk, testimony: Testimony, notes: Notes) -> bool:
    """Decide between the two records that lead to the same one.

    Returns whether it belongs to either of them.
    """
    target, link, parent = conflict
    first = walk.parents[target]
    if first in {parent, NONE} or walk.leads_from(target, link.referrer):
        link.cut()
        notes.add(Kind.LOOP, link.referrer, done=_ENDS)
        return True
    says_first = testimony.agrees(walk, first, target)
    if says_first is not False and (
        says_first or walk.study(first) == walk.study(parent)
    ):
        link.cut()
        notes.add(Kind.SECOND_PARENT, target, done="left with the first")
        return True
    walk.link_to(target).cut()
    if testimony.agrees(walk, parent, target):
        walk.relink(conflict)
        notes.add(Kind.SECOND_PARENT, target, done="left where its header says")
        return True
    link.cut()
    walk.move(target, NONE)
    notes.add(Kind.SECOND_PARENT, target, done=_IN_UNLINKED)
    return False
