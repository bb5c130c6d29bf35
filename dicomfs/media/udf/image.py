"""A UDF image as a medium: DVDs, Blu-ray discs, and CDs written in packets.

UDF is the profile that OSTA made of ECMA-167; clauses below are of that standard unless
UDF is named. All revisions up to 2.60 are read. Discs that are ISO 9660 as well are
better read as that: see ``formats``.
"""

import codecs
import errno
import threading
from array import array
from collections.abc import Iterator, Mapping, Sequence
from struct import Struct
from typing import Final

from dicomfs.errors import CutOffError
from dicomfs.findings import Finding
from dicomfs.media.archive import Archive, shorter
from dicomfs.media.medium import Place
from dicomfs.media.sectors import unpacked
from dicomfs.media.udf.description import is_recorded
from dicomfs.media.udf.descriptor import Address, Tag, damaged, tag_of
from dicomfs.media.udf.node import FileType, Node
from dicomfs.media.udf.volume import Volume
from dicomfs.source.source import Extent, Source, Status
from dicomfs.source.window import BLOCK, Window

_FILES: Final = frozenset({FileType.UNSPECIFIED, FileType.REGULAR, FileType.REAL_TIME})
# Bits of the characteristics of a file identifier (4/14.4.3).
_IS_HIDDEN: Final = 1
_IS_FOLDER: Final = 2
_IS_DELETED: Final = 4
_IS_PARENT: Final = 8

_FID: Final = Struct("<16xHBBLLH6xH")
# By this name UDF keeps what no file may use, bad blocks among it (UDF 2.3.13).
_UNUSABLE: Final = b"Non-Allocatable Space"
# What says how the characters of a name are stored (UDF 2.1.1).
_LATIN: Final = 8
_UTF16: Final = 16
# What no path can have in a name.
_IMPOSSIBLE: Final = bytes.maketrans(b"/\0", b"__")

# How much a folder may have, and how deep it may be. Folders of more bytes than so many
# are read one after the other, whoever asks: each takes memory.
_MOST_ENTRIES: Final = 200_000
_DEEPEST: Final = 64
_LARGE: Final = 4 * 1024 * 1024
_BLOCK_BITS: Final = 32
# Files in more extents than this are looked up again each time they are opened.
_MOST_REMEMBERED: Final = 16


def recognises(source: Source) -> bool:
    """Whether *source* is a UDF file system, be it another one as well."""
    return is_recorded(unpacked(source))


class UdfEntry:
    """A file identifier; what it identifies is read from its ICB when it is asked for.

    *is_file* says only that it is not a folder: the ICB may say that it is not a file.
    """

    __slots__ = ("_block", "_known", "_volume", "is_folder", "is_unique")

    def __init__(self, volume: Volume, address: Address, *, is_folder: bool) -> None:
        self._volume = volume
        # A folder may have very many entries: what is kept of each is packed.
        self._block = address.partition << _BLOCK_BITS | address.block
        self._known: array[int] | None = None
        self.is_folder = is_folder
        # If two files have one name, nobody knows which is meant.
        self.is_unique = True

    @property
    def address(self) -> Address:
        """Where the ICB lies."""
        partition = self._block >> _BLOCK_BITS
        return Address(partition, self._block - (partition << _BLOCK_BITS))

    @property
    def is_file(self) -> bool:
        """Whether the entry is not a folder."""
        return not self.is_folder

    @property
    def status(self) -> Status:
        """The status of the file; raises OSError if it has none, or was cut off."""
        node = self.node()
        if not self._volume.has_all_of(node):
            raise CutOffError
        return node.status

    @property
    def known(self) -> Node | None:
        """The file, if memory has it."""
        if self._known is None:
            return None
        size, mtime_ns, *places = self._known
        extents = [
            Extent(*place) for place in zip(places[::2], places[1::2], strict=True)
        ]
        return Node(FileType.REGULAR, Status(size, mtime_ns), extents)

    def node(self, window: Window | None = None) -> Node:
        """Return the file, its ICB seen through *window*; raises OSError."""
        if (known := self.known) is not None:
            return known
        if not self.is_unique:
            raise damaged("a folder has two files of one name")
        seen = window or self._volume.window()
        node = self._volume.from_copies(
            lambda copy: self._volume.node(self.address, seen, copy)
        )
        if node.file_type not in _FILES:
            raise OSError(errno.EINVAL, "not a regular file")
        if len(node.extents) <= _MOST_REMEMBERED:
            places = (number for extent in node.extents for number in extent)
            self._known = array("Q", (*node.status[:2], *places))
        return node


class Udf(Archive[UdfEntry]):
    """The file system in the UDF volume *source*, which it owns.

    Its *session* begins at this block, 0 if that is not known. Only the
    descriptors of the volume are read at first: raises MediumError if they cannot be
    used. Names are UTF-8, whatever they are on the disc.
    """

    def __init__(self, source: Source, session: int = 0) -> None:
        source = unpacked(source)
        super().__init__(source)
        self._large = threading.Lock()
        self._volume = Volume(source, session)

    def findings(self) -> Iterator[Finding]:
        """Yield that the image is shorter than its volume."""
        return shorter(self._source.size, self._volume.end)

    def read_folder(self, folder: Place) -> Mapping[bytes, UdfEntry]:
        """Read the entries of *folder* from the source; raises OSError."""
        address = self._address(folder)
        return self._volume.from_copies(lambda copy: self._listing(address, copy))

    def _address(self, folder: Place) -> Address:
        """Return where the ICB of *folder* lies, which is in none of its own folders."""
        if len(folder) > _DEEPEST:
            raise damaged("folders are nested too deep")
        address = self._volume.root
        above = set()
        for depth in range(len(folder)):
            above.add(address)
            entry = self.entry(folder[: depth + 1])
            if not entry.is_folder:
                raise NotADirectoryError(errno.ENOTDIR, "not a folder")
            address = entry.address
            if address in above or not entry.is_unique:
                raise damaged("a folder contains itself, or two of one name")
        return address

    def _listing(self, address: Address, copy: int) -> dict[bytes, UdfEntry]:
        """Return what the directory at *address* has, all of it or OSError."""
        node = self._volume.node(address, self._volume.window(), copy)
        if node.file_type != FileType.DIRECTORY:
            raise damaged("what should be a folder is none")
        if node.status.size <= _LARGE:
            return self._listed(node)
        with self._large:
            return self._listed(node)

    def _listed(self, node: Node) -> dict[bytes, UdfEntry]:
        """Return the entries of the directory *node*."""
        listing: dict[bytes, UdfEntry] = {}
        for name, entry in self._identified(self._volume.open(node)):
            if name in listing:
                entry.is_unique = False
            listing[name] = entry
        return listing

    def _identified(self, directory: Source) -> Iterator[tuple[bytes, UdfEntry]]:
        """Yield name and entry of each file identifier in *directory* (4/14.4).

        Hidden files are files, but for one of UDF's own. Raises OSError at the first
        identifier that is damaged: what comes after it is unknown.
        """
        window = Window(directory)
        at, count = 0, 0
        while at < directory.size:
            fields = window.read(at, _FID.size)
            if len(fields) < _FID.size:
                raise damaged("a file identifier is cut off")
            _, kind, length, _, block, partition, more = _FID.unpack(fields)
            data = window.read(at, -(-(_FID.size + more + length) // 4) * 4)
            if tag_of(data, None) != Tag.FILE_IDENTIFIER:
                raise damaged("there is no file identifier")
            at += len(data)
            if (count := count + 1) > _MOST_ENTRIES:
                raise damaged("a folder has too many entries")
            if kind & (_IS_DELETED | _IS_PARENT):
                continue
            begin = _FID.size + more
            name = _name(data[begin : begin + length])
            if name != _UNUSABLE or not kind & _IS_HIDDEN:
                address, is_folder = Address(partition, block), bool(kind & _IS_FOLDER)
                yield name, UdfEntry(self._volume, address, is_folder=is_folder)

    def statuses(self, folder: Place, names: Sequence[bytes]) -> list[Status | OSError]:
        """Return the status of each of *names* in *folder*, or why it has none.

        ICBs are read in the order in which they lie on the disc, where those of a folder
        are mostly neighbours.
        """
        entries = self.listing(folder)
        window = self._volume.window(BLOCK if len(names) > 1 else None)
        found: dict[bytes, OSError] = {}
        there = [name for name in set(names) if name in entries]
        for name in sorted(there, key=lambda name: entries[name].address):
            try:
                if entries[name].is_file:
                    entries[name].node(window)
            except OSError as error:
                found[name] = error
        left = [name for name in names if name not in found]
        rest = iter(super().statuses(folder, left))
        return [found[name] if name in found else next(rest) for name in names]

    def open_entry(self, entry: UdfEntry) -> Source:
        """Open a file, what is left of one that was cut off; raises OSError."""
        return self._volume.open_what_is_left(entry.node())

    def open_entry_cached(self, entry: UdfEntry) -> Source | None:
        """Open the file if its ICB was read before, else None."""
        known = entry.known
        return None if known is None else self._volume.open_what_is_left(known)


def _name(identifier: bytes) -> bytes:
    """Return an OSTA compressed Unicode name (UDF 2.1.1) in UTF-8.

    Characters that no path can have become ``_``. Surrogates without the other half stay:
    two names that differ in nothing else are two.
    """
    kind, characters = identifier[:1], identifier[1:]
    if kind == bytes([_UTF16]):
        whole = characters[: len(characters) & ~1]
        # Not by the name of the codec: that would import it when first met.
        text, _ = codecs.utf_16_be_decode(whole, "surrogatepass", True)
    elif kind == bytes([_LATIN]):
        text = characters.decode("latin-1")
    else:
        raise damaged("a name is stored in an unknown way")
    name = text.encode("utf-8", "surrogatepass").translate(_IMPOSSIBLE)
    return b"_" * max(len(name), 1) if name in {b"", b".", b".."} else name
