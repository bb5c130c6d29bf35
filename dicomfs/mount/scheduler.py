"""Asking the tree: blocking work goes to threads, within a deadline.

The event loop answers what is in memory. Whatever may wait for the medium runs in a
thread, of which listing, reading and closing have their own, so that reads of one bad
file cannot take the threads that list folders. Threads that hang make room for others,
and a request that is not done by its deadline fails alone.
"""

import threading
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final, Protocol, TypeVar
from weakref import WeakKeyDictionary

import trio

from dicomfs.mount.threads import Threads
from dicomfs.source.source import Source
from dicomfs.tree.node import FileNode, FolderNode, Node

_A = TypeVar("_A")

Children = Mapping[str, Node]

# How many work at a time, and how many threads there may be with those that hang. A
# drive serves one after the other, and its kernel sorts what waits; others do more.
_INDEX_THREADS: Final = (4, 16)
_MEDIUM_THREADS: Final = (8, 72)
_CLOSING_THREADS: Final = (2, 8)
_OWN_THREADS: Final = (2, 4)
_CHECKING_THREADS: Final = (1, 1)
# The check of links that nobody waits for lets the first listing pass, for so long.
_FIRST_LOOK: Final = 0.2
# Who waits longer for others to read the same file goes ahead: they hang.
_PATIENCE: Final = 0.5
# The kernel asks for at most 256 pages at a time.
_BUFFER: Final = 1024 * 1024


class Upkeep(Protocol):
    """What is done in the background for the nodes; see ``tree.listings``."""

    on_change: Callable[[FolderNode, Collection[str]], None]

    @property
    def is_stale(self) -> bool:
        """Whether there is something to ``refresh``."""
        ...

    def refresh(self) -> None:
        """Compute anew what is kept."""
        ...

    def begin(self) -> bool:
        """Say that ``settle`` is about to be called; return whether the root waits."""
        ...

    def settle(self) -> None:
        """Check all links, and refresh."""
        ...


class Scheduler:
    """Asks nodes below *root* for what they have, each time within *deadline* seconds.

    Methods raise OSError from the medium and trio.TooSlowError at the deadline.
    """

    def __init__(self, root: FolderNode, upkeep: Upkeep, deadline: float) -> None:
        self.root = root
        self._upkeep = upkeep
        self._deadline = deadline
        self._index = Threads(*_INDEX_THREADS)
        self._medium = Threads(*_MEDIUM_THREADS)
        self._closing = Threads(*_CLOSING_THREADS)
        self._own = Threads(*_OWN_THREADS)
        self._checking = Threads(*_CHECKING_THREADS)
        self._buffer = memoryview(bytearray(_BUFFER))
        self._listing: dict[FolderNode, _Listing] = {}
        # Whose turn it is to read an open file.
        self._turns: WeakKeyDictionary[Source, trio.StrictFIFOLock] = (
            WeakKeyDictionary()
        )
        # Files whose opening took too long, by their inode numbers.
        self._late: dict[int, _Opening] = {}
        self._refreshing = trio.Lock()
        # Whether anything was listed yet: the root, as it is all that the kernel knows.
        self._is_listed = trio.Event()
        # Told of a folder and the names that are there no more, or only now.
        self.on_change: Callable[[FolderNode, Collection[str]], None] = _tell_nobody
        upkeep.on_change = self._tell

    # -- folders -----------------------------------------------------------------------

    async def lookup(self, folder: FolderNode, name: str) -> Node | None:
        """Return the child of *folder* called *name*, None if there is none."""
        if (node := folder.hidden.get(name)) is not None:
            return node
        node = (await self.children(folder)).get(name)
        if node is None and folder.is_searched:
            return await self.read_records(lambda: folder.lookup(name))
        return node

    async def children(self, folder: FolderNode) -> Children:
        """Return what is in *folder*, by name.

        It is computed once for all who ask meanwhile, and goes on if they give up: a
        folder that takes longer than the deadline is there when asked for again.
        """
        if (kept := folder.children_cached()) is not None:
            return kept
        listing = self._listing.get(folder)
        if listing is None:
            listing = self._listing[folder] = _Listing()
            trio.lowlevel.spawn_system_task(self._list, folder, listing)
        with trio.fail_after(self._deadline):
            await listing.done.wait()
        return listing.result()

    async def _list(self, folder: FolderNode, listing: "_Listing") -> None:
        try:
            listing.children = await self._index.run(folder.children)
        except Exception as error:  # noqa: BLE001 - raised to those who wait
            listing.error = error
        finally:
            del self._listing[folder]
            listing.done.set()
            self._is_listed.set()
        await self._keep_up()

    async def read_records(self, work: Callable[[], _A]) -> _A:
        """Return what *work* does, which reads directory records."""
        with trio.fail_after(self._deadline):
            return await self._index.run(work)

    def check_links(self) -> None:
        """Have the links between all records checked from now on, in the background.

        Folders wait for it, so it is to be said before they are asked for.
        """
        is_awaited = self._upkeep.begin()
        trio.lowlevel.spawn_system_task(self._check_links, is_awaited)

    async def _check_links(self, is_awaited: bool) -> None:
        if not is_awaited:
            # Who mounts a medium looks at it at once, and that comes first.
            with trio.move_on_after(_FIRST_LOOK):
                await self._is_listed.wait()
        await self._checking.run(self._upkeep.settle)

    async def _keep_up(self) -> None:
        """Compute anew what is to be, unless that is being done."""
        async with self._refreshing:
            if self._upkeep.is_stale:
                await self._index.run(self._upkeep.refresh)

    def _tell(self, folder: FolderNode, names: Collection[str]) -> None:
        """Pass a change on to the event loop, from a thread.

        No request is being answered there at that moment: the kernel is not told that
        a name is gone before it gets an older answer that has it.
        """
        trio.from_thread.run_sync(self.on_change, folder, names)

    # -- files -------------------------------------------------------------------------

    async def size(self, file: FileNode) -> int:
        """Return how many bytes *file* has, which is not fixed, by now."""
        with trio.fail_after(self._deadline):
            return await self._own.run(lambda: file.size)

    async def open(self, file: FileNode) -> Source:
        """Open *file* for reading; fails at once while opening it hangs already."""
        if (source := file.open_cached()) is not None:
            return source
        late = self._late.get(file.inode)
        if late is not None and late.is_running:
            raise trio.TooSlowError
        opening = _Opening(file)
        # What is not fixed waits for no medium, or it is one file of all that does.
        threads = self._medium if file.is_fixed else self._own
        try:
            with trio.fail_after(self._deadline):
                return await threads.run(opening.run)
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


class _Listing:
    """A folder that is being listed, for all who wait for it."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.children: Children = {}
        self.error: Exception | None = None

    def result(self) -> Children:
        """Return what is in the folder, or raise what kept it from being listed."""
        if self.error is not None:
            raise self.error
        return self.children


class _Opening:
    """Opens a file in a thread, and closes it again if nobody waits for it any more."""

    def __init__(self, file: FileNode) -> None:
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


def _tell_nobody(folder: FolderNode, names: Collection[str]) -> None:
    """Hear of a change, and do nothing."""
