"""The forms of a picture: how large, in which format, and how many bytes."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dicomfs.pictures import thumbnail
from dicomfs.pictures.forms import rendered
from dicomfs.pictures.wire import PREVIEW_SIZE, Form
from tests.build.pixels import corner


def noise(side: int) -> Image.Image:
    """Return a picture that packs badly."""
    colours = np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)
    return Image.fromarray(colours)


def opened(data: bytes) -> Image.Image:
    """Return a picture that was written, decoded whole."""
    made = Image.open(BytesIO(data))
    made.load()
    return made


@pytest.mark.parametrize(("form", "size"), [(Form.NORMAL, 128), (Form.LARGE, 256)])
def test_a_thumbnail_fits_into_a_square(form: Form, size: int) -> None:
    wide = Image.new("L", (1000, 500))

    made = opened(rendered(form, lambda _: wide))

    assert made.format == "PNG"
    assert made.size == (size, size // 2)


def test_a_small_image_stays_small() -> None:
    assert opened(rendered(Form.NORMAL, lambda _: noise(40))).size == (40, 40)


@pytest.mark.parametrize("side", [1, 128, 700])
def test_the_attribute_has_the_same_size_for_all_pictures(side: int) -> None:
    png = rendered(Form.NORMAL, lambda _: noise(side))

    filled = thumbnail.filled(png)

    assert len(filled) == thumbnail.SIZE <= 65536
    assert opened(filled).tobytes() == opened(png).tobytes()
    assert _checksums_are_right(filled)


def _checksums_are_right(png: bytes) -> bool:
    at, good = 8, True
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        body = png[at + 4 : at + 8 + length]
        good &= png[at + 8 + length :][:4] == zlib.crc32(body).to_bytes(4, "big")
        at += length + 12
    return good


def test_no_picture_has_no_size() -> None:
    assert thumbnail.filled(b"") == b""


@pytest.mark.parametrize("side", [3, 512, 2000])
def test_a_preview_has_the_same_size_for_all_pictures(side: int) -> None:
    data = rendered(Form.PREVIEW, lambda _: noise(side))

    assert len(data) == PREVIEW_SIZE
    made = opened(data)
    assert made.format == "JPEG"
    assert made.size == (512, 512)


def test_a_preview_is_letterboxed_and_says_what_it_is_not_for() -> None:
    wide = Image.fromarray(corner()[: 64 // 4])

    shown = np.asarray(opened(rendered(Form.PREVIEW, lambda _: wide)))

    assert shown[:180].max() < 30
    assert shown[256, 100].min() > 200
    assert shown[490:].max() > 200


def test_a_preview_of_nothing_says_so() -> None:
    def fail(size: int) -> Image.Image:
        raise ValueError(size)

    shown = np.asarray(opened(rendered(Form.PREVIEW, fail)))

    assert shown[240:272, 200:312].max() > 100


def test_the_same_picture_gives_the_same_bytes() -> None:
    for form in Form:
        first, second = (rendered(form, lambda _: noise(300)) for _ in range(2))
        assert first == second
