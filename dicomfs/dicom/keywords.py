"""Attributes by their keywords (PS3.6): whose they are, and how they are read.

These are the ones that directory records have, as people and programs ask for them.
"""

from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.numbers import WHOLE
from dicomfs.dicom.types import Level

Value = str | int

_NUMBERS: Final = {"IS", *WHOLE}


class Keyword(NamedTuple):
    """An attribute of what is on a *level*, by its *name*, with its VR.

    It has the first of *tags* that is not empty: in a DICOMDIR an attribute of the file
    has another tag than in the file itself (PS3.3 F.3.2.2).
    """

    name: str
    level: Level
    vr: str
    tags: tuple[int, ...]

    def value(self, attributes: Attributes) -> Value | None:
        """Return the value in *attributes*, None if there is none.

        A whole number, IS or in binary, is a number where it is one. A PN has all its
        groups and components, and of several values each is there, as they are written.
        """
        for tag in self.tags:
            if (found := self._value(attributes, tag)) not in ("", None):
                return found
        return None

    def _value(self, attributes: Attributes, tag: int) -> Value | None:
        if self.vr == "PN":
            return attributes.name(tag)
        if self.vr in _NUMBERS and (number := attributes.number(tag)) is not None:
            return number
        return attributes.text(tag)


def _of(level: Level, *rows: tuple[str, str, int]) -> tuple[Keyword, ...]:
    return tuple(Keyword(name, level, vr, (tag,)) for name, vr, tag in rows)


KEYWORDS: Final = (
    *_of(
        Level.PATIENT,
        ("PatientID", "LO", tags.PATIENT_ID),
        ("IssuerOfPatientID", "LO", tags.ISSUER_OF_PATIENT_ID),
        ("PatientName", "PN", tags.PATIENT_NAME),
        ("PatientBirthDate", "DA", tags.PATIENT_BIRTH_DATE),
        ("PatientSex", "CS", tags.PATIENT_SEX),
    ),
    *_of(
        Level.STUDY,
        ("StudyInstanceUID", "UI", tags.STUDY_INSTANCE_UID),
        ("StudyID", "SH", tags.STUDY_ID),
        ("StudyDate", "DA", tags.STUDY_DATE),
        ("StudyTime", "TM", tags.STUDY_TIME),
        ("AccessionNumber", "SH", tags.ACCESSION_NUMBER),
        ("StudyDescription", "LO", tags.STUDY_DESCRIPTION),
    ),
    *_of(
        Level.SERIES,
        ("SeriesInstanceUID", "UI", tags.SERIES_INSTANCE_UID),
        ("SeriesNumber", "IS", tags.SERIES_NUMBER),
        ("Modality", "CS", tags.MODALITY),
        ("SeriesDate", "DA", tags.SERIES_DATE),
        ("SeriesTime", "TM", tags.SERIES_TIME),
        ("SeriesDescription", "LO", tags.SERIES_DESCRIPTION),
    ),
    Keyword(
        "SOPInstanceUID",
        Level.INSTANCE,
        "UI",
        (
            tags.SOP_INSTANCE_UID,
            tags.REFERENCED_SOP_INSTANCE_UID,
            tags.MEDIA_STORAGE_SOP_INSTANCE_UID,
        ),
    ),
    Keyword(
        "SOPClassUID",
        Level.INSTANCE,
        "UI",
        (
            tags.SOP_CLASS_UID,
            tags.REFERENCED_SOP_CLASS_UID,
            tags.MEDIA_STORAGE_SOP_CLASS_UID,
        ),
    ),
    Keyword(
        "TransferSyntaxUID",
        Level.INSTANCE,
        "UI",
        (tags.TRANSFER_SYNTAX_UID, tags.REFERENCED_TRANSFER_SYNTAX_UID),
    ),
    *_of(
        Level.INSTANCE,
        ("InstanceNumber", "IS", tags.INSTANCE_NUMBER),
        ("DirectoryRecordType", "CS", tags.DIRECTORY_RECORD_TYPE),
        ("ReferencedFileID", "CS", tags.REFERENCED_FILE_ID),
    ),
)

BY_NAME: Final = {each.name: each for each in KEYWORDS}


def of_level(level: Level) -> tuple[Keyword, ...]:
    """Return the keywords of what is on a *level*, in the order in which they are shown."""
    return tuple(each for each in KEYWORDS if each.level is level)
