"""File-sets: their records, and the files that they reference."""

import pytest
from pydicom import uid

from dicomfs.dicom import tags
from dicomfs.errors import DirectoryError, FileIdError
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.fileset.fileset import FileSet, Item
from dicomfs.findings import Kind
from tests.build.medium import (
    Record,
    build_dicomdir,
    build_layout,
    image,
    instance_bytes,
    leaf,
    patient,
    record,
    series,
    study,
)
from tests.conftest import ExpectLog
from tests.support.trees import FakeMedium

INDEX = build_dicomdir([patient("Doe^Jane", "1")])


def test_an_empty_directory_is_a_file_set() -> None:
    [file_set] = open_file_sets(FakeMedium({"DICOMDIR": build_dicomdir([])}))

    assert file_set.roots == []


def test_file_sets_are_known_by_their_content_and_not_by_their_place() -> None:
    medium = FakeMedium({"A/DICOMDIR": INDEX, "B/DICOMDIR": build_dicomdir([])})
    again = FakeMedium({"DICOMDIR": INDEX})

    one, other = open_file_sets(medium)
    [same] = open_file_sets(again)

    assert one.identity == same.identity
    assert one.identity != other.identity


def test_files_are_sought_beside_their_dicomdir() -> None:
    medium = FakeMedium({"CD/DICOMDIR": INDEX, "CD/dicom/i1": b"123", "DICOM/I1": b""})
    [file_set] = open_file_sets(medium)

    [found] = file_set.locate_all([b"DICOM\\I1"])

    assert not isinstance(found, Exception)
    place, status = found
    assert place == (b"CD", b"dicom", b"i1")
    assert status.size == 3


def test_a_file_id_that_leads_out_is_refused() -> None:
    [file_set] = open_file_sets(FakeMedium({"CD/DICOMDIR": INDEX, "secret": b""}))

    [found] = file_set.locate_all([b"..\\secret"])

    assert isinstance(found, FileIdError)


def test_a_broken_entity_is_logged_without_names(expect_log: ExpectLog) -> None:
    expect_log(r"a link leads to no record: PATIENT at offset \d+; the chain")
    medium = [patient("Secret^Name", "4711", next=77)]
    [file_set] = open_file_sets(FakeMedium({"DICOMDIR": build_dicomdir(medium)}))

    [root] = file_set.roots

    assert len([*file_set.children(root)]) == 1


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


def header_of(roots: list[Record], files: dict[str, bytes]) -> str | None:
    """Return the description that is found below the first of *roots*."""
    medium = FakeMedium({"DICOMDIR": build_dicomdir(roots), **files})
    [file_set] = open_file_sets(medium)
    first = next(file_set.children(file_set.roots[0]))
    header = file_set.header(first.record)
    return None if header is None else header.text(tags.SERIES_DESCRIPTION)


GOOD = instance_bytes(SeriesDescription="Lung")
BAD = b"no DICOM at all" * 20


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"I1": GOOD, "I2": GOOD}, "Lung"),
        ({"I1": BAD, "I2": GOOD}, "Lung"),
        ({"I2": GOOD}, "Lung"),
        ({"I1": BAD, "I2": BAD, "I3": GOOD}, None),
        ({}, None),
    ],
    ids=["first", "second", "first-missing", "not-the-third", "all-missing"],
)
def test_the_header_is_that_of_the_first_instance_or_else_the_second(
    files: dict[str, bytes], expected: str | None
) -> None:
    images = [image(f"1.{n}", file=f"I{n}") for n in (1, 2, 3)]

    assert header_of([series("1", images)], files) == expected


def test_the_header_is_sought_below_records_without_a_file() -> None:
    nested = record("PRIVATE", [record("PRIVATE", [image("1.1", file="I1")])])

    assert header_of([study("1", [nested])], {"I1": GOOD}) == "Lung"


def test_the_header_of_a_record_with_a_file_is_its_own() -> None:
    below = image("1.2", file="I2")
    above = image("1.1", [below], file="I1")
    other = instance_bytes(SeriesDescription="other")

    assert header_of([above], {"I1": GOOD, "I2": other}) == "Lung"


def test_a_loop_above_the_instances_ends() -> None:
    child = record("PRIVATE")
    parent = record("PRIVATE", [child])
    child.lower = parent

    assert header_of([parent], {}) is None


def test_the_header_of_a_deflated_instance_is_read() -> None:
    data = instance_bytes(
        SeriesDescription="Lung", syntax=uid.DeflatedExplicitVRLittleEndian
    )

    assert header_of([image("1.1", file="I1")], {"I1": data}) == "Lung"


def test_a_record_that_is_none_is_an_error() -> None:
    [file_set] = open_file_sets(FakeMedium({"DICOMDIR": INDEX}))

    with pytest.raises(DirectoryError):
        file_set.record(1)


def test_the_time_of_a_file_set_is_that_of_its_dicomdir() -> None:
    [file_set] = open_file_sets(FakeMedium({"DICOMDIR": INDEX}))

    assert file_set.mtime_ns == 0
