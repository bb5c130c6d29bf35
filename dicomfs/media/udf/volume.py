"""The volume below a UDF file system: from the address of a node to its bytes.

ECMA-167 gives each file an information control block (ICB) that lies in a block of a
partition and says in which extents its bytes lie. Here all of them become extents of
the image. Everything that is counted or followed has a bound. What is damaged raises
OSError (EIO), for that part alone; only the constructor of ``Volume`` raises
MediumError.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple, TypeVar

from dicomfs.errors import MediumError
from dicomfs.media.udf.description import Description, describe
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
from dicomfs.media.udf.partition import (
    MOST_EXTENTS,
    ZEROS,
    InFiles,
    OnDisc,
    Partition,
    Spared,
    Virtual,
)
from dicomfs.source.source import Extent, ExtentSource, Source, Status, View
from dicomfs.source.window import Window

_T = TypeVar("_T")


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
# Forms of allocation descriptors in the flags of an ICB (4/14.6.8), the last of which is
# none: the bytes of the file themselves. How the first three are laid out.
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

# Names of partition types and tables (UDF 2.2.8 to 2.2.11).
_SPARABLE_MAP: Final = b"*UDF Sparable Partition"
_VIRTUAL_MAP: Final = b"*UDF Virtual Partition"
_METADATA_MAP: Final = b"*UDF Metadata Partition"
_SPARING_TABLE: Final = b"*UDF Sparing Table"
_VAT_150: Final = b"*UDF Virtual Alloc Tbl"
# A map of type 1 (3/10.7.2), the length of one of type 2 (3/10.7.3), and that of what is
# behind the entries of a VAT of UDF 1.50.
_TYPE_1: Final = 1
_TYPE_2_LENGTH: Final = 64
_VAT_150_TAIL: Final = 36
# Packets from this number on are free, or bad themselves.
_NO_PACKET: Final = 0xFFFFFFF0

# More of any of these is no disc but an attack.
_MOST_ENTRIES: Final = 256
_MOST_FILE_SETS: Final = 64
# Pieces of a file, some of which make one extent together.
_MOST_PIECES: Final = 262_144
# How many blocks of padding may lie behind what was recorded last.
_MOST_PADDING: Final = 512
# How many blocks at the end of a track of a CD-R cannot be read.
_RUN_OUT: Final = 4


class Node(NamedTuple):
    """A file or directory as its ICB has it: what it is, and where its bytes lie."""

    file_type: int
    status: Status
    extents: Sequence[Extent]


class Volume:
    """The partitions of a disc, the address of its root, and its nodes.

    Of *source*, which it does not own; of the *session* that begins at this block, 0 if
    that is not known. Raises MediumError if it is no volume that can be read. It may be
    used from several threads.
    """

    def __init__(self, source: Source, session: int = 0) -> None:
        self._image = source
        self._with_zeros = _WithZeros(source)
        self._partitions: list[Partition | None] = []
        self._copies = 1
        try:
            description = describe(source, session)
            self.block = description.block
            self._make_partitions(description)
            self.root = self._find_root(description.logical_volume)
        except OSError as error:
            what = f"the UDF file system cannot be read: {error.strerror}"
            raise MediumError(what) from error

    def window(self, block: int | None = None) -> Window:
        """Return a window on the image: of one block, or of *block* bytes."""
        return Window(self._image, block or self.block)

    def from_copies(self, read: Callable[[int], _T]) -> _T:
        """Return what *read* gives for the first copy of the metadata that is sound."""
        for copy in range(self._copies - 1):
            with suppress(OSError):
                return read(copy)
        return read(self._copies - 1)

    def open(self, node: Node) -> Source:
        """Return the bytes of *node*."""
        has_holes = any(extent.offset >= ZEROS for extent in node.extents)
        source = self._with_zeros if has_holes else self._image
        return ExtentSource(source, node.extents, node.status.mtime_ns)

    # -- making it

    def _make_partitions(self, description: Description) -> None:
        """Make the partitions: first those on the disc, then those on top of others."""
        maps = description.maps()
        on_disc = [self._on_disc(each, description) for each in maps]
        self._partitions = list(on_disc)
        for index, each in enumerate(maps):
            if on_disc[index] is None:
                self._partitions[index] = self._on_other(each, maps, on_disc)

    def _on_disc(self, each: bytes, description: Description) -> OnDisc | None:
        """Return the partition of the map *each*, None if it lies in another one."""
        start = description.starts.get(_partition_number(each))
        if start is None:
            raise damaged("a partition is not on this disc")
        if each[0] == _TYPE_1:
            return OnDisc(start, self.block)
        if not _is_named(each, _SPARABLE_MAP):
            return None
        length, count = short_at(each, 40), each[42]
        if not length or len(each) < _TYPE_2_LENGTH:
            raise damaged("a sparable partition has packets of no length")
        tables = [number_at(each, 48 + 4 * index) for index in range(min(count, 4))]
        return Spared(start, self.block, length, self._moved(tables))

    def _moved(self, tables: Sequence[int]) -> dict[int, int]:
        """Return what the latest of the sparing *tables* says (UDF 2.2.11)."""
        found = []
        for number in tables:
            with suppress(OSError):
                found.append(self._sparing_table(number))
        if not found:
            raise damaged("no sparing table can be read")
        return max(found, key=lambda table: table[0])[1]

    def _sparing_table(self, number: int) -> tuple[int, dict[int, int]]:
        """Return the order of a sparing table, and where it moved which packets."""
        head = self._image.read_at(number * self.block, self.block)
        size = 56 + EXTENT.size * short_at(head, 48)
        data = self._image.read_at(number * self.block, max(size, self.block))
        tag_of(data, number)
        if not data.startswith(_SPARING_TABLE, 17) or len(data) < size:
            raise damaged("there is no sparing table, or half of one")
        pairs = EXTENT.iter_unpack(data[56:size])
        moved = {packet: place for packet, place in pairs if packet < _NO_PACKET}
        return number_at(data, 52), moved

    def _on_other(
        self, each: bytes, maps: Sequence[bytes], on_disc: Sequence[OnDisc | None]
    ) -> Partition:
        """Return the partition of the map *each*, which lies in one that is on disc."""
        number = _partition_number(each)
        for index, below in enumerate(on_disc):
            if below is not None and _partition_number(maps[index]) == number:
                if _is_named(each, _VIRTUAL_MAP):
                    return Virtual(below, self._find_table(below, index))
                if _is_named(each, _METADATA_MAP):
                    return InFiles(self.block, self._metadata_files(each, index))
        raise damaged("a partition is of an unknown kind, or lies in none")

    def _metadata_files(self, each: bytes, below: int) -> list[Sequence[Extent]]:
        """Return where the metadata file lies, and its mirror if that is a copy."""
        files: list[Sequence[Extent]] = []
        for at, file_type in ((40, FileType.METADATA), (44, FileType.MIRROR)):
            with suppress(OSError):
                address = Address(below, number_at(each, at))
                node = self.node(address, self.window(), 0)
                if node.file_type == file_type and node.extents not in files:
                    files.append(node.extents)
        if not files:
            raise damaged("the metadata file cannot be read")
        self._copies = len(files)
        return files

    def _find_table(self, below: OnDisc, index: int) -> Source:
        """Return the entries of the VAT, whose ICB was recorded last (UDF 2.2.10).

        Behind it only padding may lie, and blocks that end a track and have no data.
        Any other VAT is an older one, by which what was written later would be missing.
        """
        last = self._image.size // self.block - 1
        for number in range(last, max(last - _MOST_PADDING, below.start), -1):
            try:
                data = self._image.read_at(number * self.block, self.block)
            except OSError:
                if number <= last - _RUN_OUT:
                    raise
                continue
            if any(data):
                address = Address(index, number - below.start)
                return self._table(self.node(address, self.window(), 0))
        raise damaged("nothing is recorded where the VAT should be")

    def _table(self, node: Node) -> Source:
        """Return the entries of the VAT in *node*, without what is before or behind."""
        file, size = self.open(node), node.status.size
        begin = short_at(file.read_at(0, 2), 0)
        if node.file_type != FileType.VAT:
            begin, size = 0, size - _VAT_150_TAIL
            if size < 0 or not file.read_at(size, 32).startswith(_VAT_150, 1):
                raise damaged("what was recorded last is no VAT")
        return ExtentSource(file, [Extent(begin, max(size - begin, 0))])

    def _find_root(self, logical_volume: bytes) -> Address:
        """Return where the ICB of the root directory lies (4/14.1.12)."""
        address = address_at(logical_volume, 248)
        count = max(number_at(logical_volume, 248) // self.block, 1)
        return self.from_copies(lambda copy: self._file_set_root(address, count, copy))

    def _file_set_root(self, address: Address, count: int, copy: int) -> Address:
        """Return the root of the latest of *count* file set descriptors (4/8.3.1)."""
        window = self.window()
        found: list[tuple[int, int, Address]] = []
        for number in range(min(count, _MOST_FILE_SETS)):
            place = address._replace(block=address.block + number)
            try:
                tag, data = self._descriptor(place, window, copy)
            except OSError:
                if not found:
                    raise
                # Behind the last lies whatever was on the disc before.
                break
            if tag != Tag.FILE_SET:
                break
            found.append((number_at(data, 44), number, address_at(data, 400)))
        if not found:
            raise damaged("there is no file set")
        return max(found)[-1]

    # -- nodes

    def _where(self, address: Address, copy: int) -> int:
        """Return the offset of a block in the image."""
        return next(self.places(address, self.block, copy)).offset

    def places(self, address: Address, size: int, copy: int) -> Iterator[Extent]:
        """Yield where the *size* bytes from *address* on lie in the image."""
        try:
            partition = self._partitions[address.partition]
        except IndexError as error:
            raise damaged("there is no such partition") from error
        if partition is None:
            raise damaged("a partition leads to itself")
        return partition.places(address.block, size, copy)

    def _descriptor(
        self, address: Address, window: Window, copy: int
    ) -> tuple[int, bytes]:
        """Return the descriptor at *address*, and which one it is."""
        data = window.read(self._where(address, copy), self.block)
        if len(data) < self.block:
            raise damaged("the image ends within a descriptor")
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
            tag, data = self._descriptor(address, window, copy)
            if tag == Tag.INDIRECT_ENTRY:
                address = address_at(data, 36)
                continue
            if tag not in {Tag.FILE_ENTRY, Tag.EXTENDED_FILE_ENTRY}:
                raise damaged("there is no file entry")
            if short_at(data, 20) != _STRATEGY_4096:
                return address, tag, data
            place = address._replace(block=address.block + 1)
            after, following = self._descriptor(place, window, copy)
            if after != Tag.INDIRECT_ENTRY:
                return address, tag, data
            address = address_at(following, 36)
        raise damaged("an ICB leads on and on")

    def allocation_extent(self, address: Address, window: Window, copy: int) -> bytes:
        """Return the allocation descriptors that go on at *address* (4/14.5)."""
        tag, data = self._descriptor(address, window, copy)
        length = number_at(data, 20)
        if tag != Tag.ALLOCATION_EXTENT or 24 + length > len(data):
            raise damaged("allocation descriptors do not go on where they should")
        return data[24 : 24 + length]


class _AllocationReader:
    """Reads the allocation descriptors of one file, of one *form* (4/14.14)."""

    def __init__(
        self, volume: Volume, partition: int, form: int, window: Window, copy: int
    ) -> None:
        self._volume = volume
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
                self._volume.allocation_extent(following, self._window, self._copy)
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
                for place in self._volume.places(address, size, self._copy):
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


class _WithZeros(View):
    """A source behind which, at ``ZEROS``, lie as many zeros as one likes."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*."""
        if offset < ZEROS:
            return self._source.read_at(offset, size)
        return bytes(size)

    def read_cached(self, offset: int, buffer: memoryview) -> int | None:
        """Fill *buffer* with what ``read_at`` would give, if memory holds it all."""
        if offset < ZEROS:
            return self._source.read_cached(offset, buffer)
        buffer[:] = bytes(len(buffer))
        return len(buffer)

    def hangs(self, offset: int, size: int) -> None:
        """Let reads of any of the *size* bytes at *offset* fail at once."""
        if offset < ZEROS:
            self._source.hangs(offset, size)

    def hangs_no_more(self, offset: int, size: int) -> None:
        """Let those bytes be read again."""
        if offset < ZEROS:
            self._source.hangs_no_more(offset, size)


# -- partition maps --------------------------------------------------------------------


def _partition_number(each: bytes) -> int:
    """Return which partition of the disc a partition map is about (3/10.7, UDF 2.2.8)."""
    return short_at(each, 4 if each[0] == _TYPE_1 else 38)


def _is_named(each: bytes, name: bytes) -> bool:
    """Whether the partition map *each* is of the type that UDF calls *name*."""
    return len(each) == _TYPE_2_LENGTH and each[5:28].rstrip(b"\0") == name
