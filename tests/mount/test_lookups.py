"""How often the kernel was told of a node, whatever numbers the nodes have."""

from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest

from dicomfs.mount.lookups import Listed, Lookups
from dicomfs.tree.files import Columns, Files
from dicomfs.tree.identity import ORDINALS, ROOT_INODE, file_inode
from dicomfs.tree.selection import Selection
from tests.support.nodes import GivenFile, GivenFolder
from tests.support.trees import series_of_two

ROOT = GivenFolder(ROOT_INODE, "", None, 0)


def a_file(inode: int, name: str = "file") -> GivenFile:
    return GivenFile(inode, name, ROOT, 0, b"")


NUMBERS = [
    *(ROOT_INODE, 12345),
    *(file_inode(parent, n) for parent in (7, 8) for n in (0, 1, 2, 500, 65_535)),
    *(file_inode(7, n) for n in (65_536, 70_000)),
]


def test_a_node_is_known_until_each_look_up_is_forgotten() -> None:
    random = Random(5)
    lookups, expected = Lookups(), Counter[int]()
    nodes = {inode: a_file(inode) for inode in NUMBERS}

    for _ in range(5_000):
        inode = random.choice(NUMBERS)
        if random.random() < 0.6:
            lookups.add(nodes[inode])
            expected[inode] += 1
        else:
            count = random.randrange(1, 4)
            was_known = expected[inode] > 0
            expected[inode] = max(expected[inode] - count, 0)
            gone = lookups.forget(inode, count)
            assert (gone is nodes[inode]) == (was_known and not expected[inode])
        known = [each for each in NUMBERS if lookups.get(each) is not None]
        assert known == [each for each in NUMBERS if expected[each]]


@pytest.mark.parametrize("inode", NUMBERS)
def test_a_number_is_free_for_the_same_node_and_for_no_other(inode: int) -> None:
    lookups = Lookups()
    node, anew, other = a_file(inode), a_file(inode), a_file(inode, "other")

    before = lookups.is_free(other)
    lookups.add(node)

    assert before
    assert lookups.is_free(node)
    assert lookups.is_free(anew)
    assert not lookups.is_free(other)


def test_a_node_that_was_listed_anew_takes_the_place_of_the_older() -> None:
    lookups = Lookups()
    node, anew = a_file(12345), a_file(12345)

    lookups.add(node)
    lookups.add(anew)

    assert lookups.get(12345) is anew
    assert lookups.forget(12345, 1) is None
    assert lookups.forget(12345, 1) is anew


# -- files that were listed ------------------------------------------------------------


LARGE = ORDINALS + 20


@pytest.fixture(scope="module")
def folder() -> Iterator[Selection]:
    with series_of_two() as folder:
        yield folder


def some_files(folder: Selection, count: int, first: int = 100) -> Files:
    each = range(count)
    offsets, ones = [first + number for number in each], [1] * count
    uids = [b"1.%d" % number for number in each]
    columns = Columns(each, each, offsets, uids, uids, ones, ones, ones)
    return Files(folder, folder.parts[0].file_set, columns)


def counted(lookups: Lookups, files: Files) -> Listed:
    listed = lookups.listed(files)
    assert listed is not None
    return listed


@pytest.mark.parametrize("count", [5, LARGE])
def test_a_listed_file_is_known_until_each_look_up_is_forgotten(
    folder: Selection, count: int
) -> None:
    lookups, files, random = Lookups(), some_files(folder, count), Random(3)
    places = range(count - 5, count)
    inodes = {place: files.at(place).inode for place in places}
    expected = Counter[int]()

    for _ in range(2_000):
        place = random.choice(places)
        inode, what = inodes[place], random.random()
        if what < 0.3:
            counted(lookups, files).add(range(place, place + 1))
            expected[place] += 1
        elif what < 0.5:
            lookups.add(files.at(place))
            expected[place] += 1
        else:
            count = random.randrange(1, 4)
            lookups.forget(inode, count)
            expected[place] = max(expected[place] - count, 0)
        known = {each: lookups.get(inodes[each]) for each in places}
        assert known == {n: files.at(n) if expected[n] else None for n in places}


def test_files_that_were_listed_anew_take_the_place_of_the_older(
    folder: Selection,
) -> None:
    lookups = Lookups()
    files, anew = some_files(folder, 5), some_files(folder, 5)
    inode = files.at(3).inode
    counted(lookups, files).add(range(5))

    counted(lookups, anew).add(range(3, 5))

    assert lookups.get(inode) is anew.at(3)
    lookups.forget(inode, 1)
    assert lookups.get(inode) is anew.at(3)
    lookups.forget(inode, 1)
    assert lookups.get(inode) is None


def test_files_of_numbers_that_others_have_are_not_counted(folder: Selection) -> None:
    lookups = Lookups()
    files, others = some_files(folder, 5), some_files(folder, 5, first=200)
    counted(lookups, files).add(range(1))

    assert lookups.listed(others) is None
    assert not lookups.is_free(others.at(0))
    assert lookups.is_free(files.at(0))

    lookups.forget(files.at(0).inode, 1)
    assert lookups.listed(others) is not None


def test_a_node_of_the_number_of_a_listed_file_has_to_be_that(
    folder: Selection,
) -> None:
    lookups = Lookups()
    files = some_files(folder, 5)
    lookups.add(files.at(1))
    lookups.add(a_file(files.at(2).inode))

    listed = counted(lookups, files)
    known = [listed.node_with(files.at(place).inode) for place in (0, 1, 2)]

    assert known == [None, files.at(1), lookups.get(files.at(2).inode)]
    assert [listed.is_free(n, each) for n, each in enumerate(known) if each] == [
        True,
        False,
    ]
