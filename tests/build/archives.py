"""Make ZIP archives, sound ones and such as no writer makes: each field can be a lie.

Nothing here uses the code under test. Sound archives come from the standard library.
"""

import errno
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

STORED: Final = zipfile.ZIP_STORED
DEFLATED: Final = zipfile.ZIP_DEFLATED
METHODS: Final = (STORED, DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)

Fields = Mapping[str, int]

_LOCAL: Final = ("need", "flags", "method", "time", "date", "crc", "packed", "size")
_CENTRAL: Final = ("made", *_LOCAL)
_PLACE: Final = ("disk", "internal", "external", "offset")
_END: Final = ("disk", "first_disk", "here", "count", "length", "offset")


@dataclass
class Part:
    """A member, and what is to be written of it instead of what is true.

    *raw* are its bytes as they are to lie in the archive, *local* and *central* fields
    of its own header and of its record, *local_name* its name in the former.
    """

    name: bytes
    data: bytes = b""
    method: int = STORED
    raw: bytes | None = None
    extra: bytes = b""
    local_extra: bytes = b""
    local_name: bytes | None = None
    local: Fields = field(default_factory=dict)
    central: Fields = field(default_factory=dict)

    def fields(self) -> dict[str, int]:
        """Return what is true of it, but for its offset."""
        return {
            **dict.fromkeys((*_CENTRAL, *_PLACE), 0),
            "made": 3 << 8,
            "need": 20,
            "date": 0x5821,
            "method": self.method,
            "crc": zlib.crc32(self.data),
            "packed": len(self.packed()),
            "size": len(self.data),
        }

    def packed(self) -> bytes:
        """Return its bytes as they lie in the archive."""
        if self.raw is not None:
            return self.raw
        return deflated(self.data) if self.method == DEFLATED else self.data

    def header(self) -> bytes:
        """Return its own header."""
        name = self.name if self.local_name is None else self.local_name
        values = {**self.fields(), **self.local}
        return (
            struct.pack("<4s5H3I", b"PK\3\4", *(values[key] for key in _LOCAL))
            + struct.pack("<2H", len(name), len(self.local_extra))
            + name
            + self.local_extra
        )

    def record(self, offset: int) -> bytes:
        """Return its record in the central directory."""
        values = {**self.fields(), "offset": offset, **self.central}
        return (
            struct.pack("<4s6H3I", b"PK\1\2", *(values[key] for key in _CENTRAL))
            + struct.pack("<3H", len(self.name), len(self.extra), 0)
            + struct.pack("<2H2I", *(values[key] for key in _PLACE))
            + self.name
            + self.extra
        )


def archive(
    parts: Iterable[Part],
    end: Fields | None = None,
    comment: bytes = b"",
    before: bytes = b"",
) -> bytes:
    """Return an archive of *parts* behind *before*, with fields of its *end* changed."""
    body, records, count = bytearray(), bytearray(), 0
    for part in parts:
        records += part.record(len(body))
        body += part.header() + part.packed()
        count += 1
    return before + with_directory(bytes(body), bytes(records), count, end, comment)


def with_directory(
    body: bytes,
    records: bytes,
    count: int,
    end: Fields | None = None,
    comment: bytes = b"",
) -> bytes:
    """Return *body* with its directory and its end."""
    values = {
        **dict.fromkeys(_END, 0),
        "here": count,
        "count": count,
        "length": len(records),
        "offset": len(body),
        **(end or {}),
    }
    tail = struct.pack("<4s4H2I", b"PK\5\6", *(values[key] for key in _END))
    return body + records + tail + struct.pack("<H", len(comment)) + comment


def end64(count: int, length: int, offset: int, at: int) -> bytes:
    """Return the end of a ZIP64 archive, which lies *at* this offset."""
    return (
        struct.pack("<4sQ2H2I", b"PK\6\6", 44, 45, 45, 0, 0)
        + struct.pack("<4Q", count, count, length, offset)
        + struct.pack("<4sIQI", b"PK\6\7", 0, at, 1)
        + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)
    )


def extra(number: int, data: bytes) -> bytes:
    """Return an extra field."""
    return struct.pack("<HH", number, len(data)) + data


def deflated(data: bytes) -> bytes:
    """Return *data* deflated as well as it can be."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def zeros(size: int) -> bytes:
    """Return what inflates to so many zeros, without having them all at a time."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = bytes(1 << 20)
    packed = [packer.compress(block[: min(len(block), left)]) for left in _down(size)]
    return b"".join(packed) + packer.flush()


def zeros_part(name: bytes, size: int) -> Part:
    """Return a member of so many zeros, which nobody has in memory."""
    crc = 0
    for left in _down(size):
        crc = zlib.crc32(bytes(min(1 << 20, left)), crc)
    raw = zeros(size)
    fields = {"packed": len(raw), "size": size, "crc": crc}
    return Part(name, method=DEFLATED, raw=raw, local=fields, central=fields)


def _down(size: int) -> Iterable[int]:
    return range(size, 0, -(1 << 20))


def zipped(
    files: Mapping[str, bytes], method: int = DEFLATED, *, is_streamed: bool = False
) -> bytes:
    """Return an archive of *files* as the standard library writes it.

    *is_streamed* ones have their sizes behind them.
    """
    buffer = _Pipe() if is_streamed else io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as out:
        for name, data in files.items():
            out.writestr(name, data)
    return buffer.getvalue()


def zipcrypto(files: Mapping[str, bytes], password: bytes) -> bytes:
    """Return an archive of *files* under the traditional cipher of PKWARE, deflated.

    The last byte of each head is that of the CRC (APPNOTE.TXT 6.1.6).
    """
    parts = []
    for name, data in files.items():
        head = bytes(11) + bytes([zlib.crc32(data) >> 24])
        raw = _enciphered(head + deflated(data), password)
        fields = {"flags": 1}
        parts.append(
            Part(name.encode(), data, DEFLATED, raw, local=fields, central=fields)
        )
    return archive(parts)


def _enciphered(plain: bytes, password: bytes) -> bytes:
    keys = [0x12345678, 0x23456789, 0x34567890]
    for byte in password:
        _turn(keys, byte)
    result = bytearray()
    for byte in plain:
        number = keys[2] & 0xFFFF | 2
        result.append(byte ^ (number * (number ^ 1) >> 8 & 0xFF))
        _turn(keys, byte)
    return bytes(result)


def _turn(keys: list[int], byte: int) -> None:
    keys[0] = _crc(keys[0], byte)
    keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) % (1 << 32)
    keys[2] = _crc(keys[2], keys[1] >> 24)


def _crc(value: int, byte: int) -> int:
    """Return a CRC-32 with one more byte, without its inversions."""
    return zlib.crc32(bytes([byte]), value ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


class _Pipe(io.BytesIO):
    """Something that can only be written to."""

    def seekable(self) -> bool:
        """Say no."""
        return False

    def tell(self) -> int:
        """Have no place."""
        raise OSError(errno.ESPIPE, os.strerror(errno.ESPIPE))


def files_in(folder: Path, wrapper: str = "") -> dict[str, bytes]:
    """Return the files in *folder* by their names in an archive."""
    return {
        wrapper + str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def some_bytes(seed: int, size: int) -> bytes:
    """Return bytes that compress about as well as images do."""
    random = Random(seed)
    block = bytes(value & 15 for value in random.randbytes(min(size, 1 << 16)))
    copies = [block] * (size // max(1, len(block)) + 1)
    # No two blocks are alike, so that one in a wrong place is seen.
    return b"".join(
        number.to_bytes(4, "big") + each[4:] for number, each in enumerate(copies)
    )[:size]


def quoted_overlap(names: Sequence[bytes], size: int) -> bytes:
    """Return an archive whose members all inflate to the same bytes, *size* and more.

    Each but the last one quotes the headers of those behind it, in stored blocks.
    """
    kernel = Part(names[-1], bytes(size), DEFLATED)
    body = kernel.header() + kernel.packed()
    records = [kernel]
    data, raw = kernel.data, kernel.packed()
    for name in reversed(names[:-1]):
        header = body[: len(body) - len(raw)]
        quote = b"\0" + struct.pack("<HH", len(header), len(header) ^ 0xFFFF)
        data, raw = header + data, quote + header + raw
        part = Part(name, data, DEFLATED, raw=raw)
        body = part.header() + raw
        records.insert(0, part)
    places, at = [], 0
    for part in records:
        places.append(at)
        at += len(part.header()) + 5
    directory = b"".join(
        part.record(place) for part, place in zip(records, places, strict=True)
    )
    return with_directory(body, directory, len(records))
