"""Sources and windows: bytes at offsets."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomfs.source import BytesSource, FileSource, Window
from tests.trees import CountingSource

DATA = bytes(range(256)) * 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def source(path: Path) -> Iterator[FileSource]:
    source = FileSource(os.open(path, os.O_RDONLY))
    yield source
    source.close()


RANGES = pytest.mark.parametrize(
    ("offset", "size"),
    [(0, 10), (100, 1), (0, 1024), (1000, 100), (1024, 1), (5000, 10), (7, 0)],
    ids=["start", "middle", "all", "over-end", "at-end", "behind-end", "nothing"],
)


@RANGES
def test_a_file_gives_the_bytes_at_an_offset(
    source: FileSource, offset: int, size: int
) -> None:
    assert source.read_at(offset, size) == DATA[offset : offset + size]


@RANGES
def test_bytes_in_memory_are_read_like_a_file(offset: int, size: int) -> None:
    assert BytesSource(DATA).read_at(offset, size) == DATA[offset : offset + size]


def test_a_file_knows_its_size_and_time(source: FileSource, path: Path) -> None:
    assert source.size == len(DATA)
    assert source.mtime_ns == path.stat().st_mtime_ns


def test_bytes_in_memory_know_their_size() -> None:
    assert BytesSource(DATA).size == len(DATA)


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


def test_a_file_that_grew_keeps_the_size_it_was_opened_with(
    source: FileSource, path: Path
) -> None:
    with path.open("ab") as file:
        file.write(b"more")

    assert source.read_at(1000, 1000) == DATA[1000:]


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


@given(
    st.lists(st.tuples(st.integers(0, 1100), st.integers(0, 300)), max_size=20),
    st.integers(1, 200),
)
def test_a_window_shows_what_the_source_holds(
    places: list[tuple[int, int]], block: int
) -> None:
    window = Window(BytesSource(DATA), block)

    for offset, size in places:
        assert window.read(offset, size) == DATA[offset : offset + size]


def test_a_window_reads_what_lies_together_once() -> None:
    source = CountingSource(DATA)
    window = Window(source, 512)

    for offset in range(0, 512, 8):
        window.read(offset, 8)

    assert source.reads == [(0, 512)]
