"""ISO 9660: the image of a CD or DVD as a medium, read in place and as far as needed.

Opening an image takes its volume descriptors and the records of its root; each folder is
read when somebody looks into it, and a file's bytes when they are read. Nothing is
copied. Clauses are those of ECMA-119 (second edition), which is the same standard.
"""

import codecs
import errno
import os
import struct
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

from dicomfs.errors import MediumError
from dicomfs.media.archive import Archive
from dicomfs.media.iso import record as isorecord
from dicomfs.media.iso import rockridge
from dicomfs.media.iso.record import IsoRecord, damaged
from dicomfs.media.iso.rockridge import RockRidge
from dicomfs.media.medium import Place
from dicomfs.media.sectors import SECTOR, unpacked
from dicomfs.source.source import Extent, ExtentSource, Source, Status
from dicomfs.source.window import Window

# The volume descriptors begin behind the system area (6.2.1), one in each sector, and
# the last says that it is; on a damaged disc it may be missing.
_FIRST: Final = 16
_MOST_DESCRIPTORS: Final = 32
# To know that it is an image, so many will do.
_FEW: Final = 4
# A descriptor begins with its type, and this (8.1); types (8.1.1).
_IDENTIFIER: Final = b"CD001"
_HEAD: Final = 1 + len(_IDENTIFIER)
_PRIMARY, _SUPPLEMENTARY, _LAST = 1, 2, 255
# Of a primary or supplementary one (8.4): how many blocks the volume has, how it escapes
# to its character set, the length of a block, and the record of the root.
_BLOCKS: Final = 80
_ESCAPES: Final = slice(88, 120)
_BLOCK: Final = 128
_ROOT: Final = slice(156, 190)
# The levels of UCS-2, by which Joliet is told.
_JOLIET: Final = (b"%/@", b"%/C", b"%/E")
_BLOCK_SIZES: Final = (512, 1024, SECTOR)

# Where a later session begins, in sectors behind the end of the one before: at once or
# after padding; on a CD after the lead-out, the lead-in and a pause, which are longer
# after the first. In each place so many sectors are looked through.
_GAPS: Final = ((0, 512), (11_400, 320), (6_900, 320))
_MOST_SESSIONS: Final = 99

# The standard allows 8 levels of folders, and Rock Ridge more; a loop has no end.
_DEEPEST: Final = 64
# Of one folder: its extent in bytes, from how many on no other is read meanwhile, its
# records; and how many of those one file may have, for 4 GiB each.
_LARGEST: Final = 64 * 1024 * 1024
_LARGE: Final = 4 * 1024 * 1024
_MOST_RECORDS: Final = 200_000
_MOST_EXTENTS: Final = 10_000

_DICOMDIR: Final = b"DICOMDIR"


@dataclass(frozen=True, slots=True, eq=False)
class IsoEntry:
    """A file or folder on the disc, where it lies, and the folder *above* it.

    *fault* is why a file cannot be read. The size of a folder whose extent has none is
    told by its own first record.
    """

    extents: tuple[Extent, ...]
    mtime_ns: int
    above: "IsoEntry | None" = None
    is_folder: bool = True
    is_file: bool = False
    fault: str = ""

    @property
    def begin(self) -> int:
        """Where its data begins."""
        return self.extents[0].offset

    @property
    def status(self) -> Status:
        """Length and time."""
        return Status(sum(each.size for each in self.extents), self.mtime_ns)


class _Volume(NamedTuple):
    """A volume descriptor: its *kind*, length in sectors, block size and root folder."""

    kind: int
    is_joliet: bool
    sectors: int
    block: int
    root: IsoRecord


class _Tree(NamedTuple):
    """One of the trees of names that a disc may have for the same files.

    With Rock Ridge, *skip* is how many bytes come before its entries in each record.
    """

    block: int
    root: IsoEntry
    is_joliet: bool
    skip: int | None


_Shown = tuple[_Tree, Mapping[bytes, IsoEntry] | None]


def recognises(source: Source) -> bool:
    """Whether *source* is an image with ISO 9660 on it; raises OSError."""
    source = unpacked(source)
    if any(True for _ in _descriptors(source, 0, _FEW)):
        return True
    # Where there is none because it cannot be read, nobody knows what it is.
    source.read_at(_FIRST * SECTOR, 1)
    return False


class Iso(Archive[IsoEntry]):
    """The last session of a disc, of which *source* is the image or the drive.

    *session* is the sector at which it begins, 0 if that is not known: then it is
    sought behind the end of the first. Of the trees that a disc may have that of Rock
    Ridge is shown, else that of Joliet, else the plain one; but one without a DICOMDIR
    in its root only if none has it.
    """

    def __init__(self, source: Source, session: int = 0) -> None:
        """Open the image. Raises MediumError if it is none, and OSError."""
        super().__init__(unpacked(source))
        self._reads_large = threading.Lock()
        volumes = _last_session(self._source, session)
        if not volumes:
            what = "there is no volume descriptor of ISO 9660"
            raise MediumError(what, _FIRST * SECTOR)
        self._tree, self._in_root = self._choose(_trees(self._source, volumes))

    def _choose(self, trees: Iterable[_Tree]) -> _Shown:
        """Return the tree that is shown and what is in its root, if that can be read."""
        found: list[_Shown] = []
        unread: list[_Shown] = []
        for tree in trees:
            try:
                listing = self._read(tree, tree.root)
            except OSError:
                unread.append((tree, None))
                continue
            if any(_is_dicomdir(name) for name in listing):
                return tree, listing
            found.append((tree, listing))
        return (found + unread)[0]

    def read_folder(self, folder: Place) -> Mapping[bytes, IsoEntry]:
        """Read the entries of *folder*; raises OSError."""
        if not folder:
            if self._in_root is not None:
                return self._in_root
            return self._read(self._tree, self._tree.root)
        if len(folder) > _DEEPEST:
            raise damaged("folders are nested too deep")
        entry = self.entry(folder)
        if not entry.is_folder:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return self._read(self._tree, entry)

    def open_entry(self, entry: IsoEntry) -> Source:
        """Open a file; raises OSError."""
        if entry.fault:
            raise damaged(entry.fault)
        return ExtentSource(self._source, entry.extents, entry.mtime_ns)

    def _read(self, tree: _Tree, folder: IsoEntry) -> Mapping[bytes, IsoEntry]:
        """Return what is in *folder*; raises OSError if anything may be missing."""
        source = self._extent(folder)
        rock = None
        if tree.skip is not None:
            rock = RockRidge(self._source, tree.block, tree.skip)
        # What many threads read at once is in memory at once.
        with self._reads_large if source.size > _LARGE else nullcontext():
            named = (
                _entry(tree, folder, parts, rock)
                for parts in _files(isorecord.records(source))
            )
            return _by_name(each for each in named if each is not None)

    def _extent(self, folder: IsoEntry) -> Source:
        """Return the bytes of a folder that does not lie in itself; raises OSError."""
        above = folder.above
        while above is not None:
            if above.begin == folder.begin:
                raise damaged("a folder lies in itself")
            above = above.above
        extents = folder.extents
        if not folder.status.size:
            own = ExtentSource(self._source, [Extent(folder.begin, SECTOR)])
            extents = (Extent(folder.begin, isorecord.itself(own).size),)
        source = ExtentSource(self._source, extents)
        if not 0 < source.size <= min(_LARGEST, self._source.size):
            raise damaged("a folder is larger than can be")
        return source


# -- volume descriptors ----------------------------------------------------------------


def _descriptors(
    source: Source, start: int, most: int = _MOST_DESCRIPTORS
) -> Iterator[bytes]:
    """Yield what describes the volumes of the session that begins at sector *start*.

    One that is damaged or cannot be read costs only itself.
    """
    for data in _sectors(source, (start + _FIRST) * SECTOR, most):
        if len(data) < SECTOR or data[1:_HEAD] != _IDENTIFIER:
            continue
        if data[0] == _LAST:
            return
        if data[0] in {_PRIMARY, _SUPPLEMENTARY}:
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


def _volumes(source: Source, start: int) -> list[_Volume]:
    """Return the volumes that the session at sector *start* describes."""
    found = []
    for data in _descriptors(source, start):
        with suppress(OSError):
            found.append(_volume(data))
    return found


def _volume(data: bytes) -> _Volume:
    [blocks] = struct.unpack_from("<I", data, _BLOCKS)
    [block] = struct.unpack_from("<H", data, _BLOCK)
    if block not in _BLOCK_SIZES:
        raise damaged("a volume has blocks of a length that none has")
    return _Volume(
        kind=data[0],
        is_joliet=data[0] == _SUPPLEMENTARY and data[_ESCAPES][:3] in _JOLIET,
        sectors=-(-blocks * block // SECTOR),
        block=block,
        root=isorecord.parse(data[_ROOT]),
    )


def _last_session(source: Source, start: int) -> list[_Volume]:
    """Return the volumes of the session at *start*; of the last one if that is 0."""
    if start and (volumes := _volumes(source, start)):
        return volumes
    start, volumes = 0, _volumes(source, 0)
    for _ in range(_MOST_SESSIONS):
        # Whatever its descriptors say, they are part of it.
        end = start + max((_FIRST, *(each.sectors for each in volumes)))
        later = next(_sessions(source, end), None) if volumes else None
        if later is None:
            break
        start, volumes = later
    return volumes


def _sessions(source: Source, end: int) -> Iterator[tuple[int, list[_Volume]]]:
    """Yield where sessions begin behind sector *end*, and their volumes.

    Where a disc can be written over, as an image file can, the descriptors of the last
    session are put where the first has its own: then nothing is behind its end.
    """
    for gap, length in _GAPS:
        window = Window(source)
        last = min(end + gap + length, source.size // SECTOR - _FIRST)
        for start in range(end + gap, last):
            try:
                head = window.read((start + _FIRST) * SECTOR, _HEAD)
            except OSError:
                break
            if head != bytes([_PRIMARY]) + _IDENTIFIER:
                continue
            volumes = _volumes(source, start)
            # That of another image, put behind this one, begins to count at its start.
            if volumes and all(
                each.root.block * each.block >= (start + _FIRST) * SECTOR
                for each in volumes
            ):
                yield start, volumes


# -- trees -----------------------------------------------------------------------------


def _trees(source: Source, volumes: Iterable[_Volume]) -> list[_Tree]:
    """Return the trees of *volumes*, the one that says most of its files first."""
    return sorted((_tree(source, each) for each in volumes), key=_rank)


def _tree(source: Source, volume: _Volume) -> _Tree:
    root = IsoEntry(_extents(volume.block, [volume.root]), volume.root.mtime_ns)
    skip = None
    if volume.kind == _PRIMARY:
        with suppress(OSError):
            skip = _skip(source, volume)
    return _Tree(volume.block, root, volume.is_joliet, skip)


def _skip(source: Source, volume: _Volume) -> int | None:
    """Return where the entries of Rock Ridge begin in each record; None: has none."""
    place = [Extent(volume.root.block * volume.block, SECTOR)]
    own = isorecord.itself(ExtentSource(source, place)).system_use
    skip = rockridge.skip_of(own)
    if skip is None or not rockridge.is_rock_ridge(source, volume.block, own):
        return None
    return skip


def _rank(tree: _Tree) -> int:
    if tree.skip is not None:
        return 0
    return 1 if tree.is_joliet else 2


# -- entries ---------------------------------------------------------------------------


def _files(records: Iterable[IsoRecord]) -> Iterator[list[IsoRecord]]:
    """Yield the records of each file or folder, one for each extent it has."""
    parts: list[IsoRecord] = []
    for number, record in enumerate(records):
        if number == _MOST_RECORDS or len(parts) == _MOST_EXTENTS:
            raise damaged("a folder has too many records")
        if record.flags & isorecord.ASSOCIATED:
            continue
        if parts and record.name != parts[0].name:
            yield parts
            parts = []
        parts.append(record)
        if not record.flags & isorecord.MORE:
            yield parts
            parts = []
    if parts:
        yield parts


def _entry(
    tree: _Tree, folder: IsoEntry, parts: list[IsoRecord], rock: RockRidge | None
) -> tuple[bytes, IsoEntry] | None:
    """Return the name and the entry that *parts* are, None if it belongs elsewhere."""
    first = parts[0]
    more = rockridge.NOTHING if rock is None else rock.attributes(first.system_use)
    if more.is_relocated:
        return None
    is_folder = bool(first.flags & isorecord.FOLDER or more.child)
    extents = _extents(tree.block, parts)
    if more.child:
        extents = (Extent(more.child * tree.block, 0),)
    entry = IsoEntry(
        extents,
        first.mtime_ns if more.mtime_ns is None else more.mtime_ns,
        folder,
        is_folder=is_folder,
        is_file=not is_folder and not more.is_special,
        fault=more.fault or _fault(parts),
    )
    return _name(tree, more.name or first.name, is_rock=bool(more.name)), entry


def _extents(block: int, parts: Iterable[IsoRecord]) -> tuple[Extent, ...]:
    return tuple(Extent(part.block * block, part.size) for part in parts)


def _fault(parts: list[IsoRecord]) -> str:
    """Return why a file cannot be read, empty if it can."""
    if any(part.is_interleaved for part in parts):
        return "the file is interleaved with another"
    if parts[-1].flags & isorecord.MORE:
        return "the record of the last extent of a file is missing"
    return ""


def _name(tree: _Tree, name: bytes, *, is_rock: bool) -> bytes:
    """Return a name as UTF-8 or as it is, without what no name can have."""
    if tree.is_joliet and not is_rock:
        name = codecs.utf_16_be_decode(name, "replace", True)[0].encode()
    name = name.replace(b"/", b"_").replace(b"\0", b"_")
    return b"_" * len(name) if name in {b".", b".."} else name or b"_"


def _by_name(named: Iterable[tuple[bytes, IsoEntry]]) -> dict[bytes, IsoEntry]:
    """Return entries by name; of several that have the same all but one get numbers."""
    found: dict[bytes, IsoEntry] = {}
    numbers: dict[bytes, int] = {}
    for name, entry in named:
        free = name
        while free in found:
            numbers[name] = numbers.get(name, 0) + 1
            free = b"%b~%d" % (name, numbers[name])
        found[free] = entry
    return found


def _is_dicomdir(name: bytes) -> bool:
    return name.partition(b";")[0].rstrip(b".").upper() == _DICOMDIR
