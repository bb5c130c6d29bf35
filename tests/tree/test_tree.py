"""The tree that people see, of whole media."""

import errno
import hashlib
import os
import re
import time
from calendar import timegm
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random

import pydicom
import pytest

from dicomfs.tree.selection import Instance, Selection
from tests.build.medium import (
    INACTIVE,
    OMIT,
    Record,
    Value,
    build_dicomdir,
    code,
    image,
    large_dicomdir,
    leaf,
    patient,
    record,
    series,
    study,
    write_medium,
)
from tests.conftest import ExpectLog
from tests.support.trees import (
    SAMPLES,
    CountingMedium,
    FakeMedium,
    as_text,
    at_depth,
    files,
    folders,
    look,
    look_at,
    opened,
    walk,
)


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def sha(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def nanoseconds(*when: int) -> int:
    parts = [*when, 0, 0, 0][:6]
    return timegm((*parts, 0, 0, 0)) * 10**9


def in_series(*instances: Record, **more: Value) -> list[Record]:
    """Return a medium of one series."""
    one = series("1.2.3", instances, description="Lung 1.0", number=2, **more)
    return [patient("Doe^Jane", "12345", [study("1.2", [one], description="CT")])]


SERIES = "Doe, Jane (12345)/2023-07-05 CT/002 CT Lung 1.0"


def whole_medium() -> list[Record]:
    """Return two patients, as a hospital writes them."""
    lung = [image(f"1.2.3.{n}", number=n) for n in (1, 2, 17)]
    report = leaf(
        "SR DOCUMENT",
        "1.2.4.1",
        ConceptNameCodeSequence=code("11528-7", "LN", "Radiology Report"),
    )
    return [
        patient(
            "Doe^Jane^Q",
            "12345",
            [
                study(
                    "1.2",
                    [
                        series("1.2.3", lung, number=2, header_description="Lung 1.0"),
                        series("1.2.4", [report], number=3, modality="SR"),
                    ],
                    description="CT Thorax",
                )
            ],
        ),
        patient(
            "Yamada^Tarou=山田^太郎",
            "6",
            [study("1.3", [series("1.3.1", [image("1.3.1.1")])], date="20240101")],
            SpecificCharacterSet=["", "ISO 2022 IR 87"],
        ),
    ]


def test_a_whole_medium_becomes_patients_studies_and_series(tmp_path: Path) -> None:
    seen = look_at(tmp_path, whole_medium())

    assert list(seen) == [
        "Doe, Jane Q (12345)",
        "Doe, Jane Q (12345)/2023-07-05 CT Thorax",
        "Doe, Jane Q (12345)/2023-07-05 CT Thorax/002 CT Lung 1.0",
        "Doe, Jane Q (12345)/2023-07-05 CT Thorax/002 CT Lung 1.0/0001.dcm",
        "Doe, Jane Q (12345)/2023-07-05 CT Thorax/002 CT Lung 1.0/0002.dcm",
        "Doe, Jane Q (12345)/2023-07-05 CT Thorax/002 CT Lung 1.0/0017.dcm",
        "Doe, Jane Q (12345)/2023-07-05 CT Thorax/003 SR",
        "Doe, Jane Q (12345)/2023-07-05 CT Thorax/003 SR/0001 SR Radiology Report.dcm",
        "Yamada, Tarou 山田 太郎 (6)",
        "Yamada, Tarou 山田 太郎 (6)/2024-01-01 Study 1",
        "Yamada, Tarou 山田 太郎 (6)/2024-01-01 Study 1/001 CT",
        "Yamada, Tarou 山田 太郎 (6)/2024-01-01 Study 1/001 CT/0001.dcm",
    ]


def test_files_have_the_bytes_size_and_time_that_the_medium_has(
    tmp_path: Path,
) -> None:
    lung = image("1.2.3.17", number=17)
    written = write_medium(tmp_path, in_series(lung))
    os.utime(written.files[lung], ns=(10**18, 10**18 + 5))

    found = look(tmp_path)[f"{SERIES}/0017.dcm"]

    assert found.data == written.files[lung].read_bytes()
    assert found.size == len(found.data)
    assert found.mtime_ns == 10**18 + 5


@pytest.mark.parametrize(
    "name", ["DICOMDIR-implicit", "DICOMDIR-bigEnd", "DICOMDIR-reordered"]
)
def test_the_variants_of_the_sample_show_the_identical_tree(name: str) -> None:
    expected = look(SAMPLES, dicomdir="DICOMDIR")

    found = look(SAMPLES, dicomdir=name)

    assert len(files(expected)) == 31
    assert as_text(found) == as_text(expected)


@pytest.mark.parametrize(
    ("folder", "dicomdir", "count"),
    [
        ("", "DICOMDIR", 31),
        ("", "DICOMDIR-nooffset", 31),
        ("", "DICOMDIR-empty.dcm", 0),
        ("TINY_ALPHA", "DICOMDIR", 50),
    ],
)
def test_the_samples_show_the_files_that_their_records_reference(
    folder: str, dicomdir: str, count: int
) -> None:
    root = SAMPLES / folder
    dataset = pydicom.dcmread(root / dicomdir)
    expected = [
        root.joinpath(*item.ReferencedFileID).read_bytes()
        for item in dataset.DirectoryRecordSequence
        if "ReferencedFileID" in item
    ]

    seen = look(root, dicomdir=dicomdir)

    assert len(files(seen)) == count
    assert sorted(seen[path].data for path in files(seen)) == sorted(expected)


def test_the_sample_with_a_broken_root_does_not_end_the_tree(
    expect_log: ExpectLog,
) -> None:
    expect_log("the first root record is not where it should be")

    with opened(SAMPLES, dicomdir="DICOMDIR-nopatient") as tree:
        assert tree.expand(tree.root)


def test_expanding_twice_gives_the_same(tmp_path: Path) -> None:
    write_medium(tmp_path, whole_medium())

    with opened(tmp_path) as tree:
        for _, node in [("", tree.root), *walk(tree.root)]:
            if isinstance(node, Selection):
                once, twice = (
                    [
                        (name, each.inode, each.mtime_ns)
                        for name, each in tree.expand(node).items()
                    ]
                    for _ in range(2)
                )
                assert once == twice


def test_names_and_inodes_are_the_same_whatever_was_visited_before(
    tmp_path: Path,
) -> None:
    write_medium(tmp_path, whole_medium())
    expected = {path: each.inode for path, each in look(tmp_path).items()}

    for seed in range(5):
        with opened(tmp_path) as tree:
            found = {}
            waiting = [("", tree.root)]
            random = Random(seed)
            while waiting:
                above, folder = waiting.pop(random.randrange(len(waiting)))
                for name, node in folder.children().items():
                    path = f"{above}/{name}".lstrip("/")
                    found[path] = node.inode
                    if isinstance(node, Selection):
                        waiting.append((path, node))

        assert found == expected


def test_inodes_are_unique_and_never_those_of_the_kernel(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("a record of a wrong level")
    expect_log("nothing links to a record")
    with_children = image("1.9", [leaf("PRIVATE", "1.10")], number=9)
    loose = [image(f"2.{n}") for n in range(3)]
    medium = [*whole_medium(), *in_series(with_children), *loose, record("PALETTE")]

    seen = look_at(tmp_path, medium)

    inodes = [each.inode for each in seen.values()]
    assert len(set(inodes)) == len(inodes)
    assert not {0, 1} & set(inodes)


# -- laziness --------------------------------------------------------------------------


def test_nothing_but_the_dicomdir_is_read_to_show_the_root(tmp_path: Path) -> None:
    write_medium(tmp_path, whole_medium())
    medium = CountingMedium(tmp_path)

    with opened(medium) as tree:
        tree.expand(tree.root)

        assert medium.opened == ["DICOMDIR"]
        assert set(medium.stated) == {"DICOMDIR"}


@pytest.mark.slow
def test_the_root_costs_the_same_whatever_the_size_of_the_medium(
    tmp_path: Path,
) -> None:
    costs = []
    for records in (1_000, 100_000):
        root = tmp_path / str(records)
        large_dicomdir(root, records=records, patients=20)
        medium = CountingMedium(root)
        with opened(medium) as tree:
            # And what belongs nowhere, as long as nobody knows whether there is any.
            assert len(tree.expand(tree.root)) == 20 + 1
            costs.append(medium.bytes_read)

    # At most a block of 64 KiB for each patient, and for header and root.
    assert costs[1] <= 23 * 64 * 1024


def test_a_study_opens_one_instance_a_series_and_looks_at_no_other(
    tmp_path: Path,
) -> None:
    several = [
        series(f"1.2.{n}", [image(f"1.2.{n}.{m}", number=m) for m in range(5)])
        for n in range(4)
    ]
    write_medium(tmp_path, [patient("Doe", "1", [study("1.2", several)])])
    medium = CountingMedium(tmp_path)

    with opened(medium) as tree:
        for path, node in walk(tree.root):
            if path.count("/") == 1 and isinstance(node, Selection):
                before = len(medium.opened)
                tree.expand(node)
                assert len(medium.opened) - before <= 4
                tree.expand(node)
        opens = len(medium.opened) - 1

    assert opens == 4


def test_a_series_looks_at_each_of_its_files_once_and_opens_none(
    tmp_path: Path,
) -> None:
    write_medium(tmp_path, in_series(*(image(f"1.{n}", number=n) for n in range(9))))
    medium = CountingMedium(tmp_path)

    with opened(medium) as tree:
        list(walk(tree.root))

    assert medium.opened == ["DICOMDIR"]
    assert len(medium.stated) - medium.stated.count("DICOMDIR") == 9


def test_a_large_instance_costs_no_more_to_name_its_series(tmp_path: Path) -> None:
    big = image("1.2.3.1", size=5_000_000)
    one = series("1.2.3", [big], header_description="Lung")
    write_medium(tmp_path, [patient("Doe", "1", [study("1.2", [one])])])
    medium = CountingMedium(tmp_path)

    with opened(medium) as tree:
        list(walk(tree.root))

    assert medium.bytes_read <= 256 * 1024


# -- series descriptions ---------------------------------------------------------------


def described(
    tmp_path: Path, more: dict[str, Value], *, read_headers: bool = True
) -> str:
    """Return the name of a series; *more* is of the series record."""
    made = series("1.2.3", [image("1.2.3.1")], **more)
    write_medium(tmp_path, [patient("Doe", "1", [study("1.2", [made])])])
    return at_depth(look(tmp_path, read_headers=read_headers), 2)[0]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"description": "Lung"}, "001 CT Lung"),
        ({"description": "Lung", "header_description": "no"}, "001 CT Lung"),
        ({"header_description": "Lung"}, "001 CT Lung"),
        ({"description": None, "header_description": "Lung"}, "001 CT Lung"),
        ({"description": " ", "header_description": "Lung"}, "001 CT Lung"),
        ({}, "001 CT"),
    ],
    ids=["record", "both", "header", "empty-record", "blank-record", "neither"],
)
def test_a_series_is_described_by_its_record_or_else_by_an_instance(
    tmp_path: Path, more: dict[str, Value], expected: str
) -> None:
    assert described(tmp_path, more) == expected


def test_an_option_keeps_the_instances_closed(tmp_path: Path) -> None:
    found = described(tmp_path, {"header_description": "Lung"}, read_headers=False)

    assert found == "001 CT"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({"path": None}, {}, "001 CT Lung"),
        ({"content": b"no DICOM" * 50}, {}, "001 CT Lung"),
        ({"content": b""}, {}, "001 CT Lung"),
        ({"file": "../../x", "path": None}, {}, "001 CT Lung"),
        ({"path": None}, {"path": None}, "001 CT"),
    ],
    ids=["missing", "not-dicom", "empty", "refused", "both-missing"],
)
def test_a_description_is_sought_in_the_second_instance_if_the_first_fails(
    tmp_path: Path,
    first: dict[str, Value],
    second: dict[str, Value],
    expected: str,
) -> None:
    images = [
        image("1.2.3.1", [], number=1, **first),
        image("1.2.3.2", [], number=2, **second),
    ]
    one = series("1.2.3", images, header_description="Lung")

    seen = look_at(tmp_path, [patient("Doe", "1", [study("1.2", [one])])])

    assert at_depth(seen, 2)[0] == expected


def test_a_bad_sector_in_the_first_instance_leads_to_the_second(
    tmp_path: Path,
) -> None:
    images = [image(f"1.{n}", number=n, file=f"I{n}") for n in (1, 2)]
    one = series("1.2.3", images, header_description="Lung")
    write_medium(tmp_path, [patient("Doe", "1", [study("1.2", [one])])])

    seen = look(CountingMedium(tmp_path, refuse=["I1"]))

    assert at_depth(seen, 2) == ["001 CT Lung"]


# -- character sets --------------------------------------------------------------------


def test_records_below_a_patient_are_read_in_the_patients_character_set(
    tmp_path: Path,
) -> None:
    latin2 = "Łódź".encode("iso8859_2")
    below = study(
        "1.2", [series("1.2.3", [image("1")], description=latin2)], description=latin2
    )

    seen = look_at(
        tmp_path,
        [patient("Łódź", "1", [below], SpecificCharacterSet="ISO_IR 101")],
    )

    assert folders(seen) == [
        "Łódź (1)",
        "Łódź (1)/2023-07-05 Łódź",
        "Łódź (1)/2023-07-05 Łódź/001 CT Łódź",
    ]


def test_a_character_set_is_never_that_of_a_sibling(tmp_path: Path) -> None:
    latin2 = "Łódź".encode("iso8859_2")

    seen = look_at(
        tmp_path,
        [
            patient(latin2, "1", SpecificCharacterSet="ISO_IR 101"),
            patient(latin2, "2"),
        ],
    )

    assert set(seen) == {"Łódź (1)", f"{latin2.decode('latin-1')} (2)"}


# -- record types ----------------------------------------------------------------------

IN_SERIES = {
    "IMAGE": "0007.dcm",
    "RT DOSE": "0007 RTDOSE.dcm",
    "RT STRUCTURE SET": "0007 RTSTRUCT.dcm",
    "RT PLAN": "0007 RTPLAN.dcm",
    "RT TREAT RECORD": "0007 RTRECORD.dcm",
    "PRESENTATION": "0007 PR.dcm",
    "WAVEFORM": "0007 WAVEFORM.dcm",
    "SR DOCUMENT": "0007 SR.dcm",
    "KEY OBJECT DOC": "0007 KO.dcm",
    "SPECTROSCOPY": "0007 SPECTROSCOPY.dcm",
    "RAW DATA": "0007 RAW.dcm",
    "REGISTRATION": "0007 REG.dcm",
    "FIDUCIAL": "0007 FID.dcm",
    "ENCAP DOC": "0007 DOC.dcm",
    "VALUE MAP": "0007 RWV.dcm",
    "STEREOMETRIC": "0007 STEREO.dcm",
    "PLAN": "0007 PLAN.dcm",
    "MEASUREMENT": "0007 MEASUREMENT.dcm",
    "SURFACE": "0007 SURFACE.dcm",
    "SURFACE SCAN": "0007 SURFACE SCAN.dcm",
    "TRACT": "0007 TRACT.dcm",
    "ASSESSMENT": "0007 ASSESSMENT.dcm",
    "RADIOTHERAPY": "0007 RT.dcm",
    "ANNOTATION": "0007 ANN.dcm",
    "WF PRESENTATION": "0007 PR.dcm",
    # retired
    "OVERLAY": "0007 OVERLAY.dcm",
    "MODALITY LUT": "0007 MODALITY LUT.dcm",
    "VOI LUT": "0007 VOI LUT.dcm",
    "CURVE": "0007 CURVE.dcm",
    "STORED PRINT": "0007 STORED PRINT.dcm",
    "STRUCT REPORT": "0007 STRUCT REPORT.dcm",
    # not yet invented
    "HOLOGRAM": "0007 HOLOGRAM.dcm",
}


@pytest.mark.parametrize(("record_type", "name"), IN_SERIES.items())
def test_every_type_of_instance_appears_in_its_series(
    tmp_path: Path, record_type: str, name: str
) -> None:
    seen = look_at(tmp_path, in_series(leaf(record_type, "1.2.3.7", number=7)))

    assert files(seen) == [f"{SERIES}/{name}"]
    assert seen[f"{SERIES}/{name}"].data


@pytest.mark.parametrize(
    ("record_type", "folder"),
    [
        ("HANGING PROTOCOL", "Hanging protocol"),
        ("PALETTE", "Palette"),
        ("IMPLANT", "Implant"),
        ("IMPLANT ASSY", "Implant assy"),
        ("IMPLANT GROUP", "Implant group"),
        ("INVENTORY", "Inventory"),
        ("PRIVATE", "Private"),
    ],
)
def test_root_records_that_are_no_patients_appear_below_other(
    tmp_path: Path, record_type: str, folder: str
) -> None:
    instance = leaf(record_type, "1.2.3.7")

    seen = look_at(tmp_path, [instance, *in_series(image("1.2.3.1"))])

    [path] = [path for path in files(seen) if path.startswith("Other/")]
    assert path.startswith(f"Other/{folder}/")
    assert path.endswith(".dcm")
    assert seen[path].data
    assert at_depth(seen, 0) == ["Doe, Jane (12345)", "Other"]


@pytest.mark.parametrize(
    "name", ["Other", "OTHER", "Unlinked", "UnIinked", "\u041ether", "\uff2fther"]
)
def test_no_patient_passes_for_a_folder_of_ours(tmp_path: Path, name: str) -> None:
    of_study = study("1.2", [series("1.2.3", [image("1.2.3.1")])])
    person = patient(name, "", [of_study], SpecificCharacterSet="ISO_IR 192")

    alone = look_at(tmp_path / "alone", [person])
    beside = look_at(tmp_path / "beside", [person, leaf("PALETTE", "1.7")])

    for seen, ours in ((alone, set()), (beside, {"Other"})):
        [folder] = {*at_depth(seen, 0)} - ours
        assert re.fullmatch(rf"{name} \[[0-9a-f]{{8}}\]", folder)


@pytest.mark.parametrize(
    ("record_type", "more", "name"),
    [
        ("HANGING PROTOCOL", {"HangingProtocolName": "Chest"}, "Chest.dcm"),
        ("PALETTE", {"ContentLabel": "HOT_IRON"}, "HOT_IRON.dcm"),
        ("IMPLANT", {"ImplantName": "Hip"}, "Hip.dcm"),
        ("IMPLANT ASSY", {"ImplantAssemblyTemplateName": "Hip"}, "Hip.dcm"),
        ("IMPLANT GROUP", {"ImplantTemplateGroupName": "Hips"}, "Hips.dcm"),
        ("IMPLANT GROUP", {"ImplantAssemblyTemplateName": "Swapped"}, "Swapped.dcm"),
    ],
)
def test_root_records_are_called_by_their_names(
    tmp_path: Path, record_type: str, more: dict[str, Value], name: str
) -> None:
    seen = look_at(tmp_path, [leaf(record_type, "1.2.3.7", [], **more)])

    assert [path.rpartition("/")[2] for path in files(seen)] == [name]


def test_several_root_records_of_one_type_lie_in_one_folder(tmp_path: Path) -> None:
    palettes = [leaf("PALETTE", f"1.{n}", ContentLabel=f"P{n}") for n in range(3)]

    seen = look_at(tmp_path, palettes)

    assert list(seen) == [
        "Other",
        "Other/Palette",
        *(f"Other/Palette/P{n}.dcm" for n in range(3)),
    ]


@pytest.mark.parametrize(
    "record_type",
    [
        *("TOPIC", "PRINT QUEUE", "VISIT", "RESULTS", "STUDY COMPONENT"),
        *("FILM SESSION", "HOLOGRAM", ""),
    ],
)
def test_root_records_of_retired_and_unknown_types_appear_with_what_is_below(
    tmp_path: Path, record_type: str
) -> None:
    branch = record(record_type, [series("1.2.3", [image("1.2.3.1")])])

    seen = look_at(tmp_path, [branch])

    assert [seen[path].size > 0 for path in files(seen)] == [True]


@pytest.mark.parametrize(
    "record_type",
    ["VISIT", "RESULTS", "STUDY COMPONENT", "FILM SESSION", "PRIVATE", "HOLOGRAM"],
)
def test_records_of_retired_and_unknown_types_appear_below_a_study(
    tmp_path: Path, record_type: str
) -> None:
    retired = leaf(record_type, "1.2.9", [leaf("INTERPRETATION", "1.2.9.1")])

    seen = look_at(
        tmp_path, [patient("Doe", "1", [study("1.2", [retired], description="CT")])]
    )

    assert len(files(seen)) == 2
    assert at_depth(seen, 1) == ["2023-07-05 CT"]


@pytest.mark.parametrize("level", range(5))
def test_private_records_appear_on_every_level(tmp_path: Path, level: int) -> None:
    private = leaf("PRIVATE", "1.9")
    picture = image("1.2.3.1", file="I1")
    one_series = series("1.2.3", [picture], description="Lung")
    one_study = study("1.2", [one_series], description="CT")
    roots = [patient("Doe", "1", [one_study])]
    lists = [roots, roots[0].children, one_study.children, one_series.children]
    [*lists, picture.children][level].append(private)
    written = write_medium(tmp_path, roots)

    seen = look(tmp_path)

    assert len(files(seen)) == 2
    assert written.files[private].read_bytes() in [each.data for each in seen.values()]


def test_a_private_record_without_a_uid_is_no_trouble(tmp_path: Path) -> None:
    private = leaf("PRIVATE", OMIT, file="PRIV/X1")

    seen = look_at(tmp_path, [*in_series(image("1.2.3.1")), private])

    assert len(files(seen)) == 2


def test_a_clinical_document_in_xml_is_not_listed(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("a record of a wrong level")
    expect_log("nothing links to a record")
    medium = in_series(image("1.2.3.1"))
    medium[0].children.append(
        record("HL7 STRUC DOC", file="CDA/DOC1", path="CDA/DOC1", content=b"<xml/>")
    )

    seen = look_at(tmp_path, medium)

    assert files(seen) == [f"{SERIES}/0001.dcm"]


@pytest.mark.parametrize(
    "file_id",
    [
        *(b"DICOMDIR", b"dicomdir", b"DICOMDIR ", b"\\DICOMDIR", b".\\DICOMDIR"),
        *(b"DICOMDIR.", b"DICOMDIR;1"),
    ],
    ids=repr,
)
def test_the_dicomdir_is_never_an_instance(tmp_path: Path, file_id: bytes) -> None:
    itself = leaf("IMAGE", "1.2.3.2", file=file_id, path=None, number=2)

    seen = look_at(tmp_path, in_series(image("1.2.3.1"), itself))

    assert files(seen) == [f"{SERIES}/0001.dcm"]


def test_a_file_called_dicomdir_in_a_folder_is_an_instance(tmp_path: Path) -> None:
    below = image("1.2.3.1", file="X/DICOMDIR")

    assert files(look_at(tmp_path, in_series(below))) == [f"{SERIES}/0001.dcm"]


@pytest.mark.parametrize("level", range(4))
def test_an_inactive_record_is_hidden_with_all_below_it(
    tmp_path: Path, level: int
) -> None:
    medium = in_series(image("1.2.3.1"))
    hidden = medium[0]
    for _ in range(level):
        hidden = hidden.children[0]
    hidden.in_use = INACTIVE
    kept = patient("Kept", "2", [study("2", [series("2.1", [image("2.1.1")])])])

    seen = look_at(tmp_path, [*medium, kept])

    assert [path.partition("/")[0] for path in files(seen)] == ["Kept (2)"]


def test_a_record_with_a_file_and_children_is_both(tmp_path: Path) -> None:
    both = image("1.2.3.17", [leaf("PRIVATE", "1.9", number=1)], number=17)

    seen = look_at(tmp_path, in_series(both))

    assert at_depth(seen, 3) == ["0017", "0017.dcm"]
    assert seen[f"{SERIES}/0017"].is_folder
    assert seen[f"{SERIES}/0017.dcm"].size > 0
    assert len(files(seen)) == 2


@pytest.mark.parametrize("level", ["study", "series"])
def test_a_study_or_series_may_have_a_file_of_its_own(
    tmp_path: Path, level: str
) -> None:
    medium = in_series(image("1.2.3.1"))
    above = medium[0].children[0]
    owner = above if level == "study" else above.children[0]
    owner.file = "OWN/FILE1"

    seen = look_at(tmp_path, medium)

    assert len(files(seen)) == 2
    assert f"{SERIES}/0001.dcm" in seen


def test_a_file_of_a_multi_referenced_record_appears(tmp_path: Path) -> None:
    shared = record("MRDR", file="SHARED/I1", NumberOfReferences=1)
    user = leaf("IMAGE", "1.2.3.1", file=None)
    user["MRDRDirectoryRecordOffset"] = shared

    seen = look_at(tmp_path, in_series(user), unlinked=[shared])

    assert files(seen) == [f"{SERIES}/0001.dcm"]
    assert seen[f"{SERIES}/0001.dcm"].size > 0


def test_a_multi_referenced_record_in_a_chain_is_no_instance(tmp_path: Path) -> None:
    shared = record("MRDR", file="SHARED/I1", NumberOfReferences=1)

    assert files(look_at(tmp_path, in_series(shared, image("1.1")))) == [
        f"{SERIES}/0001.dcm"
    ]


# -- filled-in levels ------------------------------------------------------------------


def test_an_image_at_the_root_is_put_where_its_header_says(tmp_path: Path) -> None:
    header: dict[str, Value] = {
        "PatientName": "Doe^Jane",
        "PatientID": "12345",
        "StudyDate": "20230705",
        "StudyDescription": "CT",
        "StudyInstanceUID": "1.2",
        "SeriesInstanceUID": "1.2.3",
        "SeriesNumber": 2,
        "Modality": "CT",
        "SeriesDescription": "Lung 1.0",
    }
    images = [image(f"1.2.3.{n}", number=n, header=header) for n in (1, 2)]

    seen = look_at(tmp_path, images)

    assert files(seen) == [f"{SERIES}/0001.dcm", f"{SERIES}/0002.dcm"]


def test_a_series_at_the_root_is_put_where_its_header_says(tmp_path: Path) -> None:
    header: dict[str, Value] = {
        "PatientName": "Doe^Jane",
        "PatientID": "12345",
        "StudyDate": "20230705",
        "StudyDescription": "CT",
        "StudyInstanceUID": "1.2",
    }
    several = [
        series(
            f"1.2.{n}",
            [image(f"1.2.{n}.1")],
            number=n,
            description="Lung 1.0",
            header=header,
        )
        for n in (2, 3)
    ]

    seen = look_at(tmp_path, several)

    assert files(seen) == [
        f"{SERIES}/0001.dcm",
        "Doe, Jane (12345)/2023-07-05 CT/003 CT Lung 1.0/0001.dcm",
    ]


def test_a_study_at_the_root_is_put_where_its_record_says(tmp_path: Path) -> None:
    lone = study(
        "1.2",
        [series("1.2.3", [image("1")], number=2, description="Lung 1.0")],
        description="CT",
        PatientName="Doe^Jane",
        PatientID="12345",
    )
    write_medium(tmp_path, [lone])

    seen = look(tmp_path, read_headers=False)

    assert files(seen) == [f"{SERIES}/0001.dcm"]


def test_a_study_at_the_root_joins_the_patient_it_names(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("a record of a wrong level")
    expect_log("nothing links to a record")
    lone = study("1.9", [series("1.9.1", [image("1.9.1.1")])], description="MR")
    lone["PatientName"], lone["PatientID"] = "Doe^Jane", "12345"

    seen = look_at(tmp_path, [*in_series(image("1.2.3.1")), lone])

    assert at_depth(seen, 0) == ["Doe, Jane (12345)"]
    assert at_depth(seen, 1) == ["2023-07-05 CT", "2023-07-05 MR"]


def test_an_image_below_a_study_gets_a_series(tmp_path: Path) -> None:
    header: dict[str, Value] = {
        "SeriesInstanceUID": "1.2.3",
        "SeriesNumber": 2,
        "Modality": "CT",
        "SeriesDescription": "Lung 1.0",
    }
    images = [image(f"1.{n}", number=n, header=header) for n in (1, 2)]

    seen = look_at(
        tmp_path,
        [patient("Doe^Jane", "12345", [study("1.2", images, description="CT")])],
    )

    assert files(seen) == [f"{SERIES}/0001.dcm", f"{SERIES}/0002.dcm"]


def test_two_unknown_patients_stay_apart(tmp_path: Path) -> None:
    loose = [study("1.1", [series("1.1.1", [image("1")])]), study("1.2")]

    seen = look_at(tmp_path, loose)

    names = at_depth(seen, 0)
    assert len(names) == 2
    assert all(name.startswith("Unknown patient [") for name in names)


def test_studies_without_a_uid_stay_apart(tmp_path: Path) -> None:
    several = [study(OMIT, [series(OMIT, [image(f"1.{n}")])]) for n in range(2)]

    seen = look_at(tmp_path, [patient("Doe", "1", several)])

    assert len(at_depth(seen, 1)) == 2
    assert len(files(seen)) == 2


def test_filled_in_levels_without_headers_keep_every_file(tmp_path: Path) -> None:
    write_medium(tmp_path, [image(f"1.{n}", number=n) for n in range(3)])

    seen = look(tmp_path, read_headers=False)

    assert len(files(seen)) == 3
    assert len(at_depth(seen, 0)) == 3


# -- joining ---------------------------------------------------------------------------


def test_the_same_patient_twice_is_one_folder(tmp_path: Path) -> None:
    medium = [
        patient("Doe^Jane", "1", [study("1.1", description="CT")]),
        patient("DOE^JANE ", "1", [study("1.2", description="MR")]),
    ]

    seen = look_at(tmp_path, medium)

    assert at_depth(seen, 0) == ["Doe, Jane (1)"]
    assert at_depth(seen, 1) == ["2023-07-05 CT", "2023-07-05 MR"]


def test_patients_that_contradict_each_other_are_told_apart(tmp_path: Path) -> None:
    medium = [
        patient("Doe^Jane", "1", [study("1.1")], PatientSex="F"),
        patient("Doe^Jane", "1", [study("1.2")], PatientSex="M"),
    ]

    names = at_depth(look_at(tmp_path, medium), 0)

    assert len(names) == 2
    assert all(name.startswith("Doe, Jane (1) [") for name in names)


def test_the_same_study_under_two_patients_stays_two(tmp_path: Path) -> None:
    medium = [
        patient(name, "1", [study("1.1", [series("1.1.1", [image(f"1.{name}")])])])
        for name in ("Doe", "Roe")
    ]

    assert len(at_depth(look_at(tmp_path, medium), 1)) == 2


def test_the_same_series_twice_is_one_folder(tmp_path: Path) -> None:
    twice = [
        series("1.1.1", [image(f"1.1.1.{n}", number=n)], description="Lung")
        for n in (1, 2)
    ]

    seen = look_at(tmp_path, [patient("Doe", "1", [study("1.1", twice)])])

    assert at_depth(seen, 2) == ["001 CT Lung"]
    assert at_depth(seen, 3) == ["0001.dcm", "0002.dcm"]


def two_discs(tmp_path: Path) -> tuple[Path, Path]:
    """Write one patient's studies on two discs."""
    roots = tmp_path / "one", tmp_path / "two"
    for root, name in zip(roots, ("CT", "MR"), strict=True):
        below = [series(f"{name}.1", [image(f"{name}.1.1")])]
        made = study(f"1.{len(name)}.{ord(name[0])}", below, description=name)
        write_medium(root, [patient("Doe^Jane", "1", [made])])
        os.utime(root / "DICOMDIR", ns=(10**18, 10**18))
    return roots


def test_a_patient_on_two_media_is_one_folder(tmp_path: Path) -> None:
    seen = look(*two_discs(tmp_path))

    assert at_depth(seen, 0) == ["Doe, Jane (1)"]
    assert at_depth(seen, 1) == ["2023-07-05 CT", "2023-07-05 MR"]
    assert len(files(seen)) == 2


def test_the_order_of_media_does_not_matter(tmp_path: Path) -> None:
    one, two = two_discs(tmp_path)

    assert look(one, two) == look(two, one)


def test_several_file_sets_of_one_medium_are_joined(tmp_path: Path) -> None:
    two_discs(tmp_path)

    assert look(tmp_path) == look(tmp_path / "one", tmp_path / "two")


# -- clashes and duplicates ------------------------------------------------------------


def test_only_names_that_clash_get_a_suffix_and_all_of_them_do(
    tmp_path: Path,
) -> None:
    images = [image("1.1", number=1), image("1.2", number=1), image("1.3", number=3)]

    seen = look_at(tmp_path, in_series(*images))

    assert at_depth(seen, 3) == sorted(
        [f"0001 [{sha('1.1')}].dcm", f"0001 [{sha('1.2')}].dcm", "0003.dcm"]
    )


@pytest.mark.parametrize("order", [list, reversed], ids=["forward", "backward"])
def test_studies_of_one_name_are_told_apart_by_their_uids(
    tmp_path: Path, order: Callable[[list[Record]], Iterable[Record]]
) -> None:
    several = order([study("1.1", description="CT"), study("1.2", description="ct")])

    seen = look_at(tmp_path, [patient("Doe", "1", several)])

    assert sorted(at_depth(seen, 1)) == sorted(
        [f"2023-07-05 CT [{sha('1.1')}]", f"2023-07-05 ct [{sha('1.2')}]"]
    )


def test_instances_without_a_uid_are_never_taken_for_duplicates(
    tmp_path: Path,
) -> None:
    images = [image(OMIT, number=n, file=f"I{n}", size=100) for n in (1, 2)]

    assert len(files(look_at(tmp_path, in_series(*images)))) == 2


# -- files that are not there ----------------------------------------------------------


def test_a_missing_file_is_listed_and_says_why(tmp_path: Path) -> None:
    seen = look_at(tmp_path, in_series(image("1.1", path=None)))

    found = seen[f"{SERIES}/0001 (missing).dcm"]

    assert (found.size, found.error) == (0, errno.ENOENT)
    assert found.reason == "No such file or directory"


def test_a_file_that_is_missing_changes_neither_number_nor_name_of_another(
    tmp_path: Path,
) -> None:
    images = [image(f"1.{n}", number=n, file=f"I{n}") for n in range(1, 5)]
    sound = look_at(tmp_path / "sound", in_series(*images))
    for each in images[1:3]:
        each.path = None

    seen = look_at(tmp_path / "gaps", in_series(*images))

    assert at_depth(seen, 3) == [
        *("0001.dcm", "0002 (missing).dcm", "0003 (missing).dcm", "0004.dcm")
    ]
    inodes = [seen[path].inode for path in files(seen)]
    assert inodes == [sound[path].inode for path in files(sound)]


def test_a_file_without_bytes_is_said_to_be_cut_off(tmp_path: Path) -> None:
    images = [image("1.1", number=1, file="I1", content=b""), image("1.2", number=2)]

    seen = look_at(tmp_path, in_series(*images))

    assert at_depth(seen, 3) == ["0001 (cut off).dcm", "0002.dcm"]


def test_opening_a_missing_file_fails_with_its_reason(tmp_path: Path) -> None:
    write_medium(tmp_path, in_series(image("1.1", path=None)))

    with opened(tmp_path) as tree:
        [file] = [n for _, n in walk(tree.root) if isinstance(n, Instance)]
        with pytest.raises(FileNotFoundError):
            file.open()


@pytest.mark.parametrize(
    "file_id", ["../../etc/passwd", b"A\0B", b"..", b"DICOM\\..\\..\\secret"], ids=repr
)
def test_a_file_outside_the_medium_is_listed_and_refused(
    tmp_path: Path, file_id: str | bytes
) -> None:
    (tmp_path / "secret").write_bytes(b"secret")

    seen = look_at(tmp_path / "cd", in_series(image("1.1", file=file_id, path=None)))

    found = seen[f"{SERIES}/0001 (refused).dcm"]
    assert (found.size, found.error, found.data) == (0, errno.EACCES, b"")


@pytest.mark.parametrize("kind", ["symlink", "fifo", "folder"])
def test_what_is_no_file_is_listed_and_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "cd").mkdir()
    place = tmp_path / "cd/I1"
    if kind == "symlink":
        place.symlink_to(tmp_path / "secret")
    elif kind == "fifo":
        os.mkfifo(place)
    else:
        place.mkdir()

    seen = look_at(tmp_path / "cd", in_series(image("1.1", file="I1", path=None)))

    found = seen[f"{SERIES}/0001 (refused).dcm"]
    assert found.size == 0
    assert found.error
    assert found.data == b""


def test_a_bad_sector_in_a_folder_costs_its_files_only() -> None:
    images = [image(f"1.{n}", number=n, file=f"I{n}") for n in (1, 2)]
    medium = FakeMedium(
        {"DICOMDIR": build_dicomdir(in_series(*images)), "I1": b"1", "I2": b"2"},
        {"I1": OSError(errno.EIO, "a bad sector")},
    )

    seen = look(medium)

    assert seen[f"{SERIES}/0001.dcm"].error == errno.EIO
    assert seen[f"{SERIES}/0002.dcm"].data == b"2"


@pytest.mark.parametrize(
    "rename",
    [str.lower, lambda name: f"{name}.dcm", lambda name: f"{name}.;1"],
    ids=["lower", "extension", "version"],
)
def test_files_are_found_under_the_names_that_discs_give_them(
    tmp_path: Path, rename: Callable[[str], str]
) -> None:
    write_medium(tmp_path, whole_medium(), rename=rename)

    seen = look(tmp_path)

    assert all(seen[path].size for path in files(seen))


# -- times and widths ------------------------------------------------------------------


def times(tmp_path: Path, medium: list[Record]) -> dict[str, int]:
    write_medium(tmp_path, medium)
    os.utime(tmp_path / "DICOMDIR", ns=(10**18, 10**18))
    seen = look(tmp_path)
    return {path: seen[path].mtime_ns for path in folders(seen)}


def test_a_patient_has_the_time_of_the_newest_study_if_all_was_looked_at(
    tmp_path: Path,
) -> None:
    studies = [
        study("1.1", date="20230705"),
        study("1.2", date="20240101", time="0830"),
        study("1.3", date=None),
    ]
    write_medium(tmp_path, [patient("Doe", "1", studies), patient("Roe", "2", [])])
    os.utime(tmp_path / "DICOMDIR", ns=(10**18, 10**18))

    with opened(tmp_path) as tree:
        before = {name: e.mtime_ns for name, e in tree.expand(tree.root).items()}
        tree.check_links()
        after = tree.expand(tree.root)
        (undated,) = (
            node.mtime_ns for path, node in walk(tree.root) if "/Undated " in path
        )

    assert set(before.values()) == {10**18}
    assert after["Doe (1)"].mtime_ns == nanoseconds(2024, 1, 1, 8, 30)
    assert after["Roe (2)"].mtime_ns == 10**18
    # No study has the date of another one.
    assert undated == 10**18


def test_folders_have_the_times_of_their_studies_and_series(tmp_path: Path) -> None:
    one = series("1.1.1", [image("1")], SeriesDate="20230706", SeriesTime="0830")
    other = series("1.1.2", [image("2")], number=2)
    medium = [patient("Doe", "1", [study("1.1", [one, other], time="120000")])]

    found = list(times(tmp_path, medium).values())

    assert found == [
        nanoseconds(2023, 7, 5, 12),
        nanoseconds(2023, 7, 5, 12),
        nanoseconds(2023, 7, 6, 8, 30),
        nanoseconds(2023, 7, 5, 12),
    ]


def test_a_series_time_is_read_from_the_header_that_names_it(tmp_path: Path) -> None:
    header: dict[str, Value] = {"SeriesDate": "20230706", "SeriesTime": "083000"}
    one = series("1.1.1", [image("1")], header=header)

    found = times(tmp_path, [patient("Doe", "1", [study("1.1", [one])])])

    assert list(found.values())[-1] == nanoseconds(2023, 7, 6, 8, 30)


def test_a_study_without_a_date_has_the_time_of_the_dicomdir(tmp_path: Path) -> None:
    medium = [patient("Doe", "1", [study("1.1", date=None)])]

    assert set(times(tmp_path, medium).values()) == {10**18}


def test_a_time_zone_is_obeyed(tmp_path: Path) -> None:
    made = study("1.1", time="120000", TimezoneOffsetFromUTC="+0200")

    found = times(tmp_path, [patient("Doe", "1", [made])])

    assert list(found.values())[-1] == nanoseconds(2023, 7, 5, 10)


def test_the_root_has_the_time_of_the_dicomdir(tmp_path: Path) -> None:
    write_medium(tmp_path, whole_medium())
    os.utime(tmp_path / "DICOMDIR", ns=(10**18, 10**18))

    with opened(tmp_path) as tree:
        assert tree.root.mtime_ns == 10**18


def test_a_missing_file_has_the_time_of_its_folder(tmp_path: Path) -> None:
    seen = look_at(tmp_path, in_series(image("1.1", path=None)))

    lost = seen[f"{SERIES}/0001 (missing).dcm"]
    assert lost.mtime_ns == seen[SERIES].mtime_ns


def test_numbers_are_as_wide_as_the_widest_of_their_folder(tmp_path: Path) -> None:
    images = [image(f"1.{n}", number=n) for n in (7, 12345)]
    several = [
        series("1.1.1", images, number=2, description="A"),
        series("1.1.2", [image("2")], number=1001, description="B"),
    ]

    seen = look_at(tmp_path, [patient("Doe", "1", [study("1.1", several)])])

    assert at_depth(seen, 2) == ["0002 CT A", "1001 CT B"]
    assert at_depth(seen, 3) == ["00007.dcm", "12345.dcm", "0001.dcm"]


# -- broken links ----------------------------------------------------------------------


def test_what_comes_behind_a_broken_link_is_shown_where_its_header_says(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("a link leads to no record")
    expect_log("nothing links to a record: .* shown where its header says")
    images = [image(f"1.{n}", number=n) for n in (1, 2, 3)]
    images[1].next = 77

    seen = look_at(tmp_path, in_series(*images))

    assert at_depth(seen, 3) == ["0001.dcm", "0002.dcm", "0003.dcm"]


def test_images_that_their_series_lost_are_shown_in_it(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("a link leads to no record")
    expect_log("nothing links to a record: .* shown where its header says")
    several = [
        series(f"1.{n}", [image(f"1.{n}.1")], number=n, description="S") for n in (1, 2)
    ]
    several[0].lower = 77

    seen = look_at(tmp_path, [patient("Doe", "1", [study("1.1", several)])])

    assert at_depth(seen, 2) == ["001 CT S", "002 CT S"]
    assert len(files(seen)) == 2


def test_a_link_down_to_an_ancestor_does_not_make_an_endless_tree(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("a link leads back")
    medium = in_series(image("1.1"))
    one_series = medium[0].children[0].children[0]
    one_series.children[0].lower = one_series
    write_medium(tmp_path, medium)

    with opened(tmp_path) as tree:
        seen = dict(walk(tree.root))

    assert f"{SERIES}/0001.dcm" in seen
    inodes = [node.inode for node in seen.values()]
    assert len(set(inodes)) == len(inodes)


def test_a_tree_of_an_empty_medium_is_empty(tmp_path: Path) -> None:
    assert look_at(tmp_path, []) == {}


def test_a_series_without_images_is_an_empty_folder(tmp_path: Path) -> None:
    assert folders(look_at(tmp_path, in_series()))[-1] == SERIES


@pytest.mark.slow
def test_a_series_of_many_equal_images_is_listed_quickly(tmp_path: Path) -> None:
    images = [image(f"1.{n}", number=1, file="I1") for n in range(5_000)]
    write_medium(tmp_path, in_series(*images))
    began = time.monotonic()

    seen = look(tmp_path)

    assert len(set(at_depth(seen, 3))) == 5_000
    assert time.monotonic() - began < 20


# -- many records, one folder ----------------------------------------------------------


def test_a_patient_of_many_records_keeps_all_files(tmp_path: Path) -> None:
    medium = [
        patient(
            "Doe^J", "1", [study(f"1.{n}", [series(f"1.{n}.1", [image(f"2.{n}")])])]
        )
        for n in range(100)
    ]

    assert len(files(look_at(tmp_path, medium))) == 100


def test_a_study_that_is_filled_in_above_many_series_keeps_all_files(
    tmp_path: Path,
) -> None:
    several = [
        series(f"1.2.{n}", [image(f"2.{n}")], number=n, StudyInstanceUID="1.2")
        for n in range(100)
    ]

    assert len(files(look_at(tmp_path, [patient("Doe^J", "1", several)]))) == 100


def test_slices_that_share_a_uid_are_all_shown(tmp_path: Path) -> None:
    images = [image("1.1", number=n, file=f"I{n}", size=100) for n in range(1, 6)]

    assert len(files(look_at(tmp_path, in_series(*images)))) == 5


def test_an_entity_of_two_patients_is_two_folders(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("two records have the same one below them")
    one, other = patient("A", "1", [study("1.1")]), patient("B", "2")
    other.lower = one.children[0]

    seen = look_at(tmp_path, [one, other])

    assert len({node.inode for node in seen.values()}) == len(seen) == 4


def test_inodes_of_a_series_ascend_as_its_files_lie_on_the_medium(
    tmp_path: Path,
) -> None:
    images = [image(f"1.{n}", number=n, file=f"D/I{9 - n}") for n in range(1, 9)]

    seen = look_at(tmp_path, in_series(*images))

    by_name = [seen[path].inode for path in sorted(files(seen))]
    assert by_name == sorted(by_name, reverse=True)


def test_a_file_that_cannot_be_found_for_a_while_changes_no_other_inode(
    tmp_path: Path,
) -> None:
    twice = [image("1.1", number=1, file=f"I{n}", size=100) for n in (1, 2)]
    written = write_medium(tmp_path, in_series(*twice, image("1.3", number=3)))

    with opened(tmp_path) as tree:
        before = dict(walk(tree.root))
    written.files[twice[0]].unlink()
    with opened(tmp_path) as tree:
        after = dict(walk(tree.root))

    last = f"{SERIES}/0003.dcm"
    assert after[last].inode == before[last].inode


def test_a_file_that_is_not_the_one_that_was_listed_is_not_opened(
    tmp_path: Path,
) -> None:
    written = write_medium(tmp_path, in_series(image("1.1", number=1)))

    with opened(tmp_path) as tree:
        [file] = [n for _, n in walk(tree.root) if isinstance(n, Instance)]
        with next(iter(written.files.values())).open("ab") as medium:
            medium.write(b"more")
        with pytest.raises(OSError, match="not the one that was listed"):
            file.open()


def test_nodes_are_the_same_when_they_are_listed_anew_and_else_not(
    tmp_path: Path,
) -> None:
    write_medium(tmp_path, in_series(image("1.1"), image("1.2"), image("1.3")))
    with opened(tmp_path) as tree:
        once, again = list(walk(tree.root)), list(walk(tree.root))

    for (_, one), (_, same) in zip(once, again, strict=True):
        assert one.is_same(same)
    folders_only = [node for _, node in once if isinstance(node, Selection)]
    assert not folders_only[0].is_same(folders_only[1])
    assert not folders_only[0].is_same(once[-1][1])
