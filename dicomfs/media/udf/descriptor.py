"""Descriptors of ECMA-167: what all structures of a UDF disc begin with, and fields.

Nothing is believed that its checksums do not confirm.
"""

import errno
from binascii import crc_hqx
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

EXTENT: Final = Struct("<LL")
LONG_AD: Final = Struct("<LLH6x")
NUMBER: Final = Struct("<L")
_TAG: Final = Struct("<HHBxHHHL")
_TIMESTAMP: Final = Struct("<HhBBBBBBBB")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NO_ZONE: Final = -2047
# Times that no file has: what is later than a file system can say.
_NEVER: Final = 1 << 63


class Tag(IntEnum):
    """Which descriptor it is (3/7.2.1, 4/7.2.1)."""

    UNRECORDED = 0
    PRIMARY = 1
    ANCHOR = 2
    POINTER = 3
    PARTITION = 5
    LOGICAL_VOLUME = 6
    TERMINATING = 8
    FILE_SET = 256
    FILE_IDENTIFIER = 257
    ALLOCATION_EXTENT = 258
    INDIRECT_ENTRY = 259
    FILE_ENTRY = 261
    EXTENDED_FILE_ENTRY = 266


class Address(NamedTuple):
    """A block of a partition, the partition by its place in the list of maps."""

    partition: int
    block: int


def damaged(what: str) -> OSError:
    """Return the error for a part of a disc that is not what it should be."""
    return OSError(errno.EIO, what)


def tag_of(data: bytes, location: int | None) -> int:
    """Return which descriptor *data* begins with, 0 if nothing was recorded there.

    Raises OSError if its checksum or CRC fails, or if it was written for another place
    than *location*: what is left of an older disc looks sound, too (3/7.2).
    """
    if len(data) < _TAG.size:
        raise damaged("the image ends within a descriptor")
    if not any(data[: _TAG.size]):
        return Tag.UNRECORDED
    identifier, _, checksum, _, crc, length, place = _TAG.unpack_from(data)
    if (sum(data[: _TAG.size]) - checksum) & 0xFF != checksum:
        raise damaged("the checksum of a descriptor is wrong")
    end = _TAG.size + length
    if end > len(data) or crc_hqx(data[_TAG.size : end], 0) != crc:
        raise damaged("the CRC of a descriptor is wrong")
    if location is not None and place != location:
        raise damaged("a descriptor lies where it does not belong")
    return int(identifier)


def nanoseconds(time: bytes) -> int:
    """Return a timestamp (1/7.3) in nanoseconds since 1970, 0 if it is none or absurd.

    Where no zone is given it is taken for UTC.
    """
    zone, year, month, day, hour, minute, second, *fractions = _TIMESTAMP.unpack(time)
    # Twelve bits in two's complement: the minutes by which local time is ahead.
    ahead = ((zone & 0xFFF) ^ 0x800) - 0x800
    if zone >> 12 != 1 or ahead == _NO_ZONE:
        ahead = 0
    try:
        local = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return 0
    since = local - _EPOCH - timedelta(minutes=ahead)
    centiseconds, hundreds, micros = fractions
    microseconds = since // timedelta(microseconds=1)
    microseconds += centiseconds * 10_000 + hundreds * 100 + micros
    made = int(microseconds) * 1000
    return made if 0 <= made < _NEVER else 0


def number_at(data: bytes, at: int) -> int:
    """Return the number of 32 bits at *at*."""
    return int.from_bytes(data[at : at + 4], "little")


def short_at(data: bytes, at: int) -> int:
    """Return the number of 16 bits at *at*."""
    return int.from_bytes(data[at : at + 2], "little")


def address_at(data: bytes, at: int) -> Address:
    """Return where the long allocation descriptor at *at* leads (4/14.14.2)."""
    _, block, partition = LONG_AD.unpack_from(data, at)
    return Address(partition, block)
