"""Complete at the first look: a walk that begins at once finds all that there will be."""

import errno
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Final

import pytest

from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.index import Index
from dicomfs.dicomdir.indexing import read_index
from dicomfs.fileset import links
from dicomfs.fileset.links import LinkCheck
from dicomfs.tree import report
from dicomfs.tree.completeness import MOST_AWAITED
from dicomfs.tree.selection import Instance, Selection
from dicomfs.tree.tree import Tree
from tests.build.breakage import CASES, Case
from tests.build.medium import image, patient, series, study, write_medium
from tests.conftest import ExpectLog
from tests.support.trees import opened

SHOWN: Final = [case for case in CASES.values() if not case.broken().failure]
_MOST_NODES: Final = 20_000


@pytest.fixture
def may_warn(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Let what is wrong with broken media be logged."""
    yield
    caplog.get_records("call").clear()


def walked(tree: Tree, random: Random | None = None) -> dict[str, bytes | int]:
    """Walk through *tree* as a program does: what was listed once is what it looks into.

    Return the content of each file, or its error. At *random*, it goes anywhere next.
    """
    found: dict[str, bytes | int] = {}
    waiting: list[tuple[str, Selection]] = [("", tree.root)]
    nodes = 0
    while waiting:
        at = random.randrange(len(waiting)) if random else -1
        above, folder = waiting.pop(at)
        for name, node in folder.children().items():
            nodes += 1
            assert nodes < _MOST_NODES
            path = f"{above}/{name}"
            if isinstance(node, Instance):
                found[path] = node.error or _content(node)
            elif isinstance(node, Selection):
                waiting.append((path, node))
    return found


def _content(file: Instance) -> bytes:
    source = file.open()
    try:
        return source.read_at(0, source.size)
    finally:
        source.close()


@pytest.mark.slow
@pytest.mark.usefixtures("may_warn")
@pytest.mark.parametrize("case", SHOWN, ids=lambda case: case.name)
def test_a_walk_begun_at_once_finds_all_that_there_will_be(
    case: Case, tmp_path: Path
) -> None:
    case.write(tmp_path)

    # The root waits for the check of the links, or it does not.
    for most_awaited in (0, MOST_AWAITED):
        with opened(tmp_path, most_awaited=most_awaited) as tree:
            early = walked(tree)
            tree.completeness.settle()
            tree.listings.refresh()
            assert early == walked(tree)
        with opened(tmp_path, most_awaited=most_awaited) as tree:
            anywhere = walked(tree, Random(11))
        assert anywhere == early
    with opened(tmp_path, most_awaited=0) as tree:
        early = walked(tree)
    with opened(tmp_path) as tree:
        tree.check_links()
        late = walked(tree)
    assert Counter(early.values()) == Counter(late.values())
    # What the check adds to the root is in Unlinked if somebody saw the root before.
    assert all(path.startswith("/Unlinked") for path in early.keys() - late.keys())


@pytest.mark.slow
@pytest.mark.usefixtures("may_warn")
@pytest.mark.parametrize("case", SHOWN[::10], ids=lambda case: case.name)
def test_a_walk_beside_the_check_finds_the_same(case: Case, tmp_path: Path) -> None:
    case.write(tmp_path)

    for most_awaited in (0, MOST_AWAITED):
        with opened(tmp_path, most_awaited=most_awaited) as tree:
            tree.listings.begin()
            check = threading.Thread(target=tree.listings.settle)
            check.start()
            early = walked(tree)
            check.join()
            assert early == walked(tree)


def two_patients(root: Path) -> None:
    medium = [
        patient(name, name, [study(f"{n}", [series(f"{n}.1", [image(f"{n}.1.1")])])])
        for n, name in enumerate(("Doe^Jane", "Roe^Richard"), start=1)
    ]
    write_medium(root, medium)


def test_small_media_are_checked_before_the_root_is_listed(tmp_path: Path) -> None:
    two_patients(tmp_path)

    with opened(tmp_path) as tree:
        root = list(tree.root.children())
        checked = tree.file_sets[0].link_check

    assert root == ["Doe, Jane (Doe^Jane)", "Roe, Richard (Roe^Richard)"]
    assert checked is LinkCheck.WHOLE


def test_of_large_media_the_root_is_listed_at_once_and_what_is_below_waits(
    tmp_path: Path,
) -> None:
    two_patients(tmp_path)

    with opened(tmp_path, most_awaited=0) as tree:
        root = dict(tree.root.children())
        before = tree.file_sets[0].link_check
        jane = root["Doe, Jane (Doe^Jane)"]
        assert jane.is_folder
        jane.children()
        after = tree.file_sets[0].link_check

    assert [*root][-1] == "Unlinked"
    assert (before, after) == (LinkCheck.NOT_YET, LinkCheck.WHOLE)


def test_unlinked_leaves_the_root_if_it_stays_empty_and_is_found_by_name(
    tmp_path: Path,
) -> None:
    two_patients(tmp_path)

    with opened(tmp_path, most_awaited=0) as tree:
        nowhere = tree.root.children()["Unlinked"]
        tree.listings.settle()
        names = list(tree.root.children())

        assert names == ["Doe, Jane (Doe^Jane)", "Roe, Richard (Roe^Richard)"]
        assert tree.root.lookup("Unlinked") is nowhere
        assert nowhere.is_folder
        assert nowhere.children() == {}


def test_a_patient_whom_the_check_finds_is_in_unlinked_if_the_root_was_seen(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("nothing links to a record")
    two_patients(tmp_path)
    path = tmp_path / "DICOMDIR"
    data = bytearray(path.read_bytes())
    at = data.find(b"\x04\x00\x00\x14UL\x04\x00")
    data[at + 8 : at + 12] = bytes(4)
    path.write_bytes(data)

    with opened(tmp_path, most_awaited=0) as tree:
        root = [*tree.root.children()]
        nowhere = tree.root.children()["Unlinked"]
        assert nowhere.is_folder
        late = [*nowhere.children()]
        again = [*tree.root.children()]
    with opened(tmp_path) as tree:
        known = [*tree.root.children()]

    assert root == again == ["Doe, Jane (Doe^Jane)", "Unlinked"]
    assert late == ["Roe, Richard (Roe^Richard)"]
    assert known == ["Doe, Jane (Doe^Jane)", "Roe, Richard (Roe^Richard)"]


def test_what_is_clearly_too_large_is_left_alone_before_the_root_is_listed(
    tmp_path: Path,
) -> None:
    images = [image(f"1.1.{n}") for n in range(300)]
    write_medium(
        tmp_path, [patient("Doe^Jane", "1", [study("1", [series("1.1", images)])])]
    )

    with opened(tmp_path, most_checked=100, most_awaited=0) as tree:
        root = [*tree.root.children()]
        checked = tree.file_sets[0].link_check

    assert root == ["Doe, Jane (1)"]
    assert checked is LinkCheck.TOO_LARGE


def test_beyond_the_bound_nothing_waits_and_the_report_says_so(tmp_path: Path) -> None:
    two_patients(tmp_path)

    with opened(tmp_path, most_checked=7) as tree:
        root = [*tree.root.children()]
        files = walked(tree)
        said = report.as_text(report.of(tree))

    assert root == ["Doe, Jane (Doe^Jane)", "Roe, Richard (Roe^Richard)"]
    assert len(files) == 2
    assert "too large to be looked at without need" in said


def test_where_the_check_fails_folders_show_what_they_can_and_the_report_says_so(
    tmp_path: Path, expect_log: ExpectLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect_log("the links cannot be checked: OSError")
    two_patients(tmp_path)
    asked: list[int] = []

    def fail(_directory: Directory, most: int) -> Index:
        asked.append(most)
        raise OSError(errno.EIO, "bad sector")

    monkeypatch.setattr(links, "read_index", fail)
    with opened(tmp_path, most_awaited=0) as tree:
        root = [*tree.root.children()]
        files = walked(tree)
        again = [*tree.root.children()]
        said = report.as_text(report.of(tree))

    assert root == [*again, "Unlinked"]
    assert len(files) == 2
    assert "could not be read to the end" in said
    # Once for all who ask.
    assert len(asked) == 1


def test_who_asks_while_the_links_are_checked_waits_for_that_and_the_root_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_patients(tmp_path)
    begun, gate = threading.Event(), threading.Event()

    def slow(directory: Directory, most: int) -> Index:
        begun.set()
        assert gate.wait(10)
        return read_index(directory, most)

    monkeypatch.setattr(links, "read_index", slow)
    with opened(tmp_path) as tree, ThreadPoolExecutor(2) as threads:
        tree.listings.begin()
        check = threads.submit(tree.listings.settle)
        assert begun.wait(10)
        jane, _, nowhere = tree.root.children().values()
        assert jane.is_folder
        assert nowhere.is_folder
        waiting = threads.submit(jane.children)
        was_done = waiting.done()
        gate.set()
        check.result(10)
        studies = waiting.result(10)
        root = [*tree.root.children()]

    assert not was_done
    assert len(studies) == 1
    assert root == ["Doe, Jane (Doe^Jane)", "Roe, Richard (Roe^Richard)"]
