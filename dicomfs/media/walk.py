"""Going through the folders of a medium, each of which is read once."""

import errno
from collections import deque
from collections.abc import Container, Iterator, Mapping
from typing import Final, NamedTuple, Protocol

from dicomfs.errors import FileIdError
from dicomfs.media.medium import EntryType, Place

_NOTHING: Final[Mapping[bytes, EntryType]] = {}


class Listed(NamedTuple):
    """The folder at *place*, and what it has by their names, in the order of these.

    Nothing if it cannot be read, and *error* says why. *is_cut* says that it has more
    than the walk still had room for.
    """

    place: Place
    entries: Mapping[bytes, EntryType]
    error: OSError | None = None
    is_cut: bool = False

    @property
    def files(self) -> list[bytes]:
        """The names of its regular files, as far as the listing tells them apart."""
        return self._of(EntryType.FILE)

    @property
    def folders(self) -> list[Place]:
        """Where the folders in it lie."""
        return [(*self.place, name) for name in self._of(EntryType.FOLDER)]

    def _of(self, wanted: EntryType) -> list[bytes]:
        return [name for name, what in self.entries.items() if what is wanted]


class Lister(Protocol):
    """A medium, as far as a walk asks it."""

    def entries(self, folder: Place) -> Mapping[bytes, EntryType]:
        """Return the names in *folder* and what they are; raises OSError."""
        ...


class Walk:
    """Yields *start* of *medium* and the folders below it, in the order of their names.

    A folder comes before those in it: just before them, or, *by_level*, after all that
    lie less deep. Folders more than *depth* deep are not read, nor those behind
    *most* entries, nor those in *known*, with what is below. Each folder is read when
    it is asked for; in between *depth* may be made less.
    """

    def __init__(
        self,
        medium: Lister,
        start: Place = (),
        *,
        depth: int,
        most: int | None = None,
        by_level: bool = False,
        known: Container[Place] = (),
    ) -> None:
        self.depth = depth
        self._medium = medium
        self._start = start
        self._left = most
        self._by_level = by_level
        self._known = known

    def __iter__(self) -> Iterator[Listed]:
        waiting = deque([self._start])
        while waiting:
            folder = waiting.popleft() if self._by_level else waiting.pop()
            if len(folder) > self.depth or folder in self._known:
                continue
            listed = self._read(folder)
            yield listed
            if len(folder) < self.depth:
                below = listed.folders
                waiting.extend(below if self._by_level else reversed(below))

    def _read(self, folder: Place) -> Listed:
        try:
            found = self._medium.entries(folder)
        except OSError as error:
            return Listed(folder, _NOTHING, error)
        except FileIdError as error:
            return Listed(folder, _NOTHING, OSError(errno.ENAMETOOLONG, str(error)))
        names = sorted(found)
        is_cut = self._left is not None and len(names) > self._left
        if self._left is not None:
            names = names[: self._left]
            self._left -= len(names)
        return Listed(folder, {name: found[name] for name in names}, is_cut=is_cut)
