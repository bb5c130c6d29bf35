"""Numbers in binary as text, and those of which another attribute says the VR."""

import struct

import pytest

from dicomfs.dicom.element import Syntax
from dicomfs.dicom.numbers import (
    PIXEL_REPRESENTATION,
    US_OR_SS,
    legible,
    with_what_tells,
)

TAG = 0x00280106


@pytest.mark.parametrize(
    ("raw", "representation", "told"),
    [
        (0xFFFE, 0, b"65534"),
        (0xFFFE, 1, b"-2"),
        (0x7FFF, None, b"32767"),
        (0xFFFE, None, None),
        (0xFFFE, 7, None),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_whether_there_is_a_sign_is_told_or_makes_no_difference(
    raw: int, representation: int | None, told: bytes | None, order: str
) -> None:
    values = {TAG: struct.pack(f"{order}H", raw)}
    if representation is not None:
        values[PIXEL_REPRESENTATION] = struct.pack(f"{order}H", representation)
    vrs = with_what_tells({TAG: US_OR_SS})

    found = legible(values, vrs, Syntax(explicit=True, little=order == "<"))

    assert found.get(TAG) == told


def test_what_tells_is_asked_for_only_where_something_depends_on_it() -> None:
    assert with_what_tells({TAG: "US"}) == {TAG: "US"}
    assert PIXEL_REPRESENTATION in with_what_tells({TAG: US_OR_SS})
