"""Preamble and File Meta Information."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import uid

from dicomfs.dicom.element import Syntax
from dicomfs.dicom.meta import Meta, read_meta
from dicomfs.errors import DicomfsError, NotDicomError
from dicomfs.source.source import BytesSource
from dicomfs.source.window import Window
from tests.build.medium import build_dicomdir, instance_bytes, patient


def meta_of(data: bytes) -> Meta:
    return read_meta(Window(BytesSource(data)))


def syntax_of(data: bytes) -> Syntax:
    window = Window(BytesSource(data))
    return read_meta(window).syntax(window)


def test_the_identity_and_encoding_of_a_file_are_read() -> None:
    meta = meta_of(instance_bytes(SOPInstanceUID="1.2.3"))

    assert meta.sop_instance_uid == b"1.2.3"
    assert meta.transfer_syntax == uid.ExplicitVRLittleEndian.encode()


@pytest.mark.parametrize(
    "prefix",
    [bytes(128) + b"DICM", b"#!/bin/sh".ljust(128) + b"DICM", b"DICM", b""],
    ids=["zeros", "executable", "no-preamble", "nothing"],
)
def test_data_are_found_behind_any_preamble(prefix: bytes) -> None:
    data = build_dicomdir([], prefix=prefix)

    start = meta_of(data).start

    assert data[start : start + 4] == b"\x04\0\x30\x11"


def test_the_meta_information_may_be_missing() -> None:
    data = build_dicomdir([patient("Doe", "1")], prefix=b"", meta=None)

    assert meta_of(data) == Meta(False, b"", b"", b"", 0)


@pytest.mark.parametrize("length", [0, 4, 100_000], ids=["zero", "short", "long"])
def test_a_wrong_group_length_does_not_matter(length: int) -> None:
    sound = meta_of(build_dicomdir([]))

    meta = meta_of(build_dicomdir([], meta={"FileMetaInformationGroupLength": length}))

    assert meta == sound


@pytest.mark.parametrize("explicit", [True, False], ids=["explicit", "implicit"])
@pytest.mark.parametrize("little", [True, False], ids=["little", "big"])
@pytest.mark.parametrize(
    "declared",
    [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.JPEGBaseline8Bit],
    ids=["explicit", "implicit", "jpeg"],
)
def test_the_data_say_how_they_are_encoded_whatever_the_meta_information_says(
    explicit: bool, little: bool, declared: str
) -> None:
    data = build_dicomdir(
        [],
        explicit=explicit,
        little_endian=little,
        meta={"TransferSyntaxUID": declared},
    )

    syntax = syntax_of(data)

    assert (syntax.explicit, syntax.little) == (explicit, little)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"DICM",
        b"text\n" * 100,
        bytes(128) + b"DICM",
        bytes(1000),
        bytes.fromhex("3082") + bytes(1000),
        b"\x89PNG\r\n\x1a\n" + bytes(500),
    ],
    ids=["empty", "prefix", "text", "preamble", "zeros", "encrypted", "png"],
)
def test_what_is_no_dicom_file_is_refused(data: bytes) -> None:
    with pytest.raises(NotDicomError, match="not in DICOM format"):
        meta_of(data)


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_read_or_refused(data: bytes, prefixed: bool) -> None:
    if prefixed:
        data = bytes(128) + b"DICM" + data

    try:
        meta = meta_of(data)
    except DicomfsError:
        return

    assert meta.start >= 0
