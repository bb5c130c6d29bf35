"""Stored values: the very ones that were put in, however they are packed and encoded.

What is expected is what was packed, never what another decoder says.
"""

import itertools
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread, uid
from pydicom.filereader import read_dataset

from dicomfs.errors import PictureError
from dicomfs.pictures.excerpt import excerpt
from dicomfs.pictures.stored import Stored, stored
from dicomfs.source.source import BytesSource
from tests.build.pixels import COLUMNS, ROWS, Pixels, changed, instance, packed, samples
from tests.support.mounting import need

PLAIN: Final = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
)
ENCODERS: Final[dict[str, tuple[str, ...]]] = {
    "jpeg lossless": ("dcmcjpeg", "--encode-lossless"),
    "jpeg lossless, first order": ("dcmcjpeg", "--encode-lossless-sv1"),
    "jpeg-ls": ("dcmcjpls", "--encode-lossless"),
    "jpeg 2000": ("gdcmconv", "--j2k"),
    "rle": ("dcmcrle",),
}
CODESTREAMS: Final = [*sorted(set(ENCODERS) - {"rle"}), "jpeg"]
# Bits allocated, bits stored, high bit.
LAYOUTS: Final = [
    (8, 8, 7),
    (8, 7, 6),
    (8, 4, 5),
    (16, 16, 15),
    (16, 12, 11),
    (16, 12, 15),
    (16, 10, 12),
    (32, 32, 31),
    (32, 20, 19),
    (32, 16, 23),
]


def stored_in(data: bytes) -> Stored:
    """Return the stored values of an image."""
    of = excerpt(BytesSource(data))
    dataset = read_dataset(BytesIO(of.header), not of.explicit, of.little)
    return stored(dataset, of)


def encoded(data: bytes, folder: Path, *command: str) -> bytes:
    """Return the image *data*, encoded by a *command*."""
    need(command[0])
    plain, made = folder / "plain", folder / "made"
    plain.write_bytes(data)
    subprocess.run([*command, plain, made], check=True, capture_output=True)
    return made.read_bytes()


# -- words -----------------------------------------------------------------------------


@pytest.mark.parametrize("junk", [0, -1], ids=["clean", "junk"])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("syntax", PLAIN, ids=lambda each: each.name)
def test_only_the_bits_that_are_stored_count(
    syntax: uid.UID, layout: tuple[int, int, int], signed: bool, junk: int
) -> None:
    values = samples(layout[1], signed=signed)

    found = stored_in(packed(values, layout, syntax, signed=signed, junk=junk))

    assert np.array_equal(found.values, values)
    assert found.bits == layout[1]


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_so_it_is_in_rle(
    layout: tuple[int, int, int], signed: bool, tmp_path: Path
) -> None:
    values = samples(layout[1], signed=signed)
    data = packed(values, layout, signed=signed, junk=-1)

    found = stored_in(encoded(data, tmp_path, "dcmcrle"))

    assert np.array_equal(found.values, values)


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize(
    "layout", [(8, 8, 7), (16, 16, 15), (16, 12, 11), (16, 10, 9)], ids=str
)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_so_it_is_in_all_lossless_encodings(
    encoder: str, layout: tuple[int, int, int], signed: bool, tmp_path: Path
) -> None:
    values = samples(layout[1], signed=signed)
    data = packed(values, layout, signed=signed)

    found = stored_in(encoded(data, tmp_path, *ENCODERS[encoder]))

    assert np.array_equal(found.values, values)


@pytest.mark.parametrize("high", [16, 99, 3])
def test_a_high_bit_that_cannot_be_is_passed_over(high: int) -> None:
    values = samples(12)

    found = stored_in(changed(packed(values, (16, 12, 11)), HighBit=high))

    assert np.array_equal(found.values, values)


def test_single_bits_are_values() -> None:
    values = samples(1)
    bits = np.packbits(values.astype(np.uint8), bitorder="little").tobytes()
    data = packed(values, (8, 1, 0))

    found = stored_in(changed(data, BitsAllocated=1, PixelData=bits))

    assert np.array_equal(found.values, values)
    assert found.bits == 1


# -- colours ---------------------------------------------------------------------------


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("layout", [(8, 8, 7), (16, 12, 11), (32, 32, 31)], ids=str)
@pytest.mark.parametrize("syntax", PLAIN, ids=lambda each: each.name)
def test_colours_lie_as_they_are_said_to(
    syntax: uid.UID, layout: tuple[int, int, int], planar: int
) -> None:
    values = samples(layout[1], colours=3)
    laid = values.transpose(2, 0, 1).reshape(values.shape) if planar else values

    found = stored_in(packed(laid, layout, syntax, PlanarConfiguration=planar))

    assert np.array_equal(found.values, values)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("encoder", sorted(set(ENCODERS) - {"jpeg 2000"}))
def test_encoded_colours_lie_as_their_encoding_has_them(
    encoder: str, planar: int, tmp_path: Path
) -> None:
    values = samples(8, colours=3)
    data = encoded(packed(values, (8, 8, 7)), tmp_path, *ENCODERS[encoder])

    found = stored_in(changed(data, PlanarConfiguration=planar))

    assert np.array_equal(found.values, values)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize(("mixed", "photometric"), [(0, "RGB"), (1, "YBR_RCT")])
def test_so_it_is_in_jpeg_2000_with_and_without_its_transform(
    mixed: int, photometric: str, planar: int
) -> None:
    values = samples(8, colours=3)
    frame = BytesIO()
    Image.fromarray(values.astype(np.uint8)).save(
        frame, "JPEG2000", irreversible=False, mct=mixed, no_jp2=True
    )
    about = dcmread(BytesIO(packed(values, (8, 8, 7), PlanarConfiguration=planar)))
    said = {each.keyword: each.value for each in about if each.tag.group == 0x28}
    said["PhotometricInterpretation"] = photometric

    found = stored_in(instance([frame.getvalue()], uid.JPEG2000Lossless, **said))

    assert np.array_equal(found.values, values)
    assert found.photometric == "RGB"


# -- headers that say another thing than the codestream --------------------------------


def codestreams(folder: Path) -> dict[str, tuple[bytes, Pixels]]:
    values = samples(8)
    data = packed(values, (8, 8, 7))
    made = {
        name: (encoded(data, folder, *command), values)
        for name, command in ENCODERS.items()
        if name != "rle"
    }
    jpeg = BytesIO()
    smooth = np.add.outer(np.arange(ROWS) * 9, np.arange(COLUMNS) * 5).astype(np.uint8)
    Image.fromarray(smooth).save(jpeg, "JPEG", quality=100)
    kept = np.asarray(Image.open(jpeg))
    about = changed(data, PixelData=b"")
    baseline = dcmread(BytesIO(about))
    lossy = instance(
        [jpeg.getvalue()],
        uid.JPEGBaseline8Bit,
        **{each.keyword: each.value for each in baseline if each.tag.group == 0x28},
    )
    made["jpeg"] = lossy, kept
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, Pixels]]:
    """Return an image of 8 bits in each encoding, and its values."""
    return codestreams(tmp_path_factory.mktemp("encoded"))


@pytest.mark.parametrize(
    "lie",
    [
        {"Rows": COLUMNS, "Columns": ROWS},
        {"Rows": ROWS // 2, "Columns": 2 * COLUMNS},
        {"Rows": ROWS - 1},
        {"Columns": COLUMNS + 1},
        {"Rows": 65535, "Columns": 65535},
        {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11},
        {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15},
        {
            "BitsAllocated": 16,
            "BitsStored": 16,
            "HighBit": 15,
            "PixelRepresentation": 1,
        },
        {"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31, "Columns": 4},
    ],
    ids=str,
)
@pytest.mark.parametrize("encoding", CODESTREAMS)
def test_the_size_and_depth_of_the_codestream_count(
    made: dict[str, tuple[bytes, Pixels]], encoding: str, lie: dict[str, int]
) -> None:
    data, values = made[encoding]

    found = stored_in(changed(data, **lie))

    assert np.array_equal(found.values, values)
    assert found.bits == 8


@pytest.mark.parametrize("encoding", CODESTREAMS)
def test_other_colours_than_the_header_says_are_no_picture(
    made: dict[str, tuple[bytes, Pixels]], encoding: str
) -> None:
    data, _ = made[encoding]
    lie = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}

    with pytest.raises(PictureError):
        stored_in(changed(data, PlanarConfiguration=0, **lie))


@pytest.mark.parametrize(
    "lie",
    [
        {"Rows": ROWS // 2},
        {"Rows": ROWS // 2, "Columns": COLUMNS // 2},
        {"Columns": COLUMNS + 1},
    ],
    ids=str,
)
def test_rle_of_another_size_is_no_picture(lie: dict[str, int], tmp_path: Path) -> None:
    data = encoded(packed(samples(8), (8, 8, 7)), tmp_path, "dcmcrle")

    with pytest.raises(PictureError):
        stored_in(changed(data, **lie))


def test_rle_of_another_depth_is_no_picture(tmp_path: Path) -> None:
    data = encoded(packed(samples(8), (8, 8, 7)), tmp_path, "dcmcrle")

    with pytest.raises(PictureError):
        stored_in(changed(data, BitsAllocated=16))


def test_what_is_no_codestream_is_no_picture() -> None:
    for frame, syntax in itertools.product(
        (b"\xff\xd8", b"\xff\xd8\xff", b"\xff\x4f\xff\x51\0\0", b"nothing at all!!"),
        (uid.JPEGBaseline8Bit, uid.JPEG2000, uid.RLELossless),
    ):
        about = dcmread(BytesIO(packed(samples(8), (8, 8, 7))))
        said = {e.keyword: e.value for e in about if e.tag.group == 0x28}
        with pytest.raises(PictureError):
            stored_in(instance([frame], syntax, **said))


def test_jpeg_of_twelve_bits_is_decoded(tmp_path: Path) -> None:
    """DCMTK encodes and decodes it: its loss is in both."""
    smooth = np.add.outer(np.arange(ROWS) * 150, np.arange(COLUMNS) * 130)
    data = encoded(
        packed(smooth, (16, 12, 11)), tmp_path, "dcmcjpeg", "--encode-extended"
    )
    back = dcmread(BytesIO(encoded(data, tmp_path, "dcmdjpeg")))
    expected = np.frombuffer(back.PixelData, "<u2").reshape(ROWS, COLUMNS)

    found = stored_in(data)

    assert np.array_equal(found.values, expected)
    assert np.abs(found.values.astype(int) - smooth).max() < 100
    assert found.bits == 12
