"""The seam between dicomfs and media: list a folder, status, open, capacity."""

import os
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from dicomfs.media.beneath import Place
from dicomfs.source.source import Source, Status

__all__ = ["Capacity", "EntryType", "Medium", "Place", "Status", "shown"]


def shown(place: Place) -> str:
    """Return a path as people are told it, for the command line to escape."""
    return os.fsdecode(b"/".join(place))


class EntryType(Enum):
    """What lies under a name, as far as a listing says; a link is OTHER."""

    FOLDER = "folder"
    FILE = "regular file"
    OTHER = "neither"


class Capacity(NamedTuple):
    """How large a medium is: its block size in bytes, and its length in such blocks."""

    block: int
    blocks: int


class Medium(Protocol):
    """A tree of files that never changes, addressed by paths from its root.

    A path is a tuple of names as the medium has them, ``()`` its root. All methods may
    be called from several threads, raise OSError where the medium fails, and reach
    nothing outside the medium.
    """

    @property
    def in_turn(self) -> bool:
        """Whether files had better be read one after the other (see ``Source``)."""
        ...

    def names(self, folder: Place) -> list[bytes]:
        """Return the names in *folder*, in any order, without ``.`` and ``..``.

        Cheaper than ``entries`` where a listing says nothing more: for each name the
        kernel's drivers for discs have to be asked what it is.
        """
        ...

    def entries(self, folder: Place) -> Mapping[bytes, EntryType]:
        """Return the names in *folder* and what they are, from one read of it.

        A name is a FILE, too, if there is an error to find out: its status says which.
        """
        ...

    def status(self, path: Place) -> Status:
        """Return the status of the regular file at *path*, without opening it."""
        ...

    def statuses(self, folder: Place, names: Sequence[bytes]) -> list[Status | OSError]:
        """Return the status of each of *names* in *folder*, or why it has none.

        Raises OSError for the folder itself.
        """
        ...

    def open(self, path: Place) -> Source:
        """Open the regular file at *path*."""
        ...

    def open_cached(self, path: Place) -> Source | None:
        """Open the file at *path* if that takes no waiting for the medium, else None."""
        ...

    def capacity(self) -> Capacity:
        """Return how large the medium is."""
        ...

    def close(self) -> None:
        """Give up the medium."""
        ...
