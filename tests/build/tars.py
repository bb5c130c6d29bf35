"""Make tar archives, sound ones and such as no writer makes: each field can be a lie.

Nothing here uses the code under test.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

BLOCK: Final = 512
END: Final = bytes(2 * BLOCK)
POSIX: Final = b"ustar\x0000"
GNU: Final = b"ustar  \0"
OLD: Final = bytes(8)

# Where each field of a header is, and how long.
_FIELDS: Final[Mapping[str, tuple[int, int]]] = {
    "name": (0, 100),
    "mode": (100, 8),
    "size": (124, 12),
    "mtime": (136, 12),
    "checksum": (148, 8),
    "kind": (156, 1),
    "link": (157, 100),
    "magic": (257, 8),
    "prefix": (345, 155),
}


@dataclass
class Member:
    """A member, and what is to be written into its header instead of what is true."""

    name: bytes
    data: bytes = b""
    kind: bytes = b"0"
    link: bytes = b""
    magic: bytes = POSIX
    fields: Mapping[str, bytes] = field(default_factory=dict)

    def blocks(self) -> bytes:
        """Return its header and its bytes."""
        values = {
            "name": self.name,
            "mode": b"0000644\0",
            "size": b"%011o\0" % len(self.data),
            "mtime": b"14371573400\0",
            "kind": self.kind,
            "link": self.link,
            "magic": self.magic,
            **self.fields,
        }
        return header(values) + padded(self.data)


def header(values: Mapping[str, bytes]) -> bytes:
    """Return a header with its checksum, unless that is among the *values*."""
    block = bytearray(BLOCK)
    block[148:156] = b" " * 8
    for name, value in values.items():
        at, size = _FIELDS[name]
        block[at : at + size] = value[:size].ljust(size, b"\0")
    if "checksum" not in values:
        block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    """Return *data* with zeros up to a whole block."""
    return data + bytes(-len(data) % BLOCK)


def archive(members: Iterable[Member | bytes], end: bytes = END) -> bytes:
    """Return an archive of *members*, some of which may be bytes as they are."""
    parts = (each if isinstance(each, bytes) else each.blocks() for each in members)
    return b"".join(parts) + end


def long_name(name: bytes, kind: bytes = b"L") -> Member:
    """Return what GNU puts before a member whose name, or link, is long."""
    return Member(b"././@LongLink", name + b"\0", kind, magic=GNU)


def pax(records: Mapping[str, bytes], kind: bytes = b"x") -> Member:
    """Return what pax puts before a member."""
    return Member(b"PaxHeaders/x", b"".join(map(_record, records.items())), kind)


def _record(pair: tuple[str, bytes]) -> bytes:
    key, value = pair
    rest = b" %b=%b\n" % (key.encode(), value)
    length = len(rest) + 1
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


def binary(number: int, size: int = 12) -> bytes:
    """Return a number as GNU writes those that octal digits cannot say."""
    return b"\x80" + struct.pack(">Q", number).rjust(size - 1, b"\0")
