"""Video (PS3.5 8.2.5 to 8.2.8): a stream that lies in the fragments of Pixel Data.

The fragments, one after the other, are the stream that the camera wrote. What it is called
depends on how it begins, not on what the header says.
"""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Final

from dicomfs.dicom import tags
from dicomfs.dicom.element import (
    ITEM,
    SEQUENCE_DELIMITATION,
    UNDEFINED_LENGTH,
    Element,
    Syntax,
    elements,
)
from dicomfs.dicom.header import MAX_READ, read_meta
from dicomfs.dicom.uids import COMPRESSED_ROOT
from dicomfs.errors import DocumentError
from dicomfs.source.limited import Limited
from dicomfs.source.source import Extent, ExtentSource, Source
from dicomfs.source.window import Window

_BLOCK: Final = 16 * 1024
_MOST_ELEMENTS: Final = 10_000
# One for each frame of an hour; nearly all have one, or one for each gigabyte.
_MOST_FRAGMENTS: Final = 100_000
_ITEM: Final = 8
_HEAD: Final = 1024
# MPEG-2 to HEVC, in any profile, and in fragments or not (PS3.6 table A-1).
_SYNTAX: Final = re.compile(re.escape(COMPRESSED_ROOT) + rb"10[0-8](?:\.1)?")
_HEVC: Final = re.compile(re.escape(COMPRESSED_ROOT) + rb"10[78](?:\.1)?")

# ISO/IEC 13818-1: packets of a transport stream begin with this byte.
_PACKET, _PACKET_SIZE = 0x47, 188
# ISO/IEC 13818-1 and -2: a pack of a program stream, a sequence of pictures.
_MPEG: Final = (b"\0\0\1\xba", b"\0\0\1\xb3")
# ITU-T H.264 and H.265, annex B: a unit of the stream behind two zeros or three and a one.
_START: Final = re.compile(rb"\x00{2,3}\x01[^\x00]", re.DOTALL)


def is_video(transfer_syntax: bytes) -> bool:
    """Whether instances of a Transfer Syntax hold video."""
    return _SYNTAX.fullmatch(transfer_syntax) is not None


def read(source: Source) -> Mapping[str, Source]:
    """Return the video in *source*; see ``documents.reading``."""
    window = Window(Limited(source, MAX_READ), _BLOCK)
    meta = read_meta(window)
    if not is_video(meta.transfer_syntax):
        raise DocumentError("it is not encoded as video")
    syntax = meta.syntax(window)
    run = islice(elements(window, meta.start, source.size, syntax), _MOST_ELEMENTS)
    pixels = next((each for each in run if each.tag >= tags.PIXEL_DATA), None)
    if pixels is None or pixels.tag != tags.PIXEL_DATA:
        raise DocumentError("there is no video in it")
    if pixels.length != UNDEFINED_LENGTH:
        raise DocumentError("its video is not in fragments")
    fragments = _fragments(source, pixels, syntax)
    stream = ExtentSource(source, fragments, source.status.mtime_ns)
    is_hevc = _HEVC.fullmatch(meta.transfer_syntax) is not None
    return {_extension(stream.read_at(0, _HEAD), is_hevc=is_hevc): stream}


def _fragments(source: Source, pixels: Element, syntax: Syntax) -> list[Extent]:
    """Return where the fragments lie, without the Basic Offset Table in front of them.

    Each costs a read of its header. Raises DocumentError where they have no end.
    """
    found: list[Extent] = []
    offset = pixels.start
    for number in range(_MOST_FRAGMENTS + 2):
        header = source.read_at(offset, _ITEM)
        if len(header) < _ITEM:
            break
        tag, _, length, _ = syntax.plain_header(header, 0)
        offset += _ITEM
        if tag == SEQUENCE_DELIMITATION:
            return found
        if tag != ITEM or length == UNDEFINED_LENGTH or offset + length > source.size:
            break
        if number and length:
            found.append(Extent(offset, length))
        offset += length
    raise DocumentError("its video is cut off, damaged, or in too many fragments")


def _extension(head: bytes, *, is_hevc: bool) -> str:
    """Return what a stream that begins with *head* is called.

    Raises DocumentError for one that is not known.
    """
    if head[4:8] == b"ftyp":
        return ".mp4"
    packets = head[::_PACKET_SIZE]
    if head.startswith(_MPEG) or (len(packets) > 1 and set(packets) == {_PACKET}):
        return ".mpg"
    if _START.match(head):
        return ".hevc" if is_hevc else ".h264"
    raise DocumentError("its video is of a kind that is not known")
