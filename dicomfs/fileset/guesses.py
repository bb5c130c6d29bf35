"""Files that are there under other names, as far as their own headers confirm it.

A medium that was copied, unpacked or downloaded may have names that no longer are those
of its File IDs. What a file is called is a guess; which instance it is its header says.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, TypeVar

from dicomfs.errors import FileIdError
from dicomfs.fileset.locate import Located, Locator, missing
from dicomfs.fileset.spelling import Spellings, paths
from dicomfs.fileset.uids import Uids, read_uid
from dicomfs.media.medium import Medium, Place
from dicomfs.source.cache import Cache

_A = TypeVar("_A")

# Headers that are read for one File-set, each of which may take a seek.
MOST_HEADERS: Final = 20_000
# Of one component of a File ID: folders that it may mean, and files.
_MOST_FOLDERS: Final = 8
_MOST_FILES: Final = 2000
# Folders whose names are kept.
_MAX_FOLDERS: Final = 64


class Clue(NamedTuple):
    """What is known of a file: its SOP Instance UID, and how its File ID may be written."""

    uid: bytes
    character_sets: tuple[bytes, ...] = ()


class Guesses:
    """Finds files of *medium* by names that their headers confirm.

    The *locator* knows where they should be. *on_found* hears what is there under another
    name, and *on_end* that not all was looked at.
    """

    def __init__(
        self,
        medium: Medium,
        locator: Locator,
        on_found: Callable[[Place], None],
        on_end: Callable[[], None],
    ) -> None:
        self._medium = medium
        self._locator = locator
        self._on_found = on_found
        self._on_end = on_end
        self._spellings = Cache[Place, Spellings](_MAX_FOLDERS)
        self._uids = Uids(medium, MOST_HEADERS, on_end)
        # Where the folders of File IDs may be: all files of a series ask the same.
        self._meant = Cache[tuple[Place, tuple[str, ...]], list[Place]](_MAX_FOLDERS)

    def find(self, file_id: bytes, clue: Clue) -> Located | None:
        """Return the one file that *file_id* may mean and that is what *clue* says."""
        if not clue.uid:
            return None
        places = dict.fromkeys(
            place
            for path in paths(file_id, clue.character_sets)
            for start in self._locator.starts
            for place in self._places(start.folder, path[start.dropped :])
        )
        fits = [place for place in places if self._uids.of(place) == clue.uid]
        if len(fits) != 1:
            return None
        with suppress(OSError, FileIdError):
            found = fits[0], self._medium.status(fits[0])
            self._on_found(fits[0])
            return found
        return None

    def confirmed(self, found: Located, clue: Clue) -> Located | FileNotFoundError:
        """Return what was *found* by a guess if its header says that it is what is sought.

        A record without a UID has nothing that could be confirmed.
        """
        if not clue.uid or read_uid(self._medium, found[0]) == clue.uid:
            return found
        return missing()

    def _places(self, start: Place, path: Sequence[str]) -> Iterator[Place]:
        """Yield the places below *start* that *path* may lead to."""
        if not path:
            return
        *above, name = path
        for folder in self._folders(start, tuple(above)):
            for found in self._few(self._in(folder).called(name), _MOST_FILES):
                yield (*folder, found)

    def _folders(self, start: Place, path: tuple[str, ...]) -> list[Place]:
        """Return the places of folders below *start* that *path* may mean."""
        folders = self._meant.get((start, path))
        if folders is None:
            # A folder that has its own name is not sought under another.
            own = (*start, *(each.encode() for each in path))
            is_there = self._in(own).are_there
            folders = [own] if is_there else self._called(start, path)
            self._meant.put((start, path), folders)
        return folders

    def _called(self, start: Place, path: Sequence[str]) -> list[Place]:
        """Return the places of folders below *start* that are called as *path* says."""
        folders = [start]
        for component in path:
            below = [
                (*folder, name)
                for folder in folders
                for name in self._in(folder).called(component)
            ]
            folders = self._few(below, _MOST_FOLDERS)
        return folders

    def _few(self, some: list[_A], most: int) -> list[_A]:
        if len(some) > most:
            self._on_end()
        return some[:most]

    def _in(self, folder: Place) -> Spellings:
        """Return the names in *folder*; none if that cannot be listed."""
        spellings = self._spellings.get(folder)
        if spellings is None:
            try:
                spellings = Spellings(self._locator.names(folder))
            except (OSError, FileIdError):
                spellings = Spellings(())
            self._spellings.put(folder, spellings)
        return spellings
