"""What a record consists of, as it is to be written anew."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import uid

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.element import EXPLICIT_LITTLE, Syntax
from dicomfs.dicomdir.content import Content, content_from, content_of, joined, raw
from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.encoding import element, item
from dicomfs.errors import ElementError
from dicomfs.source.source import BytesSource
from tests.build.medium import Raw, Record, build_dicomdir, code, icon, image, patient
from tests.support.amounts import examples

NAME = element(tags.PATIENT_NAME, b"Doe^Jane")
ID = element(tags.PATIENT_ID, b"12345")


def of_first(made: Record, **options: object) -> Content:
    """Return the content of the first record of a DICOMDIR that is written so."""
    data = build_dicomdir([made], **options)  # type: ignore[arg-type]
    directory = Directory(BytesSource(data))
    record = directory.record(directory.header.root)
    item_ = data[record.offset : record.offset + record.length]
    return content_of(item_, directory.header.syntax)


def without_links(content: Content) -> Content:
    ours = (0x00041400, 0x00041410, 0x00041420)
    return {tag: data for tag, data in content.items() if tag not in ours}


def test_an_item_in_the_right_encoding_is_copied_byte_for_byte() -> None:
    content = joined({tags.PATIENT_NAME: NAME, tags.PATIENT_ID: ID})

    assert joined(content_of(item(content), EXPLICIT_LITTLE)) == content


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("little_endian", [True, False])
@pytest.mark.parametrize("undefined", [True, False])
def test_an_item_means_the_same_in_whatever_encoding_it_was(
    explicit: bool, little_endian: bool, undefined: bool
) -> None:
    made = patient("Doe^Jane", "12345", PatientSex="F", PatientBirthDate="19700101")
    right = without_links(of_first(made))

    content = of_first(
        made,
        explicit=explicit,
        little_endian=little_endian,
        undefined_items=undefined,
        undefined_sequences=undefined,
    )

    assert without_links(content) == right


@pytest.mark.parametrize("undefined", [True, False])
def test_a_sequence_is_copied_byte_for_byte(undefined: bool) -> None:
    made = image("1.2.3", IconImageSequence=icon())
    data = build_dicomdir([made], undefined_sequences=undefined)

    sequence = of_first(made, undefined_sequences=undefined)[0x00880200]

    assert sequence in data


def test_a_sequence_in_big_endian_is_turned() -> None:
    made = image("1.2.3", ConceptNameCodeSequence=code("1", "99TEST", "Chest"))
    right = of_first(made)[tags.CONCEPT_NAME_CODE_SEQUENCE]

    turned = of_first(made, little_endian=False)[tags.CONCEPT_NAME_CODE_SEQUENCE]

    assert turned == right


def test_what_is_not_known_stays_unknown_where_no_vr_is_written() -> None:
    made = patient("Doe", "1", header={})
    made[0x00091001] = Raw("LO", b"private!")

    private = of_first(made, explicit=False)[0x00091001]

    assert private[4:6] == b"UN"
    assert private.endswith(b"private!")


def test_a_wrong_vr_is_mended() -> None:
    wrong = element(tags.REFERENCED_FILE_ID, b"A\\B ", b"LO")

    content = content_of(item(wrong), EXPLICIT_LITTLE)

    assert content == {tags.REFERENCED_FILE_ID: b"\4\0\0\x15CS\4\0A\\B "}


def test_a_value_of_odd_length_is_padded() -> None:
    odd = b"\x10\0\x20\0LO" + b"\3\0" + b"123"

    assert content_of(item(odd), EXPLICIT_LITTLE) == {
        tags.PATIENT_ID: element(tags.PATIENT_ID, b"123")
    }


def test_the_first_of_two_elements_counts_and_group_lengths_do_not() -> None:
    twice = NAME + element(tags.PATIENT_NAME, b"Roe") + ID
    length = element(0x00100000, b"\7\0\0\0", b"UL")

    assert content_of(item(length + twice), EXPLICIT_LITTLE) == {
        tags.PATIENT_NAME: NAME,
        tags.PATIENT_ID: ID,
    }


@pytest.mark.parametrize(
    "broken",
    [NAME[:-2], NAME + b"\0\0\0\0", NAME + b"\xfe\xff\x00\xe0\0\0\0\0"],
    ids=["cut off", "padded", "with an item"],
)
def test_an_item_that_its_elements_do_not_fill_is_refused(broken: bytes) -> None:
    with pytest.raises(ElementError):
        content_of(item(broken), EXPLICIT_LITTLE)


def test_a_sequence_whose_items_are_broken_is_refused() -> None:
    inside = item(NAME[:-2])
    sequence = element(tags.CONCEPT_NAME_CODE_SEQUENCE, inside, b"SQ")

    with pytest.raises(ElementError):
        content_of(item(sequence), EXPLICIT_LITTLE)


@examples(2000)
@given(st.binary(max_size=60), st.booleans(), st.booleans())
def test_whatever_bytes_there_are_they_are_copied_or_refused(
    data: bytes, explicit: bool, little: bool
) -> None:
    syntax = Syntax(explicit=explicit, little=little)

    with suppress(ElementError):
        again = content_of(
            item(joined(content_of(bytes(8) + data, syntax))), EXPLICIT_LITTLE
        )
        assert content_of(item(joined(again)), EXPLICIT_LITTLE) == again


def test_a_value_too_long_for_its_vr_is_unknown() -> None:
    long = element(tags.PATIENT_ID, b"1" * 70_000)

    assert long[4:6] == b"UN"
    assert content_of(item(long), EXPLICIT_LITTLE) == {tags.PATIENT_ID: long}


def test_content_is_made_of_values() -> None:
    values = {
        tags.PATIENT_NAME: b"Doe^Jane",
        tags.PATIENT_ID: b"12345",
        0x00091001: b"",
    }

    made = content_from(Attributes(values))

    assert made == {tags.PATIENT_NAME: NAME, tags.PATIENT_ID: ID}


def test_a_value_is_read_without_its_padding() -> None:
    content = {
        tags.PATIENT_ID: ID,
        tags.SOP_CLASS_UID: element(
            tags.MEDIA_STORAGE_SOP_CLASS_UID, uid.CTImageStorage.encode()
        ),
    }

    assert raw(content, tags.PATIENT_ID) == b"12345"
    assert raw(content, tags.SOP_CLASS_UID) == uid.CTImageStorage.encode()
    assert raw(content, tags.PATIENT_NAME) == b""


def test_implicit_big_endian_is_read_as_well() -> None:
    syntax = Syntax(explicit=False, little=False)
    data = b"\xff\xfe\xe0\x00\0\0\0\x0c" + b"\0\x10\0\x20\0\0\0\x04" + b"1234"

    assert content_of(data, syntax) == {
        tags.PATIENT_ID: element(tags.PATIENT_ID, b"1234")
    }
