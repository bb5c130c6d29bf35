"""What is taken of an image for its picture: the header, and one frame."""

import zlib
from typing import Any

import numpy as np
import pytest
from pydicom import uid
from pydicom.sequence import Sequence

from dicomfs.dicom.element import EXPLICIT_LITTLE
from dicomfs.errors import DicomfsError, PictureError
from dicomfs.pictures import excerpt as excerpts
from dicomfs.pictures.excerpt import Excerpt, excerpt, icon, inflated
from dicomfs.source.source import BytesSource
from tests.build.pixels import instance, slope
from tests.support.trees import CountingSource

JPEG = b"\xff\xd8"


def taken(data: bytes) -> Excerpt:
    return excerpt(BytesSource(data))


def frames(
    count: int, side: int = 8
) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    """Return frames, each filled with its number."""
    shape = (count, side, side)
    return np.broadcast_to(
        np.arange(count, dtype=np.uint8).reshape(-1, 1, 1), shape
    ).copy()


def test_one_frame_is_taken_whole_and_the_header_ends_before_it() -> None:
    pixels = slope()
    data = instance(pixels, PatientName="Doe")

    found = taken(data)

    assert found.pixels == pixels.tobytes()
    assert b"Doe" in found.header
    assert data.endswith(found.header + data[-len(found.pixels) - 12 :])


@pytest.mark.parametrize(
    "syntax",
    [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian],
)
def test_of_many_frames_the_middle_one_is_taken(syntax: str) -> None:
    found = taken(instance(frames(5), syntax))

    assert found.frame == 2
    assert set(found.pixels) == {2}


def test_frames_of_single_bits_are_taken_where_a_byte_begins() -> None:
    def of(side: int) -> Excerpt:
        more: dict[str, Any] = {
            "Rows": side,
            "Columns": side,
            "SamplesPerPixel": 1,
            "NumberOfFrames": 3,
            "BitsAllocated": 1,
            "PhotometricInterpretation": "MONOCHROME2",
        }
        return taken(instance(bytes(3 * side * side // 8 + 2), **more))

    assert of(8).frame == 1
    assert of(5).frame == 0
    assert len(of(5).pixels) == 4


@pytest.mark.parametrize("has_table", [True, False])
def test_of_many_fragments_a_whole_frame_is_taken(has_table: bool) -> None:
    encoded = [JPEG + bytes([n]) * 20 for n in range(6)]
    data = instance(
        encoded, uid.JPEGBaseline8Bit, has_table=has_table, NumberOfFrames=6
    )

    found = taken(data)

    # Without a table nobody knows where the middle is.
    assert found.frame == (3 if has_table else 0)
    assert found.pixels == encoded[found.frame]


def test_a_frame_in_several_fragments_is_put_together() -> None:
    [first, rest] = JPEG + b"a" * 10, b"b" * 12
    one = instance([first, rest], uid.JPEGBaseline8Bit)
    many = instance(
        [first, rest, JPEG + b"c" * 10],
        uid.JPEGBaseline8Bit,
        has_table=False,
        NumberOfFrames=2,
    )

    assert taken(one).pixels == taken(many).pixels == first + rest


def test_the_extended_offset_table_leads_to_the_middle() -> None:
    encoded = [JPEG + bytes([n]) * 20 for n in range(4)]
    offsets = b"".join((30 * n).to_bytes(8, "little") for n in range(4))
    data = instance(
        encoded,
        uid.JPEGBaseline8Bit,
        has_table=False,
        NumberOfFrames=4,
        ExtendedOffsetTable=offsets,
    )

    found = taken(data)

    assert found.pixels == encoded[2]
    assert offsets not in found.header


def test_a_deflated_image_is_taken_whole_and_inflated_by_who_paints() -> None:
    plain = instance(slope(), uid.ExplicitVRLittleEndian)
    start = plain.index(b"\x08\x00\x16\x00UI")
    meta = instance(b"", uid.DeflatedExplicitVRLittleEndian)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(plain[start:]) + packer.flush()
    head = meta[: _end_of_meta(meta)]

    found = taken(head + packed)

    assert found.deflated
    assert inflated(found).pixels == slope().tobytes()


def _end_of_meta(data: bytes) -> int:
    at = data.index(b"\x02\x00\x00\x00UL\x04\x00") + 8
    return at + 4 + int.from_bytes(data[at : at + 4], "little")


def test_the_item_of_an_icon_is_an_image_of_its_own() -> None:
    data = instance(slope(8))
    item = data[data.index(b"\x28\x00\x02\x00") :]

    found = icon(item, EXPLICIT_LITTLE)

    assert found.pixels == slope(8).tobytes()


def test_only_the_header_and_the_frame_are_read() -> None:
    pixels = np.zeros((100, 256, 256), np.uint16)
    source = CountingSource(instance(pixels))

    found = excerpt(source)

    assert len(found.pixels) == 2 * 256 * 256
    assert source.bytes_read < len(found.pixels) + 50_000


# -- what is not sound -----------------------------------------------------------------


def test_a_bomb_is_refused_before_anything_is_made_of_it() -> None:
    with pytest.raises(PictureError):
        taken(instance(b"\0" * 128, **_size(65535)))


def test_pixels_that_lie_about_their_size_are_no_picture() -> None:
    for data in (
        instance(b"\0" * 100, **_size(64)),
        instance(b"", **_size(8)),
        instance(slope(8), Rows=0),
        instance([], uid.JPEGBaseline8Bit),
    ):
        with pytest.raises(PictureError):
            taken(data)


def test_a_frame_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excerpts, "MOST_PIXELS", 1000)
    source = CountingSource(instance(slope(64)))

    with pytest.raises(PictureError):
        excerpt(source)
    assert source.bytes_read < 20_000


def test_a_file_that_is_cut_off_anywhere_raises_what_is_documented() -> None:
    nested = Sequence([])
    data = instance(
        [JPEG + b"a" * 20, JPEG + b"b" * 20],
        uid.JPEGBaseline8Bit,
        NumberOfFrames=2,
        ReferencedImageSequence=nested,
    )

    for size in range(len(data)):
        try:
            taken(data[:size])
        except DicomfsError:
            pass
        else:
            # What is missing is behind the frame.
            assert size > len(data) - 40


def _size(side: int) -> dict[str, Any]:
    return {
        "Rows": side,
        "Columns": side,
        "SamplesPerPixel": 1,
        "BitsAllocated": 16,
        "PhotometricInterpretation": "MONOCHROME2",
    }
