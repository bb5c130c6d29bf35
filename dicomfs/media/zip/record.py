"""The records of a central directory: what it says of the members of an archive.

As in PKWARE's APPNOTE.TXT 6.3.10, whose sections are cited.
"""

import re
import stat
import struct
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from dicomfs.media import membername
from dicomfs.media.medium import Place
from dicomfs.media.membername import NO_NAME, UnsafeNameError

_ANY: Final = b"PK"
RECORD: Final = b"PK\1\2"

# With its signature: 4.3.12.
RECORD_FORM: Final = struct.Struct("<4s6H3I5H2I")
# The lengths of the name, the extra fields and the comment, which follow a record.
_LENGTHS_FORM: Final = struct.Struct("<3H")
_LENGTHS_AT: Final = 28
EXTRA_FORM: Final = struct.Struct("<HH")

# A value that does not fit is in an extra field, or in the other end record.
FULL16: Final = 0xFFFF
FULL32: Final = 0xFFFF_FFFF

# Extra fields (4.5.2): ZIP64, Info-ZIP's time and name, and WinZip's encryption.
ZIP64: Final = 0x0001
_TIMES: Final = 0x5455
_NAME: Final = 0x7075
AES_FIELD: Final = 0x9901

# Flags (4.4.4).
ENCRYPTED: Final = 1 << 0
HAS_DESCRIPTOR: Final = 1 << 3
_IS_UTF8: Final = 1 << 11

_SEPARATOR: Final = re.compile(rb"[\\/]")
# In the double-byte encodings of East Asia a backslash can be half a character, always
# behind a byte that is no ASCII.
_RAW_SEPARATOR: Final = re.compile(rb"/|(?<![\x80-\xff])\\")


class Record(NamedTuple):
    """What the central directory says of a member (4.3.12).

    *packed* is its size as it lies in the archive. *shown* is its name as it is to be
    shown, ``name`` as it stands in its header, too.
    """

    flags: int
    method: int
    dos_time: int
    crc: int
    packed: int
    size: int
    disk: int
    mode: int
    is_dos_folder: bool
    offset: int
    mtime_ns: int
    name: bytes
    shown: bytes
    extra: bytes

    @property
    def is_folder(self) -> bool:
        """Whether it stands for a folder; some writers leave the slash out.

        Others give files the bit of a folder: one that has bytes is a file.
        """
        if self.shown.endswith((b"/", b"\\")):
            return True
        return self.is_dos_folder and not (self.size or stat.S_ISREG(self.mode))

    @property
    def is_rooted(self) -> bool:
        """Whether its name begins at a root, a drive or a share (4.4.17.1 forbids it)."""
        return membername.is_rooted(self.shown)

    def path(self) -> Place:
        """Return its path in the archive; raises UnsafeNameError if it has none."""
        is_utf8 = self.flags & _IS_UTF8 or self.shown is not self.name
        separator = _SEPARATOR if is_utf8 else _RAW_SEPARATOR
        path = membername.path_of(self.shown, separator)
        if not path and not self.is_folder:
            raise UnsafeNameError(NO_NAME)
        return path


def record_places(raw: bytes) -> Iterator[int]:
    """Yield where the records in a central directory begin.

    One that does not end where another one or a signature begins is damaged, and none;
    the next one is sought behind its beginning.
    """
    at = 0
    while at + RECORD_FORM.size <= len(raw):
        end = _end_of(raw, at) if raw.startswith(RECORD, at) else 0
        if end == len(raw) or (end and raw.startswith(_ANY, end)):
            yield at
            at = end
            continue
        if (at := raw.find(RECORD, at + 1)) < 0:
            return


def _end_of(raw: bytes, at: int) -> int:
    lengths: tuple[int, ...] = _LENGTHS_FORM.unpack_from(raw, at + _LENGTHS_AT)
    return at + RECORD_FORM.size + sum(lengths)


def read_record(raw: bytes, at: int) -> Record:
    """Return the record that begins *at* this place of a central directory."""
    fields = RECORD_FORM.unpack_from(raw, at)
    flags, method, dos_time, dos_date, crc, packed, size = fields[3:10]
    name_length, extra_length, _, disk, _, attributes, offset = fields[10:]
    begin = at + RECORD_FORM.size
    name = raw[begin : begin + name_length]
    extra = raw[begin + name_length : begin + name_length + extra_length]
    if FULL32 in {packed, size, offset}:
        size, packed, offset = sizes64(extra, size, packed, offset)
    return Record(
        flags=flags,
        method=method,
        dos_time=dos_time,
        crc=crc,
        packed=packed,
        size=size,
        disk=disk,
        mode=attributes >> 16,
        is_dos_folder=bool(attributes & 0x10),
        offset=offset,
        mtime_ns=_time(extra, dos_date, dos_time),
        name=name,
        shown=_shown(name, extra) if extra else name,
        extra=extra,
    )


def sizes64(extra: bytes, *values: int) -> list[int]:
    """Return *values* with those that are full replaced from the ZIP64 field (4.5.3).

    A value that is not there stays full, and so reaches beyond any archive's end.
    """
    field = extra_field(extra, ZIP64)
    larger = iter(struct.unpack_from(f"<{len(field) // 8}Q", field))
    return [next(larger, value) if value == FULL32 else value for value in values]


def extra_field(extra: bytes, wanted: int) -> bytes:
    """Return the extra field with the ID *wanted* (4.5.1), empty if there is none."""
    at = 0
    while at + EXTRA_FORM.size <= len(extra):
        number, size = EXTRA_FORM.unpack_from(extra, at)
        at += EXTRA_FORM.size
        if number == wanted:
            return extra[at : at + size]
        at += size
    return b""


def _shown(name: bytes, extra: bytes) -> bytes:
    """Return the name in UTF-8, if the one that goes with it is there (4.6.9)."""
    field = extra_field(extra, _NAME)
    if len(field) > 5 and field[0] == 1:
        [crc] = struct.unpack_from("<I", field, 1)
        if crc == zlib.crc32(name):
            return field[5:]
    return name


def _time(extra: bytes, dos_date: int, dos_time: int) -> int:
    """Return the time of a member: the one in UTC if there is one, else that of DOS."""
    field = extra_field(extra, _TIMES)
    if len(field) >= 5 and field[0] & 1:
        [seconds] = struct.unpack_from("<i", field, 1)
        return max(0, int(seconds)) * 10**9
    return _dos_time(dos_date, dos_time)


@lru_cache(maxsize=1024)
def _dos_time(date: int, time: int) -> int:
    """Return a time of DOS (4.4.6) in nanoseconds since 1970, 0 if it is none.

    It has no zone. It is taken for UTC, so that it is the same on all machines.
    """
    try:
        moment = datetime(
            *(1980 + (date >> 9), date >> 5 & 15, date & 31),
            *(time >> 11, time >> 5 & 63, min(59, (time & 31) * 2)),
            tzinfo=UTC,
        )
    except ValueError:
        return 0
    return int(moment.timestamp()) * 10**9
