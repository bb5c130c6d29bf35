"""What records become: folders that are a selection of records, and their instances.

Only *parts* of a folder that is shown may be replaced, where links turned out to be
wrong (see ``tree.listings``).
"""

import errno
import os
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, Protocol

from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.types import Level
from dicomfs.dicomdir.record import DirectoryRecord
from dicomfs.errors import DirectoryError
from dicomfs.fileset.fileset import FileSet, Part
from dicomfs.media.medium import Place
from dicomfs.source.source import Source
from dicomfs.tree.node import Node, Said

# Folders on these levels have attributes of their own.
_LEVELS: Final = frozenset({Level.PATIENT, Level.STUDY, Level.SERIES})


class Lister(Protocol):
    """Knows what is in selections; see ``tree.listings``."""

    def children(self, folder: "Selection") -> "Listing":
        """Return what is in *folder*; raises OSError."""
        ...

    def cached(self, folder: "Selection") -> "Listing | None":
        """Return what is in *folder* if that is kept, else None."""
        ...

    def forget(self, folder: "Selection") -> None:
        """Give up what is kept of *folder*."""
        ...


@dataclass(slots=True, eq=False)
class Instance:
    """A record with a file: it is at *offset*, and may have *copies* elsewhere."""

    is_folder: ClassVar[Literal[False]] = False
    is_fixed: ClassVar[bool] = True

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

    @property
    def record(self) -> DirectoryRecord:
        """The directory record, read anew: a listing of many files keeps none."""
        return self.file_set.record(self.offset)

    @property
    def own_attributes(self) -> Attributes:
        """What the record says, read anew; raises DirectoryError or OSError."""
        inherited = self.parent.character_sets_of(self.file_set)
        return self.file_set.attributes(self.record, inherited)

    @property
    def attributes(self) -> Said:
        """What the record says, as of an instance, and what those above say."""
        above = self.parent.attributes
        with suppress(DirectoryError, OSError):
            return {**above, Level.INSTANCE: self.own_attributes}
        return above

    @property
    def identity(self) -> Hashable:
        """What stays the same whatever else is in the folder."""
        return self.file_set.identity, self.offset

    def is_same(self, other: object) -> bool:
        """Whether *other* with the same inode number is the same file, listed anew."""
        return (
            isinstance(other, Instance)
            and other.parent.is_same(self.parent)
            and other.identity == self.identity
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

    is_folder: ClassVar[Literal[True]] = True

    inode: int
    name: str
    parent: "Selection | None"
    mtime_ns: int
    level: Level
    parts: Sequence[Part]
    lister: Lister = field(repr=False)
    by_type: bool = False
    unlinked: bool = False
    # The record that it was made of, and which others were joined with.
    origin: Part | None = None
    hidden: Mapping[str, Node] = field(default_factory=dict, repr=False)
    _begins: tuple[Sequence[Part], frozenset[tuple[FileSet, int]]] | None = field(
        default=None, repr=False
    )

    def children(self) -> "Listing":
        """Return what is in the folder, the same nodes as long as they are kept."""
        return self.lister.children(self)

    def children_cached(self) -> "Listing | None":
        """Return what is in the folder if that is kept, else None."""
        return self.lister.cached(self)

    def lookup(self, name: str) -> Node | None:
        """Return the child called *name*, None if there is none; raises OSError."""
        return self.hidden.get(name) or self.children().get(name)

    def forget(self) -> None:
        """Give up what is kept of the children."""
        self.lister.forget(self)

    @property
    def own_attributes(self) -> Attributes | None:
        """What the folder's record says, read anew, the first of joined ones.

        None if it cannot be read, and for what is not a patient, study or series.
        """
        if self.origin is None or self.level not in _LEVELS:
            return None
        with suppress(DirectoryError, OSError):
            record = self.origin.file_set.record(self.origin.offset)
            return self.origin.file_set.attributes(record, self.origin.character_sets)
        return None

    @property
    def attributes(self) -> Said:
        """What the records of the folder and of those above say, by level."""
        above = self.parent.attributes if self.parent is not None else {}
        own = self.own_attributes
        return above if own is None else {**above, self.level: own}

    @property
    def identity(self) -> Hashable:
        """What stays the same whatever else is in the folder above."""
        return self.inode

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


# What records become, in the order of names.
Listing = dict[str, Instance | Selection]
