"""Pictures of images: upright, and windowed as the header wants it, if that makes sense."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import uid
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicomfs.pictures.decoding import decoded
from dicomfs.pictures.excerpt import excerpt
from dicomfs.source.source import BytesSource
from tests.build.pixels import SIDE, corner, instance, slope

Picture = np.ndarray[Any, np.dtype[np.uint8]]


def picture(data: bytes, size: int = SIDE) -> Picture:
    """Return the picture of an image."""
    return np.asarray(decoded(excerpt(BytesSource(data)), size))


def items(*several: dict[str, Any]) -> Sequence:
    """Return a sequence of these items."""
    made = []
    for each in several:
        dataset = Dataset()
        for keyword, value in each.items():
            setattr(dataset, keyword, value)
        made.append(dataset)
    return Sequence(made)


def row(data: bytes) -> list[int]:
    """Return the first row of the picture of an image."""
    return [int(each) for each in picture(data)[0]]


# -- windows ---------------------------------------------------------------------------


def test_the_first_window_says_what_is_black_and_white() -> None:
    shown = row(instance(slope(), WindowCenter=[500, 0], WindowWidth=[200, 1]))

    assert shown[: SIDE * 2 // 5] == [0] * (SIDE * 2 // 5)
    assert set(shown[-SIDE * 2 // 5 :]) == {255}
    assert 120 < shown[SIDE // 2] < 150


def test_the_window_is_about_what_values_mean() -> None:
    data = instance(
        slope(),
        RescaleSlope=2,
        RescaleIntercept=-1000,
        WindowCenter=0,
        WindowWidth=400,
    )

    shown = row(data)

    assert (shown[0], shown[-1]) == (0, 255)
    assert 120 < shown[SIDE // 2] < 160


def test_functional_groups_say_it_for_a_frame_and_for_all() -> None:
    window = items({"WindowCenter": 500, "WindowWidth": 10})
    other = items({"WindowCenter": 100_000, "WindowWidth": 10})
    slopes = items({"RescaleSlope": 1, "RescaleIntercept": 0})
    data = instance(
        np.stack([slope(), slope()]),
        SharedFunctionalGroupsSequence=items(
            {"PixelValueTransformationSequence": slopes}
        ),
        PerFrameFunctionalGroupsSequence=items(
            {"FrameVOILUTSequence": other}, {"FrameVOILUTSequence": window}
        ),
    )

    shown = row(data)

    assert {*shown[: SIDE // 2 - 1]} == {0}
    assert {*shown[SIDE // 2 + 1 :]} == {255}


def test_a_table_says_it_where_there_is_no_window() -> None:
    entries = np.array([4095 * (n < 500) for n in range(1001)], "<u2")
    table = {"LUTDescriptor": [1001, 0, 12], "LUTData": entries.tobytes()}
    data = instance(slope(), VOILUTSequence=items(table))

    shown = row(data)

    assert (shown[0], shown[-1]) == (255, 0)


def test_without_window_and_table_nearly_all_values_are_told_apart() -> None:
    pixels = slope()
    pixels[0, 1] = 65535

    shown = row(instance(pixels))

    assert shown[0] < 5 < 100 < shown[SIDE // 2] < 150 < 250 < shown[-1]


def test_padding_does_not_count() -> None:
    pixels = slope().astype(np.int16)
    pixels[: SIDE // 2] = -2000

    shown = picture(instance(pixels, PixelPaddingValue=-2000))[-1]

    assert shown[0] < 10
    assert shown[-1] > 245


def test_bytes_without_a_window_are_shown_as_they_are() -> None:
    pixels = np.full((8, 8), 100, np.uint8)

    assert set(row(instance(pixels))) == {100}


@pytest.mark.parametrize(
    "more",
    [
        {"WindowCenter": "", "WindowWidth": ""},
        {"WindowCenter": 5, "WindowWidth": 0},
        {"WindowCenter": 5, "WindowWidth": -1},
        {"WindowCenter": 1e30, "WindowWidth": 1},
        {"WindowCenter": 5},
        {"RescaleSlope": 0, "RescaleIntercept": 1e38},
        {"PixelSpacing": [0, 0]},
        {"PixelSpacing": [1e-9, 1e9]},
        {"PixelAspectRatio": [0, 1]},
        {"VOILUTSequence": items({"LUTDescriptor": [0, 0, 0], "LUTData": b""})},
        {"ModalityLUTSequence": items({"LUTDescriptor": [9, 9, 9], "LUTData": b"ab"})},
        {"SharedFunctionalGroupsSequence": items()},
    ],
    ids=lambda more: " ".join(f"{name}={value}"[:32] for name, value in more.items()),
)
def test_what_makes_no_sense_in_a_header_costs_nothing_else(
    more: dict[str, Any],
) -> None:
    shown = picture(instance(slope(), **more))

    assert shown.shape[:2] == (SIDE, SIDE)
    assert shown[0, 0] < 10
    assert shown[0, -1] > 245


@pytest.mark.parametrize(
    "more",
    [{"BitsStored": 77}, {"PhotometricInterpretation": "WHATEVER"}],
    ids=lambda more: "".join(more),
)
def test_pixels_that_nobody_knows_how_to_read_are_no_picture(
    more: dict[str, Any],
) -> None:
    with pytest.raises(ValueError, match="value"):
        picture(instance(slope(), **more))


# -- the kinds of pixels ---------------------------------------------------------------


def test_what_is_low_is_bright_in_monochrome_1() -> None:
    shown = row(instance(slope(), PhotometricInterpretation="MONOCHROME1"))

    assert shown[0] > 250
    assert shown[-1] < 5


def test_colours_are_colours() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[..., 0] = 200

    assert picture(instance(pixels))[0, 0].tolist() == [200, 0, 0]


def test_a_palette_gives_the_colours() -> None:
    red, none = bytes(n for n in range(256)), bytes(256)
    descriptors: dict[str, Any] = {
        f"{name}PaletteColorLookupTableDescriptor": [256, 0, 8]
        for name in ("Red", "Green", "Blue")
    }
    data = instance(
        np.full((8, 8), 77, np.uint8),
        PhotometricInterpretation="PALETTE COLOR",
        RedPaletteColorLookupTableData=red,
        GreenPaletteColorLookupTableData=none,
        BluePaletteColorLookupTableData=none,
        **descriptors,
    )

    assert picture(data)[0, 0].tolist() == [77, 0, 0]


def test_luminance_and_chrominance_become_colours() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[...] = (76, 85, 255)  # red, by PS3.3 C.7.6.3.1.2

    shown = picture(instance(pixels, PhotometricInterpretation="YBR_FULL"))[0, 0]

    assert shown[0] > 250
    assert max(shown[1:]) < 5


def test_a_picture_is_upright() -> None:
    shown = picture(instance(corner()))

    assert shown[0, 0] == 255
    assert shown[0, -1] == shown[-1, 0] == shown[-1, -1] == 0


@pytest.mark.parametrize(
    ("more", "height_by_width"),
    [
        ({"PixelSpacing": [2, 1]}, 2.0),
        ({"PixelSpacing": [1, 2]}, 0.5),
        ({"PixelAspectRatio": [1, 2], "PixelSpacing": [1, 1]}, 0.5),
    ],
)
def test_pixels_that_are_not_square_do_not_distort_it(
    more: dict[str, Any], height_by_width: float
) -> None:
    height, width = picture(instance(slope(), **more)).shape

    assert height / width == height_by_width


def test_jpeg_is_decoded() -> None:
    data = BytesIO()
    Image.fromarray(corner()).save(data, "JPEG")
    encoded = instance(
        [data.getvalue()],
        uid.JPEGBaseline8Bit,
        Rows=SIDE,
        Columns=SIDE,
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
    )

    shown = picture(encoded)

    assert shown[5, 5] > 240
    assert shown[-5, -5] < 15


@pytest.mark.parametrize(
    "name",
    [
        "MR_small.dcm",
        "MR_small_implicit.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_expb.dcm",
    ],
)
def test_a_lossless_encoding_changes_nothing(name: str) -> None:
    """The same image in all encodings: pydicom ships it."""

    def of(name: str) -> Picture:
        path = get_testdata_file(name, download=False)
        assert isinstance(path, str)
        with open(path, "rb") as file:  # noqa: PTH123
            return picture(file.read())

    assert np.array_equal(of(name), of("MR_small.dcm"))
