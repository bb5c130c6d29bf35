"""Looking at trees without a mount: fakes that count, and a tree as plain values."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, Unpack

import pydicom

from dicomfs.dicom.types import Level
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.fileset.fileset import FileSet
from dicomfs.fileset.open import file_sets_of
from dicomfs.findings import Findings
from dicomfs.media.folder import FolderMedium
from dicomfs.media.medium import Capacity, EntryType, Medium, Place, Status
from dicomfs.media.opening import open_sources
from dicomfs.source.source import BytesSource, Source
from dicomfs.tree.completeness import MOST_AWAITED, MOST_CHECKED
from dicomfs.tree.node import FileNode, FolderNode, Node
from dicomfs.tree.selection import Selection
from dicomfs.tree.tree import Tree
from tests.build.medium import (
    Options,
    Record,
    build_dicomdir,
    image,
    patient,
    series,
    study,
    write_medium,
)

SAMPLES: Final = Path(pydicom.__file__).parent / "data/test_files/dicomdirtests"

# Trees of the tests are small; a walk that goes on is one without an end.
_MAX_NODES: Final = 20_000


class CountingSource(Source):
    """A source that counts what is read of it."""

    def __init__(self, source: Source | bytes) -> None:
        self._source = BytesSource(source) if isinstance(source, bytes) else source
        self.size = self._source.size
        self.status = self._source.status
        self.bytes_read = 0
        self.reads: list[tuple[int, int]] = []
        self.closed = False

    def read_at(self, offset: int, size: int) -> bytes:
        """Read, and count it."""
        data = self._source.read_at(offset, size)
        self.bytes_read += len(data)
        self.reads.append((offset, len(data)))
        return data

    def close(self) -> None:
        """Close the source once."""
        if not self.closed:
            self._source.close()
        self.closed = True


class CountingMedium:
    """A folder as a medium that counts what is done to it, and can refuse files."""

    def __init__(self, root: Path, refuse: Iterable[str] = ()) -> None:
        self._folder = FolderMedium(os.open(root, os.O_RDONLY | os.O_DIRECTORY))
        self._refuse = {name.encode() for name in refuse}
        self.sources: list[CountingSource] = []
        self.opened: list[str] = []
        self.stated: list[str] = []
        self.listed: list[str] = []

    def names(self, folder: Place) -> list[bytes]:
        """List, and count it."""
        self.listed.append(_text(folder))
        return self._folder.names(folder)

    def entries(self, folder: Place) -> Mapping[bytes, EntryType]:
        """List with what they are, and count it."""
        self.listed.append(_text(folder))
        return self._folder.entries(folder)

    def status(self, path: Place) -> Status:
        """Return the status, and count it."""
        self.stated.append(_text(path))
        return self._folder.status(path)

    def statuses(self, folder: Place, names: Sequence[bytes]) -> list[Status | OSError]:
        """Return the statuses, and count them one by one."""
        self.stated += [_text((*folder, name)) for name in names]
        return self._folder.statuses(folder, names)

    def open(self, path: Place) -> Source:
        """Open, and count it; OSError for a file that is refused."""
        self.opened.append(_text(path))
        if b"/".join(path) in self._refuse:
            raise OSError(5, "a bad sector")
        source = CountingSource(self._folder.open(path))
        self.sources.append(source)
        return source

    def open_cached(self, path: Place) -> Source | None:  # noqa: ARG002 - Medium's
        """Have nothing in memory."""
        return None

    @property
    def in_turn(self) -> bool:
        """Whether its folder is."""
        return self._folder.in_turn

    def capacity(self) -> Capacity:
        """Return the room."""
        return self._folder.capacity()

    def close(self) -> None:
        """Close the folder, and what was opened of it and not closed."""
        for source in self.sources:
            source.close()
        self._folder.close()

    @property
    def bytes_read(self) -> int:
        """How many bytes were read of all files."""
        return sum(source.bytes_read for source in self.sources)


def folders_in(medium: Medium, folder: Place) -> list[bytes]:
    """Return the names of the folders in *folder*, in the order of the medium."""
    entries = medium.entries(folder)
    return [name for name, what in entries.items() if what is EntryType.FOLDER]


class FakeMedium:
    """A medium in memory: files by path; errors to raise by folder or path."""

    def __init__(
        self, files: dict[str, bytes], errors: dict[str, OSError] | None = None
    ) -> None:
        self._files = {tuple(os.fsencode(p).split(b"/")): d for p, d in files.items()}
        self._errors = errors or {}

    def names(self, folder: Place) -> list[bytes]:
        """Return the names in *folder*."""
        self._fail(folder)
        depth = len(folder)
        below = {p[depth] for p in self._files if p[:depth] == folder and p != folder}
        if folder and not below:
            raise FileNotFoundError(2, "no such folder")
        return list(below)

    def entries(self, folder: Place) -> Mapping[bytes, EntryType]:
        """Return the names in *folder* and what they are."""
        return {
            name: EntryType.FILE if (*folder, name) in self._files else EntryType.FOLDER
            for name in self.names(folder)
        }

    def status(self, path: Place) -> Status:
        """Return the status of a file."""
        return Status(len(self._data(path)), 0)

    def statuses(self, folder: Place, names: Sequence[bytes]) -> list[Status | OSError]:
        """Return the status or the error of each file."""
        self._fail(folder)
        if folder and not any(path[: len(folder)] == folder for path in self._files):
            raise FileNotFoundError(2, "no such folder")
        return [self._status_or_error((*folder, name)) for name in names]

    def _status_or_error(self, path: Place) -> Status | OSError:
        try:
            return self.status(path)
        except OSError as error:
            return error

    def open(self, path: Place) -> Source:
        """Open a file."""
        return BytesSource(self._data(path))

    def open_cached(self, path: Place) -> Source | None:
        """Open a file."""
        return self.open(path)

    in_turn = False

    def capacity(self) -> Capacity:
        """Return the room."""
        return Capacity(2048, 1)

    def close(self) -> None:
        """Do nothing."""

    def _data(self, path: Place) -> bytes:
        self._fail(path)
        if path not in self._files:
            raise FileNotFoundError(2, "no such file")
        return self._files[path]

    def _fail(self, path: Place) -> None:
        if error := self._errors.get(_text(path)):
            raise error


class CountingFake(FakeMedium):
    """A medium in memory that remembers what was opened."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(files)
        self.opened: list[str] = []

    def open(self, path: Place) -> Source:
        """Open, and remember it."""
        self.opened.append(_text(path))
        return super().open(path)


class Seen(NamedTuple):
    """A node of the tree as plain values."""

    is_folder: bool
    inode: int
    mtime_ns: int
    size: int
    error: int
    reason: str
    data: bytes


@contextmanager
def opened(
    *media: Medium | Path,
    read_headers: bool = True,
    dicomdir: str = "",
    most_checked: int = MOST_CHECKED,
    most_awaited: int = MOST_AWAITED,
) -> Iterator[Tree]:
    """Open the tree of *media*, folders or fakes, and close them at the end."""
    made = [CountingMedium(each) if isinstance(each, Path) else each for each in media]
    try:
        file_sets: list[FileSet] = []
        for medium in made:
            file_sets += open_file_sets(medium, dicomdir.encode())
        yield Tree(
            file_sets,
            read_headers=read_headers,
            most_checked=most_checked,
            most_awaited=most_awaited,
        )
    finally:
        for medium in made:
            medium.close()


@contextmanager
def series_of_two() -> Iterator[Selection]:
    """Open a medium with a series of two images; give the folder of that."""
    images = [image(f"1.1.{n}", number=n, file=f"I{n}") for n in (1, 2)]
    records = [patient("A", "1", [study("1", [series("1.1", images)])])]
    files = {"I1": b"1", "I2": b"2", "DICOMDIR": build_dicomdir(records)}
    with opened(FakeMedium(files)) as tree:
        yield next(
            node
            for _, node in walk(tree.root)
            if isinstance(node, Selection) and node.level is Level.SERIES
        )


@contextmanager
def tree_of(*discs: Path, read_headers: bool = True) -> Iterator[Tree]:
    """Open the tree of *discs* as a mount does, and close them at the end."""
    file_sets = file_sets_of(open_sources(discs), Findings())
    try:
        yield Tree(file_sets, read_headers=read_headers)
    finally:
        for each in file_sets:
            each.medium.close()


def walk(folder: FolderNode, path: str = "") -> Iterator[tuple[str, Node]]:
    """Yield path and node of all that is below *folder*."""
    waiting = [(path, folder)]
    count = 0
    while waiting:
        above, folder = waiting.pop()
        children = folder.children()
        # Walked again, it is looked into again.
        folder.forget()
        for name, node in children.items():
            count += 1
            assert count < _MAX_NODES, "the tree has no end"
            below = f"{above}/{name}" if above else name
            yield below, node
            if node.is_folder:
                waiting.append((below, node))


def look(
    *media: Medium | Path, read_headers: bool = True, dicomdir: str = ""
) -> dict[str, Seen]:
    """Return the whole tree of *media*, by path and in the order of paths."""
    with opened(*media, read_headers=read_headers, dicomdir=dicomdir) as tree:
        return look_into(tree)


def look_into(tree: Tree) -> dict[str, Seen]:
    """Return all of *tree*, by path and in the order of paths."""
    found = {path: _seen(node) for path, node in walk(tree.root)}
    return dict(sorted(found.items()))


def look_at(
    root: Path, medium: Iterable[Record], **options: Unpack[Options]
) -> dict[str, Seen]:
    """Write *medium* to *root* and return its whole tree."""
    write_medium(root, medium, **options)
    return look(root)


def files(seen: dict[str, Seen]) -> list[str]:
    """Return the paths of the files."""
    return [path for path, each in seen.items() if not each.is_folder]


def folders(seen: dict[str, Seen]) -> list[str]:
    """Return the paths of the folders."""
    return [path for path, each in seen.items() if each.is_folder]


def at_depth(seen: dict[str, Seen], depth: int) -> list[str]:
    """Return the names that lie so many folders deep; 0 is the root's own."""
    parts = [path.split("/") for path in seen]
    return [each[-1] for each in parts if len(each) == depth + 1]


def as_text(seen: dict[str, Seen]) -> str:
    """Return the tree in one text, for comparisons that fail readably."""
    return json.dumps(
        {path: (each.size, each.error) for path, each in seen.items()},
        ensure_ascii=False,
        indent=0,
    )


def _seen(node: Node) -> Seen:
    if node.is_folder:
        return Seen(True, node.inode, node.mtime_ns, 0, 0, "", b"")
    return Seen(
        False,
        node.inode,
        node.mtime_ns,
        node.size,
        node.error,
        node.reason,
        _content(node),
    )


def _content(file: FileNode) -> bytes:
    if file.error:
        return b""
    try:
        source = file.open()
    except OSError:
        return b""
    try:
        return source.read_at(0, source.size)
    finally:
        source.close()


def _text(path: Place) -> str:
    return os.fsdecode(b"/".join(path))
