"""The folders of an archive that is a list of members, and which lie in them."""

import errno
import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from dicomfs.errors import MediumError
from dicomfs.findings import Finding, Kind
from dicomfs.media.medium import Place
from dicomfs.media.membername import UnsafeNameError

_MOST_FOLDERS: Final = 100_000

_NO_FOLDERS: Final[dict[bytes, "Folder"]] = {}


class Folder:
    """The folders in a folder by their names, and the numbers of its members."""

    __slots__ = ("folders", "numbers")

    def __init__(self) -> None:
        # Most have none, and a hostile archive may have very many.
        self.folders = _NO_FOLDERS
        self.numbers = array("I")


class Named(Protocol):
    """A member by its name."""

    @property
    def is_folder(self) -> bool:
        """Whether it stands for a folder."""
        ...

    @property
    def is_rooted(self) -> bool:
        """Whether its name begins at a root, a drive or a share."""
        ...

    def path(self) -> Place:
        """Return its path in the archive; raises UnsafeNameError."""
        ...


class Tree:
    """Puts members into folders; *left_out* counts those that belong nowhere.

    *name_of* returns the name of a member by its number. *rooted* counts those whose
    names begin at a root, which become names from the root of the archive.
    """

    def __init__(self, left_out: Counter[str], name_of: Callable[[int], bytes]) -> None:
        self.root = Folder()
        self.rooted = 0
        self._left_out = left_out
        self._name_of = name_of
        self._folders = [self.root]
        # The hash of each name in a folder; folders in which two seem to be the same.
        self._hashes: set[int] = set()
        self._doubtful: set[Folder] = set()

    def add(self, member: Named, number: int) -> bool:
        """Add the *member* of this *number*; return whether it is one that has a place."""
        try:
            path = member.path()
        except UnsafeNameError as error:
            self._left_out[str(error)] += 1
            return False
        self.rooted += member.is_rooted
        if member.is_folder:
            self._folder(path)
            return False
        folder = self._folder(path[:-1])
        folder.numbers.append(number)
        self._note(folder, path[-1])
        return True

    def _folder(self, path: Place) -> Folder:
        folder = self.root
        for name in path:
            below = folder.folders.get(name)
            if below is None:
                if len(self._folders) > _MOST_FOLDERS:
                    raise MediumError(f"it has more than {_MOST_FOLDERS} folders")
                below = Folder()
                self._folders.append(below)
                self._note(folder, name)
                folder.folders = folder.folders or {}
                folder.folders[name] = below
            folder = below
        return folder

    def _note(self, folder: Folder, name: bytes) -> None:
        key = hash((id(folder), name))
        if key in self._hashes:
            self._doubtful.add(folder)
        self._hashes.add(key)

    def finish(self) -> list[int]:
        """Let each name be one thing, and return the numbers of the members."""
        for folder in self._doubtful:
            self._resolve(folder)
        return [number for folder in self._folders for number in folder.numbers]

    def _resolve(self, folder: Folder) -> None:
        """Leave one of those that have the same name.

        The last of several members, as that is what an archive was changed to; and a
        folder rather than a member, as it may hold more.
        """
        last = {self._name_of(number): number for number in folder.numbers}
        if repeated := len(folder.numbers) - len(last):
            self._left_out["a name that a later member has, too"] += repeated
        for name in last.keys() & folder.folders.keys():
            self._left_out["a name that a folder has, too"] += 1
            del last[name]
        folder.numbers = array("I", last.values())


def folder_at(root: Folder, path: Place, name_of: Callable[[int], bytes]) -> Folder:
    """Return the folder at *path* below *root*; *name_of* is as for ``Tree``.

    Raises NotADirectoryError where a member has the name, else FileNotFoundError.
    """
    found = root
    for name in path:
        below = found.folders.get(name)
        if below is None:
            is_member = any(name_of(number) == name for number in found.numbers)
            number = errno.ENOTDIR if is_member else errno.ENOENT
            raise OSError(number, os.strerror(number))
        found = below
    return found


def findings_of(
    left_out: Counter[str], rooted: int, *, is_cut_off: bool
) -> Iterator[Finding]:
    """Yield what is wrong with an archive as a whole.

    *left_out* has how many members are not shown, by the reason in words; *rooted* is how
    many names begin at a root.
    """
    if is_cut_off:
        yield Finding(Kind.ARCHIVE_CUT_OFF, done="what is left of it is shown")
    for reason, count in left_out.items():
        yield Finding(Kind.MEMBER_LEFT_OUT, count=count, detail=reason)
    if rooted:
        done = "they are taken for names from the root of the archive"
        yield Finding(Kind.ROOTED_NAME, count=rooted, done=done)
