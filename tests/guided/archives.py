"""Any bytes as an image of a disc or as an archive, walked and read to the end."""

import io
import re
import struct
import tarfile
import tempfile
import zipfile
import zlib
from binascii import crc_hqx
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, Final

from dicomfs.errors import DicomfsError
from dicomfs.media.archive import Archive
from dicomfs.media.iso.image import Iso
from dicomfs.media.medium import EntryType, Place
from dicomfs.media.tar.archive import Tar
from dicomfs.media.udf.image import Udf
from dicomfs.media.zip.archive import Zip
from dicomfs.source.source import Source
from tests.build import archives, tars, udf
from tests.build.images import ISO_FLAVOURS
from tests.guided.harness import see
from tests.guided.sparse import Run, SparseSource, packed, runs_of, shortened
from tests.support.trees import CountingSource

_MOST_FOLDERS: Final = 6
_MOST_FILES: Final = 6
# Files of more bytes are opened, and only their beginning is read.
_MOST_BYTES: Final = 64 * 1024
# Of names of up to 255 bytes, and what is escaped in them.
_LONGEST_NAME: Final = 4 * 255
# For each byte of a source so many may be read to list it, and so many anyhow.
_MOST_READ: Final = 64
_LITTLE: Final = 4 * 1024 * 1024

_LEAST_BLOCK: Final = 512
# What a descriptor of UDF begins with (3/7.2), and which of them follow each other.
_TAG: Final = struct.Struct("<HHBBHHHL")
_FILE_IDENTIFIER: Final = 257
# Where a ZIP archive has the checksum of a member, behind what.
_CHECKSUMS: Final = {b"PK\1\2": 16, b"PK\3\4": 14, b"PK\7\x08": 4}

ISO_WORDS: Final = (
    *(b"CD001\1", b"\1CD001\1\0", b"%/E", b"RR\5\1\x89", b"NM\5\1\0", b"CE\x1c\1"),
    *(b"PX\x24\1", b"SL\5\1\0", b"SP\7\1\xbe\xef\0", b"ER", b"TF", b"CL\x0c\1", b";1"),
)
UDF_WORDS: Final = (b"NSR02", b"NSR03", b"BEA01", b"*UDF Metadata Partition")
ZIP_WORDS: Final = (
    *(b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\7\x08", b"../"),
    *(b"\1\0\x10\0", b"\x01\x99\x07\0\2\0AE\3\x08\0", b"up", b"\xff" * 4, b"\xff\xff"),
)
TAR_WORDS: Final = (
    *(
        b"ustar\x0000",
        b"ustar  \0",
        b"././@LongLink",
        b"../",
        b"\x80\0\0\0",
        b"\xff" * 8,
    ),
    *(b"12 path=a/b\n", b"11 size=99\n", b"GNU.sparse.major=1", b"27 linkpath="),
)

Counted = SparseSource | CountingSource


def _walk(
    make: Callable[[Source], Archive[Any]], source: Counted
) -> dict[Place, bytes]:
    """List and read what there is; return the bytes of whole files by their place."""
    try:
        medium = make(source)
    except (DicomfsError, OSError):
        return {}
    list(medium.findings())
    waiting: list[Place] = [()]
    files: list[Place] = []
    for _ in range(_MOST_FOLDERS):
        if not waiting:
            break
        folder = waiting.pop(0)
        with suppress(OSError):
            entries = medium.entries(folder)
            see(medium.names(folder) == list(entries), "a folder has other names")
            for name, what in entries.items():
                _see_name(name)
                if what is EntryType.FOLDER:
                    waiting.append((*folder, name))
                elif what is EntryType.FILE:
                    files.append((*folder, name))
    read = {place: _read(medium, place) for place in files[:_MOST_FILES]}
    most = _MOST_READ * source.size + _LITTLE
    see(source.bytes_read <= most, "listing and reading takes more than there is")
    return {place: data for place, data in read.items() if data is not None}


def _see_name(name: bytes) -> None:
    see(name not in {b"", b".", b".."}, "a name leads elsewhere")
    see(not set(name) & {0, ord("/")}, "a name is a path")
    see(len(name) <= _LONGEST_NAME, "a name is too long")


def _read(medium: Archive[Any], place: Place) -> bytes | None:
    """Return a file, None if it cannot be read or is large."""
    try:
        return _read_twice(medium, place)
    except OSError:
        return None


def _read_twice(medium: Archive[Any], place: Place) -> bytes | None:
    """Return a file, read whole and in pieces; None if it is large."""
    status = medium.status(place)
    source = medium.open(place)
    see(source.size == status.size, "a file has another length once it is open")
    size = min(status.size, _MOST_BYTES)
    data = source.read_at(0, size)
    see(len(data) == size, "a read is short")
    half = size // 3
    pieces = source.read_at(0, half) + source.read_at(half, size)
    see(pieces[:size] == data, "bytes depend on how they are read")
    see(not source.read_at(status.size, 9), "there are bytes behind the end")
    source.close()
    return data if size == status.size else None


# -- images of discs -------------------------------------------------------------------


def run_iso(data: bytes) -> None:
    """Walk *data* as a sparse image with ISO 9660 on it."""
    _walk_image(Iso, data)


def run_udf(data: bytes) -> None:
    """Walk *data* as a sparse image with UDF on it."""
    _walk_image(Udf, data)


def _walk_image(make: Callable[[Source], Archive[Any]], data: bytes) -> None:
    source = SparseSource(data)
    for content in _walk(make, source).values():
        # The extents of a file begin anywhere, but only where a block does.
        for at in range(0, len(content), _LEAST_BLOCK):
            block = content[at : at + _LEAST_BLOCK]
            # What was not recorded is zeros.
            see(
                not any(block) or block in source.content, "a file has bytes of nowhere"
            )


def iso_seeds() -> Iterator[bytes]:
    """Yield small images, of each kind."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name, "medium")
        (root / "DIR" / "BELOW").mkdir(parents=True)
        (root / "DICOMDIR").write_bytes(b"first")
        (root / "DIR" / "a long name.dcm").write_bytes(b"second" * 9)
        (root / "DIR" / "BELOW" / "A").write_bytes(b"third")
        (root / "LINK").symlink_to("DICOMDIR")
        for number, make in enumerate(ISO_FLAVOURS.values()):
            image = make(root, Path(name, str(number)))
            yield shortened(image.read_bytes(), 700)


def udf_seeds() -> Iterator[bytes]:
    """Yield small images, of each kind of partition."""
    tree: udf.Tree = {
        "DICOMDIR": b"first",
        "DIR": {"ÄÖ": udf.File(bytes(5000), pieces=2)},
    }
    for kind in (udf.PLAIN, udf.VIRTUAL, udf.METADATA, udf.SPARED):
        for form in (udf.SHORT, udf.EMBEDDED):
            yield shortened(udf.Image(tree, udf.Form(kind, form=form)).data, 700)


def mutate_udf(data: bytes, random: Random) -> bytes:
    """Change a byte or a number of an image, and seal each descriptor anew."""
    runs = list(runs_of(data))
    if not runs:
        return data
    number = random.randrange(len(runs))
    changed = bytearray(runs[number].data)
    for _ in range(random.choice((1, 1, 2, 4)) if changed else 0):
        at = random.randrange(len(changed))
        value = random.choice((0, 1, 2, 255, random.randrange(256)))
        changed[at : at + 1] = bytes([value])
    sector = runs[number].sector
    if random.random() < 0.1:
        sector = random.choice((sector + 1, runs[random.randrange(len(runs))].sector))
    runs[number] = Run(sector, _sealed(bytes(changed)))
    return packed(runs)


def _sealed(data: bytes) -> bytes:
    """Return *data* with the checksums of the descriptors that lie in it set right."""
    sealed, at = bytearray(data), 0
    while at + 16 <= len(sealed):
        tag, version, _, serial, _, _, length, place = _TAG.unpack_from(sealed, at)
        end = at + 16 + length
        if not tag or end > len(sealed) + 2048:
            break
        body = bytes(sealed[at + 16 : end]).ljust(length, b"\0")
        fields = [tag, version, 0, serial, 0, crc_hqx(body, 0), length, place]
        fields[2] = sum(_TAG.pack(*fields)) & 0xFF
        sealed[at : at + 16] = _TAG.pack(*fields)
        # File identifiers follow each other; all others have a block of their own.
        if tag != _FILE_IDENTIFIER:
            break
        at = end + -length % 4
    return bytes(sealed)


# -- archives --------------------------------------------------------------------------


def run_zip(data: bytes) -> None:
    """Walk *data* as a ZIP archive; what is given fits the checksum of some record."""
    found = _walk(lambda source: Zip(source, [b"x"]), CountingSource(data))
    known = {b"", *_checksums(data)}
    for content in found.values():
        checksum = zlib.crc32(content).to_bytes(4, "little")
        see(not content or checksum in known, "a member is given that no checksum fits")
    _compare_with_zipfile(data, found)


def _checksums(data: bytes) -> Iterator[bytes]:
    """Yield what may be the checksum of a member."""
    for mark, behind in _CHECKSUMS.items():
        for place in re.finditer(re.escape(mark), data):
            at = place.start() + behind
            yield data[at : at + 4]


def _compare_with_zipfile(data: bytes, found: dict[Place, bytes]) -> None:
    """Hold what was found against the standard library, where that reads it, too."""
    for place, theirs in _read_by_zipfile(data).items():
        ours = found.get(place, theirs)
        see(len(ours) != len(theirs) or ours == theirs, "zipfile reads other bytes")


def _read_by_zipfile(data: bytes) -> dict[Place, bytes]:
    """Return the last of the members of each name, as far as zipfile reads them."""
    members: dict[Place, bytes] = {}
    # Of a broken archive zipfile raises nearly anything.
    with suppress(Exception), zipfile.ZipFile(io.BytesIO(data)) as other:
        for info in other.infolist()[:_MOST_FILES]:
            place = tuple(info.orig_filename.encode("cp437").split(b"/"))
            members.pop(place, None)
            if info.file_size <= _MOST_BYTES:
                with suppress(Exception):
                    members[place] = other.read(info)
    return members


def zip_seeds() -> Iterator[bytes]:
    """Yield archives by all methods, with and without what old and new writers do."""
    files = {"DICOMDIR": b"first", "DIR/A": b"second" * 9, "DIR/B/Ä": bytes(300)}
    for method in archives.METHODS:
        yield archives.zipped(files, method)
    yield archives.zipped(files, is_streamed=True)
    yield archives.zipcrypto({"A": b"secret"}, b"x")
    yield archives.quoted_overlap([b"A", b"B"], 60)
    part = archives.Part(b"A", b"data")
    body = part.header() + part.packed()
    record = part.record(0)
    yield body + record + archives.end64(1, len(record), len(body), len(body + record))
    yield archives.archive([part, archives.Part(b"../B", b"x")], before=b"#!/bin/sh\n")


def run_tar(data: bytes) -> None:
    """Walk *data* as a tar archive; files have bytes that it has."""
    found = _walk(Tar, CountingSource(data))
    for content in found.values():
        see(content in data, "a member has bytes that the archive does not")


def tar_seeds() -> Iterator[bytes]:
    """Yield archives of all dialects."""
    for magic in (tars.POSIX, tars.GNU, tars.OLD):
        members = [
            tars.Member(b"DICOMDIR", b"first", magic=magic),
            tars.Member(b"DIR/", kind=b"5", magic=magic),
            tars.Member(b"DIR/A", b"second" * 9, magic=magic),
            tars.Member(b"B", kind=b"1", link=b"DIR/A", magic=magic),
        ]
        yield tars.archive(members)
    long = [tars.long_name(b"D/" * 60 + b"A"), tars.Member(b"D", b"x", magic=tars.GNU)]
    yield tars.archive(long)
    pax = tars.pax({"path": b"DIR/\xc3\x84", "size": b"5", "mtime": b"1.5"})
    yield tars.archive([pax, tars.Member(b"A", b"12345")])
    big = tars.Member(b"A", b"123", fields={"size": tars.binary(3)})
    yield tars.archive([big, tars.Member(b"C", kind=b"2", link=b"A")])
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form) as made:
            info = tarfile.TarInfo("DIR/" * 9 + "Ä" * 40)
            info.size = 4
            made.addfile(info, io.BytesIO(b"data"))
        yield out.getvalue()[:4096]


def mutate_tar(data: bytes, random: Random) -> bytes:
    """Change a few bytes of a header, and let its checksum be right."""
    starts = range(0, max(len(data) - tars.BLOCK + 1, 1), tars.BLOCK)
    at = random.choice(starts)
    block = bytearray(data[at : at + tars.BLOCK].ljust(tars.BLOCK, b"\0"))
    for _ in range(random.choice((1, 1, 2, 5))):
        block[random.randrange(tars.BLOCK)] = random.choice((0, 32, 48, 55, 128, 255))
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return data[:at] + bytes(block) + data[at + tars.BLOCK :]
