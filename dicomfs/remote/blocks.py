"""Blocks of remote objects in memory: fetched once, kept within a bound, read ahead.

What a medium's index and headers need are a few kilobytes here and there; what copying
a study needs are megabytes in order. So what is asked for is fetched in blocks of 64
KiB and no more, and only reading in order fetches ahead, each time twice as much.

Measured on loopback, with 20 ms (100 ms) added to each answer: reading in order with
windows of 1, 2, 4 and 8 MiB gives 40, 64, 90 and 98 MB/s (9, 16, 26 and 37), and blocks
of 16 KiB to 1 MiB make no difference to it; but 4 KiB read anywhere cost 67 KiB with
blocks of 64 KiB, and 243 with blocks of 256.
"""

import errno
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple, Protocol

from dicomfs.remote.wire import MOST_BYTES
from dicomfs.source.cache import Cache
from dicomfs.source.window import BLOCK

# What is kept in memory, of all objects together.
MOST_KEPT: Final = 64 * 1024 * 1024
# Requests on their way that nobody waits for, of a megabyte at most.
_MOST_AHEAD: Final = 16
# How far is read ahead at first, and at last.
_FIRST_WINDOW: Final = 128 * 1024
_LAST_WINDOW: Final = 4 * 1024 * 1024
# How long a block rests, in seconds, that took as long to fail.
_REST: Final = 1.0
# How many files are read in order at a time; requests for one overtake each other, and
# so one that goes back so far still is in order.
_MOST_STREAMS: Final = 32
_NEAR: Final = 1024 * 1024


class Remote(Protocol):
    """An object that blocks are fetched of."""

    size: int

    @property
    def key(self) -> Hashable:
        """What tells it, and its version, from all others."""
        ...

    def fetch(self, offset: int, size: int, seconds: float) -> Future[bytes]:
        """Ask for just the *size* bytes at *offset*, which come or fail in that time."""
        ...


class _Run(NamedTuple):
    """Blocks that were asked for in one go, by their numbers, and what comes of them."""

    numbers: range
    data: Future[bytes]


class _Stream:
    """Somebody reads an object in order: up to *end*, and it was fetched up to *ahead*."""

    def __init__(self, key: Hashable, end: int) -> None:
        self.key = key
        self.end = end
        self.ahead = end
        self.window = 0


_BlockKey = tuple[Hashable, int]


class Blocks:
    """The blocks of any number of objects; used by all threads."""

    def __init__(
        self,
        most_kept: int = MOST_KEPT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept = Cache[_BlockKey, bytes](most_kept, len)
        self._coming: dict[_BlockKey, _Run] = {}
        self._streams: list[_Stream] = []
        # Until when nobody asks for a block again.
        self._resting: dict[_BlockKey, float] = {}
        self._ahead = 0

    @property
    def size(self) -> int:
        """How many bytes are kept."""
        return self._kept.size

    def read(self, remote: Remote, offset: int, size: int, seconds: float) -> bytes:
        """Return the *size* bytes at *offset*, all of which the object has.

        Blocks that others have asked for already are waited for. Raises OSError, and after so
        many seconds TimeoutError.
        """
        until = self._clock() + seconds
        numbers = _numbers(offset, size)
        found: dict[int, bytes] = {}
        missing = self._look(remote, numbers, found)
        self._check(remote.key, missing)
        while missing:
            if self._clock() > until:
                raise TimeoutError
            mine, others = self._claim(remote, missing, until - self._clock())
            self._read_ahead(remote, offset, size, seconds)
            for run in others:
                # If theirs failed, it may have had less time than we have.
                with suppress(OSError):
                    self._take(run, missing, found, until)
            try:
                for run in mine:
                    self._take(run, missing, found, until)
            except OSError:
                self._rest(remote.key, missing, self._clock() - until + seconds)
                raise
            missing = self._look(remote, numbers, found)
        self._read_ahead(remote, offset, size, seconds)
        return _cut([found[number] for number in numbers], offset, size)

    def _take(
        self, run: _Run, missing: Sequence[int], found: dict[int, bytes], until: float
    ) -> None:
        """Wait for a run, and put into *found* what is missing of it."""
        run.data.result(max(until - self._clock(), 0))
        wanted = [number for number in missing if number in run.numbers]
        found.update((number, _block(run, number)) for number in wanted)

    def _rest(self, key: Hashable, numbers: Sequence[int], took: float) -> None:
        """Let nobody ask for blocks again at once that took so long to fail.

        The kernel asks again for each page, and a program that waits for the first
        error would wait as often.
        """
        now = self._clock()
        with self._lock:
            resting = {place: end for place, end in self._resting.items() if end > now}
            end = now + min(took, _REST)
            self._resting = resting | {(key, number): end for number in numbers}

    def _check(self, key: Hashable, numbers: Sequence[int]) -> None:
        """Raise OSError (EIO) if one of the blocks failed a moment ago."""
        now = self._clock()
        resting = self._resting
        if any(resting.get((key, number), now) > now for number in numbers):
            raise OSError(errno.EIO, "the server failed there a moment ago")

    def read_cached(
        self, remote: Remote, offset: int, buffer: memoryview, seconds: float
    ) -> bool:
        """Fill *buffer* with the bytes at *offset* if all are kept; say whether so."""
        size = len(buffer)
        numbers = _numbers(offset, size)
        found: dict[int, bytes] = {}
        if self._look(remote, numbers, found):
            return False
        buffer[:] = _cut([found[number] for number in numbers], offset, size)
        self._read_ahead(remote, offset, size, seconds)
        return True

    def _look(
        self, remote: Remote, numbers: Sequence[int], found: dict[int, bytes]
    ) -> list[int]:
        """Put the blocks that are kept into *found*; return the numbers of the rest."""
        for number in numbers:
            block = self._kept.get((remote.key, number))
            if block is not None:
                found[number] = block
        return [number for number in numbers if number not in found]

    def _claim(
        self, remote: Remote, missing: Sequence[int], seconds: float
    ) -> tuple[list[_Run], list[_Run]]:
        """Ask for those blocks that nobody has asked for.

        Return what will come of that, and what others have asked for of them.
        """
        with self._lock:
            others = {
                number: run
                for number in missing
                if (run := self._expected(remote.key, number)) is not None
            }
            unasked = [number for number in missing if number not in others]
            mine = self._ask(remote, unasked, seconds)
        self._watch(remote.key, mine)
        return mine, list({id(run): run for run in others.values()}.values())

    def _expected(self, key: Hashable, number: int) -> _Run | None:
        """Return what a block will come with, unless that has failed."""
        run = self._coming.get((key, number))
        if run is None or (run.data.done() and run.data.exception() is not None):
            return None
        return run

    def _ask(
        self, remote: Remote, numbers: Sequence[int], seconds: float
    ) -> list[_Run]:
        """Ask for blocks, those that follow each other in one go; under the lock."""
        runs = []
        for together in _together(numbers):
            begin = together.start * BLOCK
            size = min(together.stop * BLOCK, remote.size) - begin
            run = _Run(together, remote.fetch(begin, size, seconds))
            self._coming.update(((remote.key, number), run) for number in together)
            runs.append(run)
        return runs

    def _watch(self, key: Hashable, runs: Sequence[_Run]) -> None:
        """Keep what comes of *runs*; not under the lock, as some may have come."""
        for run in runs:
            run.data.add_done_callback(partial(self._arrived, key, run))

    def _arrived(self, key: Hashable, run: _Run, data: Future[bytes]) -> None:
        with self._lock:
            if data.exception() is None:
                for number in run.numbers:
                    self._kept.put((key, number), _block(run, number))
            for number in run.numbers:
                # If this run failed, another one may be expected to bring it by now.
                if self._coming.get((key, number)) is run:
                    del self._coming[key, number]

    # -- reading ahead -----------------------------------------------------------------

    def _read_ahead(
        self, remote: Remote, offset: int, size: int, seconds: float
    ) -> None:
        """Ask for what follows, if the object is being read in order there."""
        with self._lock:
            stream = self._follow(remote.key, offset, size)
            numbers = [] if stream is None else self._due(stream, remote)
            runs = self._ask(remote, numbers, seconds)
            self._ahead += len(runs)
        for run in runs:
            run.data.add_done_callback(self._has_come)
        self._watch(remote.key, runs)

    def _follow(self, key: Hashable, offset: int, size: int) -> _Stream | None:
        """Return the stream that reading these bytes carries on, None if it is none."""
        end = offset + size
        for stream in reversed(self._streams):
            if stream.key == key and -_NEAR <= offset - stream.end <= 2 * size:
                break
        else:
            self._streams.append(_Stream(key, end))
            del self._streams[:-_MOST_STREAMS]
            return None
        self._streams.remove(stream)
        self._streams.append(stream)
        before, stream.end = stream.end, max(stream.end, end)
        # A reader that looks around in a block is not on the way to the next.
        return stream if (end - 1) // BLOCK > (before - 1) // BLOCK else None

    def _due(self, stream: _Stream, remote: Remote) -> list[int]:
        """Return the blocks to be fetched ahead of *stream*, if it is time for that."""
        begin = max(stream.ahead, stream.end)
        window = min(max(2 * stream.window, _FIRST_WINDOW), _LAST_WINDOW)
        is_early = begin - stream.end > stream.window // 2
        if is_early or self._ahead >= _MOST_AHEAD:
            return []
        stream.window = window
        stream.ahead = max(min(stream.end + window, remote.size), begin)
        return [
            number
            for number in _numbers(begin, stream.ahead - begin)
            if (remote.key, number) not in self._kept
            and self._expected(remote.key, number) is None
        ]

    def _has_come(self, _: Future[bytes]) -> None:
        with self._lock:
            self._ahead -= 1


def _numbers(offset: int, size: int) -> range:
    """Return the numbers of the blocks that hold the *size* bytes at *offset*."""
    return range(offset // BLOCK, -(-(offset + size) // BLOCK) if size else 0)


def _together(numbers: Sequence[int]) -> Iterator[range]:
    """Yield those of *numbers* that follow each other, as many as one request may ask."""
    begin = 0
    for end in range(1, len(numbers) + 1):
        is_last = end == len(numbers)
        is_full = (end - begin) * BLOCK == MOST_BYTES
        if is_last or is_full or numbers[end] != numbers[end - 1] + 1:
            yield range(numbers[begin], numbers[end - 1] + 1)
            begin = end


def _block(run: _Run, number: int) -> bytes:
    """Return a block of a run that has come."""
    at = (number - run.numbers.start) * BLOCK
    return run.data.result()[at : at + BLOCK]


def _cut(blocks: Sequence[bytes], offset: int, size: int) -> bytes:
    """Return the *size* bytes at *offset* of an object, out of the blocks they are in."""
    skipped = offset % BLOCK
    if len(blocks) == 1:
        return blocks[0][skipped : skipped + size]
    return b"".join(blocks)[skipped : skipped + size]
