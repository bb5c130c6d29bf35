"""Numbers in binary, as text: so values of every kind can be read alike."""

import struct
from collections.abc import Mapping
from typing import Final

from dicomfs.dicom.element import Syntax

# PS3.5 6.2: the form of each number, and how it is written.
_FORMS: Final = {
    "US": ("H", "d"),
    "SS": ("h", "d"),
    "UL": ("L", "d"),
    "SL": ("l", "d"),
    "UV": ("Q", "d"),
    "SV": ("q", "d"),
    "FL": ("f", ".9g"),
    "FD": ("d", ".17g"),
}
# Which of the two it is, Pixel Representation of the same data set says (PS3.6, PS3.5 A.1).
US_OR_SS: Final = "US or SS"
PIXEL_REPRESENTATION: Final = 0x00280103

VRS: Final = frozenset({*_FORMS, US_OR_SS})
"""The VRs of which values are numbers in binary."""
WHOLE: Final = VRS - {"FL", "FD"}
"""Those of which values are whole numbers."""
# From here on the two differ.
_FIRST_NEGATIVE: Final = 0x8000


def legible(
    values: Mapping[int, bytes], vrs: Mapping[int, str], syntax: Syntax
) -> dict[int, bytes]:
    """Return *values*, of which those of binary *vrs* are text, by their tags.

    One of which nobody says whether it has a sign is left out, if that makes a difference.
    """
    found: dict[int, bytes] = {}
    for tag, value in values.items():
        vr = vrs.get(tag, "")
        if vr == US_OR_SS:
            vr = _us_or_ss(value, values.get(PIXEL_REPRESENTATION, b""), syntax)
        if vr in _FORMS:
            found[tag] = _as_text(value, vr, syntax)
        elif vr not in VRS:
            found[tag] = value
    return found


def _us_or_ss(value: bytes, representation: bytes, syntax: Syntax) -> str:
    """Return which VR *value* has by that *representation*, US_OR_SS if nobody knows."""
    known = {b"0": "US", b"1": "SS"}.get(_as_text(representation, "US", syntax))
    if known is not None:
        return known
    numbers = map(int, filter(None, _as_text(value, "US", syntax).split(b"\\")))
    return "US" if all(each < _FIRST_NEGATIVE for each in numbers) else US_OR_SS


def with_what_tells(vrs: Mapping[int, str]) -> dict[int, str]:
    """Return *vrs* with that of what tells which VR others have, by their tags."""
    more = {PIXEL_REPRESENTATION: "US"} if US_OR_SS in vrs.values() else {}
    return {**more, **vrs}


def _as_text(value: bytes, vr: str, syntax: Syntax) -> bytes:
    """Return the numbers that *value* holds as text, between them what is between texts.

    What is left of one that was cut off is passed over.
    """
    letter, form = _FORMS[vr]
    one = struct.Struct(("<" if syntax.little else ">") + letter)
    whole = value[: len(value) // one.size * one.size]
    return "\\".join(format(each, form) for (each,) in one.iter_unpack(whole)).encode()
