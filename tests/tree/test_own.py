"""What is in the tree and on no medium."""

import json
from contextlib import closing

import pytest

from dicomfs.tree import own, volume
from dicomfs.tree.tree import Tree
from tests.support.trees import SAMPLES, opened


def read(tree: Tree, name: str) -> str:
    """Return the text of a file of our own."""
    folder = tree.root.lookup(own.FOLDER)
    assert folder is not None
    assert folder.is_folder
    file = folder.lookup(name)
    assert file is not None
    assert not file.is_folder
    with closing(file.open()) as source:
        return bytes(source.read_at(0, source.size)).decode()


def test_our_own_folder_is_found_and_not_listed() -> None:
    with opened(SAMPLES) as tree:
        own.add_to(tree)

        folder = tree.root.lookup(own.FOLDER)
        listed = tree.root.children()

    assert folder is not None
    assert folder.is_folder
    assert list(folder.children()) == ["report.json", "report.txt"]
    assert own.FOLDER not in listed


def test_the_name_for_side_bars_is_found_in_the_root_and_not_listed() -> None:
    with opened(SAMPLES) as tree:
        own.add_to(tree, title="CD 1")

        file = tree.root.lookup(volume.FILE)
        listed = tree.root.children()

    assert volume.FILE not in listed
    assert file is not None
    assert not file.is_folder
    with closing(file.open()) as source:
        data = bytes(source.read_at(0, file.size))
    assert data == volume.info("CD 1")


def test_looking_for_it_reads_nothing() -> None:
    with opened(SAMPLES) as tree:
        own.add_to(tree)

        tree.root.lookup(own.FOLDER)

        assert tree.listed == 0


def test_the_report_is_of_what_was_looked_at_by_now() -> None:
    with opened(SAMPLES) as tree:
        own.add_to(tree)

        before = json.loads(read(tree, "report.json"))
        tree.root.children()
        after = json.loads(read(tree, "report.json"))

    assert [each["count"] for each in before["looked_at"]] == [0, 0, 0, 0]
    assert [each["count"] for each in after["looked_at"]] == [52, 1, 0, 0]


@pytest.mark.parametrize("name", ["report.json", "report.txt"])
def test_the_size_is_that_of_the_text(name: str) -> None:
    with opened(SAMPLES) as tree:
        own.add_to(tree)
        folder = tree.root.hidden[own.FOLDER]
        assert folder.is_folder
        file = folder.children()[name]

        assert not file.is_folder
        assert file.size == len(read(tree, name).encode())


def test_the_numbers_of_our_own_nodes_stay_as_they_are() -> None:
    with opened(SAMPLES) as tree:
        own.add_to(tree)
        folder = tree.root.hidden[own.FOLDER]
        assert folder.is_folder
        below = [node.inode for node in folder.children().values()]

    assert folder.inode == 3856829266696354668
    assert below == [6328114865321131352, 4707625834469090120]
