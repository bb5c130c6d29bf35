"""Directory records: every encoding says the same, and odd ones cost nothing."""

from typing import Unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomfs.dicom import tags
from dicomfs.dicom.element import EXPLICIT_LITTLE, Syntax
from dicomfs.dicom.types import Level
from dicomfs.dicomdir.models import Models
from dicomfs.dicomdir.record import DirectoryRecord, read_record
from dicomfs.errors import DirectoryError
from dicomfs.source.source import BytesSource
from dicomfs.source.window import Window
from tests.build.medium import (
    IN_USE,
    OMIT,
    Items,
    Options,
    Raw,
    Record,
    Value,
    build_layout,
    code,
    depth_first,
    icon,
    image,
    leaf,
    patient,
    record,
    series,
    study,
)
from tests.support.trees import CountingSource

PRIVATE = Items([{0x00091001: b"x" * 50}, {}], True, True)


def rich_medium() -> list[Record]:
    """Return records of many kinds, with what is to be passed over in each."""
    images = [
        image(f"1.2.3.{n}", number=n, IconImageSequence=icon(64)) for n in range(3)
    ]
    document = leaf(
        "SR DOCUMENT",
        "1.2.4",
        ConceptNameCodeSequence=code("11528-7", "LN", "Radiology Report"),
        ContentSequence=[{"ConceptNameCodeSequence": code("1", "2", "Not this")}],
    )
    private: dict[int, Value] = {
        0x00090010: "ELSCINT1",
        0x00091001: PRIVATE,
        0x00E11002: b"\0" * 600,
    }
    return [
        patient(
            "Müller^Jürgen",
            "1",
            [
                study(
                    "1.2",
                    [series("1.2.3", images), series("1.2.4", [document])],
                    attributes=private,
                    description="CT Thorax",
                )
            ],
            SpecificCharacterSet="ISO_IR 100",
            attributes=private,
        )
    ]


def read_all(medium: list[Record], **options: Unpack[Options]) -> list[DirectoryRecord]:
    """Return all records in depth-first order, with their links made comparable."""
    layout = build_layout(medium, **options)
    explicit = options.get("explicit", True)
    syntax = Syntax(explicit=explicit, little=options.get("little_endian", True))
    window = Window(BytesSource(layout.data))
    order = depth_first(medium)
    places = {layout.offsets[each]: place for place, each in enumerate(order, 1)}
    places[0] = 0
    models = Models(syntax, len(layout.data))
    found = [models.read(window, layout.offsets[each]) for each in order]
    return [
        each._replace(
            offset=places[each.offset],
            next=places[each.next],
            lower=places[each.lower],
            length=0,
            attributes=each.attributes._replace(values=texts(each)),
        )
        for each in found
    ]


def texts(found: DirectoryRecord) -> dict[int, bytes]:
    """Return the values without the links, whose bytes depend on the encoding."""
    links = {
        tags.OFFSET_OF_NEXT_RECORD,
        tags.OFFSET_OF_LOWER_ENTITY,
        tags.RECORD_IN_USE_FLAG,
    }
    return {t: v for t, v in found.attributes.values.items() if t not in links}


def read_one(one: Record, **options: Unpack[Options]) -> DirectoryRecord:
    return read_all([one], **options)[0]


ENCODINGS = pytest.mark.parametrize(
    "options",
    [
        Options(
            explicit=explicit,
            little_endian=little,
            undefined_sequences=undefined_sequences,
            undefined_items=undefined_items,
        )
        for explicit in (True, False)
        for little in (True, False)
        for undefined_sequences in (True, False)
        for undefined_items in (True, False)
    ],
    ids=lambda options: "-".join(
        [
            "explicit" if options["explicit"] else "implicit",
            "little" if options["little_endian"] else "big",
            "openseq" if options["undefined_sequences"] else "seq",
            "openitem" if options["undefined_items"] else "item",
        ]
    ),
)


@ENCODINGS
def test_all_encodings_of_a_medium_give_the_same_records(options: Options) -> None:
    medium = rich_medium()

    assert read_all(medium, **options) == read_all(medium)


def test_a_record_says_what_it_is_and_where_it_leads() -> None:
    found = read_all(rich_medium())

    assert [each.type for each in found] == [
        *("PATIENT", "STUDY", "SERIES", "IMAGE", "IMAGE", "IMAGE"),
        *("SERIES", "SR DOCUMENT"),
    ]
    assert [each.next for each in found] == [0, 0, 7, 5, 6, 0, 0, 0]
    assert [each.lower for each in found] == [2, 3, 4, 0, 0, 0, 8, 0]
    assert all(each.in_use for each in found)


def test_the_file_and_instance_of_a_record_are_read_without_padding() -> None:
    found = read_one(image("1.2.3", file="A/BC/D"))

    assert found.file_id == b"A\\BC\\D"
    assert found.sop_instance_uid == b"1.2.3"


def test_the_title_of_a_document_is_the_meaning_of_its_first_code() -> None:
    document = read_all(rich_medium())[-1]

    assert document.attributes.text(tags.CONCEPT_NAME_CODE_SEQUENCE) == (
        "Radiology Report"
    )


def test_icons_and_private_sequences_are_not_kept() -> None:
    found = read_all(rich_medium())

    kept = {tag for each in found for tag in each.attributes.values}
    assert not {0x00880200, 0x00091001, 0x00E11002} & kept


def test_a_large_icon_is_not_read() -> None:
    big = [{"PixelData": Raw("OB", bytes(5_000_000))}]
    layout = build_layout([image("1.2.3", IconImageSequence=big)])
    source = CountingSource(layout.data)
    [offset] = layout.offsets.values()

    read_record(Window(source, 4096), offset, EXPLICIT_LITTLE, source.size)

    assert source.bytes_read <= 3 * 4096


def test_what_follows_a_private_sequence_is_read() -> None:
    found = read_one(
        patient(
            "Doe^Jane",
            "12345",
            attributes={0x00090010: "ELSCINT1", 0x00091001: PRIVATE},
        ),
        undefined_items=True,
    )

    assert found.attributes.text(tags.PATIENT_ID) == "12345"


def test_elements_out_of_order_are_read() -> None:
    medium = rich_medium()

    found = read_all(medium, element_order=lambda each: reversed(each))

    assert found == read_all(medium)


IN_USE_FLAGS = pytest.mark.parametrize(
    ("flag", "in_use"),
    [
        (IN_USE, True),
        (0, False),
        (1, True),
        (0x00FF, True),
        (OMIT, True),
        (None, True),
    ],
    ids=["FFFF", "0000", "0001", "00FF", "missing", "empty"],
)


@IN_USE_FLAGS
def test_only_zero_makes_a_record_inactive(flag: Value, in_use: bool) -> None:
    assert read_one(patient("Doe", "1", in_use=flag)).in_use is in_use


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("PATIENT", "PATIENT"),
        (b"patient ", "PATIENT"),
        (b" Patient\0\0\0", "PATIENT"),
        (b"SR  DOCUMENT", "SR DOCUMENT"),
        (b"", ""),
        (OMIT, ""),
        (b"\xff\xfe", "ŸÞ"),
    ],
    ids=["plain", "lower", "padded", "blanks", "empty", "missing", "bytes"],
)
def test_record_types_are_normalised(written: Value, read: str) -> None:
    assert read_one(record(written)).type == read


@pytest.mark.parametrize("link", [OMIT, None, 0], ids=["missing", "empty", "zero"])
def test_a_link_that_is_not_there_leads_nowhere(link: Value) -> None:
    found = read_one(patient("Doe", "1", next=link, lower=link))

    assert (found.next, found.lower) == (0, 0)


@pytest.mark.parametrize(
    ("link", "target"),
    [
        (Raw("US", b"\0\0"), 0),
        (Raw("UL", bytes(8)), 0),
        (Raw("UL", b"\0" * 100_000, length=0xFFFF), 0),
    ],
    ids=["short", "two-values", "overlong"],
)
def test_a_link_of_an_odd_length_is_no_trouble(link: Value, target: int) -> None:
    assert read_one(patient("Doe", "1", lower=link)).lower == target


LENGTH_ERRORS = pytest.mark.parametrize("error", [24, 10_000, 0x7FFFFFF0])


@LENGTH_ERRORS
def test_a_record_that_claims_to_go_on_behind_the_file_is_cut_there(
    error: int,
) -> None:
    found = read_one(patient("Doe", "1", length_error=error))

    assert found.attributes.text(tags.PATIENT_ID) == "1"


def test_a_record_that_is_cut_off_keeps_what_is_whole() -> None:
    layout = build_layout([patient("Doe", "12345678")])
    data = layout.data[:-4]

    found = read_record(
        Window(BytesSource(data)),
        next(iter(layout.offsets.values())),
        EXPLICIT_LITTLE,
        len(data),
    )

    assert found.attributes.text(tags.PATIENT_NAME) == "Doe"
    assert found.attributes.text(tags.PATIENT_ID) == ""


def test_a_value_too_long_to_be_a_name_is_not_read() -> None:
    found = read_one(patient(Raw("LT", b"x" * 60_000), "1"))

    assert found.attributes.text(tags.PATIENT_NAME) == ""
    assert found.attributes.text(tags.PATIENT_ID) == "1"


@pytest.mark.parametrize("vr", ["LO", "ST", "UN", "UI"])
def test_the_vr_of_a_file_id_does_not_matter(vr: str) -> None:
    found = read_one(image("1.2", file=Raw(vr, b"A\\B "), path="A/B"))

    assert found.file_id == b"A\\B"


@pytest.mark.parametrize("shift", [-8, -1, 1, 8, 4])
def test_where_no_item_begins_is_no_record(shift: int) -> None:
    layout = build_layout([patient("Doe", "1")])
    offset = next(iter(layout.offsets.values())) + shift
    window = Window(BytesSource(layout.data))

    with pytest.raises(DirectoryError, match="no directory record begins"):
        read_record(window, offset, EXPLICIT_LITTLE, len(layout.data))


@pytest.mark.parametrize("offset", [0, -1, 10**6, 0xFFFFFFFF])
def test_an_offset_outside_the_file_is_no_record(offset: int) -> None:
    data = build_layout([patient("Doe", "1")]).data

    with pytest.raises(DirectoryError, match="no directory record begins"):
        read_record(Window(BytesSource(data)), offset, EXPLICIT_LITTLE, len(data))


def test_what_comes_before_the_damage_of_a_record_counts() -> None:
    open_ended = bytes.fromhex("09000110") + b"SQ\0\0" + b"\xff" * 4
    layout = build_layout([patient("Doe", "1", tail=open_ended)])
    [offset] = layout.offsets.values()
    window = Window(BytesSource(layout.data))

    record = read_record(window, offset, EXPLICIT_LITTLE, len(layout.data))

    assert record.damage
    assert record.attributes.raw(tags.PATIENT_ID) == b"1"


def test_a_record_that_is_damaged_before_its_type_is_read_all_the_same() -> None:
    open_ended = {0x00041401: Raw("SQ", b"", 0xFFFFFFFF)}
    layout = build_layout([patient("Doe", "1", attributes=open_ended)])
    [offset] = layout.offsets.values()
    window = Window(BytesSource(layout.data))

    record = read_record(window, offset, EXPLICIT_LITTLE, len(layout.data))

    assert record.type == "PATIENT"
    assert record.attributes.text(tags.PATIENT_ID) == "1"
    assert record.damage


@pytest.mark.parametrize(
    ("record_type", "level"),
    [
        ("PATIENT", Level.PATIENT),
        ("STUDY", Level.STUDY),
        ("SERIES", Level.SERIES),
        ("IMAGE", Level.INSTANCE),
        ("WF PRESENTATION", Level.INSTANCE),
        ("CURVE", Level.INSTANCE),
        ("SOMETHING NEW", Level.INSTANCE),
        ("", Level.INSTANCE),
        ("HANGING PROTOCOL", Level.OTHER),
        ("INVENTORY", Level.OTHER),
        ("PRIVATE", Level.OTHER),
        ("TOPIC", Level.OTHER),
    ],
)
def test_the_type_says_on_which_level_a_record_stands(
    record_type: str, level: Level
) -> None:
    assert read_one(record(record_type)).level is level


@given(st.binary(max_size=400), st.integers(0, 500))
def test_any_bytes_are_a_record_or_a_directory_error(data: bytes, offset: int) -> None:
    data = data[:offset] + b"\xfe\xff\x00\xe0" + data[offset:]

    try:
        found = read_record(
            Window(BytesSource(data)), offset, EXPLICIT_LITTLE, len(data)
        )
    except DirectoryError:
        return

    assert found.offset == offset


@given(data=st.data())
def test_a_record_with_bytes_changed_is_a_record_or_a_directory_error(
    data: st.DataObject,
) -> None:
    layout = build_layout(rich_medium(), undefined_items=True, undefined_sequences=True)
    changed = bytearray(layout.data)
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(300, len(changed) - 1))
        changed[place] = data.draw(st.sampled_from([0, 1, 8, 0xFE, 0xFF, 0xE0, 0x53]))
    window = Window(BytesSource(bytes(changed)))
    models = Models(EXPLICIT_LITTLE, len(changed))

    for offset in layout.offsets.values():
        try:
            models.read(window, offset)
        except DirectoryError:
            continue
