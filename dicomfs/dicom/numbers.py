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
VRS: Final = frozenset(_FORMS)
"""The VRs of which values are numbers in binary."""


def legible(
    values: Mapping[int, bytes], vrs: Mapping[int, str], syntax: Syntax
) -> dict[int, bytes]:
    """Return *values*, of which those of binary *vrs* are text, by their tags."""
    return {
        tag: _as_text(value, vrs[tag], syntax) if vrs.get(tag) in VRS else value
        for tag, value in values.items()
    }


def _as_text(value: bytes, vr: str, syntax: Syntax) -> bytes:
    """Return the numbers that *value* holds as text, between them what is between texts.

    What is left of one that was cut off is passed over.
    """
    letter, form = _FORMS[vr]
    one = struct.Struct(("<" if syntax.little else ">") + letter)
    whole = value[: len(value) // one.size * one.size]
    return "\\".join(format(each, form) for (each,) in one.iter_unpack(whole)).encode()
