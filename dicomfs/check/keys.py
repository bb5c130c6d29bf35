"""What directory records should have (PS3.3 F.5), held against what they have.

Missing keys make names poorer and nothing else; writers leave out the same ones in all
records, so they are counted by record type.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from dicomfs.dicom import tags, text
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicomdir.record import DirectoryRecord
from dicomfs.findings import Finding, Kind

# Of type 1: there, and not empty.
_REQUIRED: Final = {
    "PATIENT": ((tags.PATIENT_ID, "Patient ID"),),
    "STUDY": (
        (tags.STUDY_DATE, "Study Date"),
        (tags.STUDY_TIME, "Study Time"),
        (tags.STUDY_ID, "Study ID"),
        (tags.STUDY_INSTANCE_UID, "Study Instance UID"),
    ),
    "SERIES": (
        (tags.MODALITY, "Modality"),
        (tags.SERIES_INSTANCE_UID, "Series Instance UID"),
        (tags.SERIES_NUMBER, "Series Number"),
    ),
} | dict.fromkeys(
    (
        "ANNOTATION",
        "ASSESSMENT",
        "ENCAP DOC",
        "FIDUCIAL",
        "IMAGE",
        "KEY OBJECT DOC",
        "MEASUREMENT",
        "PRESENTATION",
        "RADIOTHERAPY",
        "REGISTRATION",
        "RT DOSE",
        "RT PLAN",
        "RT STRUCTURE SET",
        "RT TREAT RECORD",
        "SPECTROSCOPY",
        "SR DOCUMENT",
        "SURFACE",
        "TRACT",
        "VALUE MAP",
        "WAVEFORM",
        "WF PRESENTATION",
    ),
    ((tags.INSTANCE_NUMBER, "Instance Number"),),
)
# PS3.3 F.3.2.2, of a record that references an instance. HL7 documents are none.
_REQUIRED_WITH_FILE: Final = (
    (tags.REFERENCED_SOP_CLASS_UID, "Referenced SOP Class UID in File"),
    (tags.REFERENCED_SOP_INSTANCE_UID, "Referenced SOP Instance UID in File"),
    (tags.REFERENCED_TRANSFER_SYNTAX_UID, "Referenced Transfer Syntax UID in File"),
)
_DESCRIPTIONS: Final = {
    "STUDY": (tags.STUDY_DESCRIPTION, "Study Description"),
    "SERIES": (tags.SERIES_DESCRIPTION, "Series Description"),
}
_HL7: Final = "HL7 STRUC DOC"
_ESCAPE: Final = b"\x1b"
_TEXTS: Final = (
    tags.PATIENT_NAME,
    tags.PATIENT_ID,
    tags.ACCESSION_NUMBER,
    tags.STUDY_ID,
    tags.STUDY_DESCRIPTION,
    tags.SERIES_DESCRIPTION,
    tags.DOCUMENT_TITLE,
    tags.CONTENT_LABEL,
    tags.CONTENT_DESCRIPTION,
    tags.CONCEPT_NAME_CODE_SEQUENCE,
)


class Keys:
    """Counts the keys that records lack."""

    def __init__(self) -> None:
        self._records = Counter[str]()
        self._missing = Counter[tuple[Kind, str, str]]()
        self._first: dict[tuple[Kind, str, str], int] = {}

    def add(self, record: DirectoryRecord) -> None:
        """Look at one more *record*."""
        self._records[record.type] += 1
        for kind, name in _lacks(record):
            key = kind, record.type, name
            self._missing[key] += 1
            self._first.setdefault(key, record.offset)

    def findings(self) -> Iterator[Finding]:
        """Yield what is missing, with the offset of the first record that lacks it."""
        for key, count in self._missing.items():
            kind, type_, name = key
            of = self._records[type_]
            yield Finding(kind, self._first[key], type_, (), count, of, detail=name)


def _lacks(record: DirectoryRecord) -> Iterator[tuple[Kind, str]]:
    raw = record.attributes.raw
    for tag, name in _REQUIRED.get(record.type, ()):
        # PS3.3 F.5.2: a STUDY that references a file may have its UID there.
        stands_in = tag == tags.STUDY_INSTANCE_UID and record.sop_instance_uid
        if not raw(tag) and not stands_in:
            yield Kind.MISSING_KEY, name
    if record.file_id and record.type != _HL7:
        for tag, name in _REQUIRED_WITH_FILE:
            if not raw(tag):
                yield Kind.MISSING_KEY, name
    if record.type in _DESCRIPTIONS:
        tag, name = _DESCRIPTIONS[record.type]
        if not raw(tag):
            yield Kind.MISSING_DESCRIPTION, name


def character_set_fault(attributes: Attributes) -> str:
    """Return what is wrong with the character set of *attributes*, empty if nothing is.

    Where they declare none, that of a record above will do.
    """
    own = attributes.raw(tags.SPECIFIC_CHARACTER_SET)
    name = repr(own.decode("latin-1"))
    try:
        text.codecs_of(own)
    except ValueError:
        return f"there is no {name}"
    candidates = (own,) if own else attributes.character_sets
    for tag in _TEXTS:
        value = attributes.raw(tag)
        if value.isascii() and _ESCAPE not in value:
            continue
        is_name = tag == tags.PATIENT_NAME
        if not any(text.fits(value, each, is_name=is_name) for each in candidates):
            return f"text that is not in {name}" if own else "none is declared"
    return ""
