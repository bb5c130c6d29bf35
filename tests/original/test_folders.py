"""The folders of the disc in good order, as a front end walks them."""

import io
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

import dicomfs
from dicomfs.fileset.open import file_sets_of
from dicomfs.fileset.scan import scanned
from dicomfs.findings import Findings
from dicomfs.media.opening import open_sources
from dicomfs.original.adding import Original
from dicomfs.tree.identity import ROOT_INODE
from dicomfs.tree.node import FolderNode, Node
from dicomfs.tree.tree import Tree
from tests.build.breakage import Usual
from tests.build.medium import image, patient, series, study, write_medium
from tests.support.trees import SAMPLES, CountingMedium, opened, walk


def shown(root: FolderNode) -> dict[str, Node]:
    """Return the files below *root* by their paths."""
    return {path: node for path, node in walk(root) if not node.is_folder}


def bytes_of(node: Node) -> bytes:
    assert not node.is_folder
    source = node.open()
    try:
        return source.read_at(0, source.size)
    finally:
        source.close()


@pytest.fixture
def sample() -> Iterator[Tree]:
    """Open the sample medium."""
    with opened(SAMPLES) as tree:
        yield tree


def test_each_instance_lies_under_its_file_id_with_its_bytes(sample: Tree) -> None:
    files = shown(Original(sample, sample.file_sets[:1]).as_root())

    listed = {
        "/".join(each.ReferencedFileID)
        for each in pydicom.dcmread(SAMPLES / "DICOMDIR").DirectoryRecordSequence
        if "ReferencedFileID" in each
    }
    assert files.keys() == listed | {"DICOMDIR"}
    for path in listed:
        assert bytes_of(files[path]) == (SAMPLES / path).read_bytes()


def test_sizes_are_right_before_anything_is_opened(sample: Tree) -> None:
    files = shown(Original(sample, sample.file_sets[:1]).as_root())

    sizes = {path: node.size for path, node in files.items() if not node.is_folder}

    assert sizes == {path: len(bytes_of(node)) for path, node in files.items()}


def test_every_node_has_a_number_of_its_own(sample: Tree) -> None:
    parent = sample.root
    root = Original(sample, sample.file_sets[:1]).beside(parent)

    numbers = [node.inode for _, node in walk(root)]
    others = {node.inode for _, node in walk(sample.root)}

    assert len(set(numbers)) == len(numbers)
    assert not others.intersection(numbers)
    assert ROOT_INODE not in numbers


def test_the_numbers_are_the_same_on_the_next_mount(sample: Tree) -> None:
    with opened(SAMPLES) as again:
        one, other = (
            {path: node.inode for path, node in walk(each)}
            for each in (
                Original(sample, sample.file_sets[:1]).as_root(),
                Original(again, again.file_sets[:1]).as_root(),
            )
        )

    assert one == other


def test_a_folder_that_was_given_up_comes_out_the_same(sample: Tree) -> None:
    root = Original(sample, sample.file_sets[:1]).as_root()
    before = shown(root)

    after = shown(root)

    assert before.keys() == after.keys()
    assert all(each.is_same(before[path]) for path, each in after.items())


def test_nothing_is_read_until_somebody_looks_into_it() -> None:
    medium = CountingMedium(SAMPLES)
    with opened(medium) as tree:
        original = Original(tree, tree.file_sets[:1])
        before = medium.opened, tree.listed

        root = original.beside(tree.root)

        assert root.children_cached() is None
        assert (medium.opened, tree.listed) == before


def test_of_several_media_each_has_a_folder(tmp_path: Path) -> None:
    discs = []
    for number in (1, 2):
        disc = tmp_path / f"disc{number}"
        disc.mkdir()
        slices = [image(f"1.2.3.{number}", file="DICOM/I1")]
        one = study("1.2", [series("1.2.3", slices)])
        write_medium(disc, [patient("Doe^Jane", "1", [one])])
        discs.append(disc)
    file_sets = file_sets_of(open_sources(discs), Findings())
    tree = Tree(file_sets, read_headers=True)

    files = shown(Original(tree, file_sets).as_root())

    assert files.keys() == {
        f"disc{number}/{path}" for number in (1, 2) for path in ("DICOM/I1", "DICOMDIR")
    }
    for number in (1, 2):
        instance = pydicom.dcmread(discs[number - 1] / "DICOM/I1")
        assert instance.SOPInstanceUID == f"1.2.3.{number}"
        assert (
            bytes_of(files[f"disc{number}/DICOM/I1"])
            == (discs[number - 1] / "DICOM/I1").read_bytes()
        )


def test_a_scanned_medium_gets_file_ids_that_the_standard_allows(
    tmp_path: Path,
) -> None:
    write_medium(tmp_path, Usual().roots)
    (tmp_path / "DICOMDIR").unlink()
    file_sets = scanned(CountingMedium(tmp_path), Findings())
    tree = Tree(file_sets, read_headers=True)

    files = shown(Original(tree, file_sets).as_root())

    data = pydicom.dcmread(io.BytesIO(bytes_of(files["DICOMDIR"])))
    listed = {
        "/".join(each.ReferencedFileID)
        for each in data.DirectoryRecordSequence
        if "ReferencedFileID" in each
    }
    assert len(listed) == 10
    assert files.keys() == listed | {"DICOMDIR"}
    assert all(
        path == "DICOMDIR" or path.startswith("DICOMFS/00000001/") for path in files
    )


def test_what_could_not_be_kept_is_said_on_a_page(tmp_path: Path) -> None:
    lost = image("1.2.3.4", path=None)
    one = study("1.2", [series("1.2.3", [lost])])
    write_medium(tmp_path, [patient("Doe^Jane", "4711", [one])])
    with opened(tmp_path) as tree:
        original = Original(tree, tree.file_sets[:1])
        original.as_root()

        page = original.page().decode()

    assert page.splitlines() == [
        "the DICOMDIR lists 1 instance",
        "1 instance listed and missing on the medium",
    ]
    assert "Doe" not in page


def test_of_several_sources_the_page_says_which_folder_is_which(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "disc").mkdir(parents=True)
        write_medium(tmp_path / name / "disc", Usual().roots)
    with dicomfs.open(tmp_path / "one/disc", tmp_path / "two/disc") as both:
        tree = both._tree
        original = Original(tree, tree.file_sets)
        folders = [*original.beside(tree.root).children()]

        page = original.page().decode()

    assert len({*folders}) == 2
    told = [line for line in page.splitlines() if line.endswith(":")]
    assert {line.partition(" is ")[0] for line in told} == {*folders}
    assert [line.partition(" is ")[2] for line in told] == [
        f"{tmp_path}/{name}/disc:" for name in ("one", "two")
    ]


def test_of_a_scan_the_page_speaks_of_no_records(tmp_path: Path) -> None:
    write_medium(tmp_path, Usual().roots)
    with dicomfs.open(tmp_path, scan=True) as scanned:
        tree = scanned._tree
        original = Original(tree, tree.file_sets)
        original.beside(tree.root)

        page = original.page().decode()

    assert page.splitlines() == [
        "the DICOMDIR lists 10 instances",
        "it was made of the headers of the files: no record was read",
    ]
