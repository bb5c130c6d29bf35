"""Windows: small reads out of large ones."""

import errno
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomfs.source.source import (
    PAGE,
    BytesSource,
)
from dicomfs.source.window import Window
from tests.support.trees import CountingSource

DATA = bytes(range(256)) * 4


PAGES: Final = b"".join(bytes([number]) * PAGE for number in range(64))


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


@given(
    st.sets(st.integers(0, 63), max_size=8),
    st.lists(st.tuples(st.integers(0, len(PAGES)), st.integers(0, 300)), max_size=20),
)
def test_a_window_next_to_bad_pages_shows_all_that_lies_on_good_ones(
    bad: set[int], places: list[tuple[int, int]]
) -> None:
    window = Window(WornBytes(bad), 16 * PAGE)

    for offset, size in places:
        pages = range(offset // PAGE, (max(offset + size, offset + 16) - 1) // PAGE + 1)
        if bad.isdisjoint(pages):
            assert window.read(offset, size) == PAGES[offset : offset + size]


def test_a_window_that_cannot_be_moved_shows_what_it_showed() -> None:
    window = Window(WornBytes({20}), 16 * PAGE)
    window.load(0)

    with pytest.raises(OSError, match="bad"):
        window.load(20 * PAGE)

    assert window.read(PAGE, 3) == b"\1\1\1"


class WornBytes(BytesSource):
    """Bytes in memory with bad pages: whoever asks for one of them too gets an error."""

    def __init__(self, bad: set[int]) -> None:
        super().__init__(PAGES)
        self._bad = bad

    def read_at(self, offset: int, size: int) -> bytes:
        """Read, or fail."""
        size = min(size, self.size - offset)
        if not self._bad.isdisjoint(range(offset // PAGE, -(-(offset + size) // PAGE))):
            raise OSError(errno.EIO, "bad")
        return super().read_at(offset, max(size, 0))
