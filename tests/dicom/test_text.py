"""Text of DICOM values, against pydicom's decoder and the examples of PS3.5."""

import codecs
import re
import warnings
from pathlib import Path

import pydicom
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom import config
from pydicom.charset import (
    STAND_ALONE_ENCODINGS,
    convert_encodings,
    decode_bytes,
    python_encoding,
)
from pydicom.valuerep import PersonName

from dicomfs.dicom.charsets import CODECS, declared
from dicomfs.dicom.text import decode, person_name
from tests.build import charsets
from tests.support import mounting
from tests.support.amounts import examples

FILES = Path(pydicom.__file__).parent / "data/charset_files"

# pydicom reads the default repertoire as Latin-1, which nothing declared.
DEFAULT = {"", "ISO_IR 6", "ISO 2022 IR 6"}
SINGLE = sorted(set(python_encoding) - DEFAULT)
# Those of the default repertoire and of Latin-9 are tried by themselves.
ESCAPES = {
    term: escape
    for term, escape in charsets.ESCAPES.items()
    if term not in {"ISO 2022 IR 6", "ISO 2022 IR 203"}
}
PADDING = " \0"
# PS3.5 6.1.2.5.3: what returns to the first character set, in text and in names.
DELIMITERS = set(b"\\\r\n\t\f")
NAME_DELIMITERS = DELIMITERS | set(b"^=")
NO_DELIMITERS = dict.fromkeys(DELIMITERS)
# What the codecs of these write of the set itself, and not of others.
OWN = {"iso2022_jp": b"\x1b$B", "iso2022_jp_2": b"\x1b$(D"}


def codecs_of(character_set: str) -> tuple[str, ...]:
    found = declared(character_set.encode())
    assert found is not None
    return found.codecs


@pytest.mark.parametrize("term", SINGLE)
def test_every_term_that_pydicom_knows_has_the_same_codec(term: str) -> None:
    found = codecs_of(term)

    names = [codecs.lookup(codec).name for codec in found]
    assert names == [codecs.lookup(python_encoding[term]).name]
    assert set(found) <= CODECS


@pytest.mark.slow
def test_pydicom_is_not_loaded_to_show_a_medium() -> None:
    code = "import sys, dicomfs.mount.worker; print('pydicom' in sys.modules)"

    assert mounting.python(code) == "False\n"


def pydicom_encodings(terms: list[str]) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return convert_encodings(list(terms))


def pydicom_decode(
    value: bytes, terms: list[str], *, is_name: bool = False
) -> str | None:
    """Return what pydicom makes of *value*, None where it gives up."""
    encodings = pydicom_encodings(terms)
    delimiters = NAME_DELIMITERS if is_name else DELIMITERS
    before = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.RAISE
    try:
        return decode_bytes(value, encodings, delimiters)
    except (ValueError, LookupError):
        return None
    finally:
        config.settings.reading_validation_mode = before


def repertoire(encoding: str) -> str:
    """Return the characters of the basic plane that *encoding* has."""
    found = []
    for number in (*range(0x20, 0x7F), *range(0xA0, 0xD800), *range(0xE000, 0x10000)):
        letter = chr(number)
        try:
            value = letter.encode(encoding)
            again = value.decode(encoding)
        except UnicodeError:
            continue
        if again == letter and _belongs(value, encoding):
            found.append(letter)
    return "".join(found)


def _belongs(value: bytes, encoding: str) -> bool:
    return not value.startswith(b"\x1b") or value.startswith(OWN.get(encoding, b"\x1b"))


def is_more_than_declared(value: bytes, text: str) -> bool:
    """Whether dicomfs reads *value* better than pydicom: see the tests further down."""
    try:
        is_utf_8 = not value.isascii() and bool(value.decode())
    except UnicodeDecodeError:
        is_utf_8 = False
    return is_utf_8 or "\0" in text or re.search("[\x80-\x9f]", text) is not None


REPERTOIRES = {term: repertoire(python_encoding[term]) for term in SINGLE}


@pytest.mark.parametrize("term", SINGLE)
@given(data=st.data())
def test_each_character_set_reads_what_pydicom_reads(
    term: str, data: st.DataObject
) -> None:
    text = data.draw(st.text(REPERTOIRES[term], max_size=30))
    value = text.encode(python_encoding[term])
    if b"\x1b" in value and "iso2022" not in python_encoding[term]:
        return
    if is_more_than_declared(value, text):
        return

    found = decode(value, [term.encode()])

    assert found == text.strip(PADDING)
    assert found == (pydicom_decode(value, [term]) or "").strip(PADDING)


def letters_of(term: str) -> str:
    letters = REPERTOIRES[term].translate(NO_DELIMITERS)
    if term != "ISO 2022 IR 13":
        return letters
    return "".join(letter for letter in letters if len(letter.encode("shift_jis")) == 1)


LETTERS = {term: letters_of(term) for term in ESCAPES}
PART = st.sampled_from(sorted(ESCAPES)).flatmap(
    lambda term: st.tuples(st.just(term), st.text(LETTERS[term], max_size=8))
)


@examples(500)
@given(st.lists(PART, max_size=5))
def test_code_extensions_switch_from_set_to_set(parts: list[tuple[str, str]]) -> None:
    terms = ["", *{term for term, _ in parts}]
    text = "".join(part for _, part in parts)
    value = b"".join(
        ESCAPES[term] + part.encode(python_encoding[term]) for term, part in parts
    )

    found = decode(value, ["\\".join(terms).encode()])

    assert found == text.strip(PADDING)
    if "ISO 2022 IR 58" not in terms:  # pydicom leaves its escape sequences in
        assert found == (pydicom_decode(value, terms) or "").strip(PADDING)


FRAGMENTS = st.one_of(
    st.binary(max_size=6),
    st.sampled_from(
        [
            *(b"\x1b(B", b"\x1b-A", b"\x1b)I", b"\x1b(J", b"\x1b$B", b"\x1b-B"),
            *(b"\x1b-C", b"\x1b-D", b"\x1b-F", b"\x1b-G", b"\x1b-H", b"\x1b-L"),
            *(b"\x1b-M", b"\x1b-T", b"\x1b$)C", b"\x1b$(D", b"Doe", b"^", b"=", b"\\"),
            *(b";3ED", b"\xb3\xa8", b"\xe4\xfc", b"\r\n", b"\xd4\xcf\xc0\xde"),
        ]
    ),
)


@examples(2_000)
@given(
    st.lists(st.sampled_from(SINGLE), min_size=1, max_size=3),
    st.lists(FRAGMENTS, max_size=8).map(b"".join),
    st.booleans(),
)
def test_bytes_that_pydicom_reads_strictly_are_read_the_same(
    terms: list[str], value: bytes, is_name: bool
) -> None:
    if any(t in STAND_ALONE_ENCODINGS or t.endswith(("58", "GBK")) for t in terms):
        return
    expected = pydicom_decode(value, terms, is_name=is_name)
    if expected is None or is_more_than_declared(value, expected):
        return

    found = decode(value, ["\\".join(terms).encode()], is_name=is_name)

    assert found == expected.strip(PADDING)


@examples(1_000)
@given(
    st.one_of(st.binary(max_size=60), st.lists(FRAGMENTS, max_size=8).map(b"".join)),
    st.lists(
        st.one_of(
            st.binary(max_size=20),
            st.lists(st.sampled_from(sorted(python_encoding)), max_size=4).map(
                lambda terms: "\\".join(terms).encode()
            ),
        ),
        max_size=3,
    ),
)
@example(b"\x1b", [b"ISO 2022 IR 87"])
@example(b"\x1b$B", [b"\\ISO 2022 IR 87"])
@example(b"\xff\xfe", [b"\\\\\\"])
def test_nothing_raises(value: bytes, character_sets: list[bytes]) -> None:
    for is_name in (False, True):
        decode(value, character_sets, is_name=is_name).encode()


@pytest.mark.parametrize(
    ("value", "character_set", "text"),
    [
        (
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"
            b"=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            b"\\ISO 2022 IR 87",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        (
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"
            b"=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
            b"ISO 2022 IR 13\\ISO 2022 IR 87",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        ),
        (
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7"
            b"=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
            b"\\ISO 2022 IR 149",
            "Hong^Gildong=洪^吉洞=홍^길동",
        ),
        (
            b"\x1b$)C\xb1\xe8\xc8\xf1\xc1\xdf and more",
            b"\\ISO 2022 IR 149",
            "김희중 and more",
        ),
        (
            b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1",
            b"ISO_IR 192",
            "Wang^XiaoDong=王^小東",
        ),
        (
            b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab",
            b"GB18030",
            "Wang^XiaoDong=王^小东",
        ),
        (b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", b"GBK", "Wang^XiaoDong=王^小东"),
        (
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
            b"\\ISO 2022 IR 58",
            "Zhang^XiaoDong=张^小东=",
        ),
        (
            b"1. \x1b$)A\xd6\xd0\xce\xc4.\r\n2. \x1b$)A\xd6\xd0\xce\xc4, too",
            b"\\ISO 2022 IR 58",
            "1. 中文.\r\n2. 中文, too",
        ),
        (b"\xbb\xee\xda", b"ISO_IR 144", "Люк"),
        (
            b"Luxemburg is \x1b-L\xbb\xee\xda",
            b"\\ISO 2022 IR 144",
            "Luxemburg is Люк",
        ),
        (
            b"Dionysius is \x1b-F\xc4\xe9\xef\xed",
            b"ISO 2022 IR 6\\ISO 2022 IR 126",
            "Dionysius is Διον",
        ),
        (
            b"Buc^J\xe9r\xf4me \x1b-L\xbb\xee^\xe9",
            b"ISO 2022 IR 100\\ISO 2022 IR 144",
            "Buc^Jérôme Лю^é",
        ),
        (b"100 \xa4", b"ISO_IR 203", "100 €"),
        (b"100 \x1b-b\xa4^", b"\\ISO 2022 IR 203", "100 €^"),
    ],
    ids=[
        *("H.3.1", "H.3.2", "I.2", "I.3", "J.1", "J.3", "GBK", "K.2", "K.3"),
        *("cyrillic", "cyrillic-extension", "greek-extension", "reset-by-caret"),
        *("latin-9", "latin-9-extension"),
    ],
)
def test_the_examples_of_the_standard_are_read(
    value: bytes, character_set: bytes, text: str
) -> None:
    assert decode(value, [character_set], is_name="^" in text) == text


SAMPLES = [path for path in sorted(FILES.glob("*.dcm")) if "SQ" not in path.stem]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_the_sample_files_of_pydicom_are_read_like_pydicom_reads_them(
    path: Path,
) -> None:
    dataset = pydicom.dcmread(path)
    name = dataset.PatientName
    character_set = dataset.SpecificCharacterSet
    if not isinstance(character_set, str):
        character_set = "\\".join(character_set)

    found = decode(name.original_string, [character_set.encode()], is_name=True)

    assert found == str(name)


@pytest.mark.parametrize(
    ("value", "character_sets", "text"),
    [
        ("Müller".encode(), [], "Müller"),
        ("Müller".encode("latin-1"), [], "Müller"),
        ("Müller".encode(), [b"ISO_IR 999"], "Müller"),
        ("Müller".encode("latin-1"), [b"ISO_IR 999"], "Müller"),
        ("Müller".encode("latin-1"), [b"ISO_IR 192"], "Müller"),
        ("Müller".encode(), [b"ISO_IR 6"], "Müller"),
        ("Müller".encode("latin-1"), [b"ISO_IR 6"], "Müller"),
        ("Łódź".encode("iso8859_2"), [b"", b"ISO_IR 101"], "Łódź"),
        ("Łódź".encode("iso8859_2"), [b"ISO_IR 192", b"ISO_IR 101"], "Łódź"),
        ("Łódź".encode(), [b"ISO_IR 192", b"ISO_IR 101"], "Łódź"),
        (b"\xff\xfe", [], "ÿþ"),
        (b"\xff", [b"ISO_IR 192", b"GARBAGE", b"\xff"], "ÿ"),
        (b"Doe", [b"GARBAGE"], "Doe"),
        (b"", [b"ISO_IR 100"], ""),
    ],
    ids=[
        *("utf8-undeclared", "latin1-undeclared", "utf8-unknown", "latin1-unknown"),
        *("latin1-as-utf8", "utf8-as-ascii", "latin1-as-ascii", "ancestor-absent"),
        *("ancestor-fails", "own-first", "no-utf8", "all-fail", "ascii", "empty"),
    ],
)
def test_what_is_not_as_declared_is_shown_as_well_as_it_can_be(
    value: bytes, character_sets: list[bytes], text: str
) -> None:
    assert decode(value, character_sets) == text


@pytest.mark.parametrize(
    "term",
    [
        *(b"ISO_IR 100", b"iso_ir 100", b" ISO_IR 100 ", b"ISO IR 100", b"ISO-IR 100"),
        *(b"ISO_IR_100\0", b"ISOIR 100", b"ISO 2022 IR 100", b"ISO_2022_IR_100"),
    ],
    ids=bytes.decode,
)
def test_terms_are_known_in_every_common_spelling(term: bytes) -> None:
    assert decode(b"M\xfcller", [term]) == "Müller"


@pytest.mark.parametrize(
    "padding", [b" ", b"\0", b"  \0"], ids=["blank", "null", "both"]
)
def test_padding_is_left_out(padding: bytes) -> None:
    assert decode(b"Doe" + padding, []) == "Doe"
    assert decode(b"M\xfcller" + padding, [b"ISO_IR 100"]) == "Müller"


def test_an_extension_to_a_set_that_stands_alone_is_left_out() -> None:
    assert codecs_of("ISO_IR 192\\ISO 2022 IR 87") == codecs_of("ISO_IR 192")


def test_an_unknown_escape_sequence_costs_nothing_else() -> None:
    assert "Doe" in decode(b"Doe \x1b%G!", [b"\\ISO 2022 IR 87"])


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("Doe^Jane^Q", "Doe, Jane Q"),
        ("Doe^Jane", "Doe, Jane"),
        ("Doe", "Doe"),
        ("^Jane", "Jane"),
        ("^^Q", "Q"),
        ("Doe^^Q", "Doe, Q"),
        ("Doe^Jane^Q^Dr^Jr", "Doe, Jane Q"),
        ("Doe^^^Dr^Jr", "Doe"),
        (" Doe ^ Jane ", "Doe, Jane"),
        ("van den Berg^Jan Piet", "van den Berg, Jan Piet"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou 山田 太郎"),
        ("=山田^太郎", "山田 太郎"),
        ("==やまだ^たろう", "やまだ たろう"),
        ("Hong^Gildong==홍^길동", "Hong, Gildong"),
        ("", ""),
        ("^^^^", ""),
        ("==", ""),
        ("=^=^", ""),
    ],
)
def test_a_person_name_is_written_as_people_write_it(value: str, name: str) -> None:
    assert person_name(value) == name


@given(st.lists(st.text("ABc é", max_size=6).map(str.strip), max_size=5))
def test_a_person_name_has_the_components_that_pydicom_finds(parts: list[str]) -> None:
    oracle = PersonName("^".join(parts))

    found = person_name("^".join(parts))

    wanted = [oracle.family_name, oracle.given_name, oracle.middle_name]
    assert found.replace(",", "").split() == " ".join(wanted).split()


@given(st.text())
def test_any_text_is_a_person_name(value: str) -> None:
    assert isinstance(person_name(value), str)
