"""Nodes of a UDF volume: the files and directories by the addresses of their ICBs.

ECMA-167 gives each file an information control block (ICB) that lies in a block of a
partition and says in which extents its bytes lie. Here all of them become extents of
the image. Everything that is counted or followed has a bound. A damaged part raises
OSError (EIO), and costs only itself.
"""

from collections.abc import Iterator, Sequence
from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

from dicomfs.errors import CutOffError
from dicomfs.media.udf.descriptor import (
    EXTENT,
    LONG_AD,
    Address,
    Tag,
    address_at,
    damaged,
    nanoseconds,
    number_at,
    short_at,
    tag_of,
)
from dicomfs.media.udf.partition import MOST_EXTENTS, ZEROS, Partition
from dicomfs.source.source import Extent, Status
from dicomfs.source.window import Window


class FileType(IntEnum):
    """What an ICB describes (4/14.6.6, UDF 2.3.5.2); *UNSPECIFIED* also VATs of 1.50."""

    UNSPECIFIED = 0
    DIRECTORY = 4
    REGULAR = 5
    VAT = 248
    REAL_TIME = 249
    METADATA = 250
    MIRROR = 251


# Types of an extent (4/14.14.1.1).
_RECORDED: Final = 0
_CONTINUED: Final = 3
# Forms of allocation descriptors in the flags of an ICB (4/14.6.8). The last means that
# there are none, but the bytes of the file themselves. How the first three are laid out.
_FORM: Final = 7
_SHORT: Final = 0
_LONG: Final = 1
_EXTENDED: Final = 2
_EMBEDDED: Final = 3
_LAYOUTS: Final = (EXTENT, LONG_AD, Struct("<LLLLH2x"))

# From the strategy on: it, the file type, flags, size, time of modification, and the
# lengths of extended attributes and allocation descriptors, which follow (4/14.9, 14.17).
_FILE_ENTRY: Final = Struct("<20xH5xB6xH20xQ8x12x12s72xLL")
_EXTENDED_FILE_ENTRY: Final = Struct("<20xH5xB6xH20xQ8x8x12x12s104xLL")
_STRATEGY_4096: Final = 4096

# More of these is not a disc but an attack; pieces of a file may make one extent together.
_MOST_ENTRIES: Final = 256
_MOST_PIECES: Final = 262_144


class Node(NamedTuple):
    """A file or directory as its ICB has it: what it is, and where its bytes lie."""

    file_type: int
    status: Status
    extents: Sequence[Extent]


class Nodes:
    """Reads the nodes of a volume of blocks of *block* bytes, in its *partitions*.

    Partitions that are made later may be put there once those that they lie in were
    read. It may be used from several threads.
    """

    def __init__(self, block: int, partitions: Sequence[Partition | None]) -> None:
        self._block = block
        self._partitions = partitions

    def _where(self, address: Address, copy: int) -> int:
        """Return the offset of a block in the image."""
        return next(self.places(address, self._block, copy)).offset

    def places(self, address: Address, size: int, copy: int) -> Iterator[Extent]:
        """Yield where the *size* bytes from *address* on lie in the image."""
        try:
            partition = self._partitions[address.partition]
        except IndexError as error:
            raise damaged("there is no such partition") from error
        if partition is None:
            raise damaged("a partition leads to itself")
        return partition.places(address.block, size, copy)

    def descriptor(
        self, address: Address, window: Window, copy: int
    ) -> tuple[int, bytes]:
        """Return the descriptor at *address*, and which one it is."""
        data = window.read(self._where(address, copy), self._block)
        if len(data) < self._block:
            raise CutOffError
        return tag_of(data, address.block), data

    def node(self, address: Address, window: Window, copy: int) -> Node:
        """Return the file or directory whose ICB is at *address*, as *window* shows it.

        *copy* says which copy of the metadata is asked. Raises OSError (EIO).
        """
        address, tag, data = self._direct_entry(address, window, copy)
        layout = _FILE_ENTRY if tag == Tag.FILE_ENTRY else _EXTENDED_FILE_ENTRY
        fields = layout.unpack_from(data)
        _, file_type, flags, size, time, attributes, length = fields
        begin = layout.size + attributes
        if begin + length > len(data):
            raise damaged("a file entry is longer than its block")
        form = flags & _FORM
        if form == _EMBEDDED:
            place = Extent(self._where(address, copy) + begin, min(size, length))
            extents = [place]
        elif form < _EMBEDDED:
            reader = _AllocationReader(self, address.partition, form, window, copy)
            extents = reader.read(data[begin : begin + length], size)
        else:
            raise damaged("the form of allocation descriptors is unknown")
        if sum(extent.size for extent in extents) < size:
            raise damaged("a file is longer than its extents")
        return Node(file_type, Status(size, nanoseconds(time)), extents)

    def _direct_entry(
        self, address: Address, window: Window, copy: int
    ) -> tuple[Address, int, bytes]:
        """Return the file entry that an ICB leads to, and where it lies.

        An ICB of strategy 4 is one entry. One of strategy 4096, for write-once discs,
        is a pair: an entry, and one that leads to the pair which replaced it (4/A.5,
        UDF 6.6).
        """
        for _ in range(_MOST_ENTRIES):
            tag, data = self.descriptor(address, window, copy)
            if tag == Tag.INDIRECT_ENTRY:
                address = address_at(data, 36)
                continue
            if tag not in {Tag.FILE_ENTRY, Tag.EXTENDED_FILE_ENTRY}:
                raise damaged("there is no file entry")
            if short_at(data, 20) != _STRATEGY_4096:
                return address, tag, data
            place = address._replace(block=address.block + 1)
            after, following = self.descriptor(place, window, copy)
            if after != Tag.INDIRECT_ENTRY:
                return address, tag, data
            address = address_at(following, 36)
        raise damaged("an ICB leads on and on")

    def allocation_extent(self, address: Address, window: Window, copy: int) -> bytes:
        """Return the allocation descriptors that go on at *address* (4/14.5)."""
        tag, data = self.descriptor(address, window, copy)
        length = number_at(data, 20)
        if tag != Tag.ALLOCATION_EXTENT or 24 + length > len(data):
            raise damaged("allocation descriptors do not go on where they should")
        return data[24 : 24 + length]


class _AllocationReader:
    """Reads the allocation descriptors of one file, of one *form* (4/14.14)."""

    def __init__(
        self, nodes: Nodes, partition: int, form: int, window: Window, copy: int
    ) -> None:
        self._nodes = nodes
        self._partition = partition
        self._form = form
        self._window = window
        self._copy = copy
        self._extents: list[Extent] = []
        self._left = 0
        self._count = 0

    def read(self, data: bytes, size: int) -> list[Extent]:
        """Return the extents of the first *size* bytes that *data* describes.

        Raises OSError (EIO) where that leads into a circle or to more than is sane.
        """
        self._left = size
        visited: set[Address] = set()
        following = self._read(data)
        while following is not None and self._left:
            if following in visited:
                raise damaged("allocation descriptors lead back")
            visited.add(following)
            following = self._read(
                self._nodes.allocation_extent(following, self._window, self._copy)
            )
        return self._extents

    def _read(self, data: bytes) -> Address | None:
        """Take what *data* describes; return where descriptors go on, if they do."""
        for length, address in self._descriptors(data):
            kind, size = length >> 30, length & 0x3FFFFFFF
            # What goes on is closed by an extent of no length (4/12.1).
            if not size or not self._left:
                return None
            if kind == _CONTINUED:
                return address
            size = min(size, self._left)
            self._left -= size
            if kind == _RECORDED:
                for place in self._nodes.places(address, size, self._copy):
                    self._add(place)
            else:
                # Allocated or not, what was not recorded reads as zeros.
                self._add(Extent(ZEROS, size))
        return None

    def _add(self, place: Extent) -> None:
        self._count += 1
        if len(self._extents) >= MOST_EXTENTS or self._count > _MOST_PIECES:
            raise damaged("a file lies in too many extents")
        if self._extents and sum(self._extents[-1]) == place.offset:
            place = Extent(
                self._extents[-1].offset, self._extents.pop().size + place.size
            )
        self._extents.append(place)

    def _descriptors(self, data: bytes) -> Iterator[tuple[int, Address]]:
        """Yield length and address of each descriptor, in whatever form it is."""
        layout = _LAYOUTS[self._form]
        whole = len(data) - len(data) % layout.size
        for fields in layout.iter_unpack(data[:whole]):
            if self._form == _SHORT:
                yield fields[0], Address(self._partition, fields[1])
            elif self._form == _LONG:
                yield fields[0], Address(fields[2], fields[1])
            else:
                length, recorded, size, block, partition = fields
                if recorded != size:
                    raise damaged("an extent is compressed")
                yield length >> 30 << 30 | size, Address(partition, block)
