"""What a medium could not give rests, and what hangs fails at once."""

import errno
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from dicomfs.source.failures import Failures
from dicomfs.source.file import FileSource
from dicomfs.source.source import (
    PAGE,
    Extent,
    ExtentSource,
)

PAGES: Final = b"".join(bytes([number]) * PAGE for number in range(64))


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


def test_files_are_worn_once_a_page_of_one_was_bad(
    large: FileSource, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = Failures(clock)
    paths = (tmp_path / "one", tmp_path / "other")
    for path in paths:
        path.write_bytes(PAGES)
    one, other = (
        FileSource(os.open(path, os.O_RDONLY), failures=failures) for path in paths
    )
    wear(monkeypatch, 7)

    other.read_at(0, PAGE)
    was_worn = other.is_worn
    with suppress(OSError):
        one.read_at(7 * PAGE, PAGE)

    assert (was_worn, other.is_worn, large.is_worn) == (False, True, False)
    one.close()
    other.close()


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


def test_an_extent_that_hangs_hangs_where_it_lies(large: FileSource) -> None:
    source = ExtentSource(large, [Extent(4 * PAGE, PAGE), Extent(PAGE, PAGE)])

    source.hangs(0, 2 * PAGE)
    assert readable(large) == [0, 2, 3, *range(5, large.size // PAGE)]
    source.hangs_no_more(0, 2 * PAGE)
    assert readable(large) == list(range(large.size // PAGE))
