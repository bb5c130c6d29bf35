"""The handlers, called directly: no mount, no medium but in two of them."""

import copy
import errno
import functools
import logging
import os
import random
import stat
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import pyfuse3
import pytest
import trio
from pyfuse3 import (
    EntryAttributes,
    FileHandleT,
    FileNameT,
    FlagT,
    FUSEError,
    InodeT,
    ReaddirToken,
    RequestContext,
    XAttrNameT,
)

from dicomfs.errors import DirectoryError
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.findings import Finding, Findings, Kind
from dicomfs.media.folder import FolderMedium as Medium
from dicomfs.media.medium import Capacity
from dicomfs.mount import xattrs
from dicomfs.mount.entries import Ownership
from dicomfs.mount.fuse import Operations
from dicomfs.mount.scheduler import Scheduler
from dicomfs.source.source import BytesSource, Source
from dicomfs.tree import own
from dicomfs.tree.node import FileNode, FolderNode, Node
from dicomfs.tree.report import make
from dicomfs.tree.tree import Tree
from tests.build.medium import image, patient, series, study, write_medium
from tests.conftest import ExpectLog
from tests.support.nodes import GivenFile, GivenFolder

T = TypeVar("T")

CONTEXT: Final = RequestContext()
ROOT: Final = pyfuse3.ROOT_INODE
NOWHERE: Final = InodeT(999_999)
NO_HANDLE: Final = FileHandleT(999_999)
DAY: Final = 24 * 3600
SECRET: Final = "Doe^Jane 12345"  # what no log may show
BYTES: Final = random.Random(2).randbytes(100_000)


# -- fakes -----------------------------------------------------------------------------


def a_file(parent: FolderNode, inode: int, name: str, error: int = 0) -> GivenFile:
    reason = os.strerror(error) if error else ""
    data = b"" if error else BYTES
    return GivenFile(inode, name, parent, 5_000_000_000, data, error, reason)


def a_folder(parent: FolderNode | None, inode: int, name: str) -> GivenFolder:
    return GivenFolder(inode, name, parent, 7_000_000_001)


class FakeScheduler(Scheduler):
    """A patient with a study of two files, one of them missing, and three others."""

    def __init__(self) -> None:
        self.top = a_folder(None, ROOT, "")
        self.root = self.top
        self.patient = a_folder(self.root, 10, "Dôe, Jane (1)")
        self.study = a_folder(self.patient, 20, "2023-07-05 CT")
        self.good = a_file(self.study, 30, "0001.dcm")
        self.lost = a_file(self.study, 31, "0002.dcm", errno.ENOENT)
        others = [a_folder(self.root, 11 + n, f"Other {n}") for n in range(3)]
        self.top.entries = {each.name: each for each in (self.patient, *others)}
        self.patient.entries = {self.study.name: self.study}
        self.study.entries = {each.name: each for each in (self.good, self.lost)}
        self.source: Source = BytesSource(BYTES)
        self.forgotten: list[FolderNode] = []
        for each in (self.patient, self.study):
            each.on_forget = functools.partial(self.forgotten.append, each)

    async def children(self, folder: FolderNode) -> Mapping[str, Node]:
        """Return what is in *folder*."""
        return folder.children()

    async def size(self, file: FileNode) -> int:
        """Return the size at once."""
        return file.size

    async def open(self, file: FileNode) -> Source:
        """Open the one source there is, or what is no file of the medium."""
        if file.error:
            raise OSError(file.error, SECRET)
        return self.source if file.is_fixed else file.open()

    async def read(self, source: Source, offset: int, size: int) -> bytes:
        """Read at once."""
        return source.read_at(offset, size)


class Reply:
    """Stands for readdir_reply: a buffer that so many entries fit into."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.entries: list[tuple[bytes, EntryAttributes, int]] = []

    def __call__(
        self, token: object, name: FileNameT, entry: EntryAttributes, next_id: int
    ) -> bool:
        """Take an entry if there is room for it."""
        del token
        if len(self.entries) == self.room:
            return False
        self.entries.append((name, copy.copy(entry), next_id))
        return True


@pytest.fixture
def scheduler() -> FakeScheduler:
    return FakeScheduler()


def operations_of(scheduler: Scheduler) -> Operations:
    return Operations(scheduler, Ownership(1000, 1001, 0o077), Capacity(2048, 50))


@pytest.fixture
def operations(scheduler: FakeScheduler) -> Operations:
    return operations_of(scheduler)


async def find(operations: Operations, *names: str) -> EntryAttributes:
    """Look names up, each below the one before."""
    entry = await operations.getattr(ROOT, CONTEXT)
    for name in names:
        parent = InodeT(entry.st_ino)
        entry = await operations.lookup(parent, FileNameT(os.fsencode(name)), CONTEXT)
    return entry


async def find_good(operations: Operations) -> InodeT:
    """Look up the file that can be read."""
    return InodeT((await find(operations, *STUDY, "0001.dcm")).st_ino)


STUDY: Final = ("Dôe, Jane (1)", "2023-07-05 CT")


async def errno_of(answer: Awaitable[object]) -> str:
    """Return the name of the error that a handler answers with."""
    with pytest.raises(FUSEError) as caught:
        await answer
    return errno.errorcode[caught.value.errno]


# -- finding ---------------------------------------------------------------------------


async def test_a_name_is_found_with_its_attributes(operations: Operations) -> None:
    entry = await find(operations, *STUDY, "0001.dcm")

    assert entry.st_ino == 30
    assert entry.st_mode == stat.S_IFREG | 0o600
    assert (entry.st_uid, entry.st_gid) == (1000, 1001)
    assert entry.st_size == len(BYTES)
    assert entry.st_mtime_ns == 5_000_000_000
    assert entry.st_nlink == 1


async def test_a_folder_has_its_mode_and_time(operations: Operations) -> None:
    entry = await find(operations, STUDY[0])

    assert entry.st_mode == stat.S_IFDIR | 0o700
    assert entry.st_mtime_ns == 7_000_000_001


async def test_blocks_are_of_512_bytes_and_counted_up(operations: Operations) -> None:
    entry = await find(operations, *STUDY, "0001.dcm")

    assert entry.st_blocks == 196


@pytest.mark.parametrize(
    ("umask", "folder", "file"),
    [(0, 0o777, 0o666), (0o022, 0o755, 0o644), (0o777, 0, 0)],
    ids=["nothing taken away", "write of others", "everything"],
)
async def test_the_umask_takes_bits_away(
    scheduler: FakeScheduler, umask: int, folder: int, file: int
) -> None:
    operations = Operations(scheduler, Ownership(0, 0, umask), Capacity(512, 1))

    above = await find(operations, *STUDY)
    below = await find(operations, *STUDY, "0001.dcm")

    assert (above.st_mode & 0o7777, below.st_mode & 0o7777) == (folder, file)


async def test_the_kernel_may_keep_what_it_was_told(operations: Operations) -> None:
    entry = await find(operations, *STUDY, "0001.dcm")

    assert entry.entry_timeout >= DAY
    assert entry.attr_timeout >= DAY


async def test_a_name_that_is_not_there_is_kept_as_such(operations: Operations) -> None:
    entry = await find(operations, "autorun.inf")

    assert entry.st_ino == 0
    assert entry.entry_timeout >= DAY


@pytest.mark.parametrize(
    "name",
    [b"n" * 255, b"\xff\xfe", b"0001.DCM", "Do\u0302e, Jane (1)".encode(), b"..."],
    ids=["255 bytes", "no UTF-8", "other case", "decomposed", "three dots"],
)
async def test_a_name_matches_exactly_or_not_at_all(
    operations: Operations, name: bytes
) -> None:
    entry = await operations.lookup(ROOT, FileNameT(name), CONTEXT)

    assert entry.st_ino == 0


async def test_a_name_of_256_bytes_is_too_long(operations: Operations) -> None:
    looked_up = operations.lookup(ROOT, FileNameT(b"n" * 256), CONTEXT)

    assert await errno_of(looked_up) == "ENAMETOOLONG"


async def test_a_name_below_a_file_is_refused(operations: Operations) -> None:
    good = await find_good(operations)

    looked_up = operations.lookup(good, FileNameT(b"x"), CONTEXT)

    assert await errno_of(looked_up) == "ENOTDIR"


@pytest.mark.parametrize(
    ("name", "inode"), [(".", 20), ("..", 10)], ids=["dot", "dot dot"]
)
async def test_dots_name_the_folder_and_its_parent(
    operations: Operations, name: str, inode: int
) -> None:
    entry = await find(operations, *STUDY, name)

    assert entry.st_ino == inode


async def test_the_root_is_its_own_parent(operations: Operations) -> None:
    assert (await find(operations, "..")).st_ino == ROOT


async def test_nodes_the_kernel_does_not_know_are_not_there(
    operations: Operations,
) -> None:
    name = FileNameT(b"x")

    assert await errno_of(operations.getattr(NOWHERE, CONTEXT)) == "ENOENT"
    assert await errno_of(operations.lookup(NOWHERE, name, CONTEXT)) == "ENOENT"
    assert await errno_of(operations.opendir(NOWHERE, CONTEXT)) == "ENOENT"
    assert await errno_of(operations.open(NOWHERE, FlagT(0), CONTEXT)) == "ENOENT"


# -- forgetting ------------------------------------------------------------------------


async def test_a_node_is_known_until_each_of_its_lookups_is_forgotten(
    operations: Operations,
) -> None:
    patient = InodeT((await find(operations, STUDY[0])).st_ino)
    await find(operations, STUDY[0])

    await operations.forget([(patient, 1)])
    known = await operations.getattr(patient, CONTEXT)
    await operations.forget([(patient, 1)])

    assert known.st_ino == patient
    assert await errno_of(operations.getattr(patient, CONTEXT)) == "ENOENT"


async def test_several_lookups_are_forgotten_at_once(operations: Operations) -> None:
    for _ in range(5):
        await find(operations, STUDY[0])

    await operations.forget([(InodeT(10), 5)])

    assert await errno_of(operations.getattr(InodeT(10), CONTEXT)) == "ENOENT"


async def test_a_node_that_was_listed_anew_is_known_as_often_as_before(
    operations: Operations, scheduler: FakeScheduler
) -> None:
    await find(operations, STUDY[0])
    anew = a_folder(scheduler.root, 10, STUDY[0])
    scheduler.top.entries = {anew.name: anew}
    await find(operations, STUDY[0])

    await operations.forget([(InodeT(10), 1)])
    known = await operations.getattr(InodeT(10), CONTEXT)
    await operations.forget([(InodeT(10), 1)])

    assert known.st_ino == 10
    assert await errno_of(operations.getattr(InodeT(10), CONTEXT)) == "ENOENT"


async def test_a_node_is_counted_from_nothing_when_it_is_found_again(
    operations: Operations,
) -> None:
    for _ in range(2):
        await find(operations, STUDY[0])
        await operations.forget([(InodeT(10), 1)])

        assert await errno_of(operations.getattr(InodeT(10), CONTEXT)) == "ENOENT"


async def test_a_forgotten_folder_gives_up_its_listing(
    operations: Operations, scheduler: FakeScheduler
) -> None:
    await find(operations, *STUDY)

    await operations.forget([(InodeT(20), 1)])

    assert scheduler.forgotten == [scheduler.study]


async def test_a_forgotten_folder_is_found_again(operations: Operations) -> None:
    await find(operations, *STUDY)
    await operations.forget([(InodeT(20), 1), (InodeT(10), 1)])

    assert (await find(operations, *STUDY)).st_ino == 20


async def test_forgetting_what_nobody_knows_does_no_harm(
    operations: Operations, scheduler: FakeScheduler
) -> None:
    await operations.forget([(NOWHERE, 1)])

    assert scheduler.forgotten == []
    assert (await operations.getattr(ROOT, CONTEXT)).st_ino == ROOT


async def test_a_listed_entry_counts_as_a_lookup_but_dots_do_not(
    operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    await entries(operations, ROOT, monkeypatch)
    await operations.forget([(InodeT(inode), 1) for inode in (10, 11, 12, 13)])

    assert await errno_of(operations.getattr(InodeT(10), CONTEXT)) == "ENOENT"
    assert (await operations.getattr(ROOT, CONTEXT)).st_ino == ROOT


async def test_an_entry_that_does_not_fit_is_no_lookup(
    operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyfuse3, "readdir_reply", Reply(3))
    handle = await operations.opendir(ROOT, CONTEXT)

    await operations.readdir(handle, 0, ReaddirToken())

    assert (await operations.getattr(InodeT(10), CONTEXT)).st_ino == 10
    assert await errno_of(operations.getattr(InodeT(11), CONTEXT)) == "ENOENT"


# -- listing ---------------------------------------------------------------------------


async def entries(
    operations: Operations,
    inode: InodeT,
    monkeypatch: pytest.MonkeyPatch,
    room: int = 1_000,
) -> list[tuple[bytes, EntryAttributes, int]]:
    """List a folder to its end, *room* entries at a time."""
    handle = await operations.opendir(inode, CONTEXT)
    found: list[tuple[bytes, EntryAttributes, int]] = []
    while True:
        reply = Reply(room)
        monkeypatch.setattr(pyfuse3, "readdir_reply", reply)
        start = found[-1][2] if found else 0
        await operations.readdir(handle, start, ReaddirToken())
        if not reply.entries:
            break
        found += reply.entries
    await operations.releasedir(handle)
    return found


EVERYTHING: Final = [b".", b"..", STUDY[0].encode(), b"Other 0", b"Other 1", b"Other 2"]


@pytest.mark.parametrize("room", range(1, 8))
async def test_a_folder_is_listed_whole_whatever_the_buffer(
    operations: Operations, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    found = await entries(operations, ROOT, monkeypatch, room)

    assert [name for name, _, _ in found] == EVERYTHING


@pytest.mark.parametrize("place", range(7))
async def test_a_folder_is_listed_on_from_any_entry(
    operations: Operations, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    starts = [0, *(next_id for _, _, next_id in await _root(operations, monkeypatch))]
    handle = await operations.opendir(ROOT, CONTEXT)
    reply = Reply(100)
    monkeypatch.setattr(pyfuse3, "readdir_reply", reply)

    await operations.readdir(handle, starts[place], ReaddirToken())

    assert [name for name, _, _ in reply.entries] == EVERYTHING[place:]


async def _root(
    operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[bytes, EntryAttributes, int]]:
    return await entries(operations, ROOT, monkeypatch)


async def test_entries_are_numbered_upwards_and_without_repetition(
    operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [next_id for _, _, next_id in await _root(operations, monkeypatch)]

    assert numbers == sorted(set(numbers))
    assert numbers[0] > 0


async def test_a_listing_shows_what_a_lookup_shows(
    operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = InodeT((await find(operations, *STUDY)).st_ino)
    listed = await entries(operations, study, monkeypatch)

    for name, entry, _ in listed:
        alone = await operations.lookup(study, FileNameT(name), CONTEXT)
        assert (entry.st_ino, entry.st_mode) == (alone.st_ino, alone.st_mode)
        assert entry.st_size == alone.st_size


async def test_dots_in_a_listing_have_the_inodes_of_folder_and_parent(
    operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    await find(operations, *STUDY)
    dot, dot_dot, *_ = await entries(operations, InodeT(20), monkeypatch)

    assert (dot[1].st_ino, dot_dot[1].st_ino) == (20, 10)


async def test_an_open_folder_lists_what_was_in_it_when_it_was_opened(
    operations: Operations, scheduler: FakeScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await operations.opendir(ROOT, CONTEXT)
    scheduler.top.entries = {}
    reply = Reply(100)
    monkeypatch.setattr(pyfuse3, "readdir_reply", reply)

    await operations.readdir(handle, 0, ReaddirToken())

    assert [name for name, _, _ in reply.entries] == EVERYTHING


async def test_a_folder_that_is_opened_twice_is_closed_twice(
    operations: Operations,
) -> None:
    first = await operations.opendir(ROOT, CONTEXT)
    second = await operations.opendir(ROOT, CONTEXT)

    await operations.releasedir(first)
    await operations.readdir(second, 6, ReaddirToken())

    assert first != second


async def test_a_file_cannot_be_opened_as_a_folder(operations: Operations) -> None:
    good = await find_good(operations)

    assert await errno_of(operations.opendir(good, CONTEXT)) == "ENOTDIR"


# -- reading ---------------------------------------------------------------------------


async def test_reads_at_random_places_return_the_bytes_there(
    operations: Operations,
) -> None:
    opened = await operations.open(await find_good(operations), FlagT(0), CONTEXT)
    chance = random.Random(7)
    places = [
        (chance.randrange(len(BYTES) + 100), chance.randrange(1, 150_000))
        for _ in range(200)
    ]

    for offset, size in places:
        data = await operations.read(opened.fh, offset, size)
        assert data == BYTES[offset : offset + size]


async def test_the_kernel_may_keep_the_bytes_of_a_file(operations: Operations) -> None:
    opened = await operations.open(await find_good(operations), FlagT(0), CONTEXT)

    assert opened.keep_cache
    assert not opened.direct_io


async def test_each_open_file_is_closed_by_itself(
    operations: Operations, scheduler: FakeScheduler
) -> None:
    good = await find_good(operations)
    closed: list[str] = []
    scheduler.source = Closing("first", closed)
    await operations.open(good, FlagT(0), CONTEXT)
    scheduler.source = Closing("second", closed)
    second = await operations.open(good, FlagT(0), CONTEXT)

    await operations.release(second.fh)

    assert closed == ["second"]


class Closing(BytesSource):
    """Bytes that tell when they are closed."""

    def __init__(self, name: str, closed: list[str]) -> None:
        super().__init__(b"")
        self.name, self.closed = name, closed

    def close(self) -> None:
        """Tell it."""
        self.closed.append(self.name)


@pytest.mark.parametrize(
    "flags",
    [os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_APPEND],
    ids=["write", "read and write", "truncate", "append"],
)
async def test_no_file_is_opened_for_writing(
    operations: Operations, flags: int
) -> None:
    good = await find_good(operations)

    assert await errno_of(operations.open(good, FlagT(flags), CONTEXT)) == "EROFS"


async def test_a_folder_cannot_be_opened_as_a_file(operations: Operations) -> None:
    assert await errno_of(operations.open(ROOT, FlagT(0), CONTEXT)) == "EISDIR"


async def test_a_missing_file_is_listed_empty_and_cannot_be_opened(
    operations: Operations,
) -> None:
    lost = await find(operations, *STUDY, "0002.dcm")

    opened = operations.open(InodeT(lost.st_ino), FlagT(0), CONTEXT)

    assert lost.st_size == 0
    assert await errno_of(opened) == "ENOENT"


# -- the rest --------------------------------------------------------------------------


async def test_nothing_is_free_on_the_medium(operations: Operations) -> None:
    status = await operations.statfs(CONTEXT)

    assert (status.f_bsize, status.f_frsize, status.f_blocks) == (2048, 2048, 50)
    assert (status.f_bfree, status.f_bavail, status.f_ffree) == (0, 0, 0)
    assert status.f_namemax == 255


async def test_a_missing_file_says_why(operations: Operations) -> None:
    lost = InodeT((await find(operations, *STUDY, "0002.dcm")).st_ino)

    reason = await operations.getxattr(lost, XAttrNameT(xattrs.ERROR), CONTEXT)

    assert reason == b"No such file or directory"


@pytest.mark.parametrize("inode", [ROOT, InodeT(30)], ids=["a folder", "a good file"])
async def test_what_is_in_order_has_no_attributes(
    operations: Operations, inode: InodeT
) -> None:
    await find_good(operations)
    asked = operations.getxattr(inode, XAttrNameT(xattrs.ERROR), CONTEXT)

    assert await errno_of(asked) == "ENODATA"


async def test_the_kernel_is_told_not_to_ask_for_lists_of_attributes(
    operations: Operations,
) -> None:
    await find_good(operations)

    assert await errno_of(operations.listxattr(InodeT(30), CONTEXT)) == "ENOSYS"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("security.capability", "ENOTSUP"),
        ("security.selinux", "ENOTSUP"),
        ("system.posix_acl_access", "ENOTSUP"),
        ("trusted.overlay.opaque", "ENOTSUP"),
        ("user.xdg.tags", "ENODATA"),
        ("user.dicomfs.errors", "ENODATA"),
        ("user.dicom.PixelData", "ENODATA"),
    ],
)
async def test_attributes_of_other_kinds_are_not_asked_for_twice(
    operations: Operations, name: str, expected: str
) -> None:
    lost = InodeT((await find(operations, *STUDY, "0002.dcm")).st_ino)
    asked = operations.getxattr(lost, XAttrNameT(name.encode()), CONTEXT)

    assert await errno_of(asked) == expected


async def test_an_attribute_of_what_is_not_there_is_not_there(
    operations: Operations,
) -> None:
    asked = operations.getxattr(NOWHERE, XAttrNameT(xattrs.ERROR), CONTEXT)

    assert await errno_of(asked) == "ENOENT"


def test_the_mount_answers_once_the_kernel_has_begun_to_talk(
    scheduler: FakeScheduler,
) -> None:
    said: list[str] = []
    ownership = Ownership(0, 0, 0)

    Operations(
        scheduler, ownership, Capacity(1, 1), lambda: said.append("ready")
    ).init()

    assert said == ["ready"]


# -- the report ------------------------------------------------------------------------


def reporting(scheduler: FakeScheduler) -> tuple[Operations, Findings]:
    """Return handlers whose report grows with the findings."""
    findings = Findings()
    folder = own.folder(scheduler.root, lambda: make(findings, []))
    scheduler.top.hidden = {own.FOLDER: folder}
    return operations_of(scheduler), findings


async def list_names(
    operations: Operations, monkeypatch: pytest.MonkeyPatch, inode: InodeT
) -> list[str]:
    """Return the names of all entries of a folder."""
    reply = Reply(100)
    monkeypatch.setattr(pyfuse3, "readdir_reply", reply)
    handle = await operations.opendir(inode, CONTEXT)
    await operations.readdir(handle, 0, ReaddirToken())
    return [name.decode() for name, _, _ in reply.entries]


async def read_whole(operations: Operations, *names: str) -> bytes:
    """Read a file as the kernel does that is told to pass reads on."""
    entry = await find(operations, *names)
    opened = await operations.open(InodeT(entry.st_ino), os.O_RDONLY, CONTEXT)
    data = await operations.read(opened.fh, 0, 1_000_000)
    await operations.release(opened.fh)
    return bytes(data)


async def test_the_report_is_reachable_and_not_listed(
    scheduler: FakeScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    operations, _ = reporting(scheduler)

    root = await list_names(operations, monkeypatch, ROOT)
    folder = InodeT((await find(operations, ".dicomfs")).st_ino)

    assert ".dicomfs" not in root
    assert await list_names(operations, monkeypatch, folder) == [
        *(".", "..", "report.json", "report.txt")
    ]


@pytest.mark.parametrize("name", ["report.txt", "report.json"])
async def test_the_report_is_as_long_as_it_is_said_to_be_whenever_it_is_looked_up(
    scheduler: FakeScheduler, name: str
) -> None:
    operations, findings = reporting(scheduler)

    sizes = []
    for offset in (0, 400, 800):
        if offset:
            findings.add(Finding(Kind.MISSING_FILE, offset))
        entry = await find(operations, ".dicomfs", name)
        opened = await operations.open(InodeT(entry.st_ino), os.O_RDONLY, CONTEXT)
        assert opened.direct_io
        assert entry.st_size == len(await read_whole(operations, ".dicomfs", name))
        assert entry.attr_timeout == entry.entry_timeout == 0
        sizes.append(entry.st_size)

    assert sizes == sorted(set(sizes))


# -- what goes wrong -------------------------------------------------------------------


class Trap:
    """Raises *error* wherever it is touched, once it is armed."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.armed = False

    def touch(self) -> None:
        """Raise the error, if that is wanted."""
        if self.armed:
            raise self.error


class TrappedScheduler(FakeScheduler):
    """A scheduler in which everything fails."""

    def __init__(self, trap: Trap) -> None:
        super().__init__()
        self.trap = trap
        self.source = TrappedSource(trap)
        self.good = TrappedFile(trap, self.study)
        self.study.entries["0001.dcm"] = self.good
        self.study.on_forget = trap.touch

    async def children(self, folder: FolderNode) -> Mapping[str, Node]:
        """Fail."""
        self.trap.touch()
        return await super().children(folder)

    async def open(self, file: FileNode) -> Source:
        """Fail."""
        self.trap.touch()
        return await super().open(file)


class TrappedSource(BytesSource):
    """Bytes that cannot be read nor closed."""

    def __init__(self, trap: Trap) -> None:
        super().__init__(BYTES)
        self.trap = trap

    def read_at(self, offset: int, size: int) -> bytes:
        """Fail."""
        self.trap.touch()
        return super().read_at(offset, size)

    def close(self) -> None:
        """Fail."""
        self.trap.touch()


class TrappedFile(GivenFile):
    """A file that cannot be looked at."""

    def __init__(self, trap: Trap, parent: FolderNode) -> None:
        super().__init__(30, "0001.dcm", parent, 0, b"")
        self.trap = trap

    def __getattribute__(self, name: str) -> Any:
        if name in {"size", "reason"}:
            self.trap.touch()
        return super().__getattribute__(name)


class TrappedRoom(Capacity):
    """A medium whose size cannot be said."""

    trap: Trap

    @property
    def blocks(self) -> int:
        """Fail."""
        self.trap.touch()
        return 1


class Trapped:
    """Handlers for which everything is ready to fail."""

    def __init__(self, trap: Trap) -> None:
        room = TrappedRoom(1, 1)
        room.trap = trap
        self.trap = trap
        ownership = Ownership(0, 0, 0)
        self.operations = Operations(TrappedScheduler(trap), ownership, room)
        self.good = InodeT(0)
        self.folder = FileHandleT(0)
        self.file = FileHandleT(0)

    async def prepare(self) -> None:
        """Find and open all that the calls below need; then arm the trap."""
        self.good = await find_good(self.operations)
        study = InodeT((await find(self.operations, *STUDY)).st_ino)
        self.folder = await self.operations.opendir(study, CONTEXT)
        opened = await self.operations.open(self.good, FlagT(0), CONTEXT)
        self.file = opened.fh
        self.trap.armed = True


NAME: Final = FileNameT(b"x")
XATTR: Final = XAttrNameT(xattrs.ERROR)
CALLS: Final[dict[str, Callable[[Trapped], Awaitable[object]]]] = {
    "lookup": lambda t: t.operations.lookup(ROOT, NAME, CONTEXT),
    "getattr": lambda t: t.operations.getattr(t.good, CONTEXT),
    "opendir": lambda t: t.operations.opendir(ROOT, CONTEXT),
    "readdir": lambda t: t.operations.readdir(t.folder, 2, ReaddirToken()),
    "open": lambda t: t.operations.open(t.good, FlagT(0), CONTEXT),
    "read": lambda t: t.operations.read(t.file, 0, 1),
    "release": lambda t: t.operations.release(t.file),
    "statfs": lambda t: t.operations.statfs(CONTEXT),
    "getxattr": lambda t: t.operations.getxattr(t.good, XATTR, CONTEXT),
}
UNFORESEEN: Final[list[Exception]] = [
    ValueError(SECRET),
    TypeError(SECRET),
    KeyError(SECRET),
    IndexError(SECRET),
    AttributeError(SECRET),
    RuntimeError(SECRET),
    RecursionError(SECRET),
    UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, SECRET),
    ZeroDivisionError(SECRET),
    MemoryError(SECRET),
    AssertionError(SECRET),
    NotImplementedError(SECRET),
    struct.error(SECRET),
    EOFError(SECRET),
    StopIteration(SECRET),
    trio.BrokenResourceError(SECRET),
    ExceptionGroup(SECRET, [ValueError(SECRET)]),
]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Return all that was logged, at any level."""
    caplog.set_level(logging.DEBUG)
    return lambda: caplog.text


@pytest.mark.parametrize("handler", CALLS)
@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
async def test_no_exception_gets_out_of_a_handler(
    handler: str,
    error: Exception,
    expect_log: ExpectLog,
    logged: Callable[[], str],
) -> None:
    trapped = Trapped(Trap(error))
    await trapped.prepare()

    answer = await errno_of(CALLS[handler](trapped))

    assert answer == "EIO"
    expect_log(f"^{handler} failed: [A-Za-z]+ in [a-z_0-9]+[.]py:[0-9]+$")
    assert SECRET not in logged()


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
async def test_nothing_at_all_gets_out_of_forget(
    error: Exception, expect_log: ExpectLog, logged: Callable[[], str]
) -> None:
    trapped = Trapped(Trap(error))
    await trapped.prepare()

    await trapped.operations.forget([(InodeT(20), 100)])

    expect_log("^forget failed: [A-Za-z]+ in [a-z_0-9]+[.]py:[0-9]+$")
    assert SECRET not in logged()


@pytest.mark.parametrize("handler", CALLS)
async def test_an_error_of_the_medium_passes_as_it_is(
    handler: str, logged: Callable[[], str]
) -> None:
    trapped = Trapped(Trap(OSError(errno.ENOMEDIUM, SECRET)))
    await trapped.prepare()

    answer = await errno_of(CALLS[handler](trapped))

    assert answer == "ENOMEDIUM"
    assert SECRET not in logged()


@pytest.mark.parametrize("handler", CALLS)
async def test_an_error_without_a_number_is_an_input_output_error(
    handler: str, logged: Callable[[], str]
) -> None:
    trapped = Trapped(Trap(OSError(SECRET)))
    await trapped.prepare()

    answer = await errno_of(CALLS[handler](trapped))

    assert answer == "EIO"
    assert SECRET not in logged()


@pytest.mark.parametrize(
    "error",
    [DirectoryError(SECRET, 7), trio.TooSlowError(SECRET)],
    ids=["a broken record", "the deadline"],
)
@pytest.mark.parametrize("handler", CALLS)
async def test_an_error_of_ours_is_an_input_output_error(
    handler: str,
    error: Exception,
    expect_log: ExpectLog,
    logged: Callable[[], str],
) -> None:
    trapped = Trapped(Trap(error))
    await trapped.prepare()

    answer = await errno_of(CALLS[handler](trapped))

    assert answer == "EIO"
    expect_log(f"^{handler} failed: {type(error).__name__}")
    assert SECRET not in logged()


@pytest.mark.parametrize("handler", CALLS)
async def test_an_answer_for_the_kernel_passes_as_it_is(handler: str) -> None:
    trapped = Trapped(Trap(FUSEError(errno.ELOOP)))
    await trapped.prepare()

    assert await errno_of(CALLS[handler](trapped)) == "ELOOP"


async def test_the_end_of_the_mount_is_not_taken_for_an_error(
    scheduler: FakeScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_: FolderNode) -> NoReturn:
        await trio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(scheduler, "children", never)
    operations = operations_of(scheduler)

    with trio.move_on_after(0) as scope:
        await operations.opendir(ROOT, CONTEXT)

    assert scope.cancelled_caught


@pytest.mark.parametrize(
    ("handler", "call"),
    [
        ("readdir", lambda o: o.readdir(NO_HANDLE, 0, ReaddirToken())),
        ("releasedir", lambda o: o.releasedir(NO_HANDLE)),
        ("read", lambda o: o.read(NO_HANDLE, 0, 1)),
        ("release", lambda o: o.release(NO_HANDLE)),
    ],
    ids=["readdir", "releasedir", "read", "release"],
)
async def test_a_handle_that_nobody_opened_is_an_input_output_error(
    operations: Operations,
    handler: str,
    call: Callable[[Operations], Awaitable[object]],
    expect_log: ExpectLog,
) -> None:
    answer = await errno_of(call(operations))

    assert answer == "EIO"
    expect_log(f"^{handler} failed: KeyError in ")


# -- on a medium -----------------------------------------------------------------------


@pytest.fixture
def medium(tmp_path: Path) -> Iterator[tuple[Operations, Path]]:
    """Return the handlers for a medium with one file, and that file."""
    only = image("1.2.3.4", file="IMAGES/ONE", size=300_000)
    written = write_medium(
        tmp_path,
        [patient("Doe^Jane", "1", [study("1.2", [series("1.2.3", [only])])])],
    )
    folder = Medium(os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY))
    tree = Tree(open_file_sets(folder), read_headers=True)
    yield (
        operations_of(Scheduler(tree.root, tree.listings, deadline=30)),
        written.files[only],
    )
    folder.close()


async def open_the_only_file(
    operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> FileHandleT:
    """Go down to the one file there is, and open it."""
    inode, mode = ROOT, stat.S_IFDIR
    while stat.S_ISDIR(mode):
        below = (await entries(operations, inode, monkeypatch))[-1][1]
        inode, mode = InodeT(below.st_ino), below.st_mode
    return (await operations.open(inode, FlagT(0), CONTEXT)).fh


async def test_reads_return_the_bytes_of_the_medium(
    medium: tuple[Operations, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    operations, path = medium
    data = path.read_bytes()
    handle = await open_the_only_file(operations, monkeypatch)
    chance = random.Random(11)

    for _ in range(100):
        offset = chance.randrange(len(data) + 10)
        size = chance.randrange(1, 140_000)
        read = await operations.read(handle, offset, size)
        assert read == data[offset : offset + size]
    await operations.release(handle)


async def test_a_file_that_has_become_shorter_gives_an_error_and_no_short_read(
    medium: tuple[Operations, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    operations, path = medium
    handle = await open_the_only_file(operations, monkeypatch)
    os.truncate(path, 200_000)

    before = await errno_of(operations.read(handle, 190_000, 10_000))
    across = await errno_of(operations.read(handle, 190_000, 20_000))
    behind = await errno_of(operations.read(handle, 250_000, 10))
    await operations.release(handle)

    # What is left of it may be another file's by now.
    assert (before, across, behind) == ("EIO", "EIO", "EIO")


@pytest.mark.parametrize(
    "outcome", ["short", "fails"], ids=["a short answer", "a failure"]
)
async def test_a_read_that_stops_midway_is_continued_or_fails(
    medium: tuple[Operations, Path], monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    operations, path = medium
    data = path.read_bytes()
    handle = await open_the_only_file(operations, monkeypatch)
    pread, reads = os.pread, iter(range(1_000))

    def stopping(fd: int, size: int, offset: int) -> bytes:
        if next(reads) and outcome == "fails":
            raise OSError(errno.EIO, SECRET)
        return pread(fd, min(size, 1_000), offset)

    def uncached(*_: object) -> NoReturn:
        raise OSError(errno.EAGAIN, "not in memory")

    monkeypatch.setattr(os, "pread", stopping)
    monkeypatch.setattr(os, "preadv", uncached)

    if outcome == "fails":
        assert await errno_of(operations.read(handle, 0, 50_000)) == "EIO"
    else:
        assert await operations.read(handle, 0, 50_000) == data[:50_000]
    await operations.release(handle)
