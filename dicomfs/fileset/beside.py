"""Files that lie beside those that records list, and that no record lists."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from dicomfs.errors import DicomfsError
from dicomfs.fileset.fileid import Names
from dicomfs.fileset.locate import Locator
from dicomfs.media.medium import EntryType, Medium, Place
from dicomfs.media.walk import Walk

# Folders that are looked into, and how deep below those of listed files.
_MOST_FOLDERS: Final = 64
_MAX_DEPTH: Final = 8
# Files of a folder of which one has to be there.
_TRIES: Final = 3

# What differs in names that are given in a row.
_NUMBERS: Final = re.compile(rb"[0-9a-f]*[0-9][0-9a-f]*")


class Unlisted(NamedTuple):
    """A file that no record lists, and what a File ID would call it.

    It *may_be_listed* under another name, where listed ones are missing.
    """

    place: Place
    path: Place
    may_be_listed: bool


class Neighbourhood:
    """The folders of *medium* in which the files of File IDs lie, the nearest first.

    *listed* has the names that File IDs have in each of them. *is_bounded* says that
    there were more folders than are looked into.
    """

    def __init__(
        self,
        medium: Medium,
        locator: Locator,
        listed: Mapping[Place, Sequence[bytes]],
    ) -> None:
        self.is_bounded = len(listed) > _MOST_FOLDERS
        self._medium = medium
        self._locator = locator
        self._listed = listed
        # What leads to listed files, as File IDs call it, and what it looks like.
        self._known = {path[:end] for path in listed for end in range(len(path) + 1)}
        self._forms = {_form(path) for path in self._known}
        self._seen: set[Place] = set()

    def unlisted(self) -> Iterator[Unlisted]:
        """Yield the files: first those in the same folders, then those beside them."""
        real: dict[Place, Place] = {}
        is_missing = False
        for path in list(self._listed)[:_MOST_FOLDERS]:
            place = self._real(path)
            is_missing |= place is None
            if place is not None:
                real[path] = place
                yield from self._in_folder(place, path)
        for path, place in real.items():
            for up in range(1, min(len(path), len(place)) + 1):
                yield from self._beside(place[:-up], path[:-up], is_missing)

    def _real(self, path: Place) -> Place | None:
        """Return where the folder *path* lies, None if none of its files is there."""
        for name in self._listed[path][:_TRIES]:
            with suppress(OSError, DicomfsError):
                return self._locator.locate((*path, name))[0][:-1]
        return None

    def _entries(self, place: Place) -> Mapping[bytes, EntryType]:
        if place in self._seen:
            return {}
        self._seen.add(place)
        with suppress(OSError, DicomfsError):
            return self._medium.entries(place)
        return {}

    def _in_folder(self, place: Place, path: Place) -> Iterator[Unlisted]:
        """Yield the files in a folder in which others are listed, those alike first."""
        entries = self._entries(place)
        names = Names(entries)
        listed = {names.match(name) for name in self._listed[path]}
        forms = {_form_of(name) for name in self._listed[path]}
        files = [
            name
            for name, what in entries.items()
            if what is EntryType.FILE and name not in listed
        ]
        for name in sorted(files, key=lambda name: (_form_of(name) not in forms, name)):
            yield Unlisted((*place, name), (*path, name), None in listed)

    def _beside(
        self, place: Place, path: Place, is_missing: bool
    ) -> Iterator[Unlisted]:
        """Yield the files in folders of *place* that are called as listed ones are."""
        entries = self._entries(place)
        names = Names(entries)
        known = {
            names.match(each[-1]) for each in self._known if each and each[:-1] == path
        }
        for name in sorted(entries):
            below = (*path, name)
            is_folder = entries[name] is EntryType.FOLDER
            if is_folder and name not in known and _form(below) in self._forms:
                for folder in Walk(self._medium, (*place, name), depth=_MAX_DEPTH):
                    inner = below + folder.place[len(place) + 1 :]
                    for file in folder.files:
                        yield Unlisted(
                            (*folder.place, file), (*inner, file), is_missing
                        )


def _form(path: Place) -> Place:
    """Return what *path* has in common with others that were named in the same way."""
    return tuple(map(_form_of, path))


def _form_of(name: bytes) -> bytes:
    return _NUMBERS.sub(b"#", name.lower())
