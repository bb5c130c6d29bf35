"""Links to records that lie where the medium cannot be read.

They say nothing about other links: they are right, and what they lead to is lost. But
they say below which records something is lost.
"""

from typing import Final

from dicomfs.dicom.types import Level
from dicomfs.dicomdir.index import ROOT_KIND, Index
from dicomfs.dicomdir.record import HEAD, NO_RECORD
from dicomfs.dicomdir.recovery.forest import Forest, Walk
from dicomfs.dicomdir.recovery.notes import Notes
from dicomfs.findings import Kind
from dicomfs.source.worn import meets

_ENDS: Final = "what it leads to cannot be read"
_TOP_KINDS: Final = frozenset({int(Level.PATIENT), ROOT_KIND})


class LostLinks:
    """The links of *written*, those of *index*, that lead to what cannot be read.

    The first record of the root is said to be at *root*. They are cut.
    """

    def __init__(self, index: Index, root: int, written: Forest, notes: Notes) -> None:
        self._targets: set[int] = set()
        self._index = index
        self._is_root_lost = index.position(root) < 0
        # Who has one, and whether it leads down from there.
        self._links: list[tuple[int, bool]] = []
        if not index.unreadable:
            return
        for link in list(written.broken()):
            leads_down = link.links is written.lowers
            offsets = index.lowers if leads_down else index.nexts
            target = offsets[link.referrer]
            if meets(index.unreadable, target, target + HEAD):
                link.cut()
                notes.add(Kind.BROKEN_LINK, link.referrer, done=_ENDS)
                self._targets.add(target)
                self._links.append((link.referrer, leads_down))

    @property
    def count(self) -> int:
        """How many lost records are known of: there may be others behind them."""
        is_lost = bool(self._index.unreadable) and self._is_root_lost
        return len(self._targets) + is_lost

    def open_below(
        self, walk: Walk, roots: list[int], adopted: dict[int, list[int]]
    ) -> set[int]:
        """Return the offsets of the records below which something is lost.

        That of the root is NO_RECORD. What was *adopted* had lost its link, and so had
        all *roots* but one.
        """
        index = self._index
        if not index.unreadable:
            return set()
        parents = set(adopted)
        is_root_open = self._is_root_lost or len(roots) > 1
        for at, leads_down in self._links:
            parent = at if leads_down else walk.parents[at]
            if parent >= 0:
                parents.add(parent)
            elif walk.forest.kinds[at] in _TOP_KINDS:
                is_root_open = True
        found = {index.offsets[at] for at in parents}
        return found | {NO_RECORD} if is_root_open else found
