"""Serving the tree: blocking work goes to threads, within a deadline.

The event loop answers what is in memory. Whatever may wait for the medium runs in a
thread of one of two limiters, so that reads of one bad file cannot take the threads
that list folders; a request that is not done by its deadline fails alone.
"""

import threading
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

import trio

from dicomfs.node import File, Folder, Listing
from dicomfs.source import FileSource, Source

_T = TypeVar("_T")

_INDEX_THREADS: Final = 4
_MEDIUM_THREADS: Final = 8
# Nodes in listings that are kept; those that the kernel knows are kept besides.
MOST_KEPT: Final = 200_000
# The kernel asks for at most 256 pages at a time.
_BUFFER: Final = 1024 * 1024


class Expandable(Protocol):
    """The slice of the tree that serving needs."""

    root: Folder

    def expand(self, folder: Folder) -> Listing:
        """Compute what is in *folder*."""
        ...


class Server:
    """Lists folders and reads files of a tree; each request within *deadline* seconds.

    Methods raise OSError from the medium and trio.TooSlowError at the deadline.
    """

    def __init__(
        self, tree: Expandable, deadline: float, most_kept: int = MOST_KEPT
    ) -> None:
        self.root = tree.root
        self._tree = tree
        self._deadline = deadline
        self._index = trio.CapacityLimiter(_INDEX_THREADS)
        self._medium = trio.CapacityLimiter(_MEDIUM_THREADS)
        self._buffer = memoryview(bytearray(_BUFFER))
        # How many nodes are in the listings that are kept, the oldest first.
        self._kept: dict[Folder, int] = {}
        self._count = 0
        self._most_kept = most_kept
        self._expanding: dict[Folder, _Expansion] = {}

    async def listing(self, folder: Folder) -> Listing:
        """Return what is in *folder*, by name.

        It is computed once for all who ask meanwhile, and goes on if they give up: a
        folder that takes longer than the deadline is there when asked for again.
        """
        if folder.listing is not None:
            # The latest ones are kept longest.
            self._kept[folder] = self._kept.pop(folder, len(folder.listing))
            return folder.listing
        expansion = self._expanding.get(folder)
        if expansion is None:
            expansion = self._expanding[folder] = _Expansion()
            trio.lowlevel.spawn_system_task(self._expand, folder, expansion)
        with trio.fail_after(self._deadline):
            await expansion.done.wait()
        return expansion.result()

    async def _expand(self, folder: Folder, expansion: "_Expansion") -> None:
        try:
            expansion.listing = await self._in_thread(
                self._index, lambda: self._tree.expand(folder)
            )
            self._keep(folder, expansion.listing)
        except Exception as error:  # noqa: BLE001 - raised to those who wait
            expansion.error = error
        finally:
            del self._expanding[folder]
            expansion.done.set()

    def _keep(self, folder: Folder, listing: Listing) -> None:
        """Keep a listing, and give up the oldest ones if there are too many nodes."""
        self.forget(folder)
        folder.listing = listing
        self._kept[folder] = len(listing)
        self._count += len(listing)
        while self._count > self._most_kept and len(self._kept) > 1:
            self.forget(next(iter(self._kept)))

    def forget(self, folder: Folder) -> None:
        """Give up the listing of *folder*; it comes out the same when asked again."""
        folder.listing = None
        self._count -= self._kept.pop(folder, 0)

    async def open(self, file: File) -> Source:
        """Open *file* for reading."""
        if (source := file.open_cached()) is not None:
            return source
        opening = _Opening(file)
        try:
            with trio.fail_after(self._deadline):
                return await self._in_thread(self._medium, opening.run)
        except trio.TooSlowError:
            opening.give_up()
            raise

    async def read(self, source: Source, offset: int, size: int) -> bytes | memoryview:
        """Return the *size* bytes at *offset*, fewer only where the file ends.

        What is returned is to be used before anything is awaited: bytes that were in
        memory are in a buffer that the next read fills again.
        """
        if isinstance(source, FileSource) and size <= len(self._buffer):
            count = source.read_cached(offset, self._buffer[:size])
            if count is not None:
                return self._buffer[:count]
        with trio.fail_after(self._deadline):
            return await self._in_thread(
                self._medium, lambda: source.read_at(offset, size)
            )

    async def _in_thread(
        self, limiter: trio.CapacityLimiter, work: Callable[[], _T]
    ) -> _T:
        # A thread that hangs in the medium cannot be stopped, only left behind.
        return await trio.to_thread.run_sync(
            work, abandon_on_cancel=True, limiter=limiter
        )


class _Expansion:
    """A listing that is being computed, for all who wait for it."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.listing: Listing = {}
        self.error: Exception | None = None

    def result(self) -> Listing:
        """Return the listing, or raise what kept it from being computed."""
        if self.error is not None:
            raise self.error
        return self.listing


class _Opening:
    """Opens a file in a thread, and closes it again if nobody waits for it any more."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._given_up = False
        self._source: Source | None = None

    def run(self) -> Source:
        """Open the file; for the thread."""
        source = self._file.open()
        with self._lock:
            self._source = source
            if self._given_up:
                source.close()
        return source

    def give_up(self) -> None:
        """Close the file, now or when it is opened at last."""
        with self._lock:
            self._given_up = True
            if self._source is not None:
                self._source.close()
