"""Whom and which study something belongs to, as its records or its header say.

Two that say different things are not of the same patient; two that say nothing may be.
"""

from collections.abc import Sequence
from typing import NamedTuple

from dicomfs.dicom import patient, tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.patient import NOBODY, PersonName
from dicomfs.dicom.types import Level


class Origin(NamedTuple):
    """Where something belongs, as its records or its header say; empty if they do not.

    Patient ID and name are as they are compared.
    """

    patient_id: str
    patient_name: PersonName
    study_uid: bytes
    series_uid: bytes

    @staticmethod
    def unknown() -> "Origin":
        """Return the origin of something that nothing is said about."""
        return Origin("", NOBODY, b"", b"")

    @staticmethod
    def of(attributes: Attributes) -> "Origin":
        """Return the origin that *attributes* name."""
        return Origin(
            patient.patient_id(attributes),
            patient.patient_name(attributes),
            attributes.raw(tags.STUDY_INSTANCE_UID),
            attributes.raw(tags.SERIES_INSTANCE_UID),
        )

    def below(self, other: "Origin") -> "Origin":
        """Return this origin, filled up with what *other*, further up, says."""
        return Origin(
            self.patient_id or other.patient_id,
            self.patient_name if any(self.patient_name) else other.patient_name,
            self.study_uid or other.study_uid,
            self.series_uid or other.series_uid,
        )

    def key(self, level: int) -> bytes:
        """Return what tells a patient, study or series from others, if it is known."""
        if level == Level.SERIES:
            return self.series_uid
        if level == Level.STUDY:
            return self.study_uid
        name = "=".join(_shown(self.patient_name)).rstrip("=")
        return (self.patient_id or name).encode()

    def agrees(self, said: "Origin", level: int) -> bool | None:
        """Whether *said* is of the same patient, study or series; None if unknown.

        One contradiction is enough, at any level; the same key at *level* is needed.
        """
        if contradict([self[:1] + self[2:], said[:1] + said[2:]]):
            return False
        # Some writers give all patients one ID; among studies of one the UIDs decide.
        is_named = level == Level.PATIENT or not (self.patient_id and said.patient_id)
        if is_named and _are_others(self.patient_name, said.patient_name):
            return False
        key = self.key(level)
        return True if key and key == said.key(level) else None


def contradict(said: Sequence[tuple[str | bytes, ...]]) -> bool:
    """Whether two of *said* have different values in one place; empty does not count."""
    return any(len(set(values) - {"", b""}) > 1 for values in zip(*said, strict=True))


def _are_others(one: PersonName, other: PersonName) -> bool:
    """Whether two names are of different people; one that is missing is of anybody."""
    if not any(one) or not any(other):
        return False
    return _shown(one) != _shown(other) or one.contradicts(other)


def _shown(name: PersonName) -> PersonName:
    """Return *name* without its phonetic group, unless it has no other."""
    return name._replace(phonetic="") if any(name[:2]) else name
