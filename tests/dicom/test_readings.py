"""Elements that do not lead on: no element costs its neighbours."""

import struct
from typing import Final

import pytest

from dicomfs.dicom import tags
from dicomfs.dicom.element import EXPLICIT_LITTLE, UNDEFINED_LENGTH
from dicomfs.dicom.header import read_header
from dicomfs.dicom.readings import Step, steps
from dicomfs.source.source import BytesSource
from dicomfs.source.window import Window
from tests.build.oddities import ODD, element, sequence, sound_sequence

_WANTED: Final = (0x00100010, 0x00100020, 0x0020000D, 0x7FE00010)
# Some stand alone, in a row, or where there is no element at all.
ALONE: Final = {name: make(0x00081140) for name, make in ODD.items()} | {
    "two delimiters of nothing": struct.pack(
        "<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0
    ),
    "three odd bytes": b"\1\2\3",
    "two odd elements in a row": element(0x00091001, "--", b"abcd")
    + element(0x00091002, "??", b"abcd"),
    "three odd elements in a row": element(0x00091001, "--", b"abcd")
    + element(0x00091002, "  ", b"abcd", is_long=True)
    + sequence(0x00091003, b""),
}


def data_set(odd: bytes) -> bytes:
    return (
        element(0x00080005, "CS", b"ISO_IR 100")
        + element(0x00080060, "CS", b"CT")
        + odd
        + element(0x00100010, "PN", b"Doe^Jane")
        + element(0x00100020, "LO", b"12345")
        + element(0x0020000D, "UI", b"2.25.75\0")
        + element(0x00280010, "US", b"\1\0")
        + element(0x7FE00010, "OB", bytes(range(256)))
    )


def read(data: bytes) -> list[Step]:
    return [*steps(Window(BytesSource(data)), 0, len(data), EXPLICIT_LITTLE)]


@pytest.mark.parametrize("odd", ALONE.values(), ids=ALONE)
def test_what_comes_behind_an_odd_element_is_read(odd: bytes) -> None:
    data = data_set(odd)

    found = read(data)

    assert set(_WANTED) <= {each.element.tag for each in found}
    assert found[-1].after == len(data)


@pytest.mark.parametrize("odd", ALONE.values(), ids=ALONE)
def test_an_odd_element_is_said_to_be_one(odd: bytes) -> None:
    assert not all(each.is_usual for each in read(data_set(odd)))


@pytest.mark.parametrize("odd", ALONE.values(), ids=ALONE)
def test_a_header_with_an_odd_element_says_whose_it_is(odd: bytes) -> None:
    header = read_header(BytesSource(data_set(odd)))

    assert header.text(tags.PATIENT_ID) == "12345"
    assert header.person_name(tags.PATIENT_NAME) == "Doe, Jane"
    assert header.raw(tags.STUDY_INSTANCE_UID) == b"2.25.75"


def test_a_data_set_without_odd_elements_is_read_as_it_is_written() -> None:
    found = read(data_set(sound_sequence(0x00081140)))

    assert all(each.is_usual for each in found)
    assert [each.element.tag for each in found][2:4] == [0x00081140, 0x00100010]


def test_elements_that_are_not_sorted_are_all_read() -> None:
    odd = element(0x00200010, "SH", b"1") + element(0x00090010, "LO", b"x")

    found = read(data_set(odd))

    assert {0x00200010, 0x00090010, *_WANTED} <= {each.element.tag for each in found}


@pytest.mark.parametrize("seed", range(50))
def test_rubbish_costs_no_more_than_a_moment(seed: int) -> None:
    rubbish = b"".join(
        struct.pack("<HHL", 8 + at % 7, (at * seed) % 0x10000, UNDEFINED_LENGTH)
        for at in range(500)
    )

    assert len(read(data_set(rubbish))) < 2000
