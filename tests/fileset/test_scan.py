"""A DICOMDIR made of the files themselves; pydicom says what is in it."""

import errno
import io
import json
import os
import pty
import shutil
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, uid
from pydicom.datadict import dictionary_VR

from dicomfs.cli.codes import Exit
from dicomfs.dicom import tags
from dicomfs.dicomdir import encoding
from dicomfs.errors import Failure, Problem
from dicomfs.fileset import scan as scanning
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.fileset.scan import Scan, scan, scanned
from dicomfs.findings import Finding, Findings, Kind
from dicomfs.media.folder import FolderMedium
from dicomfs.media.medium import Place, Status
from dicomfs.source.source import Source
from dicomfs.tree.tree import Tree
from tests.build.medium import (
    PREFIX,
    Value,
    build_dicomdir,
    code,
    image,
    instance_bytes,
    patient,
    series,
    study,
    write_medium,
)
from tests.conftest import ExpectLog
from tests.support import mounting
from tests.support.mounting import Mounter, need_root
from tests.support.trees import CountingMedium, FakeMedium, walk

LEVELS = ("PATIENT", "STUDY", "SERIES")


def instance(number: int = 1, /, **more: Value) -> bytes:
    """Return an instance of Jane Doe's, number *number* of its series."""
    known: dict[str, Value] = {
        "SOPInstanceUID": f"1.2.3.4.{number}",
        "PatientName": "Doe^Jane",
        "PatientID": "12345",
        "StudyInstanceUID": "1.2",
        "SeriesInstanceUID": "1.2.3",
        "InstanceNumber": str(number),
    }
    return instance_bytes({**known, **more}, size=None)


def unseen(files: int, instances: int, of: int) -> None:
    """Show no progress."""
    del files, instances, of


def scan_files(files: dict[str, bytes]) -> Scan:
    return scan(FakeMedium(files), unseen)


OpenMedium = Callable[..., CountingMedium]


@pytest.fixture
def open_medium() -> Iterator[OpenMedium]:
    """Open folders as media, until the end of the test."""
    opened: list[CountingMedium] = []

    def open_medium(root: Path, refuse: Sequence[str] = ()) -> CountingMedium:
        opened.append(CountingMedium(root, refuse))
        return opened[-1]

    yield open_medium
    for medium in opened:
        medium.close()


def raw(record: Dataset, tag: int) -> bytes:
    """Return a value as it is written, without padding; empty if there is none.

    Once pydicom was asked for it in any other way it knows the text only.
    """
    if tag not in record:
        return b""
    value = record.get_item(tag).value or b""
    assert isinstance(value, bytes)
    return value.strip(b" \0")


def chains(index: bytes) -> list[list[Dataset]]:
    """Return the records of each file and of what it belongs to, by the links.

    Sees to it that every record is reached, and once.
    """
    dicomdir = pydicom.dcmread(io.BytesIO(index))
    records = {
        each.seq_item_tell: each for each in dicomdir.DirectoryRecordSequence or ()
    }
    first = dicomdir.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity
    waiting: list[tuple[int, list[Dataset]]] = [(first, [])]
    found: list[list[Dataset]] = []
    while waiting:
        offset, above = waiting.pop()
        if not offset:
            continue
        record = records.pop(offset)
        assert record.RecordInUseFlag == 0xFFFF
        waiting.append((record.OffsetOfTheNextDirectoryRecord, above))
        lower = record.OffsetOfReferencedLowerLevelDirectoryEntity
        waiting.append((lower, [*above, record]))
        if "ReferencedFileID" in record:
            found.append([*above, record])
        else:
            assert lower
            assert record.DirectoryRecordType == LEVELS[len(above)]
    assert records == {}
    return sorted(found, key=lambda chain: chain[-1].ReferencedFileID)


def paths(found: Scan) -> list[str]:
    """Return where the files of all leaves lie, in the order of their File IDs."""
    return [
        os.fsdecode(b"/".join(place(found, chain))) for chain in chains(found.index)
    ]


def place(found: Scan, chain: list[Dataset]) -> Place:
    where, _ = found.places.locate((chain[-1].ReferencedFileID.encode(),))
    return where


def kinds(found: Scan) -> dict[Kind, int]:
    """Return what was found to be wrong, and how often."""
    return {finding.kind: finding.count for finding in found.findings}


# -- what the index says ---------------------------------------------------------------


@pytest.mark.parametrize("tag", encoding.VRS)
def test_an_element_has_the_vr_of_the_dictionary(tag: int) -> None:
    assert encoding.VRS[tag].decode() == dictionary_VR(tag)


def test_an_instance_has_all_its_records() -> None:
    known: dict[str, Value] = {
        "PatientBirthDate": "19700102",
        "PatientSex": "F",
        "IssuerOfPatientID": "Ward",
        "StudyDate": "20230705",
        "StudyTime": "101112",
        "StudyDescription": "CT Thorax",
        "StudyID": "S1",
        "AccessionNumber": "A1",
        "TimezoneOffsetFromUTC": "+0200",
        "Modality": "CT",
        "SeriesDate": "20230706",
        "SeriesTime": "131415",
        "SeriesNumber": "2",
        "SeriesDescription": "Lung 1.0",
    }

    found = scan_files({"DICOM/I1": instance(17, **known)})

    [[patient_, study_, series_, leaf_]] = chains(found.index)
    assert (patient_.PatientName, patient_.PatientID) == ("Doe^Jane", "12345")
    assert (patient_.PatientBirthDate, patient_.PatientSex) == ("19700102", "F")
    assert patient_.IssuerOfPatientID == "Ward"
    assert (study_.StudyDate, study_.StudyTime) == ("20230705", "101112")
    assert (study_.StudyInstanceUID, study_.StudyID) == ("1.2", "S1")
    assert study_.StudyDescription == "CT Thorax"
    assert (study_.AccessionNumber, study_.TimezoneOffsetFromUTC) == ("A1", "+0200")
    assert (series_.SeriesInstanceUID, series_.SeriesNumber) == ("1.2.3", 2)
    assert (series_.Modality, series_.SeriesDescription) == ("CT", "Lung 1.0")
    assert (series_.SeriesDate, series_.SeriesTime) == ("20230706", "131415")
    assert leaf_.DirectoryRecordType == "IMAGE"
    assert leaf_.InstanceNumber == 17
    assert leaf_.ReferencedSOPClassUIDInFile == uid.CTImageStorage
    assert leaf_.ReferencedSOPInstanceUIDInFile == "1.2.3.4.17"
    assert leaf_.ReferencedTransferSyntaxUIDInFile == uid.ExplicitVRLittleEndian
    assert (found.files, found.instances, found.findings) == (1, 1, [])


@pytest.mark.parametrize(
    ("sop_class", "record_type", "title"),
    [
        (uid.EncapsulatedPDFStorage, "ENCAP DOC", {"DocumentTitle": "Referral"}),
        (uid.RTPlanStorage, "RT PLAN", {"RTPlanLabel": "Boost"}),
        (uid.RTStructureSetStorage, "RT STRUCTURE SET", {"StructureSetLabel": "A"}),
        (uid.SpatialRegistrationStorage, "REGISTRATION", {"ContentLabel": "REG"}),
        (uid.RTPhysicianIntentStorage, "RADIOTHERAPY", {"UserContentLabel": "I"}),
    ],
)
def test_what_is_no_image_has_its_type_and_title(
    sop_class: str, record_type: str, title: dict[str, str]
) -> None:
    found = scan_files({"I1": instance(1, SOPClassUID=sop_class, **title)})

    [[*_, leaf_]] = chains(found.index)
    assert leaf_.DirectoryRecordType == record_type
    [(keyword, value)] = title.items()
    assert leaf_[keyword].value == value


PRIVATE_CLASSES: Final = {
    "Siemens CSA": "1.3.12.2.1107.5.9.1",
    "Philips XX": "1.3.46.670589.11.0.0.12.2",
    "Philips spectrum": "1.3.46.670589.11.0.0.12.1",
    "made up": "2.25.7",
}


@pytest.mark.parametrize("sop_class", PRIVATE_CLASSES.values(), ids=PRIVATE_CLASSES)
@pytest.mark.parametrize(
    ("more", "record_type"),
    [
        ({}, "RAW DATA"),
        ({"Rows": None, "Columns": None}, "RAW DATA"),
        ({"Rows": 0, "Columns": 0}, "RAW DATA"),
        ({"Rows": 512, "Columns": 256}, "IMAGE"),
    ],
    ids=["none", "empty", "zero", "image"],
)
@pytest.mark.parametrize(
    "syntax", [uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian]
)
def test_of_a_private_class_only_what_has_rows_and_columns_is_an_image(
    sop_class: str, more: dict[str, Value], record_type: str, syntax: str
) -> None:
    known = {"SOPClassUID": sop_class, "SOPInstanceUID": "1.2.3"}
    data = instance_bytes({**known, **more}, syntax=syntax, size=None)

    [[*_, leaf_]] = chains(scan_files({"I1": data}).index)
    assert leaf_.DirectoryRecordType == record_type


@pytest.mark.parametrize(
    "sop_class", [uid.CTImageStorage, "1.2.840.10008.5.1.4.1.1.999"]
)
def test_a_class_of_the_standard_is_what_an_index_would_say(sop_class: str) -> None:
    [[*_, leaf_]] = chains(scan_files({"I1": instance(1, SOPClassUID=sop_class)}).index)

    assert leaf_.DirectoryRecordType == "IMAGE"


def names_by_scan(files: dict[str, bytes]) -> list[str]:
    tree = Tree(scanned(FakeMedium(files), Findings()), read_headers=True)
    return [path.split("/")[-1] for path, node in walk(tree.root) if not node.is_folder]


def test_what_is_no_image_does_not_sit_among_the_slices() -> None:
    slices = {f"I{number}": instance(number) for number in (1, 2)}
    raw = instance(7, SOPClassUID=PRIVATE_CLASSES["Siemens CSA"])

    assert names_by_scan({**slices, "CSA": raw}) == [
        "0001.dcm",
        "0002.dcm",
        "0007 RAW.dcm",
    ]


@pytest.mark.parametrize(
    ("sop_class", "name"),
    [
        (uid.MicroscopyBulkSimpleAnnotationsStorage, "0007 ANN.dcm"),
        (uid.EnhancedXRayRadiationDoseSRStorage, "0007 SR.dcm"),
        (uid.RTRadiationSetStorage, "0007 RT.dcm"),
        (uid.RTPlanStorage, "0007 RTPLAN.dcm"),
        (uid.EncapsulatedPDFStorage, "0007 DOC.dcm"),
        (uid.RTBeamsDeliveryInstructionStorage, "0007 PLAN.dcm"),
        (uid.CTImageStorage, "0007.dcm"),
    ],
)
def test_what_a_writer_calls_an_image_has_one_name_by_index_and_by_scan(
    sop_class: str, name: str
) -> None:
    record = image("1.2.3.4.7", number=7, file="I7")
    record["ReferencedSOPClassUIDInFile"] = sop_class
    who = patient("Doe", "1", [study("1.2", [series("1.2.3", [record])])])
    data = instance(7, SOPClassUID=sop_class)
    [file_set] = open_file_sets(
        FakeMedium({"DICOMDIR": build_dicomdir([who]), "I7": data})
    )

    by_index = [
        path.split("/")[-1]
        for path, _ in walk(Tree([file_set], read_headers=True).root)
    ]

    assert by_index[-1] == name
    assert names_by_scan({"I7": data}) == [name]


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ExplicitVRLittleEndian,
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
    ],
    ids=["explicit", "implicit", "big", "deflated"],
)
def test_a_report_has_its_title_in_every_transfer_syntax(syntax: str) -> None:
    title = code("126000", "DCM", "Imaging Report")
    report = instance_bytes(
        SOPClassUID=uid.BasicTextSRStorage,
        ConceptNameCodeSequence=title,
        PatientID="12345",
        syntax=syntax,
        size=None,
    )

    [[patient_, _, _, leaf_]] = chains(scan_files({"I1": report}).index)

    assert patient_.PatientID == "12345"
    assert leaf_.DirectoryRecordType == "SR DOCUMENT"
    assert leaf_.ConceptNameCodeSequence[0].CodeMeaning == "Imaging Report"
    assert leaf_.ReferencedTransferSyntaxUIDInFile == syntax


def test_what_belongs_to_no_patient_stands_in_the_root() -> None:
    found = scan_files(
        {
            "A": instance_bytes(
                SOPClassUID=uid.HangingProtocolStorage,
                HangingProtocolName="CHEST",
                size=None,
            ),
            "B": instance(1),
        }
    )

    protocol, image_ = chains(found.index)
    assert [each.DirectoryRecordType for each in protocol] == ["HANGING PROTOCOL"]
    assert protocol[0].HangingProtocolName == "CHEST"
    assert len(image_) == 4


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 144", "Жданов^Илья"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小東"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞"),
    ],
)
def test_a_character_set_goes_with_the_values(character_set: Value, name: str) -> None:
    data = instance(1, SpecificCharacterSet=character_set, PatientName=name)

    for record in chains(scan_files({"I1": data}).index)[0]:
        assert record.get("SpecificCharacterSet") == pydicom.dcmread(
            io.BytesIO(data)
        ).get("SpecificCharacterSet")
        assert str(record.get("PatientName", name)) == name


def test_files_with_other_character_sets_keep_their_own() -> None:
    latin = instance(1, SpecificCharacterSet="ISO_IR 100", PatientName="Müller")
    unicode = instance(2, SpecificCharacterSet="ISO_IR 192", PatientName="Müller")

    found = chains(scan_files({"A": latin, "B": unicode}).index)

    assert [raw(chain[0], tags.PATIENT_NAME) for chain in found] == [
        "Müller".encode("latin-1"),
        "Müller".encode(),
    ]
    assert [chain[0].PatientName for chain in found] == ["Müller", "Müller"]


# -- what belongs together -------------------------------------------------------------


def together(*files: bytes) -> list[int]:
    """Return how many records there are of patients, studies, series and files."""
    found = scan_files({f"I{number:03}": data for number, data in enumerate(files)})
    return [len({id(chain[at]) for chain in chains(found.index)}) for at in range(4)]


def test_instances_of_a_series_are_together() -> None:
    assert together(instance(1), instance(2), instance(3)) == [1, 1, 1, 3]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"SeriesInstanceUID": "1.2.9"}, [1, 1, 2, 2]),
        ({"StudyInstanceUID": "1.9"}, [1, 2, 2, 2]),
        ({"PatientID": "9"}, [2, 2, 2, 2]),
        ({"PatientName": "Roe^Richard"}, [2, 2, 2, 2]),
        ({"IssuerOfPatientID": "other"}, [2, 2, 2, 2]),
        ({"PatientBirthDate": "19700101"}, [2, 2, 2, 2]),
    ],
    ids=["series", "study", "id", "name", "issuer", "birth date"],
)
def test_doubt_separates(more: dict[str, Value], expected: list[int]) -> None:
    assert together(instance(1), instance(2, **more)) == expected


def test_series_and_study_uids_of_another_patient_join_nothing() -> None:
    files = [instance(1), instance(2, PatientID="9"), instance(3, StudyInstanceUID="9")]

    assert together(*files) == [2, 3, 3, 3]


@pytest.mark.parametrize(
    ("lacking", "expected"),
    [
        (("SeriesInstanceUID",), [1, 1, 2, 2]),
        (("StudyInstanceUID", "SeriesInstanceUID"), [1, 2, 2, 2]),
        (("PatientID",), [1, 1, 1, 2]),
        (("PatientID", "StudyInstanceUID", "SeriesInstanceUID"), [2, 2, 2, 2]),
        (("SOPInstanceUID",), [1, 1, 1, 2]),
    ],
)
def test_what_lacks_a_uid_stands_for_itself(
    lacking: Sequence[str], expected: list[int]
) -> None:
    without: dict[str, Value] = dict.fromkeys(lacking)

    assert together(instance(1, **without), instance(2, **without)) == expected


def test_patients_without_an_id_are_told_apart_by_their_studies() -> None:
    without: dict[str, Value] = {"PatientID": None, "PatientName": None}
    files = [instance(1, **without), instance(2, StudyInstanceUID="9", **without)]

    assert together(*files) == [2, 2, 2, 2]


def test_files_with_the_same_uid_are_all_listed() -> None:
    found = scan_files({"A": instance(1), "B": instance(1), "C": instance(1)})

    assert paths(found) == ["A", "B", "C"]


# -- what is an instance, and what is not ----------------------------------------------

NO_INSTANCES = {
    "empty": b"",
    "text": b"Dear colleague,\n" * 100,
    "jpeg": b"\xff\xd8\xff\xe0" + bytes(1000),
    "zeros": bytes(4096),
    "program": b"MZ" + bytes(1000),
    "group 8 and nothing": b"\x08\0" + bytes(range(200)),
    "prefix too soon": bytes(100) + b"DICM" + bytes(1000),
}


@pytest.mark.parametrize("data", NO_INSTANCES.values(), ids=NO_INSTANCES.keys())
def test_what_is_no_dicom_file_is_passed_over(data: bytes) -> None:
    found = scan_files({"A": data, "B": instance(1)})

    assert (found.files, paths(found), found.findings) == (2, ["B"], [])


def test_a_medium_without_instances_has_an_empty_index() -> None:
    found = scan_files({"README.TXT": b"text"})

    assert (found.files, found.instances, chains(found.index)) == (1, 0, [])


MEDIUM = [patient("A", "1", [study("1.2", [series("1.2.3", [image("1.2.3.4")])])])]
DICOMDIRS = {
    "sound": build_dicomdir(MEDIUM),
    "implicit": build_dicomdir(MEDIUM, explicit=False),
    "big endian": build_dicomdir(MEDIUM, little_endian=False),
    "undefined": build_dicomdir(MEDIUM, undefined_sequences=True, undefined_items=True),
    "bare": build_dicomdir(MEDIUM, prefix=b"", meta=None),
    "empty": build_dicomdir([]),
} | {
    f"cut off at {size}": build_dicomdir(MEDIUM)[:size] for size in range(210, 390, 15)
}


@pytest.mark.parametrize("data", DICOMDIRS.values(), ids=DICOMDIRS.keys())
def test_a_dicomdir_is_no_instance(data: bytes) -> None:
    found = scan_files({"DICOMDIR": data, "OLD.DIR": data, "I1": instance(1)})

    assert (paths(found), found.findings) == (["I1"], [])


def test_an_instance_without_preamble_is_one() -> None:
    bare = instance(1)[len(PREFIX) :]
    bare = bare[bare.index(b"\x08\0\x16\0") :]

    [[patient_, *_, leaf_]] = chains(scan_files({"I1": bare}).index)

    assert patient_.PatientID == "12345"
    assert leaf_.ReferencedSOPInstanceUIDInFile == "1.2.3.4.1"


@pytest.mark.parametrize("rest", [b"", b"garbage" * 50], ids=["nothing", "garbage"])
def test_a_dicom_file_that_says_nothing_is_shown_and_reported(rest: bytes) -> None:
    found = scan_files({"I1": PREFIX + rest, "I2": PREFIX + rest})

    assert paths(found) == ["I1", "I2"]
    assert [len({id(chain[0]) for chain in chains(found.index)})] == [2]
    assert kinds(found) == {Kind.HEADER_UNREADABLE: 2}


def test_of_a_header_without_identity_the_meta_information_counts() -> None:
    data = instance_bytes(
        SOPClassUID=uid.RTDoseStorage, SOPInstanceUID="1.9", size=None
    )

    [[*_, leaf_]] = chains(
        scan_files({"I1": data[: data.index(b"\x08\0\x16\0UI")]}).index
    )

    assert leaf_.DirectoryRecordType == "RT DOSE"
    assert leaf_.ReferencedSOPInstanceUIDInFile == "1.9"


@pytest.mark.slow
def test_a_large_file_costs_no_more_than_a_small_one(
    tmp_path: Path, open_medium: OpenMedium
) -> None:
    (tmp_path / "I1").write_bytes(instance_bytes(PatientID="12345", size=20_000_000))
    medium = open_medium(tmp_path)

    scan(medium, unseen)

    assert medium.bytes_read <= 32 * 1024


# -- the files of the medium -----------------------------------------------------------


def copy_listed(samples: Path, target: Path) -> list[Path]:
    """Copy the files that the sample's DICOMDIR lists; return where they were."""
    records = pydicom.dcmread(samples / "DICOMDIR").DirectoryRecordSequence
    listed = [
        samples.joinpath(*record.ReferencedFileID)
        for record in records
        if "ReferencedFileID" in record
    ]
    for path in listed:
        place = target / path.relative_to(samples)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    return listed


def test_a_scan_finds_all_instances_of_the_sample(
    samples: Path, tmp_path: Path, open_medium: OpenMedium
) -> None:
    listed = copy_listed(samples, tmp_path)
    medium = open_medium(tmp_path)
    found = scan(medium, unseen)

    originals = {(os.fsencode(path), path.read_bytes()) for path in listed}
    seen = set()
    for chain in chains(found.index):
        where = place(found, chain)
        source = medium.open(where)
        seen.add((b"/".join([os.fsencode(samples), *where]), source.read_at(0, 10**9)))
    assert seen == originals
    assert len(seen) == found.instances == 31


@pytest.mark.slow
def test_the_tree_of_the_sample_is_the_same_with_and_without_its_dicomdir(
    samples: Path, tmp_path: Path
) -> None:
    copy_listed(samples, tmp_path)

    without = mounting.dicomfs("tree", "--scan", tmp_path)
    shutil.copy(samples / "DICOMDIR", tmp_path)
    with_one = mounting.dicomfs("tree", tmp_path)

    assert without.stdout == with_one.stdout
    assert without.stdout.count(".dcm") == 31


@pytest.mark.parametrize(
    "name",
    [
        b"with blanks and a . at the end.",
        b"back\\slash",
        b"new\nline",
        b"not \xff utf-8",
        "Straße 山".encode(),
        b"x" * 255,
        b"-rf",
        b"00000001",
    ],
)
def test_any_name_is_found(
    tmp_path: Path, open_medium: OpenMedium, name: bytes
) -> None:
    folder = os.fsencode(tmp_path) + b"/" + name
    os.mkdir(folder)  # noqa: PTH102 - a name that is no text
    for file in (folder + b"/" + name, os.fsencode(tmp_path) + b"/0"):
        Path(os.fsdecode(file)).write_bytes(instance(1))

    found = scan(open_medium(tmp_path), unseen)

    assert sorted(place(found, chain) for chain in chains(found.index)) == sorted(
        [(b"0",), (name, name)]
    )


def test_links_and_devices_are_passed_over(
    tmp_path: Path, open_medium: OpenMedium
) -> None:
    root = tmp_path / "medium"
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/I1").write_bytes(instance(1))
    (tmp_path / "outside").write_bytes(instance(2))
    (root / "a/b/loop").symlink_to(root)
    (root / "a/b/up").symlink_to("..")
    (root / "a/itself").symlink_to("itself")
    (root / "a/outside").symlink_to(tmp_path / "outside")
    (root / "a/inside").symlink_to("b/I1")
    (root / "a/null").symlink_to("/dev/null")
    os.mkfifo(root / "a/pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "a/socket"))

        found = scan(open_medium(root), unseen)

    assert (found.files, paths(found), found.findings) == (1, ["a/b/I1"], [])


def test_a_device_is_not_opened(tmp_path: Path, open_medium: OpenMedium) -> None:
    need_root()
    os.mknod(tmp_path / "zero", 0o20666, os.makedev(1, 5))

    found = scan(open_medium(tmp_path), unseen)

    assert (found.files, found.instances, found.findings) == (0, 0, [])


def test_another_file_system_is_not_entered(
    tmp_path: Path, open_medium: OpenMedium
) -> None:
    """Where /proc lies below a medium, its names are none of it."""
    need_root()
    (tmp_path / "other").mkdir()
    (tmp_path / "I1").write_bytes(instance(1))
    mounting.run(["mount", "-t", "tmpfs", "none", str(tmp_path / "other")])
    try:
        (tmp_path / "other/I2").write_bytes(instance(2))
        found = scan(open_medium(tmp_path), unseen)
    finally:
        mounting.run(["umount", str(tmp_path / "other")])

    assert paths(found) == ["I1"]
    assert kinds(found) == {Kind.UNREADABLE_FILE: 1}


def test_what_cannot_be_opened_costs_only_itself(
    tmp_path: Path, open_medium: OpenMedium
) -> None:
    for number in range(1, 10):
        (tmp_path / f"I{number}").write_bytes(instance(number))

    found = scan(open_medium(tmp_path, refuse=["I3", "I5"]), unseen)

    assert paths(found) == [f"I{number}" for number in (1, 2, 4, 6, 7, 8, 9)]
    assert found.findings == [
        Finding(Kind.UNREADABLE_FILE, count=2, files=("I3", "I5"))
    ]


def test_what_cannot_be_looked_at_costs_only_itself() -> None:
    broken = OSError(errno.EIO, "Input/output error")
    files = {
        "a/I1": instance(1),
        "b/I2": instance(2),
        "c/I3": instance(3),
        "t": b"text",
    }

    found = scan(FakeMedium(files, {"a": broken, "b/I2": broken}), unseen)

    assert paths(found) == ["c/I3"]
    assert [(each.kind, each.files) for each in found.findings] == [
        (Kind.UNREADABLE_FILE, ("a",)),
        (Kind.UNREADABLE_FILE, ("b/I2",)),
    ]


class BadSectors(FakeMedium):
    """A medium whose files can be read up to a certain place."""

    def __init__(self, files: dict[str, bytes], good: int) -> None:
        super().__init__(files)
        self._good = good

    def open(self, path: Place) -> Source:
        """Open a file."""
        return _CutSource(super().open(path), self._good)


class _CutSource(Source):
    def __init__(self, source: Source, good: int) -> None:
        self._source = source
        self._good = good
        self.size = source.size
        self.status = source.status

    def read_at(self, offset: int, size: int) -> bytes:
        """Read, or fail."""
        data = self._source.read_at(offset, size)
        if offset + len(data) > self._good:
            raise OSError(errno.EIO, "Input/output error")
        return data

    def close(self) -> None:
        """Close it."""
        self._source.close()


@pytest.mark.parametrize(("good", "shown"), [(0, []), (512, ["I1"])])
def test_an_instance_in_a_bad_sector_is_reported_and_shown_if_it_is_known_to_be_one(
    good: int, shown: list[str]
) -> None:
    files = {"I1": instance_bytes(size=40_000), "T": b"text" * 10_000}

    found = scan(BadSectors(files, good), unseen)

    assert paths(found) == shown
    assert [(each.kind, each.files) for each in found.findings] == [
        (Kind.UNREADABLE_FILE, ("I1", "T"))
    ]


def test_a_medium_whose_root_is_unreadable_is_an_error() -> None:
    gone = OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        scan(FakeMedium({"I1": instance(1)}, {"": gone}), unseen)


# -- File IDs --------------------------------------------------------------------------


def test_file_ids_are_in_the_order_of_the_medium() -> None:
    files = {f"{a}/{b}": instance(1) for a in "bca" for b in "zxy"}

    assert paths(scan_files(files | {"m": instance(1)})) == ["m", *sorted(files)]


def test_many_files_are_located_together_and_in_their_order(
    tmp_path: Path, open_medium: OpenMedium
) -> None:
    for number in range(6):
        (tmp_path / f"{number % 2}").mkdir(exist_ok=True)
        (tmp_path / f"{number % 2}/I{number}").write_bytes(instance(number))
    found = scan(open_medium(tmp_path), unseen)
    (tmp_path / "1/I3").unlink()
    file_ids = [b"00000003", b"00000004", b"9", b"00000000", b"x", b"00000005"]

    located = found.places.locate_all([(file_id,) for file_id in file_ids])

    assert [
        type(each) if isinstance(each, OSError) else os.fsdecode(b"/".join(each[0]))
        for each in located
    ] == [
        "1/I1",
        FileNotFoundError,
        FileNotFoundError,
        "0/I0",
        FileNotFoundError,
        "1/I5",
    ]


@pytest.mark.parametrize("path", [(), (b"a", b"b"), (b"1",), ("²".encode(),), (b"-1",)])
def test_a_file_id_that_is_none_of_the_index_leads_nowhere(path: Place) -> None:
    found = scan_files({"I1": instance(1)})

    with pytest.raises(FileNotFoundError):
        found.places.locate(path)


# -- order, and bounds -----------------------------------------------------------------


class SlowFirst(FakeMedium):
    """A medium whose first file answers after the last one."""

    def __init__(self, files: dict[str, bytes], last: str) -> None:
        super().__init__(files)
        self._last = tuple(last.encode().split(b"/"))
        self._answered = threading.Event()

    def status(self, path: Place) -> Status:
        """Return the status of a file."""
        if path == self._last:
            self._answered.set()
        return super().status(path)

    def statuses(self, folder: Place, names: Sequence[bytes]) -> list[Status | OSError]:
        """Return the statuses, those of the first folder when all others are asked."""
        if folder == (b"0",):
            assert self._answered.wait(mounting.PATIENCE)
        return super().statuses(folder, names)


def test_the_order_in_which_files_answer_changes_nothing() -> None:
    files = {f"{number}/I": instance(number) for number in range(10)}

    slow = scan(SlowFirst(files, "9/I"), unseen)

    assert slow.index == scan_files(files).index
    assert paths(slow) == sorted(files)


def test_other_files_give_another_identity() -> None:
    one, other = (
        scan_files({"I1": instance(1), "I2": instance(last)}) for last in (2, 3)
    )

    assert len(one.index) == len(other.index)
    assert one.index[:512] != other.index[:512]


def test_deep_folders_are_looked_into_within_bounds() -> None:
    folders = [f"{number:02}" for number in range(40)]
    files = {
        "/".join([*folders[:depth], "I"]): instance(1) for depth in range(len(folders))
    }

    found = scan_files(files)

    assert found.instances == scanning.MAX_DEPTH + 1
    assert [(each.kind, each.count) for each in found.findings] == [(Kind.TOO_DEEP, 1)]


def test_no_more_files_than_the_bound_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scanning, "MAX_ENTRIES", 10)
    files = {f"{a}/{b}": instance(1) for a in "abc" for b in "1234"}

    found = scan_files(files)

    # Of ten entries three are the folders themselves.
    assert paths(found) == ["a/1", "a/2", "a/3", "a/4", "b/1", "b/2", "b/3"]
    assert kinds(found) == {Kind.TOO_MANY_RECORDS: 2}


def test_an_index_does_not_outgrow_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "MAX_INDEX", 20_000)
    title = "x" * 1000
    files = {
        f"{number:03}": instance(
            number, SOPClassUID=uid.RTPlanStorage, RTPlanLabel=title, PatientID=title
        )
        for number in range(200)
    }

    found = scan_files(files)

    assert 0 < found.instances < 40
    assert len(found.index) < 50_000
    assert kinds(found) == {Kind.TOO_MANY_RECORDS: 1}
    assert len(chains(found.index)) == found.instances


@pytest.mark.late
def test_ten_thousand_instances_take_little_memory(tmp_path: Path) -> None:
    count = 10_000
    long_uid = "1.2.826.0.1.3680043.8.498." + "7" * 30
    first = instance(10_000, SOPInstanceUID=f"{long_uid}.10000")
    for folder in (tmp_path / f"DICOM/P{each:07}" for each in range(10)):
        folder.mkdir(parents=True)
    for number in range(count):
        own = first.replace(b".10000", b".%05d" % number)
        place = tmp_path / f"DICOM/P{number // 1000:07}/I{number:07}"
        place.write_bytes(own)
    medium = FolderMedium(os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY))

    tracemalloc.start()
    found = scan(medium, unseen)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    medium.close()
    assert found.instances == count
    assert len(found.index) <= 300 * count
    assert peak <= 1000 * count


# -- round trip ------------------------------------------------------------------------

UIDS = st.sampled_from(["1.2", "1.2.3", "1.2.4", ""])
TEXTS = st.text("aÄ山^=\\ 1", max_size=9).map(str.encode)
INSTANCES = st.fixed_dictionaries(
    {
        "SpecificCharacterSet": st.just("ISO_IR 192"),
        "SOPInstanceUID": UIDS,
        "StudyInstanceUID": UIDS,
        "SeriesInstanceUID": UIDS,
        "PatientID": st.sampled_from(["1", "2", ""]),
        "PatientName": TEXTS,
        "StudyDescription": TEXTS,
        "SeriesDescription": TEXTS,
        "InstanceNumber": st.sampled_from(["1", "2", ""]),
        "SOPClassUID": st.sampled_from(
            [uid.CTImageStorage, uid.RTPlanStorage, uid.HangingProtocolStorage]
        ),
        "RTPlanLabel": TEXTS,
    }
)
# On which record each value is, if the instance belongs to a patient.
AT = {
    tags.PATIENT_ID: 0,
    tags.PATIENT_NAME: 0,
    tags.STUDY_INSTANCE_UID: 1,
    tags.SERIES_INSTANCE_UID: 2,
    tags.REFERENCED_SOP_INSTANCE_UID: 3,
    tags.INSTANCE_NUMBER: 3,
}


@given(st.lists(INSTANCES, max_size=12))
def test_every_instance_is_where_its_own_header_says(
    instances: list[dict[str, Value]],
) -> None:
    files = {
        f"I{number:03}": instance_bytes(each, size=None)
        for number, each in enumerate(instances)
    }

    found = scan_files(files)

    leaves = chains(found.index)
    assert paths(found) == sorted(files)
    for (_, data), chain in zip(sorted(files.items()), leaves, strict=True):
        header = pydicom.dcmread(io.BytesIO(data))
        if header.SOPClassUID == uid.HangingProtocolStorage:
            assert len(chain) == 1
            continue
        for tag, level in AT.items():
            source = (
                tags.SOP_INSTANCE_UID
                if tag == tags.REFERENCED_SOP_INSTANCE_UID
                else tag
            )
            assert raw(chain[level], tag) == raw(header, source)
        if header.SOPClassUID == uid.RTPlanStorage:
            assert raw(chain[3], tags.RT_PLAN_LABEL) == raw(header, tags.RT_PLAN_LABEL)


@given(st.binary(max_size=300), st.integers(0, 400))
def test_any_file_is_an_instance_or_none(data: bytes, at: int) -> None:
    whole = instance(1)
    files = {"A": data, "B": PREFIX + data, "C": whole[:at] + data + whole[at:]}

    found = scan_files(files)

    assert found.files == 3
    # What says that it is a DICOM file is shown, whatever is behind; a directory is not.
    is_directory = (
        data[:2] == b"\x04\0" or uid.MediaStorageDirectoryStorage.encode() in data
    )
    assert "B" in paths(found) or is_directory


# -- progress, and the command line ----------------------------------------------------


def test_progress_is_told_file_by_file() -> None:
    said: list[tuple[int, int, int]] = []
    files = {f"{a}/{b}": instance(1) for a in "abc" for b in "12"} | {"t": b"text"}

    scan(FakeMedium(files), lambda *counts: said.append(counts))

    counted = [(0, 0, 1), (0, 0, 3), (0, 0, 5), (0, 0, 7)]
    assert said == [*counted, (1, 0, 7), (3, 2, 7), (5, 4, 7), (7, 6, 7)]


class HangingFiles(FakeMedium):
    """A medium of which some files never answer: to be opened, or to be asked what they are."""

    def __init__(
        self, files: dict[str, bytes], *, opens: str = "", asks: str = ""
    ) -> None:
        super().__init__(files)
        self._opens, self._asks = opens.encode(), asks.encode()
        self.over = threading.Event()

    def status(self, path: Place) -> Status:
        """Return the status, or none at all."""
        if path[-1] == self._asks:
            self.over.wait(mounting.PATIENCE)
        return super().status(path)

    def open(self, path: Place) -> Source:
        """Open a file, or never."""
        if path[-1] == self._opens:
            self.over.wait(mounting.PATIENCE)
        return super().open(path)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["opens", "asks"])
@pytest.mark.parametrize("which", ["I00", "I07", "I39"])
def test_a_file_that_does_not_answer_costs_only_itself(how: str, which: str) -> None:
    files = {f"I{number:02}": instance(number) for number in range(40)}
    medium = HangingFiles(files, **{how: which})

    found = scan(medium, unseen, 0.5)
    medium.over.set()

    assert paths(found) == sorted(files.keys() - {which})
    assert found.findings == [Finding(Kind.SILENT_FILE, files=(which,))]
    assert found.files == 40


@pytest.mark.slow
def test_a_medium_of_which_too_much_does_not_answer_cannot_be_read() -> None:
    class Silent(HangingFiles):
        def open(self, path: Place) -> Source:
            self.over.wait(mounting.PATIENCE)
            return super().open(path)

    medium = Silent({f"{number:02}/I": instance(number) for number in range(40)})

    with pytest.raises(Failure, match="too much of it does not answer"):
        scanned(medium, Findings(), deadline=0.1)
    medium.over.set()


def test_a_scan_that_finds_nothing_is_a_failure() -> None:
    with pytest.raises(Failure, match=r"\(files 2\)") as caught:
        scanned(FakeMedium({"A": b"text", "B": b""}), Findings())

    assert caught.value.problem is Problem.NO_INSTANCE


def test_a_scan_of_an_unreadable_medium_is_a_failure() -> None:
    medium = FakeMedium({"A": b""}, {"": OSError(errno.EIO, "Input/output error")})

    with pytest.raises(Failure, match="Input/output error") as caught:
        scanned(medium, Findings())

    assert caught.value.problem is Problem.SOURCE_UNREADABLE


def test_what_a_scan_finds_goes_to_the_report(expect_log: ExpectLog) -> None:
    expect_log("2 files or folders of the medium cannot be read")
    files = {"A": instance(1), "B": instance(2), "C": instance(3)}
    broken = OSError(errno.EIO, "Input/output error")
    findings = Findings()

    scanned(FakeMedium(files, {"B": broken, "C": broken}), findings)

    assert findings.all() == [Finding(Kind.UNREADABLE_FILE, count=2, files=("B", "C"))]


def medium_of(root: Path) -> Path:
    """Write a medium whose DICOMDIR is of no use; return its folder."""
    leaves = [image(f"1.2.3.4.{number}", number=number) for number in range(1, 4)]
    medium = [
        patient(
            "Doe^Jane",
            "12345",
            [study("1.2", [series("1.2.3", leaves)], description="CT Thorax")],
        )
    ]
    written = write_medium(root, medium)
    written.dicomdir.write_bytes(b"")
    return root


def names(root: Path) -> list[str]:
    done = mounting.dicomfs("tree", "--scan", "--json", root)
    assert (done.returncode, done.stderr) == (0, "")
    return list(_names(json.loads(done.stdout)))


def _names(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("name"), str):
            yield node["name"]
        for below in node.values():
            yield from _names(below)
    elif isinstance(node, list):
        for below in node:
            yield from _names(below)


@pytest.mark.slow
def test_a_tree_is_printed_without_a_usable_dicomdir(tmp_path: Path) -> None:
    found = names(medium_of(tmp_path))

    assert "Doe, Jane (12345)" in found
    assert "2023-07-05 CT Thorax" in found
    assert [name for name in found if name.endswith(".dcm")] == [
        "0001.dcm",
        "0002.dcm",
        "0003.dcm",
    ]


@pytest.mark.mount
def test_a_medium_is_mounted_without_a_usable_dicomdir(
    tmp_path: Path, mount: Mounter
) -> None:
    root = medium_of(tmp_path / "medium")
    originals = {
        path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.stat().st_size
    }

    mounted = mount(root, "--scan")

    files = [path for path in mounted.files() if path.suffix == ".dcm"]
    assert {path.read_bytes() for path in files} == originals
    assert len(files) == 3
    assert files[0].parent.parent.name == "2023-07-05 CT Thorax"


def said_on_the_terminal(*media: Path) -> bytes:
    """Return what a scan says on a terminal."""
    ours, theirs = pty.openpty()
    command = [*mounting.IMPATIENT, "tree", "--scan", *map(str, media)]
    done = mounting.run(
        ["sh", "-c", f'"$@" 2>/proc/{os.getpid()}/fd/{theirs}', "-", *command]
    )
    os.close(theirs)
    said = os.read(ours, 4096)
    os.close(ours)
    assert done.returncode == 0
    return said


@pytest.mark.slow
def test_a_scan_shows_its_progress_on_the_terminal(tmp_path: Path) -> None:
    said = said_on_the_terminal(medium_of(tmp_path))

    assert b"files to be looked at: " in said
    assert said.endswith(b"\r\x1b[K")


@pytest.mark.slow
def test_a_scan_of_several_media_shows_which_it_is_at_one_after_the_other(
    tmp_path: Path,
) -> None:
    media = [medium_of(tmp_path / name) for name in ("one", "two")]

    said = said_on_the_terminal(*media)

    places = [said.rindex(f"{medium}: ".encode()) for medium in media]
    assert places == sorted(places)
    assert said.find(f"{media[1]}: ".encode()) > places[0]


def test_a_scan_is_no_way_to_read_the_index_only(tmp_path: Path) -> None:
    done = mounting.dicomfs("tree", "--scan", "--index-only", tmp_path)

    assert done.returncode == Exit.USAGE
    assert "not allowed with" in done.stderr
