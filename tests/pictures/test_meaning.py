"""What values mean, from header to grey and colour, held against DCMTK and the standard.

The pictures of ``dcm2pnm`` are the oracle where it takes all of the header into account;
elsewhere the few lines of PS3.3 are written down here.
"""

import itertools
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread, uid

from dicomfs.errors import PictureError
from dicomfs.pictures.decoding import decoded
from dicomfs.pictures.excerpt import excerpt
from dicomfs.source.source import BytesSource
from tests.build.pixels import COLUMNS, ROWS, Pixels, instance, packed, samples
from tests.pictures.test_decoding import items
from tests.support.mounting import need

# DCMTK cuts bits off where others round.
CLOSE: Final = 3
WINDOW, TABLE = ("--use-window", "1"), ("--use-voi-lut", "1")
NEITHER: Final = ("--min-max-window",)


def picture(data: bytes) -> Pixels:
    """Return the picture of an image."""
    return np.asarray(decoded(excerpt(BytesSource(data)), 128)).astype(int)


def by_dcmtk(data: bytes, folder: Path, *options: str) -> Pixels:
    """Return the picture that DCMTK makes."""
    need("dcm2pnm")
    path = folder / "image"
    path.write_bytes(data)
    made = subprocess.run(
        ["dcm2pnm", *options, "--write-raw-pnm", path], check=True, capture_output=True
    )
    return np.asarray(Image.open(BytesIO(made.stdout))).astype(int)


def distance(one: Pixels, other: Pixels) -> int:
    """Return how far two pictures are from each other."""
    assert one.shape == other.shape
    return int(np.abs(one - other).max())


def table(first: int, entries: Pixels, bits: int) -> dict[str, Any]:
    return {
        "LUTDescriptor": [len(entries), first, bits],
        "LUTData": entries.astype("<u2").tobytes(),
    }


# -- grey ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize(
    "layout",
    [(8, 8, 7), (16, 12, 11), (16, 12, 15), (16, 16, 15), (32, 20, 19)],
    ids=str,
)
def test_windows_are_those_of_dcmtk(
    layout: tuple[int, int, int], signed: bool, tmp_path: Path
) -> None:
    values = samples(layout[1], signed=signed)
    middle, span = float(values.mean()), float(np.ptp(values))
    for slope, function, photometric in itertools.product(
        (1.0, 0.5, -2.0),
        (None, "SIGMOID"),
        ("MONOCHROME1", "MONOCHROME2"),
    ):
        more: dict[str, Any] = {
            "RescaleSlope": slope,
            "RescaleIntercept": 10,
            "WindowCenter": round(middle * slope) + 10,
            "WindowWidth": round(abs(span * slope) / 2),
            "PhotometricInterpretation": photometric,
        }
        if function:
            more["VOILUTFunction"] = function
        data = packed(values, layout, signed=signed, **more)

        assert distance(picture(data), by_dcmtk(data, tmp_path, *WINDOW)) <= CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_voi_tables_are_those_of_dcmtk(bits: int, signed: bool, tmp_path: Path) -> None:
    values = samples(12, signed=signed)
    # The brightest is not reached.
    entries = np.linspace(0, (2**bits - 1) // 2, 2000).round().astype(int)
    for slope, first in itertools.product((None, -2), (0, -500, 700)):
        if not signed and (first < 0 or slope):  # all would be below the table
            continue
        more: dict[str, Any] = {"VOILUTSequence": items(table(first, entries, bits))}
        if slope:
            more |= {"RescaleSlope": slope, "RescaleIntercept": -100}
        data = packed(values, (16, 12, 11), signed=signed, **more)

        assert distance(picture(data), by_dcmtk(data, tmp_path, *TABLE)) <= CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("has_window", [True, False], ids=["window", "none"])
def test_modality_tables_are_those_of_dcmtk(
    has_window: bool, signed: bool, tmp_path: Path
) -> None:
    values = samples(8, signed=signed)
    # Neither as bright as values are, nor in their order.
    entries = (np.arange(200) * 37) % 1000 + 100
    for first in (-50, 0, 20) if signed else (0, 20):
        more: dict[str, Any] = {
            "ModalityLUTSequence": items(table(first, entries, 16)),
        }
        if has_window:
            more |= {"WindowCenter": 600, "WindowWidth": 800}
        data = packed(values, (8, 8, 7), signed=signed, **more)
        shown = by_dcmtk(data, tmp_path, *(WINDOW if has_window else NEITHER))

        # DCMTK cuts off nothing at the ends.
        assert distance(picture(data), shown) <= (CLOSE if has_window else 3 * CLOSE)


@pytest.mark.parametrize("slope", [1, -1, 3])
@pytest.mark.parametrize("shape", ["", "IDENTITY", "INVERSE"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_what_is_bright_is_so_by_slope_photometric_and_shape(
    photometric: str, shape: str, slope: int
) -> None:
    """PS3.3 C.7.6.3.1.2, C.11.1 and C.8.11.1: each of them may turn it round."""
    values = samples(10)
    more: dict[str, Any] = {"RescaleSlope": slope, "RescaleIntercept": 0}
    if shape:
        more["PresentationLUTShape"] = shape
    windows: list[dict[str, Any]] = [
        {},
        {"WindowCenter": 512 * slope, "WindowWidth": 1024 * abs(slope)},
    ]
    for window in windows:
        data = packed(
            values,
            (16, 10, 9),
            PhotometricInterpretation=photometric,
            **more,
            **window,
        )
        is_turned = (slope < 0) != (photometric == "MONOCHROME1" or shape == "INVERSE")
        expected = values * 255 / 1023
        expected = 255 - expected if is_turned else expected

        assert distance(picture(data), expected.round().astype(int)) <= 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        {"PresentationLUTShape": "INVERSE"},
        {"PresentationLUTShape": "IDENTITY"},
        {},
    ],
    ids=str,
)
def test_so_does_dcmtk(more: dict[str, Any], tmp_path: Path) -> None:
    window: dict[str, Any] = {"WindowCenter": 512, "WindowWidth": 1024}
    data = packed(samples(10), (16, 10, 9), **window, **more)

    assert distance(picture(data), by_dcmtk(data, tmp_path, *WINDOW)) <= CLOSE


def test_bytes_that_mean_something_else_are_shown_as_that() -> None:
    values = np.tile(np.arange(64, dtype=np.uint8), (64, 1))

    turned = picture(instance(values, RescaleSlope=-1, RescaleIntercept=100))
    same = picture(instance(values, RescaleSlope=1, RescaleIntercept=0))

    assert turned[0, 0] > 250
    assert turned[0, -1] < 5
    assert np.array_equal(same, values)


def test_functional_groups_tell_what_values_mean_without_a_window() -> None:
    values = np.tile(np.arange(64, dtype=np.uint16), (2, 64, 1))
    turned = items({"RescaleSlope": -1, "RescaleIntercept": 0})
    upright = items({"RescaleSlope": 1, "RescaleIntercept": 0})
    data = instance(
        values,
        PerFrameFunctionalGroupsSequence=items(
            {"PixelValueTransformationSequence": upright},
            {"PixelValueTransformationSequence": turned},
        ),
    )

    shown = picture(data)

    assert shown[0, 0] > 250
    assert shown[0, -1] < 5


@pytest.mark.parametrize("keyword", ["FloatPixelData", "DoubleFloatPixelData"])
def test_numbers_with_a_fraction_are_shown(keyword: str) -> None:
    dtype = "<f4" if keyword == "FloatPixelData" else "<f8"
    values = np.tile(np.linspace(-1e-6, 1e-6, 64), (64, 1)).astype(dtype)
    values[0, 0], values[0, 1] = np.nan, np.inf
    dataset = dcmread(BytesIO(instance(np.zeros((64, 64), np.uint8))))
    del dataset.PixelData
    dataset.BitsAllocated = 8 * values.itemsize
    setattr(dataset, keyword, values.tobytes())
    data = BytesIO()
    dataset.save_as(data)

    shown = picture(data.getvalue())[1]

    assert np.all(np.diff(shown) >= 0)
    assert shown[0] < 5
    assert shown[-1] > 250


@pytest.mark.parametrize(("vr", "padding"), [("SS", -2000), ("US", 63536)])
def test_padding_does_not_count_however_it_is_written(vr: str, padding: int) -> None:
    values = samples(10)
    values[: ROWS // 2] = -2000
    dataset = dcmread(BytesIO(packed(values, (16, 16, 15), signed=True)))
    dataset.add_new("PixelPaddingValue", vr, padding)
    data = BytesIO()
    dataset.save_as(data)

    shown = picture(data.getvalue())[ROWS // 2 :]

    assert shown.min() < 10
    assert np.count_nonzero(shown < 100) > shown.size // 4


def test_a_range_of_padding_does_not_count() -> None:
    values = samples(10) + 5000
    values[:2], values[2:4] = 10, 20

    shown = picture(
        packed(values, (16, 16, 15), PixelPaddingValue=10, PixelPaddingRangeLimit=20)
    )

    assert np.count_nonzero(shown[4:] < 100) > shown[4:].size // 4


# -- colours ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize(
    "layout", [(8, 8, 7), (16, 12, 11), (16, 12, 15), (16, 16, 15)], ids=str
)
def test_colours_are_those_of_dcmtk(
    layout: tuple[int, int, int], planar: int, tmp_path: Path
) -> None:
    values = samples(layout[1], colours=3)
    for photometric in ("RGB", "YBR_FULL"):
        data = packed(
            values,
            layout,
            PhotometricInterpretation=photometric,
            PlanarConfiguration=planar,
        )
        assert distance(picture(data), by_dcmtk(data, tmp_path)) <= CLOSE


@pytest.mark.parametrize("bits", [5, 8, 12, 16, 32])
@pytest.mark.parametrize("brightest", [1.0, 0.5, 0.01])
def test_colours_are_as_bright_as_their_bits_say(bits: int, brightest: float) -> None:
    allocated = max(8, 16 * (bits > 8), 32 * (bits > 16))
    value = int((2**bits - 1) * brightest)
    values = np.full((ROWS, COLUMNS, 3), value, np.int64)

    shown = picture(packed(values, (allocated, bits, bits - 1)))

    assert set(shown.flat) == {round(255 * value / (2**bits - 1))}


def test_half_of_the_colours_is_enough(tmp_path: Path) -> None:
    luminance = samples(8).astype(np.uint8).reshape(-1, 2)
    red_and_blue = samples(8).astype(np.uint8).reshape(-1, 2)[::-1]
    data = instance(
        np.concatenate([luminance, red_and_blue], axis=1).tobytes(),
        Rows=ROWS,
        Columns=COLUMNS,
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        PhotometricInterpretation="YBR_FULL_422",
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
    )

    assert distance(picture(data), by_dcmtk(data, tmp_path)) <= CLOSE


@pytest.mark.parametrize(
    ("photometric", "colours"),
    [("HSV", 3), ("YBR_PARTIAL_422", 3), ("MONOCHROME2", 3), ("RGB", 1)],
)
def test_colours_that_nobody_knows_are_no_picture(
    photometric: str, colours: int
) -> None:
    data = packed(
        samples(8, colours=colours), (8, 8, 7), PhotometricInterpretation=photometric
    )

    with pytest.raises((PictureError, ValueError, AttributeError)):
        picture(data)


# -- palettes --------------------------------------------------------------------------


def palette(first: int, colours: Pixels, bits: int, *, packs: bool) -> dict[str, Any]:
    """Return the elements of a palette; *packs* two bytes into a word."""
    made: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, entries in zip(("Red", "Green", "Blue"), colours, strict=True):
        made[f"{name}PaletteColorLookupTableDescriptor"] = [len(entries), first, bits]
        data = entries.astype("u1" if packs else "<u2").tobytes()
        made[f"{name}PaletteColorLookupTableData"] = data + bytes(len(data) % 2)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("count", [256, 200, 77])
@pytest.mark.parametrize("first", [0, 30, -20])
@pytest.mark.parametrize(("bits", "packs"), [(8, True), (16, False)])
def test_palettes_are_those_of_dcmtk(
    bits: int, packs: bool, first: int, count: int, tmp_path: Path
) -> None:
    colours = np.random.default_rng(3).integers(0, 2**bits, (3, count))
    for layout, signed in itertools.product(((8, 8, 7), (16, 16, 15)), (False, True)):
        if first < 0 and not signed:
            continue
        values = samples(8, signed=signed)
        more = palette(first, colours, bits, packs=packs)
        data = packed(values, layout, signed=signed, **more)

        assert distance(picture(data), by_dcmtk(data, tmp_path)) <= CLOSE


def test_a_palette_may_have_more_colours_than_a_byte_can_tell() -> None:
    values = samples(10)
    colours = np.random.default_rng(4).integers(0, 256, (3, 1024))

    shown = picture(packed(values, (16, 10, 9), **palette(0, colours, 8, packs=True)))

    assert np.array_equal(shown, colours[:, values].transpose(1, 2, 0))


def test_entries_of_a_byte_in_words_are_bright() -> None:
    values = samples(8)
    colours = np.random.default_rng(4).integers(0, 256, (3, 256))

    shown = picture(packed(values, (8, 8, 7), **palette(0, colours, 16, packs=False)))

    assert np.array_equal(shown, colours[:, values].transpose(1, 2, 0))


def test_a_palette_in_segments_is_put_together() -> None:
    """PS3.3 C.7.9.2: values, values on a line, and segments that stood before."""
    values = samples(8)
    words = [0, 3, 0, 100, 200, 1, 53, 65535, 1, 100, 30000, 2, 1, 10, 0, 1, 47, 1]
    first = [0, 100, 200]
    line = list(np.linspace(200, 65535, 54)[1:])
    down = list(np.linspace(65535, 30000, 101)[1:])
    again = list(np.linspace(30000, 65535, 54)[1:])
    end = list(np.linspace(65535, 1, 48)[1:])
    entries = np.array(first + line + down + again + end)
    assert len(entries) == 256
    made: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name in ("Red", "Green", "Blue"):
        made[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        data = np.array(words, "<u2").tobytes()
        made[f"Segmented{name}PaletteColorLookupTableData"] = data

    shown = picture(packed(values, (8, 8, 7), **made))

    assert distance(shown[..., 1], (entries[values] * 255 / 65535).round()) <= 1


@pytest.mark.parametrize(
    "words",
    [[], [7, 1, 1], [1, 5, 5], [2, 1, 0, 0], [0, 2, 1], [0, 1, 1, 2, 65535, 0, 0]],
    ids=str,
)
def test_segments_that_make_no_sense_are_no_picture(words: list[int]) -> None:
    made: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name in ("Red", "Green", "Blue"):
        made[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        data = np.array(words, "<u2").tobytes()
        made[f"Segmented{name}PaletteColorLookupTableData"] = data

    with pytest.raises((ValueError, IndexError, TypeError)):
        picture(packed(samples(8), (8, 8, 7), **made))


def test_a_palette_in_big_endian_has_its_bytes_in_words() -> None:
    values = samples(8)
    colours = np.random.default_rng(4).integers(0, 256, (3, 256))
    more = palette(0, colours, 8, packs=True)
    for name in ("Red", "Green", "Blue"):
        keyword = f"{name}PaletteColorLookupTableData"
        more[keyword] = np.frombuffer(more[keyword], "<u2").astype(">u2").tobytes()

    shown = picture(packed(values, (8, 8, 7), uid.ExplicitVRBigEndian, **more))

    assert np.array_equal(shown, colours[:, values].transpose(1, 2, 0))
