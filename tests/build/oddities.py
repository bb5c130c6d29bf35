"""Elements that are not encoded as they should be, each as it was met in the wild."""

import struct
from collections.abc import Callable
from typing import Final

UNDEFINED_LENGTH: Final = 0xFFFFFFFF
_LONG: Final = {"OB", "OW", "SQ", "UN", "UT"}
_END_OF_ITEM: Final = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
_END_OF_SEQUENCE: Final = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


def element(
    tag: int,
    vr: str,
    value: bytes,
    *,
    length: int | None = None,
    is_long: bool | None = None,
) -> bytes:
    """Return an element in explicit VR, little endian.

    *is_long* says that its length takes four bytes, *length* what it is said to be.
    """
    value += b" " * (len(value) % 2)
    size = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode("latin-1")
    if vr in _LONG if is_long is None else is_long:
        return head + struct.pack("<HL", 0, size) + value
    return head + struct.pack("<H", size) + value


def item(content: bytes, length: int | None = None) -> bytes:
    """Return an item; *length* is what it is said to be long."""
    size = len(content) if length is None else length
    return struct.pack("<HHL", 0xFFFE, 0xE000, size) + content


INNER: Final = element(0x00081150, "UI", b"1.2 ")
_BIG_INNER: Final = struct.pack(">HH2sH", 8, 0x1150, b"UI", 4) + b"1.2 "


def sequence(tag: int, content: bytes, vr: str = "SQ") -> bytes:
    """Return a sequence of undefined length that holds just *content*."""
    return element(tag, vr, content, length=UNDEFINED_LENGTH, is_long=True)


def sound_sequence(tag: int) -> bytes:
    """Return a sequence as it should be."""
    return sequence(tag, item(INNER) + _END_OF_SEQUENCE)


def _big_endian(content: bytes) -> bytes:
    begin = struct.pack(">HHL", 0xFFFE, 0xE000, UNDEFINED_LENGTH)
    end = struct.pack(">HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return begin + content + end


def _of_vr(vr: str, is_long: bool) -> Callable[[int], bytes]:
    return lambda tag: element(tag, vr, b"abcd", is_long=is_long)


# Each makes one of a tag.
ODD: Final[dict[str, Callable[[int], bytes]]] = {
    **{
        f"the VR {vr!r} with a length of {2 + 2 * is_long} bytes": _of_vr(vr, is_long)
        for vr in ("--", "??", "\0\0", "  ", "ZZ", "\xff\xff", "lo")
        for is_long in (False, True)
    },
    "a short VR with a long length": lambda tag: element(
        tag, "LO", b"Abc", is_long=True
    ),
    "a long VR with a short length": lambda tag: element(
        tag, "OB", b"abc", is_long=False
    ),
    "text of a long VR with a short length": lambda tag: element(
        tag, "UT", b"abcdef" * 20, is_long=False
    ),
    "an implicit element": lambda tag: (
        struct.pack("<HHL", tag >> 16, tag & 0xFFFF, 6) + b"Thorax"
    ),
    "a sequence with nothing in it and no end": lambda tag: sequence(tag, b""),
    "a sequence whose items end and that does not": lambda tag: sequence(
        tag, item(INNER)
    ),
    "an item that does not end": lambda tag: sequence(
        tag, item(INNER, UNDEFINED_LENGTH) + _END_OF_SEQUENCE
    ),
    "a sequence that ends as an item does": lambda tag: sequence(
        tag, item(INNER) + _END_OF_ITEM
    ),
    "a delimiter behind an item that has ended": lambda tag: sequence(
        tag, item(INNER) + _END_OF_ITEM + _END_OF_SEQUENCE
    ),
    "a delimiter behind a sequence of length 0": lambda tag: (
        element(tag, "SQ", b"") + _END_OF_SEQUENCE
    ),
    "a delimiter behind a sequence that has ended": lambda tag: (
        element(tag, "SQ", item(INNER)) + _END_OF_SEQUENCE
    ),
    "UN that holds explicit elements": lambda tag: sequence(
        tag,
        item(INNER + element(0x00081155, "UI", b"1.2.3.4"), UNDEFINED_LENGTH)
        + _END_OF_ITEM
        + _END_OF_SEQUENCE,
        "UN",
    ),
    "a sequence in the other byte order": lambda tag: sequence(
        tag, _big_endian(_BIG_INNER)
    ),
    "a text that is longer than it says": lambda tag: element(
        tag, "LO", b"Thorax", length=4
    ),
    "a text that is shorter than it says": lambda tag: element(
        tag, "LO", b"Thorax", length=8
    ),
}
