"""Where something belongs, as records and headers say."""

import pytest

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.patient import NOBODY, PersonName
from dicomfs.dicom.types import Level
from dicomfs.dicomdir.origin import Origin


def test_one_id_for_all_patients_does_not_make_them_one() -> None:
    anna = Origin("1", PersonName("anna"), b"1.1", b"")
    berta = Origin("1", PersonName("berta"), b"1.2", b"")

    assert anna.agrees(berta, Level.PATIENT) is False
    assert anna.agrees(anna._replace(study_uid=b""), Level.PATIENT) is True
    assert anna.agrees(berta._replace(study_uid=b"1.1"), Level.STUDY) is True


DOE = Origin("1", PersonName("doe^jane", "山田", "やまだ"), b"1.1", b"")


@pytest.mark.parametrize(
    "other",
    [
        DOE._replace(patient_id="2"),
        DOE._replace(patient_name=PersonName("doe^jane^^^jr", "山田", "やまだ")),
        DOE._replace(patient_name=PersonName("doe^jane", "山本", "やまだ")),
        DOE._replace(patient_name=PersonName("doe^jane", "山田", "やまもと")),
        DOE._replace(patient_name=PersonName("doe^jane")),
        DOE._replace(study_uid=b"1.2"),
    ],
    ids=["id", "suffix", "ideographic", "phonetic", "one-group-less", "study"],
)
def test_one_contradiction_is_enough(other: Origin) -> None:
    assert DOE.agrees(other, Level.PATIENT) is False


@pytest.mark.parametrize(
    "other",
    [
        DOE,
        DOE._replace(patient_name=PersonName("doe^jane", "山田")),
        DOE._replace(patient_name=NOBODY),
    ],
    ids=["same", "without-phonetic", "without-name"],
)
def test_what_one_of_two_does_not_say_is_no_contradiction(other: Origin) -> None:
    assert DOE.agrees(other, Level.PATIENT) is True


def test_of_nobody_nothing_is_known() -> None:
    assert Origin.unknown().agrees(DOE, Level.PATIENT) is None
    assert Origin.unknown().key(Level.PATIENT) == b""


def test_an_id_is_compared_as_it_is_written() -> None:
    one, other = (
        Origin.of(Attributes({tags.PATIENT_ID: each})) for each in (b"ab1", b"AB1")
    )

    assert one.agrees(other, Level.PATIENT) is False
