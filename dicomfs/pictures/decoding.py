"""From the excerpt of an image to a picture: upright, in shades that can be told apart.

Only processes without any rights run this: it has libraries in C decode what a stranger
wrote.
"""

from contextlib import suppress
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.pixels.processing import convert_color_space

from dicomfs.errors import PictureError
from dicomfs.pictures.excerpt import Excerpt, inflated
from dicomfs.pictures.stored import Stored, stored
from dicomfs.pictures.tables import palette_in
from dicomfs.pictures.windowing import Greys, greys, groups_of, numbers, scaled

# Further pixels would not be seen in a picture of so many; they are passed over.
_ENOUGH: Final = 4
# Pixels that are longer than this are not: the header is wrong.
_LONGEST: Final = 10.0
_GREY: Final = ("MONOCHROME1", "MONOCHROME2")
_LUMINANCE: Final = ("YBR_FULL", "YBR_FULL_422")
_SPACINGS: Final = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")


def decoded(excerpt: Excerpt, size: int) -> Image.Image:
    """Return the picture of *excerpt*, fit to be seen at *size* pixels.

    Raises PictureError, and whatever the libraries raise.
    """
    if excerpt.deflated:
        excerpt = inflated(excerpt)
    dataset = read_dataset(
        BytesIO(excerpt.header), not excerpt.explicit, excerpt.little
    )
    groups = [*groups_of(dataset, excerpt.frame)]
    frame = stored(dataset, excerpt)
    step = max(max(frame.values.shape[:2]) // (_ENOUGH * size), 1)
    frame = frame._replace(values=frame.values[::step, ::step])
    if frame.values.ndim > 2:
        picture = Image.fromarray(_colours(frame))
    elif frame.photometric == "PALETTE COLOR":
        picture = Image.fromarray(_of_palette(frame, dataset, is_little=excerpt.little))
    elif frame.photometric in _GREY:
        picture = Image.fromarray(
            greys(frame, dataset, groups, is_little=excerpt.little)
        )
    else:
        raise PictureError("what its values mean is not known")
    return _upright(picture, _shape_of_pixels(groups))


def _colours(frame: Stored) -> Greys:
    """Return the colours in *frame* as bytes; raises PictureError."""
    if frame.values.dtype.kind != "u":
        raise PictureError("what its values mean is not known")
    shown = scaled(frame.values, frame.bits)
    if frame.photometric in _LUMINANCE:
        shown = convert_color_space(shown, "YBR_FULL", "RGB")
    elif frame.photometric != "RGB":
        raise PictureError("what its colours mean is not known")
    return np.ascontiguousarray(shown)


def _of_palette(frame: Stored, dataset: Dataset, *, is_little: bool) -> Greys:
    """Return the colours that a palette has for *frame*; raises what its reading does."""
    tables = palette_in(dataset, is_little=is_little)
    colours = [scaled(each.of(frame.values), each.bits) for each in tables]
    return np.stack(colours, axis=-1)


def _shape_of_pixels(groups: list[Dataset]) -> float:
    """Return how much higher than wide a pixel is (PS3.3 10.7 and C.7.6.3.1.7)."""
    found = numbers(groups, "PixelAspectRatio")
    for keyword in _SPACINGS:
        found = found or numbers(groups, keyword)
    with suppress(IndexError, ZeroDivisionError):
        ratio = found[0] / found[1]
        if 1 / _LONGEST <= ratio <= _LONGEST:
            return ratio
    return 1.0


def _upright(picture: Image.Image, ratio: float) -> Image.Image:
    """Return *picture* with pixels as high as wide, made of some *ratio* times higher."""
    width, height = picture.size
    if ratio > 1:
        height = max(round(height * ratio), 1)
    else:
        width = max(round(width / ratio), 1)
    if (width, height) == picture.size:
        return picture
    return picture.resize((width, height), Image.Resampling.BILINEAR)
