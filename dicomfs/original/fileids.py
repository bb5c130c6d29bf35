"""The File IDs of a File-set that is rebuilt: as they were, where that can be.

A File ID can not be kept if it leads out of the File-set, if another file or folder has
it, or if it cannot be the name of a file. Then there is one of our own, as the standard
wants it (PS3.10 8.2).
"""

import re
from typing import Final

from dicomfs.fileset.fileid import components
from dicomfs.media.medium import Place

_DICOMDIR: Final = b"DICOMDIR"
_OWN: Final = b"DICOMFS"
_SEPARATOR: Final = b"\\"
# PS3.10 8.2: a component has at most eight of these characters, and there are at most
# eight of them (8.5).
_COMPONENT: Final = re.compile(rb"[A-Z0-9_]{1,8}")
_MOST_COMPONENTS: Final = 8


class FileIds:
    """Gives each instance a File ID, once; *are_kept* unless nobody ever wrote any.

    Where they *are_bound* to files that lie as they lie, there is none of our own. Some
    had to be *changed*, and some are *irregular*: the standard does not allow them.
    """

    def __init__(self, *, are_kept: bool = True, are_bound: bool = False) -> None:
        self.changed = 0
        self.irregular = 0
        self._are_kept = are_kept
        self._are_bound = are_bound
        self._files: set[Place] = {(_DICOMDIR,)}
        self._folders: set[Place] = set()
        self._made = 0

    def given(self, written: bytes) -> Place:
        """Return the components of the File ID for what has *written* as it was.

        Raises FileIdError if that names nothing below the root.
        """
        path = components(written)
        is_kept = self._are_kept and self._is_free(path)
        if not (is_kept or self._are_bound):
            path = self._next()
        if written != file_id(path):
            self.changed += 1
        self.irregular += not _is_regular(path)
        self._files.add(path)
        self._folders.update(path[:length] for length in range(1, len(path)))
        return path

    def _is_free(self, path: Place) -> bool:
        """Whether *path* can be the place of one more file."""
        above = (path[:length] for length in range(1, len(path)))
        is_taken = path in self._files or path in self._folders
        return not (
            is_taken
            or path[0] == _OWN
            or any(each in self._files for each in above)
            or not all(map(_is_name, path))
        )

    def _next(self) -> Place:
        self._made += 1
        folder, number = divmod(self._made - 1, 1000)
        return _OWN, b"%08d" % (folder + 1), b"%08d" % (number + 1)


def file_id(path: Place) -> bytes:
    """Return the value of Referenced File ID for the components *path*."""
    return _SEPARATOR.join(path)


def _is_regular(path: Place) -> bool:
    """Whether the standard allows *path* as the components of a File ID."""
    is_short = len(path) <= _MOST_COMPONENTS
    return is_short and all(map(_COMPONENT.fullmatch, path))


def _is_name(component: bytes) -> bool:
    """Whether a component can be the name of a file, for whoever reads it as text."""
    return component.isascii() and component.decode("ascii").isprintable()
