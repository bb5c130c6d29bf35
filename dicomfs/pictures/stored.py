"""The stored values of a frame: decoded, laid out, and nothing in them but what counts.

Where a codestream and the header disagree, its size and depth are those of the codestream.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from dicomfs.errors import PictureError
from dicomfs.pictures import codestream, extended
from dicomfs.pictures.excerpt import Excerpt

Array = npt.NDArray[Any]

_VALUES: Final = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData"}
# They carry words as they are, and what else lies in them. Others carry samples.
_LOSSLESS: Final = (JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless)
_WORDS: Final = (8, 16, 32)

extended.install()


class Stored(NamedTuple):
    """The *values* of a frame: integers of so many *bits*, or with a fraction, then 0.

    *photometric* says what they mean.
    """

    values: Array
    bits: int
    photometric: str


def stored(dataset: Dataset, excerpt: Excerpt) -> Stored:
    """Return the values of the frame in *excerpt*, whose header *dataset* is.

    Raises PictureError, and whatever the libraries raise.
    """
    transfer_syntax = _transfer_syntax(excerpt)
    header = _Bits.of(dataset)
    carried = _conform(dataset, excerpt, transfer_syntax)
    _put_pixels(dataset, excerpt, transfer_syntax)
    options: Any = {"correct_unused_bits": False}
    if transfer_syntax == JPEGExtended12Bit and carried == extended.BITS:
        options["decoding_plugin"] = extended.NAME
    values, told = get_decoder(transfer_syntax).as_array(
        dataset, index=0, raw=True, **options
    )
    if values.ndim < 2 or not values.size:
        raise PictureError("it has no rows and columns")
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    bits = 0
    if values.dtype.kind != "f":
        bits = carried or header.stored
        if not carried or (carried > header.stored and transfer_syntax in _LOSSLESS):
            bits = header.stored
            values = header.meant(values, carried or int(dataset.BitsAllocated))
    photometric = str(told.get("photometric_interpretation", "")).strip()
    return Stored(values, bits, photometric)


class _Bits(NamedTuple):
    """Which bits of a word count, as a header says: so many are *stored*, up to *high*."""

    stored: int
    high: int

    @staticmethod
    def of(dataset: Dataset) -> "_Bits":
        stored, high = dataset.get("BitsStored"), dataset.get("HighBit")
        if not isinstance(stored, int):
            return _Bits(0, 0)
        return _Bits(stored, high if isinstance(high, int) else stored - 1)

    def meant(self, values: Array, carried: int) -> Array:
        """Return *values*, of which so many bits are *carried*, without other bits."""
        high = self.high if self.stored - 1 <= self.high < carried else self.stored - 1
        width = 8 * values.dtype.itemsize
        left, right = width - 1 - high, width - self.stored
        if not right or carried == 1:
            return values
        return np.right_shift(np.left_shift(values, left), right)


def _transfer_syntax(excerpt: Excerpt) -> UID:
    """Return how the pixels are encoded: what plain ones say of it may be wrong."""
    if excerpt.encapsulated:
        return UID(excerpt.transfer_syntax.decode("ascii", "replace"))
    if not excerpt.little:
        return ExplicitVRBigEndian
    return ExplicitVRLittleEndian if excerpt.explicit else ImplicitVRLittleEndian


def _conform(dataset: Dataset, excerpt: Excerpt, transfer_syntax: UID) -> int:
    """Let *dataset* say what the codestream says, and return the bits of its samples.

    0 if there is none, or if it has words as plain pixels do.
    """
    if not excerpt.encapsulated:
        return 0
    if transfer_syntax == RLELossless:
        size = dataset.SamplesPerPixel * dataset.BitsAllocated // 8
        codestream.check_rle(excerpt.pixels, dataset.Rows * dataset.Columns, size)
        return 0
    told = codestream.read(excerpt.pixels)
    if told.samples != dataset.SamplesPerPixel:
        raise PictureError("it has other colours than its header says")
    dataset.Rows = told.rows or dataset.Rows
    dataset.Columns = told.columns or dataset.Columns
    # The bit that is to be the sign is not among them.
    if not told.is_signed and told.bits < dataset.BitsStored:
        dataset.PixelRepresentation = 0
    dataset.BitsStored = told.bits
    dataset.BitsAllocated = next((n for n in _WORDS if n >= told.bits), told.bits)
    if told.samples > 1:
        dataset.PlanarConfiguration = 0
    return told.bits


def _put_pixels(dataset: Dataset, excerpt: Excerpt, transfer_syntax: UID) -> None:
    """Put the pixels of the one frame that *dataset* has now into it."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
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
