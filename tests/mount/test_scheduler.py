"""Serving: threads, deadlines, and nobody who waits for somebody else's trouble."""

import errno
import os
import threading
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final, cast

import pytest
import trio
import trio.testing

from dicomfs.dicom.types import Level
from dicomfs.fileset.fileset import FileSet
from dicomfs.media.medium import Place
from dicomfs.mount.scheduler import Scheduler
from dicomfs.source.file import FileSource
from dicomfs.source.source import PAGE, BytesSource, Source
from dicomfs.tree.listings import Listings
from dicomfs.tree.node import FolderNode, Node, Rendered
from dicomfs.tree.selection import Instance, Listing, Selection

DEADLINE: Final = 30.0


# -- fakes -----------------------------------------------------------------------------


class Gate:
    """Holds threads that come by while it is shut, and counts who came."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()
        self.visits = 0

    def shut(self) -> None:
        """Hold whoever comes from now on."""
        self._open.clear()

    def lift(self) -> None:
        """Let everybody go."""
        self._open.set()

    def passed(self) -> None:
        """Count a visit, and wait until the gate is open."""
        self.visits += 1
        self._open.wait()


class FakeTree:
    """A root whose folders each have a gate of their own."""

    def __init__(self, gates: dict[str, Gate]) -> None:
        self.revision = 0
        # The check of links: it is this tree's own.
        self.completeness = self
        self.is_settled = True
        self.is_begun = False
        self.gates = gates
        self.failure: Exception | None = None
        self.threads: set[int] = set()
        self.listings = Listings(self)
        self.root = self.folder("root")

    def folder(self, name: str) -> Selection:
        """Return a folder that is behind the gate of that name."""
        return Selection(1, name, None, 0, Level.OTHER, [], self.listings)

    def expand(self, folder: Selection) -> Listing:
        """Pass the gate, and return a listing that is new each time."""
        self.threads.add(threading.get_ident())
        self.gates[folder.name].passed()
        if self.failure is not None:
            raise self.failure
        return {"below": self.folder("below")}

    def complete(self, folder: Selection) -> None:
        """Have nothing to wait for."""

    def begin(self) -> bool:
        """Remember it."""
        self.is_begun = True
        return False

    def settle_all(self) -> None:
        """Have nothing to do."""


class GatedSource(BytesSource):
    """Bytes that can be made to hang."""

    in_turn = True

    def __init__(self, data: bytes, gate: Gate) -> None:
        super().__init__(data)
        self.gate = gate

    def read_at(self, offset: int, size: int) -> bytes:
        """Pass the gate, and return the bytes."""
        self.gate.passed()
        return super().read_at(offset, size)

    def read_cached(self, offset: int, buffer: memoryview) -> int | None:  # noqa: ARG002 - Source's
        """Have nothing in memory."""
        return None


class ClosingSource(BytesSource):
    """Bytes that know whether they were closed."""

    closed = False

    def close(self) -> None:
        """Close them, once."""
        assert not self.closed
        self.closed = True


class FakeMedium:
    """A medium whose every file is behind a gate."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.opened: list[ClosingSource] = []

    def open_cached(self, path: Place) -> None:
        """Say that the medium has to be asked."""
        del path

    def open(self, path: Place) -> Source:
        """Pass the gate, and open the file."""
        self.gate.passed()
        source = ClosingSource(b"".join(path))
        self.opened.append(source)
        return source


class FakeFileSet:
    """A File-set on that medium."""

    def __init__(self, gate: Gate) -> None:
        self.medium = FakeMedium(gate)


def a_file(gate: Gate, error: int = 0) -> Instance:
    return Instance(
        inode=2,
        name="0001.dcm",
        parent=FakeTree({}).folder("series"),
        mtime_ns=0,
        file_set=cast(FileSet, FakeFileSet(gate)),
        offset=1,
        place=(b"ONE",),
        size=3,
        error=error,
        reason="",
    )


@pytest.fixture
def slow() -> Iterator[Gate]:
    """Return a gate that is shut, and lifted in the end: the threads have to end."""
    gate = Gate()
    gate.shut()
    yield gate
    gate.lift()


@pytest.fixture
def fast() -> Gate:
    return Gate()


@pytest.fixture
def tree(slow: Gate, fast: Gate) -> FakeTree:
    return FakeTree({"slow": slow, "fast": fast})


@pytest.fixture
def scheduler(tree: FakeTree) -> Scheduler:
    return scheduler_of(tree)


def scheduler_of(tree: FakeTree) -> Scheduler:
    return Scheduler(tree.root, tree.listings, DEADLINE)


async def until_visited(gate: Gate, times: int = 1) -> None:
    """Wait until so many threads have come to *gate*."""
    with trio.fail_after(10):
        while gate.visits < times:  # noqa: ASYNC110 - a thread counts them
            await trio.sleep(0.001)


# -- listing ---------------------------------------------------------------------------


async def test_a_folder_is_listed_once(
    tree: FakeTree, scheduler: Scheduler, fast: Gate
) -> None:
    folder = tree.folder("fast")

    first = await scheduler.children(folder)
    second = await scheduler.children(folder)

    assert first is second
    assert fast.visits == 1


async def test_a_folder_is_listed_away_from_the_event_loop(
    scheduler: Scheduler, tree: FakeTree
) -> None:
    await scheduler.children(tree.folder("fast"))

    assert threading.get_ident() not in tree.threads


async def test_many_who_ask_at_once_share_one_listing(
    tree: FakeTree, scheduler: Scheduler, slow: Gate
) -> None:
    folder = tree.folder("slow")
    answers: list[Mapping[str, Node]] = []

    async def ask() -> None:
        answers.append(await scheduler.children(folder))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(ask)
        await until_visited(slow)
        await trio.testing.wait_all_tasks_blocked()
        slow.lift()

    assert slow.visits == 1
    assert len(answers) == 20
    assert all(answer is answers[0] for answer in answers)


async def test_a_forgotten_folder_is_listed_anew(
    tree: FakeTree, scheduler: Scheduler, fast: Gate
) -> None:
    folder = tree.folder("fast")
    await scheduler.children(folder)

    folder.forget()
    await scheduler.children(folder)

    assert fast.visits == 2


async def test_a_folder_that_takes_longer_than_the_deadline_is_listed_in_the_end(
    tree: FakeTree, scheduler: Scheduler, slow: Gate, mock_clock: trio.testing.MockClock
) -> None:
    folder = tree.folder("slow")
    for _ in range(6):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(too_slow, scheduler, folder)
            while slow.visits == 0:
                await trio.lowlevel.checkpoint()
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(DEADLINE + 1)
    slow.lift()

    assert list(await scheduler.children(folder)) == ["below"]
    assert slow.visits == 1


async def test_forgetting_while_others_wait_leaves_none_without_an_answer(
    tree: FakeTree, scheduler: Scheduler, slow: Gate
) -> None:
    folder = tree.folder("slow")
    answers: list[Mapping[str, Node]] = []

    async def ask_and_forget() -> None:
        answers.append(await scheduler.children(folder))
        folder.forget()

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask_and_forget)
        await until_visited(slow)
        slow.lift()

    assert [list(answer) for answer in answers] == [["below"]] * 5


async def test_a_listing_that_failed_is_tried_again(
    scheduler: Scheduler, tree: FakeTree
) -> None:
    folder = tree.folder("fast")
    tree.failure = OSError(errno.EIO, "bad sector")
    with pytest.raises(OSError, match="bad sector"):
        await scheduler.children(folder)

    tree.failure = None

    assert list(await scheduler.children(folder)) == ["below"]


# -- deadlines -------------------------------------------------------------------------


async def test_a_listing_that_hangs_fails_at_its_deadline(
    tree: FakeTree, scheduler: Scheduler, autojump_clock: trio.testing.MockClock
) -> None:
    began = autojump_clock.current_time()

    with pytest.raises(trio.TooSlowError):
        await scheduler.children(tree.folder("slow"))

    assert autojump_clock.current_time() - began == pytest.approx(DEADLINE)


async def test_those_who_wait_for_a_listing_that_hangs_fail_at_their_deadline(
    tree: FakeTree, scheduler: Scheduler, autojump_clock: trio.testing.MockClock
) -> None:
    folder = tree.folder("slow")
    ended: list[float] = []

    async def ask(delay: float) -> None:
        await trio.sleep(delay)
        began = autojump_clock.current_time()
        with pytest.raises(trio.TooSlowError):
            await scheduler.children(folder)
        ended.append(autojump_clock.current_time() - began)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, 0)
        nursery.start_soon(ask, 10)

    assert ended == [pytest.approx(DEADLINE), pytest.approx(DEADLINE)]


async def test_a_listing_that_hung_is_there_when_asked_again(
    tree: FakeTree, scheduler: Scheduler, slow: Gate, mock_clock: trio.testing.MockClock
) -> None:
    folder = tree.folder("slow")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(too_slow, scheduler, folder)
        while slow.visits == 0:
            await trio.lowlevel.checkpoint()
        mock_clock.jump(DEADLINE + 1)

    slow.lift()

    assert list(await scheduler.children(folder)) == ["below"]


async def too_slow(scheduler: Scheduler, folder: Selection) -> None:
    with pytest.raises(trio.TooSlowError):
        await scheduler.children(folder)


async def test_an_open_that_hangs_fails_at_its_deadline(
    scheduler: Scheduler,
    slow: Gate,
    autojump_clock: trio.testing.MockClock,
) -> None:
    began = autojump_clock.current_time()

    with pytest.raises(trio.TooSlowError):
        await scheduler.open(a_file(slow))

    assert autojump_clock.current_time() - began == pytest.approx(DEADLINE)


async def test_a_file_that_is_opened_too_late_is_closed_again(
    scheduler: Scheduler, slow: Gate, mock_clock: trio.testing.MockClock
) -> None:
    file = a_file(slow)
    medium = cast(FakeMedium, file.file_set.medium)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(too_slow_to_open, scheduler, file)
        while slow.visits == 0:
            await trio.lowlevel.checkpoint()
        mock_clock.jump(DEADLINE + 1)
    slow.lift()
    while not medium.opened or not medium.opened[0].closed:
        await trio.lowlevel.checkpoint()

    assert [source.closed for source in medium.opened] == [True]


async def test_a_read_that_hangs_fails_at_its_deadline(
    scheduler: Scheduler,
    slow: Gate,
    autojump_clock: trio.testing.MockClock,
) -> None:
    began = autojump_clock.current_time()

    with pytest.raises(trio.TooSlowError):
        await scheduler.read(GatedSource(b"abc", slow), 0, 3)

    assert autojump_clock.current_time() - began == pytest.approx(DEADLINE)


# -- others are served meanwhile -------------------------------------------------------


async def test_a_folder_that_hangs_keeps_no_other_from_being_listed(
    tree: FakeTree, scheduler: Scheduler, slow: Gate
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scheduler.children, tree.folder("slow"))
        await until_visited(slow)
        listed = await scheduler.children(tree.folder("fast"))
        nursery.cancel_scope.cancel()

    assert list(listed) == ["below"]


async def test_listings_that_hang_keep_nobody_from_reading(
    tree: FakeTree, scheduler: Scheduler, slow: Gate, fast: Gate
) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(scheduler.children, tree.folder("slow"))
        await until_visited(slow)
        opened = await scheduler.open(a_file(fast))
        data = await scheduler.read(GatedSource(b"abc", fast), 0, 3)
        nursery.cancel_scope.cancel()

    assert opened.read_at(0, 3) == b"ONE"
    assert data == b"abc"


async def test_reads_that_hang_keep_nobody_from_listing(
    tree: FakeTree, scheduler: Scheduler, slow: Gate
) -> None:
    hanging = GatedSource(b"abc", slow)
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(scheduler.read, hanging, 0, 3)
        await until_visited(slow)
        listed = await scheduler.children(tree.folder("fast"))
        nursery.cancel_scope.cancel()

    assert list(listed) == ["below"]


async def test_a_file_that_hangs_keeps_no_other_from_being_read(
    scheduler: Scheduler, slow: Gate, fast: Gate
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scheduler.read, GatedSource(b"abc", slow), 0, 3)
        await until_visited(slow)
        data = await scheduler.read(GatedSource(b"xyz", fast), 1, 2)
        nursery.cancel_scope.cancel()

    assert data == b"yz"


# -- threads that hang -----------------------------------------------------------------


async def test_reads_that_hang_make_room_for_others(
    scheduler: Scheduler, slow: Gate, fast: Gate
) -> None:
    hanging = GatedSource(b"abc", slow)
    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(scheduler.read, hanging, 0, 3)
        await until_visited(slow, 8)
        data = await scheduler.read(GatedSource(b"xyz", fast), 0, 3)
        visits = slow.visits
        nursery.cancel_scope.cancel()

    assert data == b"xyz"
    # Those who came first were let through first.
    assert visits == 50


async def test_listings_that_hang_make_room_for_others(
    tree: FakeTree, scheduler: Scheduler, slow: Gate
) -> None:
    names = [str(number) for number in range(8)]
    tree.gates |= dict.fromkeys(names, slow)
    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(scheduler.children, tree.folder(name))
        await until_visited(slow, 4)
        listed = await scheduler.children(tree.folder("fast"))
        nursery.cancel_scope.cancel()

    assert list(listed) == ["below"]


async def test_reads_that_are_only_slow_wait_for_each_other(
    scheduler: Scheduler, slow: Gate
) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(scheduler.read, GatedSource(b"abc", slow), 0, 3)
        await until_visited(slow, 8)
        await trio.testing.wait_all_tasks_blocked()
        at_once = slow.visits
        slow.lift()

    assert at_once == 8
    assert slow.visits == 20


async def test_reads_of_one_file_go_to_the_medium_one_after_the_other(
    scheduler: Scheduler, slow: Gate, mock_clock: trio.testing.MockClock
) -> None:
    del mock_clock  # Nobody is taken to hang, however long it takes.
    source = GatedSource(b"abc", slow)
    async with trio.open_nursery() as nursery:
        for offset in range(3):
            nursery.start_soon(scheduler.read, source, offset, 1)
        while slow.visits == 0:
            await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
        at_once = slow.visits
        slow.lift()

    assert at_once == 1
    assert slow.visits == 3


async def test_a_read_that_hangs_holds_others_of_its_file_up_for_a_moment_only(
    scheduler: Scheduler, slow: Gate, mock_clock: trio.testing.MockClock
) -> None:
    source = GatedSource(b"abc", slow)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scheduler.read, source, 0, 1)
        nursery.start_soon(scheduler.read, source, 1, 1)
        while slow.visits == 0:
            await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(1)
        while slow.visits == 1:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()

    assert slow.visits == 2


async def test_there_are_only_so_many_threads_however_many_hang(
    scheduler: Scheduler, slow: Gate, autojump_clock: trio.testing.MockClock
) -> None:
    hanging = GatedSource(b"abc", slow)
    began = autojump_clock.current_time()

    async def read() -> None:
        with pytest.raises(trio.TooSlowError):
            await scheduler.read(hanging, 0, 3)

    async with trio.open_nursery() as nursery:
        for _ in range(150):
            nursery.start_soon(read)

    assert slow.visits <= 72
    assert autojump_clock.current_time() - began == pytest.approx(DEADLINE)


@pytest.mark.slow
async def test_threads_that_hung_are_of_use_again_when_they_are_done(
    scheduler: Scheduler, slow: Gate
) -> None:
    hanging = GatedSource(b"abc", slow)
    for _ in range(2):
        slow.shut()
        visits = slow.visits
        async with trio.open_nursery() as nursery:
            for _ in range(72):
                nursery.start_soon(scheduler.read, hanging, 0, 3)
            await until_visited(slow, visits + 72)
            slow.lift()

    assert slow.visits == 2 * 72


async def test_nobody_is_sent_after_a_file_whose_opening_hangs(
    scheduler: Scheduler, slow: Gate, mock_clock: trio.testing.MockClock
) -> None:
    file = a_file(slow)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(too_slow_to_open, scheduler, file)
        while slow.visits == 0:
            await trio.lowlevel.checkpoint()
        mock_clock.jump(DEADLINE + 1)

    await too_slow_to_open(scheduler, file)
    visits = slow.visits
    slow.lift()
    with trio.fail_after(DEADLINE):
        while not await can_open(scheduler, file):
            await trio.lowlevel.checkpoint()

    assert visits == 1


async def too_slow_to_open(scheduler: Scheduler, file: Instance) -> None:
    with pytest.raises(trio.TooSlowError):
        await scheduler.open(file)


async def can_open(scheduler: Scheduler, file: Instance) -> bool:
    try:
        await scheduler.open(file)
    except trio.TooSlowError:
        return False
    return True


async def test_nobody_is_sent_after_bytes_that_hang(
    scheduler: Scheduler,
    tmp_path: Path,
    slow: Gate,
    monkeypatch: pytest.MonkeyPatch,
    mock_clock: trio.testing.MockClock,
) -> None:
    source, same = a_file_source(tmp_path, 3 * PAGE), a_file_source(tmp_path, 3 * PAGE)
    monkeypatch.setattr(FileSource, "read_cached", lambda *_: None)
    pread = os.pread

    def hang(fd: int, size: int, offset: int) -> bytes:
        if offset < PAGE:
            slow.passed()
        return pread(fd, size, offset)

    monkeypatch.setattr(os, "pread", hang)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(too_slow_to_read, scheduler, source)
        while slow.visits == 0:
            await trio.lowlevel.checkpoint()
        mock_clock.jump(DEADLINE + 1)

    with pytest.raises(OSError, match="failed there") as caught:
        await scheduler.read(same, 10, 10)
    behind = await scheduler.read(same, PAGE, PAGE)
    slow.lift()
    while not can_read(same):
        await trio.lowlevel.checkpoint()
    source.close()
    same.close()

    assert caught.value.errno == errno.EIO
    assert behind == bytes(PAGE)
    assert slow.visits == 2


async def too_slow_to_read(scheduler: Scheduler, source: Source) -> None:
    with pytest.raises(trio.TooSlowError):
        await scheduler.read(source, 0, 10)


def can_read(source: Source) -> bool:
    try:
        return source.read_at(0, 10) == bytes(10)
    except OSError:
        return False


def a_file_source(folder: Path, size: int) -> FileSource:
    if not (folder / "file").exists():
        (folder / "file").write_bytes(bytes(size))
    return FileSource(os.open(folder / "file", os.O_RDONLY))


# -- closing ---------------------------------------------------------------------------


async def test_a_file_whose_closing_may_hang_is_closed_away_from_the_event_loop(
    scheduler: Scheduler, tmp_path: Path, slow: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = a_file_source(tmp_path, 1)
    close = source.close

    def hang() -> None:
        slow.passed()
        close()

    monkeypatch.setattr(source, "close", hang)

    scheduler.close(source)
    await until_visited(slow)
    os.fstat(source.fd)
    slow.lift()

    assert await is_closed(source.fd)


async def test_a_file_of_the_kernel_s_own_file_systems_is_closed_at_once(
    scheduler: Scheduler, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    source = FileSource(os.open(tmp_path / "file", os.O_RDONLY), is_prompt=True)

    scheduler.close(source)

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(source.fd)


async def is_closed(fd: int) -> bool:
    with trio.move_on_after(10):
        while True:
            try:
                os.fstat(fd)
            except OSError:
                return True
            await trio.lowlevel.checkpoint()
    return False


# -- reading ---------------------------------------------------------------------------


async def test_a_file_is_opened_on_its_medium(scheduler: Scheduler, fast: Gate) -> None:
    opened = await scheduler.open(a_file(fast))

    assert opened.read_at(0, 10) == b"ONE"


async def test_a_missing_file_is_not_looked_for(
    scheduler: Scheduler, fast: Gate
) -> None:
    with pytest.raises(FileNotFoundError):
        await scheduler.open(a_file(fast, errno.ENOENT))

    assert fast.visits == 0


@pytest.mark.parametrize(
    ("offset", "size", "expected"),
    [
        (0, 10, b"0123456789"),
        (3, 4, b"3456"),
        (8, 5, b"89"),
        (10, 1, b""),
        (99, 9, b""),
    ],
    ids=["all", "the middle", "over the end", "at the end", "behind the end"],
)
async def test_a_file_is_read_at_an_offset(
    scheduler: Scheduler, tmp_path: Path, offset: int, size: int, expected: bytes
) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    source = FileSource(os.open(tmp_path / "file", os.O_RDONLY))

    data = await scheduler.read(source, offset, size)

    source.close()
    assert data == expected


async def test_a_failing_read_raises_what_the_medium_said(
    scheduler: Scheduler, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(bytes(100_000))
    source = FileSource(os.open(tmp_path / "file", os.O_RDONLY))
    os.truncate(tmp_path / "file", 50_000)

    with pytest.raises(OSError, match="ended before") as caught:
        await scheduler.read(source, 40_000, 20_000)

    source.close()
    assert caught.value.errno == errno.EIO


async def test_what_is_made_of_what_is_in_memory_waits_for_no_medium(
    tree: FakeTree, scheduler: Scheduler, slow: Gate
) -> None:
    threads: list[int] = []

    def render() -> bytes:
        threads.append(threading.get_ident())
        return b"made"

    file = Rendered(3, "report", tree.root, 0, render)
    async with trio.open_nursery() as nursery:
        for _ in range(80):
            nursery.start_soon(scheduler.read, GatedSource(b"abc", slow), 0, 3)
        await until_visited(slow, 8)
        size = await scheduler.size(file)
        opened = await scheduler.open(file)
        nursery.cancel_scope.cancel()

    assert size == 4
    assert opened.read_at(0, 9) == b"made"
    assert threading.get_ident() not in threads


async def test_a_child_is_looked_up_and_a_hidden_one_without_listing(
    tree: FakeTree, scheduler: Scheduler, fast: Gate
) -> None:
    folder, hidden = tree.folder("fast"), tree.folder("hidden")
    folder.hidden = {"hidden": hidden}

    found = await scheduler.lookup(folder, "hidden")
    visits = fast.visits
    below = await scheduler.lookup(folder, "below")

    assert found is hidden
    assert visits == 0
    assert below is folder.children()["below"]
    assert await scheduler.lookup(folder, "none") is None


# -- links that turn out to be wrong -----------------------------------------------------


class ChangingTree(FakeTree):
    """A root in which other things are found after its index was looked through."""

    def __init__(self) -> None:
        super().__init__({"root": Gate(), "check": Gate()})
        self.names = [["kept", "gone"], ["came", "kept"]]

    def expand(self, folder: Selection) -> Listing:
        """Return what is found by now."""
        del folder
        return {
            name: Selection(
                2 + len(name) + ord(name[0]),
                name,
                self.root,
                0,
                Level.OTHER,
                [],
                self.listings,
            )
            for name in self.names[self.revision]
        }

    def settle_all(self) -> None:
        """Find out that there are others."""
        self.gates["check"].passed()
        self.revision = 1


async def test_what_is_found_wrong_later_is_shown_and_the_kernel_is_told() -> None:
    tree = ChangingTree()
    scheduler = scheduler_of(tree)
    told: list[tuple[str, list[str], int]] = []
    heard = trio.Event()

    def hear(folder: FolderNode, names: Collection[str]) -> None:
        told.append((folder.name, sorted(names), threading.get_ident()))
        heard.set()

    scheduler.on_change = hear
    tree.gates["check"].shut()
    scheduler.check_links()
    was_begun = tree.is_begun
    # What can be listed meanwhile is not held up.
    before = await scheduler.children(tree.root)
    kept = before["kept"]

    tree.gates["check"].lift()
    with trio.fail_after(10):
        await heard.wait()

    after = await scheduler.children(tree.root)
    assert was_begun
    assert list(before) == ["kept", "gone"]
    assert list(after) == ["came", "kept"]
    assert after["kept"] is kept
    # The event loop tells it, between the answers that it gives.
    assert told == [("root", ["came", "gone"], threading.get_ident())]
