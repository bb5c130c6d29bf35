"""Finding what is in a tree by its UID."""

from pathlib import Path

import pytest

from dicomfs.catalogue.byuid import ByUid, Uids
from dicomfs.tree.node import Fixed
from dicomfs.tree.selection import Instance, Selection
from dicomfs.tree.tree import Tree
from tests.build.medium import image, patient, series, study, write_medium
from tests.support.trees import SAMPLES, opened, walk


def known_in(tree: Tree) -> list[tuple[str, bytes]]:
    """Return the path and UID of all that has one."""
    nodes = [
        (path, node)
        for path, node in walk(tree.root)
        if isinstance(node, Instance | Selection)
    ]
    return [(path, node.uid) for path, node in nodes if node.uid]


def folder_of(tree: Tree) -> ByUid:
    """Return the folder by-uid in the hidden folder of *tree*."""
    return ByUid(tree, Fixed(5, ".dicomfs", tree.root, 0))


def test_each_study_series_and_instance_is_found_by_its_uid() -> None:
    with opened(SAMPLES) as tree:
        uids = Uids(tree)
        known = known_in(tree)

        assert len({uid for _, uid in known}) == 6 + 13 + 31
        for path, uid in known:
            assert uids.path(uid) == path


def test_a_link_leads_to_the_place_from_where_it_is() -> None:
    with opened(SAMPLES) as tree:
        path, uid = known_in(tree)[-1]
        folder = folder_of(tree)
        link = folder.lookup(uid.decode())
        again = folder.lookup(uid.decode())

    assert link is not None
    assert link.target == f"../../{path}"
    assert link.size == len(link.target.encode())
    assert link.is_same(again)
    with pytest.raises(OSError, match="symbolic"):
        link.open()


@pytest.mark.parametrize("name", ["1.2.3", "", "report.txt", "é"])
def test_what_nothing_is_called_is_not_found(name: str) -> None:
    with opened(SAMPLES) as tree:
        assert folder_of(tree).lookup(name) is None


def test_nothing_is_listed_and_nothing_looked_into_before_somebody_asks() -> None:
    with opened(SAMPLES) as tree:
        folder = folder_of(tree)

        assert (dict(folder.children()), tree.listed) == ({}, 0)
        folder.lookup("1.2.3")
        once = tree.listed
        folder.lookup("1.2.4")
        assert tree.listed == once > 0


def test_of_several_with_one_uid_the_first_is_found(tmp_path: Path) -> None:
    lungs = series("1.1.1", [image("1.1.1.1", number=1)])
    bones = series("1.1.2", [image("1.1.1.1", number=2)], number=2)
    write_medium(tmp_path, [patient("Doe", "1", [study("1.1", [lungs, bones])])])

    with opened(tmp_path) as tree:
        found = Uids(tree).path(b"1.1.1.1")

    assert found is not None
    assert "/001 CT/" in found
