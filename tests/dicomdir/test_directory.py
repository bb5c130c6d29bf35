"""A DICOMDIR, read lazily along its links."""

from pathlib import Path
from typing import Unpack

import pydicom
import pytest
from pydicom import uid

from dicomfs.dicom import tags
from dicomfs.dicom.element import EXPLICIT_LITTLE
from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.record import DirectoryRecord
from dicomfs.errors import DirectoryError, NotDicomError
from dicomfs.source.source import BytesSource
from tests.build.medium import (
    INACTIVE,
    Options,
    Record,
    breadth_first,
    build_dicomdir,
    build_layout,
    icon,
    image,
    instance_bytes,
    large_dicomdir,
    patient,
    record,
    series,
    study,
)
from tests.support.trees import SAMPLES, CountingSource

BLOCK = 64 * 1024


def patients(*ids: str) -> list[Record]:
    return [patient("Doe", each) for each in ids]


def directory_of(medium: list[Record], **options: Unpack[Options]) -> Directory:
    return Directory(BytesSource(build_dicomdir(medium, **options)))


def ids(directory: Directory, first: int | None = None) -> list[str]:
    """Return the Patient IDs in an entity, and "error" where it breaks."""
    found = []
    try:
        for each in directory.entity(directory.header.root if first is None else first):
            found.append(each.attributes.text(tags.PATIENT_ID))  # noqa: PERF401 - it may raise
    except DirectoryError:
        found.append("error")
    return found


def follow(directory: Directory, first: int) -> list[DirectoryRecord]:
    """Return all records that the links lead to, depth first."""
    found = []
    for each in directory.entity(first):
        found.append(each)
        found += follow(directory, each.lower)
    return found


def test_the_header_is_read() -> None:
    layout = build_layout(
        patients("1"),
        meta={"MediaStorageSOPInstanceUID": "1.2.3"},
        top_level={"FileSetID": "MY CD"},
    )

    header = Directory(BytesSource(layout.data)).header

    assert header.syntax is EXPLICIT_LITTLE
    assert header.file_set_uid == b"1.2.3"
    assert header.file_set_id == b"MY CD"
    assert header.root == next(iter(layout.offsets.values()))


@pytest.mark.parametrize(
    ("options"),
    [
        Options(),
        Options(explicit=False),
        Options(little_endian=False),
        Options(undefined_sequences=True, undefined_items=True),
        Options(prefix=b"", meta=None),
        Options(meta=None),
        Options(trailing=bytes(2048)),
        Options(record_order=lambda records: reversed(records)),
        Options(record_order=breadth_first),
        Options(meta={"FileMetaInformationGroupLength": 7}),
        Options(meta={"TransferSyntaxUID": uid.ImplicitVRLittleEndian}),
        Options(meta={"MediaStorageSOPClassUID": "1.2.276.0.7230010.3.1.0.1"}),
        Options(last=4711),
        Options(sequence_length_error=1000),
        Options(sequence_length_error=-40),
    ],
    ids=[
        *("default", "implicit", "big", "undefined", "bare", "no-meta", "padded"),
        *("reversed", "breadth-first", "group-length", "wrong-syntax", "dcmtk-366"),
        *("wrong-last", "sequence-too-long", "sequence-too-short"),
    ],
)
def test_the_root_entity_is_followed_whatever_the_form(options: Options) -> None:
    assert ids(directory_of(patients("1", "2", "3"), **options)) == ["1", "2", "3"]


def test_only_the_links_make_the_tree() -> None:
    medium = [
        patient("A", "1", [study("1.1", [series("1.1.1", [image("1.1.1.1")])])]),
        patient("B", "2", [study("2.1"), study("2.2")]),
    ]
    forward = directory_of(medium)
    backward = directory_of(medium, record_order=lambda each: reversed(each))

    types = [each.type for each in follow(forward, forward.header.root)]

    assert types == ["PATIENT", "STUDY", "SERIES", "IMAGE", "PATIENT", "STUDY", "STUDY"]
    assert types == [each.type for each in follow(backward, backward.header.root)]


def test_an_empty_directory_has_no_root() -> None:
    directory = directory_of([])

    assert directory.header.root == 0
    assert ids(directory) == []


def test_an_inactive_record_is_only_a_link() -> None:
    medium = patients("1", "2", "3")
    medium[1].in_use = INACTIVE

    assert ids(directory_of(medium)) == ["1", "3"]


def test_a_root_of_inactive_records_only_is_empty() -> None:
    medium = patients("1", "2")
    for each in medium:
        each.in_use = INACTIVE

    assert ids(directory_of(medium)) == []


LOOPS = pytest.mark.parametrize(
    ("last", "back_to"), [(0, 0), (1, 1), (2, 0), (2, 1)], ids=str
)


@LOOPS
def test_a_loop_is_an_error_behind_the_good_records(last: int, back_to: int) -> None:
    medium = patients("1", "2", "3")
    medium[last].next = medium[back_to]

    assert ids(directory_of(medium)) == [*"123"[: last + 1], "error"]


def test_a_loop_of_inactive_records_ends() -> None:
    medium = patients("1", "2")
    medium[1].in_use = INACTIVE
    medium[1].next = medium[1]

    assert ids(directory_of(medium)) == ["1", "error"]


@pytest.mark.parametrize(
    "link", [1, 140, 10**6, 0xFFFFFFFE], ids=["1", "meta", "outside", "huge"]
)
def test_a_dangling_link_is_an_error_behind_the_good_records(link: int) -> None:
    medium = patients("1", "2")
    medium[1].next = link

    assert ids(directory_of(medium)) == ["1", "2", "error"]


def test_a_lower_entity_that_dangles_harms_no_other() -> None:
    medium = patients("1", "2")
    medium[0].lower = 77

    assert ids(directory_of(medium)) == ["1", "2"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not in DICOM format"),
        (b"#!/bin/sh\n" * 30, "not in DICOM format"),
        (instance_bytes(), "no directory"),
        (instance_bytes(syntax=uid.JPEGBaseline8Bit), "no directory"),
        (bytes.fromhex("308006092a864886f70d010703") + bytes(600), "not in DICOM"),
    ],
    ids=["empty", "script", "instance", "jpeg", "encrypted"],
)
def test_what_is_no_directory_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(NotDicomError, match=message):
        Directory(BytesSource(data))


def test_a_deflated_directory_is_refused() -> None:
    deflated = {"TransferSyntaxUID": uid.DeflatedExplicitVRLittleEndian}

    with pytest.raises(DirectoryError, match="deflated"):
        directory_of([], meta=deflated)


def test_a_header_without_an_end_is_refused() -> None:
    data = build_dicomdir([])[:-12] + b"\x04\0\x05\x12SQ\0\0" + b"\xff" * 4

    with pytest.raises(DirectoryError, match="header is damaged"):
        Directory(BytesSource(data))


@pytest.mark.slow
@pytest.mark.parametrize("records", [1_000, 100_000])
def test_opening_reads_the_header_and_the_root_whatever_the_size(
    tmp_path: Path, records: int
) -> None:
    large_dicomdir(tmp_path, records=records, patients=10)
    source = CountingSource((tmp_path / "DICOMDIR").read_bytes())

    Directory(source)

    assert source.bytes_read <= 3 * BLOCK


@pytest.mark.slow
def test_opening_costs_the_same_whatever_the_size(tmp_path: Path) -> None:
    costs = []
    for records in (1_000, 100_000):
        large_dicomdir(tmp_path / str(records), records=records, patients=10)
        source = CountingSource((tmp_path / str(records) / "DICOMDIR").read_bytes())
        Directory(source)
        costs.append((len(source.reads), source.bytes_read))

    assert costs[0] == costs[1]


def test_an_entity_costs_its_own_chain_and_nothing_else(tmp_path: Path) -> None:
    large_dicomdir(tmp_path, records=50_000, patients=5)
    source = CountingSource((tmp_path / "DICOMDIR").read_bytes())
    directory = Directory(source)
    before = source.bytes_read

    found = list(directory.entity(directory.header.root))

    assert len(found) == 5
    assert source.bytes_read - before <= 5 * BLOCK


def test_records_that_lie_together_are_read_together() -> None:
    medium = [patient("Doe", f"{n:06}") for n in range(1000)]
    source = CountingSource(build_dicomdir(medium))
    directory = Directory(source)
    before = len(source.reads)

    found = list(directory.entity(directory.header.root))

    assert len(found) == 1000
    assert len(source.reads) - before <= 1 + source.size // (BLOCK // 2)


def test_icons_cost_nothing_but_what_lies_in_the_same_block() -> None:
    images = [image(f"1.{n}", IconImageSequence=icon(512)) for n in range(20)]
    source = CountingSource(build_dicomdir(images))
    directory = Directory(source)
    before = source.bytes_read

    assert len(list(directory.entity(directory.header.root))) == 20

    assert source.bytes_read - before <= 21 * BLOCK < source.size


def test_a_directory_is_known_by_its_bytes() -> None:
    one = build_dicomdir(patients("1"))
    other = build_dicomdir(patients("2"))

    assert Directory(BytesSource(one)).identity == Directory(BytesSource(one)).identity
    assert (
        Directory(BytesSource(one)).identity != Directory(BytesSource(other)).identity
    )


@pytest.mark.parametrize(
    "name",
    [
        *("DICOMDIR", "DICOMDIR-implicit", "DICOMDIR-bigEnd", "DICOMDIR-reordered"),
        *("DICOMDIR-nooffset", "DICOMDIR-empty.dcm", "TINY_ALPHA/DICOMDIR"),
    ],
)
def test_the_samples_are_followed_to_the_same_records_as_pydicom_reads(
    name: str,
) -> None:
    path = SAMPLES / name
    directory = Directory(BytesSource(path.read_bytes()))
    dataset = pydicom.dcmread(path)

    found = follow(directory, directory.header.root)

    expected = dataset.DirectoryRecordSequence
    assert sorted(each.offset for each in found) == sorted(
        item.seq_item_tell for item in expected
    )
    assert sorted(each.type for each in found) == sorted(
        item.DirectoryRecordType for item in expected
    )


def test_a_record_of_any_type_may_stand_in_the_root() -> None:
    directory = directory_of([record("PALETTE"), record("FOO"), image("1.2")])

    found = list(directory.entity(directory.header.root))

    assert [each.type for each in found] == ["PALETTE", "FOO", "IMAGE"]
