"""Images with pixels that can be told: files in DICOM format, made by pydicom."""

from io import BytesIO
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom import dcmread, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

Pixels = npt.NDArray[Any]

SIDE: Final = 64
# Of those that are packed: not square, and few.
ROWS, COLUMNS = 12, 18


def slope(side: int = SIDE, highest: int = 1000) -> Pixels:
    """Return pixels that grow from 0, at the left, to *highest*."""
    row = np.linspace(0, highest, side).astype(np.uint16)
    return np.tile(row, (side, 1))


def corner(side: int = SIDE) -> Pixels:
    """Return pixels that are bright in the upper left quarter only."""
    pixels = np.zeros((side, side), np.uint8)
    pixels[: side // 2, : side // 2] = 255
    return pixels


def instance(
    pixels: Pixels | bytes | list[bytes],
    transfer_syntax: str = uid.ExplicitVRLittleEndian,
    *,
    has_table: bool = True,
    **more: Any,
) -> bytes:
    """Return a file with *pixels*: rows and columns, and frames and colours if there are.

    Frames that are encoded already are given as a list. *more* are elements of it.
    """
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.UID(transfer_syntax)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = uid.CTImageStorage
    dataset.SOPInstanceUID = more.pop("SOPInstanceUID", "2.25.1")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    if isinstance(pixels, np.ndarray):
        _describe(dataset, pixels)
        dataset.PixelData = pixels.tobytes()
    elif isinstance(pixels, list):
        dataset.PixelData = encapsulate(pixels, has_bot=has_table)
    else:
        dataset.PixelData = pixels
    dataset["PixelData"].VR = "OB" if isinstance(pixels, list) else "OW"
    dataset["PixelData"].is_undefined_length = isinstance(pixels, list)
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    data = BytesIO()
    dataset.save_as(data, enforce_file_format=True)
    return data.getvalue()


def _describe(dataset: Dataset, pixels: Pixels) -> None:
    is_coloured = pixels.shape[-1] == 3
    shape = pixels.shape[:-1] if is_coloured else pixels.shape
    if len(shape) > 2:
        dataset.NumberOfFrames = shape[0]
    dataset.Rows, dataset.Columns = shape[-2:]
    dataset.SamplesPerPixel = 3 if is_coloured else 1
    dataset.PhotometricInterpretation = "RGB" if is_coloured else "MONOCHROME2"
    if is_coloured:
        dataset.PlanarConfiguration = 0
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")


def samples(bits: int, *, signed: bool = False, colours: int = 1) -> Pixels:
    """Return values from the lowest to the highest that so many bits can say."""
    low, high = (
        (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    )
    count = ROWS * COLUMNS * colours
    values = np.linspace(low, high, count).round().astype(np.int64)
    shape = (ROWS, COLUMNS, colours) if colours > 1 else (ROWS, COLUMNS)
    return np.random.default_rng(bits).permutation(values).reshape(shape)


def packed(
    values: Pixels,
    layout: tuple[int, int, int],
    transfer_syntax: str = uid.ExplicitVRLittleEndian,
    *,
    signed: bool = False,
    junk: int = 0,
    **more: Any,
) -> bytes:
    """Return an image with these *values*, and *junk* in the bits that do not count."""
    allocated, bits, high = layout
    shift = high + 1 - bits
    mask = (2**bits - 1) << shift
    words = ((values << shift) & mask) | (junk & ~mask & (2**allocated - 1))
    order = ">" if transfer_syntax == uid.ExplicitVRBigEndian else "<"
    kept = words.astype(f"{order}u{allocated // 8}").tobytes()
    if order == ">" and allocated == 8:  # bytes in words
        kept = np.frombuffer(kept, "<u2").astype(">u2").tobytes()
    about: dict[str, Any] = {
        "Rows": values.shape[0],
        "Columns": values.shape[1],
        "SamplesPerPixel": values.shape[2] if values.ndim > 2 else 1,
        "PhotometricInterpretation": "RGB" if values.ndim > 2 else "MONOCHROME2",
        "BitsAllocated": allocated,
        "BitsStored": bits,
        "HighBit": high,
        "PixelRepresentation": int(signed),
    }
    if values.ndim > 2:
        about["PlanarConfiguration"] = 0
    return instance(kept, transfer_syntax, **{**about, **more})


def changed(data: bytes, **more: Any) -> bytes:
    """Return an image whose header says something else."""
    dataset = dcmread(BytesIO(data))
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    made = BytesIO()
    dataset.save_as(made)
    return made.getvalue()
