"""What a picture is made of: the header of an image and one frame, out of its file.

The file is read within bounds, and nothing of it is decoded: that is the painter's.
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

from dicomfs.dicom.element import (
    ITEM,
    SEQUENCE_DELIMITATION,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    Element,
    Syntax,
    elements,
    sniff,
)
from dicomfs.dicom.header import read_meta
from dicomfs.dicom.uids import DEFLATED
from dicomfs.errors import PictureError
from dicomfs.source.limited import Limited
from dicomfs.source.source import BytesSource, Extent, Source
from dicomfs.source.window import Window

# Functional groups of thousands of frames take megabytes.
MOST_HEADER: Final = 8 * 1024 * 1024
MOST_PIXELS: Final = 64 * 1024 * 1024
# A data set that is deflated as a whole is sent as a whole.
MOST_DEFLATED: Final = 16 * 1024 * 1024

_BLOCK: Final = 16 * 1024
_HEAD: Final = 8
_LONG_HEADER: Final = 12
_ITEM: Final = 8
_MOST_ELEMENTS: Final = 10_000
_MOST_FRAGMENTS: Final = 1000
_LONGEST: Final = 32

_SAMPLES: Final = 0x00280002
_PHOTOMETRIC: Final = 0x00280004
_FRAMES: Final = 0x00280008
_ROWS: Final = 0x00280010
_COLUMNS: Final = 0x00280011
_BITS: Final = 0x00280100
_ASKED: Final = frozenset((_SAMPLES, _PHOTOMETRIC, _FRAMES, _ROWS, _COLUMNS, _BITS))
_OFFSETS: Final = 0x7FE00001
# Pixel Data, of integers and of numbers with a fraction.
PIXELS: Final = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
# How a frame of JPEG, JPEG-LS or JPEG 2000 begins.
_BEGINNINGS: Final = (b"\xff\xd8", b"\xff\x4f")
# Two pixels of it share their colour (PS3.3 C.7.6.3.1.2).
_HALF_COLOURED: Final = b"YBR_FULL_422"
_NUMBER: Final = re.compile(rb" *\+?(\d{1,9}) *\0?")


class Excerpt(NamedTuple):
    """A data set up to its pixels, and the *pixels* of its frame number *frame*.

    It is encoded as *explicit* and *little* say, and the pixels by *transfer_syntax* if
    they are *encapsulated*. Others are *words* or bytes, which tells in big endian. One
    that is *deflated* is all that the file has.
    """

    transfer_syntax: bytes
    header: bytes
    pixels: bytes = b""
    pixel_tag: int = 0
    frame: int = 0
    explicit: bool = True
    little: bool = True
    encapsulated: bool = False
    deflated: bool = False
    words: bool = True


# Of what there is no picture.
NOTHING: Final = Excerpt(b"", b"")


def excerpt(source: Source) -> Excerpt:
    """Return what the picture of the image in the file *source* is made of.

    Raises OSError from the medium, PictureError where there are no pixels or too many,
    NotDicomError and ElementError from a file that is not what it should be.
    """
    window = Window(Limited(source, MOST_HEADER), _BLOCK)
    meta = read_meta(window)
    if meta.transfer_syntax == DEFLATED:
        size = source.size - meta.start
        if size > MOST_DEFLATED:
            raise PictureError("the file is too large")
        data = source.read_at(meta.start, size)
        return Excerpt(DEFLATED, data, deflated=True)
    syntax = meta.syntax(window)
    return _excerpt(source, window, meta.start, syntax, meta.transfer_syntax)


def inflated(excerpt: Excerpt) -> Excerpt:
    """Return what the picture of a *deflated* image is made of; raises as ``excerpt``."""
    try:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(
            excerpt.header, MOST_HEADER + MOST_PIXELS
        )
    except zlib.error as error:
        raise PictureError("it does not inflate") from error
    source = BytesSource(data)
    window = Window(source, _BLOCK)
    return _excerpt(source, window, 0, sniff(data[:_HEAD]), b"")


def icon(data: bytes, syntax: Syntax) -> Excerpt:
    """Return what the picture of an icon is made of: *data* is the item of its sequence.

    Raises as ``excerpt``.
    """
    source = BytesSource(data)
    return _excerpt(source, Window(source), 0, syntax, b"")


def _excerpt(
    source: Source, window: Window, start: int, syntax: Syntax, transfer_syntax: bytes
) -> Excerpt:
    values: dict[int, bytes] = {}
    table, pixels = _found(elements(window, start, source.size, syntax), window, values)
    end = _begin(table or pixels, syntax)
    if end - start > MOST_HEADER:
        raise PictureError("its header is too large")
    layout = _Layout.of(values, syntax)
    encapsulated = pixels.length == UNDEFINED_LENGTH
    if encapsulated:
        frame, extents = _compressed(source, window, pixels, syntax, layout, table)
    else:
        frame, extents = _plain(pixels, layout)
    if not 0 < sum(each.size for each in extents) <= MOST_PIXELS:
        raise PictureError("a frame of it is too large, or empty")
    return Excerpt(
        transfer_syntax,
        source.read_at(start, end - start),
        b"".join(source.read_at(*each) for each in extents),
        pixels.tag,
        frame,
        syntax.explicit,
        syntax.little,
        encapsulated,
        words=pixels.vr != b"OB",
    )


def _found(
    run: Iterator[Element], window: Window, values: dict[int, bytes]
) -> tuple[Element | None, Element]:
    """Return the table of offsets in a *run* of elements, if there is one, and the pixels.

    Put what tells how those lie into *values*. Raises PictureError if there are none.
    """
    table = None
    for element in islice(run, _MOST_ELEMENTS):
        if element.tag in PIXELS:
            return table, element
        if element.tag == _OFFSETS and element.length != UNDEFINED_LENGTH:
            table = element
        elif element.tag in _ASKED and element.length <= _LONGEST:
            values[element.tag] = window.read(element.start, element.length)
    raise PictureError("there are no pixels in it")


def _begin(element: Element, syntax: Syntax) -> int:
    """Return where the header of an *element* begins."""
    is_long = syntax.explicit and element.vr is not None and element.vr not in SHORT_VRS
    return element.start - (_LONG_HEADER if is_long else _HEAD)


class _Layout(NamedTuple):
    """How many frames there are, and how many bits each of them has if it is plain."""

    frames: int
    bits: int

    @staticmethod
    def of(values: Mapping[int, bytes], syntax: Syntax) -> "_Layout":
        def number(tag: int, default: int) -> int:
            return syntax.integer(values[tag][:2]) if values.get(tag) else default

        frames = _NUMBER.fullmatch(values.get(_FRAMES, b""))
        samples = number(_SAMPLES, 1)
        if values.get(_PHOTOMETRIC, b"").strip(b" \0") == _HALF_COLOURED:
            samples = min(samples, 2)
        bits = number(_ROWS, 0) * number(_COLUMNS, 0) * samples * number(_BITS, 8)
        return _Layout(max(int(frames[1]), 1) if frames else 1, bits)

    @property
    def middle(self) -> int:
        """The number of the frame in the middle, counted from 0."""
        return self.frames // 2


def _plain(pixels: Element, layout: _Layout) -> tuple[int, list[Extent]]:
    """Return which frame is shown of pixels that are plain, and where it lies."""
    size = -(-layout.bits // 8)
    frame = layout.middle
    # Frames of single bits lie one behind the other, wherever a byte begins.
    if layout.bits % 8 or (frame + 1) * size > pixels.length:
        frame = 0
    if not 0 < size <= pixels.length:
        raise PictureError("its pixels are cut off")
    return frame, [Extent(pixels.start + frame * size, size)]


def _compressed(
    source: Source,
    window: Window,
    pixels: Element,
    syntax: Syntax,
    layout: _Layout,
    table: Element | None,
) -> tuple[int, list[Extent]]:
    """Return which frame is shown of pixels in fragments, and where it lies."""
    offsets = _item(source, pixels.start, syntax)
    first = offsets.offset + offsets.size
    if layout.frames == 1:
        return 0, list(_fragments(source, first, syntax))
    begin = _beginning(source, window, layout.middle, syntax, offsets, table)
    if begin is not None:
        return layout.middle, _frame(source, first + begin, syntax)
    # Without a table only walking to it would tell where the middle is.
    return 0, _frame(source, first, syntax)


def _beginning(
    source: Source,
    window: Window,
    frame: int,
    syntax: Syntax,
    offsets: Extent,
    table: Element | None,
) -> int | None:
    """Return where a *frame* begins behind the first one, None if no table says so."""
    if table is not None and 8 * (frame + 1) <= table.length:
        value = window.read(table.start + 8 * frame, 8)
    elif 4 * (frame + 1) <= offsets.size:
        value = source.read_at(offsets.offset + 4 * frame, 4)
    else:
        return None
    begin = syntax.integer(value)
    return begin if begin < source.size else None


def _frame(source: Source, offset: int, syntax: Syntax) -> list[Extent]:
    """Return the fragments of the frame that begins with the item at *offset*."""
    found: list[Extent] = []
    is_stream = False
    for fragment in _fragments(source, offset, syntax):
        begins = source.read_at(fragment.offset, 2) in _BEGINNINGS
        # A frame of RLE, which begins like none of them, is one fragment (PS3.5 A.4.2).
        if found and (begins or not is_stream):
            break
        is_stream = is_stream or begins
        found.append(fragment)
    return found


def _fragments(source: Source, offset: int, syntax: Syntax) -> Iterator[Extent]:
    """Yield the fragments from *offset* on; raises PictureError if they are damaged."""
    for _ in range(_MOST_FRAGMENTS):
        header = source.read_at(offset, _ITEM)
        if len(header) == _ITEM:
            tag = syntax.plain_header(header, 0)[0]
            if tag == SEQUENCE_DELIMITATION:
                return
        fragment = _item(source, offset, syntax)
        yield fragment
        offset = fragment.offset + fragment.size
    raise PictureError("its pixels are in too many fragments")


def _item(source: Source, offset: int, syntax: Syntax) -> Extent:
    """Return where the value of the item at *offset* lies; raises PictureError."""
    header = source.read_at(offset, _ITEM)
    if len(header) == _ITEM:
        tag, _, length, _ = syntax.plain_header(header, 0)
        if tag == ITEM and offset + _ITEM + length <= source.size:
            return Extent(offset + _ITEM, length)
    raise PictureError("its pixels are damaged")
