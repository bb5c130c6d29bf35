"""JPEG Extended of 12 bits, by GDCM: a plugin of pydicom, whose own one refuses it.

GDCM gives the very values that DCMTK does. pydicom finds the names in here by itself.
"""

from typing import Any, Final, cast

from pydicom.pixels.decoders.base import DecodeRunner, JPEGExtended12BitDecoder
from pydicom.pixels.decoders.gdcm import is_available as has_gdcm
from pydicom.uid import JPEGExtended12Bit

try:
    import gdcm
except ImportError:  # then such images have no picture
    gdcm = None

DECODER_DEPENDENCIES: Final = {JPEGExtended12Bit: ("gdcm>=3.0.10",)}

NAME: Final = "dicomfs"
BITS: Final = 12
_MONOCHROME: Final = 1


def install() -> None:
    """Have pydicom decode JPEG Extended of 12 bits."""
    if NAME not in JPEGExtended12BitDecoder.available_plugins and gdcm is not None:
        JPEGExtended12BitDecoder.add_plugin(NAME, (__name__, "decode"))


def is_available(uid: str) -> bool:
    """Whether images of this transfer syntax can be decoded."""
    return has_gdcm(uid)


def decode(src: bytes, runner: DecodeRunner) -> bytes:
    """Return the values in the frame *src*; raises NotImplementedError and ValueError."""
    if runner.bits_stored != BITS or runner.samples_per_pixel != _MONOCHROME:
        raise NotImplementedError("only grey of 12 bits")
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(src)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image: Any = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((runner.columns, runner.rows, 1))
    image.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation.MONOCHROME2
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    type_ = gdcm.TransferSyntax.GetTSType(str.__str__(runner.transfer_syntax))
    image.SetTransferSyntax(gdcm.TransferSyntax(type_))
    image.SetPixelFormat(
        gdcm.PixelFormat(_MONOCHROME, runner.bits_allocated, BITS, BITS - 1, 0)
    )
    # It gives bytes as a str.
    return cast(bytes, image.GetBuffer().encode("utf-8", "surrogateescape"))
