"""The thumbnail of an image as an extended attribute: a PNG of one size for all."""

import struct
import zlib
from typing import Final

NAME: Final = b"user.dicomfs.thumbnail"
# 128 times 128 pixels in colour fit in, however badly they pack. The kernel takes 64 KiB.
SIZE: Final = 52 * 1024

# Length, kind and checksum of a chunk. The last one, IEND, has nothing else.
_CHUNK: Final = 12
# Whoever does not know it passes over it: ancillary, private, safe to copy.
_FILLING: Final = b"fiLl"


def filled(png: bytes) -> bytes:
    """Return *png* with ``SIZE`` bytes; empty if it is empty, or has more."""
    count = SIZE - len(png) - _CHUNK
    if not png or count < 0:
        return b""
    end = len(png) - _CHUNK
    chunk = _FILLING + bytes(count)
    checksum = struct.pack(">I", zlib.crc32(chunk))
    return png[:end] + struct.pack(">I", count) + chunk + checksum + png[end:]
