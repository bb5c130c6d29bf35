"""Character sets with code extensions, as tests write them."""

from typing import Final

# The escape sequences of PS3.3 tables C.12-3 and C.12-4; Python's codecs write their
# own of the Japanese sets.
ESCAPES: Final = {
    "ISO 2022 IR 6": b"\x1b(B",
    "ISO 2022 IR 13": b"\x1b)I",
    "ISO 2022 IR 58": b"\x1b$)A",
    "ISO 2022 IR 87": b"",
    "ISO 2022 IR 100": b"\x1b-A",
    "ISO 2022 IR 101": b"\x1b-B",
    "ISO 2022 IR 109": b"\x1b-C",
    "ISO 2022 IR 110": b"\x1b-D",
    "ISO 2022 IR 126": b"\x1b-F",
    "ISO 2022 IR 127": b"\x1b-G",
    "ISO 2022 IR 138": b"\x1b-H",
    "ISO 2022 IR 144": b"\x1b-L",
    "ISO 2022 IR 148": b"\x1b-M",
    "ISO 2022 IR 149": b"\x1b$)C",
    "ISO 2022 IR 159": b"",
    "ISO 2022 IR 166": b"\x1b-T",
    "ISO 2022 IR 203": b"\x1b-b",
}
