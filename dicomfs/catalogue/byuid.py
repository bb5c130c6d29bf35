"""The hidden folder ``by-uid``: a link to each study, series and instance, by its UID.

Nothing is listed in it. Whoever asks for a UID gets a symbolic link that tells the place
in the tree.
"""

import threading
from array import array
from bisect import bisect_left
from collections.abc import Hashable, Mapping
from typing import ClassVar, Final, Literal

from dicomfs.catalogue.groups import steps
from dicomfs.tree.identity import Position, inode
from dicomfs.tree.node import FolderNode, Link, Node, Said
from dicomfs.tree.selection import Instance, Selection
from dicomfs.tree.told import NOTHING, Teller
from dicomfs.tree.tree import Tree

NAME: Final = "by-uid"

_OWN: Final = Position(NAME.encode(), 0)
_UP: Final = "../../"
_BITS: Final = 64


class Uids:
    """Where in *tree* UIDs are: found out once, for all of them.

    Takes 16 bytes for each. Safe to use from several threads: who comes while another is
    at it, waits.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._lock = threading.Lock()
        self._revision = -1
        # Of each UID the hash, and the number of the folder that has it.
        self._hashes = array("Q")
        self._numbers = array("L")
        self._folders: list[Selection] = []

    def path(self, uid: bytes) -> str | None:
        """Return the path of what has the *uid*, None if nothing has; raises OSError."""
        self._tree.completeness.settle()
        with self._lock:
            if self._revision != self._tree.revision:
                self._look()
        place = bisect_left(self._hashes, _hash(uid))
        while place < len(self._hashes) and self._hashes[place] == _hash(uid):
            folder = self._folders[self._numbers[place]]
            for name, node in folder.children().items():
                if isinstance(node, Instance | Selection) and node.uid == uid:
                    return "/".join((*folder.path, name))
            place += 1
        return None

    def _look(self) -> None:
        revision = self._tree.revision
        found: list[tuple[int, int]] = []
        folders: list[Selection] = []
        for step in steps(self._tree.root, NOTHING, Teller()):
            uids = [node.uid for node in step.nodes if node.uid]
            found += [(_hash(uid), len(folders)) for uid in uids]
            folders += [step.folder] if uids else []
        found.sort()
        self._hashes = array("Q", (each for each, _ in found))
        self._numbers = array("L", (number for _, number in found))
        self._folders = folders
        self._revision = revision


def _hash(uid: bytes) -> int:
    return hash(uid) % (1 << _BITS)


class ByUid:
    """The folder in *parent* that finds what is in *tree* by its UID."""

    is_folder: ClassVar[Literal[True]] = True
    is_searched: ClassVar[bool] = True
    has_images: ClassVar[bool] = False
    name: ClassVar[str] = NAME
    hidden: ClassVar[Mapping[str, Node]] = {}

    def __init__(self, tree: Tree, parent: FolderNode) -> None:
        self.parent = parent
        self.inode = inode(_OWN, NAME, parent.inode)
        self.mtime_ns = parent.mtime_ns
        self._uids = Uids(tree)

    @property
    def attributes(self) -> Said:
        """What records say of it: nothing."""
        return {}

    @property
    def identity(self) -> Hashable:
        """What stays the same."""
        return self.inode

    def is_same(self, other: object) -> bool:
        """Whether *other* is this very folder."""
        return other is self

    def children(self) -> Mapping[str, Node]:
        """Return nothing: it is only asked for names."""
        return self.hidden

    def children_cached(self) -> Mapping[str, Node]:
        """Return nothing."""
        return self.hidden

    def lookup(self, name: str) -> Link | None:
        """Return the link that is called like a UID; raises OSError."""
        path = self._uids.path(name.encode())
        if path is None:
            return None
        number = inode(Position(name.encode(), 0), NAME, self.inode)
        return Link(number, name, self, self.mtime_ns, _UP + path)

    def forget(self) -> None:
        """Keep what is known: it is little."""
