"""Layouts: Items laid out as earlier ones are read with one look."""

from typing import Final

import pytest

from dicomfs.dicom.element import EXPLICIT_LITTLE
from dicomfs.dicom.layout import Layout, form_of
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
        (NUMBER, Raw("IS", number)),
        (ROWS, rows),
    )


def layout(*items: bytes) -> Layout:
    """Return the layout of *items*, which are alike but for lengths of values."""
    found = [form_of(each, EXPLICIT_LITTLE, WANTED, {TYPE}) for each in items]
    forms, lengths = zip(*filter(None, found), strict=True)
    assert len(set(forms)) == 1
    assert len(forms) == len(items)
    seen = [frozenset(each) for each in zip(*lengths, strict=True)]
    return Layout(forms[0], seen, EXPLICIT_LITTLE)


def test_an_item_laid_out_alike_gives_its_own_values() -> None:
    data = b"in front" + image(b"1.4.5\0", b"17", rows=256) + b"behind"

    found = layout(image(b"1.2.3\0", b"1 ")).read(data, len(b"in front"))

    assert found == (
        len(data) - len(b"behind"),
        {TYPE: b"IMAGE ", UID: b"1.4.5\0", NUMBER: b"17"},
    )


def test_values_may_have_each_length_that_was_seen() -> None:
    known = layout(image(b"1.2.3\0", b"1 "), image(b"1.22", b"1234"))
    others = [image(b"1.99", b"7 "), image(b"1.2.4\0", b"4567")]

    found = known.run(b"".join(others) + image(b"1.2.3.4\0", b"1 "), 0, 9)

    assert found is not None
    assert found.starts == [0, len(others[0])]
    assert found.end == len(b"".join(others))
    assert found.values(UID) == [b"1.99", b"1.2.4\0"]
    assert found.values(NUMBER) == [b"7 ", b"4567"]
    assert found.values(TYPE) == [b"IMAGE ", b"IMAGE "]


@pytest.mark.parametrize(
    "other",
    [
        image(b"1.2\0", b"17  "),
        image(b"1.2.3\0", b"17", kind="LO"),
        image(b"1.2.3\0", b"17").replace(b"IMAGE ", b"CURVE "),
        image(b"1.2.3\0", b"17").replace(b"\x28\0\x10\0", b"\x28\0\x11\0"),
        image(b"1.2.3\0", b"17")[:-1],
        bytes(len(image(b"1.2.3\0", b"17"))),
        ITEM + b"\xff\0\0\0" + image(b"1.2.3\0", b"17")[8:],
    ],
    ids=[
        "other lengths",
        "another VR",
        "another type",
        "another tag",
        "cut off",
        "no Item",
        "said to be longer",
    ],
)
def test_an_item_laid_out_otherwise_gives_nothing(other: bytes) -> None:
    known = layout(image(b"1.2.3\0", b"1 "))

    assert known.read(other, 0) is None
    assert known.run(other, 0, 9) is None


def test_a_value_that_is_not_wanted_is_passed_over_whatever_it_is() -> None:
    data = item((TYPE, Raw("CS", b"IMAGE ")), (UID, "1.2"), (0x00880200, [{}]))

    found = layout(data).read(data, 0)

    assert found is not None
    assert found[1] == {TYPE: b"IMAGE ", UID: b"1.2\0"}


@pytest.mark.parametrize(
    "data",
    [
        item((TYPE, Raw("CS", b"IMAGE ")), (UID, Raw("UI", b"1.2.3.4.5\0"))),
        item((UID, "1.2"), (TYPE, Raw("CS", b"IMAGE "))),
        item((UID, "1.2"), (UID, "1.2")),
        image(b"1.2.3\0", b"1 ")[:-1],
        image(b"1.2.3\0", b"1 ") + b"more",
        b"",
    ],
    ids=["too long", "not sorted", "twice", "cut off", "more", "nothing"],
)
def test_only_items_that_are_read_straight_on_have_a_form(data: bytes) -> None:
    assert form_of(data, EXPLICIT_LITTLE, WANTED, {TYPE}) is None
