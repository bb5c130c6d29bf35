"""Build UDF images of all kinds, sound or broken, from ECMA-167 and OSTA UDF.

Nothing here uses the code under test: structures are put together from the standards,
whose clauses are named, and the tests see to it that other programs can read them.
"""

import struct
from binascii import crc_hqx
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

PLAIN: Final = "plain"
VIRTUAL: Final = "virtual"
SPARED: Final = "spared"
METADATA: Final = "metadata"

SHORT: Final = 0
LONG: Final = 1
EXTENDED: Final = 2
EMBEDDED: Final = 3

DIRECTORY: Final = 4
REGULAR: Final = 5
SYMLINK: Final = 12
_OF_USERS: Final = (DIRECTORY, REGULAR, SYMLINK)

RECORDED: Final = 0
ALLOCATED: Final = 1
SPARSE: Final = 2
CONTINUED: Final = 3

HIDDEN: Final = 1
IS_FOLDER: Final = 2
DELETED: Final = 4
PARENT: Final = 8

# Where everything lies, in blocks; each block is in the same place whatever its size.
MAIN: Final = 96
RESERVE: Final = 112
INTEGRITY: Final = 128
SPARING: Final = (144, 176)
ANCHOR: Final = 256
START: Final = 288
SEQUENCE: Final = 16

PACKET: Final = 32
_SPARE_PACKETS: Final = 4
_RECOGNITION: Final = 32_768
_NO_PACKET: Final = 0xFFFFFFFF

# 5 July 2023, 12:34:56.780000 in a zone two hours ahead.
STAMP: Final = struct.pack(
    "<HhBBBBBBBB", 0x1000 | 120, 2023, 7, 5, 12, 34, 56, 78, 0, 0
)
STAMP_NS: Final = 1_688_553_296_780_000_000


@dataclass(frozen=True, slots=True)
class File:
    """A file: its bytes, in how many *pieces* they lie, and how its ICB says so."""

    data: bytes = b""
    pieces: int = 1
    form: int | None = None
    file_type: int = REGULAR
    kind: int = 0
    # Pieces by number that are not recorded: *ALLOCATED* or *SPARSE*.
    holes: Mapping[int, int] = field(default_factory=dict)
    # How many allocation descriptors the ICB and each continuation have at most.
    most: int = 1000
    # What it was before: on discs of strategy 4096 entries that newer ones replaced.
    older: tuple[bytes, ...] = ()
    size: int | None = None
    stamp: bytes = STAMP


Tree = Mapping[str, "bytes | File | Tree"]


@dataclass(frozen=True, slots=True)
class Form:
    """How a disc is made: which kind of partition, and of what."""

    kind: str = PLAIN
    revision: int = 0x0201
    block: int = 2048
    form: int = SHORT
    strategy_4096: bool = False
    attributes: bytes = b""
    more: tuple[bytes, ...] = ()  # file identifiers that each folder has besides
    # The first sparing table is older, and knows of nothing that was moved.
    has_stale_table: bool = False
    made: bytes = STAMP
    # Where the partition began by older descriptors, which do not prevail.
    older_starts: tuple[int, ...] = ()

    @property
    def is_extended(self) -> bool:
        """Whether it has extended file entries: since 2.00."""
        return self.revision >= 0x0200


class Address(NamedTuple):
    """A block of a partition."""

    partition: int
    block: int


def seal(tag: int, location: int, body: bytes, revision: int = 0x0201) -> bytes:
    """Return *body* behind a descriptor tag (3/7.2) for the block *location*."""
    version = 3 if revision >= 0x0200 else 2
    fields = [tag, version, 0, 0, 1, crc_hqx(body, 0), len(body), location]
    fields[2] = sum(struct.pack("<HHBBHHHL", *fields)) & 0xFF
    return struct.pack("<HHBBHHHL", *fields) + body


def resealed(data: bytes, at: int, change: bytes, location: int | None = None) -> bytes:
    """Return the descriptor *data* with *change* at *at*, as if written so."""
    tag, _, _, _, _, _, length, before = struct.unpack_from("<HHBBHHHL", data)
    body = bytearray(data[16 : 16 + length])
    if at >= 16:
        body[at - 16 : at - 16 + len(change)] = change
    where = before if location is None else location
    sealed = seal(tag, where, bytes(body))
    return sealed + data[len(sealed) :]


def string(text: str, size: int = 0) -> bytes:
    """Return OSTA compressed Unicode (UDF 2.1.1), as a dstring of *size* bytes if any."""
    try:
        data = b"\x08" + text.encode("latin-1")
    except UnicodeEncodeError:
        data = b"\x10" + text.encode("utf-16-be", "surrogatepass")
    return data if not size else data.ljust(size - 1, b"\0") + bytes([len(data)])


def entity(name: bytes, suffix: bytes = b"") -> bytes:
    """Return an entity identifier (1/7.4)."""
    return b"\0" + name.ljust(23, b"\0") + suffix.ljust(8, b"\0")


def long_ad(length: int, address: Address) -> bytes:
    """Return a long allocation descriptor (4/14.14.2)."""
    return struct.pack("<LLH6x", length, address.block, address.partition)


_CHARSET: Final = b"\0" + b"OSTA Compressed Unicode".ljust(63, b"\0")


def file_identifier(
    name: bytes, address: Address, kind: int = 0, location: int = 0, extra: bytes = b""
) -> bytes:
    """Return a file identifier descriptor (4/14.4); *name* as it is on the disc."""
    icb = long_ad(2048, address)
    head = struct.pack("<HBB", 1, kind, len(name)) + icb + struct.pack("<H", len(extra))
    body = head + extra + name
    return seal(257, location, body + bytes(-len(body) % 4))


class Image:
    """A UDF image of *tree*, and where in it what lies.

    *entries* has the offset of the file entry of each path, *contents* that of the
    first bytes of a folder or file that are recorded outside of it.
    """

    def __init__(self, tree: Tree, form: Form | None = None) -> None:
        self.form = form or Form()
        self.block = self.form.block
        self.entries: dict[str, int] = {}
        self.contents: dict[str, int] = {}
        self._blocks: dict[int, bytes] = {}
        self._next = 0
        self._metadata: list[bytes] = []
        self._table: list[int] = []
        # The partition that nodes are in, and that of the bytes of files.
        self._nodes = 1 if self.form.kind in {VIRTUAL, METADATA} else 0
        self._pending: list[tuple[str, dict[str, int], int]] = []
        file_set = self._reserve()
        root = self._reserve(2 if self.form.strategy_4096 else 1)
        self._directory("", tree, root, root)
        self._write(file_set, self._file_set(file_set, root))
        self.file_set = file_set
        self.root = root
        self._finish()

    @property
    def data(self) -> bytes:
        """The image."""
        last = max(self._blocks)
        image = bytearray((last + 1) * self.block)
        for number, block in self._blocks.items():
            image[number * self.block : (number + 1) * self.block] = block.ljust(
                self.block, b"\0"
            )
        return bytes(image)

    # -- room in partitions

    def _allocate(self, count: int = 1) -> int:
        """Return the first of *count* blocks of the partition on the disc."""
        first = self._next
        self._next += count
        return first

    def _reserve(self, count: int = 1) -> Address:
        """Return the address of *count* blocks for nodes."""
        if self.form.kind == METADATA:
            self._metadata += [b""] * count
            return Address(1, len(self._metadata) - count)
        if self.form.kind == VIRTUAL:
            self._table += [self._allocate() for _ in range(count)]
            return Address(1, len(self._table) - count)
        return Address(0, self._allocate(count))

    def _write(self, address: Address, data: bytes) -> None:
        """Write *data* to blocks from *address* on."""
        for number in range(max(1, -(-len(data) // self.block))):
            part = data[number * self.block : (number + 1) * self.block]
            place = address._replace(block=address.block + number)
            if place.partition == 0:
                self._blocks[START + place.block] = part
            elif self.form.kind == METADATA:
                self._metadata[place.block] = part
            else:
                self._blocks[START + self._table[place.block]] = part

    def _note(self, places: dict[str, int], path: str, address: Address) -> None:
        """Note in *places* where *address* lies, once that is known."""
        if address.partition == 1 and self.form.kind == METADATA:
            self._pending.append((path, places, address.block))
        elif address.partition == 1:
            places[path] = (START + self._table[address.block]) * self.block
        else:
            places[path] = (START + address.block) * self.block

    # -- nodes

    def _directory(
        self, path: str, tree: Tree, address: Address, parent: Address
    ) -> None:
        identifiers = [file_identifier(b"", parent, IS_FOLDER | PARENT)]
        for name, child in tree.items():
            below = f"{path}/{name}" if path else name
            file = child if isinstance(child, File) else None
            kind = file.kind if file else 0
            place = self._reserve(2 if self.form.strategy_4096 else 1)
            if isinstance(child, Mapping):
                kind |= IS_FOLDER
                self._directory(below, child, place, address)
            else:
                made = child if isinstance(child, File) else File(child)
                self._file(below, made, place)
            identifiers.append(file_identifier(string(name), place, kind))
        content = b"".join((*identifiers, *self.form.more))
        form = self.form.form
        if self.form.kind == METADATA and form != EMBEDDED:
            form = SHORT
        self._node(path, File(content, form=form, file_type=DIRECTORY), address)

    def _file(self, path: str, file: File, address: Address) -> None:
        for data in file.older:
            self._node(path, replace(file, data=data, older=()), address)
            newer = self._reserve(2)
            self._write(
                address._replace(block=address.block + 1),
                self._indirect(address.block + 1, newer),
            )
            address = newer
        self._node(path, file, address)

    def _node(self, path: str, file: File, address: Address) -> None:
        """Write the file entry of *file*, and its bytes."""
        form = self.form.form if file.form is None else file.form
        size = len(file.data) if file.size is None else file.size
        room = self.block - (216 if self.form.is_extended else 176)
        if form == EMBEDDED and len(file.data) > room - len(self.form.attributes):
            form = LONG
        if form == EMBEDDED:
            described, blocks = file.data, 0
        else:
            pieces = list(self._place(path, file))
            form = self._form_of(form, file)
            described = self._described(pieces, file.most, form)
            blocks = sum(-(-length // self.block) for _, length, _ in pieces)
        entry = self._entry(address, file, form, size, blocks, described)
        self._write(address, entry)
        self._note(self.entries, path, address)

    def _form_of(self, form: int, file: File) -> int:
        """Return *form*, or one that can name another partition where that is due."""
        own = {PLAIN, SPARED}
        if file.file_type == DIRECTORY:
            own.add(METADATA)
        return LONG if form == SHORT and self.form.kind not in own else form

    def _place(self, path: str, file: File) -> Iterator[tuple[int, int, Address]]:
        """Place the bytes of *file*; yield kind, length and address of each piece."""
        total = -(-len(file.data) // self.block)
        count = -(-total // file.pieces) * self.block if total else 0
        is_metadata = self.form.kind == METADATA and file.file_type == DIRECTORY
        for number, at in enumerate(range(0, len(file.data), count or 1)):
            data = file.data[at : at + count]
            if (kind := file.holes.get(number, RECORDED)) != RECORDED:
                assert not any(data)
                yield kind, len(data), Address(0, 0)
                continue
            blocks = -(-len(data) // self.block)
            if is_metadata:
                address = self._reserve(blocks)
            else:
                address = Address(0, self._allocate(blocks))
                self._next += file.pieces > 1  # so that no two pieces touch
            self._write(address, data)
            if not number:
                self._note(self.contents, path, address)
            yield kind, len(data), address

    def _described(
        self, pieces: Iterable[tuple[int, int, Address]], most: int, form: int
    ) -> bytes:
        """Return allocation descriptors, continued elsewhere after *most* of them."""
        pieces = list(pieces)
        here = b"".join(self._descriptor(form, *each) for each in pieces[:most])
        if len(pieces) <= most:
            return here
        rest = self._described(pieces[most:], most, form)
        address = self._reserve() if form == SHORT else Address(0, self._allocate())
        body = struct.pack("<LL", 0, len(rest)) + rest
        self._write(address, seal(258, address.block, body, self.form.revision))
        return here + self._descriptor(form, CONTINUED, self.block, address)

    @staticmethod
    def _descriptor(form: int, kind: int, length: int, address: Address) -> bytes:
        """Return one allocation descriptor (4/14.14)."""
        if form == SHORT:
            return struct.pack("<LL", kind << 30 | length, address.block)
        if form == LONG:
            return long_ad(kind << 30 | length, address)
        return struct.pack(
            "<LLLLH2x",
            kind << 30 | length,
            length,
            length,
            address.block,
            address.partition,
        )

    def _entry(
        self,
        address: Address,
        file: File,
        form: int,
        size: int,
        blocks: int,
        described: bytes,
    ) -> bytes:
        """Return a file entry (4/14.9), extended (4/14.17) if that is due."""
        is_4096 = self.form.strategy_4096 and file.file_type in _OF_USERS
        strategy = 4096 if is_4096 else 4
        icb = struct.pack(
            "<LHHHxBLHH",
            0,
            strategy,
            1 if is_4096 else 0,
            2 if is_4096 else 1,
            file.file_type,
            0,
            0,
            form,
        )
        owner = struct.pack("<LLLHBBL", 0, 0, 0x14A5, 1, 0, 0, 0)
        attributes = self.form.attributes
        program = entity(b"*dicomfs tests")
        number = 17 + address.block if file.file_type in _OF_USERS else 0
        lengths = struct.pack("<QLL", number, len(attributes), len(described))
        body = icb + owner + struct.pack("<Q", size)
        if self.form.is_extended:
            body += struct.pack("<QQ", size, blocks) + STAMP + file.stamp + STAMP * 2
            body += struct.pack("<LL", 1, 0) + bytes(32) + program + lengths
        else:
            body += struct.pack("<Q", blocks) + STAMP + file.stamp + STAMP
            body += struct.pack("<L", 1) + bytes(16) + program + lengths
        tag = 266 if self.form.is_extended else 261
        body += attributes + described
        return seal(tag, address.block, body, self.form.revision)

    def _indirect(self, location: int, to: Address) -> bytes:
        """Return an indirect entry (4/14.7)."""
        icb = struct.pack("<LHHHxBLHH", 0, 4096, 1, 2, 3, 0, 0, 0)
        body = icb + long_ad(2 * self.block, to)
        return seal(259, location, body, self.form.revision)

    def _file_set(self, address: Address, root: Address) -> bytes:
        """Return a file set descriptor (4/14.1)."""
        domain = entity(b"*OSTA UDF Compliant", struct.pack("<H", self.form.revision))
        body = STAMP + struct.pack("<HHLLLL", 3, 3, 1, 1, 0, 0)
        body += _CHARSET + string("TEST", 128) + _CHARSET + string("TEST", 32)
        body += bytes(64) + long_ad(self.block, root) + domain + bytes(64)
        return seal(256, address.block, body.ljust(496, b"\0"), self.form.revision)

    # -- the volume

    def _finish(self) -> None:
        """Write what the partitions are made of, and the descriptors of the volume."""
        if self.form.kind == METADATA:
            self._write_metadata()
        maps = self._maps()
        if self.form.kind == VIRTUAL:
            self._write_table()
        if self.form.kind == SPARED:
            self._spare()
        self._volume(maps, START + self._next)

    def _write_metadata(self) -> None:
        """Write the metadata file in two pieces that do not touch, and its mirror."""
        half = (len(self._metadata) + 1) // 2
        places = []
        for _ in range(2):
            first = self._allocate(half + 1)
            places.append((first, self._allocate(len(self._metadata) - half + 1)))
        self.files = []
        for file_type, (first, second) in zip((250, 251), places, strict=True):
            for number, data in enumerate(self._metadata):
                at = first + number if number < half else second + number - half
                self._blocks[START + at] = data
            pieces = [
                (RECORDED, half * self.block, Address(0, first)),
                (
                    RECORDED,
                    (len(self._metadata) - half) * self.block,
                    Address(0, second),
                ),
            ]
            place = Address(0, self._allocate())
            described = self._described([p for p in pieces if p[1]], 10, SHORT)
            size = len(self._metadata) * self.block
            file = File(file_type=file_type)
            entry = self._entry(
                place, file, SHORT, size, len(self._metadata), described
            )
            self._write(place, entry)
            self.files.append(place.block)
        self.metadata = places
        first, second = places[0]
        for path, noted, block in self._pending:
            at = first + block if block < half else second + block - half
            noted[path] = (START + at) * self.block

    def _maps(self) -> bytes:
        """Return the partition maps (3/10.7, UDF 2.2.8 to 2.2.10)."""
        plain = struct.pack("<BBHH", 1, 6, 1, 0)
        suffix = struct.pack("<H", self.form.revision)
        head = struct.pack("<BBH", 2, 64, 0)
        tail = struct.pack("<HH", 1, 0)
        if self.form.kind == SPARED:
            size = 56 + 8 * _SPARE_PACKETS
            table = struct.pack("<HBxL4L", PACKET, 2, size, *SPARING, 0, 0)
            return head + entity(b"*UDF Sparable Partition", suffix) + tail + table
        if self.form.kind == VIRTUAL:
            kind = entity(b"*UDF Virtual Partition", suffix)
            return plain + head + kind + tail + bytes(24)
        if self.form.kind == METADATA:
            kind = entity(b"*UDF Metadata Partition", suffix)
            flags = struct.pack("<LLLLHB5x", *self.files, 0xFFFFFFFF, 32, 1, 1)
            return plain + head + kind + tail + flags
        return plain

    def _write_table(self) -> None:
        """Write the VAT, its ICB in the last block (UDF 2.2.10)."""
        entries = struct.pack(f"<{len(self._table)}L", *self._table)
        if self.form.is_extended:
            head = struct.pack("<HH", 152, 0) + string("TEST", 128)
            head += struct.pack(
                "<LLLHHHH", 0xFFFFFFFF, 1, 1, *[self.form.revision] * 3, 0
            )
            file = File(head + entries, file_type=248)
        else:
            suffix = struct.pack("<H", self.form.revision)
            tail = entity(b"*UDF Virtual Alloc Tbl", suffix) + struct.pack(
                "<L", 0xFFFFFFFF
            )
            file = File(entries + tail, file_type=0)
        pieces = list(self._place("VAT", file))
        place = Address(0, self._allocate())
        described = self._described(pieces, 10, SHORT)
        self._write(
            place, self._entry(place, file, SHORT, len(file.data), 1, described)
        )
        self.table = (START + place.block) * self.block

    def _spare(self) -> None:
        """Move every second packet to the spares, which lie behind the partition."""
        packets = -(-self._next // PACKET)
        spares = START + packets * PACKET
        moved = []
        self.spares: dict[int, int] = {}
        for number, packet in enumerate(range(0, packets, 2)):
            if number >= _SPARE_PACKETS:
                break
            for block in range(PACKET):
                at = START + packet * PACKET + block
                data = self._blocks.get(at, b"")
                self._blocks[spares + number * PACKET + block] = data
                self._blocks[at] = b"\xee" * self.block
            self.spares[packet] = spares + number * PACKET
            moved.append((packet * PACKET, self.spares[packet]))
        moved += [(_NO_PACKET, 0)] * (_SPARE_PACKETS - len(moved))
        for order, number in enumerate(SPARING):
            is_stale = self.form.has_stale_table and not order
            known = [(_NO_PACKET, at) for _, at in moved] if is_stale else moved
            body = entity(b"*UDF Sparing Table", struct.pack("<H", self.form.revision))
            body += struct.pack("<HHL", len(known), 0, order)
            body += b"".join(struct.pack("<LL", *each) for each in known)
            self._blocks[number] = seal(0, number, body, self.form.revision)

    def _volume(self, maps: bytes, end: int) -> None:
        """Write recognition, sequences, integrity descriptor and anchors."""
        self._recognition()
        for begin in (MAIN, RESERVE):
            for number, (tag, body) in enumerate(self._sequence(maps, end)):
                at = begin + number
                body = struct.pack("<L", number) + body if tag != 8 else body
                self._blocks[at] = seal(tag, at, body, self.form.revision)
        self._integrity(end)
        size = SEQUENCE * self.block
        extents = struct.pack("<LLLL", size, MAIN, size, RESERVE).ljust(496, b"\0")
        anchors = [ANCHOR]
        if self.form.kind != VIRTUAL:
            anchors.append(max(*self._blocks, 2 * ANCHOR) + 1)
        for at in anchors:
            self._blocks[at] = seal(2, at, extents, self.form.revision)
        self.anchors = anchors

    def _recognition(self) -> None:
        size = max(2048, self.block)
        nsr = b"NSR03" if self.form.is_extended else b"NSR02"
        for number, name in enumerate((b"BEA01", nsr, b"TEA01")):
            data = (b"\0" + name + b"\1").ljust(size, b"\0")
            at = (_RECOGNITION + number * size) // self.block
            for part in range(size // self.block):
                self._blocks[at + part] = data[
                    part * self.block : (part + 1) * self.block
                ]

    def _sequence(self, maps: bytes, end: int) -> Iterator[tuple[int, bytes]]:
        """Yield the descriptors of the volume: tag, and what is behind their order."""
        suffix = struct.pack("<H", self.form.revision)
        nsr = b"+NSR03" if self.form.is_extended else b"+NSR02"
        program = entity(b"*dicomfs tests")
        body = struct.pack("<L", 0) + string("TEST", 32)
        body += struct.pack("<HHHHLL", 1, 1, 2, 2, 1, 1) + string("0123456789", 128)
        body += _CHARSET * 2 + bytes(48) + self.form.made + program
        yield 1, body.ljust(492, b"\0")
        body = entity(b"*UDF LV Info", suffix) + _CHARSET + string("TEST", 128)
        body += string("", 36) * 3 + program
        yield 4, body.ljust(492, b"\0")
        access = {VIRTUAL: 2, SPARED: 3}.get(self.form.kind, 1)
        for start in (*self.form.older_starts, START):
            body = struct.pack("<HH", 1, 0) + entity(nsr) + bytes(128)
            body += struct.pack("<LLL", access, start, end - START) + program
            yield 5, body.ljust(492, b"\0")
        body = _CHARSET + string("TEST", 128) + struct.pack("<L", self.block)
        body += entity(b"*OSTA UDF Compliant", suffix)
        body += long_ad(self.block, self.file_set)
        count = 2 if self.form.kind in {VIRTUAL, METADATA} else 1
        body += struct.pack("<LL", len(maps), count) + program + bytes(128)
        body += struct.pack("<LL", self.block, INTEGRITY) + maps
        yield 6, body
        yield 7, struct.pack("<L", 0)
        yield 8, bytes(496)

    def _integrity(self, end: int) -> None:
        """Write a logical volume integrity descriptor (3/10.10): closed."""
        count = 2 if self.form.kind in {VIRTUAL, METADATA} else 1
        body = STAMP + struct.pack("<LLL", 1, 0, 0)
        body += struct.pack("<Q", 1000).ljust(32, b"\0")
        body += struct.pack("<LL", count, 46) + bytes(4 * count)
        body += struct.pack("<L", end - START) * count
        body += entity(b"*dicomfs tests")
        body += struct.pack("<LLHHH", 1, 1, *[self.form.revision] * 3)
        self._blocks[INTEGRITY] = seal(9, INTEGRITY, body, self.form.revision)
        self._blocks[INTEGRITY + 1] = seal(8, INTEGRITY + 1, bytes(496))
