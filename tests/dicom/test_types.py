"""Directory Record Types, against the table with which pydicom writes DICOMDIRs."""

import pytest
from pydicom import fileset, uid

from dicomfs.dicom.types import (
    LEVELS,
    MRDR,
    RECORD_TYPES,
    ROOT_TYPES,
    is_known,
    type_of_class,
)
from dicomfs.dicom.uids import DIRECTORY

PATIENTS = fileset._FOUR_LEVEL_SOP_CLASSES
OTHERS = fileset._SINGLE_LEVEL_SOP_CLASSES


@pytest.mark.parametrize("sop_class", [*PATIENTS, *OTHERS])
def test_an_instance_gets_the_record_that_pydicom_would_write(sop_class: str) -> None:
    known = {str(each): type_ for each, type_ in {**PATIENTS, **OTHERS}.items()}

    assert type_of_class(sop_class.encode()) == known[sop_class]


@pytest.mark.parametrize(
    ("sop_class", "expected"),
    [
        (uid.CTImageStorage, "IMAGE"),
        (uid.SegmentationStorage, "IMAGE"),
        (uid.RTImageStorage, "IMAGE"),
        ("1.2.840.10008.5.1.4.1.1.481.23", "IMAGE"),
        (uid.RTPlanStorage, "RT PLAN"),
        (uid.RTIonPlanStorage, "RT PLAN"),
        (uid.RTPhysicianIntentStorage, "RADIOTHERAPY"),
        (uid.EncapsulatedPDFStorage, "ENCAP DOC"),
        (uid.EncapsulatedMTLStorage, "ENCAP DOC"),
        (uid.KeyObjectSelectionDocumentStorage, "KEY OBJECT DOC"),
        (uid.EnhancedXRayRadiationDoseSRStorage, "SR DOCUMENT"),
        (uid.VolumeRenderingVolumetricPresentationStateStorage, "PRESENTATION"),
        ("1.2.840.10008.5.1.4.1.1.9.1.4", "WAVEFORM"),
        ("1.2.840.10008.5.1.4.1.1.9.100.1", "WF PRESENTATION"),
        ("1.2.840.10008.5.1.4.1.1.9", "CURVE"),
        (uid.MicroscopyBulkSimpleAnnotationsStorage, "ANNOTATION"),
        ("1.2.840.10008.5.1.4.1.1.201.1", "INVENTORY"),
        (uid.RTBeamsDeliveryInstructionStorage, "PLAN"),
    ],
)
def test_an_instance_gets_the_record_of_the_standard(
    sop_class: str, expected: str
) -> None:
    assert type_of_class(sop_class.encode()) == expected


@pytest.mark.parametrize("sop_class", ["", "1.2.3", "1.2.840.10008.5.1.4.1.1", "ä\0"])
def test_what_is_not_known_is_an_image(sop_class: str) -> None:
    assert type_of_class(sop_class.encode()) == "IMAGE"


@pytest.mark.parametrize("sop_class", OTHERS)
def test_what_pydicom_keeps_in_the_root_belongs_to_no_patient(sop_class: str) -> None:
    assert type_of_class(sop_class.encode()) in ROOT_TYPES


def test_the_class_of_a_dicomdir_is_that_of_the_standard() -> None:
    assert DIRECTORY.decode() == uid.MediaStorageDirectoryStorage


def test_each_type_has_one_row_and_each_class_one_type() -> None:
    names = [each.name for each in RECORD_TYPES]
    classes = [part for each in RECORD_TYPES for part in each.classes]

    assert len(set(names)) == len(names)
    assert len(set(classes)) == len(classes)


def test_a_record_that_only_lends_its_file_stands_on_no_level() -> None:
    assert is_known(MRDR)
    assert MRDR not in LEVELS
