"""How one disc writes a patient: a spelling of the name, in a character set or without."""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from scripts.randommedia.people import Person
from scripts.randommedia.text import LATIN1, UTF8, compared, encoded, is_possible
from scripts.randommedia.truth import Folder
from tests.build.medium import OMIT, Record, Value, patient


@dataclass(frozen=True, slots=True)
class Card:
    """A *person* with *name*, in the character set of *terms*, which may be *declared*.

    If it is not, one may still see what is meant: or not, then nobody *can_be_read*.
    """

    person: Person
    name: str
    terms: str
    declared: bool
    can_be_read: bool
    has_dates: bool

    @property
    def may_be_missing(self) -> bool:
        """Whether headers say the same, so that the record may be missing."""
        person = self.person
        is_known = person.patient_id and person.name and not person.is_nobody
        return bool(is_known and self.can_be_read)

    def folder(self) -> Folder:
        """Return the folder of the patient."""
        person = self.person
        names = {compared(each) for each in person.spellings(UTF8)}
        if not self.can_be_read:
            names = set()
        return Folder(person.key, (person.patient_id,), tuple(sorted(names)))

    def record(self, children: Iterable[Record]) -> Record:
        """Return the PATIENT record above *children*."""
        person = self.person
        more: dict[str, Value] = {}
        if self.declared:
            more["SpecificCharacterSet"] = self.terms.encode("ascii")
        if self.has_dates:
            more["PatientBirthDate"] = person.birth_date or None
            more["PatientSex"] = person.sex or None
            more["IssuerOfPatientID"] = person.issuer or OMIT
        return patient(
            encoded(self.name, self.terms, is_name=True) or OMIT,
            encoded(person.patient_id, self.terms) or OMIT,
            children,
            **more,
        )


def card(rng: Random, person: Person, default: str, *, is_at_home: bool) -> Card:
    """Return how a disc writes *person*; *default* is the character set of the whole disc.

    What nobody can read is only written of somebody who *is_at_home*: on no other disc.
    """
    terms, declared = rng.choice(person.terms), True
    can_be_read = True
    if default and rng.random() < 0.7:
        terms, declared = default, False
    elif not default and rng.random() < 0.25:
        declared = False
        terms = UTF8
        if _shows_itself(person) and rng.random() < 0.5:
            terms = LATIN1
        elif is_at_home and _is_latin_id(person) and rng.random() < 0.5:
            terms, can_be_read = rng.choice(person.terms), False
    spelled = [
        name
        for name in person.spellings(terms)
        if is_possible(name, terms, is_name=True)
    ]
    name = rng.choice(spelled)
    has_dates = person.one_spelling or rng.random() < 0.7
    return Card(person, name, terms, declared and bool(terms), can_be_read, has_dates)


def _is_latin_id(person: Person) -> bool:
    return person.patient_id.isascii()


def _shows_itself(person: Person) -> bool:
    """Whether what is written in Latin-1 is seen to be that, and not taken for UTF-8."""
    for text in (person.patient_id, person.name):
        if not is_possible(text, LATIN1):
            return False
        if not text.isascii() and is_possible_utf8(encoded(text, LATIN1)):
            return False
    return True


def is_possible_utf8(data: bytes) -> bool:
    """Whether *data* is text in UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
