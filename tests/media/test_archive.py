"""What images and archives have in common: a tree of entries, asked once a folder."""

import errno
import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

import pytest

from dicomfs.media.archive import Archive
from dicomfs.media.medium import EntryType, Place
from dicomfs.source.source import BytesSource, Source, Status


class Item(NamedTuple):
    """A folder with *below*, a file with *data*, or neither."""

    data: bytes | None = None
    below: "Mapping[bytes, Item] | None" = None

    @property
    def is_folder(self) -> bool:
        """Whether it has anything below."""
        return self.below is not None

    @property
    def is_file(self) -> bool:
        """Whether it has data."""
        return self.data is not None

    @property
    def status(self) -> Status:
        """How much data it has."""
        return Status(len(self.data or b""), 5)


class Shelf(Archive[Item]):
    """An archive in memory, which counts how often it is asked for a folder."""

    def __init__(self, root: Mapping[bytes, Item], most_kept: int = 100) -> None:
        super().__init__(BytesSource(bytes(5000)), most_kept)
        self._root = Item(below=root)
        self.read: list[Place] = []

    def read_folder(self, folder: Place) -> Mapping[bytes, Item]:
        """Return the items, and count."""
        self.read.append(folder)
        below = (self.entry(folder) if folder else self._root).below
        if below is None:
            raise NotADirectoryError(errno.ENOTDIR, "no folder")
        return below

    def open_entry(self, entry: Item) -> Source:
        """Return the data."""
        return BytesSource(entry.data or b"", 5)


ROOT = {
    b"DICOM": Item(below={b"I1": Item(b"one"), b"I2": Item(b"two!"), b"LINK": Item()}),
    b"DICOMDIR": Item(b"index"),
}


def test_files_and_folders_are_told_apart() -> None:
    shelf = Shelf(ROOT)

    assert shelf.names(()) == [b"DICOM", b"DICOMDIR"]
    assert shelf.entries(()) == {
        b"DICOM": EntryType.FOLDER,
        b"DICOMDIR": EntryType.FILE,
    }
    assert shelf.status((b"DICOM", b"I2")) == Status(4, 5)
    assert shelf.open((b"DICOM", b"I1")).read_at(0, 9) == b"one"
    assert shelf.capacity() == (2048, 3)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ((), errno.EINVAL),
        ((b"DICOM",), errno.EINVAL),
        ((b"DICOM", b"LINK"), errno.EINVAL),
        ((b"DICOM", b"I3"), errno.ENOENT),
        ((b"NO", b"I3"), errno.ENOENT),
        ((b"DICOMDIR", b"I3"), errno.ENOTDIR),
    ],
    ids=["root", "folder", "link", "nothing", "no-folder", "below-a-file"],
)
def test_what_is_no_file_has_no_status_and_does_not_open(
    path: Place, error: int
) -> None:
    shelf = Shelf(ROOT)

    for ask in (shelf.status, shelf.open):
        with pytest.raises(OSError, match=rf"Errno {error}\]"):
            ask(path)


def test_statuses_of_a_folder_name_what_is_wrong_with_each() -> None:
    found = Shelf(ROOT).statuses((b"DICOM",), [b"I1", b"LINK", b"I3"])

    numbers = [each.errno if isinstance(each, OSError) else each for each in found]
    assert numbers == [Status(3, 5), errno.EINVAL, errno.ENOENT]


def test_a_folder_is_read_once() -> None:
    shelf = Shelf(ROOT)

    for name in (b"I1", b"I2", b"I3"):
        shelf.statuses((b"DICOM",), [name])

    assert shelf.read == [(b"DICOM",), ()]


def test_a_folder_that_several_ask_for_at_once_is_read_once() -> None:
    shelf = Shelf(ROOT)
    together = threading.Barrier(8)

    def ask(_: int) -> list[bytes]:
        together.wait()
        return shelf.names((b"DICOM",))

    with ThreadPoolExecutor(8) as threads:
        assert len(set(map(tuple, threads.map(ask, range(8))))) == 1
    assert shelf.read.count((b"DICOM",)) == 1


class Faulty(Shelf):
    """An archive of which no folder can be read at the first two attempts."""

    def read_folder(self, folder: Place) -> Mapping[bytes, Item]:
        """Return the items, or fail."""
        below = super().read_folder(folder)
        os.sched_yield()
        if folder and self.read.count(folder) <= 2:
            raise OSError(errno.EIO, "a bad sector")
        return below


@pytest.mark.slow
def test_of_a_folder_that_was_read_twice_at_once_one_listing_counts() -> None:
    def ask(shelf: Shelf) -> None:
        together.wait()
        for _ in range(4):
            with suppress(OSError):
                shelf.names((b"DICOM",))

    together = threading.Barrier(8)
    with ThreadPoolExecutor(8) as threads:
        for _ in range(200):
            shelf = Faulty(ROOT, most_kept=8)
            list(threads.map(ask, [shelf] * 8))
            # Both fit in: neither is forgotten for the other.
            shelf.read.clear()
            shelf.names(())
            shelf.names((b"DICOM",))
            assert shelf.read == []


def test_only_what_is_in_memory_is_opened_without_waiting() -> None:
    shelf = Shelf(ROOT)

    assert shelf.open_cached((b"DICOM", b"I1")) is None
    shelf.names((b"DICOM",))
    assert shelf.open_cached((b"DICOM", b"LINK")) is None
    opened = shelf.open_cached((b"DICOM", b"I1"))
    assert opened is not None
    assert opened.read_at(0, 9) == b"one"


def test_of_many_folders_those_used_longest_ago_are_forgotten() -> None:
    many = {b"%d" % n: Item(below={b"F": Item(b"x")}) for n in range(4)}
    shelf = Shelf(many, most_kept=9)
    for name in (b"0", b"1", b"0", b"2", b"0"):
        shelf.names((name,))
    shelf.read.clear()

    shelf.names((b"0",))
    shelf.names((b"1",))

    assert shelf.read == [(b"1",)]
