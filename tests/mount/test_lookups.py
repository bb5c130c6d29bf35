"""How often the kernel was told of a node, whatever numbers the nodes have."""

from collections import Counter
from random import Random

import pytest

from dicomfs.mount.lookups import Lookups
from dicomfs.tree.identity import ROOT_INODE, file_inode
from tests.support.nodes import GivenFile, GivenFolder

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
