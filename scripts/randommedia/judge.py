"""What the tree shows of media, held against what has to be shown."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.types import Level
from dicomfs.fileset.open import file_sets_of
from dicomfs.findings import Findings
from dicomfs.media.opening import open_sources
from dicomfs.tree.node import FileNode, FolderNode, Said
from dicomfs.tree.tree import Tree
from scripts.randommedia.text import compared
from scripts.randommedia.truth import LEVELS, Expected, Folder

_LEVELS: Final = (Level.PATIENT, Level.STUDY, Level.SERIES)
_UIDS: Final = (
    tags.PATIENT_ID,
    tags.STUDY_INSTANCE_UID,
    tags.SERIES_INSTANCE_UID,
)

Keys = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A file that is shown: where, in which folders by level, and what they say."""

    path: str
    node: FileNode
    folders: tuple[str, ...]
    said: Said


@contextmanager
def opened(sources: Sequence[Path]) -> Iterator[Tree]:
    """Open the tree of *sources*; raises Failure."""
    file_sets = file_sets_of(open_sources(sources), Findings())
    try:
        yield Tree(file_sets, read_headers=True)
    finally:
        for each in file_sets:
            each.medium.close()


def faults(tree: Tree, expected: Sequence[Expected]) -> list[str]:
    """Return what is wrong with what *tree* shows, in words.

    That is so, too, if a walk that is begun at once shows other things than a later one.
    """
    judge = _Judge(expected)
    all_shown = list(files(tree))
    first = {shown.path: _outline(shown.node) for shown in all_shown}
    judge.look_at(all_shown)
    tree.check_links()
    second = {shown.path: _outline(shown.node) for shown in files(tree)}
    late = [
        f"{path} is not the same at the first look and later"
        for path in sorted({*first, *second})
        if first.get(path) != second.get(path)
    ]
    return judge.faults + late


def _outline(node: FileNode) -> tuple[int, int, int]:
    return node.inode, node.size, node.error


def content_of(node: FileNode) -> str:
    """Return the SHA-256 of a file, or which error it has."""
    if node.error:
        return f"error {node.error}"
    with closing(node.open()) as source:
        return hashlib.sha256(source.read_at(0, source.size)).hexdigest()


def files(tree: Tree) -> Iterator[Shown]:
    """Yield all files that *tree* shows."""
    waiting: list[tuple[str, FolderNode, tuple[str, ...]]] = [
        ("", tree.root, ("", "", ""))
    ]
    while waiting:
        above, folder, folders = waiting.pop()
        before = folder.attributes
        children = folder.children()
        folder.forget()
        for name, node in children.items():
            path = f"{above}/{name}"
            said = node.attributes
            if node.is_folder:
                here = tuple(
                    path if level in said and level not in before else known
                    for level, known in zip(_LEVELS, folders, strict=True)
                )
                waiting.append((path, node, here))
            else:
                yield Shown(path, node, folders, said)


@dataclass(slots=True)
class _Judge:
    """Holds one file after the other against what is *expected*."""

    expected: Sequence[Expected]
    faults: list[str] = field(default_factory=list)
    _waiting: dict[str, list[Expected]] = field(init=False)
    _seen: set[str] = field(default_factory=set)
    _path_of: dict[Keys, str] = field(default_factory=dict)
    _keys_of: dict[str, Keys] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._waiting = defaultdict(list)
        for each in self.expected:
            for key in _keys(each):
                self._waiting[key].append(each)

    def look_at(self, all_shown: Iterable[Shown]) -> None:
        """Find out which one of those that are expected each file that is shown is."""
        known = [(key, shown) for shown in all_shown if (key := self._key(shown))]
        # Those first that can only be one: they tell which folder is which.
        known.sort(key=lambda each: len(self._waiting.get(each[0], ())))
        for key, shown in known:
            self._find(key, shown)
        missing = {id(each): each for alike in self._waiting.values() for each in alike}
        self.faults += [f"{named(each)} is not shown" for each in missing.values()]

    def _find(self, key: str, shown: Shown) -> None:
        waiting = self._waiting.get(key, [])
        if not waiting:
            how = "is shown once more" if key in self._seen else "belongs to no disc"
            self.faults.append(f"{shown.path} {how}")
            return
        fits = [each for each in waiting if not contradiction(shown, each)]
        if not fits:
            words = contradiction(shown, waiting[0])
            self.faults.append(f"{named(waiting[0])} is shown as {shown.path}: {words}")
        fits = fits or waiting
        chosen = min(fits, key=lambda each: len(self._strayed(shown, each)))
        self._settle(shown, chosen)

    def _key(self, shown: Shown) -> str:
        """Return what the file is known by: its bytes, or the UID of a missing one."""
        if shown.node.error:
            own = shown.said.get(Level.INSTANCE)
            return f"missing {_said(own, tags.REFERENCED_SOP_INSTANCE_UID)}"
        try:
            with closing(shown.node.open()) as source:
                data = source.read_at(0, source.size)
        except OSError as error:
            self.faults.append(f"{shown.path} cannot be read: {error.strerror}")
            return ""
        if len(data) != shown.node.size:
            self.faults.append(f"{shown.path} has another size than it is listed with")
        return hashlib.sha256(data).hexdigest()

    def _settle(self, shown: Shown, chosen: Expected) -> None:
        for key in _keys(chosen):
            self._waiting[key].remove(chosen)
            self._seen.add(key)
        for words in self._strayed(shown, chosen):
            self.faults.append(f"{named(chosen)} is shown as {shown.path}: {words}")
        for keys, path in _bonds(shown, chosen):
            self._path_of.setdefault(keys, path)
            self._keys_of.setdefault(path, keys)

    def _strayed(self, shown: Shown, each: Expected) -> list[str]:
        """Return in words why the folders of *shown* are not those of *each*."""
        found = []
        for keys, path in _bonds(shown, each):
            level = LEVELS[len(keys) - 1]
            if self._path_of.get(keys, path) != path:
                found.append(f"others of the same {level} are in another folder")
            if self._keys_of.get(path, keys) != keys:
                found.append(f"others in that folder are of another {level}")
        return found


def _keys(each: Expected) -> list[str]:
    return each.digests or [f"missing {each.uid}"]


def _bonds(shown: Shown, each: Expected) -> Iterator[tuple[Keys, str]]:
    """Yield which folder, by its keys from the top down, lies where."""
    keys = tuple(folder.key if folder else "" for folder in each.folders)
    for level, folder in enumerate(each.folders):
        if folder is not None:
            yield keys[: level + 1], shown.folders[level]


def contradiction(shown: Shown, each: Expected, *, is_torn: bool = False) -> str:
    """Return in words what the folders of *shown* say that is not true of *each*.

    If *is_torn*, they need not say all of it.
    """
    if bool(shown.node.error) == bool(each.digests):
        return "it is not said rightly whether the file is missing"
    for level, folder in enumerate(each.folders):
        own = shown.said.get(_LEVELS[level])
        if folder is None or own is None:
            if (folder is None) != (own is None) and not is_torn:
                return f"there is no {LEVELS[level]}, or should not be one"
            continue
        if words := _lie(level, own, folder, is_torn):
            return words
    return ""


def _lie(level: int, said: Attributes, folder: Folder, is_torn: bool) -> str:
    own = _said(said, _UIDS[level])
    # What has no UID, nothing contradicts.
    is_open = is_torn and "" in (own, *folder.said)
    if own not in folder.said and not is_open:
        return f"its {LEVELS[level]} is {own!r} and not one of {folder.said}"
    name = compared(said.text(tags.PATIENT_NAME)) if level == 0 else ""
    if own and name and folder.names and name not in folder.names:
        return f"its patient is called {name!r} and not one of {folder.names}"
    return ""


def _said(said: Attributes | None, tag: int) -> str:
    return said.text(tag) if said is not None else ""


def named(each: Expected) -> str:
    """Return which file is meant, and where it lies."""
    return " and ".join(each.files)
