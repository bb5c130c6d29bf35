"""Where something belongs, as records and headers say."""

from dicomfs.dicom.patient import PersonName
from dicomfs.dicom.types import Level
from dicomfs.dicomdir.origin import Origin


def test_one_id_for_all_patients_does_not_make_them_one() -> None:
    anna = Origin("1", PersonName("anna"), b"1.1", b"")
    berta = Origin("1", PersonName("berta"), b"1.2", b"")

    assert anna.agrees(berta, Level.PATIENT) is False
    assert anna.agrees(anna._replace(study_uid=b""), Level.PATIENT) is True
    assert anna.agrees(berta._replace(study_uid=b"1.1"), Level.STUDY) is True
