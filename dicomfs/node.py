"""Nodes of the tree that people see: files and folders, each with its inode number."""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dicomfs.fileset import FileSet
from dicomfs.media.medium import Path
from dicomfs.record import Level
from dicomfs.source import FileSource, Source


class Part(NamedTuple):
    """Where records of a folder lie: one alone, or a directory entity from its first."""

    file_set: FileSet
    offset: int
    whole_entity: bool


@dataclass(slots=True, eq=False)
class File:
    """An instance. *error* is the errno that opening it gives, 0 if it can be opened."""

    inode: int
    name: str
    parent: "Folder"
    mtime_ns: int
    file_set: FileSet
    place: Path
    size: int
    error: int

    @property
    def reason(self) -> str:
        """Why the file cannot be opened, in words; empty if it can."""
        return os.strerror(self.error) if self.error else ""

    def is_same(self, other: "Node") -> bool:
        """Whether *other* with the same inode number is the same file, listed anew.

        In one folder no two files have one number.
        """
        return isinstance(other, File) and other.parent.is_same(self.parent)

    def open(self) -> Source:
        """Open the file on its medium; raises OSError."""
        if self.error:
            raise OSError(self.error, self.reason)
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
        is_other = isinstance(source, FileSource) and source.mtime_ns != self.mtime_ns
        if source.size != self.size or is_other:
            source.close()
            raise OSError(errno.EIO, "the file is not the one that was listed")
        return source


@dataclass(slots=True, eq=False)
class Folder:
    """A patient, study, series or another folder, whose records lie in *parts*.

    *by_type* folders hold one folder for each record type.
    """

    inode: int
    name: str
    parent: "Folder | None"
    mtime_ns: int
    level: Level
    parts: Sequence[Part]
    character_sets: tuple[bytes, ...] = ()
    by_type: bool = False
    listing: "Listing | None" = field(default=None, repr=False)

    def is_same(self, other: "Node") -> bool:
        """Whether *other* with the same inode number is the same folder, listed anew."""
        return isinstance(other, Folder) and other.parts == self.parts


Node = File | Folder
Listing = dict[str, Node]
