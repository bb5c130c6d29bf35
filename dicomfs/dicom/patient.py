"""Whom attributes name: Patient IDs and names as they are compared.

An ID counts as it is written. Of a name the spelling does not count: case, blanks, and
carets behind it. Text that is longer than anybody's name is compared as it is: what
normalising it would take is up to who wrote it.
"""

import re
import unicodedata
from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes

# PS3.5 6.2: 64 characters of an ID and of each group of a name.
_LONGEST: Final = 256
_WORD: Final = re.compile(r"[^\W_]+")
# What stands where nobody is named; ``docs/names.md`` lists them.
PLACEHOLDERS: Final = frozenset(
    {
        *("anon", "anonym", "anonyme", "anonymisiert", "anonymised", "anonymisé"),
        *("anonymized", "anonymous", "anonimizado", "anonimo", "anónimo", "blank"),
        *("default", "deidentified", "desconocido", "dummy", "empty", "id", "inconnu"),
        *("na", "name", "nil", "nn", "nobody", "noid", "noname", "none", "null"),
        *("patient", "phantom", "sconosciuto", "temp", "test", "testpatient"),
        *("unbekannt", "undefined", "unidentified", "unknown", "unnamed"),
        *("匿名", "不明"),
    }
)
# What stands for bytes that are no text: others may have stood there.
_UNKNOWN: Final = "\ufffd"
_FILLING: Final = re.compile(r"0+|x+")


class PersonName(NamedTuple):
    """The groups of a person name as they are compared (PS3.5 6.2.1); empty if missing."""

    alphabetic: str = ""
    ideographic: str = ""
    phonetic: str = ""

    def contradicts(self, other: "PersonName") -> bool:
        """Whether a group that both have differs."""
        return any(
            one and another and one != another
            for one, another in zip(self, other, strict=True)
        )

    def as_words(self) -> "PersonName":
        """Return the name without what tells its components apart."""
        return PersonName(*(" ".join(each.replace("^", " ").split()) for each in self))


NOBODY: Final = PersonName()


def patient_id(attributes: Attributes) -> str:
    """Return the Patient ID as it is compared: as written, but for padding."""
    return _told_apart(_composed(attributes.text(tags.PATIENT_ID)), attributes)


def patient_name(attributes: Attributes) -> PersonName:
    """Return the Patient's Name as it is compared."""
    groups = map(_folded, _groups(attributes))
    return PersonName(*(_told_apart(each, attributes) for each in groups))


def ids_contradict(one: Attributes, other: Attributes) -> bool:
    """Whether two that have a Patient ID have different ones."""
    # The same bytes are the same ID, whatever each side says that they are in.
    if one.raw(tags.PATIENT_ID) == other.raw(tags.PATIENT_ID):
        return False
    ids = patient_id(one), patient_id(other)
    return all(ids) and ids[0] != ids[1]


def names_contradict(record: Attributes, header: Attributes) -> bool:
    """Whether a record names somebody else than a header, in a group that both have.

    Which words are family and given name does not count: writers of records err there.
    """
    if record.raw(tags.PATIENT_NAME) == header.raw(tags.PATIENT_NAME):
        return False
    told, found = patient_name(record), patient_name(header)
    return told != found and told.as_words().contradicts(found.as_words())


def spelling(attributes: Attributes) -> str:
    """Return the Patient's Name with what does not count when it is compared."""
    return "=".join(map(_trimmed, _groups(attributes))).rstrip("=")


def is_placeholder(value: str) -> bool:
    """Whether an ID or a name is what stands where nobody is named.

    That is so if each word of it is; nothing is a placeholder, too.
    """
    if len(value) > _LONGEST:
        return False
    words = _WORD.findall(value.casefold())
    return "".join(words) in PLACEHOLDERS or all(
        word in PLACEHOLDERS or _FILLING.fullmatch(word) for word in words
    )


def normal(value: str) -> str:
    """Return *value* as it is compared where neither case nor blanks count."""
    if len(value) > _LONGEST:
        return value
    return _composed(" ".join(_composed(value).casefold().split()))


def _told_apart(value: str, attributes: Attributes) -> str:
    """Return *value* so that it differs from others where letters of it are unknown."""
    if _UNKNOWN not in value:
        return value
    raw = map(attributes.raw, (tags.PATIENT_ID, tags.PATIENT_NAME))
    return f"{value} {b' '.join(raw).hex()}"


def _groups(attributes: Attributes) -> tuple[str, str, str]:
    name = attributes.name(tags.PATIENT_NAME)
    alphabetic, ideographic, phonetic = (*name.split("=", 2), "", "")[:3]
    return alphabetic, ideographic, phonetic


def _folded(group: str) -> str:
    if len(group) > _LONGEST:
        return group
    return "^".join(map(normal, group.split("^"))).rstrip("^")


def _trimmed(group: str) -> str:
    return "^".join(part.strip() for part in group.split("^")).rstrip("^")


def _composed(value: str) -> str:
    if value.isascii() or len(value) > _LONGEST:
        return value
    return unicodedata.normalize("NFC", value)
