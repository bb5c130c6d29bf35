"""Sources in memory, and files that lie in extents of others."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomfs.source.file import FileSource
from dicomfs.source.source import (
    AtHand,
    BytesSource,
    Extent,
    ExtentSource,
    Status,
)
from tests.source.ranges import DATA, RANGES


@RANGES
def test_bytes_in_memory_are_read_like_a_file(offset: int, size: int) -> None:
    assert BytesSource(DATA).read_at(offset, size) == DATA[offset : offset + size]


def test_bytes_in_memory_know_their_size() -> None:
    assert BytesSource(DATA).size == len(DATA)


@st.composite
def files_in_extents(draw: st.DrawFn) -> tuple[bytes, list[Extent]]:
    extents = draw(
        st.lists(
            st.builds(Extent, st.integers(0, 900), st.integers(0, 120)), max_size=6
        )
    )
    return b"".join(DATA[at : at + size] for at, size in extents), extents


@given(files_in_extents(), st.integers(0, 800), st.integers(0, 800))
def test_a_file_in_extents_reads_as_if_it_lay_in_one_piece(
    made: tuple[bytes, list[Extent]], offset: int, size: int
) -> None:
    data, extents = made
    source = ExtentSource(BytesSource(DATA), extents, mtime_ns=7)
    buffer = bytearray(size)

    assert source.status == Status(len(data), 7)
    assert source.read_at(offset, size) == data[offset : offset + size]
    count = source.read_cached(offset, memoryview(buffer))
    assert count is not None
    assert buffer[:count] == data[offset : offset + size]


def test_an_extent_beyond_the_end_of_its_source_is_an_error_and_no_end() -> None:
    source = ExtentSource(BytesSource(DATA), [Extent(1000, 100)])

    assert source.read_at(0, 24) == DATA[1000:]
    assert source.read_cached(0, memoryview(bytearray(100))) is None
    with pytest.raises(OSError, match="ends before") as raised:
        source.read_at(0, 100)
    assert raised.value.errno == errno.EIO


def test_what_is_at_hand_is_read_and_nothing_else_is_asked_for(
    source: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert AtHand(BytesSource(DATA)).read_at(1000, 100) == DATA[1000:]

    monkeypatch.setattr(FileSource, "read_cached", lambda *_: None)
    with pytest.raises(BlockingIOError):
        AtHand(source).read_at(0, 10)


def test_closing_a_file_in_extents_leaves_its_source_open(source: FileSource) -> None:
    ExtentSource(source, [Extent(0, 10)]).close()

    assert source.read_at(0, 10) == DATA[:10]
