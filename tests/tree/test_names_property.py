"""Names and text in every character set of the standard, by the thousand.

Text that is valid in the character sets that its record declares reads as it was
written, and as pydicom reads it, which is the oracle. What a name must never be holds
for any bytes at all.
"""

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from random import Random
from typing import Final

import pytest
from pydicom import config
from pydicom.charset import convert_encodings, decode_bytes, python_encoding

from dicomfs.dicom import charsets, tags, text
from dicomfs.dicom.attributes import Attributes
from dicomfs.tree import naming
from dicomfs.tree.naming import BUDGETS, EXTENSION, Name
from tests.build.charsets import ESCAPES
from tests.build.filenames import faults, faults_of, units
from tests.support.amounts import part_of

pytestmark = pytest.mark.counted

# The valid ones, among which each character set has to be.
ALL: Final = 10_000
COUNT: Final = part_of(ALL)
SEED: Final = 3

# pydicom leaves the escape sequences of GB 2312 in, and does not know Latin-9 yet.
UNKNOWN_TO_PYDICOM: Final = {"ISO 2022 IR 58", "ISO 2022 IR 203", "ISO_IR 203"}
# pydicom reads the default repertoire as Latin-1; strictly it is ASCII.
CODECS: Final = python_encoding | {
    **dict.fromkeys(("", "ISO_IR 6", "ISO 2022 IR 6"), "ascii"),
    **dict.fromkeys(("ISO_IR 203", "ISO 2022 IR 203"), "iso8859_15"),
}
SETS: Final = sorted(CODECS)
# Those whose G1 half needs no escape sequence where they are the first value.
FIRST: Final = ["", *(term for term in ESCAPES if ESCAPES[term].startswith(b"\x1b-"))]

# What these codecs write of the set itself, and not of others that they know, too.
OWN: Final = {"iso2022_jp": b"\x1b$B", "iso2022_jp_2": b"\x1b$(D"}

DELIMITERS: Final = set(b"\\\r\n\t\f")
MOST: Final = max(BUDGETS.values())
NAME_DELIMITERS: Final = DELIMITERS | set(b"^=")
PADDING: Final = " \0"
# Letters of all kinds; of the many ideographs and syllables some.
PLANES: Final = (
    *(range(0x21, 0x7F), range(0xA1, 0x3400), range(0x3400, 0xD800, 11)),
    *(range(0xE000, 0xFDD0, 11), range(0xFDF0, 0xFFFE), range(0x1F300, 0x1F600)),
    range(0x20000, 0x20400, 11),
)


@dataclass(frozen=True)
class Value:
    """A text as it was written, its bytes, and the character sets that are declared."""

    written: str
    data: bytes
    terms: tuple[str, ...]
    is_name: bool

    @property
    def character_set(self) -> bytes:
        """Specific Character Set as the record has it."""
        return "\\".join(self.terms).encode()


@cache
def letters_of(term: str) -> str:
    """Return the letters of a character set, but for those that delimit values."""
    codec = CODECS[term]
    letters = (chr(number) for plane in PLANES for number in plane)
    return "".join(each for each in letters if _belongs(each, codec))


def _belongs(letter: str, codec: str) -> bool:
    try:
        value = letter.encode(codec)
        is_whole = value.decode(codec) == letter
    except UnicodeError:
        return False
    if codec == "shift_jis":  # of which the standard has the single bytes only
        is_whole = is_whole and len(value) == 1 and letter not in "¥‾"
    if codec in OWN and b"\x1b" in value:
        is_whole = is_whole and value.startswith(OWN[codec])
    return is_whole and letter not in "\\^="


def valid_values() -> Iterator[Value]:
    """Yield values without end: in one set, and going from one to the next.

    Those that are UTF-8 by chance are left out: that is what they are taken for.
    """
    random = Random(SEED)
    while True:
        is_name = random.random() < 0.5
        make = _in_one_set if random.random() < 0.5 else _in_several_sets
        value = make(random, is_name)
        if not _is_utf_8_by_chance(value):
            yield value


def _is_utf_8_by_chance(value: Value) -> bool:
    if value.data.isascii() or b"\x1b" in value.data:
        return False
    try:
        return value.data.decode() != value.written
    except UnicodeDecodeError:
        return False


def _in_one_set(random: Random, is_name: bool) -> Value:
    term = random.choice(SETS)
    written = "".join(
        _word(random, term, 12) + _mark(random, is_name)
        for _ in range(random.randint(1, 6))
    )
    return Value(written, written.encode(CODECS[term]), (term,), is_name)


def _in_several_sets(random: Random, is_name: bool) -> Value:
    """Return a value that switches sets by escape sequences (PS3.5 6.1.2.5)."""
    first, others = random.choice(FIRST), random.sample(sorted(ESCAPES), 3)
    written = _word(random, first, 6) + _mark(random, is_name)
    data = written.encode(CODECS[first])
    for term in random.choices(others, k=random.randint(1, 5)):
        # Behind a delimiter the first set is in force again.
        word = _word(random, term, 6)
        mark = _mark(random, is_name) if random.random() < 0.5 else ""
        written += word + mark
        data += ESCAPES[term] + word.encode(CODECS[term]) + mark.encode()
    return Value(written, data, (first, *others), is_name)


def _word(random: Random, term: str, most: int) -> str:
    return "".join(random.choices(letters_of(term), k=random.randint(1, most)))


def _mark(random: Random, is_name: bool) -> str:
    return random.choice("^=" if is_name else "\r\n\t")


def pydicom_reads(value: Value) -> str | None:
    """Return what pydicom makes of *value*, None where it gives up."""
    delimiters = NAME_DELIMITERS if value.is_name else DELIMITERS
    before = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.RAISE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            encodings = convert_encodings(list(value.terms))
        return decode_bytes(value.data, encodings, delimiters)
    except (ValueError, LookupError):
        return None
    finally:
        config.settings.reading_validation_mode = before


def read(value: Value) -> str:
    return text.decode(value.data, [value.character_set], is_name=value.is_name)


def test_valid_values_read_as_they_were_written() -> None:
    wrong = [
        (value, found)
        for value in islice(valid_values(), COUNT)
        if (found := read(value)) != value.written.strip(PADDING)
    ]

    assert wrong[:5] == []


def test_valid_values_read_as_pydicom_reads_them() -> None:
    known = (
        value for value in valid_values() if UNKNOWN_TO_PYDICOM.isdisjoint(value.terms)
    )
    pairs = [(value, pydicom_reads(value)) for value in islice(known, COUNT)]

    wrong = [
        (value, expected, found)
        for value, expected in pairs
        if expected is not None and (found := read(value)) != expected.strip(PADDING)
    ]
    assert wrong[:5] == []
    assert sum(expected is not None for _, expected in pairs) > 0.99 * COUNT


@pytest.mark.slow
def test_every_character_set_is_among_them() -> None:
    used = Counter(
        term for value in islice(valid_values(), ALL) for term in value.terms
    )

    assert set(used) == set(CODECS)
    assert min(used.values()) > 50


# -- names -----------------------------------------------------------------------------

# What makes trouble in names: in any encoding, and in UTF-8.
EVIL: Final = (
    *(b"/", b"\\", b"\0", b"\r\n", b"\x1b", b"\x1b$B", b"\x7f", b"\x85", b"\x9b"),
    *(b"..", b".", b" ", b"-", b"--", b"CON", b"nul.", b"=", b"^"),
    *(b"\xff", b"\xc0\xaf", b"\xed\xa0\x80"),
    *(letter.encode() for letter in "\u202e\u2066\u200e\u200b\u200d\ufeff\u2028\u3000"),
)


def any_values() -> Iterator[Value]:
    """Yield values without end, valid and not, with evil in all places."""
    random = Random(SEED + 1)
    for value in valid_values():
        data = value.data
        for _ in range(random.choice((0, 1, 1, 2, 3))):
            at = random.choice((0, len(data), random.randint(0, len(data))))
            data = data[:at] + random.choice(EVIL) + data[at:]
        data *= random.choice((1, 1, 1, 1, 1, 2, 30))
        yield Value(value.written, data, value.terms, value.is_name)


def names_of(value: Value) -> list[str]:
    """Return the names of a patient, study, series and instance with this value."""
    attributes = Attributes(
        {
            tags.SPECIFIC_CHARACTER_SET: value.character_set,
            **dict.fromkeys(
                (
                    *(tags.PATIENT_NAME, tags.PATIENT_ID, tags.STUDY_DESCRIPTION),
                    *(tags.STUDY_ID, tags.STUDY_DATE, tags.SERIES_NUMBER),
                    *(tags.MODALITY, tags.CONTENT_LABEL, tags.INSTANCE_NUMBER),
                    tags.SERIES_DESCRIPTION,
                ),
                value.data,
            ),
        }
    )
    description = attributes.text(tags.SERIES_DESCRIPTION)
    record_type = value.data.decode("latin-1").upper()
    stems = [
        naming.patient_name(attributes),
        naming.study_name(attributes),
        naming.series_name(attributes, description, 3),
        naming.instance_name(record_type, attributes, value.data, 4),
    ]
    return naming.distinct(
        [
            Name(stem, "" if place < 3 else EXTENSION, (value.data, b"%d" % place))
            for place, stem in enumerate(stems)
        ]
    )


@pytest.mark.slow
def test_no_value_in_any_character_set_makes_an_unsafe_name() -> None:
    wrong = [
        (value, found)
        for value in islice(any_values(), COUNT)
        if (found := faults_of(names_of(value)))
    ]

    assert wrong[:5] == []


@pytest.mark.slow
def test_names_are_the_same_each_time() -> None:
    first = [names_of(value) for value in islice(any_values(), COUNT // 10)]
    charsets.declared.cache_clear()

    assert [names_of(value) for value in islice(any_values(), COUNT // 10)] == first


@pytest.mark.slow
def test_a_name_that_is_cut_is_cut_between_characters() -> None:
    long = [
        (name, value.written)
        for value in islice(valid_values(), COUNT // 5)
        if (name := naming.clean(value.written * 30)) and units(name) > MOST
    ]

    for name, written in long:
        cut = Name(name, EXTENSION, (b"1",)).plain()
        assert not faults(cut), written
        assert name.startswith(cut.removesuffix(EXTENSION)), written
    assert len(long) > COUNT // 10


@pytest.mark.slow
def test_a_hundred_thousand_equal_names_take_one_look_each() -> None:
    class Counting(Name):
        """A name that counts how often it is made."""

        made = 0

        def plain(self) -> str:
            Counting.made += 1
            return super().plain()

        def told_apart(self, depth: int) -> str:
            Counting.made += 1
            return super().told_apart(depth)

    count = 100_000
    names = [Counting("0001", EXTENSION, (b"%d" % n,)) for n in range(count)]

    found = naming.distinct(names)

    assert not faults_of(found)
    # Plainly, with eight digits, and the few whose digits are the same once more.
    assert 2 * count <= Counting.made < 2.01 * count
