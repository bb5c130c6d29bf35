"""The folders of File-sets that are rebuilt: files under their File IDs, and a DICOMDIR.

A File-set is rebuilt when somebody looks into its folder for the first time. From then on
its DICOMDIR stays as it is.
"""

import errno
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

from dicomfs.original.rebuilt import Listed, Rebuilt
from dicomfs.source.source import Source
from dicomfs.tree.identity import Position, inode
from dicomfs.tree.node import FolderNode, Frozen, Node, Once, Said
from dicomfs.tree.selection import Instance

DICOMDIR: Final = "DICOMDIR"
_ROLE: Final = "original"

# What is in a folder, by name: files, and what is in folders.
Plan = dict[str, "Listed | Plan"]


@dataclass(slots=True, eq=False)
class File:
    """The file of an *instance* under its File ID."""

    is_folder: ClassVar[Literal[False]] = False
    is_fixed: ClassVar[bool] = True
    links: ClassVar[int] = 1

    inode: int
    name: str
    parent: FolderNode
    instance: Instance

    @property
    def mtime_ns(self) -> int:
        """The time of the instance."""
        return self.instance.mtime_ns

    @property
    def attributes(self) -> Said:
        """What the records say of the instance, and of the folders above."""
        return self.instance.attributes

    @property
    def size(self) -> int:
        """How many bytes the instance has."""
        return self.instance.size

    @property
    def error(self) -> int:
        """The errno that opening it gives."""
        return self.instance.error

    @property
    def reason(self) -> str:
        """Why it cannot be opened."""
        return self.instance.reason

    @property
    def file_id(self) -> str:
        """The File ID that the record of the rebuilt DICOMDIR has."""
        names, folder = [self.name], self.parent
        while isinstance(folder, Folder):
            names.append(folder.name)
            folder = folder.parent
        return "\\".join(reversed(names))

    def is_same(self, other: object) -> bool:
        """Whether *other* is the file of the same instance."""
        return isinstance(other, File) and self.instance.is_same(other.instance)

    def open(self) -> Source:
        """Open the instance; raises OSError."""
        return self.instance.open()

    def open_cached(self) -> Source | None:
        """Open the instance if that takes no waiting, else return None."""
        return self.instance.open_cached()


@dataclass(slots=True, eq=False)
class Folder:
    """A folder of File IDs, with what *plan* says."""

    is_folder: ClassVar[Literal[True]] = True
    is_searched: ClassVar[bool] = False
    has_images: ClassVar[bool] = False
    hidden: ClassVar[Mapping[str, Node]] = {}

    inode: int
    name: str
    parent: FolderNode
    mtime_ns: int
    plan: Plan = field(repr=False)
    _made: dict[str, Node] | None = field(default=None, repr=False)

    @property
    def attributes(self) -> Said:
        """What records say of it: nothing, as a File ID means nothing."""
        return {}

    def is_same(self, other: object) -> bool:
        """Whether *other* has the same in it."""
        return isinstance(other, Folder) and other.plan is self.plan

    def children(self) -> Mapping[str, Node]:
        """Return what is in the folder; raises OSError."""
        made = self._made
        if made is None:
            made = self._made = _nodes(self, self.plan)
        return made

    def children_cached(self) -> Mapping[str, Node] | None:
        """Return what is in the folder if that is in memory."""
        return self._made

    def lookup(self, name: str) -> Node | None:
        """Return the child called *name*, None if there is none; raises OSError."""
        return self.children().get(name)

    def forget(self) -> None:
        """Give up the nodes: they come out the same again."""
        self._made = None


class View:
    """The folder *name* in *parent* of a File-set that *rebuild* makes."""

    is_folder: ClassVar[Literal[True]] = True
    is_searched: ClassVar[bool] = False
    has_images: ClassVar[bool] = False

    def __init__(
        self,
        inode: int,
        name: str,
        parent: FolderNode | None,
        mtime_ns: int,
        rebuild: Callable[[], Rebuilt],
    ) -> None:
        self.inode = inode
        self.name = name
        self.parent = parent
        self.mtime_ns = mtime_ns
        self.hidden: Mapping[str, Node] = {}
        self._rebuild = rebuild
        self._lock = threading.Lock()
        self._rebuilt: Rebuilt | None = None
        self._made: Mapping[str, Node] | None = None

    @property
    def attributes(self) -> Said:
        """What records say of it: nothing."""
        return {}

    def is_same(self, other: object) -> bool:
        """Whether *other* is this very folder."""
        return other is self

    def rebuilt(self) -> Rebuilt:
        """Return the File-set, rebuilt by who asks first; raises OSError."""
        with self._lock:
            if self._rebuilt is None:
                self._rebuilt = self._rebuild()
            return self._rebuilt

    def children(self) -> Mapping[str, Node]:
        """Return what is in the folder, which may take long; raises OSError."""
        made = self.rebuilt()
        with self._lock:
            if self._made is None:
                nodes = _nodes(self, _planned(made))
                nodes[DICOMDIR] = self._dicomdir(made.dicomdir)
                self._made = dict(sorted(nodes.items()))
            return self._made

    def _dicomdir(self, data: bytes) -> Frozen:
        content = Once(lambda: data)
        content()
        number = _inode(DICOMDIR, self)
        return Frozen(number, DICOMDIR, self, self.mtime_ns, len(data), content)

    def children_cached(self) -> Mapping[str, Node] | None:
        """Return what is in the folder if that is in memory."""
        return self._made

    def lookup(self, name: str) -> Node | None:
        """Return the child called *name*, None if there is none; raises OSError."""
        return self.hidden.get(name) or self.children().get(name)

    def forget(self) -> None:
        """Keep what is known: it must not become another."""


def _planned(made: Rebuilt) -> Plan:
    """Return what is in each folder, by the names of the way there."""
    top: Plan = {}
    folders: dict[tuple[str, ...], Plan] = {}
    for path, listed in made.files.items():
        names = tuple(component.decode("ascii") for component in path)
        if (folder := folders.get(names[:-1])) is None:
            folder = folders[names[:-1]] = _folder(top, names[:-1])
        folder[names[-1]] = listed
    return top


def _folder(top: Plan, names: tuple[str, ...]) -> Plan:
    """Return what is in the folder at the end of *names* in *top*, made if need be."""
    for name in names:
        below = top.setdefault(name, {})
        assert isinstance(below, dict)
        top = below
    return top


def _nodes(folder: FolderNode, plan: Plan) -> dict[str, Node]:
    """Return what is in *folder* by *plan*; raises OSError."""
    made: dict[str, Node] = {}
    for name, each in sorted(plan.items()):
        number = _inode(name, folder)
        if isinstance(each, Listed):
            made[name] = File(number, name, folder, _instance(each))
        else:
            made[name] = Folder(number, name, folder, folder.mtime_ns, each)
    return made


def _instance(listed: Listed) -> Instance:
    found = listed.folder.children().get(listed.name)
    if not isinstance(found, Instance):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return found


def _inode(name: str, parent: FolderNode) -> int:
    return inode(Position(name.encode(), 0), _ROLE, parent.inode)
