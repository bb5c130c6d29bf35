"""What directory records say of an instance, held against what its own header says.

Only contradictions count: what one of the two leaves out, the other may know.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from dicomfs.dicom import tags, text
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicomdir.origin import normal
from dicomfs.dicomdir.record import DirectoryRecord, Level
from dicomfs.findings import Kind

_ABOVE: Final = (
    (Level.STUDY, tags.STUDY_INSTANCE_UID, "Study Instance UID"),
    (Level.SERIES, tags.SERIES_INSTANCE_UID, "Series Instance UID"),
)
_INSTANCE: Final = (
    (
        Kind.UID_DISAGREES,
        tags.REFERENCED_SOP_INSTANCE_UID,
        tags.SOP_INSTANCE_UID,
        "SOP Instance UID",
    ),
    (
        Kind.UID_DISAGREES,
        tags.REFERENCED_SOP_CLASS_UID,
        tags.SOP_CLASS_UID,
        "SOP Class UID",
    ),
    (
        Kind.SYNTAX_DISAGREES,
        tags.REFERENCED_TRANSFER_SYNTAX_UID,
        tags.TRANSFER_SYNTAX_UID,
        "Transfer Syntax UID",
    ),
)
_PATIENT: Final = (
    (tags.PATIENT_ID, "Patient ID"),
    (tags.PATIENT_BIRTH_DATE, "Patient's Birth Date"),
    (tags.PATIENT_SEX, "Patient's Sex"),
)


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
    for kind, in_record, in_file, name in _INSTANCE:
        told, found = record.attributes.raw(in_record), header.raw(in_file)
        if told and found and told != found:
            yield Disagreement(kind, name, _ascii(told), _ascii(found))
    for level, tag, name in _ABOVE:
        told = above[level].raw(tag) if level in above else b""
        found = header.raw(tag)
        if told and found and told != found:
            yield Disagreement(Kind.UID_DISAGREES, name, _ascii(told), _ascii(found))
    if patient := above.get(Level.PATIENT):
        yield from _of_patient(patient, header)


def _of_patient(patient: Attributes, header: Attributes) -> Iterator[Disagreement]:
    for tag, name in _PATIENT:
        told, found = patient.text(tag), header.text(tag)
        if told and found and normal(told) != normal(found):
            yield Disagreement(Kind.PATIENT_DISAGREES, name, told, found)
    told, found = _name(patient), _name(header)
    if any(_contradict(*groups) for groups in _groups(told, found)):
        yield Disagreement(Kind.PATIENT_DISAGREES, "Patient's Name", told, found)


def _name(attributes: Attributes) -> str:
    value = attributes.raw(tags.PATIENT_NAME)
    return text.decode(value, attributes.character_sets, is_name=True)


def _groups(told: str, found: str) -> Iterator[tuple[str, str]]:
    """Yield the groups of two person names that both have (PS3.5 6.2.1.1)."""
    yield from zip(told.split("="), found.split("="), strict=False)


def _contradict(told: str, found: str) -> bool:
    told, found = normal(told.replace("^", " ")), normal(found.replace("^", " "))
    return bool(told and found) and told != found


def _ascii(uid: bytes) -> str:
    return uid.decode("latin-1")
