"""Nodes of the tree that people see: what all have in common, and the simple kinds.

    Selection    the folder that some records become: a patient, a study, a series
    Instance     a record with its file (both are in ``tree.selection``)
    Fixed        a folder whose children are given
    Made         what all files have in common that no record lists:
    Rendered     one whose bytes are made when somebody asks for them
    Compiled     one whose bytes are made when somebody opens it
    Frozen       one whose bytes are made once, when it is opened first
    Link         a symbolic link

Front ends know ``FolderNode`` and ``FileNode`` and ask ``is_folder`` which of the two a
node is. A node is complete when it is shown.
"""

import errno
import os
import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NoReturn, Protocol

from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.types import Level
from dicomfs.source.source import BytesSource, Source

Said = Mapping[Level, Attributes]


class Named(Protocol):
    """What folders and files have in common."""

    @property
    def inode(self) -> int:
        """The number of the node, the same on every mount."""
        ...

    @property
    def name(self) -> str:
        """The name in its folder; empty for the root."""
        ...

    @property
    def parent(self) -> "FolderNode | None":
        """The folder that the node is in; None for the root."""
        ...

    @property
    def mtime_ns(self) -> int:
        """The time that is shown."""
        ...

    @property
    def attributes(self) -> Said:
        """What the records say about the node and about the folders above, by level.

        They are read anew each time, and what cannot be read is left out.
        """
        ...

    def is_same(self, other: object) -> bool:
        """Whether *other* with the same inode number is the same node, listed anew."""
        ...


class FolderNode(Named, Protocol):
    """A folder, whose children may have to be computed."""

    @property
    def is_folder(self) -> Literal[True]:
        """That it is a folder."""
        ...

    @property
    def is_searched(self) -> bool:
        """Whether ``lookup`` finds what is neither listed nor hidden, and may take long."""
        ...

    @property
    def has_images(self) -> bool:
        """Whether it is a series, or a choice of images: pictures can be had of them."""
        ...

    @property
    def hidden(self) -> "Mapping[str, Node]":
        """Children that are found by name and not listed, so that nobody copies them."""
        ...

    def children(self) -> "Mapping[str, Node]":
        """Return what is in the folder, by name and in the order of names.

        That may take long. Raises OSError if the medium cannot be read.
        """
        ...

    def children_cached(self) -> "Mapping[str, Node] | None":
        """Return what is in the folder if that is in memory, else None."""
        ...

    def lookup(self, name: str) -> "Node | None":
        """Return the child called *name*, a hidden one too; raises as ``children``."""
        ...

    def forget(self) -> None:
        """Give up what is kept of the children; asked again, they come out the same."""
        ...


class FileNode(Named, Protocol):
    """A file, which perhaps cannot be opened."""

    @property
    def is_folder(self) -> Literal[False]:
        """That it is not a folder."""
        ...

    @property
    def is_fixed(self) -> bool:
        """Whether size and bytes stay as they are.

        If they do not, they are made whenever they are asked for.
        """
        ...

    @property
    def size(self) -> int:
        """How many bytes there are."""
        ...

    @property
    def links(self) -> int:
        """In how many folders it is, under one name or another."""
        ...

    @property
    def error(self) -> int:
        """The errno that opening it gives, 0 if it can be opened."""
        ...

    @property
    def reason(self) -> str:
        """Why it cannot be opened, empty if it can."""
        ...

    def open(self) -> Source:
        """Open the file; raises OSError."""
        ...

    def open_cached(self) -> Source | None:
        """Open the file if that takes no waiting, else return None."""
        ...


Node = FolderNode | FileNode


class _Beside(Named, Protocol):
    """What no record lists, made beside what records list."""

    inode: int
    name: str

    @property
    def identity(self) -> Hashable:
        """What stays the same whatever else is in the folder."""
        ...


class ExtraFile(FileNode, _Beside, Protocol):
    """A file that no record lists."""


class ExtraFolder(FolderNode, _Beside, Protocol):
    """A folder that no record lists."""


@dataclass(slots=True, eq=False)
class Fixed:
    """A folder with the children that *entries* has, by name."""

    is_folder: ClassVar[Literal[True]] = True
    is_searched: ClassVar[bool] = False
    has_images: ClassVar[bool] = False

    inode: int
    name: str
    parent: FolderNode | None
    mtime_ns: int
    entries: dict[str, Node] = field(default_factory=dict, repr=False)
    hidden: Mapping[str, Node] = field(default_factory=dict, repr=False)

    @property
    def attributes(self) -> Said:
        """What the records of the folders above say."""
        return self.parent.attributes if self.parent is not None else {}

    def is_same(self, other: object) -> bool:
        """Whether *other* is this very folder, as it is never listed anew."""
        return other is self

    def children(self) -> Mapping[str, Node]:
        """Return what is in the folder."""
        return self.entries

    def children_cached(self) -> Mapping[str, Node]:
        """Return what is in the folder."""
        return self.entries

    def lookup(self, name: str) -> Node | None:
        """Return the child called *name*, None if there is none."""
        return self.hidden.get(name) or self.entries.get(name)

    def forget(self) -> None:
        """Do nothing: the children are given and not computed."""


@dataclass(slots=True, eq=False)
class Made:
    """A file that no record lists: what all those have in common that dicomfs makes."""

    is_folder: ClassVar[Literal[False]] = False
    is_fixed: ClassVar[bool] = True
    error: ClassVar[int] = 0
    reason: ClassVar[str] = ""
    links: ClassVar[int] = 1

    inode: int
    name: str
    parent: FolderNode
    mtime_ns: int

    @property
    def attributes(self) -> Said:
        """What the records of the folders above say."""
        return self.parent.attributes

    def is_same(self, other: object) -> bool:
        """Whether *other* is this very file, as it is never listed anew."""
        return other is self

    def open_cached(self) -> Source | None:
        """Have nothing in memory."""
        return None


@dataclass(slots=True, eq=False)
class Rendered(Made):
    """A file whose bytes *render* makes, anew each time that somebody asks for them."""

    is_fixed: ClassVar[bool] = False

    render: Callable[[], bytes]

    @property
    def size(self) -> int:
        """How many bytes there are by now."""
        return len(self.render())

    def open(self) -> Source:
        """Return the bytes as they are now."""
        return BytesSource(self.render())


@dataclass(slots=True, eq=False)
class Compiled(Made):
    """A file whose bytes *compile* makes, which may take long, when somebody opens it.

    Its size is that of the last opening: 0 before, as nobody who only looks at it should
    have to wait for that.
    """

    is_fixed: ClassVar[bool] = False

    compile: Callable[[], bytes]
    size: int = 0

    def open(self) -> Source:
        """Return the bytes as they are now; raises OSError."""
        data = self.compile()
        self.size = len(data)
        return BytesSource(data)


@dataclass(slots=True, eq=False)
class Link(Made):
    """A symbolic link that leads to *target*, a path from the folder that it is in."""

    error: ClassVar[int] = errno.ELOOP

    target: str

    @property
    def attributes(self) -> Said:
        """What records say of it: nothing."""
        return {}

    @property
    def size(self) -> int:
        """How many bytes the target is long."""
        return len(self.target.encode())

    def is_same(self, other: object) -> bool:
        """Whether *other* leads to the same place."""
        return isinstance(other, Link) and other.target == self.target

    def open(self) -> NoReturn:
        """Raise OSError: the kernel follows it, nobody opens it."""
        raise OSError(self.error, os.strerror(self.error))


class Once:
    """The bytes that *render* makes, for all who ask: made once, by who asks first."""

    def __init__(self, render: Callable[[], bytes]) -> None:
        self.made: bytes | None = None
        self._render = render
        self._lock = threading.Lock()

    def __call__(self) -> bytes:
        """Return the bytes; raises what making them raises, and then makes them anew."""
        with self._lock:
            if self.made is None:
                self.made = self._render()
            return self.made


@dataclass(slots=True, eq=False)
class Frozen(Made):
    """A file of *size* bytes, which are not made before somebody opens it."""

    size: int
    content: Once

    @property
    def identity(self) -> Hashable:
        """What stays the same whatever else is in the folder."""
        return self.content

    def is_same(self, other: object) -> bool:
        """Whether *other* is the same file, listed anew."""
        return isinstance(other, Frozen) and other.content is self.content

    def open(self) -> Source:
        """Return the bytes; raises OSError."""
        return BytesSource(self.content(), self.mtime_ns)

    def open_cached(self) -> Source | None:
        """Return the bytes if they were made, else None."""
        made = self.content.made
        return None if made is None else BytesSource(made, self.mtime_ns)
