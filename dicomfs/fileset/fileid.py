"""File IDs: from what a record says to the file that the medium has.

A File ID is one to eight components of capitals, digits and underscores (PS3.10 8.2).
What the medium shows is another matter: Linux gives plain ISO 9660 names in lower
case, writers add ``.dcm``, others leave ``;1`` or a trailing dot. So each component is
matched against the names that are really there.
"""

import errno
import os
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, TypeVar

from dicomfs.errors import FileIdError
from dicomfs.media.medium import Medium, Place, Status

_V = TypeVar("_V")

_SEPARATORS: Final = re.compile(rb"[\\/]")
_PLAIN: Final = re.compile(rb"[A-Za-z0-9_]+")
_DRIVE: Final = re.compile(rb"[A-Za-z]:")
_VERSION: Final = re.compile(rb";\d*$")
_EXTENSIONS: Final = (b"dcm", b"dicom", b"dic", b"ima")
# The standard allows 8 components and some writers exceed it; more is an attack.
_MAX_COMPONENTS: Final = 16
# No name on Linux is longer.
_MAX_COMPONENT: Final = 255
_MAX_FOLDERS: Final = 64


def components(file_id: bytes) -> Place:
    """Return the components of a Referenced File ID as it is written in a record.

    Raises FileIdError for what must not or cannot name a file below the root. A leading
    separator and a drive letter mean nothing on this medium and are left out.
    """
    folder, _, name = file_id.rpartition(b"\\")
    # The files of a series share their folder: it is taken apart once.
    is_plain = _PLAIN.fullmatch(name)
    path = (*_parts(folder), name) if is_plain else _parts(file_id)
    if not path:
        raise FileIdError("a File ID names no file")
    if len(path) > _MAX_COMPONENTS:
        raise FileIdError("a File ID has too many components")
    if max(map(len, path)) > _MAX_COMPONENT:
        raise FileIdError("a component of a File ID is too long")
    return path


@lru_cache(maxsize=256)
def _parts(file_id: bytes) -> Place:
    parts = [part.strip(b" \0") for part in _SEPARATORS.split(file_id)]
    path = tuple(part for part in parts if part not in {b"", b"."})
    if path and _DRIVE.fullmatch(path[0]):
        path = path[1:]
    if any(part == b".." or b"\0" in part for part in path):
        raise FileIdError("a File ID leads out of the medium")
    return path


class Names:
    """The names in one folder of a medium, to be found by what a record calls them."""

    def __init__(self, names: Iterable[bytes]) -> None:
        self._exact = frozenset(names)
        self._folded: dict[bytes, list[bytes]] = {}
        for name in self._exact:
            self._folded.setdefault(_folded(name), []).append(name)

    def match(self, component: bytes) -> bytes | None:
        """Return the name that *component* means, None if none does or several do.

        An exact match wins, then one without regard to case, version and trailing dot,
        then one that has a DICOM extension more or less.
        """
        if component in self._exact:
            return component
        form = _folded(component)
        stem, _, extension = form.rpartition(b".")
        forms = [[form], [form + b"." + other for other in _EXTENSIONS]]
        if extension in _EXTENSIONS:
            forms.append([stem])
        for candidates in forms:
            found = [name for each in candidates for name in self._folded.get(each, ())]
            if found:
                return found[0] if len(found) == 1 else None
        return None


class Locator:
    """Finds the files of a File-set whose root is the folder *root* of *medium*.

    Keeps the names of the folders it went through, so that a series costs one listing
    of its folder at most, and none where the medium has the names of the File IDs.
    """

    def __init__(self, medium: Medium, root: Place = ()) -> None:
        self._medium = medium
        self._root = root
        self._real: dict[Place, Place] = {}
        self._names: dict[Place, Names] = {}

    def locate(self, path: Place) -> tuple[Place, Status]:
        """Return where the file of these File ID components lies, and its status.

        Raises OSError (FileNotFoundError if the medium has no such file).
        """
        [found] = self.locate_all([path])
        if isinstance(found, OSError):
            raise found
        return found

    def locate_all(
        self, paths: Sequence[Place]
    ) -> list[tuple[Place, Status] | OSError]:
        """Do for each of *paths* what ``locate`` does, folder by folder."""
        folders: dict[Place, list[bytes]] = {}
        for path in paths:
            folders.setdefault(path[:-1], []).append(path[-1])
        found = {
            folder: iter(self._locate_in(folder, names))
            for folder, names in folders.items()
        }
        return [next(found[path[:-1]]) for path in paths]

    def _locate_in(
        self, folder: Place, names: Sequence[bytes]
    ) -> list[tuple[Place, Status] | OSError]:
        try:
            real, statuses = self._statuses(folder, names)
        except OSError as error:
            return [error] * len(names)
        return [
            self._variant(real, name)
            if isinstance(status, FileNotFoundError)
            else status
            if isinstance(status, OSError)
            else ((*real, name), status)
            for name, status in zip(names, statuses, strict=True)
        ]

    def _statuses(
        self, folder: Place, names: Sequence[bytes]
    ) -> tuple[Place, list[Status | OSError]]:
        """Return the real folder, and the statuses of what has just these names."""
        real = self._real.get(folder, self._root + folder)
        try:
            return real, self._medium.statuses(real, names)
        except OSError:
            real = self._find_folder(folder)
            _keep(self._real, folder, real)
            return real, self._medium.statuses(real, names)

    def _variant(self, folder: Place, name: bytes) -> tuple[Place, Status] | OSError:
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
        names = self._names.get(folder)
        if names is None:
            names = Names(self._medium.names(folder))
            _keep(self._names, folder, names)
        name = names.match(component)
        if name is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return (*folder, name)


def _keep(kept: dict[Place, _V], path: Place, value: _V) -> None:
    if len(kept) >= _MAX_FOLDERS:
        kept.clear()
    kept[path] = value


def _folded(name: bytes) -> bytes:
    return _VERSION.sub(b"", name).rstrip(b".").lower()
