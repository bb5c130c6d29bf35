"""Where the central directory of an archive lies, which says what its members are.

As in PKWARE's APPNOTE.TXT 6.3.10, whose sections are cited. A ZIP is read from its end:
an end record says where the central directory is, and that has a record for each
member, which again has a header of its own before its bytes. All three can be forged,
and contradict each other: nothing is believed that is not checked.
"""

import struct
from typing import Final, NamedTuple

from dicomfs.errors import MediumError, SplitError
from dicomfs.media.zip.record import FULL16, FULL32, RECORD
from dicomfs.source.source import Source

LOCAL: Final = b"PK\3\4"
_END: Final = b"PK\5\6"
_END64: Final = b"PK\6\6"
_LOCATOR: Final = b"PK\6\7"
_SPLIT: Final = b"PK\7\x08"

# Each with its signature: 4.3.16, 4.3.14, 4.3.15.
_END_FORM: Final = struct.Struct("<4s4H2IH")
_END64_FORM: Final = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_FORM: Final = struct.Struct("<4sIQI")
# The offset of a member, in its record.
_OFFSET_FORM: Final = struct.Struct("<I")
_OFFSET_AT: Final = 42

_LARGEST_COMMENT: Final = 0xFFFF
# A comment may hold what looks like an end record.
_MOST_ENDS: Final = 16
# Some 335 bytes for each member that an archive may have; most writers take 100.
LARGEST: Final = 64 * 1024**2


class CentralDirectory(NamedTuple):
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


def begins_like_one(source: Source) -> bool:
    """Return whether *source* begins as an archive does that nothing was put before."""
    return source.read_at(0, 4) in {LOCAL, _END, _SPLIT}


def find(source: Source) -> CentralDirectory | None:
    """Return where the central directory of *source* is, None if there is no end record.

    Raises SplitError for one part of an archive that was split.
    """
    begin = max(0, source.size - _LOCATOR_FORM.size - _END_FORM.size - _LARGEST_COMMENT)
    tail = source.read_at(begin, source.size - begin)
    for at in _ends(tail):
        _, *fields, _ = _END_FORM.unpack_from(tail, at)
        directory = _directory(source, begin + at, _End(*fields))
        if directory is not None:
            return directory
    if source.read_at(0, len(_SPLIT)) == _SPLIT:
        raise SplitError("it is the first part of an archive that was split")
    return None


def _ends(tail: bytes) -> list[int]:
    """Return where end records may be, the best first: its comment ends the file."""
    found: list[tuple[bool, int]] = []
    at = max(0, len(tail) - _END_FORM.size + len(_END))
    while (at := tail.rfind(_END, 0, at)) >= 0 and len(found) < _MOST_ENDS:
        behind = len(tail) - at - _END_FORM.size - _END_FORM.unpack_from(tail, at)[-1]
        if behind >= 0:
            found.append((behind > 0, -at))
        at += len(_END) - 1
    return [-at for _, at in sorted(found)]


def _directory(source: Source, at: int, end: _End) -> CentralDirectory | None:
    """Return the central directory that ends before the end record *at*, if it does."""
    end, at = _end64(source, at, end)
    if end.disk or end.first_disk or end.records_here != end.records:
        raise SplitError("it is one part of an archive that was split", at)
    # Either its size or its place may be wrong.
    for start in (at - end.size, end.offset):
        is_within = 0 <= start <= at
        if is_within and (start == at or source.read_at(start, 4) == RECORD):
            shift = _shift(source, start, start - end.offset)
            return CentralDirectory(start, at - start, shift, end.records)
    return None


def _shift(source: Source, start: int, said: int) -> int:
    """Return what all offsets have to be added, by what is where the first one leads."""
    [offset] = _OFFSET_FORM.unpack(
        source.read_at(start + _OFFSET_AT, 4).rjust(4, b"\0")
    )
    for shift in (said, 0):
        if offset + shift >= 0 and source.read_at(offset + shift, 4) == LOCAL:
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
        raise SplitError("it is one part of an archive that was split", at)
    for end64_at in (offset, max(0, locator_at - _END64_FORM.size)):
        data = source.read_at(end64_at, _END64_FORM.size)
        if len(data) < _END64_FORM.size or not data.startswith(_END64):
            continue
        _, size, _, _, *fields = _END64_FORM.unpack(data)
        if end64_at + 12 + size == locator_at:
            return _End(*map(_filled, end, fields)), end64_at
    return end, at


def _filled(value: int, value64: int) -> int:
    return value64 if value in {FULL16, FULL32} else value


def read(source: Source, directory: CentralDirectory) -> bytes:
    """Return the bytes of the central directory; raises MediumError if they are many."""
    if directory.size > LARGEST:
        raise MediumError(
            f"its directory has more than {LARGEST} bytes", directory.start
        )
    return source.read_at(directory.start, directory.size)
