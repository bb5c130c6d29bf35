"""Finding the files that File IDs name on a medium.

One ``Locator`` for each way in which a File-set has its files: as they are written
(``WrittenLocator``), moved to another folder (``moved``), or numbered by a scan
(``ScannedLocator``).
"""

import errno
import os
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Sequence
from typing import ClassVar, Final, NamedTuple, cast

from dicomfs.fileset.fileid import Names
from dicomfs.media.medium import Medium, Place, Status
from dicomfs.source.cache import Cache

Located = tuple[Place, Status]

# Folders whose real places and names are kept.
_MAX_FOLDERS: Final = 64


class Start(NamedTuple):
    """A folder from which File IDs count, but for so many *dropped* components."""

    folder: Place
    dropped: int = 0


class Together(NamedTuple):
    """Files of a *folder*, all of them there: a status for each of *names*."""

    folder: Place
    names: Sequence[bytes]
    statuses: Sequence[Status]

    def located(self) -> list[Located]:
        """Return where each of them lies, and its status."""
        folder, names = self.folder, self.names
        return [((*folder, n), s) for n, s in zip(names, self.statuses, strict=True)]


class Locator(ABC):
    """Finds files by the components of their File IDs (see ``fileid.components``).

    *by_name* says that those are meant to be the names of files.
    """

    by_name: ClassVar[bool] = True

    @property
    def starts(self) -> Sequence[Start]:
        """The folders from which the names of files lead on; none if they are not names."""
        return ()

    def names(self, folder: Place) -> Iterable[bytes]:
        """Return what is in *folder*, without listing it again; raises OSError."""
        del folder
        return ()

    @abstractmethod
    def locate_all(self, paths: Sequence[Place]) -> list[Located | OSError]:
        """Return for each of *paths* where its file lies, and its status, or why not.

        The error is FileNotFoundError where the medium has no such file.
        """

    def locate_in(
        self, folder: Place, names: Sequence[bytes]
    ) -> Together | list[Located | OSError]:
        """Return the same for *names* in one folder; in short if nothing is amiss."""
        return self.locate_all([(*folder, name) for name in names])

    def locate(self, path: Place) -> Located:
        """Return where the file of *path* lies, and its status; raises OSError."""
        [found] = self.locate_all([path])
        if isinstance(found, OSError):
            raise found
        return found


class WrittenLocator(Locator):
    """Finds the files of a File-set whose root is the folder *root* of *medium*.

    Keeps the names of the folders it went through, so that a series costs one listing
    of its folder at most, and none where the medium has the names of the File IDs.
    """

    def __init__(self, medium: Medium, root: Place = ()) -> None:
        self._medium = medium
        self._root = root
        self._real = Cache[Place, Place](_MAX_FOLDERS)
        self._names = Cache[Place, Names](_MAX_FOLDERS)

    @property
    def starts(self) -> Sequence[Start]:
        """The root."""
        return (Start(self._root),)

    def locate_all(self, paths: Sequence[Place]) -> list[Located | OSError]:
        """Return where the files lie; each folder of them is asked once."""
        folders: dict[Place, list[bytes]] = {}
        above = [path[:-1] for path in paths]
        for folder, path in zip(above, paths, strict=True):
            folders.setdefault(folder, []).append(path[-1])
        found = {
            folder: iter(one_by_one(self.locate_in(folder, names)))
            for folder, names in folders.items()
        }
        return [next(found[folder]) for folder in above]

    def locate_in(
        self, folder: Place, names: Sequence[bytes]
    ) -> Together | list[Located | OSError]:
        """Return where the files lie, as in ``Locator``."""
        try:
            real, statuses = self._statuses(folder, names)
        except OSError as error:
            return [error] * len(names)
        if set(map(type, statuses)) == {Status}:
            return Together(real, names, cast("list[Status]", statuses))
        return [
            ((*real, name), status)
            if isinstance(status, Status)
            else self._variant(real, name)
            if isinstance(status, FileNotFoundError)
            else status
            for name, status in zip(names, statuses, strict=True)
        ]

    def _statuses(
        self, folder: Place, names: Sequence[bytes]
    ) -> tuple[Place, list[Status | OSError]]:
        """Return the real folder, and the statuses of files of exactly these names."""
        real = self._real.get(folder)
        if real is None:
            real = self._root + folder
        try:
            return real, self._medium.statuses(real, names)
        except OSError:
            real = self._find_folder(folder)
            self._real.put(folder, real)
            return real, self._medium.statuses(real, names)

    def _variant(self, folder: Place, name: bytes) -> Located | OSError:
        """Return the file that *name* means in a folder without a file of that name."""
        try:
            place = self._find(folder, name)
            return place, self._medium.status(place)
        except OSError as error:
            return error

    def _find_folder(self, folder: Place) -> Place:
        real = self._root
        for component in folder:
            real = self._find(real, component)
        return real

    def _find(self, folder: Place, component: bytes) -> Place:
        name = self.names(folder).match(component)
        if name is None:
            raise missing()
        return (*folder, name)

    def names(self, folder: Place) -> Names:
        """Return what is in *folder*, which is listed once; raises OSError."""
        names = self._names.get(folder)
        if names is None:
            names = Names(self._medium.names(folder))
            self._names.put(folder, names)
        return names


class ScannedLocator(Locator):
    """Finds the files of a scan, which gave each of them its number for a File ID.

    Their names on the medium may be any bytes.
    """

    by_name = False

    def __init__(self, medium: Medium) -> None:
        self._medium = medium
        self._folders: list[Place] = []
        self._folder_of = array("L")
        self._names: list[bytes] = []

    def __len__(self) -> int:
        return len(self._names)

    def add(self, folder: Place, name: bytes) -> int:
        """Add the file of this name in *folder*; return its number."""
        if not self._folders or self._folders[-1] != folder:
            self._folders.append(folder)
        self._folder_of.append(len(self._folders) - 1)
        self._names.append(name)
        return len(self._names) - 1

    def locate_all(self, paths: Sequence[Place]) -> list[Located | OSError]:
        """Return where the files lie; each folder of them is asked once."""
        result: dict[int, Located | OSError] = {}
        together: dict[Place, list[tuple[int, Place]]] = {}
        for number, path in enumerate(paths):
            try:
                place = self._place(path)
                together.setdefault(place[:-1], []).append((number, place))
            except OSError as error:
                result[number] = error
        for folder, wanted in together.items():
            names = [place[-1] for _, place in wanted]
            found = statuses(self._medium, folder, names)
            for (number, place), status in zip(wanted, found, strict=True):
                result[number] = (
                    status if isinstance(status, OSError) else (place, status)
                )
        return [result[number] for number in range(len(paths))]

    def _place(self, path: Place) -> Place:
        number = int(path[0]) if len(path) == 1 and path[0].isdigit() else len(self)
        if number >= len(self):
            raise missing()
        return (*self._folders[self._folder_of[number]], self._names[number])


def statuses(
    medium: Medium, folder: Place, names: Sequence[bytes]
) -> Sequence[Status | OSError]:
    """Return the status of each of *names* in *folder*, or its or the folder's error."""
    try:
        return medium.statuses(folder, names)
    except OSError as error:
        return [error] * len(names)


def one_by_one(
    found: Together | list[Located | OSError],
) -> Sequence[Located | OSError]:
    """Return what was *found* of each file."""
    return found.located() if isinstance(found, Together) else found


def is_missing(found: object) -> bool:
    """Whether what a locator *found* is that there is no such file."""
    return isinstance(found, FileNotFoundError | NotADirectoryError)


def missing() -> FileNotFoundError:
    """Return the error of a file that is not there."""
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
