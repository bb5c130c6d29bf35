"""Layouts: an Item laid out as an earlier one is read with one look."""

from typing import Final

import pytest

from dicomfs.dicom.element import EXPLICIT_LITTLE
from dicomfs.dicom.layout import Layout, layout_of
from tests.build.medium import Raw, Value
from tests.dicom.test_element import ITEM, encoded

TYPE: Final = 0x00041430
UID: Final = 0x00041511
ROWS: Final = 0x00280010  # not wanted
NUMBER: Final = 0x00200013
WANTED: Final = dict.fromkeys((TYPE, UID, NUMBER), 8)


def item(*pairs: tuple[int, Value]) -> bytes:
    """Return an Item with these elements."""
    inside = encoded(EXPLICIT_LITTLE, *pairs)
    return ITEM + len(inside).to_bytes(4, "little") + inside


def image(uid: bytes, number: bytes, rows: int = 512, kind: str = "CS") -> bytes:
    """Return the Item of an image."""
    return item(
        (TYPE, Raw(kind, b"IMAGE ")),
        (UID, Raw("UI", uid)),
        (ROWS, rows),
        (NUMBER, Raw("IS", number)),
    )


def layout(data: bytes) -> Layout:
    found = layout_of(data, WANTED, {TYPE})
    assert found is not None
    return found


def test_an_item_laid_out_alike_gives_its_own_values() -> None:
    data = b"in front" + image(b"1.4.5\0", b"17", rows=256) + b"behind"

    values = layout(image(b"1.2.3\0", b"1 ")).read(data, len(b"in front"))

    assert values == {TYPE: b"IMAGE ", UID: b"1.4.5\0", NUMBER: b"17"}


@pytest.mark.parametrize(
    "other",
    [
        image(b"1.2\0", b"17  "),
        image(b"1.2.3\0", b"17", kind="LO"),
        image(b"1.2.3\0", b"17").replace(b"IMAGE ", b"CURVE "),
        image(b"1.2.3\0", b"17").replace(b"\x28\0\x10\0", b"\x28\0\x11\0"),
        bytes(len(image(b"1.2.3\0", b"17"))),
    ],
    ids=["other lengths", "another VR", "another type", "another tag", "no Item"],
)
def test_an_item_laid_out_otherwise_gives_nothing(other: bytes) -> None:
    known = layout(image(b"1.2.3\0", b"1 "))

    assert len(other) == known.size
    assert known.read(other, 0) is None


def test_a_value_that_is_too_long_to_be_wanted_is_passed_over() -> None:
    data = image(b"1.2.3.4.5\0", b"1 ")
    found = layout_of(data, WANTED | {ROWS: 2}, {TYPE})

    assert found is not None
    values = found.read(data, 0)
    assert values == {TYPE: b"IMAGE ", ROWS: b"\0\2", NUMBER: b"1 "}


@pytest.mark.parametrize(
    "data",
    [
        item((TYPE, Raw("CS", b"IMAGE ")), (0x00880200, [{}]), (UID, "1.2")),
        item((TYPE, Raw("CS", b"IMAGE ")), (0x00090010, Raw("UN", b"ab"))),
        image(b"1.2.3\0", b"1 ")[:-1],
        image(b"1.2.3\0", b"1 ") + b"more",
        item((TYPE, Raw("CS", b"IMAGE "))),
        item(),
        b"",
    ],
    ids=["sequence", "long", "cut off", "too long", "one value", "empty", "nothing"],
)
def test_only_items_of_plain_elements_have_a_layout(data: bytes) -> None:
    assert layout_of(data, WANTED, {TYPE}) is None
