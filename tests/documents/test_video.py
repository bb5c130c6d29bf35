"""Which video is taken out of instances, and what it is called."""

import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import encapsulate

from dicomfs.documents.video import _MOST_FRAGMENTS, is_video, read
from dicomfs.errors import DicomfsError, DocumentError
from dicomfs.source.source import BytesSource
from tests.build.medium import Raw, instance_bytes
from tests.support.mounting import need
from tests.support.trees import CountingSource

MPEG2: Final = "1.2.840.10008.1.2.4.100"
H264: Final = "1.2.840.10008.1.2.4.102"
HEVC: Final = "1.2.840.10008.1.2.4.107"

MP4: Final = b"\0\0\0\x18ftypisom" + bytes(range(256)) * 20
PROGRAM: Final = b"\0\0\1\xba" + b"pack" * 100
PICTURES: Final = b"\0\0\1\xb3" + b"pictures" * 100
PACKETS: Final = (b"\x47" + bytes(187)) * 10
UNITS: Final = b"\0\0\0\1\x67" + b"unit" * 100
HEVC_UNITS: Final = b"\0\0\1\x40\1" + b"unit" * 100
STREAMS: Final = {
    ".mp4": (H264, MP4),
    ".mpg": (MPEG2, PROGRAM),
    ".h264": (H264, UNITS),
    ".hevc": (HEVC, HEVC_UNITS),
}
ITEM: Final = b"\xfe\xff\x00\xe0"
END: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"


def fragmented(fragments: Sequence[bytes], end: bytes = END) -> bytes:
    """Return a value of Pixel Data that consists of *fragments*."""
    items = [b"", *fragments]
    return b"".join(ITEM + struct.pack("<L", len(e)) + e for e in items) + end


def holding(value: bytes, syntax: str = H264) -> bytes:
    """Return an instance whose Pixel Data has this value, of undefined length."""
    pixels = Raw("OB", value, 0xFFFFFFFF)
    return instance_bytes({"PixelData": pixels}, syntax=syntax, size=None)


def pieces(stream: bytes, size: int) -> list[bytes]:
    stream += b"\0" * (len(stream) % 2)
    return [stream[at : at + size] for at in range(0, len(stream), size)]


@pytest.mark.parametrize("extension", STREAMS)
@pytest.mark.parametrize("size", [100_000, 512, 2])
def test_the_fragments_together_are_the_stream(extension: str, size: int) -> None:
    syntax, stream = STREAMS[extension]
    data = holding(fragmented(pieces(stream, size)), syntax)
    [(found, video)] = read(BytesSource(data)).items()

    assert found == extension
    assert video.read_at(0, video.size).rstrip(b"\0") == stream.rstrip(b"\0")
    assert video.size == len(stream) + len(stream) % 2


@pytest.mark.parametrize("stream", [PROGRAM, PICTURES, PACKETS])
@pytest.mark.parametrize("syntax", [MPEG2, H264])
def test_what_it_is_called_depends_on_how_it_begins(stream: bytes, syntax: str) -> None:
    data = holding(fragmented([stream]), syntax)

    assert [*read(BytesSource(data))] == [".mpg"]


def test_any_place_of_it_can_be_read() -> None:
    data = holding(fragmented(pieces(MP4, 100)))
    video = read(BytesSource(data))[".mp4"]

    for offset, size in (
        (0, 10),
        (95, 10),
        (99, 302),
        (5000, 1000),
        (len(MP4) - 3, 50),
    ):
        assert video.read_at(offset, size) == MP4[offset : offset + size]


def test_what_pydicom_encapsulates_comes_out_as_it_went_in() -> None:
    for count in (1, 7):
        value = encapsulate([MP4], fragments_per_frame=count, has_bot=False) + END
        video = read(BytesSource(holding(value)))[".mp4"]

        assert video.read_at(0, video.size) == MP4


@pytest.mark.parametrize(
    "value",
    [
        fragmented([b"MZ\x90 a program"]),
        fragmented([b"<html><script>"]),
        fragmented([]),
        fragmented([MP4], end=b""),
        fragmented([MP4])[:-1000],
        ITEM + b"\xff\xff\xff\xff" + MP4 + END,
        ITEM + bytes(4) + ITEM + b"\xfe\xff\xff\xff" + MP4 + END,
        MP4 + END,
    ],
)
def test_nothing_else_is_video(value: bytes) -> None:
    with pytest.raises(DicomfsError):
        read(BytesSource(holding(value)))


def test_other_instances_hold_none() -> None:
    pixels = Raw("OB", fragmented([MP4]), 0xFFFFFFFF)
    jpeg = instance_bytes({"PixelData": pixels}, syntax="1.2.840.10008.1.2.4.50")
    plain = instance_bytes({"PixelData": Raw("OB", MP4)}, syntax=H264)

    for data in (
        jpeg,
        plain,
        instance_bytes({"PatientID": "1"}, syntax=H264, size=None),
    ):
        with pytest.raises(DocumentError):
            read(BytesSource(data))


@pytest.mark.parametrize(
    ("syntax", "is_one"),
    [(f"1.2.840.10008.1.2.4.{end}", True) for end in (100, "100.1", 103, 106, 107, 108)]
    + [
        (f"1.2.840.10008.1.2.4.{end}", False)
        for end in (50, 109, 10, 1000, "100.2", "")
    ]
    + [("", False), ("1.2.840.10008.1.2.1", False)],
)
def test_video_is_told_by_its_transfer_syntax(syntax: str, is_one: bool) -> None:
    assert is_video(syntax.encode()) is is_one


def test_a_fragment_costs_its_header() -> None:
    source = CountingSource(holding(fragmented([MP4 + bytes(2_000_000)] * 4)))
    read(source)

    assert source.bytes_read < 50_000


@pytest.mark.slow
def test_there_is_a_bound_of_fragments() -> None:
    most = holding(fragmented([MP4[:16]] * _MOST_FRAGMENTS))
    assert read(BytesSource(most))[".mp4"].size == 16 * _MOST_FRAGMENTS

    with pytest.raises(DocumentError, match="too many fragments"):
        read(BytesSource(holding(fragmented([MP4[:16]] * (_MOST_FRAGMENTS + 1)))))


@pytest.mark.slow
@given(st.data())
def test_whatever_is_damaged_nothing_else_is_raised(data: st.DataObject) -> None:
    sound = bytearray(holding(fragmented(pieces(MP4[:600], 100))))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(132, len(sound) - 1))
        sound[at] = data.draw(st.integers(0, 255))

    try:
        found = read(BytesSource(bytes(sound)))
    except DicomfsError:
        return
    for extension, video in found.items():
        assert extension in STREAMS
        assert len(video.read_at(0, video.size)) == video.size


_ENCODERS: Final = {
    ".mp4": (H264, ["-c:v", "libx264", "-f", "mp4"], "h264"),
    ".mpg": (MPEG2, ["-c:v", "mpeg2video", "-f", "mpeg"], "mpeg2video"),
    ".h264": (H264, ["-c:v", "libx264", "-f", "h264"], "h264"),
    ".hevc": (HEVC, ["-c:v", "libx265", "-f", "hevc"], "hevc"),
}


@pytest.mark.slow
@pytest.mark.parametrize("extension", _ENCODERS)
def test_what_ffmpeg_encodes_is_played(extension: str, tmp_path: Path) -> None:
    need("ffmpeg", "ffprobe")
    syntax, encoder, codec = _ENCODERS[extension]
    stream, shown = tmp_path / "stream", tmp_path / f"shown{extension}"
    source = ["-f", "lavfi", "-i", "testsrc=duration=1:size=64x64:rate=25"]
    command = ["ffmpeg", "-v", "error", *source, *encoder, "-y", str(stream)]
    subprocess.run(command, check=True)

    data = holding(fragmented(pieces(stream.read_bytes(), 1000)), syntax)
    [(found, video)] = read(BytesSource(data)).items()
    assert found == extension
    shown.write_bytes(video.read_at(0, video.size))

    about = ["-show_entries", "stream=codec_name,nb_read_frames", "-of", "default=nk=1"]
    command = ["ffprobe", "-v", "error", "-count_frames", *about, str(shown)]
    played = subprocess.run(command, check=True, capture_output=True, text=True)
    assert played.stdout.split()[1:3] == [codec, "25"]
    assert played.stderr == ""
