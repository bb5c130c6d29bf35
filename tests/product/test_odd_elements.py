"""Media on which an element is not encoded as it should be: it costs no other one.

Each kind stands for what was reported of other DICOM software. An odd element stands in
every record, or in the header of every file; the names are those of a sound medium, by
index and by scan, and a check accuses nobody of what is not so.
"""

import struct
from pathlib import Path
from typing import Final

import pytest

from dicomfs.check.check import check
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.fileset.scan import scanned
from dicomfs.findings import Findings, Kind
from dicomfs.tree.tree import Tree
from tests.build.medium import (
    UNDEFINED_LENGTH,
    Raw,
    Record,
    image,
    patient,
    series,
    study,
    write_medium,
)
from tests.support.trees import CountingMedium, walk

_INNER: Final = b"\x08\0\x50\x11UI\x04\x001.2 "
_ITEM: Final = struct.pack("<HHL", 0xFFFE, 0xE000, len(_INNER)) + _INNER
_OPEN_ITEM: Final = struct.pack("<HHL", 0xFFFE, 0xE000, UNDEFINED_LENGTH) + _INNER
_END_OF_ITEM: Final = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
_END_OF_SEQUENCE: Final = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
_LONG: Final = b"\0\0\x04\0\0\0abcd"

# What stands at (0009,1001) in front of the patient's and all other keys.
ODD: Final = {
    "VR of hyphens": Raw("--", b"abcd"),
    "VR of question marks": Raw("??", b"abcd"),
    "VR of NULs": Raw("\0\0", b"abcd"),
    "VR of blanks": Raw("  ", b"abcd"),
    "VR in small letters": Raw("lo", b"abcd"),
    "unknown VR with a long length": Raw("??", _LONG[2:], 0),
    "short VR with a long length": Raw("LO", _LONG[2:], 0),
    "text shorter than it says": Raw("LO", b"abcd", 6),
    "text longer than it says": Raw("LO", b"abcdef", 4),
    "sequence without items and end": Raw("SQ", b"", UNDEFINED_LENGTH),
    "sequence without end": Raw("SQ", _ITEM, UNDEFINED_LENGTH),
    "item without end": Raw("SQ", _OPEN_ITEM + _END_OF_SEQUENCE, UNDEFINED_LENGTH),
    "sequence that ends as an item": Raw("SQ", _ITEM + _END_OF_ITEM, UNDEFINED_LENGTH),
    "delimiter behind an item that has ended": Raw(
        "SQ", _ITEM + _END_OF_ITEM + _END_OF_SEQUENCE, UNDEFINED_LENGTH
    ),
    "delimiter behind an empty sequence": Raw("SQ", _END_OF_SEQUENCE, 0),
    "delimiter behind a sequence of its length": Raw(
        "SQ", _ITEM + _END_OF_SEQUENCE, len(_ITEM)
    ),
    "UN that holds explicit elements": Raw(
        "UN", _OPEN_ITEM + _END_OF_ITEM + _END_OF_SEQUENCE, UNDEFINED_LENGTH
    ),
    "sequence in the other byte order": Raw(
        "SQ",
        struct.pack(">HHL", 0xFFFE, 0xE000, UNDEFINED_LENGTH)
        + struct.pack(">HH2sH", 8, 0x1150, b"UI", 4)
        + b"1.2 "
        + struct.pack(">HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0),
        UNDEFINED_LENGTH,
    ),
}
_TAG: Final = 0x00091001
KINDS = pytest.mark.parametrize("odd", ODD.values(), ids=ODD)


def disc() -> list[Record]:
    images = [
        image(f"1.1.1.{number}", InstanceNumber=str(number)) for number in (1, 2, 3)
    ]
    made = series("1.1.1", images, SeriesDescription="Lung")
    return [patient("Doe^Jane", "12345", [study("1.1", [made], description="Thorax")])]


def records(medium: list[Record]) -> list[Record]:
    below = [each for one in medium for each in records(one.children)]
    return [*medium, *below]


def names(root: Path, *, scan: bool = False) -> list[str]:
    medium = CountingMedium(root)
    try:
        findings = Findings()
        file_sets = scanned(medium, findings) if scan else open_file_sets(medium)
        tree = Tree(file_sets, read_headers=True)
        tree.check_links()
        return [path for path, _ in walk(tree.root)]
    finally:
        medium.close()


def kinds_found(root: Path) -> set[Kind]:
    medium = CountingMedium(root)
    try:
        return {each.kind for each in check(open_file_sets(medium)).findings}
    finally:
        medium.close()


@pytest.fixture
def sound(tmp_path: Path) -> list[str]:
    write_medium(tmp_path / "sound", disc())
    return names(tmp_path / "sound")


@KINDS
def test_an_odd_element_in_every_record_costs_no_name(
    tmp_path: Path, sound: list[str], odd: Raw
) -> None:
    medium = disc()
    for each in records(medium):
        each.attributes[_TAG] = odd
    for each in records(medium)[3:]:
        each.header[_TAG] = Raw("LO", b"sound ")
    write_medium(tmp_path / "odd", medium)

    assert names(tmp_path / "odd") == sound


@KINDS
def test_an_odd_element_in_every_header_costs_no_name(
    tmp_path: Path, sound: list[str], odd: Raw
) -> None:
    medium = disc()
    for each in records(medium)[3:]:
        each.header[_TAG] = odd
    write_medium(tmp_path / "odd", medium)

    assert names(tmp_path / "odd") == sound
    assert names(tmp_path / "odd", scan=True) == names(tmp_path / "sound", scan=True)


@KINDS
def test_a_check_names_odd_elements_and_nothing_that_is_not_so(
    tmp_path: Path, odd: Raw
) -> None:
    medium = disc()
    for each in records(medium)[3:]:
        each.header[_TAG] = odd
    write_medium(tmp_path, medium)

    found = kinds_found(tmp_path)

    assert Kind.MALFORMED_FILE in found
    assert found.isdisjoint(
        {Kind.FILE_CUT_OFF, Kind.PATIENT_DISAGREES, Kind.UID_DISAGREES, Kind.NOT_DICOM}
    )


RUBBISH: Final = {
    "short": b"\0Qx",
    "long": b"\0" + bytes(range(128, 140)),
    "behind several NULs": b"\0\0\0 mit KM",
}


@pytest.mark.parametrize("rubbish", RUBBISH.values(), ids=RUBBISH)
def test_rubbish_behind_a_nul_is_part_of_no_value(
    tmp_path: Path, sound: list[str], rubbish: bytes
) -> None:
    in_records, in_headers = disc(), disc()
    for made in (in_records[0].attributes, *(each.header for each in in_headers)):
        made[0x00100010] = b"Doe^Jane" + rubbish
        made[0x00100020] = b"12345" + rubbish
    write_medium(tmp_path / "records", in_records)
    in_headers[0].say(PatientName=b"Doe^Jane" + rubbish, PatientID=b"12345" + rubbish)
    write_medium(tmp_path / "headers", in_headers)

    assert names(tmp_path / "records") == sound
    assert names(tmp_path / "headers", scan=True) == names(
        tmp_path / "sound", scan=True
    )
    assert Kind.RUBBISH in kinds_found(tmp_path / "records")
    assert Kind.PATIENT_DISAGREES not in kinds_found(tmp_path / "headers")


def test_a_long_sequence_in_front_of_the_patient_is_passed_over(
    tmp_path: Path, sound: list[str]
) -> None:
    medium = disc()
    reference = _OPEN_ITEM + _END_OF_ITEM
    long = Raw("SQ", reference * 20_000 + _END_OF_SEQUENCE, UNDEFINED_LENGTH)
    records(medium)[4].header[_TAG] = long
    write_medium(tmp_path / "long", medium)

    assert names(tmp_path / "long", scan=True) == names(tmp_path / "sound", scan=True)
    assert names(tmp_path / "long") == sound
