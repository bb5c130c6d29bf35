"""The headers that the members of an archive have before their bytes.

As in PKWARE's APPNOTE.TXT 6.3.10, whose sections are cited.
"""

import struct
from contextlib import suppress
from typing import Final

from dicomfs.media.zip.central import LARGEST, LOCAL
from dicomfs.media.zip.record import (
    ENCRYPTED,
    EXTRA_FORM,
    FULL16,
    FULL32,
    HAS_DESCRIPTOR,
    RECORD,
    RECORD_FORM,
    ZIP64,
    Record,
    sizes64,
)
from dicomfs.source.source import PAGE, Source
from dicomfs.source.window import Window

# With its signature: 4.3.7.
_LOCAL_FORM: Final = struct.Struct("<4s5H3I2H")
# One has more than its name and this only if somebody put much beside.
_USUAL_EXTRA: Final = 256


def find_data(source: Source, record: Record, at: int) -> int | None:
    """Return where the data of a member begins whose own header is *at* this place.

    None if what is there contradicts its record, and so is another member's or none.
    """
    least = _LOCAL_FORM.size + len(record.name)
    header = source.read_at(at, least + _USUAL_EXTRA)
    if len(header) < least or not header.startswith(LOCAL):
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
    size, packed = sizes64(extra, size, packed)
    pairs = (crc, record.crc), (packed, record.packed), (size, record.size)
    unknown = {0, FULL32} if flags & HAS_DESCRIPTOR else set()
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
    # Nobody can find what lies behind a bad sector.
    with suppress(OSError):
        while count < most and len(records) < LARGEST:
            record, at = _made_record(window, at)
            if not record:
                break
            records += record
            count += 1
    return bytes(records), count


def _made_record(window: Window, at: int) -> tuple[bytes, int]:
    """Return a record of the member that begins *at*, empty if none does; and its end."""
    header = window.read(at, _LOCAL_FORM.size)
    if len(header) < _LOCAL_FORM.size or not header.startswith(LOCAL):
        return b"", at
    need, flags, method, dos_time, dos_date, crc, packed, size, name_length, length = (
        _LOCAL_FORM.unpack(header)[1:]
    )
    begin = at + _LOCAL_FORM.size
    name = window.read(begin, name_length)
    extra = window.read(begin + name_length, length)
    size, packed = sizes64(extra, size, packed)
    if flags & HAS_DESCRIPTOR:
        return b"", at
    large = EXTRA_FORM.pack(ZIP64, 24) + struct.pack("<3Q", size, packed, at)
    extra = (large + extra)[:FULL16]
    fields = (need, need, flags, method, dos_time, dos_date, crc)
    lengths = (FULL32, FULL32, len(name), len(extra))
    record = RECORD_FORM.pack(RECORD, *fields, *lengths, 0, 0, 0, 0, FULL32)
    return record + name + extra, begin + name_length + length + packed
