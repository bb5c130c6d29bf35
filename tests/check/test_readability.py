"""Reading files to their last byte."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomfs.check.readability import (
    BLOCK,
    Readability,
    ReadableSource,
    first_difference,
    read_through,
)
from dicomfs.source.pulse import LeftBehind, Pulse
from dicomfs.source.source import PAGE, BytesSource, Source, Status


class BadPages(Source):
    """Bytes of which some pages cannot be read."""

    def __init__(self, size: int, bad: set[int], error: int = errno.EIO) -> None:
        self.size = size
        self.status = Status(size, 0)
        self._bad = bad
        self._error = error

    def read_at(self, offset: int, size: int) -> bytes:
        """Read, or fail."""
        end = min(offset + size, self.size)
        if self._bad.intersection(range(offset // PAGE, -(-end // PAGE))):
            raise OSError(self._error, "a bad sector")
        return bytes(end - offset)

    def close(self) -> None:
        """Do nothing."""


@given(st.integers(0, 5 * BLOCK), st.sets(st.integers(0, 79), max_size=20))
def test_exactly_the_bad_pages_are_found(size: int, bad: set[int]) -> None:
    readability = read_through(BadPages(size, bad))

    told = {
        page
        for start, end in readability.unreadable
        for page in range(start // PAGE, -(-end // PAGE))
    }
    assert told == {page for page in bad if page * PAGE < size}
    assert readability.is_whole == (not told)
    assert not readability.untried


def test_what_was_not_tried_counts_as_unreadable() -> None:
    readability = read_through(BadPages(10 * BLOCK, set(range(1000))))

    assert readability.untried == 2 * BLOCK
    assert readability.overlaps(9 * BLOCK, 9 * BLOCK + 1)
    assert (
        str(readability) == "bytes 0 to 131071, bytes 131072 to 655359 were not tried"
    )


def test_a_good_block_in_between_gives_new_hope() -> None:
    bad = set(range(16)) | set(range(32, 48)) | set(range(64, 80))

    assert not read_through(BadPages(6 * BLOCK, bad)).untried


@pytest.mark.parametrize("number", [errno.ENODEV, errno.ENOMEDIUM, errno.ENOTCONN])
def test_a_medium_that_is_gone_is_not_tried_on(number: int) -> None:
    with pytest.raises(OSError, match="a bad sector"):
        read_through(BadPages(BLOCK, {0}, number))


def test_reading_through_tells_how_much_was_read() -> None:
    told: list[int] = []

    read_through(BytesSource(bytes(BLOCK + 5)), told.append)

    assert told == [BLOCK, 5]


def test_reading_through_shows_signs_of_life_and_can_be_ended() -> None:
    pulse = Pulse()

    def leave(size: int) -> None:
        del size
        pulse.leave()

    with pytest.raises(LeftBehind), pulse.felt():
        read_through(BytesSource(bytes(2 * BLOCK)), leave)


def test_a_readable_source_asks_for_nothing_bad() -> None:
    readability = Readability(4 * PAGE, [(PAGE, 2 * PAGE)])
    source = ReadableSource(BadPages(4 * PAGE, {1}), readability)

    assert source.read_at(0, PAGE) == bytes(PAGE)
    assert source.read_at(2 * PAGE, 9 * PAGE) == bytes(2 * PAGE)
    with pytest.raises(OSError, match="unreadable"):
        source.read_at(PAGE - 1, 2)


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_the_first_difference_is_the_first(one: bytes, other: bytes) -> None:
    found = first_difference(BytesSource(one), BytesSource(other))

    if found is None:
        assert one == other
    else:
        assert one[:found] == other[:found]
        assert one[found : found + 1] != other[found : found + 1]


def test_a_difference_in_a_later_block_is_found() -> None:
    one = bytes(3 * BLOCK)
    other = one[: 2 * BLOCK + 5] + b"\1" + one[2 * BLOCK + 6 :]

    assert first_difference(BytesSource(one), BytesSource(other)) == 2 * BLOCK + 5
