"""Files that are listed by columns, as the kernel sees them."""

from collections.abc import Iterator
from typing import cast

import pyfuse3
import pytest
from pyfuse3 import FileNameT, InodeT, ReaddirToken

from dicomfs.mount.fuse import Operations
from dicomfs.tree.files import Files
from dicomfs.tree.node import Node
from tests.conftest import ExpectLog
from tests.mount.test_fuse import (
    CONTEXT,
    DAY,
    STUDY,
    FakeScheduler,
    Reply,
    a_file,
    entries,
    errno_of,
    find,
    operations_of,
)
from tests.mount.test_lookups import some_files
from tests.support.trees import series_of_two

STUDY_INODE = InodeT(20)


@pytest.fixture
def files() -> Iterator[Files]:
    with series_of_two() as folder:
        yield some_files(folder, 5)


@pytest.fixture
def scheduler(files: Files) -> FakeScheduler:
    made = FakeScheduler()
    made.study.entries = cast("dict[str, Node]", files)
    return made


@pytest.fixture
async def operations(scheduler: FakeScheduler) -> Operations:
    made = operations_of(scheduler)
    await find(made, *STUDY)
    return made


@pytest.mark.parametrize("room", range(1, 9))
async def test_they_are_listed_whole_whatever_the_buffer(
    operations: Operations, files: Files, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr(files, "at", None)  # no node is to be made of any
    found = await entries(operations, STUDY_INODE, monkeypatch, room)

    assert [name.decode() for name, _, _ in found] == [".", "..", *files]
    assert [next_id for _, _, next_id in found] == list(range(1, 8))


async def test_a_listing_shows_what_a_lookup_shows(
    operations: Operations, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await entries(operations, STUDY_INODE, monkeypatch)

    for name, entry, _ in found[2:]:
        alone = await operations.lookup(STUDY_INODE, FileNameT(name), CONTEXT)
        for attribute in alone.__dir__():
            if attribute.startswith(("st_", "entry_", "attr_", "generation")):
                assert getattr(entry, attribute) == getattr(alone, attribute)
    assert len(found) == 2 + len(files)


async def test_each_counts_as_a_lookup_if_it_fits(
    operations: Operations, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await operations.opendir(STUDY_INODE, CONTEXT)
    monkeypatch.setattr(pyfuse3, "readdir_reply", Reply(4))

    await operations.readdir(handle, 0, ReaddirToken())

    first, second, third = (InodeT(files.at(place).inode) for place in range(3))
    assert (await operations.getattr(second, CONTEXT)).st_size == 1
    assert await errno_of(operations.getattr(third, CONTEXT)) == "ENOENT"
    await operations.forget([(first, 1)])
    assert await errno_of(operations.getattr(first, CONTEXT)) == "ENOENT"


async def test_what_went_meanwhile_is_not_to_be_kept(
    operations: Operations,
    scheduler: FakeScheduler,
    files: Files,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handle = await operations.opendir(STUDY_INODE, CONTEXT)
    scheduler.study.entries = {"0001.dcm": files.at(1), "0003.dcm": files.at(3)}
    reply = Reply(100)
    monkeypatch.setattr(pyfuse3, "readdir_reply", reply)

    await operations.readdir(handle, 0, ReaddirToken())

    kept = [n.decode() for n, entry, _ in reply.entries[2:] if entry.entry_timeout]
    assert kept == ["0001.dcm", "0003.dcm"]
    assert all(entry.attr_timeout >= DAY for _, entry, _ in reply.entries)


async def test_a_number_that_another_node_has_is_refused(
    operations: Operations,
    scheduler: FakeScheduler,
    files: Files,
    monkeypatch: pytest.MonkeyPatch,
    expect_log: ExpectLog,
) -> None:
    expect_log("two nodes have the inode number")
    scheduler.top.entries["else"] = a_file(scheduler.top, files.at(2).inode, "else")
    await find(operations, "else")

    handle = await operations.opendir(STUDY_INODE, CONTEXT)
    monkeypatch.setattr(pyfuse3, "readdir_reply", Reply(100))
    listed = operations.readdir(handle, 0, ReaddirToken())

    assert await errno_of(listed) == "EIO"
