"""Make files of the kinds that dicomfs names and does not read, as small as they can be."""

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from tests.build import tars

SECTOR: Final = 2048
_RAW: Final = 2352
_SYNC: Final = b"\0" + b"\xff" * 10 + b"\0"
PACKERS: Final[Mapping[str, Callable[[bytes], bytes]]] = MappingProxyType(
    {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}
)


def _tar() -> bytes:
    return tars.archive([tars.Member(b"DICOMDIR", bytes(5_000))])


def at(*pieces: tuple[int, bytes], size: int = 200_000) -> bytes:
    """Return zeros with *pieces* at their offsets; those below zero count from the end."""
    data = bytearray(size)
    for offset, piece in pieces:
        start = offset if offset >= 0 else size + offset
        data[start : start + len(piece)] = piece
    return bytes(data)


def boot_sector(*types: int) -> bytes:
    """Return the first sector of a disk with partitions of these types."""
    entries = [
        struct.pack("<8B2L", 0, 0, 0, 0, kind, 0, 0, 0, 63, 99) for kind in types
    ]
    return at((446, b"".join(entries)), (510, b"\x55\xaa"), size=512)


def pregap(address: bytes = b"\0\0\0") -> bytes:
    """Return whole sectors that begin before the first of the data."""
    return (_SYNC + address + b"\1" + bytes(_RAW - 16)) * 170


def foreign() -> Mapping[str, list[bytes]]:
    """Return files by the name of their kind, each kind in a few variants."""
    big = bytes(range(256)) * 400
    stick = (3, b"mkfs.fat"), (510, b"\x55\xaa")
    return {
        "TAR_GZIP": [gzip.compress(_tar(), level) for level in (0, 6, 9)],
        "TAR_BZIP2": [bz2.compress(_tar(), level) for level in (1, 9)],
        "TAR_XZ": [lzma.compress(_tar()), lzma.compress(_tar(), preset=0)],
        "GZIP": [gzip.compress(big), gzip.compress(b""), b"\x1f\x8b\x08" + bytes(90)],
        "BZIP2": [bz2.compress(big), bz2.compress(big)[:500]],
        "XZ": [lzma.compress(big), lzma.compress(big)[:60]],
        "ZSTD": [b"\x28\xb5\x2f\xfd" + bytes(99)],
        "LZIP": [b"LZIP\1" + bytes(99)],
        "COMPRESS": [b"\x1f\x9d\x90" + bytes(99)],
        "SEVEN_ZIP": [b"7z\xbc\xaf\x27\x1c\0\4" + bytes(99)],
        "RAR": [b"Rar!\x1a\x07\0" + bytes(99), b"Rar!\x1a\x07\1\0" + bytes(99)],
        "CABINET": [b"MSCF" + bytes(99)],
        "NERO": [at((-12, b"NER5")), at((-8, b"NERO"))],
        "PREGAP": [
            pregap(),
            pregap(b"\0\1\x74"),
            at((150 * _RAW, _SYNC), size=400_000),
        ],
        "ISO_PREGAP": [at((166 * SECTOR, b"\1CD001\1"), size=400_000)],
        "CLONE_CD": [b"[CloneCD]\r\nVersion=3\r\n"],
        "ALCOHOL": [b"MEDIA DESCRIPTOR\1" + bytes(99)],
        "CUE": [b'FILE "disc.bin" BINARY\r\n  TRACK 01 MODE1/2352\r\n'],
        "CISO": [b"CISO" + bytes(99)],
        "DMG": [at((-512, b"koly"))],
        "VIRTUAL_DISK": [
            b"KDMV" + bytes(99),
            b"QFI\xfb" + bytes(99),
            b"vhdxfile" + bytes(99),
            at((64, b"\x7f\x10\xda\xbe")),
            at((-512, b"conectix")),
        ],
        "EXPERT_WITNESS": [b"EVF\x09\x0d\x0a\xff\0" + bytes(99)],
        "FAT": [
            at(*stick, (54, b"FAT12   ")),
            at(*stick, (54, b"FAT16   ")),
            at(*stick, (82, b"FAT32   ")),
        ],
        "EXFAT": [at((3, b"EXFAT   "), (510, b"\x55\xaa"))],
        "NTFS": [at((3, b"NTFS    "), (510, b"\x55\xaa"))],
        "EXT": [at((1080, b"\x53\xef\1\0")), at((1080, b"\x53\xef\0\0"))],
        "HFS": [at((1024, b"H+\0\4")), at((1024, b"HX\0\5"))],
        "PARTITIONS": [
            at((0, boot_sector(0x0C))),
            at((0, boot_sector(0, 7))),
            at((0, boot_sector(0xEE)), (512, b"EFI PART")),
        ],
    }
