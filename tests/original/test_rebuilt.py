"""File-sets that are rebuilt: what is in their DICOMDIR, and what `check` says of them."""

import io
import logging
from pathlib import Path
from typing import Final

import pydicom
import pytest

from dicomfs.check.check import check
from dicomfs.dicomdir.content import content_of
from dicomfs.dicomdir.directory import Directory
from dicomfs.fileset.open import file_sets_of
from dicomfs.findings import Findings, Kind
from dicomfs.media.opening import open_sources
from dicomfs.original import account
from dicomfs.original.fileids import FileIds
from dicomfs.original.rebuilt import Reason, Rebuilt, rebuilt
from dicomfs.source.source import BytesSource
from scripts.catalogue import readers
from scripts.catalogue.rebuilding import write
from tests.build.breakage import CASES, Usual
from tests.build.medium import (
    OMIT,
    Record,
    Value,
    image,
    instance_bytes,
    patient,
    record,
    series,
    study,
    write_medium,
)
from tests.conftest import ExpectLog
from tests.support.amounts import tries_all
from tests.support.trees import SAMPLES, opened

# Of these nothing is left to make a DICOMDIR of.
_NO_FILE_SET: Final = {
    "dicomdir-is-an-image",
    "dicomdir-is-cut-off-in-its-first-record",
    "dicomdir-is-cut-off-in-its-header",
    "dicomdir-is-empty",
    "dicomdir-is-encrypted",
    "dicomdir-is-encrypted-as-a-stream",
    "dicomdir-is-signed",
    "dicomdir-is-text",
    "dicomdir-is-zeros",
}
_NAMES: Final = sorted(CASES.keys() - _NO_FILE_SET)
_SOME: Final = _NAMES if tries_all() else _NAMES[::9]
# What files say, or text that they and the records have in common.
_OF_FILES: Final = frozenset(
    {
        Kind.NOT_DICOM,
        Kind.CHARACTER_SET,
        Kind.RUBBISH,
        Kind.MISSING_FILE,
        Kind.DUPLICATE_INSTANCE,
        Kind.UID_DISAGREES,
        Kind.PATIENT_DISAGREES,
        Kind.SPLIT_STUDY,
        Kind.EXECUTABLE_PREAMBLE,
    }
)
LINKS: Final = {0x00041400, 0x00041410, 0x00041420}


def made_of(root: Path, file_ids: FileIds | None = None) -> Rebuilt:
    """Return the medium *root* rebuilt."""
    with opened(root) as tree:
        tree.check_links()
        return rebuilt(tree, file_ids or FileIds())


def records_of(data: bytes) -> list[pydicom.Dataset]:
    return list(pydicom.dcmread(io.BytesIO(data)).DirectoryRecordSequence)


def faults(root: Path) -> set[Kind]:
    file_sets = file_sets_of(open_sources([root]), Findings())
    return {each.kind for each in check(file_sets).findings if each.kind.is_fault}


def medium(root: Path, *roots: Record) -> Path:
    write_medium(root, roots)
    return root


@pytest.mark.counted
@pytest.mark.slow
@pytest.mark.parametrize("name", _SOME)
def test_check_finds_nothing_but_what_the_files_have(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "dicomfs")
    root, to = tmp_path / "medium", tmp_path / "rebuilt"
    root.mkdir()
    to.mkdir()
    CASES[name].write(root)
    before = faults(root)
    folders = write(root, to).folders

    after = {kind for folder in folders for kind in faults(folder)}

    assert after <= before
    assert after <= _OF_FILES


def test_a_sound_medium_keeps_every_element_of_every_record() -> None:
    written = (SAMPLES / "DICOMDIR").read_bytes()

    def contents(data: bytes) -> list[dict[int, bytes]]:
        directory = Directory(BytesSource(data))

        def below(first: int) -> list[dict[int, bytes]]:
            found = []
            for each in directory.entity(first) if first else ():
                item = data[each.offset : each.offset + each.length]
                content = content_of(item, directory.header.syntax)
                found.append({t: d for t, d in content.items() if t not in LINKS})
                found += below(each.lower)
            return found

        return below(directory.header.root)

    made = made_of(SAMPLES)

    assert contents(made.dicomdir) == contents(written)
    assert made.instances == 31
    assert (made.made, made.completed, made.changed) == (0, 0, 0)


def test_rebuilt_again_it_is_the_same(tmp_path: Path) -> None:
    first = made_of(SAMPLES)
    write(SAMPLES, tmp_path)

    assert made_of(tmp_path).dicomdir == first.dicomdir


def test_the_ids_of_the_file_set_are_kept(tmp_path: Path) -> None:
    write_medium(
        tmp_path,
        Usual().roots,
        meta={"MediaStorageSOPInstanceUID": "1.2.3"},
        top_level={"FileSetID": "MY CD", "SpecificCharacterSet": "ISO_IR 100"},
    )

    data = pydicom.dcmread(io.BytesIO(made_of(tmp_path).dicomdir))

    assert data.file_meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert data.FileSetID == "MY CD"
    assert data.SpecificCharacterSet == "ISO_IR 100"


def test_a_file_set_without_a_uid_gets_one(tmp_path: Path) -> None:
    write_medium(tmp_path, Usual().roots, meta=None)

    data = pydicom.dcmread(io.BytesIO(made_of(tmp_path).dicomdir))

    assert data.file_meta.MediaStorageSOPInstanceUID.is_valid


def one_image(**more: Value) -> Record:
    return image("1.2.3.4", (), **more)


def test_levels_that_are_missing_come_from_the_header(tmp_path: Path) -> None:
    lost = one_image()
    lost.say(
        PatientName="Doe^Jane",
        PatientID="4711",
        StudyInstanceUID="1.2",
        SeriesInstanceUID="1.2.3",
        StudyDate="20230705",
        Modality="CT",
    )

    made = made_of(medium(tmp_path, lost))

    kinds = [each.DirectoryRecordType for each in records_of(made.dicomdir)]
    top = records_of(made.dicomdir)[0]
    assert kinds == ["PATIENT", "STUDY", "SERIES", "IMAGE"]
    assert (top.PatientName, top.PatientID) == ("Doe^Jane", "4711")
    assert made.made == 3


def test_a_key_that_is_lacking_comes_from_the_header(tmp_path: Path) -> None:
    one = patient("Doe^Jane", OMIT, [study("1.2", [series("1.2.3", [one_image()])])])
    one.say(PatientID="4711")

    made = made_of(medium(tmp_path, one))

    assert records_of(made.dicomdir)[0].PatientID == "4711"
    assert made.completed == 1


def test_a_header_that_contradicts_completes_nothing(tmp_path: Path) -> None:
    one = patient("Doe^Jane", OMIT, [study("1.2", [series("1.2.3", [one_image()])])])
    one.say(PatientID="4712", PatientName="Roe^Richard")

    made = made_of(medium(tmp_path, one))

    assert not records_of(made.dicomdir)[0].get("PatientID")
    assert made.completed == 0


def test_a_character_set_that_was_declared_above_is_declared_where_it_counts(
    tmp_path: Path,
) -> None:
    below = study("1.2", [series("1.2.3", [one_image()])], description=b"Sch\xe4del")
    one = patient("Doe^Jane", "1", [below], SpecificCharacterSet="ISO_IR 100")

    made = made_of(medium(tmp_path, one))

    assert records_of(made.dicomdir)[1].StudyDescription == "Schädel"


def test_a_missing_file_stays_listed_and_is_counted(tmp_path: Path) -> None:
    lost = one_image(path=None)
    one = patient("Doe", "1", [study("1.2", [series("1.2.3", [lost])])])

    made = made_of(medium(tmp_path, one))

    assert made.instances == made.missing == 1
    assert not made.files
    assert any("missing" in line for line in account.lines(made))


def test_what_leads_out_of_the_medium_is_left_out_and_said(tmp_path: Path) -> None:
    out = one_image(file=b"..\\..\\ETC\\PASSWD", path=None)
    one = patient("Doe", "1", [study("1.2", [series("1.2.3", [out])])])

    made = made_of(medium(tmp_path, one))

    assert made.left_out == {Reason.REFUSED: 1}
    assert not account.is_whole(made)
    assert len(records_of(made.dicomdir)) == 3


def test_the_file_of_a_multi_referenced_record_is_its_own(tmp_path: Path) -> None:
    shared = record("MRDR", file="SHARED/I1", path=None, NumberOfReferences=1)
    user = image("1.2.3.4", file=OMIT)
    user["MRDRDirectoryRecordOffset"] = shared
    one = patient("Doe", "1", [study("1.2", [series("1.2.3", [user])])])
    write_medium(tmp_path, [one], unlinked=[shared])
    (tmp_path / "SHARED").mkdir()
    (tmp_path / "SHARED/I1").write_bytes(instance_bytes(SOPInstanceUID="1.2.3.4"))

    made = made_of(tmp_path)

    *_, leaf = records_of(made.dicomdir)
    assert leaf.ReferencedFileID == ["SHARED", "I1"]
    assert "MRDRDirectoryRecordOffset" not in leaf
    assert list(made.files) == [(b"SHARED", b"I1")]


def test_pydicom_finds_all_of_a_medium_with_broken_links(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("all links are off")
    root, to = tmp_path / "medium", tmp_path / "rebuilt"
    root.mkdir()
    to.mkdir()
    CASES["shifted-and-headers-unreadable"].write(root)
    before = readers.read(readers.pydicom, root, root / "DICOMDIR", 20)

    write(root, to)

    after = readers.read(readers.pydicom, to, to / "DICOMDIR", 20)
    assert before.failure == "KeyError"
    assert len(after.shown) == 10
