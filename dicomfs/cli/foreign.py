"""How people make something that is read of a file that is not.

Facts of the failure stand in braces, as in ``cli.exits``; one of them is its kind, the
name of one of ``media.foreign``.
"""

from collections.abc import Mapping
from typing import Final

_UNTAR: Final = (
    "unpack it, and give the folder: mkdir unpacked && tar -xf {name:shell} -C unpacked"
)
_7Z: Final = "unpack it, and give the folder: 7z x -ounpacked {name:shell}"
_MOUNT: Final = (
    "mount it, and give the folder that it is mounted on: "
    "sudo mount -o loop,ro {name:shell} /mnt"
)

MENDS: Final[Mapping[str, str]] = {
    "TAR_GZIP": _UNTAR,
    "TAR_BZIP2": _UNTAR,
    "TAR_XZ": _UNTAR,
    "GZIP": "unpack it, and give what comes out: gunzip --keep {name:shell}",
    "BZIP2": "unpack it, and give what comes out: bunzip2 --keep {name:shell}",
    "XZ": "unpack it, and give what comes out: unxz --keep {name:shell}",
    "ZSTD": "unpack it, and give what comes out: unzstd {name:shell}",
    "LZIP": "unpack it, and give what comes out: lzip -dk {name:shell}",
    "COMPRESS": "unpack it, and give what comes out: gunzip --keep {name:shell}",
    "SEVEN_ZIP": _7Z,
    "RAR": (
        "unpack it, and give the folder: mkdir unpacked && unrar x {name:shell} unpacked/"
    ),
    "CABINET": _7Z,
    "NERO": "make an ISO image of it: nrg2iso {name:shell} disc.iso",
    "PREGAP": ("leave the pregap out: dd if={name:shell} of=disc.bin bs=2352 skip=150"),
    "ISO_PREGAP": (
        "leave the pregap out: dd if={name:shell} of=disc.iso bs=2048 skip=150"
    ),
    "CLONE_CD": "give the file beside it that ends with .img",
    "ALCOHOL": "give the file beside it that ends with .mdf",
    "CUE": "give the file beside it that ends with .bin",
    "CISO": "make an ISO image of it: ciso 0 {name:shell} disc.iso",
    "DMG": "make an image of it that is read: dmg2img {name:shell} disc.img",
    "VIRTUAL_DISK": (
        "mount it, and give the folder: guestmount --ro -i -a {name:shell} /mnt"
    ),
    "EXPERT_WITNESS": (
        "make a plain image of it, and give that: ewfexport -t disc {name:shell}"
    ),
    "FAT": _MOUNT,
    "EXFAT": _MOUNT,
    "NTFS": _MOUNT,
    "EXT": _MOUNT,
    "PARTITIONS": (
        "let the desktop mount it, and give the folder that it is mounted on: "
        "udisksctl loop-setup --read-only --file {name:shell}"
    ),
}
