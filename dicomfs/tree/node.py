"""Nodes of the tree that people see: files and folders, each with its inode number."""

import errno
import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from dicomfs.dicom.types import Level
from dicomfs.dicomdir.record import DirectoryRecord
from dicomfs.fileset.fileset import FileSet, Part
from dicomfs.media.medium import Place
from dicomfs.source.source import Source
from dicomfs.tree.identity import file_inode


@dataclass(slots=True, eq=False)
class Instance:
    """An instance, whose record is at *offset*, and which may have *copies* elsewhere.

    *error* is the errno that opening it gives and *reason* why, 0 and empty if it can
    be opened.
    """

    inode: int
    name: str
    parent: "Selection"
    mtime_ns: int
    file_set: FileSet
    offset: int
    place: Place
    size: int
    error: int
    reason: str
    copies: tuple[tuple[FileSet, Place], ...] = ()
    # When it was changed last as it was listed; 0 if that is not known.
    changed_ns: int = 0
    # How often the kernel was told of it and did not say that it forgot.
    lookups: int = 0

    @property
    def record(self) -> DirectoryRecord:
        """The directory record, read anew: a listing of many files keeps none."""
        return self.file_set.record(self.offset)

    def is_same(self, other: object) -> bool:
        """Whether *other* with the same inode number is the same file, listed anew."""
        return (
            isinstance(other, Instance)
            and other.parent.is_same(self.parent)
            and _identity(other) == _identity(self)
        )

    def open(self) -> Source:
        """Open the file on its medium; raises OSError."""
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        return self._checked(self.file_set.medium.open(self.place))

    def open_cached(self) -> Source | None:
        """Open the file if that takes no waiting for its medium, else None."""
        if self.error:
            return None
        source = self.file_set.medium.open_cached(self.place)
        return None if source is None else self._checked(source)

    def _checked(self, source: Source) -> Source:
        """See that it is the file that was listed, whose size the kernel remembers.

        A copy of a medium may be written to: then less than that size would be taken
        for the end of the file, and old pages mixed with new ones.
        """
        if source.status != (self.size, self.mtime_ns, self.changed_ns):
            source.close()
            raise OSError(errno.EIO, "the file is not the one that was listed")
        return source


@dataclass(slots=True, eq=False)
class Selection:
    """A patient, study, series or another folder, whose records lie in *parts*.

    *by_type* folders hold one folder for each record type, an *unlinked* one what
    belongs nowhere.
    """

    inode: int
    name: str
    parent: "Selection | None"
    mtime_ns: int
    level: Level
    parts: Sequence[Part]
    by_type: bool = False
    unlinked: bool = False
    # The record that it was made of, and which others were joined with.
    origin: Part | None = None
    # As a file's.
    lookups: int = 0
    listing: "Listing | None" = field(default=None, repr=False)
    _begins: tuple[Sequence[Part], frozenset[tuple[FileSet, int]]] | None = field(
        default=None, repr=False
    )

    def is_same(self, other: object) -> bool:
        """Whether *other* with the same inode number is the same folder, listed anew."""
        # What is in it may change when links are mended, not what it was made of.
        return isinstance(other, Selection) and other._made_of == self._made_of

    @property
    def _made_of(self) -> tuple[object, ...]:
        return self.origin, self.level, self.by_type, self.unlinked

    @property
    def begins(self) -> frozenset[tuple[FileSet, int]]:
        """Where the folder's entities begin, to find out what leads back there."""
        if self._begins is None or self._begins[0] is not self.parts:
            self._begins = (
                self.parts,
                frozenset(part[:2] for part in self.parts if part.whole_entity),
            )
        return self._begins[1]

    def character_sets_of(self, file_set: FileSet) -> tuple[bytes, ...]:
        """Return those that records of *file_set* in it have without their own."""
        sets = (p.character_sets for p in self.parts if p.file_set is file_set)
        return next(sets, ())

    @property
    def path(self) -> tuple[str, ...]:
        """The names of the folders from the root to this one, without the root's."""
        above = self.parent.path if self.parent is not None else ()
        return (*above, self.name) if self.name else above


Node = Instance | Selection
Listing = dict[str, Node]


def merged(old: Listing, new: Listing) -> Listing:
    """Return *new*, in which all that was in *old* keeps its name and inode number.

    For a listing that the kernel knows already, when links turned out to be wrong.
    """
    known = {_identity(node): node for node in old.values()}
    result: Listing = {}
    added: list[Node] = []
    for node in new.values():
        if (before := known.get(_identity(node))) is None:
            added.append(node)
            continue
        if isinstance(before, Selection) and isinstance(node, Selection):
            before.parts = node.parts
        result[before.name] = before
    taken = {node.inode for node in known.values()}
    used = taken | {node.inode for node in new.values()}
    number = len(used)
    for node in added:
        if node.inode in taken and node.parent is not None:
            while (inode := file_inode(node.parent.inode, number)) in used:
                number += 1
            node.inode = inode
            used.add(inode)
        if node.name in old or node.name in result:
            stem, dot, extension = node.name.rpartition(".")
            node.name = f"{stem or extension} [{node.inode:x}]{dot if stem else ''}"
            node.name += extension if stem else ""
        result[node.name] = node
    return dict(sorted(result.items()))


def _identity(node: Node) -> Hashable:
    """Return what stays the same of a node whatever else is in its folder."""
    if isinstance(node, Instance):
        return node.file_set.identity, node.offset
    return node.inode
