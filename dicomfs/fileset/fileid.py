"""File IDs: their components, and the names on a medium that those mean.

A File ID is one to eight components of capitals, digits and underscores (PS3.10 8.2).
What the medium shows is another matter: Linux gives plain ISO 9660 names in lower
case, writers add ``.dcm``, others leave ``;1`` or a trailing dot. So each component is
matched against the names that are really there.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

from dicomfs.errors import FileIdError
from dicomfs.media.medium import Place

_SEPARATORS: Final = re.compile(rb"[\\/]")
_PLAIN: Final = re.compile(rb"[A-Za-z0-9_]+")
_DRIVE: Final = re.compile(rb"[A-Za-z]:")
_VERSION: Final = re.compile(rb";\d*$")
_EXTENSIONS: Final = (b"dcm", b"dicom", b"dic", b"ima")
# The standard allows 8 components and some writers exceed it; more is an attack.
_MAX_COMPONENTS: Final = 16
# No name on Linux is longer.
_MAX_COMPONENT: Final = 255


def components(file_id: bytes) -> Place:
    """Return the components of a Referenced File ID as it is written in a record.

    Raises FileIdError for what must not or cannot name a file below the root. A leading
    separator and a drive letter mean nothing on this medium and are left out.
    """
    folder, _, name = file_id.rpartition(b"\\")
    # The files of a series share their folder: it is taken apart once.
    is_plain = len(name) <= _MAX_COMPONENT and _PLAIN.fullmatch(name)
    path = (*_parts(folder), name) if is_plain else _parts(file_id)
    if not path:
        raise FileIdError("a File ID names no file")
    if len(path) > _MAX_COMPONENTS:
        raise FileIdError("a File ID has too many components")
    return path


def in_one_folder(file_ids: Sequence[bytes]) -> tuple[Place, list[bytes]] | None:
    """Return the folder of *file_ids*, and their names in it; None if there are several.

    None, too, if any of them is not a plain name, or there is none.
    """
    if not file_ids:
        return None
    folder, separator, _ = file_ids[0].rpartition(b"\\")
    above = folder + separator
    # What begins the first and the last in their order begins all between them.
    if not (min(file_ids).startswith(above) and max(file_ids).startswith(above)):
        return None
    names = [file_id[len(above) :] for file_id in file_ids]
    is_plain = all(names) and _PLAIN.fullmatch(b"".join(names))
    if not is_plain or max(map(len, names)) > _MAX_COMPONENT:
        return None
    try:
        place = _parts(folder)
    except FileIdError:
        return None
    return (place, names) if len(place) < _MAX_COMPONENTS else None


@lru_cache(maxsize=256)
def _parts(file_id: bytes) -> Place:
    parts = [part.strip(b" \0") for part in _SEPARATORS.split(file_id)]
    path = tuple(part for part in parts if part not in {b"", b"."})
    if path and _DRIVE.fullmatch(path[0]):
        path = path[1:]
    if any(part == b".." or b"\0" in part for part in path):
        raise FileIdError("a File ID leads out of the medium")
    if any(len(part) > _MAX_COMPONENT for part in path):
        raise FileIdError("a component of a File ID is too long")
    return path


class Names:
    """The names in one folder of a medium, to be found by what a record calls them."""

    def __init__(self, names: Iterable[bytes]) -> None:
        self._exact = frozenset(names)
        self._folded: dict[bytes, list[bytes]] = {}
        for name in self._exact:
            self._folded.setdefault(_folded(name), []).append(name)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._exact)

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


def is_same(component: bytes, name: bytes) -> bool:
    """Whether *name* is a component without regard to case, version and trailing dot."""
    return _folded(component) == _folded(name)


def _folded(name: bytes) -> bytes:
    return _VERSION.sub(b"", name).rstrip(b".").lower()
