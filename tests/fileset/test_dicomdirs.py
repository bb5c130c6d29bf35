"""The DICOMDIRs of a medium: where they lie, and why one is of no use."""

import pytest

from dicomfs.cli.exits import complaint
from dicomfs.errors import Failure, Problem
from dicomfs.fileset.dicomdirs import find_dicomdirs, open_file_sets
from tests.build.medium import build_dicomdir, build_layout, instance_bytes, patient
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
    ("files", "problem"),
    [
        ({"README.TXT": b""}, Problem.NO_DICOMDIR),
        ({}, Problem.NO_DICOMDIR),
        ({"DICOMDIR": b""}, Problem.DICOMDIR_EMPTY),
        ({"DICOMDIR": b"text" * 100}, Problem.NOT_DICOM),
        ({"DICOMDIR": instance_bytes()}, Problem.NOT_DICOM),
        ({"DICOMDIR": BROKEN}, Problem.DICOMDIR_BROKEN),
    ],
    ids=["none", "empty-medium", "empty", "text", "instance", "cut-off"],
)
def test_a_medium_without_a_good_dicomdir_fails_with_its_own_code(
    files: dict[str, bytes], problem: Problem
) -> None:
    with pytest.raises(Failure) as caught:
        open_file_sets(FakeMedium(files))

    assert caught.value.problem is problem
    assert all(complaint(caught.value))


@pytest.mark.parametrize("place", ["", "DICOMDIR"], ids=["folder", "dicomdir"])
def test_a_medium_that_cannot_be_read_fails_with_its_own_code(place: str) -> None:
    medium = FakeMedium({"DICOMDIR": INDEX}, {place: OSError(5, "Input/output error")})

    with pytest.raises(Failure, match="cannot be read") as caught:
        open_file_sets(medium)

    assert caught.value.problem is Problem.SOURCE_UNREADABLE


def test_the_dicomdir_that_was_named_is_opened_and_no_other() -> None:
    medium = FakeMedium(
        {"DICOMDIR": INDEX, "OTHER": build_dicomdir([]), "OTHER.BAK": b""}
    )

    [file_set] = open_file_sets(medium, b"OTHER")

    assert file_set.roots == []


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
