"""Sources and windows: bytes at offsets."""

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomfs.source.failures import Failures
from dicomfs.source.file import FileSource
from dicomfs.source.source import (
    PAGE,
    AtHand,
    BytesSource,
    Extent,
    ExtentSource,
    Status,
)
from dicomfs.source.window import Window
from tests.support import mounting
from tests.support.trees import CountingSource

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
    assert source.status.mtime_ns == path.stat().st_mtime_ns


def test_a_block_device_ends_where_it_ends(path: Path) -> None:
    path.write_bytes(bytes(8 * PAGE))
    with mounting.loop_device(path) as device:
        source = FileSource(os.open(device, os.O_RDONLY))
        assert (source.size, source.read_at(8 * PAGE - 2, 9)) == (8 * PAGE, b"\0\0")
        source.close()


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


def test_a_file_that_was_changed_while_it_is_open_is_not_read_on(
    source: FileSource, path: Path
) -> None:
    with path.open("ab") as file:
        file.write(b"more")

    with pytest.raises(OSError, match="changed since it was opened"):
        source.read_at(1000, 1000)
    assert source.read_cached(0, memoryview(bytearray(10))) is None


DISC = bytes(16 * 2048) + b"\1CD001" + bytes(4000)


@pytest.fixture
def disc(path: Path) -> Iterator[FileSource]:
    """Return an image that is a medium."""
    path.write_bytes(DISC)
    source = FileSource(os.open(path, os.O_RDONLY), is_medium=True)
    yield source
    source.close()


@pytest.mark.parametrize(
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


# -- what the medium could not give ----------------------------------------------------


class Clock:
    """Shows the time that it is set to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Worn:
    """What ``os.pread`` is of a file with bad pages; counts the tries at each page."""

    def __init__(self, bad: Iterable[int], error: int = errno.EIO) -> None:
        self.bad = set(bad)
        self.error = error
        self.tries: Counter[int] = Counter()
        self._pread = os.pread

    def __call__(self, fd: int, size: int, offset: int) -> bytes:
        """Read as the kernel does: up to the first bad page, an error if it is that."""
        for page in range(offset // PAGE, (offset + size - 1) // PAGE + 1):
            self.tries[page] += 1
            if page in self.bad:
                size = page * PAGE - offset
                break
        if size <= 0:
            raise OSError(self.error, os.strerror(self.error))
        return self._pread(fd, size, offset)


PAGES: Final = b"".join(bytes([number]) * PAGE for number in range(64))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def large(tmp_path: Path, clock: Clock) -> Iterator[FileSource]:
    """Return a source of 64 pages, with a memory of its own for those that fail."""
    path = tmp_path / "large"
    path.write_bytes(PAGES)
    failures = Failures(clock)
    source = FileSource(os.open(path, os.O_RDONLY), failures=failures)
    yield source
    source.close()


def wear(monkeypatch: pytest.MonkeyPatch, *bad: int, error: int = errno.EIO) -> Worn:
    worn = Worn(bad, error)
    monkeypatch.setattr(os, "pread", worn)
    return worn


def readable(source: FileSource, size: int = PAGE) -> list[int]:
    """Return where reads of *size* bytes give what they should; others must fail."""
    found = []
    for at in range(0, len(PAGES), size):
        with suppress(OSError):
            assert source.read_at(at, size) == PAGES[at : at + size]
            found.append(at // size)
    return found


def test_all_pages_but_the_bad_ones_can_be_read(
    large: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    wear(monkeypatch, 0, 7, 8, 63)

    assert readable(large) == [n for n in range(64) if n not in {0, 7, 8, 63}]


def test_a_read_that_meets_a_bad_page_fails_whole(
    large: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    wear(monkeypatch, 7)

    assert readable(large, 16 * PAGE) == [1, 2, 3]


@pytest.mark.parametrize("size", [PAGE, 2 * PAGE, 16 * PAGE, 64 * PAGE])
def test_a_bad_page_is_tried_twice_a_minute_at_most(
    large: FileSource, clock: Clock, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    worn = wear(monkeypatch, 7, 32)

    for _ in range(59):
        readable(large, size)
        readable(large)
        clock.now += 1

    assert max(worn.tries[7], worn.tries[32]) <= 2


def test_a_bad_page_is_tried_again_after_a_minute(
    large: FileSource, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    worn = wear(monkeypatch, 7)
    readable(large)
    worn.bad.clear()
    before = readable(large)
    clock.now += 60

    assert 7 not in before
    assert readable(large) == list(range(64))


def test_a_file_that_is_opened_again_is_remembered(
    large: FileSource, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    failures = Failures(clock)
    path = tmp_path / "large"
    worn = wear(monkeypatch, 7)
    for _ in range(3):
        source = FileSource(os.open(path, os.O_RDONLY), failures=failures)
        readable(source)
        source.close()

    assert worn.tries[7] == 1
    # Each memory is its own.
    readable(large)
    assert worn.tries[7] == 2


def test_a_medium_that_was_pulled_is_asked_again_at_once(
    large: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    worn = wear(monkeypatch, *range(64), error=errno.ENODEV)
    gone = readable(large)
    worn.bad.clear()

    assert gone == []
    assert readable(large) == list(range(64))


def test_only_so_many_failures_are_remembered(clock: Clock) -> None:
    failures = Failures(clock, most=3)
    for number in range(5):
        failures.add((1, 1), number * PAGE)

    remembered = [n for n in range(5) if fails(failures, (1, 1), n * PAGE)]

    assert remembered == [2, 3, 4]


def test_what_hangs_fails_until_it_is_let_go(clock: Clock) -> None:
    failures = Failures(clock)
    failures.hold((1, 1), 10, 2 * PAGE)
    failures.hold((1, 1), 10, 2 * PAGE)
    held = [fails(failures, (1, 1), n * PAGE) for n in range(4)]
    other = fails(failures, (1, 2), 0)
    failures.let_go((1, 1), 10, 2 * PAGE)
    half = fails(failures, (1, 1), 0)
    failures.let_go((1, 1), 10, 2 * PAGE)

    assert held == [True, True, True, False]
    assert not other
    assert half
    assert not fails(failures, (1, 1), 0)


def fails(failures: Failures, file: tuple[int, int], offset: int) -> bool:
    try:
        failures.check(file, offset, 1)
    except OSError:
        return True
    return False


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


# -- files in extents of another source --------------------------------------------


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


def test_an_extent_that_hangs_hangs_where_it_lies(large: FileSource) -> None:
    source = ExtentSource(large, [Extent(4 * PAGE, PAGE), Extent(PAGE, PAGE)])

    source.hangs(0, 2 * PAGE)
    assert readable(large) == [0, 2, 3, *range(5, large.size // PAGE)]
    source.hangs_no_more(0, 2 * PAGE)
    assert readable(large) == list(range(large.size // PAGE))


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
