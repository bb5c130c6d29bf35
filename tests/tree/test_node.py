"""Nodes: what they share, and listings that are merged when links were wrong."""

from pathlib import Path
from typing import cast

from dicomfs.dicom.types import Level
from dicomfs.fileset.fileset import FileSet
from dicomfs.tree.identity import file_inode
from dicomfs.tree.node import Instance, Listing, Selection, merged
from tests.build.medium import large_dicomdir
from tests.support.trees import opened, walk


class NamedFileSet:
    """Stands for a File-set of which only the identity is asked."""

    identity = b"one"


FILE_SET = cast(FileSet, NamedFileSet())
SERIES = Selection(7, "001 CT", None, 0, Level.SERIES, [])


def listing(*files: tuple[str, int, int]) -> Listing:
    """Return a listing of files: name, number in the folder, offset of the record."""
    return {
        name: Instance(
            file_inode(7, number), name, SERIES, 0, FILE_SET, offset, (), 1, 0, ""
        )
        for name, number, offset in files
    }


def test_what_stays_keeps_its_name_and_number_and_no_number_is_given_twice() -> None:
    old = listing(("a", 0, 100), ("b", 1, 200))
    new = listing(("x", 0, 50), ("a [1]", 1, 100), ("b", 2, 200), ("y", 6, 300))

    found = merged(old, new)

    assert list(found) == ["a", "b", "x", "y"]
    assert (found["a"], found["b"]) == (old["a"], old["b"])
    assert len({node.inode for node in found.values()}) == 4


def test_a_name_that_is_taken_is_told_apart() -> None:
    old = listing(("0001.dcm", 0, 100))
    new = listing(("0001.dcm", 0, 50), ("0001 [2].dcm", 1, 100))

    found = merged(old, new)

    assert found["0001.dcm"] is old["0001.dcm"]
    assert len(found) == 2


def test_a_number_that_came_to_mean_another_record_is_noticed() -> None:
    [before] = listing(("a", 0, 100)).values()
    [after] = listing(("a", 0, 200)).values()

    assert before.is_same(before)
    assert not before.is_same(after)


def test_what_files_have_in_common_is_kept_once(tmp_path: Path) -> None:
    large_dicomdir(tmp_path, records=2 + 2 * 41, images_per_series=40, files=True)

    with opened(tmp_path) as tree:
        shown = [
            node for _, node in walk(tree, tree.root) if isinstance(node, Instance)
        ]

    assert len(shown) == 80
    assert len({id(file.name) for file in shown}) == 40
    for each in (shown[:40], shown[40:]):
        numbers = [(f.size, f.mtime_ns, f.changed_ns) for f in each]
        together = [number for three in numbers for number in three]
        assert len(set(map(id, together))) == len(set(together)) < len(together)
