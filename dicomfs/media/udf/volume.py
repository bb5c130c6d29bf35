"""The volume below a UDF file system: its partitions, and where its root lies.

Everything that is counted or followed has a bound. A damaged part raises OSError (EIO),
and costs only itself. Only the constructor of ``Volume`` raises MediumError.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from dicomfs.errors import MediumError
from dicomfs.media.udf.description import Description, describe
from dicomfs.media.udf.descriptor import (
    EXTENT,
    Address,
    Tag,
    address_at,
    damaged,
    number_at,
    short_at,
    tag_of,
)
from dicomfs.media.udf.node import FileType, Node, Nodes
from dicomfs.media.udf.partition import (
    ZEROS,
    InFiles,
    OnDisc,
    Partition,
    Spared,
    Virtual,
)
from dicomfs.source.source import (
    Extent,
    ExtentSource,
    Source,
    View,
    are_within,
    clipped,
)
from dicomfs.source.window import Window

_T = TypeVar("_T")

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

# More is not a disc but an attack.
_MOST_FILE_SETS: Final = 64
# How many blocks of padding may lie behind what was recorded last.
_MOST_PADDING: Final = 512
# How many blocks at the end of a track of a CD-R cannot be read.
_RUN_OUT: Final = 4


class Volume:
    """The partitions of a disc, the address of its root, and its nodes.

    The disc is *source*, which it does not own; its *session* begins at this block, 0 if
    that is not known. Raises MediumError if it is not a volume that can be read. It may
    be used from several threads. A source of fewer bytes than *end* was cut off.
    """

    def __init__(self, source: Source, session: int = 0) -> None:
        self._image = source
        self._with_zeros = _WithZeros(source)
        self._partitions: list[Partition | None] = []
        self._copies = 1
        try:
            description = describe(source, session)
            self.block = description.block
            self.end = description.end * description.block
            self._nodes = Nodes(self.block, self._partitions)
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

    def node(self, address: Address, window: Window, copy: int) -> Node:
        """Return the file or directory whose ICB is at *address*, as *window* shows it.

        *copy* says which copy of the metadata is asked. Raises OSError (EIO).
        """
        return self._nodes.node(address, window, copy)

    def has_all_of(self, node: Node) -> bool:
        """Whether no byte of *node* lies beyond the end of the disc."""
        written = (each for each in node.extents if each.offset < ZEROS)
        return are_within(written, self._image.size)

    def open(self, node: Node) -> Source:
        """Return the bytes of *node*."""
        has_holes = any(extent.offset >= ZEROS for extent in node.extents)
        source = self._with_zeros if has_holes else self._image
        return ExtentSource(source, node.extents, node.status.mtime_ns)

    def open_what_is_left(self, node: Node) -> Source:
        """Return the bytes of the file *node* up to the end of the disc."""
        if self.has_all_of(node):
            return self.open(node)
        return self.open(node._replace(extents=clipped(node.extents, self._image.size)))

    # -- making it

    def _make_partitions(self, description: Description) -> None:
        """Make the partitions: first those on the disc, then those on top of others."""
        maps = description.maps()
        on_disc = [self._on_disc(each, description) for each in maps]
        self._partitions += on_disc
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
                tag, data = self._nodes.descriptor(place, window, copy)
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
