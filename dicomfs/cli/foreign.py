"""How people make something that is read of a file that is not.

Kinds are told by their names in ``media.foreign``.
"""

import shlex
from collections.abc import Mapping
from typing import Final

_UNTAR: Final = (
    "unpack it, and give the folder: mkdir unpacked && tar -xf {name} -C unpacked"
)
_7Z: Final = "unpack it, and give the folder: 7z x -ounpacked {name}"
_MOUNT: Final = (
    "mount it, and give the folder that it is mounted on: "
    "sudo mount -o loop,ro {name} /mnt"
)


def mend(kind: str, name: str) -> str:
    """Return how to make something that is read of a file of this *kind* and *name*."""
    _, scheme, path = name.partition("://")
    file = path.partition("?")[0].rpartition("/")[2] if scheme else name
    told = MENDS[kind].format(name=shlex.quote(file))
    return f"download it, and {told}" if scheme else told


# With the name of the file, as a shell takes it.
MENDS: Final[Mapping[str, str]] = {
    "TAR_GZIP": _UNTAR,
    "TAR_BZIP2": _UNTAR,
    "TAR_XZ": _UNTAR,
    "GZIP": "unpack it, and give what comes out: gunzip --keep {name}",
    "BZIP2": "unpack it, and give what comes out: bunzip2 --keep {name}",
    "XZ": "unpack it, and give what comes out: unxz --keep {name}",
    "ZSTD": "unpack it, and give what comes out: unzstd {name}",
    "LZIP": "unpack it, and give what comes out: lzip -dk {name}",
    "COMPRESS": "unpack it, and give what comes out: gunzip --keep {name}",
    "SEVEN_ZIP": _7Z,
    "RAR": (
        "unpack it, and give the folder: mkdir unpacked && unrar x {name} unpacked/"
    ),
    "CABINET": _7Z,
    "NERO": "make an ISO image of it: nrg2iso {name} disc.iso",
    "PREGAP": ("leave the pregap out: dd if={name} of=disc.bin bs=2352 skip=150"),
    "ISO_PREGAP": ("leave the pregap out: dd if={name} of=disc.iso bs=2048 skip=150"),
    "CLONE_CD": "give the file beside it that ends with .img",
    "ALCOHOL": "give the file beside it that ends with .mdf",
    "CUE": "give the file beside it that ends with .bin",
    "CISO": "make an ISO image of it: ciso 0 {name} disc.iso",
    "DMG": "make an image of it that is read: dmg2img {name} disc.img",
    "VIRTUAL_DISK": (
        "mount it, and give the folder: guestmount --ro -i -a {name} /mnt"
    ),
    "EXPERT_WITNESS": (
        "make a plain image of it, and give that: ewfexport -t disc {name}"
    ),
    "FAT": _MOUNT,
    "EXFAT": _MOUNT,
    "NTFS": _MOUNT,
    "EXT": _MOUNT,
    "HFS": _MOUNT,
    "PARTITIONS": (
        "let the desktop mount it, and give the folder that it is mounted on: "
        "udisksctl loop-setup --read-only --file {name}"
    ),
}
