"""The header of a file, read within bounds."""

import tracemalloc
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import uid

from dicomfs.dicom import tags
from dicomfs.dicom.element import Syntax
from dicomfs.dicom.header import MAX_READ, Meta, read_header, read_meta
from dicomfs.errors import DicomfsError, ElementError, NotDicomError
from dicomfs.source.source import BytesSource
from dicomfs.source.window import Window
from tests.build.medium import (
    PREFIX,
    Items,
    Raw,
    Value,
    build_dicomdir,
    code,
    element_bytes,
    icon,
    instance_bytes,
    patient,
)
from tests.support.trees import CountingSource

DEFLATED = uid.DeflatedExplicitVRLittleEndian


def description(data: bytes) -> str:
    return read_header(BytesSource(data)).text(tags.SERIES_DESCRIPTION)


def deflated(data: bytes) -> bytes:
    """Return a file whose data set is *data*, deflated."""
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return front(DEFLATED) + deflate.compress(data) + deflate.flush()


def front(syntax: str) -> bytes:
    """Return what comes before the data set: preamble and meta information."""
    whole = instance_bytes(syntax=syntax, size=None)
    end = len(PREFIX)
    while whole[end : end + 2] == b"\x02\0":
        is_long = whole[end + 4 : end + 6] == b"OB"
        place = end + 8 if is_long else end + 6
        length = int.from_bytes(whole[place : place + (4 if is_long else 2)], "little")
        end = place + (4 if is_long else 2) + length
    return whole[:end]


SYNTAXES = pytest.mark.parametrize(
    "syntax",
    [
        uid.ExplicitVRLittleEndian,
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        DEFLATED,
        uid.JPEGBaseline8Bit,
        uid.JPEG2000,
    ],
    ids=["explicit", "implicit", "big", "deflated", "jpeg", "jpeg2000"],
)


@SYNTAXES
def test_a_description_is_found_in_every_transfer_syntax(syntax: str) -> None:
    data = instance_bytes(SeriesDescription="Lung 1.0", syntax=syntax)

    assert description(data) == "Lung 1.0"


@SYNTAXES
def test_all_that_names_an_instance_is_read(syntax: str) -> None:
    wanted = {
        "PatientName": "Doe^Jane",
        "PatientID": "12345",
        "StudyDate": "20230705",
        "StudyInstanceUID": "1.2",
        "SeriesInstanceUID": "1.2.3",
        "SeriesNumber": "2",
        "InstanceNumber": "17",
        "Modality": "CT",
    }

    header = read_header(BytesSource(instance_bytes(wanted, syntax=syntax)))

    assert header.text(tags.PATIENT_NAME) == "Doe^Jane"
    assert header.text(tags.PATIENT_ID) == "12345"
    assert header.date(tags.STUDY_DATE) == "2023-07-05"
    assert header.raw(tags.STUDY_INSTANCE_UID) == b"1.2"
    assert header.raw(tags.SERIES_INSTANCE_UID) == b"1.2.3"
    assert header.number(tags.SERIES_NUMBER) == 2
    assert header.number(tags.INSTANCE_NUMBER) == 17
    assert header.text(tags.MODALITY) == "CT"


@SYNTAXES
def test_what_an_instance_is_is_read(syntax: str) -> None:
    wanted = {"SOPClassUID": uid.BasicTextSRStorage, "SOPInstanceUID": "1.2.3.4"}

    header = read_header(BytesSource(instance_bytes(wanted, syntax=syntax)))

    assert header.raw(tags.SOP_CLASS_UID).decode() == uid.BasicTextSRStorage
    assert header.raw(tags.SOP_INSTANCE_UID) == b"1.2.3.4"
    assert header.raw(tags.MEDIA_STORAGE_SOP_CLASS_UID).decode() == (
        uid.BasicTextSRStorage
    )
    assert header.raw(tags.MEDIA_STORAGE_SOP_INSTANCE_UID) == b"1.2.3.4"
    assert header.raw(tags.TRANSFER_SYNTAX_UID).decode() == syntax


@SYNTAXES
def test_more_is_read_where_it_is_asked_for(syntax: str) -> None:
    wanted: dict[str, Value] = {
        "ConceptNameCodeSequence": code("121144", "DCM", "Document Title"),
        "DocumentTitle": "Referral",
        "UserContentLabel": "Boost",
    }
    source = BytesSource(instance_bytes(wanted, syntax=syntax))
    more = (tags.CONCEPT_NAME_CODE_SEQUENCE, tags.USER_CONTENT_LABEL)

    header = read_header(source, more)

    assert header.text(tags.CONCEPT_NAME_CODE_SEQUENCE) == "Document Title"
    assert header.text(tags.USER_CONTENT_LABEL) == "Boost"
    assert header.text(tags.DOCUMENT_TITLE) == ""
    assert read_header(source).text(tags.USER_CONTENT_LABEL) == ""


@pytest.mark.parametrize("damage", [b"", b"\xff" * 30, b"\xfe\xff\x00\xe0" + bytes(4)])
def test_a_damaged_code_sequence_has_no_title(damage: bytes) -> None:
    sequence = Raw("SQ", damage)

    data = instance_bytes({tags.CONCEPT_NAME_CODE_SEQUENCE: sequence}, PatientID="12")
    header = read_header(BytesSource(data), (tags.CONCEPT_NAME_CODE_SEQUENCE,))

    assert header.text(tags.CONCEPT_NAME_CODE_SEQUENCE) == ""
    assert header.text(tags.PATIENT_ID) == "12"


def test_a_description_is_decoded_with_the_character_set_of_the_file() -> None:
    data = instance_bytes(SpecificCharacterSet="ISO_IR 101", SeriesDescription="Łódź")

    assert description(data) == "Łódź"


@pytest.mark.parametrize("undefined", [False, True], ids=["defined", "undefined"])
def test_sequences_in_front_are_passed_over(undefined: bool) -> None:
    inner: dict[str, Value] = {
        "SeriesDescription": "not this",
        "IconImageSequence": icon(),
    }
    sequence = Items([inner, {}], undefined, undefined)

    data = instance_bytes({0x00081032: sequence}, SeriesDescription="this")

    assert description(data) == "this"


def test_a_file_without_a_description_has_none() -> None:
    assert description(instance_bytes()) == ""


def test_a_file_without_preamble_and_meta_information_is_read() -> None:
    data = element_bytes("SOPInstanceUID", "1.2") + element_bytes(
        "SeriesDescription", "Lung"
    )

    assert description(data) == "Lung"


@pytest.mark.slow
def test_a_large_file_costs_no_more_than_a_small_one() -> None:
    costs = []
    for size in (1_000, 20_000_000):
        source = CountingSource(instance_bytes(SeriesDescription="Lung", size=size))
        read_header(source)
        costs.append(source.bytes_read)

    assert max(costs) <= 32 * 1024


def test_a_huge_private_element_in_front_costs_nothing() -> None:
    private: dict[int, Value] = {
        0x00080001: Raw("UN", bytes(20_000_000)),
        0x00090010: "SOMEONE",
        0x00091001: Raw("OB", bytes(20_000_000)),
    }
    source = CountingSource(
        instance_bytes(private, SeriesDescription="Lung", PatientID="12345")
    )

    header = read_header(source)

    assert header.text(tags.SERIES_DESCRIPTION) == "Lung"
    assert header.text(tags.PATIENT_ID) == "12345"
    assert source.bytes_read <= 4 * 16 * 1024


def many_items(size: int) -> Items:
    return Items([{"PatientComments": "x" * 1000}] * (size // 1000), True, True)


def test_what_lies_behind_the_bound_is_missing_and_what_lies_before_is_kept() -> None:
    source = CountingSource(
        instance_bytes(
            {0x00081140: many_items(8_000_000)},
            SeriesDescription="Lung",
            PatientID="12345",
        )
    )

    header = read_header(source)

    assert header.text(tags.SERIES_DESCRIPTION) == "Lung"
    assert header.text(tags.PATIENT_ID) == ""
    assert source.bytes_read <= MAX_READ


def test_nothing_costs_more_than_the_bound() -> None:
    source = CountingSource(
        instance_bytes({0x00080006: many_items(3_000_000)}, SeriesDescription="Lung")
    )

    with suppress(OSError, DicomfsError):
        read_header(source)

    assert source.bytes_read <= MAX_READ


@pytest.mark.slow
@pytest.mark.parametrize(
    "bomb",
    [
        Raw("OB", bytes(100_000_000)),
        many_items(10_000_000),
    ],
    ids=["one-element", "many-elements"],
)
def test_a_deflate_bomb_costs_no_more_than_the_bound(bomb: Value) -> None:
    source = CountingSource(
        deflated(
            element_bytes("SeriesDescription", "Lung")
            + element_bytes(0x00081140 if isinstance(bomb, Items) else 0x00091001, bomb)
        )
    )

    tracemalloc.start()
    with suppress(OSError, DicomfsError):
        read_header(source)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert source.bytes_read <= MAX_READ
    assert peak < 8 * MAX_READ


@pytest.mark.slow
def test_the_description_in_front_of_a_deflate_bomb_is_read() -> None:
    data = deflated(
        element_bytes("SeriesDescription", "Lung")
        + element_bytes(0x00091001, Raw("OB", bytes(100_000_000)))
    )

    assert description(data) == "Lung"


def test_what_does_not_inflate_is_refused() -> None:
    with pytest.raises(ElementError, match="does not inflate"):
        description(front(DEFLATED) + b"\xff" * 200)


@pytest.mark.parametrize(
    "data",
    [b"", b"text\n" * 100, b"\xff\xd8\xff\xe0" + bytes(1000), bytes(4096)],
    ids=["empty", "text", "jpeg", "zeros"],
)
def test_what_is_not_dicom_is_refused(data: bytes) -> None:
    with pytest.raises(NotDicomError):
        read_header(BytesSource(data))


def test_a_file_that_is_cut_off_gives_what_it_has() -> None:
    data = instance_bytes(SeriesDescription="Lung", PatientID="12345", size=None)

    cut = data[: data.index(b"12345")]

    assert description(cut) == "Lung"


@given(st.data())
def test_any_bytes_are_a_header_or_an_error_of_ours(data: st.DataObject) -> None:
    changed = bytearray(instance_bytes(SeriesDescription="Lung", size=16))
    for _ in range(data.draw(st.integers(0, 6))):
        place = data.draw(st.integers(132, len(changed) - 1))
        changed[place] = data.draw(st.integers(0, 255))
    del changed[data.draw(st.integers(132, len(changed))) :]

    try:
        header = read_header(BytesSource(bytes(changed)))
    except (OSError, DicomfsError):
        return

    header.text(tags.SERIES_DESCRIPTION)


# -- preamble and File Meta Information ------------------------------------------------


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


def test_the_meta_information_may_end_in_a_value_of_undefined_length() -> None:
    item = b"\xfe\xff\x00\xe0\x04\0\0\0some"
    end = b"\xfe\xff\xdd\xe0" + bytes(4)
    private = b"\x02\0\2\1SQ\0\0" + b"\xff" * 4 + item + end
    before = front(uid.ExplicitVRLittleEndian) + private
    data = before + element_bytes(tags.SERIES_DESCRIPTION, "Lung")

    assert read_meta(Window(BytesSource(data))).start == len(before)
    assert description(data) == "Lung"


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
