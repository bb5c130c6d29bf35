"""The disc that is shown: images that pydicom ships, and images that say what they are."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pydicom
from PIL import Image, ImageDraw, ImageFont
from pydicom import uid
from pydicom.dataset import Dataset, FileDataset
from pydicom.fileset import FileSet

_SAMPLES: Final = Path(pydicom.__file__).parent / "data/test_files"
_ROOT: Final = "1.2.826.0.1.3680043.8.498.15"
STUDY: Final = "Doe, Jane (12345)/2023-07-05 Sample images"
SERIES: Final = ("001 OT Samples", "002 OT Numbered")

# Images with something to see on them, of several modalities and encodings.
_EXAMPLES: Final = (
    "J2K_pixelrep_mismatch.dcm",
    "CT_small.dcm",
    "examples_overlay.dcm",
    "MR_small_RLE.dcm",
    "JPEG2000.dcm",
    "examples_jpeg2k.dcm",
    "examples_ybr_color.dcm",
    "examples_palette.dcm",
)
_SLICES: Final = 24
_SIDE: Final = 256
_AIR, _TISSUE, _BONE = -1000, 40, 700


def write(root: Path) -> None:
    """Write the disc to the folder *root*, which is not there yet."""
    file_set = FileSet()
    with warnings.catch_warnings():
        # The samples are what they are.
        warnings.simplefilter("ignore")
        for each in (*_examples(), *_numbered()):
            file_set.add(each)
        file_set.write(root)
    file_set._stage["t"].cleanup()  # else a ResourceWarning, some time later


def _examples() -> Iterator[FileDataset]:
    """Yield samples of pydicom as one series; but for their names they are as they were."""
    for number, name in enumerate(_EXAMPLES, start=1):
        sample = pydicom.dcmread(_SAMPLES / name)
        _belongs_to(sample, 1, "Samples", number)
        yield sample


def _numbered() -> Iterator[FileDataset]:
    """Yield a series of which each image says which one it is, and where its top is."""
    for number in range(1, _SLICES + 1):
        image = pydicom.dcmread(_SAMPLES / "CT_small.dcm")
        image.PixelData = _drawn(number).tobytes()
        image.Rows = image.Columns = _SIDE
        image.RescaleIntercept, image.RescaleSlope = 0, 1
        image.PixelRepresentation = 1
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
        image.WindowCenter, image.WindowWidth = _TISSUE, 400
        image.pop("PixelPaddingValue", None)
        _belongs_to(image, 2, "Numbered", number)
        yield image


def _drawn(number: int) -> np.ndarray:
    """Return the pixels of an image: its number, in a body, below an arrow to its top."""
    canvas = Image.new("I", (_SIDE, _SIDE), _AIR)
    draw = ImageDraw.Draw(canvas)
    draw.ellipse((28, 60, 228, 236), fill=_TISSUE)
    draw.polygon(((108, 50), (128, 10), (148, 50)), fill=_BONE)
    font = ImageFont.load_default(size=110)
    draw.text((128, 148), str(number), fill=_BONE, font=font, anchor="mm")
    return np.asarray(canvas).astype("<i2")


def _belongs_to(image: Dataset, series: int, description: str, number: int) -> None:
    """Let *image* be number *number* of a series of the one study."""
    image.PatientName, image.PatientID = "Doe^Jane", "12345"
    image.PatientBirthDate, image.PatientSex = "19700102", "F"
    image.StudyInstanceUID = f"{_ROOT}.1"
    image.StudyDate, image.StudyTime, image.StudyID = "20230705", "101500", "1"
    image.StudyDescription, image.AccessionNumber = "Sample images", ""
    image.SeriesInstanceUID = f"{_ROOT}.1.{series}"
    image.SeriesNumber, image.SeriesDescription = series, description
    image.Modality = "OT"
    image.InstanceNumber = number
    image.SOPInstanceUID = f"{_ROOT}.1.{series}.{number}"
    if image.get("SOPClassUID") is None:
        image.SOPClassUID = uid.SecondaryCaptureImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
