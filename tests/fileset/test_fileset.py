"""File-sets: where their DICOMDIRs lie, and the files they reference."""

import pytest
from pydicom import uid

from dicomfs.dicom import tags
from dicomfs.dicomdir.record import DirectoryRecord
from dicomfs.errors import DirectoryError, Exit, Failure, FileIdError
from dicomfs.fileset.dicomdirs import find_dicomdirs, open_file_sets
from dicomfs.fileset.fileset import FileSet
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


def found(*paths: str) -> list[str]:
    medium = FakeMedium(dict.fromkeys(paths, INDEX))
    return [b"/".join(place).decode() for place in find_dicomdirs(medium)]


@pytest.mark.parametrize(
    "name",
    [
        *("DICOMDIR", "dicomdir", "DicomDir", "DICOMDIR.", "DICOMDIR;1"),
        *("DICOMDIR.;1", "dicomdir.;1"),
    ],
)
def test_a_dicomdir_is_found_whatever_its_spelling(name: str) -> None:
    assert found(name, "README.TXT", "DICOM/I1") == [name]


def test_the_exact_name_is_preferred() -> None:
    assert found("dicomdir", "DICOMDIR") == ["DICOMDIR"]


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_a_dicomdir_is_found_below_the_root(depth: int) -> None:
    path = "/".join([*"abc"[:depth], "DICOMDIR"])

    assert found(path, "x/README.TXT") == [path]


def test_a_dicomdir_deeper_than_that_is_not_sought() -> None:
    assert found("a/b/c/d/DICOMDIR") == []


def test_the_root_comes_first_and_then_nothing_else_is_sought() -> None:
    assert found("DICOMDIR", "a/DICOMDIR") == ["DICOMDIR"]


def test_all_of_the_first_level_that_has_any_are_found() -> None:
    paths = ["CD2/dicomdir", "CD1/DICOMDIR", "CD3/x/DICOMDIR", "CD4/README"]

    assert found(*paths) == ["CD1/DICOMDIR", "CD2/dicomdir"]


def test_a_medium_without_a_dicomdir_has_none() -> None:
    assert found("README.TXT", "DICOM/I1") == []


def test_a_folder_of_that_name_is_no_dicomdir() -> None:
    assert found("DICOMDIR/DICOMDIR", "DICOMDIR/I1") == ["DICOMDIR/DICOMDIR"]


def test_a_folder_that_may_not_be_read_is_passed_over() -> None:
    medium = FakeMedium(
        {"lost+found/x": b"", "CD/DICOMDIR": INDEX},
        {"lost+found": PermissionError(13, "Permission denied")},
    )

    assert find_dicomdirs(medium) == [(b"CD", b"DICOMDIR")]


CUT_OFF = build_layout([patient("Doe", "1")])
BROKEN = CUT_OFF.data[: min(CUT_OFF.offsets.values())]


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"README.TXT": b""}, Exit.NO_DICOMDIR),
        ({}, Exit.NO_DICOMDIR),
        ({"DICOMDIR": b""}, Exit.NOT_DICOM),
        ({"DICOMDIR": b"text" * 100}, Exit.NOT_DICOM),
        ({"DICOMDIR": instance_bytes()}, Exit.NOT_DICOM),
        ({"DICOMDIR": BROKEN}, Exit.DICOMDIR_BROKEN),
    ],
    ids=["none", "empty-medium", "empty", "text", "instance", "cut-off"],
)
def test_a_medium_without_a_good_dicomdir_fails_with_its_own_code(
    files: dict[str, bytes], code: Exit
) -> None:
    with pytest.raises(Failure) as caught:
        open_file_sets(FakeMedium(files))

    assert caught.value.exit_code is code
    assert caught.value.what
    assert caught.value.mend


@pytest.mark.parametrize("place", ["", "DICOMDIR"], ids=["folder", "dicomdir"])
def test_a_medium_that_cannot_be_read_fails_with_its_own_code(place: str) -> None:
    medium = FakeMedium({"DICOMDIR": INDEX}, {place: OSError(5, "Input/output error")})

    with pytest.raises(Failure, match="cannot be read") as caught:
        open_file_sets(medium)

    assert caught.value.exit_code is Exit.SOURCE_UNREADABLE


def test_the_dicomdir_that_was_named_is_opened_and_no_other() -> None:
    medium = FakeMedium(
        {"DICOMDIR": INDEX, "OTHER": build_dicomdir([]), "OTHER.BAK": b""}
    )

    [file_set] = open_file_sets(medium, b"OTHER")

    assert file_set.roots == []


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

    place, status = file_set.locate(b"DICOM\\I1")

    assert place == (b"CD", b"dicom", b"i1")
    assert status.size == 3


def test_a_file_id_that_leads_out_is_refused() -> None:
    [file_set] = open_file_sets(FakeMedium({"CD/DICOMDIR": INDEX, "secret": b""}))

    with pytest.raises(FileIdError):
        file_set.locate(b"..\\secret")


def test_a_broken_entity_is_logged_without_names(expect_log: ExpectLog) -> None:
    expect_log(r"a link leads to no record: PATIENT at offset \d+; the chain")
    medium = [patient("Secret^Name", "4711", next=77)]
    [file_set] = open_file_sets(FakeMedium({"DICOMDIR": build_dicomdir(medium)}))

    records = list(file_set.entity(file_set.roots[0]))

    assert len(records) == 1


def with_mrdr(offset: int | None = None) -> tuple[FileSet, DirectoryRecord]:
    """Return a record whose file is named by another one."""
    shared = record("MRDR", file="SHARED/I1", NumberOfReferences=2)
    user = leaf("IMAGE", "1.2.3", file=None)
    user["MRDRDirectoryRecordOffset"] = shared if offset is None else offset
    layout = build_layout([user], unlinked=[shared])
    [file_set] = open_file_sets(FakeMedium({"DICOMDIR": layout.data}))
    return file_set, file_set.record(layout.offsets[user])


def test_a_multi_referenced_record_lends_its_file() -> None:
    file_set, user = with_mrdr()

    assert file_set.file_id(user) == b"SHARED\\I1"


def test_a_multi_referenced_record_that_is_missing_lends_none() -> None:
    file_set, user = with_mrdr(13)

    assert file_set.file_id(user) == b""
    [finding] = file_set.findings.all()
    assert finding.kind is Kind.BROKEN_REFERENCE


def test_an_own_file_comes_before_that_of_a_multi_referenced_record() -> None:
    user = image("1.2.3", file="OWN/I1")
    user["MRDRDirectoryRecordOffset"] = 13
    layout = build_layout([user])
    [file_set] = open_file_sets(FakeMedium({"DICOMDIR": layout.data}))

    assert file_set.file_id(file_set.record(layout.offsets[user])) == b"OWN\\I1"


def header_of(roots: list[Record], files: dict[str, bytes]) -> str | None:
    """Return the description that is found below the first of *roots*."""
    medium = FakeMedium({"DICOMDIR": build_dicomdir(roots), **files})
    [file_set] = open_file_sets(medium)
    header = file_set.header(next(file_set.entity(file_set.roots[0])))
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


def test_one_broken_file_set_of_several_costs_only_itself(
    expect_log: ExpectLog,
) -> None:
    expect_log("one of several DICOMDIRs is unusable")
    medium = FakeMedium({"A/DICOMDIR": INDEX, "B/DICOMDIR": b"text" * 50})

    [file_set] = open_file_sets(medium)

    assert file_set.place == (b"A", b"DICOMDIR")


def test_two_copies_of_one_dicomdir_are_told_apart() -> None:
    medium = FakeMedium({"A/DICOMDIR": INDEX, "B/DICOMDIR": INDEX})

    one, other = open_file_sets(medium)

    assert one.identity != other.identity
