"""Nodes of the tree that people see: files and folders, each with its inode number."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dicomfs.fileset import FileSet
from dicomfs.media.medium import Path
from dicomfs.record import Level
from dicomfs.source import Source


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

    def open(self) -> Source:
        """Open the file on its medium; raises OSError."""
        if self.error:
            raise OSError(self.error, self.reason)
        return self.file_set.medium.open(self.place)

    def open_cached(self) -> Source | None:
        """Open the file if that takes no waiting for its medium, else None."""
        return None if self.error else self.file_set.medium.open_cached(self.place)


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


Node = File | Folder
Listing = dict[str, Node]
