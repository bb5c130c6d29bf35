"""Attributes of files and folders, for who asks by name."""

import os
from pathlib import Path

import pydicom
import pytest

from dicomfs.mount import xattrs
from tests.build.medium import image, patient, record, series, study, write_medium
from tests.support.mounting import Mount
from tests.support.trees import opened, walk


@pytest.mark.mount
def test_files_and_folders_have_what_their_records_say(
    sample_mount: Mount, samples: Path
) -> None:
    for file in sample_mount.files():
        header = pydicom.dcmread(file, stop_before_pixels=True)

        assert os.getxattr(file, "user.dicom.PatientID") == header.PatientID.encode()
        uid = str(header.SOPInstanceUID).encode()
        assert os.getxattr(file, "user.dicomfs.uid") == uid
        assert os.getxattr(file, "user.dicom.SOPInstanceUID") == uid
        assert os.getxattr(file, "user.dicomfs.source") == os.fsencode(samples)
        file_id = os.getxattr(file, "user.dicomfs.file_id").replace(b"\\", b"/")
        original = samples / os.fsdecode(file_id)
        assert original.read_bytes() == file.read_bytes()
        of_study = os.getxattr(file.parents[1], "user.dicomfs.uid")
        assert of_study == str(header.StudyInstanceUID).encode()
        with pytest.raises(OSError, match="not supported"):
            os.listxattr(file)


def test_a_name_that_nobody_knows_is_told_at_once() -> None:
    assert not xattrs.is_known(b"user.dicom.PixelData")
    assert not xattrs.is_known(b"user.xdg.tags")


def test_text_is_utf_8_numbers_are_decimal_and_nothing_is_empty(
    tmp_path: Path,
) -> None:
    images = [image("1.1.1.1", number=7), image("1.1.1.2", number=8, path=None)]
    latin = {"SpecificCharacterSet": "ISO_IR 100"}
    doe = patient("Müller", "1", [study("1.1", [series("1.1.1", images)])], **latin)
    write_medium(tmp_path, [doe])

    with opened(tmp_path) as tree:
        nodes = [node for _, node in walk(tree.root)]
        *_, file, missing = nodes

        assert xattrs.value(file, b"user.dicom.PatientName") == "Müller".encode()
        assert xattrs.value(file, b"user.dicom.InstanceNumber") == b"7"
        assert xattrs.value(file, b"user.dicom.AccessionNumber") == b""
        assert xattrs.value(file, xattrs.ERROR) == b""
        assert xattrs.value(missing, xattrs.ERROR) == b"No such file or directory"
        assert xattrs.value(nodes[0], b"user.dicomfs.uid") == b""
        assert xattrs.value(tree.root, b"user.dicom.PatientID") == b""


def test_a_file_id_that_another_record_lends_is_told(tmp_path: Path) -> None:
    lender = record("MRDR", file="SHARED/I1", NumberOfReferences=1)
    user = image("1.1.1.1", file=None)
    user["MRDRDirectoryRecordOffset"] = lender
    lungs = series("1.1.1", [user])
    write_medium(tmp_path, [patient("Doe", "1", [study("1.1", [lungs])]), lender])

    with opened(tmp_path) as tree:
        *_, (_, file) = walk(tree.root)

        assert xattrs.value(file, b"user.dicomfs.file_id") == b"SHARED\\I1"
