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

_LONG: Final = {"OB", "OW", "SQ", "UN", "UT"}
_END_OF_ITEM: Final = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
_END_OF_SEQUENCE: Final = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
_WANTED: Final = (0x00100010, 0x00100020, 0x0020000D, 0x7FE00010)


def element(
    tag: int,
    vr: str,
    value: bytes,
    *,
    length: int | None = None,
    is_long: bool | None = None,
) -> bytes:
    """Return an element; *is_long* says that its length takes four bytes."""
    value += b" " * (len(value) % 2)
    size = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode("latin-1")
    if vr in _LONG if is_long is None else is_long:
        return head + struct.pack("<HL", 0, size) + value
    return head + struct.pack("<H", size) + value


def item(content: bytes, length: int | None = None) -> bytes:
    size = len(content) if length is None else length
    return struct.pack("<HHL", 0xFFFE, 0xE000, size) + content


def sequence(content: bytes, vr: str = "SQ") -> bytes:
    """Return a sequence of undefined length that holds just *content*."""
    return element(0x00081140, vr, content, length=UNDEFINED_LENGTH, is_long=True)


def big_endian(content: bytes) -> bytes:
    begin = struct.pack(">HHL", 0xFFFE, 0xE000, UNDEFINED_LENGTH)
    end = struct.pack(">HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return begin + content + end


INNER: Final = element(0x00081150, "UI", b"1.2 ")
BIG_INNER: Final = struct.pack(">HH2sH", 8, 0x1150, b"UI", 4) + b"1.2 "
ODD: Final = {
    **{
        f"the VR {vr!r} with a length of {2 + 2 * is_long} bytes": element(
            0x00091001, vr, b"abcd", is_long=is_long
        )
        for vr in ("--", "??", "\0\0", "  ", "ZZ", "\xff\xff", "lo")
        for is_long in (False, True)
    },
    "a short VR with a long length": element(0x00081030, "LO", b"Abc", is_long=True),
    "a long VR with a short length": element(0x00091001, "OB", b"abc", is_long=False),
    "text of a long VR with a short length": element(
        0x00091001, "UT", b"abcdef" * 20, is_long=False
    ),
    "an implicit element": struct.pack("<HHL", 8, 0x1030, 6) + b"Thorax",
    "a sequence with nothing in it and no end": sequence(b""),
    "a sequence whose items end and that does not": sequence(item(INNER)),
    "an item that does not end": sequence(
        item(INNER, UNDEFINED_LENGTH) + _END_OF_SEQUENCE
    ),
    "a sequence that ends as an item does": sequence(item(INNER) + _END_OF_ITEM),
    "a delimiter behind an item that has ended": sequence(
        item(INNER) + _END_OF_ITEM + _END_OF_SEQUENCE
    ),
    "a delimiter behind a sequence of length 0": element(0x00081140, "SQ", b"")
    + _END_OF_SEQUENCE,
    "a delimiter behind a sequence that has ended": element(
        0x00081140, "SQ", item(INNER)
    )
    + _END_OF_SEQUENCE,
    "two delimiters of nothing": _END_OF_ITEM + _END_OF_SEQUENCE,
    "UN that holds explicit elements": sequence(
        item(INNER + element(0x00081155, "UI", b"1.2.3.4"), UNDEFINED_LENGTH)
        + _END_OF_ITEM
        + _END_OF_SEQUENCE,
        "UN",
    ),
    "a sequence in the other byte order": sequence(big_endian(BIG_INNER)),
    "a text that is longer than it says": element(
        0x00081030, "LO", b"Thorax", length=4
    ),
    "a text that is shorter than it says": element(
        0x00081030, "LO", b"Thorax", length=8
    ),
    "three odd bytes": b"\1\2\3",
    "two odd elements in a row": element(0x00091001, "--", b"abcd")
    + element(0x00091002, "??", b"abcd"),
    "three odd elements in a row": element(0x00091001, "--", b"abcd")
    + element(0x00091002, "  ", b"abcd", is_long=True)
    + sequence(b""),
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


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_what_comes_behind_an_odd_element_is_read(odd: bytes) -> None:
    data = data_set(odd)

    found = read(data)

    assert set(_WANTED) <= {each.element.tag for each in found}
    assert found[-1].after == len(data)


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_odd_element_is_said_to_be_one(odd: bytes) -> None:
    assert not all(each.is_usual for each in read(data_set(odd)))


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_a_header_with_an_odd_element_says_whose_it_is(odd: bytes) -> None:
    header = read_header(BytesSource(data_set(odd)))

    assert header.text(tags.PATIENT_ID) == "12345"
    assert header.person_name(tags.PATIENT_NAME) == "Doe, Jane"
    assert header.raw(tags.STUDY_INSTANCE_UID) == b"2.25.75"


def test_a_data_set_without_odd_elements_is_read_as_it_is_written() -> None:
    found = read(data_set(sequence(item(INNER) + _END_OF_SEQUENCE)))

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
