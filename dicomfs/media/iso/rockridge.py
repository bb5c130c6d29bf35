"""Rock Ridge: what POSIX knows of a file, in the system use area of its ISO 9660 record.

The System Use Sharing Protocol (SUSP, IEEE P1281) says how entries follow each other
there, and the Rock Ridge Interchange Protocol (RRIP, IEEE P1282) what they mean.
"""

import stat
from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from dicomfs.media.iso import record as isorecord
from dicomfs.media.iso.record import damaged
from dicomfs.source.source import SECTOR, Source
from dicomfs.source.window import Window

# An entry: its signature, its length and version (SUSP 4.1).
_HEAD: Final = 4
# SP, the first entry of the root's own record (SUSP 5.3): its length, version and check
# bytes; behind them comes how many bytes of each area are somebody else's.
_BEGINS: Final = b"SP\x07\x01\xbe\xef"
# Where it is on discs whose records begin with attributes of CD-ROM XA.
_XA: Final = 14
# Block, offset and length of a continuation area (SUSP 5.1).
_CONTINUED: Final = Struct("<I4xI4xI4x")
_NUMBER: Final = Struct("<I")
# Of one record, and of all records of a folder: a chain of areas may lead back.
_MOST_AREAS: Final = 8
_MOST_IN_FOLDER: Final = 262_144
_BLOCK: Final = 16 * 1024
# No name on Linux is longer.
_LONGEST: Final = 255

# Flags of NM (RRIP 4.1.4): the name is ``.`` or ``..``, and not in the entry.
_NO_NAME: Final = 0x06
# Flags of TF (RRIP 4.1.6): there is a time of creation, one of modification before all
# others; the times have 17 bytes.
_CREATED: Final = 0x01
_MODIFIED: Final = 0x02
_LONG: Final = 0x80


class Attributes(NamedTuple):
    """What the entries of a record say; *name* is empty where they give none.

    *child* is the block of the folder that this record stands for, which lies elsewhere
    (CL), and *is_relocated* says that this folder is shown elsewhere (RE). *is_special*
    is a symbolic link, device, pipe or socket. *fault* is why a file cannot be read.
    """

    name: bytes = b""
    is_special: bool = False
    mtime_ns: int | None = None
    child: int = 0
    is_relocated: bool = False
    fault: str = ""


NOTHING: Final = Attributes()


class RockRidge:
    """The entries of the records of one folder, in blocks of *block* bytes of *source*.

    The first *skip* bytes of each system use area are not its business.
    """

    def __init__(self, source: Source, block: int, skip: int) -> None:
        self._window = Window(source, _BLOCK)
        self._block = block
        self._skip = skip
        self._areas = 0

    def attributes(self, system_use: bytes) -> Attributes:
        """Return what the entries in this area say; raises OSError."""
        name = b""
        found = NOTHING
        for signature, data in self.entries(system_use):
            if signature == b"NM":
                name += _part_of_name(data)
            elif (change := _CHANGES.get(signature)) is not None:
                found = change(found, data)
        return found._replace(name=name[:_LONGEST]) if name else found

    def entries(self, system_use: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield signature and data of the entries in this area and those it leads to."""
        area = system_use[self._skip :]
        for _ in range(_MOST_AREAS):
            following = b""
            for signature, data in _entries(area):
                if signature == b"CE":
                    following = data
                else:
                    yield signature, data
            if len(following) < _CONTINUED.size:
                return
            area = self._continued(*_CONTINUED.unpack_from(following))

    def _continued(self, block: int, offset: int, size: int) -> bytes:
        self._areas += 1
        if self._areas > _MOST_IN_FOLDER or size > SECTOR:
            raise damaged("the attributes of a folder's files are endless")
        area = self._window.read(block * self._block + offset, size)
        if len(area) < size:
            raise damaged("the medium ends before the attributes of a file do")
        return area


def _entries(area: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + _HEAD <= len(area):
        signature, length = area[at : at + 2], area[at + 2]
        # Behind ST there are none (SUSP 5.4), and what is padding has no length.
        if signature == b"ST" or length < _HEAD or at + length > len(area):
            return
        yield signature, area[at + _HEAD : at + length]
        at += length


def skip_of(own: bytes) -> int | None:
    """Return how many bytes of each area come before the entries; None: has no SUSP.

    *own* is the system use area of the root's own record.
    """
    for at in (0, _XA):
        if own.startswith(_BEGINS, at) and len(own) > at + len(_BEGINS):
            return own[at + len(_BEGINS)]
    return None


def is_rock_ridge(source: Source, block: int, own: bytes) -> bool:
    """Whether the entries of the root's own record are Rock Ridge's; raises OSError.

    Others use SUSP, too, but only Rock Ridge has PX, and RR in its first version.
    """
    # The entry that says how much is skipped is not itself behind what is skipped.
    rock = RockRidge(source, block, own.find(_BEGINS))
    return any(signature in {b"PX", b"RR"} for signature, _ in rock.entries(own))


def _part_of_name(data: bytes) -> bytes:
    """Return what an NM entry adds to the name (RRIP 4.1.4)."""
    return b"" if not data or data[0] & _NO_NAME else data[1:]


def _mode(found: Attributes, data: bytes) -> Attributes:
    """Take the kind of file from a mode of POSIX (RRIP 4.1.1)."""
    if len(data) < _NUMBER.size:
        return found
    kind = stat.S_IFMT(_NUMBER.unpack_from(data)[0])
    is_special = kind not in {0, stat.S_IFREG, stat.S_IFDIR}
    return found._replace(is_special=found.is_special or is_special)


def _special(found: Attributes, _: bytes) -> Attributes:
    return found._replace(is_special=True)


def _child(found: Attributes, data: bytes) -> Attributes:
    if len(data) < _NUMBER.size:
        return found
    return found._replace(child=_NUMBER.unpack_from(data)[0])


def _relocated(found: Attributes, _: bytes) -> Attributes:
    return found._replace(is_relocated=True)


def _times(found: Attributes, data: bytes) -> Attributes:
    """Take the time of the last change of the content (RRIP 4.1.6)."""
    flags = data[0] if data else 0
    if not flags & _MODIFIED:
        return found
    length, read = (
        (17, isorecord.long_time) if flags & _LONG else (7, isorecord.short_time)
    )
    at = 1 + (length if flags & _CREATED else 0)
    time = data[at : at + length]
    return found._replace(mtime_ns=read(time)) if len(time) == length else found


def _packed(found: Attributes, _: bytes) -> Attributes:
    return found._replace(fault="the file is compressed (zisofs)")


def _sparse(found: Attributes, _: bytes) -> Attributes:
    return found._replace(fault="the file is sparse")


# RRIP 4.1: PX, PN (a device), SL (a symbolic link), CL, RE, TF, SF; ZF is zisofs.
_CHANGES: Final = {
    b"PX": _mode,
    b"PN": _special,
    b"SL": _special,
    b"CL": _child,
    b"RE": _relocated,
    b"TF": _times,
    b"SF": _sparse,
    b"ZF": _packed,
}
