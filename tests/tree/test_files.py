"""Files by columns, against nodes by name."""

from array import array
from collections.abc import Iterator
from random import Random
from typing import Final

import pytest

from dicomfs.dicom.types import Level
from dicomfs.tree.files import Columns, Files
from dicomfs.tree.identity import ORDINALS, file_inode, is_in_a_row
from dicomfs.tree.selection import Selection
from dicomfs.tree.tree import Tree
from tests.build.medium import build_dicomdir, image, patient, series, study
from tests.support.trees import FakeMedium, opened

COUNT: Final = 30


@pytest.fixture
def folder() -> Iterator[Selection]:
    """Return the folder of a series whose files lie in another order than their names."""
    images = [
        image(f"1.1.{number}", number=number, file=f"S/I{number}")
        for number in range(COUNT, 0, -1)
    ]
    files = {f"S/I{number}": b"x" * number for number in range(1, COUNT + 1)}
    records = [patient("A", "1", [study("1", [series("1.1", images)])])]
    with opened(FakeMedium(files | {"DICOMDIR": build_dicomdir(records)})) as tree:
        yield series_in(tree)


def series_in(tree: Tree) -> Selection:
    folder = tree.root
    while folder.level is not Level.SERIES:
        [below] = folder.children().values()
        assert isinstance(below, Selection)
        folder = below
    return folder


def listed(folder: Selection) -> Files:
    files = folder.children()
    assert isinstance(files, Files)
    return files


def made(folder: Selection, count: int, *, digits: int = 0) -> Files:
    """Return so many files in *folder*, numbered from 1 and in any order on the medium."""
    ordinals = list(range(count))
    Random(3).shuffle(ordinals)
    each = range(1, count + 1)
    columns = Columns(
        [10**digits * number for number in each],
        ordinals,
        [100 * number for number in each],
        [b"1.%d" % number for number in each],
        [b"S/I%d" % number for number in each],
        each,
        [-5 * number for number in each],
        each,
    )
    return Files(folder, folder.parts[0].file_set, columns)


def test_files_are_found_by_name_in_the_order_of_names(folder: Selection) -> None:
    files = listed(folder)

    names = [f"{number:04}.dcm" for number in range(1, COUNT + 1)]
    assert list(files) == names == [node.name for node in files.values()]
    assert len(files) == COUNT
    assert [name for name, _ in files.items()] == names
    assert all(files[name].size == size for size, name in enumerate(names, 1))
    assert files["0007.dcm"].place == (b"S", b"I7")
    assert files["0007.dcm"].uid == b"1.1.7"


@pytest.mark.parametrize(
    "name",
    [
        *("", "0000.dcm", "0031.dcm", "1.dcm", "00001.dcm", "0001", "0001.DCM"),
        *(
            "0001.dcm.dcm",
            ".dcm",
            "+001.dcm",
            " 001.dcm",
            "\u0660\u0660\u0660\u0661.dcm",
        ),
        *("\u00b9\u00b9\u00b9\u00b9.dcm", "1_00.dcm"),
    ],
)
def test_no_other_name_is_one_of_theirs(folder: Selection, name: str) -> None:
    files = listed(folder)

    assert name not in files
    assert files.get(name) is None


def test_a_node_is_the_same_whenever_it_is_asked_for(folder: Selection) -> None:
    files = listed(folder)

    node = files["0003.dcm"]

    assert files["0003.dcm"] is node
    assert list(files.values())[2] is node
    assert dict(files.items())["0003.dcm"] is node
    assert files.at(2) is node


def test_what_a_listing_shows_is_what_the_nodes_have(folder: Selection) -> None:
    for files in (listed(folder), made(folder, 5, digits=9)):
        nodes = [(n.name.encode(), n.inode, n.size, n.mtime_ns) for n in files.values()]

        assert list(files.shown()) == nodes
        assert list(files.shown(3)) == nodes[3:]
        assert list(files.shown(len(files))) == []


def test_a_file_has_the_number_that_its_ordinal_gives_it(folder: Selection) -> None:
    count = ORDINALS + 50
    files = made(folder, count)

    inodes = array("Q", (inode for _, inode, _, _ in files.shown()))
    assert sorted(inodes) == sorted(file_inode(folder.inode, n) for n in range(count))
    assert sum(map(is_in_a_row, inodes)) == ORDINALS + 1
    some = range(0, count, 97)
    assert [files.place_of(inodes[place]) for place in some] == [*some]
    assert not files.is_one_row
    assert files.place_of(folder.inode) is None
    assert made(folder, 5).place_of(file_inode(folder.inode, 5)) is None


def test_files_that_are_listed_anew_are_the_same(folder: Selection) -> None:
    files = listed(folder)
    folder.forget()

    anew = listed(folder)

    assert anew is not files
    assert anew.is_same(files)
    assert not made(folder, COUNT).is_same(files)
    assert not anew.is_same(dict(files))
