"""Open files and devices as sources."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dicomfs.source.digests import Digests
from dicomfs.source.file import FileSource
from dicomfs.source.source import (
    PAGE,
)
from tests.source.ranges import DATA, RANGES
from tests.support import mounting


@RANGES
def test_a_file_gives_the_bytes_at_an_offset(
    source: FileSource, offset: int, size: int
) -> None:
    assert source.read_at(offset, size) == DATA[offset : offset + size]


def test_a_file_knows_its_size_and_time(source: FileSource, path: Path) -> None:
    assert source.size == len(DATA)
    assert source.status.mtime_ns == path.stat().st_mtime_ns


def test_a_block_device_ends_where_it_ends(path: Path) -> None:
    path.write_bytes(bytes(8 * PAGE))
    with mounting.loop_device(path) as device:
        source = FileSource(os.open(device, os.O_RDONLY))
        assert (source.size, source.read_at(8 * PAGE - 2, 9)) == (8 * PAGE, b"\0\0")
        source.close()


def test_a_short_read_is_continued(
    source: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, n, at: pread(fd, min(n, 7), at))

    assert source.read_at(3, 1000) == DATA[3:1003]


def test_a_file_that_shrank_is_an_error_and_not_a_short_read(
    source: FileSource, path: Path
) -> None:
    os.truncate(path, 500)

    with pytest.raises(OSError, match="ended before its size"):
        source.read_at(400, 200)


def test_a_file_that_was_changed_while_it_is_open_is_not_read_on(
    source: FileSource, path: Path
) -> None:
    with path.open("ab") as file:
        file.write(b"more")

    with pytest.raises(OSError, match="changed since it was opened"):
        source.read_at(1000, 1000)
    assert source.read_cached(0, memoryview(bytearray(10))) is None


TOUCHES = pytest.mark.parametrize(
    "change",
    [
        lambda path: path.rename(path.with_name("renamed")),
        lambda path: path.unlink(),
        lambda path: path.with_name("link").hardlink_to(path),
        lambda path: path.chmod(0o400),
        lambda path: os.utime(path, ns=(1, path.stat().st_mtime_ns)),
    ],
    ids=["mv", "rm", "ln", "chmod", "touch -a"],
)


@TOUCHES
def test_a_file_of_which_nothing_but_its_last_change_is_new_is_read_on(
    source: FileSource, path: Path, change: Callable[[Path], None]
) -> None:
    source.remember(Digests())
    source.read_at(0, 100)
    source.read_at(700, 100)
    change(path)

    for _ in range(2):
        assert source.read_at(300, 1000) == DATA[300:]
        assert source.read_at(0, 100) == DATA[:100]


def test_a_file_whose_head_was_not_read_before_it_changed_is_not_read_on(
    source: FileSource, path: Path
) -> None:
    source.remember(Digests())
    source.read_at(700, 100)
    path.chmod(0o400)

    with pytest.raises(OSError, match="changed since it was opened"):
        source.read_at(0, 100)


@pytest.mark.parametrize("at", [50, 750], ids=["head", "middle"])
def test_a_file_that_was_written_over_where_it_was_read_is_not_read_on(
    source: FileSource, path: Path, at: int
) -> None:
    source.remember(Digests())
    source.read_at(0, 100)
    source.read_at(700, 100)
    over(path, DATA[:at] + b"?" + DATA[at + 1 :])

    for offset in (0, 300, 700):
        with pytest.raises(OSError, match="changed since it was opened"):
            source.read_at(offset, 100)
        assert source.read_cached(offset, memoryview(bytearray(10))) is None


def test_bytes_that_memory_held_are_remembered_too(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(8 * PAGE))
    source = FileSource(os.open(path, os.O_RDONLY))
    digests = Digests()
    source.remember(digests)
    if source.read_cached(0, memoryview(bytearray(PAGE))) != PAGE:
        pytest.skip("this file system cannot tell what memory holds")
    over(path, b"?" + bytes(8 * PAGE - 1))

    with pytest.raises(OSError, match="changed since it was opened"):
        source.read_at(PAGE, PAGE)
    source.close()


DISC = bytes(16 * 2048) + b"\1CD001" + bytes(4000)


@pytest.fixture
def disc(path: Path) -> Iterator[FileSource]:
    """Return an image that is a medium."""
    path.write_bytes(DISC)
    source = FileSource(os.open(path, os.O_RDONLY), is_medium=True)
    yield source
    source.close()


@TOUCHES
def test_an_image_may_get_another_name_and_other_rights(
    disc: FileSource, path: Path, change: Callable[[Path], None]
) -> None:
    change(path)

    assert disc.read_at(16 * 2048, 6) == b"\1CD001"
    assert disc.read_at(0, len(DISC)) == DISC


def over(path: Path, data: bytes) -> None:
    """Write other bytes into an image, and set its time back."""
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        lambda path: over(path, DISC.replace(b"CD001", b"CD002")),
        lambda path: over(path, DISC + b"more"),
        lambda path: path.write_bytes(DISC),
    ],
    ids=["another disc", "another length", "a later time"],
)
def test_an_image_that_was_written_over_is_not_read_on(
    disc: FileSource, path: Path, change: Callable[[Path], None]
) -> None:
    change(path)

    for _ in range(2):
        with pytest.raises(OSError, match="changed since it was opened"):
            disc.read_at(0, 10)
        assert disc.read_cached(0, memoryview(bytearray(10))) is None


def test_a_device_is_read_on_whatever_its_node_says(path: Path) -> None:
    path.write_bytes(bytes(8 * PAGE))
    with mounting.loop_device(path) as device:
        source = FileSource(os.open(device, os.O_RDONLY), is_medium=True)
        device.chmod(0o640)
        assert source.read_at(8 * PAGE - 2, 9) == b"\0\0"
        source.close()


@RANGES
def test_a_cached_read_gives_all_or_none(
    source: FileSource, offset: int, size: int
) -> None:
    buffer = bytearray(size)

    count = source.read_cached(offset, memoryview(buffer))

    if count is not None:
        assert buffer[:count] == DATA[offset : offset + size]


def test_a_cached_read_that_the_system_refuses_gives_none(
    source: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(95, "not supported")

    monkeypatch.setattr(os, "preadv", refuse)

    assert source.read_cached(0, memoryview(bytearray(10))) is None


def test_a_cached_read_that_memory_holds_in_part_gives_none(
    source: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "preadv", lambda *_: 5)

    assert source.read_cached(0, memoryview(bytearray(10))) is None


def test_closing_a_source_closes_its_descriptor(path: Path) -> None:
    source = FileSource(os.open(path, os.O_RDONLY))

    source.close()

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(source.fd)
