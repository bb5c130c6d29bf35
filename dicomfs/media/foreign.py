"""What a source is that no format of ours is: the one table of those that have a name.

They are not read. Who gives one is told what it is, and which command makes something of
it that is read (``cli.foreign``).
"""

import zlib
from collections.abc import Mapping
from enum import Enum, unique
from typing import Final, NamedTuple

from dicomfs.media.sectors import begins_sector
from dicomfs.media.tar.header import BLOCK, parse
from dicomfs.source.source import SECTOR, Source


@unique
class Foreign(Enum):
    """Kinds of files that are not read; the value says what one is."""

    TAR_GZIP = "a tar archive packed with gzip"
    TAR_BZIP2 = "a tar archive packed with bzip2"
    TAR_XZ = "a tar archive packed with xz"
    GZIP = "a file packed with gzip"
    BZIP2 = "a file packed with bzip2"
    XZ = "a file packed with xz"
    ZSTD = "a file packed with Zstandard"
    LZIP = "a file packed with lzip"
    COMPRESS = "a file packed with compress"
    SEVEN_ZIP = "a 7z archive"
    RAR = "a RAR archive"
    CABINET = "a cabinet archive (CAB)"
    NERO = "an image of Nero (NRG)"
    PREGAP = "an image of whole CD sectors that begins with a pregap"
    ISO_PREGAP = "an ISO image that begins with a pregap"
    CLONE_CD = "a description of an image (CCD), and not the image"
    ALCOHOL = "a description of an image (MDS), and not the image"
    CUE = "a description of an image (CUE), and not the image"
    CISO = "a compressed image (CSO)"
    DMG = "an image of macOS (DMG)"
    VIRTUAL_DISK = "a disk of a virtual machine"
    EXPERT_WITNESS = "a forensic image (E01)"
    FAT = "the image of a stick, with the file system FAT"
    EXFAT = "the image of a stick, with the file system exFAT"
    NTFS = "the image of a disk, with the file system NTFS"
    EXT = "the image of a disk, with a file system of Linux"
    HFS = "the image of a disk, with a file system of macOS"
    PARTITIONS = "the image of a whole stick or disk, with partitions"


class _Magic(NamedTuple):
    """Bytes that a kind has at an offset; one below zero counts from the end."""

    kind: Foreign
    offset: int
    magic: bytes


# The first that fits is it. Partitions come last: a file system has their mark, too.
_TABLE: Final = (
    _Magic(Foreign.GZIP, 0, b"\x1f\x8b\x08"),
    _Magic(Foreign.BZIP2, 0, b"BZh"),
    _Magic(Foreign.XZ, 0, b"\xfd7zXZ\0"),
    _Magic(Foreign.ZSTD, 0, b"\x28\xb5\x2f\xfd"),
    _Magic(Foreign.LZIP, 0, b"LZIP"),
    _Magic(Foreign.COMPRESS, 0, b"\x1f\x9d\x90"),
    _Magic(Foreign.SEVEN_ZIP, 0, b"7z\xbc\xaf\x27\x1c"),
    _Magic(Foreign.RAR, 0, b"Rar!\x1a\x07"),
    _Magic(Foreign.CABINET, 0, b"MSCF\0\0\0\0"),
    _Magic(Foreign.NERO, -12, b"NER5"),
    _Magic(Foreign.NERO, -8, b"NERO"),
    _Magic(Foreign.CLONE_CD, 0, b"[CloneCD]"),
    _Magic(Foreign.ALCOHOL, 0, b"MEDIA DESCRIPTOR"),
    _Magic(Foreign.CUE, 0, b'FILE "'),
    _Magic(Foreign.CISO, 0, b"CISO"),
    _Magic(Foreign.DMG, -512, b"koly"),
    _Magic(Foreign.VIRTUAL_DISK, 0, b"KDMV"),
    _Magic(Foreign.VIRTUAL_DISK, 0, b"QFI\xfb"),
    _Magic(Foreign.VIRTUAL_DISK, 0, b"vhdxfile"),
    _Magic(Foreign.VIRTUAL_DISK, 64, b"\x7f\x10\xda\xbe"),
    _Magic(Foreign.VIRTUAL_DISK, -512, b"conectix"),
    _Magic(Foreign.EXPERT_WITNESS, 0, b"EVF\x09\x0d\x0a\xff\0"),
    _Magic(Foreign.ISO_PREGAP, 166 * SECTOR + 1, b"CD001"),
    _Magic(Foreign.EXFAT, 3, b"EXFAT   "),
    _Magic(Foreign.NTFS, 3, b"NTFS    "),
    _Magic(Foreign.FAT, 54, b"FAT1"),
    _Magic(Foreign.FAT, 82, b"FAT32   "),
    # With its state: clean, or mounted. Two bytes are too few to tell.
    _Magic(Foreign.EXT, 1080, b"\x53\xef\1\0"),
    _Magic(Foreign.EXT, 1080, b"\x53\xef\0\0"),
    _Magic(Foreign.HFS, 1024, b"H+\0\4"),
    _Magic(Foreign.HFS, 1024, b"HX\0\5"),
    _Magic(Foreign.PARTITIONS, 512, b"EFI PART"),
)
# A pregap has so many sectors (ECMA-130 20); they may be whole sectors without anything.
_PREGAP: Final = 150
_RAW: Final = 2352
# The mark of a boot sector, and the four partitions before it, each with its state first.
_BOOT: Final = b"\x55\xaa"
_PARTITIONS: Final = 446
_ENTRY: Final = 16
# So much of a packed file is taken to see what it holds: a block of bzip2 has to be there
# as a whole.
_TAKEN: Final = 1024 * 1024
_MOST_MEMORY: Final = 128 * 1024 * 1024
_PREFIX: Final = slice(128, 132)


_WITH_TAR: Final[Mapping[Foreign, Foreign]] = {
    Foreign.GZIP: Foreign.TAR_GZIP,
    Foreign.BZIP2: Foreign.TAR_BZIP2,
    Foreign.XZ: Foreign.TAR_XZ,
}


def foreign(source: Source) -> Foreign | None:
    """Return what *source* is, None if it has no name; raises OSError."""
    kind = _by_magic(source)
    with_tar = _WITH_TAR.get(kind) if kind else None
    if kind and with_tar and parse(_content(source, kind)) is not None:
        return with_tar
    return kind


def packed_instance(source: Source) -> Foreign | None:
    """Return how *source* is packed if it is a DICOM file that is; raises OSError."""
    head = source.read_at(0, BLOCK)
    for kind, offset, magic in _TABLE:
        if kind in _WITH_TAR and head.startswith(magic, offset):
            return kind if _content(source, kind)[_PREFIX] == b"DICM" else None
    return None


def _by_magic(source: Source) -> Foreign | None:
    for kind, offset, magic in _TABLE:
        at = offset if offset >= 0 else source.size + offset
        if at >= 0 and source.read_at(at, len(magic)) == magic:
            return kind
    if begins_sector(source, _PREGAP * _RAW) or _has_early_address(source):
        return Foreign.PREGAP
    return Foreign.PARTITIONS if _has_partitions(source.read_at(0, BLOCK)) else None


def _has_early_address(source: Source) -> bool:
    """Whether the first sector says that it lies before the first of the data."""
    return begins_sector(source, 0) and source.read_at(12, 2) == b"\0\0"


def _has_partitions(head: bytes) -> bool:
    """Whether *head* is a boot sector with partitions: at least one, none that is odd."""
    if not head.endswith(_BOOT) or len(head) != BLOCK:
        return False
    entries = [head[at : at + _ENTRY] for at in range(_PARTITIONS, 510, _ENTRY)]
    return all(each[0] in {0, 0x80} for each in entries) and any(e[4] for e in entries)


def _content(source: Source, kind: Foreign) -> bytes:
    """Return the first bytes of what is packed in *source*; none, if it is damaged."""
    data = source.read_at(0, _TAKEN)
    try:
        if kind is Foreign.GZIP:
            return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(data, BLOCK)
        return _bzip2(data) if kind is Foreign.BZIP2 else _xz(data)
    except (OSError, ValueError, EOFError, MemoryError, zlib.error, ImportError):
        return b""


# These take their time to load, and few have such files.


def _bzip2(data: bytes) -> bytes:
    import bz2

    return bz2.BZ2Decompressor().decompress(data, BLOCK)


def _xz(data: bytes) -> bytes:
    import lzma

    try:
        return lzma.LZMADecompressor(memlimit=_MOST_MEMORY).decompress(data, BLOCK)
    except lzma.LZMAError:
        return b""
