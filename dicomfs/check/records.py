"""What directory records say, held against the headers of the files and the standard.

A header contradicts a record only where both say something: what one of them leaves
out, the other may know. Keys that the standard wants (PS3.3 F.5) and that are missing
make names poorer and nothing else. A writer leaves out the same ones in all records, so
they are counted by record type.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Final, NamedTuple

from dicomfs.dicom import patient, tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.charsets import declared
from dicomfs.dicom.text import has_rubbish, is_beyond_ascii
from dicomfs.dicom.types import FOREIGN_TYPES, REQUIRED, Level
from dicomfs.dicomdir.record import DirectoryRecord
from dicomfs.findings import Finding, Kind

_ABOVE: Final = (
    (Level.STUDY, tags.STUDY_INSTANCE_UID),
    (Level.SERIES, tags.SERIES_INSTANCE_UID),
)
# The attribute in the record, and that in the file.
_INSTANCE: Final = (
    (Kind.UID_DISAGREES, tags.REFERENCED_SOP_INSTANCE_UID, tags.SOP_INSTANCE_UID),
    (Kind.UID_DISAGREES, tags.REFERENCED_SOP_CLASS_UID, tags.SOP_CLASS_UID),
    (
        Kind.SYNTAX_DISAGREES,
        tags.REFERENCED_TRANSFER_SYNTAX_UID,
        tags.TRANSFER_SYNTAX_UID,
    ),
)
_WITNESSES: Final = (tags.PATIENT_BIRTH_DATE, tags.PATIENT_SEX)

# PS3.3 F.3.2.2, of a record that references an instance.
_REQUIRED_WITH_FILE: Final = (
    tags.REFERENCED_SOP_CLASS_UID,
    tags.REFERENCED_SOP_INSTANCE_UID,
    tags.REFERENCED_TRANSFER_SYNTAX_UID,
)
_DESCRIPTIONS: Final = {
    "STUDY": tags.STUDY_DESCRIPTION,
    "SERIES": tags.SERIES_DESCRIPTION,
}
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


_NUMBERS: Final = (tags.SERIES_NUMBER, tags.INSTANCE_NUMBER)
_DATES: Final = (tags.STUDY_DATE, tags.SERIES_DATE, tags.PATIENT_BIRTH_DATE)


class Disagreement(NamedTuple):
    """One attribute, and what the record and the file say it is."""

    kind: Kind
    attribute: str
    record: str
    file: str


def disagreements(
    record: DirectoryRecord, above: Mapping[Level, Attributes], header: Attributes
) -> Iterator[Disagreement]:
    """Yield what *record* and the records *above* it say otherwise than *header*."""
    for kind, in_record, in_file in _INSTANCE:
        told, found = record.attributes.raw(in_record), header.raw(in_file)
        yield from _different_uids(kind, in_file, told, found)
    for level, tag in _ABOVE:
        told = above[level].raw(tag) if level in above else b""
        yield from _different_uids(Kind.UID_DISAGREES, tag, told, header.raw(tag))
    if person := above.get(Level.PATIENT):
        yield from _of_patient(person, header)


def _different_uids(
    kind: Kind, tag: int, told: bytes, found: bytes
) -> Iterator[Disagreement]:
    if told and found and told != found:
        names = told.decode("latin-1"), found.decode("latin-1")
        yield Disagreement(kind, tags.NAMES[tag], *names)


def _of_patient(record: Attributes, header: Attributes) -> Iterator[Disagreement]:
    if _is_plainly_same(record, header):
        return
    told, found = record.text(tags.PATIENT_ID), header.text(tags.PATIENT_ID)
    if patient.ids_contradict(record, header):
        yield _of(tags.PATIENT_ID, told, found)
    for tag in _WITNESSES:
        told, found = record.text(tag), header.text(tag)
        if told and found and patient.normal(told) != patient.normal(found):
            yield _of(tag, told, found)
    if patient.names_contradict(record, header):
        spellings = patient.spelling(record), patient.spelling(header)
        yield _of(tags.PATIENT_NAME, *spellings)


def _is_plainly_same(record: Attributes, header: Attributes) -> bool:
    """Whether both say the same of the patient in bytes that mean the same in all sets."""
    for tag in (tags.PATIENT_ID, tags.PATIENT_NAME, *_WITNESSES):
        value = record.values.get(tag, b"")
        if value != header.values.get(tag, b"") or is_beyond_ascii(value):
            return False
    return True


def _of(tag: int, told: str, found: str) -> Disagreement:
    return Disagreement(Kind.PATIENT_DISAGREES, tags.NAMES[tag], told, found)


class Keys:
    """Counts the keys that records lack, and the values that are not as they must be."""

    def __init__(self) -> None:
        self._records = Counter[str]()
        self._missing = Counter[tuple[Kind, str, str]]()
        self._first: dict[tuple[Kind, str, str], int] = {}

    def add(self, record: DirectoryRecord) -> None:
        """Look at one more *record*."""
        self._records[record.type] += 1
        for kind, tag in chain(_lacks(record), _has_wrong(record.attributes)):
            key = kind, record.type, tags.NAMES[tag]
            self._missing[key] += 1
            self._first.setdefault(key, record.offset)

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong, with the offset of the first record that has it so."""
        for key, count in self._missing.items():
            kind, type_, name = key
            of = self._records[type_]
            yield Finding(kind, self._first[key], type_, (), count, of, detail=name)


def _lacks(record: DirectoryRecord) -> Iterator[tuple[Kind, int]]:
    """Yield the tags that *record* should have and has not, and how bad that is."""
    raw = record.attributes.raw
    for tag in REQUIRED.get(record.type, ()):
        # PS3.3 F.5.2: a STUDY that references a file may have its UID there.
        stands_in = tag == tags.STUDY_INSTANCE_UID and record.sop_instance_uid
        if not raw(tag) and not stands_in:
            yield Kind.MISSING_KEY, tag
    if record.file_id and record.type not in FOREIGN_TYPES:
        for tag in _REQUIRED_WITH_FILE:
            if not raw(tag):
                yield Kind.MISSING_KEY, tag
    description = _DESCRIPTIONS.get(record.type)
    if description is not None and not raw(description):
        yield Kind.MISSING_DESCRIPTION, description


def _has_wrong(attributes: Attributes) -> Iterator[tuple[Kind, int]]:
    """Yield the tags whose values are not written as they must be, and how."""
    for tag in _DATES:
        if not attributes.is_proper_date(tag):
            yield Kind.MALFORMED_DATE, tag
    for tag in _NUMBERS:
        if attributes.raw(tag) and attributes.number(tag) is None:
            yield Kind.MALFORMED_NUMBER, tag
    for tag, value in attributes.values.items():
        if has_rubbish(value) and tag in tags.NAMES:
            yield Kind.RUBBISH, tag
    own = attributes.raw(tags.SPECIFIC_CHARACTER_SET)
    known = declared(own)
    if (known is None or known.unknown) and not any(
        map(is_beyond_ascii, map(attributes.raw, _TEXTS))
    ):
        yield Kind.UNKNOWN_CHARACTER_SET, tags.SPECIFIC_CHARACTER_SET


def character_set_fault(attributes: Attributes) -> str:
    """Return what is wrong with the character set of *attributes*, empty if nothing is.

    If they do not declare any, that of a record above will do.
    """
    # As good as always there is nothing but ASCII, which is in all of them.
    if not any(map(is_beyond_ascii, map(attributes.raw, _TEXTS))):
        return ""
    doubts = (attributes.doubt(tag, is_name=tag == tags.PATIENT_NAME) for tag in _TEXTS)
    return next(filter(None, doubts), "")
