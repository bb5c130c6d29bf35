"""The volumes of a disc: what the descriptors say of the session that is shown.

Clauses are those of ECMA-119 (second edition), which is the same standard.
"""

import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from dicomfs.media.iso import record as isorecord
from dicomfs.media.iso.record import IsoRecord, damaged
from dicomfs.source.source import SECTOR, Source
from dicomfs.source.window import Window

# The volume descriptors begin behind the system area (6.2.1), one in each sector, and
# the last says that it is; on a damaged disc it may be missing.
FIRST: Final = 16
_MOST_DESCRIPTORS: Final = 32
# A descriptor begins with its type, and this (8.1); types (8.1.1).
_IDENTIFIER: Final = b"CD001"
_HEAD: Final = 1 + len(_IDENTIFIER)
PRIMARY, _SUPPLEMENTARY, _LAST = 1, 2, 255
# A primary or supplementary one (8.4) says how many blocks the volume has, how it escapes
# to its character set, the length of a block, and the record of the root.
_BLOCKS: Final = 80
_ESCAPES: Final = slice(88, 120)
_BLOCK: Final = 128
_ROOT: Final = slice(156, 188)
# The name of a root folder, with its length before it.
_NAME_OF_ROOT: Final = b"\1\0"
# The levels of UCS-2, by which Joliet is told.
_JOLIET: Final = (b"%/@", b"%/C", b"%/E")
_BLOCK_SIZES: Final = (512, 1024, SECTOR)

# Where a later session begins, in sectors behind the end of the one before: at once or
# after padding; on a CD after the lead-out, the lead-in and a pause, which are longer
# after the first. In each place so many sectors are looked through.
_GAPS: Final = ((0, 512), (11_400, 320), (6_900, 320))
_MOST_SESSIONS: Final = 99


class Volume(NamedTuple):
    """A volume descriptor: its *kind*, length in sectors, block size and root folder."""

    kind: int
    is_joliet: bool
    sectors: int
    block: int
    root: IsoRecord


def descriptors(
    source: Source, start: int, most: int = _MOST_DESCRIPTORS
) -> Iterator[bytes]:
    """Yield what describes the volumes of the session that begins at sector *start*.

    One that is damaged or cannot be read costs only itself.
    """
    for data in _sectors(source, (start + FIRST) * SECTOR, most):
        if len(data) < SECTOR or data[1:_HEAD] != _IDENTIFIER:
            continue
        if data[0] == _LAST:
            return
        if data[0] in {PRIMARY, _SUPPLEMENTARY}:
            yield data


def _sectors(source: Source, offset: int, count: int) -> Iterator[bytes]:
    """Yield so many sectors at *offset*, nothing for those that cannot be read."""
    together = b""
    with suppress(OSError):
        together = source.read_at(offset, count * SECTOR)
    for at in range(0, count * SECTOR, SECTOR):
        data = together[at : at + SECTOR]
        if not together:
            with suppress(OSError):
                data = source.read_at(offset + at, SECTOR)
        yield data


def _volumes(source: Source, start: int) -> list[Volume]:
    """Return the volumes that the session at sector *start* describes."""
    found = []
    for data in descriptors(source, start):
        with suppress(OSError):
            found.append(_volume(data))
    return found


def _volume(data: bytes) -> Volume:
    [blocks] = struct.unpack_from("<I", data, _BLOCKS)
    [block] = struct.unpack_from("<H", data, _BLOCK)
    if block not in _BLOCK_SIZES:
        raise damaged("a volume has blocks of a length that none has")
    return Volume(
        kind=data[0],
        is_joliet=data[0] == _SUPPLEMENTARY and data[_ESCAPES][:3] in _JOLIET,
        sectors=-(-blocks * block // SECTOR),
        block=block,
        root=_root(data[_ROOT]),
    )


def _root(data: bytes) -> IsoRecord:
    """Return the record of a root folder, of which *data* is all up to its name.

    It has 34 bytes with that (8.4.18), and some writers say that it has another length.
    """
    whole = len(data) + len(_NAME_OF_ROOT)
    return isorecord.parse(bytes([whole]) + data[1:] + _NAME_OF_ROOT)


class Session(NamedTuple):
    """A session of a disc: the sector at which it begins, and its volumes."""

    start: int
    volumes: list[Volume]


def sessions(source: Source, last: int) -> list[Session]:
    """Return the sessions of a disc that are known, of which the last one counts.

    That begins at sector *last*; it is sought behind the first if that is 0.
    """
    found = [Session(0, _volumes(source, 0))]
    if last and (volumes := _volumes(source, last)):
        # Between the two nobody knows.
        return [*found, Session(last, volumes)]
    for _ in range(_MOST_SESSIONS):
        start, volumes = found[-1]
        # Whatever its descriptors say, they are part of it.
        end = start + max((FIRST, *(each.sectors for each in volumes)))
        later = next(_sessions(source, end), None) if volumes else None
        if later is None:
            break
        found.append(Session(*later))
    return found


def end_of(start: int, volumes: Iterable[Volume]) -> int:
    """Return where the *volumes* of the session at *start* end for sure, in bytes.

    A later session is counted from where it begins, or by some writers from the
    beginning of the disc: what is less is sure.
    """
    sectors = min((each.sectors for each in volumes if each.sectors), default=0)
    return (sectors if sectors > start else start + sectors) * SECTOR


def _sessions(source: Source, end: int) -> Iterator[tuple[int, list[Volume]]]:
    """Yield where sessions begin behind sector *end*, and their volumes.

    Where a disc can be written over, as an image file can, the descriptors of the last
    session are put where the first has its own: then nothing is behind its end.
    """
    for gap, length in _GAPS:
        window = Window(source)
        last = min(end + gap + length, source.size // SECTOR - FIRST)
        for start in range(end + gap, last):
            try:
                head = window.read((start + FIRST) * SECTOR, _HEAD)
            except OSError:
                break
            if head != bytes([PRIMARY]) + _IDENTIFIER:
                continue
            volumes = _volumes(source, start)
            # That of another image, put behind this one, begins to count at its start.
            if volumes and all(
                each.root.block * each.block >= (start + FIRST) * SECTOR
                for each in volumes
            ):
                yield start, volumes
