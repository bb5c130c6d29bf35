"""Names for people: of patients, studies, series and instances.

    Doe, Jane Q (12345)/2023-07-05 CT Thorax/002 CT Lung 1.0/0017.dcm

Pure functions from attributes to names. A name depends on nothing but the records of
its own folder, so it is the same on every mount and whatever was visited before.
"""

import codecs
import hashlib
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.types import DOCUMENT, IMAGE, SHORT_NAMES, Level
from dicomfs.printable import IDLE_JOINER, INVISIBLE, JOINERS

# How long a name may be, in units of UTF-16: Windows allows a path 260 of them, with the
# drive and a folder in front, so a tree that was copied to a stick fits.
BUDGETS: Final[Mapping[Level, int]] = {
    Level.PATIENT: 76,
    Level.STUDY: 60,
    Level.SERIES: 56,
    Level.INSTANCE: 40,
}
EXTENSION: Final = ".dcm"
# The numbers of a folder's instances are padded to so many digits at least.
INSTANCE_DIGITS: Final = 4

# A number in front tells one name from the next, and is never cut.
_NUMBER: Final = re.compile(r"(minus )?\d{1,12}(?= |$)")
# Some letters take two units.
_LEAST: Final = 2
_BEYOND_16_BITS: Final = re.compile("[\U00010000-\U0010ffff]")

_SUFFIX_DIGITS: Final = 8
# Letters of a value that a name may be made of: most of those that are dropped, too.
_LONGEST: Final = 1000
_REFUSED: Final = re.compile(r'[/\\:*?"<>|]')
_BLANKS: Final = re.compile(r"\s+")
# Format characters are invisible and may turn the reading direction around.
_DROPPED: Final = frozenset({"Cc", "Cf", "Cs"})
# What is invisible all the same, and code points that are no characters.
_IGNORABLE: Final = re.compile(
    f"[{INVISIBLE}\u2065\ufff0-\ufff8\ufdd0-\ufdef\ufffe\uffff]"
)
_NOT_IN_FRONT: Final = " .-" + JOINERS
_NOT_BEHIND: Final = " ." + JOINERS
_DEVICES: Final = re.compile(
    r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])(?=\s*(\.|$))", re.IGNORECASE
)

# Folders of the root that are made here: no record has them.
OTHER: Final = "Other"
UNLINKED: Final = "Unlinked"
# What looks like the letters of these names, small or capital: in Cyrillic, Greek and
# Armenian, and in many fonts.
_LOOKALIKES: Final = {
    ord(other): letter
    for letter, others in {
        "o": "0\u043e\u03bf\u0585",
        "t": "\u0442\u03c4",
        "h": "\u043d\u04bb\u03b7\u0570",
        "e": "\u0435\u03b5",
        "u": "\u057d",
        "n": "\u03bd\u0578",
        "k": "\u043a\u03ba",
        "d": "\u0501",
        "l": "1i\u0131\u0456\u03b9\u04cf\u0269",
    }.items()
    for other in others
}

# What an encapsulated document is, by its MIME type.
_DOCUMENT_KINDS: Final = {
    b"application/pdf": "PDF",
    b"text/xml": "CDA",
    b"model/stl": "STL",
    b"model/obj": "OBJ",
    b"model/mtl": "MTL",
}


class Name(NamedTuple):
    """A name before clashes are resolved, and the keys that then tell it apart.

    The first key is the UID, the Patient ID or the File ID; each further one is more
    specific, the last one unique. A *mark* says what is wrong with the file; the names of
    others do not depend on it. One that *is_taken* clashes with what is not among them.
    The *budget* is for the whole name. Only what describes is cut for it: neither a number
    in front, nor what the name is told apart by.
    """

    stem: str
    extension: str
    keys: tuple[bytes, ...]
    mark: str = ""
    is_taken: bool = False
    budget: int = BUDGETS[Level.INSTANCE]

    def plain(self) -> str:
        """Return the name as it is where nothing clashes with it, without its mark."""
        return self._ending(self.extension)

    def told_apart(self, depth: int) -> str:
        """Return the name with the hash of its first *depth* keys, without its mark."""
        return self._ending(self._suffix(depth) + self.extension)

    def marked(self, depth: int) -> str:
        """Return the name with its mark, and a hash of *depth* keys if that is not 0."""
        suffix = self._suffix(depth) if depth else ""
        return self._ending(f"{suffix} ({self.mark}){self.extension}")

    def _suffix(self, depth: int) -> str:
        digest = hashlib.sha256(b"\0".join(self.keys[:depth])).hexdigest()
        # Even hashes of all keys may begin the same: then more of them is shown.
        digits = _SUFFIX_DIGITS if depth <= len(self.keys) else 4 * _SUFFIX_DIGITS
        return f" [{digest[:digits]}]"

    def _ending(self, tail: str) -> str:
        return _cut(self.stem, self.budget - len(tail)) + tail


def distinct(names: Sequence[Name]) -> list[str]:
    """Return one string for each of *names*, no two of them the same to any system.

    Names are compared in normal form C and without regard to case. Every one of those
    that clash gets a suffix; the order of *names* does not matter. Marks come last: what
    they make clash gets a suffix only if it has one.
    """
    depths = [int(name.is_taken) for name in names]
    result = [name.told_apart(1) if name.is_taken else name.plain() for name in names]
    while clashing := _clashing(names, result, depths):
        for place in clashing:
            depths[place] += 1
            result[place] = names[place].told_apart(depths[place])
    changed = [place for place, name in enumerate(names) if name.mark]
    while changed:
        for place in changed:
            result[place] = names[place].marked(depths[place])
        clashing = _clashing(names, result, depths)
        changed = [place for place in clashing if names[place].mark]
        for place in changed:
            depths[place] += 1
    return result


def retold(name: Name, keys: tuple[bytes, ...]) -> Name:
    """Return *name* as one that *keys* tell apart, and no more those that it has."""
    for number in range(len(name.keys) + 1, 0, -1):
        name = name._replace(stem=name.stem.removesuffix(name._suffix(number)))
    return name._replace(keys=keys)


def beside(name: Name, taken: set[str], depth: int = 0) -> str:
    """Return *name* as none of *taken* is, and add it to those, as they are compared.

    It has the hash of its first *depth* keys at least. A hash that its stem has is not
    a part of that: cut, it would tell nothing apart.
    """
    for number in range(len(name.keys) + 1, 0, -1):
        if name.stem.endswith(suffix := name._suffix(number)):
            name = name._replace(stem=name.stem.removesuffix(suffix))
            depth = max(depth, number)
    result = name.told_apart(depth) if depth else name.plain()
    while folded(result) in taken:
        depth += 1
        name = name._replace(keys=(*name.keys, b"%d" % depth))
        result = name.told_apart(depth)
    taken.add(folded(result))
    return result


def _clashing(
    names: Sequence[Name], result: Sequence[str], depths: Sequence[int]
) -> list[int]:
    """Return which of *result* are the same to some system and can be told apart."""
    forms = [folded(name) for name in result]
    counts = Counter(forms)
    if len(counts) == len(result):
        return []
    return [
        place
        for place, name in enumerate(names)
        if counts[forms[place]] > 1 and depths[place] <= len(name.keys)
    ]


def passes_for_ours(stem: str) -> bool:
    """Whether people may take *stem* for the name of a folder that is made here."""
    return _likeness(stem) in {_likeness(OTHER), _likeness(UNLINKED)}


def _likeness(name: str) -> str:
    """Return the same for names that look the same, as far as those of ours go."""
    return unicodedata.normalize("NFKC", name).casefold().translate(_LOOKALIKES)


def patient_name(attributes: Attributes) -> str:
    """Return ``Family, Given Middle 山田 太郎 (Patient ID)``, or what there is of it."""
    name = clean(attributes.person_name(tags.PATIENT_NAME))
    patient_id = clean(attributes.text(tags.PATIENT_ID))
    if not name:
        return patient_id or "Unknown patient"
    if not patient_id:
        return name
    # The ID identifies: a long name is cut first, though not to less than half.
    budget = BUDGETS[Level.PATIENT]
    room = budget - len(" ()") - min(_units(name), budget // 2)
    tail = f" ({_cut(patient_id, room)})"
    return _cut(name, budget - _units(tail)) + tail


def study_name(attributes: Attributes) -> str:
    """Return ``2023-07-05 CT Thorax``, with something sensible for what is missing."""
    date = attributes.date(tags.STUDY_DATE) or "Undated"
    description = _described(attributes.text(tags.STUDY_DESCRIPTION))
    if not description:
        study_id = clean(attributes.text(tags.STUDY_ID))
        accession = clean(attributes.text(tags.ACCESSION_NUMBER))
        description = " ".join(filter(None, ("Study", study_id or accession)))
    return f"{date} {description}"


def series_name(attributes: Attributes, description: str, width: int) -> str:
    """Return ``002 CT Lung 1.0``, the number padded to *width* digits."""
    number = attributes.number(tags.SERIES_NUMBER)
    parts = (
        "" if number is None else _padded(number, width),
        clean(attributes.text(tags.MODALITY)),
        _described(description),
    )
    return " ".join(filter(None, parts)) or "Series"


def instance_name(
    record_type: str, attributes: Attributes, uid: bytes, width: int
) -> str:
    """Return ``0017`` or ``0001 SR Chest report``, without the extension."""
    number = attributes.number(tags.INSTANCE_NUMBER)
    if number is None:
        ordinal = hashlib.sha256(uid).hexdigest()[:_SUFFIX_DIGITS]
    else:
        ordinal = _padded(number, width)
    if record_type == IMAGE:
        return ordinal
    return " ".join(
        filter(None, (ordinal, kind(record_type, attributes), title(attributes)))
    )


@lru_cache(maxsize=4096)
def numbered(number: int, width: int) -> str:
    """Return the name of an image with a *number*, padded to *width* digits.

    It is that of ``instance_name``. Every series has a ``0001.dcm``: in all of them it is
    one and the same string.
    """
    return sys.intern(_padded(number, width) + EXTENSION)


def other_name(record_type: str, attributes: Attributes, uid: bytes) -> str:
    """Return the name of what belongs to no series: its title, or type and a hash."""
    ordinal = hashlib.sha256(uid).hexdigest()[:_SUFFIX_DIGITS]
    return title(attributes) or f"{clean(record_type).capitalize()} {ordinal}".strip()


def kind(record_type: str, attributes: Attributes) -> str:
    """Return what an instance is, in short: ``SR``, ``PDF``, ``KO`` ..."""
    if record_type == DOCUMENT:
        mime = attributes.raw(tags.MIME_TYPE_OF_ENCAPSULATED_DOCUMENT).lower()
        if mime in _DOCUMENT_KINDS:
            return _DOCUMENT_KINDS[mime]
    return SHORT_NAMES.get(record_type) or clean(record_type)


def title(attributes: Attributes) -> str:
    """Return the title of an instance, empty if its record has none."""
    for tag in tags.TITLES:
        if found := _described(attributes.text(tag)):
            return found
    return ""


def width_of(numbers: Sequence[int | None], least: int) -> int:
    """Return how many digits the widest of *numbers* takes, *least* at least."""
    return max(least, *(len(str(abs(number or 0))) for number in numbers), 0)


def _described(text: str) -> str:
    """Return a description as part of a name; writers have carets for blanks in them."""
    return clean(text.replace("^", " "))


def clean(value: str) -> str:
    """Return *value* fit to be part of a file name on Linux, Windows and FAT.

    Normal form C, one line, none of the characters that those refuse or that nobody
    can see, no blanks, dots or hyphens in front and no blanks or dots behind. Device
    names of Windows get an underscore. May be empty.
    """
    if value.isascii() and value.isalnum() and not _DEVICES.match(value):
        return value
    # No name shows more; to normalise thousands of letters for each would take minutes.
    value = value[:_LONGEST]
    value = IDLE_JOINER.sub("", "".join(map(_shown, value)))
    value = _REFUSED.sub("_", unicodedata.normalize("NFC", value))
    value = _BLANKS.sub(" ", value).lstrip(_NOT_IN_FRONT).rstrip(_NOT_BEHIND)
    return _DEVICES.sub(r"\1_", value) if _DEVICES.match(value) else value


@lru_cache(maxsize=4096)
def _shown(letter: str) -> str:
    """Return *letter* itself, a blank, or nothing."""
    if letter.isspace():
        return " "
    if letter in JOINERS:
        return letter
    dropped = unicodedata.category(letter) in _DROPPED or _IGNORABLE.match(letter)
    return "" if dropped else letter


def _padded(number: int, width: int) -> str:
    # A leading hyphen would be taken for an option by every command.
    return f"{number:0{width}d}" if number >= 0 else f"minus {-number:0{width}d}"


def _cut(stem: str, limit: int) -> str:
    """Return *stem* cut to *limit* units of UTF-16, between characters.

    A number in front stays whole, whatever the limit.
    """
    # Most are shorter by far, and need not be counted.
    if 2 * len(stem) <= limit:
        return stem
    number = _NUMBER.match(stem)
    limit = max(limit, number.end() if number else _LEAST)
    if _units(stem) <= limit:
        return stem
    short = whole = _first(stem, limit)
    following = stem[len(short)]
    while short and _is_inside(short[-1], following):
        short, following = short[:-1], short[-1]
    # One letter under more accents than fit is cut all the same.
    return short.rstrip(_NOT_BEHIND) or whole


def _is_inside(before: str, following: str) -> bool:
    """Whether two letters are parts of one character."""
    is_joined = before in JOINERS or following in JOINERS
    return is_joined or unicodedata.combining(following) > 0


def _units(text: str) -> int:
    """Return how many units of UTF-16 *text* takes."""
    return len(text) + len(_BEYOND_16_BITS.findall(text))


def _first(text: str, units: int) -> str:
    """Return as much of *text* as takes so many units of UTF-16 at most."""
    # Not by the codec's name: in the sandbox it could not be loaded.
    encoded, _ = codecs.utf_16_le_encode(text)
    return codecs.utf_16_le_decode(encoded[: 2 * units], "ignore")[0]


def folded(name: str) -> str:
    """Return *name* as systems compare it that count neither case nor normal form."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", name).casefold()
