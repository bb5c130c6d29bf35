"""The first look at the root: what was in it before all links were checked.

Who saw that walks on with it. So what the check adds to the root afterwards is not
shown there but in ``Unlinked``, which comes last and waits for the check.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from dicomfs.tree.draft import Branch, Leaf
from dicomfs.tree.identity import ROOT_INODE, inode
from dicomfs.tree.selection import Listing


class Drafts(NamedTuple):
    """Folders and files in the making."""

    branches: list[Branch]
    leaves: list[Leaf]


class FirstLook:
    """What somebody saw in the root before all links were checked, if anybody did."""

    def __init__(self) -> None:
        self._seen: frozenset[Hashable] | None = None

    @property
    def is_taken(self) -> bool:
        """Whether somebody saw the root so early."""
        return self._seen is not None

    def take(self, listing: Listing) -> None:
        """Remember what is in the first *listing* of the root."""
        if self._seen is None:
            self._seen = frozenset(node.identity for node in listing.values())

    def seen_first(self, branches: Iterable[Branch]) -> list[Branch]:
        """Return *branches*, and those that came late behind the others.

        What is joined then has the name and the number of what was seen.
        """
        return sorted(branches, key=self._is_late)

    def seen(self, branches: Sequence[Branch], leaves: Sequence[Leaf]) -> Drafts:
        """Return what was seen of *branches* and *leaves* of the root."""
        return Drafts(
            [branch for branch in branches if not self._is_late(branch)],
            [leaf for leaf in leaves if not self._is_late(leaf)],
        )

    def late(self, branches: Sequence[Branch], leaves: Sequence[Leaf]) -> Drafts:
        """Return what came later of *branches* and *leaves* of the root."""
        return Drafts(
            [branch for branch in branches if self._is_late(branch)],
            [leaf for leaf in leaves if self._is_late(leaf)],
        )

    def _is_late(self, draft: Branch | Leaf) -> bool:
        if self._seen is None:
            return False
        if isinstance(draft, Leaf):
            return draft.position not in self._seen
        number = inode(draft.position, draft.role.value, ROOT_INODE)
        return number not in self._seen
