"""Studies, series and files by chance, before they are on any disc."""

from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Final

from pydicom import uid

from scripts.randommedia.people import Person, cast
from scripts.randommedia.text import encoded
from tests.build.medium import SOP_CLASSES, Value, instance_bytes

_ROOT: Final = "1.2.826.0.1"
_TYPES: Final = (
    *("IMAGE",) * 12,
    *("SR DOCUMENT", "KEY OBJECT DOC", "PRESENTATION", "ENCAP DOC", "RAW DATA"),
)
_MODALITIES: Final = {"SR DOCUMENT": "SR", "KEY OBJECT DOC": "KO", "PRESENTATION": "PR"}


@dataclass(eq=False, slots=True)
class Shot:
    """An instance, of whose records none has its UID if it is not *uid_is_listed*."""

    record_type: str
    uid: str
    number: int | None
    uid_is_listed: bool
    size: int | None


@dataclass(eq=False, slots=True)
class Series:
    """A series; without *uid* that is missing everywhere."""

    uid: str
    number: int
    modality: str
    description: str
    shots: list[Shot] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Study:
    """A study of *person*; without *uid* that is missing everywhere."""

    person: Person
    uid: str
    date: str
    description: str
    series: list[Series] = field(default_factory=list)


def studies(rng: Random) -> list[Study]:
    """Return the studies of some people."""
    numbers = count(1)
    found = [
        _study(rng, person, f"{_ROOT}.{next(numbers)}")
        for person in cast(rng)
        for _ in range(rng.choice((1, 1, 1, 2, 3)))
    ]
    _mix_up(rng, found)
    return found


def _mix_up(rng: Random, found: list[Study]) -> None:
    """Let two people have one Study Instance UID, as where a patient was mistaken."""
    others = [each for each in found if each.person.key != found[0].person.key]
    # Of nobody it would say who they are.
    if others and rng.random() < 0.2 and not found[0].person.is_nobody:
        other = rng.choice(others)
        if not other.person.is_nobody:
            other.uid = found[0].uid


def _study(rng: Random, person: Person, own_uid: str) -> Study:
    made = Study(
        person,
        own_uid if rng.random() < 0.95 else "",
        rng.choice(("20230705", "19970704", "")),
        rng.choice(("", "CT Thorax", "Knee", "Abdomen with contrast")),
    )
    for number in range(1, rng.choice((1, 1, 2, 3)) + 1):
        made.series.append(_series(rng, f"{own_uid}.{number}", number))
    return made


def _series(rng: Random, own_uid: str, number: int) -> Series:
    record_type = rng.choice(_TYPES)
    shots = [
        Shot(
            record_type,
            f"{own_uid}.{each}",
            each if rng.random() < 0.95 else None,
            rng.random() < 0.97,
            rng.choice((64, 256, 900)) if record_type == "IMAGE" else None,
        )
        for each in range(1, rng.choice((1, 2, 3, 5, 8, 13)) + 1)
    ]
    if rng.random() < 0.04:
        # Some scanners give all slices one UID.
        for shot in shots:
            shot.uid, shot.uid_is_listed = f"{own_uid}.1", True
    return Series(
        own_uid if rng.random() < 0.95 else "",
        number,
        _MODALITIES.get(record_type, "CT"),
        rng.choice(("", "Lung 1.0", "Localizer")),
        shots,
    )


def content(
    study: Study, series: Series, shot: Shot, comment: str = "as it was"
) -> bytes:
    """Return the file of an instance; a *comment* makes it another one."""
    person = study.person
    terms = person.terms[0]
    given: dict[str, Value] = {
        "SOPClassUID": SOP_CLASSES.get(shot.record_type, uid.RawDataStorage),
        "SOPInstanceUID": shot.uid,
        "SpecificCharacterSet": terms.encode("ascii"),
        "PatientID": encoded(person.patient_id, terms),
        "PatientName": encoded(person.name, terms, is_name=True),
        "PatientBirthDate": person.birth_date,
        "PatientSex": person.sex,
        "IssuerOfPatientID": person.issuer,
        "StudyInstanceUID": study.uid,
        "StudyDate": study.date,
        "StudyDescription": study.description,
        "SeriesInstanceUID": series.uid,
        "SeriesNumber": series.number,
        "SeriesDescription": series.description,
        "Modality": series.modality,
        "InstanceNumber": shot.number,
        "AcquisitionNumber": series.shots.index(shot) if shot in series.shots else None,
        "ImageComments": comment,
    }
    elements = {
        key: value for key, value in given.items() if value not in ("", b"", None)
    }
    return instance_bytes(elements, size=shot.size)
