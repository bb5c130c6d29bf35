"""References: what file a record means, and what its header says."""

from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.fileset.fileset import FileSet, Item
from dicomfs.findings import Kind
from tests.build.medium import build_layout, image, leaf, record
from tests.support.trees import FakeMedium


def with_mrdr(offset: int | None = None) -> tuple[FileSet, Item]:
    """Return a File-set with a record whose file is named by another one."""
    shared = record("MRDR", file="SHARED/I1", NumberOfReferences=2)
    user = leaf("IMAGE", "1.2.3", file=None)
    user["MRDRDirectoryRecordOffset"] = shared if offset is None else offset
    layout = build_layout([user], unlinked=[shared])
    [file_set] = open_file_sets(FakeMedium({"DICOMDIR": layout.data}))
    return file_set, Item(file_set, file_set.record(layout.offsets[user]))


def test_a_multi_referenced_record_lends_its_file() -> None:
    _, user = with_mrdr()

    assert user.file_id == b"SHARED\\I1"


def test_a_multi_referenced_record_that_is_missing_lends_none() -> None:
    file_set, user = with_mrdr(13)

    assert user.file_id == b""
    [finding] = file_set.findings.all()
    assert finding.kind is Kind.BROKEN_REFERENCE


def test_an_own_file_comes_before_that_of_a_multi_referenced_record() -> None:
    user = image("1.2.3", file="OWN/I1")
    user["MRDRDirectoryRecordOffset"] = 13
    layout = build_layout([user])
    [file_set] = open_file_sets(FakeMedium({"DICOMDIR": layout.data}))

    [item] = file_set.children(file_set.roots[0])
    assert item.file_id == b"OWN\\I1"
