"""The header in front of each member of a tar archive: one block, with a checksum.

Fields are those of ustar (POSIX.1-2001, pax, "ustar Interchange Format"), which older and
newer writers share.
"""

from typing import Final, NamedTuple

BLOCK: Final = 512

_CHECKSUM: Final = slice(148, 156)
_BLANKS: Final = b" " * 8
_MAGIC: Final = slice(257, 265)
# The magic of POSIX says that there is a prefix; that of GNU has times in its place.
_USTAR: Final = b"ustar\0"
_GNU: Final = b"ustar  \0"
# GNU writes what octal digits cannot say as a number, with the highest bit set.
_BINARY: Final = 0x80
_HIGHEST: Final = 1 << 62


class Header(NamedTuple):
    """What a header says: *kind* is the type flag.

    *is_continued* says that the map of a sparse file goes on in the next block.
    """

    name: bytes
    size: int
    mtime: int
    kind: bytes
    link: bytes
    is_continued: bool = False
    real_size: int = 0


def parse(block: bytes) -> Header | None:
    """Return the header that *block* is, None if its checksum or a number is wrong."""
    if len(block) < BLOCK or not any(block):
        return None
    said, size = _number(block[_CHECKSUM]), _number(block[124:136])
    if said is None or size is None or not _is_sum(said, block):
        return None
    kind = block[156:157]
    magic = block[_MAGIC]
    name = _text(block[:100])
    if magic.startswith(_USTAR) and (prefix := _text(block[345:500])):
        name = prefix + b"/" + name
    is_sparse = magic == _GNU and kind == b"S"
    return Header(
        name,
        size,
        _number(block[136:148]) or 0,
        kind,
        _text(block[157:257]),
        is_sparse and block[482:483] != b"\0",
        (is_sparse and _number(block[483:495])) or 0,
    )


def _is_sum(said: int, block: bytes) -> bool:
    """Whether *said* is the sum of all bytes, those of the checksum taken for blanks."""
    data = block[: _CHECKSUM.start] + _BLANKS + block[_CHECKSUM.stop :]
    total = sum(data)
    # Some old writers took bytes for signed.
    return said == total or said == total - 256 * sum(byte > 127 for byte in data)


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _number(field: bytes) -> int | None:
    """Return a number in octal digits, or as GNU writes it; None if it is none."""
    if field[0] & _BINARY:
        number = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        # One below zero, as times before 1970 are, is none of ours.
        return number if number < _HIGHEST else None
    digits = field.strip(b" \0").partition(b"\0")[0].strip()
    if not digits:
        return 0
    if digits.strip(b"01234567"):
        return None
    return int(digits, 8)
