"""Directory records of ISO 9660: one after the other, as they lie in a folder's extent.

ECMA-119 is the text of the standard that everybody can have; clauses are those of its
second edition. A number is written twice, little-endian and big-endian: programs that
made discs got the second wrong so often that Linux leaves it alone, and so does this.
"""

import calendar
import errno
from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from dicomfs.source.source import SECTOR, Source
from dicomfs.source.window import Window

# The names of the two records that each folder begins with (6.8.2.2).
ITSELF: Final = b"\0"
PARENT: Final = b"\1"
# File flags (9.1.6): a folder; a resource fork or the like, which has the name of its
# file; more of the file is in the extent that the next record names.
FOLDER: Final = 0x02
ASSOCIATED: Final = 0x04
MORE: Final = 0x80

# Lengths of the record and of the extended attributes, extent, data length, time,
# flags, file unit size, gap, volume, length of the name (9.1).
_HEAD: Final = Struct("<BBI4xI4x7sBBB4xB")
_QUARTER: Final = 15 * 60
_SECOND: Final = 1_000_000_000


class IsoRecord(NamedTuple):
    """A directory record: what a file or folder is called, and where it lies.

    *block* is the logical block where its data begins, behind its extended attributes.
    """

    name: bytes
    block: int
    size: int
    flags: int
    is_interleaved: bool
    mtime_ns: int
    system_use: bytes


def damaged(what: str) -> OSError:
    """Return the error for a part of an image that is not as it should be."""
    return OSError(errno.EIO, what)


def parse(data: bytes) -> IsoRecord:
    """Return the directory record that *data* is; raises OSError (EIO)."""
    if len(data) <= _HEAD.size or len(data) < data[0]:
        raise damaged("a directory record is cut off")
    _, attributes, block, size, time, flags, unit, gap, length = _HEAD.unpack_from(data)
    end = _HEAD.size + length
    if not length or end > len(data):
        raise damaged("a directory record is shorter than its name")
    return IsoRecord(
        name=data[_HEAD.size : end],
        # Their length is in blocks, too (9.1.2).
        block=block + attributes,
        size=size,
        flags=flags,
        is_interleaved=bool(unit or gap),
        mtime_ns=short_time(time),
        # A name of even length has a byte of padding behind it (9.1.12).
        system_use=data[end + (length + 1) % 2 :],
    )


def records(folder: Source) -> Iterator[IsoRecord]:
    """Yield the records of a folder whose extent is *folder*, all but its own two.

    Raises OSError (EIO) if one of them cannot be told: then others may be missing.
    """
    window = Window(folder)
    own = _own(window)
    at = own
    is_hole = False
    while at < folder.size:
        length = window.read(at, 1)[0]
        if not length:
            # No record begins in the rest of this sector (6.8.1.1). A sector without
            # any is one that a program that copied the disc could not read, unless
            # nothing comes behind it.
            is_hole |= at % SECTOR == 0
            at += SECTOR - at % SECTOR
            continue
        if is_hole:
            raise damaged("a sector of a folder is empty")
        record = parse(window.read(at, length))
        if record.name != PARENT:
            yield record
        at += length


def itself(folder: Source) -> IsoRecord:
    """Return the first record of the folder at the start of *folder*, its own."""
    window = Window(folder, SECTOR)
    _own(window)
    return parse(window.read(0, window.read(0, 1)[0]))


def _own(window: Window) -> int:
    """Return the length of the folder's own record; raises OSError if it has none."""
    length = window.read(0, 1)
    if not length or parse(window.read(0, length[0])).name != ITSELF:
        raise damaged("what should be a folder is none")
    return length[0]


def short_time(data: bytes) -> int:
    """Return a time of seven bytes (9.1.5) in nanoseconds since 1970, 0 if it is none."""
    return _time((1900 + data[0], *data[1:6]), 0, data[6])


def long_time(data: bytes) -> int:
    """Return a time of 17 bytes (8.4.26.1) in nanoseconds since 1970, 0 if it is none."""
    digits = data[:16]
    if not digits.isdigit():
        return 0
    parts = [int(digits[:4]), *(int(digits[at : at + 2]) for at in range(4, 16, 2))]
    return _time(tuple(parts[:6]), parts[6], data[16])


def _time(moment: tuple[int, ...], hundredths: int, zone: int) -> int:
    """Return *moment*, which is in a *zone* of so many quarters of an hour from UTC."""
    quarters = zone - 256 if zone > 127 else zone
    try:
        seconds = calendar.timegm(moment) - quarters * _QUARTER
    except ValueError:
        return 0
    return max(0, seconds * _SECOND + hundredths * _SECOND // 100)
