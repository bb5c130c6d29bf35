"""The directory of a ZIP archive: what its members are called and where they lie.

As in PKWARE's APPNOTE.TXT 6.3.10, whose sections are cited. A ZIP is read from its end:
an end record says where the central directory is, and that has a record for each
member, which again has a header of its own before its bytes. All three can be forged,
and contradict each other: nothing is believed that is not checked.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from dicomfs.errors import DicomfsError, MediumError
from dicomfs.media.medium import Place
from dicomfs.source.source import PAGE, Source
from dicomfs.source.window import Window

_ANY: Final = b"PK"
_LOCAL: Final = b"PK\3\4"
_RECORD: Final = b"PK\1\2"
_END: Final = b"PK\5\6"
_END64: Final = b"PK\6\6"
_LOCATOR: Final = b"PK\6\7"
_SPLIT: Final = b"PK\7\x08"

# Each with its signature: 4.3.16, 4.3.14, 4.3.15, 4.3.12, 4.3.7.
_END_FORM: Final = struct.Struct("<4s4H2IH")
_END64_FORM: Final = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_FORM: Final = struct.Struct("<4sIQI")
_RECORD_FORM: Final = struct.Struct("<4s6H3I5H2I")
_LOCAL_FORM: Final = struct.Struct("<4s5H3I2H")
# Of the name, the extra fields and the comment, which follow a record.
_LENGTHS_FORM: Final = struct.Struct("<3H")
_LENGTHS_AT: Final = 28
_OFFSET_FORM: Final = struct.Struct("<I")
_OFFSET_AT: Final = 42
_EXTRA_FORM: Final = struct.Struct("<HH")

_LARGEST_COMMENT: Final = 0xFFFF
# A comment may hold what looks like an end record.
_MOST_ENDS: Final = 16
# A value that does not fit is in an extra field, or in the other end record.
_FULL16: Final = 0xFFFF
_FULL32: Final = 0xFFFF_FFFF
# Some 335 bytes for each member that an archive may have; most writers take 100.
_LARGEST: Final = 64 * 1024**2

# Extra fields (4.5.2): ZIP64, Info-ZIP's time and name, and WinZip's encryption.
_ZIP64: Final = 0x0001
_TIMES: Final = 0x5455
_NAME: Final = 0x7075
AES: Final = 0x9901

# Of the flags (4.4.4).
ENCRYPTED: Final = 1 << 0
_HAS_DESCRIPTOR: Final = 1 << 3
_IS_UTF8: Final = 1 << 11

# No name on Linux is longer, and no scan goes deeper.
_MAX_COMPONENT: Final = 255
_MAX_DEPTH: Final = 32
_ABSOLUTE: Final = re.compile(rb"[\\/]|[A-Za-z]:")
_SEPARATOR: Final = re.compile(rb"[\\/]")
# In the double-byte encodings of East Asia a backslash can be half a character, always
# behind a byte that is no ASCII.
_RAW_SEPARATOR: Final = re.compile(rb"/|(?<![\x80-\xff])\\")


class UnsafeNameError(DicomfsError):
    """A member whose name is none within the archive."""


class Directory(NamedTuple):
    """Where the central directory lies, and how many records it has.

    *shift* is what comes before the archive, such as a program that unpacks it, and
    is not counted in the offsets.
    """

    start: int
    size: int
    shift: int
    records: int


class _End(NamedTuple):
    """What an end record says: 4.3.16, or 4.3.14 for ZIP64."""

    disk: int
    first_disk: int
    records_here: int
    records: int
    size: int
    offset: int


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
        """Whether it stands for a folder; some writers leave the slash out."""
        return self.is_dos_folder or self.shown.endswith((b"/", b"\\"))

    def path(self) -> Place:
        """Return its path in the archive, empty for a folder that is its root.

        Raises UnsafeNameError for names that lead out of the archive, as no honest
        writer makes them (4.4.17.1), and for those that no folder could hold.
        """
        is_utf8 = self.flags & _IS_UTF8 or self.shown is not self.name
        separator = _SEPARATOR if is_utf8 else _RAW_SEPARATOR
        path = tuple(
            part for part in separator.split(self.shown) if part not in {b"", b"."}
        )
        if _ABSOLUTE.match(self.shown):
            raise UnsafeNameError("a name that begins at a root or a drive")
        if b".." in path:
            raise UnsafeNameError("a name that leads out of the archive")
        if b"\0" in self.shown or not (path or self.is_folder):
            raise UnsafeNameError("a name that is none")
        if len(path) > _MAX_DEPTH or max(map(len, path), default=0) > _MAX_COMPONENT:
            raise UnsafeNameError("a name that is too long or too deep")
        return path


# -- the end ---------------------------------------------------------------------------


def begins_like_one(source: Source) -> bool:
    """Return whether *source* begins as an archive does that nothing was put before."""
    return source.read_at(0, 4) in {_LOCAL, _END, _SPLIT}


def find_directory(source: Source) -> Directory | None:
    """Return where the central directory of *source* is, None if there is no end record.

    Raises MediumError for one part of an archive that was split.
    """
    begin = max(0, source.size - _LOCATOR_FORM.size - _END_FORM.size - _LARGEST_COMMENT)
    tail = source.read_at(begin, source.size - begin)
    for at in _ends(tail):
        _, *fields, _ = _END_FORM.unpack_from(tail, at)
        directory = _directory(source, begin + at, _End(*fields))
        if directory is not None:
            return directory
    return None


def _ends(tail: bytes) -> list[int]:
    """Return where end records may be, the best first: its comment ends the file."""
    found: list[tuple[bool, int]] = []
    at = len(tail) - _END_FORM.size + len(_END)
    while (at := tail.rfind(_END, 0, at)) >= 0 and len(found) < _MOST_ENDS:
        behind = len(tail) - at - _END_FORM.size - _END_FORM.unpack_from(tail, at)[-1]
        if behind >= 0:
            found.append((behind > 0, -at))
        at += len(_END) - 1
    return [-at for _, at in sorted(found)]


def _directory(source: Source, at: int, end: _End) -> Directory | None:
    """Return the central directory that ends before the end record *at*, if it does."""
    end, at = _end64(source, at, end)
    if end.disk or end.first_disk or end.records_here != end.records:
        raise MediumError("it is one part of an archive that was split", at)
    # Of its size and its place one may be wrong.
    for start in (at - end.size, end.offset):
        is_within = 0 <= start <= at
        if is_within and (start == at or source.read_at(start, 4) == _RECORD):
            shift = _shift(source, start, start - end.offset)
            return Directory(start, at - start, shift, end.records)
    return None


def _shift(source: Source, start: int, said: int) -> int:
    """Return what all offsets have to be added, by what is where the first one leads."""
    [offset] = _OFFSET_FORM.unpack(
        source.read_at(start + _OFFSET_AT, 4).rjust(4, b"\0")
    )
    for shift in (said, 0):
        if offset + shift >= 0 and source.read_at(offset + shift, 4) == _LOCAL:
            return shift
    return max(0, said)


def _end64(source: Source, at: int, end: _End) -> tuple[_End, int]:
    """Return *end* with what did not fit into it, and where the first end record is.

    It has to lie where the locator says, and to reach up to that: what lies elsewhere
    other readers would not see (4.3.15).
    """
    locator_at = at - _LOCATOR_FORM.size
    if locator_at < 0:
        return end, at
    data = source.read_at(locator_at, _LOCATOR_FORM.size)
    signature, _, offset, disks = _LOCATOR_FORM.unpack(data)
    if signature != _LOCATOR:
        return end, at
    if disks > 1:
        raise MediumError("it is one part of an archive that was split", at)
    for end64_at in (offset, max(0, locator_at - _END64_FORM.size)):
        data = source.read_at(end64_at, _END64_FORM.size)
        if len(data) < _END64_FORM.size or not data.startswith(_END64):
            continue
        _, size, _, _, *fields = _END64_FORM.unpack(data)
        if end64_at + 12 + size == locator_at:
            return _End(*map(_filled, end, fields)), end64_at
    return end, at


def _filled(value: int, value64: int) -> int:
    return value64 if value in {_FULL16, _FULL32} else value


# -- the records -----------------------------------------------------------------------


def read_directory(source: Source, directory: Directory) -> bytes:
    """Return the bytes of the central directory; raises MediumError if they are many."""
    if directory.size > _LARGEST:
        raise MediumError(
            f"its directory has more than {_LARGEST} bytes", directory.start
        )
    return source.read_at(directory.start, directory.size)


def record_places(raw: bytes) -> Iterator[int]:
    """Yield where the records in a central directory begin.

    One that does not end where another one or a signature begins is damaged, and none;
    the next one is sought behind its beginning.
    """
    at = 0
    while at + _RECORD_FORM.size <= len(raw):
        end = _end_of(raw, at) if raw.startswith(_RECORD, at) else 0
        if end == len(raw) or (end and raw.startswith(_ANY, end)):
            yield at
            at = end
            continue
        if (at := raw.find(_RECORD, at + 1)) < 0:
            return


def _end_of(raw: bytes, at: int) -> int:
    lengths: tuple[int, ...] = _LENGTHS_FORM.unpack_from(raw, at + _LENGTHS_AT)
    return at + _RECORD_FORM.size + sum(lengths)


def read_record(raw: bytes, at: int) -> Record:
    """Return the record that begins *at* this place of a central directory."""
    fields = _RECORD_FORM.unpack_from(raw, at)
    flags, method, dos_time, dos_date, crc, packed, size = fields[3:10]
    name_length, extra_length, _, disk, _, attributes, offset = fields[10:]
    begin = at + _RECORD_FORM.size
    name = raw[begin : begin + name_length]
    extra = raw[begin + name_length : begin + name_length + extra_length]
    if _FULL32 in {packed, size, offset}:
        size, packed, offset = _sizes64(extra, size, packed, offset)
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


def _sizes64(extra: bytes, *values: int) -> list[int]:
    """Return *values* with those that are full replaced from the ZIP64 field (4.5.3).

    A value that is not there stays full, and so reaches beyond any archive's end.
    """
    field = extra_field(extra, _ZIP64)
    larger = iter(struct.unpack_from(f"<{len(field) // 8}Q", field))
    return [next(larger, value) if value == _FULL32 else value for value in values]


def extra_field(extra: bytes, wanted: int) -> bytes:
    """Return the extra field with the ID *wanted* (4.5.1), empty if there is none."""
    at = 0
    while at + _EXTRA_FORM.size <= len(extra):
        number, size = _EXTRA_FORM.unpack_from(extra, at)
        at += _EXTRA_FORM.size
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


# -- the headers before the members ----------------------------------------------------

# One has more than its name and this only if somebody put much beside.
_USUAL_EXTRA: Final = 256


def find_data(source: Source, record: Record, at: int) -> int | None:
    """Return where the data of a member begins whose own header is *at* this place.

    None if what is there contradicts its record, and so is another member's or none.
    """
    least = _LOCAL_FORM.size + len(record.name)
    header = source.read_at(at, least + _USUAL_EXTRA)
    if len(header) < least or not header.startswith(_LOCAL):
        return None
    _, _, flags, method, _, _, *said, name_length, extra_length = (
        _LOCAL_FORM.unpack_from(header)
    )
    length: int = _LOCAL_FORM.size + name_length + extra_length
    is_same = header[_LOCAL_FORM.size :][:name_length] == record.name
    if not is_same or method != record.method or (flags ^ record.flags) & ENCRYPTED:
        return None
    if length > len(header):
        header += source.read_at(at + len(header), length - len(header))
    if not _agree(record, flags, said, header[length - extra_length : length]):
        return None
    return at + length


def _agree(record: Record, flags: int, said: list[int], extra: bytes) -> bool:
    """Return whether a header's CRC and sizes are those of *record*.

    A writer that could not know them beforehand put zeros (4.4.4, bit 3).
    """
    crc, packed, size = said
    size, packed = _sizes64(extra, size, packed)
    pairs = (crc, record.crc), (packed, record.packed), (size, record.size)
    unknown = {0, _FULL32} if flags & _HAS_DESCRIPTOR else set()
    return all(value == true or value in unknown for value, true in pairs)


# -- archives without a directory -----------------------------------------------------------


def recover(source: Source, most: int) -> tuple[bytes, int]:
    """Return a central directory made of the headers before the members, and its length.

    For an archive that lacks its own: up to *most* records, and up to the first member
    that was written without its size, as behind such a one nobody knows what begins.
    """
    window = Window(source, PAGE)
    records = bytearray()
    at = count = 0
    # What lies behind a bad sector cannot be found.
    with suppress(OSError):
        while count < most and len(records) < _LARGEST:
            record, at = _made_record(window, at)
            if not record:
                break
            records += record
            count += 1
    return bytes(records), count


def _made_record(window: Window, at: int) -> tuple[bytes, int]:
    """Return a record of the member that begins *at*, empty if none does; and its end."""
    header = window.read(at, _LOCAL_FORM.size)
    if len(header) < _LOCAL_FORM.size or not header.startswith(_LOCAL):
        return b"", at
    need, flags, method, dos_time, dos_date, crc, packed, size, name_length, length = (
        _LOCAL_FORM.unpack(header)[1:]
    )
    begin = at + _LOCAL_FORM.size
    name = window.read(begin, name_length)
    extra = window.read(begin + name_length, length)
    size, packed = _sizes64(extra, size, packed)
    if flags & _HAS_DESCRIPTOR:
        return b"", at
    large = _EXTRA_FORM.pack(_ZIP64, 24) + struct.pack("<3Q", size, packed, at)
    extra = (large + extra)[:_FULL16]
    fields = (need, need, flags, method, dos_time, dos_date, crc)
    lengths = (_FULL32, _FULL32, len(name), len(extra))
    record = _RECORD_FORM.pack(_RECORD, *fields, *lengths, 0, 0, 0, 0, _FULL32)
    return record + name + extra, begin + name_length + length + packed
