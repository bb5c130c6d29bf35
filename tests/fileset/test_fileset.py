"""File-sets: their records, and the files that they reference."""

import pytest
from pydicom import uid

from dicomfs.dicom import tags
from dicomfs.dicom.uids import DIRECTORY
from dicomfs.errors import DirectoryError, FileIdError
from dicomfs.fileset.dicomdirs import open_file_sets
from tests.build.medium import (
    INACTIVE,
    Record,
    build_dicomdir,
    image,
    instance_bytes,
    patient,
    record,
    series,
    study,
)
from tests.conftest import ExpectLog
from tests.support.trees import CountingFake, FakeMedium

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


def header_of(roots: list[Record], files: dict[str, bytes]) -> str | None:
    """Return the description that is found below the first of *roots*."""
    medium = FakeMedium({"DICOMDIR": build_dicomdir(roots), **files})
    [file_set] = open_file_sets(medium)
    first = next(file_set.children(file_set.roots[0]))
    headers = (header for _, header in file_set.headers(first.record))
    return next((each.text(tags.SERIES_DESCRIPTION) for each in headers), None)


GOOD = instance_bytes(SeriesDescription="Lung")
BAD = b"no DICOM at all" * 20


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"I1": GOOD, "I2": GOOD}, "Lung"),
        ({"I1": BAD, "I2": GOOD}, "Lung"),
        ({"I2": GOOD}, "Lung"),
        ({"I3": GOOD}, "Lung"),
        ({"I1": BAD, "I3": GOOD}, "Lung"),
        ({"I1": BAD, "I2": BAD, "I3": GOOD}, None),
        ({}, None),
    ],
    ids=[
        *("first", "second", "first-missing", "two-missing", "bad-and-missing"),
        *("not-the-third", "all-missing"),
    ],
)
def test_the_header_is_that_of_the_first_instance_there_is_or_else_the_second(
    files: dict[str, bytes], expected: str | None
) -> None:
    images = [image(f"1.{n}", file=f"I{n}") for n in (1, 2, 3)]

    assert header_of([series("1", images)], files) == expected


def test_not_all_files_of_a_series_that_is_missing_are_sought() -> None:
    images = [image(f"1.{n}", file=f"I{n}") for n in range(1, 201)]

    assert header_of([series("1", images)], {"I200": GOOD}) is None


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


def test_an_item_opens_what_it_leads_to_only_when_somebody_asks() -> None:
    leading = study("1", ReferencedSOPClassUIDInFile=DIRECTORY)
    leading.file = "DIRFILE"
    below = build_dicomdir([series("1.1", [image("1.1.1", file="I1")])])
    jane = patient("Doe^Jane", "1", [leading])
    medium = CountingFake({"DICOMDIR": build_dicomdir([jane]), "DIRFILE": below})
    [file_set] = open_file_sets(medium)

    [root] = file_set.roots
    [first] = file_set.children(root)
    [item] = file_set.children(first.below[0])
    assert medium.opened == ["DICOMDIR"]

    [part] = item.below
    assert "DIRFILE" in medium.opened
    assert part.file_set is item.nested
    assert part.file_set.family == [part.file_set]
    assert file_set.family == [file_set, part.file_set]
    assert [each.record.type for each in part.file_set.children(part)] == ["SERIES"]


def test_records_below_have_the_character_sets_of_those_above() -> None:
    jane = patient("Doe^Jane", "1", [study("1")], SpecificCharacterSet="ISO_IR 100")
    [file_set] = open_file_sets(FakeMedium({"DICOMDIR": build_dicomdir([jane])}))

    [root] = file_set.roots
    [above] = file_set.children(root)
    [item] = file_set.children(above.below[0])

    assert item.attributes.inherited[:1] == (b"ISO_IR 100",)


def test_everything_is_there_whatever_links_to_it() -> None:
    gone = image("1.1", file="I1")
    gone.in_use = INACTIVE
    lost = image("1.2", file="I2")
    jane = patient("Doe^Jane", "1", [gone])
    data = build_dicomdir([jane], unlinked=[lost])
    [file_set] = open_file_sets(FakeMedium({"DICOMDIR": data}))

    items = [*file_set.everything()]

    assert [item.record.in_use for item in items] == [True, False, True]
    assert [item.file_id for item in items] == [b"", b"I1", b"I2"]
