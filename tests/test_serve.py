"""Serving: threads, deadlines, and nobody who waits for somebody else's trouble."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

import pytest
import trio
import trio.testing

from dicomfs.fileset import FileSet
from dicomfs.media.medium import Path as Place
from dicomfs.node import File, Folder, Listing
from dicomfs.record import Level
from dicomfs.serve import Server
from dicomfs.source import BytesSource, FileSource, Source

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
        self.root = a_folder("root")
        self.gates = gates
        self.failure: Exception | None = None
        self.threads: set[int] = set()

    def expand(self, folder: Folder) -> Listing:
        """Pass the gate, and return a listing that is new each time."""
        self.threads.add(threading.get_ident())
        self.gates[folder.name].passed()
        if self.failure is not None:
            raise self.failure
        return {"below": a_folder("below")}


def a_folder(name: str) -> Folder:
    return Folder(1, name, None, 0, Level.OTHER, [])


class GatedSource(BytesSource):
    """Bytes that can be made to hang."""

    def __init__(self, data: bytes, gate: Gate) -> None:
        super().__init__(data)
        self.gate = gate

    def read_at(self, offset: int, size: int) -> bytes:
        """Pass the gate, and return the bytes."""
        self.gate.passed()
        return super().read_at(offset, size)


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


def a_file(gate: Gate, error: int = 0) -> File:
    file_set = cast(FileSet, FakeFileSet(gate))
    return File(2, "0001.dcm", a_folder("series"), 0, file_set, (b"ONE",), 3, error)


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
def server(tree: FakeTree) -> Server:
    return Server(tree, DEADLINE)


async def until_visited(gate: Gate, times: int = 1) -> None:
    """Wait until so many threads have come to *gate*."""
    with trio.fail_after(10):
        while gate.visits < times:  # noqa: ASYNC110 - a thread counts them
            await trio.sleep(0.001)


# -- listing ---------------------------------------------------------------------------


async def test_a_folder_is_listed_once(server: Server, fast: Gate) -> None:
    folder = a_folder("fast")

    first = await server.listing(folder)
    second = await server.listing(folder)

    assert first is second
    assert fast.visits == 1


async def test_a_folder_is_listed_away_from_the_event_loop(
    server: Server, tree: FakeTree
) -> None:
    await server.listing(a_folder("fast"))

    assert threading.get_ident() not in tree.threads


async def test_many_who_ask_at_once_share_one_listing(
    server: Server, slow: Gate
) -> None:
    folder = a_folder("slow")
    answers: list[Listing] = []

    async def ask() -> None:
        answers.append(await server.listing(folder))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(ask)
        await until_visited(slow)
        await trio.testing.wait_all_tasks_blocked()
        slow.lift()

    assert slow.visits == 1
    assert len(answers) == 20
    assert all(answer is answers[0] for answer in answers)


async def test_a_forgotten_folder_is_listed_anew(server: Server, fast: Gate) -> None:
    folder = a_folder("fast")
    await server.listing(folder)

    server.forget(folder)
    await server.listing(folder)

    assert fast.visits == 2


async def test_a_folder_that_takes_longer_than_the_deadline_is_listed_in_the_end(
    server: Server, slow: Gate, mock_clock: trio.testing.MockClock
) -> None:
    folder = a_folder("slow")
    for _ in range(6):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(too_slow, server, folder)
            while slow.visits == 0:
                await trio.lowlevel.checkpoint()
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(DEADLINE + 1)
    slow.lift()

    assert list(await server.listing(folder)) == ["below"]
    assert slow.visits == 1


async def test_only_so_many_listings_are_kept() -> None:
    tree = FakeTree({str(number): Gate() for number in range(9)})
    server = Server(tree, DEADLINE, most_kept=3)
    several = [a_folder(str(number)) for number in range(9)]

    for folder in several:
        await server.listing(folder)

    assert [folder.listing is None for folder in several] == [True] * 6 + [False] * 3


async def test_forgetting_while_others_wait_leaves_none_without_an_answer(
    server: Server, slow: Gate
) -> None:
    folder = a_folder("slow")
    answers: list[Listing] = []

    async def ask_and_forget() -> None:
        answers.append(await server.listing(folder))
        server.forget(folder)

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask_and_forget)
        await until_visited(slow)
        slow.lift()

    assert [list(answer) for answer in answers] == [["below"]] * 5


async def test_a_listing_that_failed_is_tried_again(
    server: Server, tree: FakeTree
) -> None:
    folder = a_folder("fast")
    tree.failure = OSError(errno.EIO, "bad sector")
    with pytest.raises(OSError, match="bad sector"):
        await server.listing(folder)

    tree.failure = None

    assert list(await server.listing(folder)) == ["below"]


# -- deadlines -------------------------------------------------------------------------


async def test_a_listing_that_hangs_fails_at_its_deadline(
    server: Server, autojump_clock: trio.testing.MockClock
) -> None:
    began = autojump_clock.current_time()

    with pytest.raises(trio.TooSlowError):
        await server.listing(a_folder("slow"))

    assert autojump_clock.current_time() - began == pytest.approx(DEADLINE)


async def test_those_who_wait_for_a_listing_that_hangs_fail_at_their_deadline(
    server: Server, autojump_clock: trio.testing.MockClock
) -> None:
    folder = a_folder("slow")
    ended: list[float] = []

    async def ask(delay: float) -> None:
        await trio.sleep(delay)
        began = autojump_clock.current_time()
        with pytest.raises(trio.TooSlowError):
            await server.listing(folder)
        ended.append(autojump_clock.current_time() - began)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, 0)
        nursery.start_soon(ask, 10)

    assert ended == [pytest.approx(DEADLINE), pytest.approx(DEADLINE)]


async def test_a_listing_that_hung_is_there_when_asked_again(
    server: Server, slow: Gate, mock_clock: trio.testing.MockClock
) -> None:
    folder = a_folder("slow")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(too_slow, server, folder)
        while slow.visits == 0:
            await trio.lowlevel.checkpoint()
        mock_clock.jump(DEADLINE + 1)

    slow.lift()

    assert list(await server.listing(folder)) == ["below"]


async def too_slow(server: Server, folder: Folder) -> None:
    with pytest.raises(trio.TooSlowError):
        await server.listing(folder)


async def test_an_open_that_hangs_fails_at_its_deadline(
    server: Server,
    slow: Gate,
    autojump_clock: trio.testing.MockClock,
) -> None:
    began = autojump_clock.current_time()

    with pytest.raises(trio.TooSlowError):
        await server.open(a_file(slow))

    assert autojump_clock.current_time() - began == pytest.approx(DEADLINE)


async def test_a_file_that_is_opened_too_late_is_closed_again(
    server: Server, slow: Gate, mock_clock: trio.testing.MockClock
) -> None:
    file = a_file(slow)
    medium = cast(FakeMedium, file.file_set.medium)

    async def too_slow_to_open() -> None:
        with pytest.raises(trio.TooSlowError):
            await server.open(file)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(too_slow_to_open)
        while slow.visits == 0:
            await trio.lowlevel.checkpoint()
        mock_clock.jump(DEADLINE + 1)
    slow.lift()
    while not medium.opened or not medium.opened[0].closed:
        await trio.lowlevel.checkpoint()

    assert [source.closed for source in medium.opened] == [True]


async def test_a_read_that_hangs_fails_at_its_deadline(
    server: Server,
    slow: Gate,
    autojump_clock: trio.testing.MockClock,
) -> None:
    began = autojump_clock.current_time()

    with pytest.raises(trio.TooSlowError):
        await server.read(GatedSource(b"abc", slow), 0, 3)

    assert autojump_clock.current_time() - began == pytest.approx(DEADLINE)


# -- others are served meanwhile -------------------------------------------------------


async def test_a_folder_that_hangs_keeps_no_other_from_being_listed(
    server: Server, slow: Gate
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.listing, a_folder("slow"))
        await until_visited(slow)
        listed = await server.listing(a_folder("fast"))
        nursery.cancel_scope.cancel()

    assert list(listed) == ["below"]


async def test_listings_that_hang_keep_nobody_from_reading(
    server: Server, slow: Gate, fast: Gate
) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(server.listing, a_folder("slow"))
        await until_visited(slow)
        opened = await server.open(a_file(fast))
        data = await server.read(GatedSource(b"abc", fast), 0, 3)
        nursery.cancel_scope.cancel()

    assert opened.read_at(0, 3) == b"ONE"
    assert data == b"abc"


async def test_reads_that_hang_keep_nobody_from_listing(
    server: Server, slow: Gate
) -> None:
    hanging = GatedSource(b"abc", slow)
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(server.read, hanging, 0, 3)
        await until_visited(slow)
        listed = await server.listing(a_folder("fast"))
        nursery.cancel_scope.cancel()

    assert list(listed) == ["below"]


async def test_a_file_that_hangs_keeps_no_other_from_being_read(
    server: Server, slow: Gate, fast: Gate
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.read, GatedSource(b"abc", slow), 0, 3)
        await until_visited(slow)
        data = await server.read(GatedSource(b"xyz", fast), 1, 2)
        nursery.cancel_scope.cancel()

    assert data == b"yz"


# -- reading ---------------------------------------------------------------------------


async def test_a_file_is_opened_on_its_medium(server: Server, fast: Gate) -> None:
    opened = await server.open(a_file(fast))

    assert opened.read_at(0, 10) == b"ONE"


async def test_a_missing_file_is_not_looked_for(server: Server, fast: Gate) -> None:
    with pytest.raises(FileNotFoundError):
        await server.open(a_file(fast, errno.ENOENT))

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
    server: Server, tmp_path: Path, offset: int, size: int, expected: bytes
) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    source = FileSource(os.open(tmp_path / "file", os.O_RDONLY))

    data = await server.read(source, offset, size)

    source.close()
    assert data == expected


async def test_a_failing_read_raises_what_the_medium_said(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(bytes(100_000))
    source = FileSource(os.open(tmp_path / "file", os.O_RDONLY))
    os.truncate(tmp_path / "file", 50_000)

    with pytest.raises(OSError, match="ended before") as caught:
        await server.read(source, 40_000, 20_000)

    source.close()
    assert caught.value.errno == errno.EIO
