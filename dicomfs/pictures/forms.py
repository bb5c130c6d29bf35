"""The forms of a picture: PNG for thumbnails, and JPEG of a fixed size for a preview."""

import struct
from collections.abc import Callable
from io import BytesIO
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from dicomfs.errors import PictureError
from dicomfs.pictures.wire import PREVIEW_SIZE, Form

# By the freedesktop.org thumbnail specification, and of a preview.
SIZES: Final = {Form.NORMAL: 128, Form.LARGE: 256, Form.PREVIEW: 512}

_WARNING: Final = "not for diagnosis"
_NOTHING: Final = "no picture"
_MARGIN: Final = 8
_QUALITIES: Final = (85, 75, 60, 45, 30, 15)
# A segment of a JPEG file: a comment, and the longest that its two bytes can say.
_COMMENT: Final = b"\xff\xfe"
_LONGEST: Final = 0xFFFF
_BEGIN: Final = 2


def rendered(form: Form, decode: Callable[[int], Image.Image]) -> bytes:
    """Return the picture that *decode* gives for a size, in a *form*.

    Raises what *decode* raises; a preview then says that there is no picture.
    """
    size = SIZES[form]
    if form is Form.PREVIEW:
        return _preview(decode, size)
    picture = decode(size)
    picture.thumbnail((size, size), Image.Resampling.BOX, reducing_gap=None)
    data = BytesIO()
    picture.save(data, "PNG", compress_level=6)
    return data.getvalue()


def _preview(decode: Callable[[int], Image.Image], size: int) -> bytes:
    canvas = Image.new("RGB", (size, size))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(16)
    try:
        picture = decode(size)
    except Exception:  # noqa: BLE001 - of libraries: there is no picture
        draw.text((size // 2, size // 2), _NOTHING, "grey", font, anchor="mm")
    else:
        scale = size / max(picture.size)
        fitting = [max(round(each * scale), 1) for each in picture.size]
        picture = picture.convert("RGB").resize(
            (fitting[0], fitting[1]), Image.Resampling.BICUBIC
        )
        canvas.paste(picture, ((size - fitting[0]) // 2, (size - fitting[1]) // 2))
    place = (size - _MARGIN, size - _MARGIN)
    draw.text(
        place, _WARNING, "white", font, anchor="rs", stroke_width=2, stroke_fill="black"
    )
    return _filled(canvas)


def _filled(picture: Image.Image) -> bytes:
    """Return *picture* as JPEG of ``PREVIEW_SIZE`` bytes, filled up with comments."""
    for quality in _QUALITIES:
        buffer = BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        data = buffer.getvalue()
        # A segment has four bytes at least, and what is left need not be as long.
        if len(data) <= PREVIEW_SIZE - 8:
            return _padded(data, PREVIEW_SIZE - len(data))
    raise PictureError("it does not fit")


def _padded(data: bytes, count: int) -> bytes:
    """Return JPEG *data* with *count* bytes of comments behind its first segment."""
    (length,) = struct.unpack_from(">H", data, 2 * _BEGIN)
    at = 2 * _BEGIN + length
    comments = b""
    while count:
        size = count if count <= _LONGEST else min(count - 8, _LONGEST)
        comments += _COMMENT + (size - 2).to_bytes(2, "big") + bytes(size - 4)
        count -= size
    return data[:at] + comments + data[at:]
