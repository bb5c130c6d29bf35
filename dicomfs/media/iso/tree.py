"""The trees of names that a disc may have for the same files, and what is in their folders.

Clauses are those of ECMA-119 (second edition), which is the same standard.
"""

import codecs
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

from dicomfs.errors import CutOffError
from dicomfs.media.iso import record as isorecord
from dicomfs.media.iso import rockridge
from dicomfs.media.iso.record import IsoRecord, damaged
from dicomfs.media.iso.rockridge import RockRidge
from dicomfs.media.iso.volume import PRIMARY, Volume
from dicomfs.source.source import (
    SECTOR,
    Extent,
    ExtentSource,
    Source,
    Status,
    are_within,
)

# How many records a folder may have; and how many of them a file, for 4 GiB each.
_MOST_RECORDS: Final = 200_000
_MOST_EXTENTS: Final = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class IsoEntry:
    """A file or folder on the disc, where it lies, and the folder *above* it.

    *fault* is why a file cannot be read, and *is_cut_off* whether it lies beyond the end
    of the image. The size of a folder whose extent has none is told by its own first
    record.
    """

    extents: tuple[Extent, ...]
    mtime_ns: int
    above: "IsoEntry | None" = None
    is_folder: bool = True
    is_file: bool = False
    is_cut_off: bool = False
    fault: str = ""

    @property
    def begin(self) -> int:
        """Where its data begins."""
        return self.extents[0].offset

    @property
    def size(self) -> int:
        """How many bytes there should be."""
        return sum(each.size for each in self.extents)

    @property
    def status(self) -> Status:
        """Length and time; raises OSError where not all of it can be read."""
        if self.fault:
            raise damaged(self.fault)
        if self.is_cut_off:
            raise CutOffError
        return Status(self.size, self.mtime_ns)


class Tree(NamedTuple):
    """One of the trees of names that a disc may have for the same files.

    With Rock Ridge, *skip* is how many bytes come before its entries in each record.
    """

    block: int
    root: IsoEntry
    is_joliet: bool
    skip: int | None


def trees(source: Source, volumes: Iterable[Volume]) -> list[Tree]:
    """Return the trees of *volumes*, the one that says most of its files first."""
    return sorted((_tree(source, each) for each in volumes), key=_rank)


def _tree(source: Source, volume: Volume) -> Tree:
    root = IsoEntry(_extents(volume.block, [volume.root]), volume.root.mtime_ns)
    skip = None
    if volume.kind == PRIMARY:
        with suppress(OSError):
            skip = _skip(source, volume)
    return Tree(volume.block, root, volume.is_joliet, skip)


def _skip(source: Source, volume: Volume) -> int | None:
    """Return where the entries of Rock Ridge begin in each record; None if there are none."""
    place = [Extent(volume.root.block * volume.block, SECTOR)]
    own = isorecord.itself(ExtentSource(source, place)).system_use
    skip = rockridge.skip_of(own)
    if skip is None or not rockridge.is_rock_ridge(source, volume.block, own):
        return None
    return skip


def _rank(tree: Tree) -> int:
    if tree.skip is not None:
        return 0
    return 1 if tree.is_joliet else 2


def entries(
    source: Source, tree: Tree, folder: IsoEntry, records: Iterable[IsoRecord]
) -> Mapping[bytes, IsoEntry]:
    """Return the entries by name that the *records* of *folder* are, as *tree* has them.

    What continues the records of Rock Ridge is read from *source*. Raises OSError if
    anything may be missing.
    """
    rock = None
    if tree.skip is not None:
        rock = RockRidge(source, tree.block, tree.skip)
    end = source.size
    named = (_entry(tree, folder, parts, rock, end) for parts in _files(records))
    return _by_name(each for each in named if each is not None)


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
    tree: Tree,
    folder: IsoEntry,
    parts: list[IsoRecord],
    rock: RockRidge | None,
    end: int,
) -> tuple[bytes, IsoEntry] | None:
    """Return the name and the entry that *parts* are, None if it belongs elsewhere.

    The image has *end* bytes.
    """
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
        is_cut_off=not are_within(extents, end),
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


def _name(tree: Tree, name: bytes, *, is_rock: bool) -> bytes:
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
