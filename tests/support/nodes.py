"""Nodes without a medium: folders and files that are what they are said to be."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from dicomfs.source.source import BytesSource, Source
from dicomfs.tree.node import Fixed, FolderNode, Said


@dataclass(eq=False)
class GivenFile:
    """A file of these bytes, or one that cannot be opened."""

    is_folder: ClassVar[Literal[False]] = False
    is_fixed: ClassVar[bool] = True

    inode: int
    name: str
    parent: FolderNode
    mtime_ns: int
    data: bytes
    error: int = 0
    reason: str = ""
    links: int = 1

    @property
    def attributes(self) -> Said:
        """Say nothing."""
        return {}

    @property
    def size(self) -> int:
        """Count the bytes."""
        return len(self.data)

    def is_same(self, other: object) -> bool:
        """Whether *other* has the same name."""
        return isinstance(other, GivenFile) and other.name == self.name

    def open(self) -> Source:
        """Return the bytes, or raise the error."""
        if self.error:
            raise OSError(self.error, self.reason)
        return BytesSource(self.data)

    def open_cached(self) -> None:
        """Have nothing in memory."""


@dataclass(eq=False)
class GivenFolder(Fixed):
    """A folder that tells when it is forgotten, and can be listed anew."""

    on_forget: Callable[[], None] = lambda: None

    def is_same(self, other: object) -> bool:
        """Whether *other* has the same name."""
        return isinstance(other, GivenFolder) and other.name == self.name

    def forget(self) -> None:
        """Tell it."""
        self.on_forget()
