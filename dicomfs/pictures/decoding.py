"""From the excerpt of an image to a picture: upright, in shades that can be told apart.

Only processes without any rights run this: it has libraries in C decode what a stranger
wrote.
"""

from contextlib import suppress
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filereader import read_dataset
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicomfs.errors import PictureError
from dicomfs.pictures.excerpt import Excerpt, inflated
from dicomfs.pictures.windowing import Array, Greys, greys, groups_of, numbers

# Further pixels would not be seen in a picture of so many; they are passed over.
_ENOUGH: Final = 4
# Pixels that are longer than this are not: the header is wrong.
_LONGEST: Final = 10.0
_BYTE: Final = 256
_COLOURS: Final = 3
_VALUES: Final = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData"}
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
    values = _values(dataset, excerpt)
    if values.ndim < 2 or not values.size:
        raise PictureError("it has no rows and columns")
    height, width = values.shape[:2]
    step = max(max(height, width) // (_ENOUGH * size), 1)
    values = values[::step, ::step]
    photometric = str(dataset.get("PhotometricInterpretation", "")).strip()
    if values.ndim > 2:
        picture = Image.fromarray(_colours(values))
    elif photometric == "PALETTE COLOR":
        picture = Image.fromarray(_colours(apply_color_lut(values, dataset)))
    else:
        picture = Image.fromarray(greys(values, dataset, groups))
    return _upright(picture, _shape_of_pixels(groups))


def _values(dataset: Dataset, excerpt: Excerpt) -> Array:
    """Return the values of the frame, as they are stored, colours as RGB."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = _transfer_syntax(excerpt)
    # It has one frame now.
    if "NumberOfFrames" in dataset:
        dataset.NumberOfFrames = 1
    keyword = _VALUES.get(excerpt.pixel_tag, "PixelData")
    pixels = excerpt.pixels
    if excerpt.encapsulated:
        setattr(dataset, keyword, encapsulate([pixels]))
        dataset[keyword].is_undefined_length = True
    else:
        setattr(dataset, keyword, pixels + bytes(len(pixels) % 2))
    if keyword == "PixelData":
        is_plain = excerpt.words and not excerpt.encapsulated
        dataset[keyword].VR = "OW" if is_plain else "OB"
    return np.asarray(pixel_array(dataset))


def _transfer_syntax(excerpt: Excerpt) -> UID:
    """Return how the pixels are encoded: what plain ones say of it may be wrong."""
    if excerpt.encapsulated:
        return UID(excerpt.transfer_syntax.decode("ascii", "replace"))
    if not excerpt.little:
        return ExplicitVRBigEndian
    return ExplicitVRLittleEndian if excerpt.explicit else ImplicitVRLittleEndian


def _colours(values: Array) -> Greys:
    """Return the colours in *values* as bytes."""
    values = values[..., :_COLOURS]
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    shown = values.astype(np.float32)
    highest = float(shown.max())
    if highest >= _BYTE:
        bits = max(int(highest).bit_length(), 9)
        shown *= (_BYTE - 1) / (2**bits - 1)
    return np.clip(shown, 0, _BYTE - 1).astype(np.uint8)


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
