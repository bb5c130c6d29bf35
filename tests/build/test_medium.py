"""The medium builder, judged by pydicom and by following links by hand."""

import struct
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset, uid
from pydicom.fileset import FileInstance, FileSet

from tests.build import medium as build
from tests.build.medium import (
    OMIT,
    Items,
    Options,
    Raw,
    Record,
    breadth_first,
    build_dicomdir,
    build_layout,
    code,
    depth_first,
    element_bytes,
    icon,
    image,
    instance_bytes,
    large_dicomdir,
    leaf,
    patient,
    record,
    series,
    study,
    write_medium,
)


def good_medium() -> list[Record]:
    """Two patients, in character sets of their own, with nested sequences."""
    images = [image(f"1.2.3.1.{n}", number=n, Rows=512) for n in range(1, 4)]
    document = leaf(
        "SR DOCUMENT",
        "1.2.3.2.1",
        ContentDate="20230705",
        ContentTime="1201",
        CompletionFlag="COMPLETE",
        VerificationFlag="UNVERIFIED",
        ConceptNameCodeSequence=code("11528-7", "LN", "Radiology Report"),
    )
    return [
        patient(
            "Müller^Jürgen",
            "1",
            [
                study(
                    "1.2.3",
                    [
                        series("1.2.3.1", images, IconImageSequence=icon()),
                        series("1.2.3.2", [document], number=2, modality="SR"),
                    ],
                    description="CT Thorax",
                )
            ],
            SpecificCharacterSet="ISO_IR 100",
        ),
        patient(
            "Yamada^Tarou=山田^太郎",
            "2",
            [study("1.2.4", [series("1.2.4.1", [image("1.2.4.1.1")])])],
            SpecificCharacterSet=["", "ISO 2022 IR 87"],
        ),
    ]


def parse(data: bytes) -> list[Dataset]:
    """Return the records as pydicom reads them."""
    dataset = pydicom.dcmread(BytesIO(data))
    return list(dataset.DirectoryRecordSequence)


def follow(data: bytes) -> Iterator[tuple[int, Dataset]]:
    """Yield depth and record along the links of a DICOMDIR."""
    dataset = pydicom.dcmread(BytesIO(data))
    at = {item.seq_item_tell: item for item in dataset.DirectoryRecordSequence}
    waiting = [(0, dataset.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity)]
    while waiting:
        depth, offset = waiting.pop()
        if offset == 0:
            continue
        item = at.pop(offset)  # each record is reached once
        yield depth, item
        waiting.append((depth, item.OffsetOfTheNextDirectoryRecord))
        lower = item.OffsetOfReferencedLowerLevelDirectoryEntity
        waiting.append((depth + 1, lower))
    assert not at


def types(data: bytes) -> list[tuple[int, str]]:
    """Return depth and type of the records along the links."""
    return [(depth, item.DirectoryRecordType) for depth, item in follow(data)]


GOOD_TYPES = [
    (0, "PATIENT"),
    (1, "STUDY"),
    (2, "SERIES"),
    (3, "IMAGE"),
    (3, "IMAGE"),
    (3, "IMAGE"),
    (2, "SERIES"),
    (3, "SR DOCUMENT"),
    (0, "PATIENT"),
    (1, "STUDY"),
    (2, "SERIES"),
    (3, "IMAGE"),
]

ENCODINGS = {"explicit": (True, True), "implicit": (False, True), "big": (True, False)}
COMBINATIONS = [
    pytest.param(
        Options(
            explicit=ENCODINGS[name][0],
            little_endian=ENCODINGS[name][1],
            undefined_sequences=sequences,
            undefined_items=items,
        ),
        id=f"{name}-{'undefined' if sequences else 'defined'}-sequences"
        f"-{'undefined' if items else 'defined'}-items",
    )
    for name, sequences, items in product(ENCODINGS, (False, True), (False, True))
]


# -- the DICOMDIR --------------------------------------------------------------------


@pytest.mark.parametrize("options", COMBINATIONS)
def test_each_encoding_holds_the_same_records(options: Options) -> None:
    plain = [dict(item) for item in parse(build_dicomdir(good_medium()))]
    links = {0x00041400, 0x00041420}
    pixels = 0x7FE00010  # its VR is pydicom's guess in implicit VR

    for item, other in zip(
        parse(build_dicomdir(good_medium(), **options)), plain, strict=True
    ):
        assert set(item.keys()) == set(other)
        for tag in item.keys() - links - {0x00880200}:
            assert item[tag].value == Dataset(other)[tag].value
        for ours, theirs in zip(
            item.get("IconImageSequence", []),
            Dataset(other).get("IconImageSequence", []),
            strict=True,
        ):
            assert ours[pixels].value == theirs[pixels].value == bytes(4)


@pytest.mark.parametrize("options", COMBINATIONS)
def test_offsets_are_where_pydicom_finds_the_items(options: Options) -> None:
    layout = build_layout(good_medium(), **options)

    found = [item.seq_item_tell for item in parse(layout.data)]

    assert found == list(layout.offsets.values())


@pytest.mark.parametrize("options", COMBINATIONS)
def test_links_lead_through_all_records(options: Options) -> None:
    assert types(build_dicomdir(good_medium(), **options)) == GOOD_TYPES


@pytest.mark.parametrize(
    "order",
    [list, reversed, breadth_first, lambda records: records[1::2] + records[::2]],
    ids=["depth-first", "reversed", "breadth-first", "odd-ones-first"],
)
def test_links_do_not_depend_on_the_order_in_the_file(
    order: Any,  # the type is the builder's to check
) -> None:
    assert types(build_dicomdir(good_medium(), record_order=order)) == GOOD_TYPES


def test_breadth_first_puts_parents_before_all_children() -> None:
    data = build_dicomdir(good_medium(), record_order=breadth_first)

    assert [item.DirectoryRecordType for item in parse(data)][:5] == [
        *["PATIENT", "PATIENT", "STUDY", "STUDY", "SERIES"]
    ]


def test_an_order_that_drops_a_record_is_refused() -> None:
    with pytest.raises(ValueError, match="each record once"):
        build_dicomdir(good_medium(), record_order=lambda records: records[1:])


def test_a_record_in_two_places_is_refused() -> None:
    shared = image("1.2")

    with pytest.raises(ValueError, match="in two places"):
        build_dicomdir([series("1", [shared]), series("2", [shared])])


def test_an_empty_medium_has_no_first_record() -> None:
    assert list(follow(build_dicomdir([]))) == []


@pytest.mark.slow
def test_a_deep_chain_of_records_is_built() -> None:
    root = deepest = record("PRIVATE")
    for _ in range(1500):
        deepest.children = [record("PRIVATE")]
        deepest = deepest.children[0]

    assert len(types(build_dicomdir([root]))) == 1501


def test_defined_and_undefined_items_mix() -> None:
    medium = good_medium()
    for each in depth_first(medium)[::2]:
        each.undefined_length = True
    layout = build_layout(medium)

    lengths = [
        struct.unpack_from("<L", layout.data, at + 4)[0]
        for at in layout.offsets.values()
    ]

    assert [length == build.UNDEFINED_LENGTH for length in lengths] == [True, False] * 6
    assert types(layout.data) == GOOD_TYPES


def test_a_nested_sequence_may_have_length_forms_of_its_own() -> None:
    nested = Items(code("1", "99X", "One"), undefined_sequence=True)
    data = build_dicomdir([leaf("SR DOCUMENT", "1.2", ConceptNameCodeSequence=nested)])

    assert parse(data)[0].ConceptNameCodeSequence[0].CodeMeaning == "One"
    assert data.count(b"\xfe\xff\xdd\xe0") == 1
    assert b"\xfe\xff\x0d\xe0" not in data


def test_text_is_in_the_character_set_of_its_record() -> None:
    data = build_dicomdir(good_medium())

    names = [str(i.PatientName) for i in parse(data) if "PatientName" in i]
    assert names == ["Müller^Jürgen", "Yamada^Tarou=山田^太郎"]
    assert "Müller".encode("latin-1") in data
    assert b"\x1b$B" in data


def test_text_without_a_character_set_must_be_given_as_bytes(
    expect_log: Callable[[str], None],
) -> None:
    expect_log("Failed to encode")
    with pytest.raises(ValueError, match="needs a Specific Character Set"):
        build_dicomdir([patient("Müller", "1")])
    with pytest.raises(ValueError, match="does not fit"):
        build_dicomdir([patient("山田", "1", SpecificCharacterSet="ISO_IR 100")])
    assert "Müller".encode() in build_dicomdir([patient("Müller".encode(), "1")])


def test_an_unknown_character_set_is_written_as_it_is() -> None:
    data = build_dicomdir([patient("A", "1", SpecificCharacterSet="ISO_IR 999")])

    assert b"ISO_IR 999" in data


def test_none_is_empty_and_omit_is_absent() -> None:
    item = parse(build_dicomdir([patient(None, OMIT)]))[0]

    assert item["PatientName"].is_empty
    assert "PatientID" not in item


@pytest.mark.parametrize(
    ("change", "tag"),
    [
        ({"record_type": OMIT}, 0x00041430),
        ({"in_use": OMIT}, 0x00041410),
        ({"next": OMIT}, 0x00041400),
        ({"lower": OMIT}, 0x00041420),
        ({"file": OMIT}, 0x00041500),
        ({"ReferencedSOPInstanceUIDInFile": OMIT}, 0x00041511),
    ],
    ids=["type", "in-use-flag", "next", "lower", "file", "sop-instance"],
)
def test_each_structural_element_can_be_left_out(
    change: dict[str, build.Value], tag: int
) -> None:
    item = parse(build_dicomdir([record("X", [], **({"file": "A"} | change))]))[0]

    assert tag not in item


def test_raw_values_keep_their_vr_and_length() -> None:
    odd = Raw("LO", b"DICOM\\A")
    lie = Raw("UN", element_bytes("PatientID", "1", explicit=False), 0xFFFFFFFF)
    data = build_dicomdir([record("X", file=odd), record("Y", PatientID=lie)])

    assert b"\x04\0\0\x15LO\x07\0DICOM\\A" in data
    assert b"\x10\0\x20\0UN\0\0\xff\xff\xff\xff\x10\0\x20\0\x02\0\0\x001 " in data


def test_file_ids_have_the_separator_of_the_standard() -> None:
    data = build_dicomdir([image("1", file="A/B/C"), image("2", file=b"D/E")])

    assert [item.ReferencedFileID for item in parse(data)] == [["A", "B", "C"], "D/E"]


def test_private_and_group_length_elements_can_be_given_by_tag() -> None:
    private: dict[int, build.Value] = {
        0x00080000: 10,
        0x00090010: "MAKER",
        0x00091001: b"abc",
        0x00091002: [{"CodeValue": "1"}],
    }
    item = parse(build_dicomdir([patient("A", "1", attributes=private)]))[0]

    assert item[0x00080000].value == 10
    assert item[0x00090010].VR == "LO"
    assert item[0x00091001].value == b"abc\0"
    assert item[0x00091002].value[0].CodeValue == "1"


def test_numbers_are_written_in_the_byte_order() -> None:
    values: dict[str, build.Value] = {
        "NumberOfReferences": 3,
        "RecommendedDisplayFrameRateInFloat": 2.5,
        "GrayLookupTableDescriptor": [256, 0, 16],
    }
    for little_endian in (True, False):
        data = build_dicomdir([record("X", [], **values)], little_endian=little_endian)
        item = parse(data)[0]

        assert item.NumberOfReferences == 3
        assert item.RecommendedDisplayFrameRateInFloat == 2.5
        assert item.GrayLookupTableDescriptor == [256, 0, 16]


def test_elements_come_in_the_order_asked_for() -> None:
    data = build_dicomdir([patient("A", "1")], element_order=reversed)

    assert data.index(b"\x10\0\x20\0LO") < data.index(b"\x04\0\x30\x14CS")
    assert types(data) == [(0, "PATIENT")]


# -- breakages -----------------------------------------------------------------------


def written_links(data: bytes) -> list[tuple[int, int]]:
    """Return the links of each record as written."""
    return [
        (
            item.OffsetOfTheNextDirectoryRecord,
            item.OffsetOfReferencedLowerLevelDirectoryEntity,
        )
        for item in parse(data)
    ]


def test_a_hook_sees_the_true_links_and_says_what_is_written() -> None:
    true = written_links(build_dicomdir(good_medium()))
    data = build_dicomdir(
        good_medium(), links=lambda _, n, low: (n and n - 22, low and low - 22)
    )

    assert written_links(data) == [(n and n - 22, low and low - 22) for n, low in true]


def test_links_can_be_left_out_where_they_are_zero() -> None:
    layout = build_layout(
        good_medium(), links=lambda _, n, low: (n or OMIT, low or OMIT)
    )
    items = parse(layout.data)

    assert [item.seq_item_tell for item in items] == list(layout.offsets.values())
    for item in items:
        assert item.get("OffsetOfTheNextDirectoryRecord") != 0
        assert item.get("OffsetOfTheNextDirectoryRecord", 1) in {
            1,
            *layout.offsets.values(),
        }


def test_a_link_can_name_any_record() -> None:
    first, second = patient("A", "1"), patient("B", "2")
    second.next = first
    first.lower = second
    layout = build_layout([first, second])

    assert written_links(layout.data) == [
        (layout.offsets[second], layout.offsets[second]),
        (layout.offsets[first], 0),
    ]


def test_a_record_that_nobody_names_can_be_referred_to() -> None:
    shared = record("MRDR", file="A", NumberOfReferences=1)
    user = record("IMAGE", MRDRDirectoryRecordOffset=shared)
    layout = build_layout([user], unlinked=[shared])

    assert parse(layout.data)[0].MRDRDirectoryRecordOffset == layout.offsets[shared]
    assert list(layout.offsets) == [user, shared]


def test_the_children_of_an_unlinked_record_are_linked() -> None:
    images = [image("1"), image("2")]
    layout = build_layout([], unlinked=[series("3", images)])

    assert written_links(layout.data)[1] == (layout.offsets[images[1]], 0)


def test_the_root_can_name_anything() -> None:
    medium = good_medium()
    data = build_dicomdir(medium, first=12345, last=None)
    dataset = pydicom.dcmread(BytesIO(data))

    assert dataset.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity == 12345
    assert dataset[0x00041202].is_empty
    assert [item.seq_item_tell for item in dataset.DirectoryRecordSequence] == list(
        build_layout(medium, first=medium[1], last=None).offsets.values()
    )


def test_links_that_never_rest_are_refused() -> None:
    calls = iter(range(10**6))

    with pytest.raises(ValueError, match="move the records"):
        build_dicomdir(
            [patient("A", "1")],
            links=lambda *_: (0, Raw("UL", bytes(4 * next(calls)))),
            unlinked=[patient("B", "2")],
        )


def test_length_errors_and_tails_are_written() -> None:
    last = image("1.2", tail=b"JUNK", length_error=24)
    layout = build_layout([last], sequence_length_error=-2)
    start = layout.offsets[last]
    item_length = struct.unpack_from("<L", layout.data, start + 4)[0]
    sequence_length = struct.unpack_from("<L", layout.data, start - 4)[0]

    assert layout.data.endswith(b"JUNK")
    assert item_length == len(layout.data) - start - 8 + 24
    assert sequence_length == len(layout.data) - start - 2


def test_prefix_meta_and_trailing_bytes_can_be_anything() -> None:
    bare = build_layout(good_medium(), prefix=b"", meta=None)
    padded = build_dicomdir(good_medium(), trailing=bytes(2048))

    assert bare.data.startswith(b"\x04\0\x30\x11CS")
    assert pydicom.dcmread(BytesIO(bare.data), force=True)[0x00041220].value[
        0
    ].seq_item_tell == next(iter(bare.offsets.values()))
    assert padded[:-2048] == build_dicomdir(good_medium())


def test_meta_elements_can_be_changed() -> None:
    meta: dict[str, build.Value] = {
        "MediaStorageSOPClassUID": "1.2.276.0.7230010.3.1.0.1",
        "MediaStorageSOPInstanceUID": "1.2.3.4",
        "ImplementationVersionName": OMIT,
    }
    found = pydicom.dcmread(BytesIO(build_dicomdir([], meta=meta))).file_meta

    assert found.MediaStorageSOPClassUID == "1.2.276.0.7230010.3.1.0.1"
    assert found.MediaStorageSOPInstanceUID == "1.2.3.4"
    assert "ImplementationVersionName" not in found
    assert build_dicomdir([], meta={0x00020000: 7})[140:144] == b"\7\0\0\0"


def test_meta_may_name_another_transfer_syntax(
    expect_log: Callable[[str], None],
) -> None:
    expect_log("Expected implicit VR")
    meta: dict[str, build.Value] = {"TransferSyntaxUID": uid.ImplicitVRLittleEndian}
    data = build_dicomdir(good_medium(), meta=meta)

    with pytest.warns(UserWarning, match="Expected implicit VR"):
        items = parse(data)

    assert len(items) == len(GOOD_TYPES)


def test_top_level_elements_can_be_changed() -> None:
    top: dict[str, build.Value] = {
        "FileSetID": "MYDISC",
        "FileSetConsistencyFlag": 0xFFFF,
        "DirectoryRecordSequence": OMIT,
        "PatientName": "Stray",
    }
    dataset = pydicom.dcmread(BytesIO(build_dicomdir([], top_level=top)))

    assert dataset.FileSetID == "MYDISC"
    assert dataset.FileSetConsistencyFlag == 0xFFFF
    assert "DirectoryRecordSequence" not in dataset
    assert dataset.PatientName == "Stray"


def test_a_misspelt_keyword_is_refused() -> None:
    with pytest.raises(ValueError, match="PatientNmae is neither"):
        record("PATIENT", PatientNmae="A")


# -- instances -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ExplicitVRLittleEndian,
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.JPEG2000Lossless,
    ],
    ids=lambda syntax: syntax.name.replace(" ", "-"),
)
def test_an_instance_is_read_in_each_transfer_syntax(syntax: uid.UID) -> None:
    data = instance_bytes(
        {"SOPInstanceUID": "1.2.3"},
        syntax=syntax,
        size=1000,
        PatientName="Müller",
        SpecificCharacterSet="ISO_IR 192",
        ConceptNameCodeSequence=code("1", "99X", "One"),
    )
    dataset = pydicom.dcmread(BytesIO(data))

    assert dataset.file_meta.TransferSyntaxUID == syntax
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert dataset.PatientName == "Müller"
    assert dataset.ConceptNameCodeSequence[0].CodeMeaning == "One"
    assert len(dataset.PixelData) == 1000 + 16 * syntax.is_encapsulated


def test_the_pixels_of_an_instance_can_be_decoded_by_their_size() -> None:
    dataset = pydicom.dcmread(BytesIO(instance_bytes()))

    assert len(dataset.PixelData) == dataset.Rows * dataset.Columns == 256


def test_pixels_follow_from_the_sop_instance_uid() -> None:
    first, second = (instance_bytes(SOPInstanceUID=f"1.{n}") for n in (1, 2))

    assert first == instance_bytes(SOPInstanceUID="1.1")
    assert first[-256:] != second[-256:]


def test_an_instance_need_not_have_pixels() -> None:
    dataset = pydicom.dcmread(BytesIO(instance_bytes(size=None)))

    assert "Rows" not in dataset
    assert "PixelData" not in dataset


# -- the medium ----------------------------------------------------------------------


def load(dicomdir: Path) -> list[FileInstance]:
    """Return the instances that pydicom finds."""
    file_set = FileSet(dicomdir)
    file_set._stage["t"].cleanup()  # else a ResourceWarning, some time later
    return list(file_set)


def test_pydicom_finds_each_instance_of_a_good_medium(tmp_path: Path) -> None:
    written = write_medium(tmp_path, good_medium())

    instances = load(written.dicomdir)

    assert {Path(instance.path) for instance in instances} == set(
        written.files.values()
    )
    assert len(instances) == 5
    for instance in instances:
        loaded = instance.load()
        for keyword in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID"):
            assert loaded[keyword].value == getattr(instance, keyword)
        assert loaded.SOPInstanceUID == instance.SOPInstanceUID
        assert str(loaded.PatientName) == str(instance.PatientName)


def test_a_header_agrees_with_its_records(tmp_path: Path) -> None:
    one = image("1.2.3.1.17", number=17, file="DICOM/P0000001/S0000003/I0000017")
    medium = [
        patient(
            "Doe^Jane",
            "12345",
            [
                study(
                    "1.2.3",
                    [series("1.2.3.1", [one], header_description="Lung 1.0")],
                    description="CT Thorax",
                )
            ],
        )
    ]
    write_medium(tmp_path, medium)
    header = pydicom.dcmread(tmp_path / "DICOM/P0000001/S0000003/I0000017")

    assert header.PatientName == "Doe^Jane"
    assert header.StudyDescription == "CT Thorax"
    assert header.SeriesDescription == "Lung 1.0"
    assert header.InstanceNumber == 17
    assert header.SOPInstanceUID == "1.2.3.1.17"
    assert not header.group_dataset(4)
    assert b"Lung" not in build_dicomdir(medium)


def test_a_header_may_say_something_else(tmp_path: Path) -> None:
    one = image("1", size=None, header={"PatientID": "9", "InstanceNumber": OMIT})
    written = write_medium(tmp_path, [patient("A", "1", [one])])

    header = pydicom.dcmread(written.files[one])

    assert header.PatientID == "9"
    assert "InstanceNumber" not in header
    assert "PixelData" not in header


def test_a_file_is_in_the_transfer_syntax_of_its_record(tmp_path: Path) -> None:
    syntax = uid.DeflatedExplicitVRLittleEndian
    one = image("1", ReferencedTransferSyntaxUIDInFile=syntax)
    written = write_medium(tmp_path, [one])

    assert pydicom.dcmread(written.files[one]).file_meta.TransferSyntaxUID == syntax


def names(root: Path) -> set[str]:
    """Return the path of each file below *root*."""
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_files_can_be_elsewhere_or_nowhere(tmp_path: Path) -> None:
    medium = [
        image("1", file="A/B"),
        image("2", file="A/C", path="other/c.dcm"),
        image("3", file="A/D", path=None),
        image("4", file=b"/X\\\\./Y "),
        image("5", file="../up", path=None),
        record("HL7 STRUC DOC", file="DOC", content=b"<xml/>"),
    ]
    written = write_medium(
        tmp_path, medium, rename=lambda path: path.lower() + ";1", dicomdir="s/dicomdir"
    )

    assert names(tmp_path) == {
        "s/dicomdir",
        "a/b;1",
        "other/c.dcm",
        "x/y;1",
        "doc;1",
    }
    assert written.files[medium[5]].read_bytes() == b"<xml/>"


def test_no_file_is_written_outside_the_medium(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leaves the medium"):
        write_medium(tmp_path / "medium", [image("1", file="../up")])


def test_a_header_may_say_what_no_record_says(tmp_path: Path) -> None:
    one, other = image("1", file="A"), image("2", file="B")
    above = series("3", [one, other])
    above.say(PatientID="47")
    other.say(PatientID="11", SeriesInstanceUID=OMIT)
    written = write_medium(tmp_path, [above])

    first, second = [pydicom.dcmread(written.files[each]) for each in (one, other)]

    assert (first.PatientID, first.SeriesInstanceUID) == ("47", "3")
    assert (second.PatientID, "SeriesInstanceUID" in second) == ("11", False)


def test_what_is_left_of_a_dicomdir_is_written_and_all_files(tmp_path: Path) -> None:
    one, other = image("1", file="A"), image("2", file="B")
    written = write_medium(
        tmp_path,
        [one, other],
        damage=lambda layout: layout.data[: layout.offsets[other]],
    )

    whole = build_layout([one, other])
    assert written.dicomdir.read_bytes() == whole.data[: whole.offsets[other]]
    assert written.layout.offsets == whole.offsets
    assert names(tmp_path) == {"DICOMDIR", "A", "B"}


def test_two_records_may_share_a_file(tmp_path: Path) -> None:
    one, other = image("1", file="A"), image("2", file="A")
    written = write_medium(tmp_path, [one, other])

    assert written.files[one] == written.files[other]
    assert pydicom.dcmread(tmp_path / "A").SOPInstanceUID == "1"


def test_an_instance_without_a_uid_in_its_record_gets_one(tmp_path: Path) -> None:
    medium = [image(OMIT, file="A"), image(None, file="B")]
    written = write_medium(tmp_path, medium)

    found = [pydicom.dcmread(path).SOPInstanceUID for path in written.files.values()]

    assert all(found)
    assert len(set(found)) == 2


# -- a very large medium -------------------------------------------------------------


def count_types(found: Iterable[tuple[int, str]]) -> dict[str, int]:
    """Count the records of each type."""
    kinds = [kind for _, kind in found]
    return {kind: kinds.count(kind) for kind in kinds}


@pytest.mark.parametrize(
    ("records", "patients", "images_per_series"),
    [(3, 1, 5), (4, 1, 5), (100, 1, 10), (100, 7, 3), (1000, 3, 500)],
)
def test_a_large_medium_is_linked_throughout(
    tmp_path: Path, records: int, patients: int, images_per_series: int
) -> None:
    counts = large_dicomdir(
        tmp_path,
        records=records,
        patients=patients,
        images_per_series=images_per_series,
    )
    data = (tmp_path / "DICOMDIR").read_bytes()
    found = types(data)

    assert len(found) == records
    assert count_types(found) == {
        "PATIENT": counts.patients,
        "STUDY": counts.studies,
        "SERIES": counts.series,
    } | ({"IMAGE": counts.images} if counts.images else {})
    assert {depth for depth, kind in found if kind == "IMAGE"} <= {3}
    assert counts.size == len(data)
    assert counts.images <= counts.series * images_per_series


def test_a_large_medium_has_its_files(tmp_path: Path) -> None:
    counts = large_dicomdir(tmp_path, records=60, patients=3, files=True)

    instances = load(tmp_path / "DICOMDIR")

    assert len(instances) == counts.images == 60 - 3 * 3
    assert all(Path(instance.path).is_file() for instance in instances)
    assert len(names(tmp_path)) == counts.images + 1
    assert len({instance.SOPInstanceUID for instance in instances}) == counts.images


def test_a_large_medium_of_too_few_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too few"):
        large_dicomdir(tmp_path, records=8, patients=3)
