"""Serving the tree: blocking work goes to threads, within a deadline.

The event loop answers what is in memory. Whatever may wait for the medium runs in a
thread, of which listing, reading and closing have their own, so that reads of one bad
file cannot take the threads that list folders. Threads that hang make room for others,
and a request that is not done by its deadline fails alone.
"""

import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final, Protocol, TypeVar
from weakref import WeakKeyDictionary

import trio

from dicomfs import logs
from dicomfs.errors import DicomfsError
from dicomfs.mount.threads import Threads
from dicomfs.source.source import Source
from dicomfs.tree.node import Instance, Listing, Selection, merged

log = logging.getLogger(__name__)

_T = TypeVar("_T")

# An index of so many records is looked through as a whole, in the background; a larger
# one only if a link fails.
_MOST_EXAMINED: Final = 200_000
# Who mounts a medium looks at it at once, and that comes first.
_FIRST_REQUESTS: Final = 1.0

# How many work at a time, and how many threads there may be with those that hang. A
# drive serves one after the other, and its kernel sorts what waits; others do more.
_INDEX_THREADS: Final = (4, 16)
_MEDIUM_THREADS: Final = (8, 72)
_CLOSING_THREADS: Final = (2, 8)
_OWN_THREADS: Final = (2, 4)
# Who waits longer for others to read the same file goes ahead: they hang.
_PATIENCE: Final = 0.5
# Nodes in listings that are kept; those that the kernel knows are kept besides.
MOST_KEPT: Final = 200_000
# The kernel asks for at most 256 pages at a time.
_BUFFER: Final = 1024 * 1024


class Expandable(Protocol):
    """The slice of the tree that serving needs."""

    root: Selection

    @property
    def revision(self) -> int:
        """Counts up when folders have to be computed anew."""
        ...

    def expand(self, folder: Selection) -> Listing:
        """Compute what is in *folder*."""
        ...

    @property
    def is_behind(self) -> bool:
        """Whether there is an index to be looked through."""
        ...

    def examine_some(self, most: int) -> None:
        """Look through what ``is_behind``, up to *most* records."""
        ...


class Scheduler:
    """Lists folders and reads files of a tree; each request within *deadline* seconds.

    Methods raise OSError from the medium and trio.TooSlowError at the deadline.
    """

    def __init__(
        self, tree: Expandable, deadline: float, most_kept: int = MOST_KEPT
    ) -> None:
        self.root = tree.root
        self._tree = tree
        self._deadline = deadline
        self._index = Threads(*_INDEX_THREADS)
        self._medium = Threads(*_MEDIUM_THREADS)
        self._closing = Threads(*_CLOSING_THREADS)
        self._own = Threads(*_OWN_THREADS)
        self._buffer = memoryview(bytearray(_BUFFER))
        # How many nodes are in the listings that are kept, the oldest first.
        self._kept: dict[Selection, int] = {}
        self._count = 0
        self._most_kept = most_kept
        self._expanding: dict[Selection, _Expansion] = {}
        # Whose turn it is to read an open file.
        self._turns: WeakKeyDictionary[Source, trio.StrictFIFOLock] = (
            WeakKeyDictionary()
        )
        # Files whose opening took too long, by their inode numbers.
        self._late: dict[int, _Opening] = {}
        # Once the first requests are answered, unless it is being done.
        self._may_examine = False
        self._revision = tree.revision
        self._refreshing = trio.Lock()
        self._pinned: set[Selection] = set()
        # Told of a folder and a name in it that is there no more, or only now.
        self.on_change: Callable[[Selection, str], None] = lambda _folder, _name: None

    async def listing(self, folder: Selection) -> Listing:
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

    async def _expand(self, folder: Selection, expansion: "_Expansion") -> None:
        try:
            expansion.listing = await self._index.run(lambda: self._tree.expand(folder))
            self._keep(folder, expansion.listing)
        except Exception as error:  # noqa: BLE001 - raised to those who wait
            expansion.error = error
        finally:
            del self._expanding[folder]
            expansion.done.set()
        if self._revision != self._tree.revision:
            await self._refresh()
        await self._catch_up()

    async def examine(self) -> None:
        """Look whether the links between all records are sound, unless they are many.

        To be done once the mount answers, and has answered its first requests.
        """
        await trio.sleep(_FIRST_REQUESTS)
        self._may_examine = True
        await self._catch_up()

    async def _catch_up(self) -> None:
        """Look at all records of what was looked into, unless that is done already."""
        if not self._may_examine or not self._tree.is_behind:
            return
        self._may_examine = False
        try:
            await self._index.run(lambda: self._tree.examine_some(_MOST_EXAMINED))
        except (OSError, DicomfsError) as error:
            log.warning("the index cannot be looked through: %s", type(error).__name__)
        except Exception as error:  # noqa: BLE001 - the mount goes on without
            logs.unforeseen(log, "looking through the index", error)
        finally:
            self._may_examine = True
        await self._refresh()

    async def compute(self, work: Callable[[], _T]) -> _T:
        """Do *work*, which asks nothing of the medium, in a thread."""
        with trio.fail_after(self._deadline):
            return await self._own.run(work)

    async def _refresh(self) -> None:
        """Compute the listings that are kept anew, if links turned out to be wrong.

        What is in them keeps its name; what belongs elsewhere goes, and what was found
        comes.
        """
        async with self._refreshing:
            while self._revision != self._tree.revision:
                self._revision = self._tree.revision
                # From the root down: a folder learns from above what it consists of.
                for folder in sorted(self._kept, key=lambda each: len(each.path)):
                    await self._list_anew(folder)

    async def _list_anew(self, folder: Selection) -> None:
        if folder.listing is None:
            return
        try:
            new = await self._index.run(partial(self._tree.expand, folder))
        except (OSError, DicomfsError) as error:
            log.warning("a folder cannot be listed anew: %s", type(error).__name__)
            return
        except Exception as error:  # noqa: BLE001 - the mount goes on without
            logs.unforeseen(log, "listing a folder anew", error)
            return
        if (old := folder.listing) is not None:
            self._replace(folder, old, merged(old, new))

    def _replace(self, folder: Selection, old: Listing, new: Listing) -> None:
        # Computed anew it would come out with other names and numbers.
        self._pinned.add(folder)
        self._keep(folder, new)
        for name in old.keys() ^ new.keys():
            self.on_change(folder, name)

    def _keep(self, folder: Selection, listing: Listing) -> None:
        """Keep a listing, and give up the oldest ones if there are too many nodes."""
        self.forget(folder)
        folder.listing = listing
        self._kept[folder] = len(listing)
        self._count += len(listing)
        while self._count > self._most_kept:
            oldest = next((each for each in self._kept if self._is_loose(each)), folder)
            if oldest is folder:
                return
            self.forget(oldest)

    def _is_loose(self, folder: Selection) -> bool:
        return folder not in self._pinned

    def forget(self, folder: Selection) -> None:
        """Give up the listing of *folder*; it comes out the same when asked again."""
        folder.listing = None
        self._count -= self._kept.pop(folder, 0)

    async def open(self, file: Instance) -> Source:
        """Open *file* for reading; fails at once while opening it hangs already."""
        if (source := file.open_cached()) is not None:
            return source
        late = self._late.get(file.inode)
        if late is not None and late.is_running:
            raise trio.TooSlowError
        opening = _Opening(file)
        try:
            with trio.fail_after(self._deadline):
                return await self._medium.run(opening.run)
        except trio.TooSlowError:
            self._give_up(opening)
            raise

    def _give_up(self, opening: "_Opening") -> None:
        source = opening.give_up()
        if source is not None:
            self.close(source)
        still = [each for each in self._late.values() if each.is_running]
        self._late = {each.file.inode: each for each in (*still, opening)}

    def close(self, source: Source) -> None:
        """Close *source*; nobody waits for it."""
        if not source.is_prompt:
            # Network file systems and FUSE ask their server before they let go.
            trio.lowlevel.spawn_system_task(self._close, source)
        else:
            source.close()

    async def _close(self, source: Source) -> None:
        # The descriptor is given up whatever close(2) says.
        with suppress(OSError):
            await self._closing.run(source.close)

    async def read(self, source: Source, offset: int, size: int) -> bytes | memoryview:
        """Return the *size* bytes at *offset*, fewer only where the file ends.

        What is returned is to be used before anything is awaited: bytes that were in
        memory are in a buffer that the next read fills again.
        """
        if size <= len(self._buffer):
            count = source.read_cached(offset, self._buffer[:size])
            if count is not None:
                return self._buffer[:count]
        reading = _Reading(source, offset, size)
        try:
            with trio.fail_after(self._deadline):
                async with self._turn(source):
                    return await self._medium.run(reading.run)
        except trio.TooSlowError:
            reading.give_up()
            raise

    @asynccontextmanager
    async def _turn(self, source: Source) -> AsyncIterator[None]:
        """Wait for those who came before to read the same file, unless they hang.

        The kernel reads ahead by several requests at once.
        """
        if not source.in_turn:
            yield
            return
        lock = self._turns.setdefault(source, trio.StrictFIFOLock())
        with trio.move_on_after(_PATIENCE) as waiting:
            await lock.acquire()
        try:
            yield
        finally:
            if not waiting.cancelled_caught:
                lock.release()


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

    def __init__(self, file: Instance) -> None:
        self.file = file
        self.is_running = False
        self._lock = threading.Lock()
        self._given_up = False
        self._source: Source | None = None

    def run(self) -> Source:
        """Open the file; for the thread."""
        self.is_running = True
        try:
            source = self.file.open()
            with self._lock:
                self._source = source
                is_late = self._given_up
        finally:
            self.is_running = False
        if is_late:
            source.close()
        return source

    def give_up(self) -> Source | None:
        """Have the file closed when it is opened at last; return it if it is already."""
        with self._lock:
            self._given_up = True
            return self._source


class _Reading:
    """Reads bytes in a thread; while it hangs, nobody else is sent after them."""

    def __init__(self, source: Source, offset: int, size: int) -> None:
        self._source = source
        self._place = offset, size
        self._lock = threading.Lock()
        self._is_running = False
        self._given_up = False

    def run(self) -> bytes:
        """Read the bytes; for the thread."""
        self._is_running = True
        try:
            return self._source.read_at(*self._place)
        finally:
            with self._lock:
                self._is_running = False
                if self._given_up:
                    self._source.hangs_no_more(*self._place)

    def give_up(self) -> None:
        """Let others who ask for the bytes have an error at once as long as it hangs."""
        with self._lock:
            if self._is_running:
                self._given_up = True
                self._source.hangs(*self._place)
