"""What an encoded frame says of itself: JPEG and JPEG-LS (SOF), JPEG 2000 (SIZ), RLE.

A header may say another thing. What is in the codestream is how it is decoded
(PS3.5 8.2.1 to 8.2.4), so that is what its pixels are laid out by.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from dicomfs.errors import PictureError

_START_OF_IMAGE: Final = b"\xff\xd8"
# Markers that begin a frame, JPEG-LS included; three in between mean other things.
_FRAMES: Final = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
# Markers without a segment.
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_LAST: Final = frozenset({0xD9, 0xDA})  # the end, or the scan
_MOST_SEGMENTS: Final = 1000

_JPEG_2000: Final = b"\xff\x4f\xff\x51"
_JP2: Final = b"\0\0\0\x0cjP  "
_BOX: Final = b"jp2c"
# The first component in a SIZ segment, and what there is of each.
_COMPONENTS, _COMPONENT = 42, 3


class Codestream(NamedTuple):
    """How many *rows*, *columns*, *samples* and *bits* a sample a frame has.

    Of those that are 0 it does not say. Only JPEG 2000 can say that samples are signed.
    """

    rows: int
    columns: int
    samples: int
    bits: int
    is_signed: bool = False


def read(data: bytes) -> Codestream:
    """Return what JPEG, JPEG-LS or JPEG 2000 *data* says of itself.

    Raises PictureError if it is none of these.
    """
    try:
        if data.startswith(_START_OF_IMAGE):
            return _jpeg(data)
        return _jpeg_2000(data, _start_of_jpeg_2000(data))
    except IndexError:
        raise PictureError("its pixels are cut off") from None


def _number(data: bytes, at: int, size: int = 2) -> int:
    value = data[at : at + size]
    if len(value) < size:
        raise IndexError
    return int.from_bytes(value, "big")


def _jpeg(data: bytes) -> Codestream:
    """Return what the first frame header says (ISO 10918-1 B.2.2)."""
    for marker, at in _segments(data):
        if marker in _FRAMES:
            rows, columns = _number(data, at + 3), _number(data, at + 5)
            return Codestream(rows, columns, data[at + 7], data[at + 2])
    raise PictureError("its pixels are no JPEG")


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the markers of JPEG *data*, and where the segment of each begins."""
    at = len(_START_OF_IMAGE)
    for _ in range(_MOST_SEGMENTS):
        if data[at] != 0xFF:
            return
        while data[at] == 0xFF:  # as many as its writer liked (B.1.1.2)
            at += 1
        marker = data[at]
        at += 1
        if marker in _LAST:
            return
        if marker not in _ALONE:
            yield marker, at
            at += _number(data, at)


def _start_of_jpeg_2000(data: bytes) -> int:
    """Return where the codestream begins, which may be in a file of boxes (JP2)."""
    at = 0
    if data.startswith(_JP2):
        for _ in range(_MOST_SEGMENTS):
            if data[at + 4 : at + 8] == _BOX:
                at += 8
                break
            at += max(_number(data, at, 4), 8)
    if data[at : at + 4] != _JPEG_2000:
        raise PictureError("its pixels are not encoded as they should be")
    return at


def _jpeg_2000(data: bytes, at: int) -> Codestream:
    """Return what the SIZ segment says (ISO 15444-1 A.5.1)."""
    right, bottom, left, top = (_number(data, at + n, 4) for n in (8, 12, 16, 20))
    count = _number(data, at + 40)
    depths = {data[at + _COMPONENTS + _COMPONENT * n] for n in range(count)}
    if len(depths) != 1:
        raise PictureError("its colours differ in depth")
    depth = depths.pop()
    bits, is_signed = (depth & 0x7F) + 1, bool(depth & 0x80)
    return Codestream(bottom - top, right - left, count, bits, is_signed)


def check_rle(data: bytes, pixels: int, size: int) -> None:
    """Raise PictureError if RLE *data* has not so many *pixels* of *size* bytes each.

    Each segment has one byte of all pixels (PS3.5 annex G).
    """
    count, first, second = (
        int.from_bytes(data[at : at + 4], "little") for at in (0, 4, 8)
    )
    end = second if count > 1 else len(data)
    # One byte more may be padding.
    if count != size or _length(data[first:end]) not in (pixels, pixels + 1):
        raise PictureError("its pixels are of another size than its header says")


def _length(segment: bytes) -> int:
    """Return how many bytes an RLE *segment* has when it is decoded (PS3.5 G.3.2)."""
    at = length = 0
    end = len(segment)
    while at < end:
        head = segment[at]
        if head < 128:
            length += min(head + 1, end - at - 1)
            at += head + 2
        elif head == 128:
            at += 1
        else:
            length += (257 - head) * (at + 1 < end)
            at += 2
    return length
