"""Names for people: their patterns, and that they fit everywhere."""

import hashlib
import re
import time
import unicodedata
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.types import Level
from dicomfs.tree import naming
from dicomfs.tree.naming import BUDGETS, Name, clean, distinct
from tests.build.filenames import units
from tests.support.amounts import examples

REFUSED = set('/\\:*?"<>|')
BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³"
}


def having(**values: str) -> Attributes:
    """Return attributes in UTF-8, by the names of their tags."""
    return Attributes(
        {getattr(tags, key): value.encode() for key, value in values.items()}
        | {tags.SPECIFIC_CHARACTER_SET: b"ISO_IR 192"}
    )


def faults(name: str, most: int = BUDGETS[Level.INSTANCE]) -> list[str]:
    """Return what is wrong with a file name on any system."""
    letters = set(name)
    is_wrong = {
        "empty": not name,
        "too long": units(name) > most,
        "refused character": bool(letters & REFUSED),
        "control character": any(
            unicodedata.category(letter) in {"Cc", "Cs"} for letter in letters
        ),
        "reading direction": bool(letters & BIDI),
        "blank or dot at an end": name != name.strip().strip(". "),
        "device": name.partition(".")[0].rstrip().upper() in DEVICES,
        "line break": len(name.splitlines()) > 1,
    }
    return [fault for fault, wrong in is_wrong.items() if wrong]


def folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def sha(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:8]


# What makes trouble in names, and plain letters in between.
EVIL = (
    '/\\:*?"<>|.. -~[]\t\0\n\x1b\x7f\x85\u2028\u202e\u2066\u200b\u200d\u0301\ufeff'
    "\u200c\u2800\u0646\u0661"
    "\u00a0\u3000\u0345\uffff\U000e0041éßİ山ﬁ😀aB1"
)
WORDS = ["", "", "", "CON", "nul", "Com1", "LPT¹", "aux.", "conin$ ", ".", "..", "-"]
letters = st.one_of(st.sampled_from(EVIL), st.characters(codec="utf-8"))
values = st.builds(
    lambda word, text: word + text,
    st.sampled_from(WORDS),
    st.one_of(st.text(EVIL, max_size=60), st.text(letters, max_size=20)),
)
digits = st.one_of(st.integers(-(10**11), 10**12 - 1).map(str), values)


@examples(10_000)
@given(values)
@example("\ud800")
@example("")
@example("CON.txt")
@example("con .x")
@example(". .")
@example("--")
@example("a\u200b ")
@example("\u202e.")
@example(".\u200b.")
@example("CO\u200bN")
@example("\u200d")
@example("\u200d .")
@example("e\u200b\u0301")
def test_cleaned_text_fits_into_any_file_name(value: str) -> None:
    cleaned = clean(value)

    assert set(faults(cleaned)) <= {"empty", "too long"}
    assert clean(cleaned) == cleaned


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        ("Do\u200ce", "Doe"),
        ("Do\u2800e", "Doe"),
        ("\u0646\u200c\u0627", "\u0646\u200c\u0627"),
        ("\u0646\u200d\u200d\u0627", "\u0646\u200d\u0627"),
    ],
)
def test_two_names_do_not_differ_by_what_nobody_sees(value: str, cleaned: str) -> None:
    assert clean(value) == cleaned


def patient_of(one: str, two: str, _: str) -> str:
    return naming.patient_name(having(PATIENT_NAME=one, PATIENT_ID=two))


def study_of(one: str, two: str, number: str) -> str:
    return naming.study_name(
        having(STUDY_DATE=number, STUDY_DESCRIPTION=one, STUDY_ID=two)
    )


def series_of(one: str, two: str, number: str) -> str:
    return naming.series_name(having(SERIES_NUMBER=number, MODALITY=one), two, 3)


def instance_of(one: str, two: str, number: str) -> str:
    attributes = having(INSTANCE_NUMBER=number, CONTENT_LABEL=two)
    return naming.instance_name(one.upper(), attributes, b"1.2", 4)


def other_of(one: str, two: str, _: str) -> str:
    return naming.other_name(one, having(CONTENT_LABEL=two), b"1.2")


@pytest.mark.parametrize(
    "name_of", [patient_of, study_of, series_of, instance_of, other_of]
)
@examples(2_000)
@given(one=values, two=values, number=digits)
def test_all_names_fit_everywhere(
    name_of: Callable[[str, str, str], str], one: str, two: str, number: str
) -> None:
    stem = name_of(one, two, number)

    names = [Name(stem, ".dcm", (uid,)) for uid in (b"1", b"2")]
    found = [Name(stem, "", (b"1",)).plain(), names[0].plain(), *distinct(names)]
    assert {name: faults(name) for name in found if faults(name)} == {}


STEMS = [
    *("a", "A", "é", "e\u0301", "É", "ß", "SS", "K", "k", "ﬁ", "fi", "İ", "i\u0307"),
    *(f"a [{sha(b'1')}]", f"A [{sha(b'2')}]", "x" * 120, "X" * 119, "x" * 200),
    *("山" * 40, "山" * 41, "😀" * 30, "😀" * 31, "a.dcm", "A.DCM", "Unknown patient"),
]


def name_of(number: int) -> Name:
    number, stem = divmod(number, len(STEMS))
    place, uid = divmod(number, 3)
    keys = (b"%d" % uid, b"%d %d %d" % (place, uid, stem))
    return Name(STEMS[stem], ".dcm" if place % 2 else "", keys)


@examples(10_000)
@given(
    st.lists(st.integers(0, 500), max_size=6, unique=True),
    st.randoms(use_true_random=False),
)
def test_names_are_distinct_to_every_system_and_in_any_order(
    numbers: list[int], random: Random
) -> None:
    names = [name_of(number) for number in numbers]

    found = distinct(names)

    assert len({folded(each) for each in found}) == len(names)
    assert {each: faults(each) for each in found if faults(each)} == {}
    pairs = dict(zip(names, found, strict=True))
    random.shuffle(names)
    assert dict(zip(names, distinct(names), strict=True)) == pairs


def test_a_name_that_clashes_with_none_has_no_suffix() -> None:
    names = [Name("0001", ".dcm", (b"1.2",)), Name("0002", ".dcm", (b"1.3",))]

    assert distinct(names) == ["0001.dcm", "0002.dcm"]


def test_every_name_that_clashes_gets_the_hash_of_its_uid() -> None:
    names = [
        Name("0001", ".dcm", (b"1.2", b"A")),
        Name("0001", ".dcm", (b"1.3", b"B")),
        Name("0002", ".dcm", (b"1.4", b"C")),
    ]

    assert distinct(names) == [
        f"0001 [{sha(b'1.2')}].dcm",
        f"0001 [{sha(b'1.3')}].dcm",
        "0002.dcm",
    ]


def test_a_mark_stands_behind_the_number_and_the_suffix_and_is_never_cut() -> None:
    names = [
        Name("0001", ".dcm", (b"1.2", b"A"), "missing"),
        Name("0001", ".dcm", (b"1.3", b"B")),
        Name("0002", ".dcm", (b"1.4", b"C"), "refused"),
        Name("0003 SR " + "x" * 200, ".dcm", (b"1.5", b"D"), "cut off"),
    ]

    assert distinct(names) == [
        f"0001 [{sha(b'1.2')}] (missing).dcm",
        f"0001 [{sha(b'1.3')}].dcm",
        "0002 (refused).dcm",
        f"0003 SR {'x' * 18} (cut off).dcm",
    ]


@pytest.mark.parametrize("mark", ["missing", "cut off", "refused"])
@examples(300)
@given(numbers=st.lists(st.integers(0, 500), max_size=6, unique=True), data=st.data())
def test_a_mark_changes_the_name_of_no_other_file(
    mark: str, numbers: list[int], data: st.DataObject
) -> None:
    names = [name_of(number) for number in numbers]
    some = [
        name._replace(mark=data.draw(st.sampled_from(["", mark]))) for name in names
    ]

    pairs = zip(some, distinct(names), distinct(some), strict=True)

    assert all(before == after for name, before, after in pairs if not name.mark)
    assert len({folded(each) for each in distinct(some)}) == len(names)


def test_a_title_that_looks_like_a_mark_stays_and_the_marked_file_gets_a_suffix() -> (
    None
):
    names = [
        Name("0001 SR (missing)", ".dcm", (b"1.2", b"A")),
        Name("0001 SR", ".dcm", (b"1.3", b"B"), "missing"),
    ]

    assert distinct(names) == [
        "0001 SR (missing).dcm",
        f"0001 SR [{sha(b'1.3')}] (missing).dcm",
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [("CT", "ct"), ("é", "e\u0301"), ("É", "e\u0301"), ("Straße", "STRASSE")],
    ids=["case", "normal-form", "both", "sharp-s"],
)
def test_names_clash_whatever_their_case_and_normal_form(one: str, other: str) -> None:
    names = [Name(one, "", (b"1", b"x")), Name(other, "", (b"2", b"y"))]

    assert distinct(names) == [f"{one} [{sha(b'1')}]", f"{other} [{sha(b'2')}]"]


def test_names_that_clash_only_when_cut_are_told_apart() -> None:
    names = [
        Name("x" * 130 + "1", ".dcm", (b"1", b"a")),
        Name("x" * 130 + "2", ".dcm", (b"2", b"b")),
    ]

    found = distinct(names)

    assert [len(each) for each in found] == [40, 40]
    assert [each[-15:] for each in found] == [
        f" [{sha(b'1')}].dcm",
        f" [{sha(b'2')}].dcm",
    ]


def test_a_name_with_one_key_only_gets_eight_digits_too() -> None:
    names = [Name("Unknown patient", "", (key,)) for key in (b"1", b"2")]

    assert distinct(names) == [f"Unknown patient [{sha(key)}]" for key in (b"1", b"2")]


def test_the_same_uid_twice_is_told_apart() -> None:
    names = [Name("0001", ".dcm", (b"1.2", file)) for file in (b"A", b"B")]

    assert len(set(distinct(names))) == 2


@pytest.mark.slow
def test_a_hundred_thousand_equal_names_are_told_apart_quickly() -> None:
    names = [
        Name("0001", ".dcm", (b"1.2.%d" % n, b"FILE%d" % n)) for n in range(100_000)
    ]
    began = time.monotonic()

    found = distinct(names)

    assert len({folded(each) for each in found}) == len(names)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("name", "patient_id", "expected"),
    [
        ("Doe^Jane^Q", "12345", "Doe, Jane Q (12345)"),
        ("Doe^Jane^Q^Dr^Jr", "12345", "Doe, Jane Q (12345)"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "1", "Yamada, Tarou 山田 太郎 (1)"),
        ("=山田^太郎", "1", "山田 太郎 (1)"),
        ("Doe", "1", "Doe (1)"),
        ("Doe^Jane", "", "Doe, Jane"),
        ("", "12345", "12345"),
        ("", "", "Unknown patient"),
        ("^^^^", " ", "Unknown patient"),
        ("Doe/Jane", "../../x", "Doe_Jane (_.._x)"),
        ("..", "..", "Unknown patient"),
        ("Mu\u0308ller", "1", "Müller (1)"),
        ("Doe\u202e^Jane\0\n", "1", "Doe, Jane (1)"),
        ("CON", "", "CON_"),
        ("CON", "1", "CON_ (1)"),
    ],
)
def test_a_patient_is_called_by_name_and_id(
    name: str, patient_id: str, expected: str
) -> None:
    attributes = having(PATIENT_NAME=name, PATIENT_ID=patient_id)

    assert naming.patient_name(attributes) == expected


@pytest.mark.parametrize("letter", ["x", "é", "山", "😀"])
def test_a_long_name_is_cut_and_the_id_is_kept(letter: str) -> None:
    attributes = having(PATIENT_NAME=letter * 200, PATIENT_ID="12345")

    found = naming.patient_name(attributes)

    assert found.endswith(f"{letter} (12345)")
    assert 76 - units(letter) < units(found) <= 76


@pytest.mark.parametrize(
    ("name", "patient_id", "expected"),
    [
        ("D" * 10, "7" * 60, f"{'D' * 10} ({'7' * 60})"),
        ("D" * 10, "7" * 64, f"{'D' * 10} ({'7' * 63})"),
        ("D" * 90, "7" * 64, f"{'D' * 38} ({'7' * 35})"),
        ("D" * 90, "7" * 20, f"{'D' * 53} ({'7' * 20})"),
    ],
)
def test_a_long_id_takes_what_the_name_leaves_and_half_at_least(
    name: str, patient_id: str, expected: str
) -> None:
    attributes = having(PATIENT_NAME=name, PATIENT_ID=patient_id)

    assert naming.patient_name(attributes) == expected


def test_a_path_of_the_longest_names_fits_on_a_stick_of_windows() -> None:
    longest = [
        Name("山" * 99, extension, (b"1",), budget=budget).plain()
        for budget, extension in zip(
            BUDGETS.values(), ("", "", "", ".dcm"), strict=True
        )
    ]

    assert [units(name) for name in longest] == [76, 60, 56, 40]
    # Windows counts a NUL at the end, and leaves room for an 8.3 name in a folder.
    assert units("\\".join(["E:", *longest])) + 1 <= 260 - 12
    assert all(len(name.encode()) <= 255 for name in longest)


@pytest.mark.parametrize("number", ["0017", "minus 0017", "123456789012", "8" * 12])
@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_neither_a_number_nor_what_tells_a_name_apart_is_cut(
    number: str, depth: int
) -> None:
    name = Name(f"{number} SR {'x' * 99}", ".dcm", (b"1", b"2"), "missing", budget=40)

    marked, plain = name.marked(depth), name.told_apart(depth or 1)

    assert marked.startswith(number)
    assert plain.startswith(number)
    assert marked.endswith(" (missing).dcm")
    if depth < 3 and len(number) <= 12:
        assert units(plain) == 40
        assert units(marked) <= 40
    if depth:
        digits = 8 if depth < 3 else 32
        assert re.fullmatch(rf".* \[[0-9a-f]{{{digits}}}\] \(missing\)\.dcm", marked)


@pytest.mark.parametrize("length", range(1, 6))
def test_a_letter_of_two_units_is_not_halved(length: int) -> None:
    name = Name("😀" * 9, ".dcm", (b"1",), budget=4 + length)

    assert name.plain() == "😀" * max(length // 2, 1) + ".dcm"


def test_carets_in_descriptions_are_blanks() -> None:
    study = having(STUDY_DATE="20230705", STUDY_DESCRIPTION="Head^Routine^ (Adult)")
    report = having(INSTANCE_NUMBER="1", CONTENT_LABEL="^A^^B")

    assert naming.study_name(study) == "2023-07-05 Head Routine (Adult)"
    assert naming.series_name(study, "T1^fl2d", 3) == "T1 fl2d"
    assert naming.instance_name("PRESENTATION", report, b"1", 4) == "0001 PR A B"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("20230705", "CT Thorax", "1", "A7"), "2023-07-05 CT Thorax"),
        (("20230705", "", "4711", "A7"), "2023-07-05 Study 4711"),
        (("20230705", "", "", "A7"), "2023-07-05 Study A7"),
        (("20230705", "", "", ""), "2023-07-05 Study"),
        (("", "CT Thorax", "1", ""), "Undated CT Thorax"),
        (("unknown", "CT Thorax", "1", ""), "Undated CT Thorax"),
        (("", "", "1", ""), "Undated Study 1"),
        (("", "", "", ""), "Undated Study"),
        (("20230705", "A/B: C?", "", ""), "2023-07-05 A_B_ C_"),
        (("20230705", "CT  Thorax.\n", "", ""), "2023-07-05 CT Thorax"),
    ],
)
def test_a_study_is_called_by_date_and_description(
    values: tuple[str, str, str, str], expected: str
) -> None:
    keys = ("STUDY_DATE", "STUDY_DESCRIPTION", "STUDY_ID", "ACCESSION_NUMBER")
    attributes = having(**dict(zip(keys, values, strict=True)))

    assert naming.study_name(attributes) == expected


@pytest.mark.parametrize(
    ("number", "modality", "description", "width", "expected"),
    [
        ("2", "CT", "Lung 1.0", 3, "002 CT Lung 1.0"),
        ("2", "CT", "", 3, "002 CT"),
        ("2", "", "Lung", 3, "002 Lung"),
        ("", "CT", "Lung", 3, "CT Lung"),
        ("", "", "", 3, "Series"),
        ("12345", "MR", "T1", 3, "12345 MR T1"),
        ("7", "MR", "T1", 5, "00007 MR T1"),
        ("0", "MR", "", 3, "000 MR"),
        ("-1", "MR", "", 3, "minus 001 MR"),
        ("two", "MR", "", 3, "MR"),
    ],
)
def test_a_series_is_called_by_number_modality_and_description(
    number: str, modality: str, description: str, width: int, expected: str
) -> None:
    attributes = having(SERIES_NUMBER=number, MODALITY=modality)

    assert naming.series_name(attributes, description, width) == expected


@pytest.mark.parametrize(
    ("record_type", "values", "expected"),
    [
        ("IMAGE", {}, "0017"),
        ("IMAGE", {"CONTENT_LABEL": "SEG"}, "0017"),
        ("SR DOCUMENT", {}, "0017 SR"),
        ("SR DOCUMENT", {"CONCEPT_NAME_CODE_SEQUENCE": "Report"}, "0017 SR Report"),
        ("PRESENTATION", {"CONTENT_LABEL": "LUNG"}, "0017 PR LUNG"),
        ("WF PRESENTATION", {}, "0017 PR"),
        ("KEY OBJECT DOC", {}, "0017 KO"),
        (
            "ENCAP DOC",
            {"MIME_TYPE_OF_ENCAPSULATED_DOCUMENT": "application/pdf"},
            "0017 PDF",
        ),
        (
            "ENCAP DOC",
            {
                "MIME_TYPE_OF_ENCAPSULATED_DOCUMENT": "application/pdf",
                "DOCUMENT_TITLE": "Letter",
            },
            "0017 PDF Letter",
        ),
        ("ENCAP DOC", {"MIME_TYPE_OF_ENCAPSULATED_DOCUMENT": "text/XML"}, "0017 CDA"),
        ("ENCAP DOC", {}, "0017 DOC"),
        ("RT PLAN", {"RT_PLAN_LABEL": "Boost"}, "0017 RTPLAN Boost"),
        ("RT STRUCTURE SET", {}, "0017 RTSTRUCT"),
        ("RT DOSE", {}, "0017 RTDOSE"),
        ("CURVE", {}, "0017 CURVE"),
        ("A/B", {}, "0017 A_B"),
        ("", {}, "0017"),
    ],
)
def test_an_instance_is_called_by_number_and_what_it_is(
    record_type: str, values: dict[str, str], expected: str
) -> None:
    attributes = having(INSTANCE_NUMBER="17", **values)

    assert naming.instance_name(record_type, attributes, b"1.2", 4) == expected


def test_an_instance_without_a_number_is_called_by_its_uid() -> None:
    found = naming.instance_name("IMAGE", having(), b"1.2.3", 4)

    assert found == sha(b"1.2.3")


@pytest.mark.parametrize(
    ("numbers", "least", "width"),
    [([], 4, 4), ([1, None], 3, 3), ([9999, 10000], 4, 5), ([-12345], 3, 5)],
    ids=["none", "narrow", "wide", "negative"],
)
def test_numbers_are_as_wide_as_the_widest(
    numbers: list[int | None], least: int, width: int
) -> None:
    assert naming.width_of(numbers, least) == width


def test_the_order_of_names_is_the_order_of_numbers() -> None:
    numbers = [1, 2, 9, 10, 11, 99, 100, 1000, 9999, 12345]
    width = naming.width_of(numbers, 4)

    names = [
        naming.instance_name("IMAGE", having(INSTANCE_NUMBER=str(n)), b"", width)
        for n in numbers
    ]

    assert sorted(names) == names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CT Thorax", "CT Thorax"),
        ("  a   b  ", "a b"),
        ("a\tb\r\nc", "a b c"),
        ("a/b\\c", "a_b_c"),
        ('<>:"|?*', "_______"),
        ("...a...", "a"),
        (".", ""),
        ("..", ""),
        ("-rf", "rf"),
        ("\u202edcm.exe", "dcm.exe"),
        ("zero\u200bwidth", "zerowidth"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ("\u200d", ""),
        ("NUL", "NUL_"),
        ("nul.txt", "nul_.txt"),
        ("COM1 .x", "COM1_ .x"),
        ("COM10", "COM10"),
        ("CONSOLE", "CONSOLE"),
        ("e\u0301", "é"),
    ],
)
def test_text_is_cleaned(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize("letter", ["é", "山", "😀", "e\u0301", "👩\u200d⚕"])
@pytest.mark.parametrize("lead", range(6))
def test_names_are_cut_between_characters(letter: str, lead: int) -> None:
    stem = "x" * lead + letter * 80

    found = Name(stem, ".dcm", (b"1",)).plain().removesuffix(".dcm")

    assert stem.startswith(found)
    rest = stem[len(found)]
    assert not unicodedata.combining(rest)
    assert rest != "\u200d"


def test_a_letter_under_too_many_accents_is_still_a_name() -> None:
    attributes = having(PATIENT_NAME="e" + "\u0301" * 100, PATIENT_ID="29")

    assert faults(naming.patient_name(attributes), 76) == []
    assert naming.patient_name(attributes)[0] == "é"


@pytest.mark.parametrize("letter", ["\u3164", "\u034f", "\ufffe", "\ufe0f", "\u115f"])
def test_letters_that_nobody_sees_are_left_out(letter: str) -> None:
    assert clean(letter) == ""
    assert clean(f"a{letter}b") == "ab"


@pytest.mark.parametrize("letter", ["\ufdfa", "\u200b", "ﬃ", "e\u0301", "𝅘𝅥𝅮"])
def test_what_is_far_beyond_the_end_of_a_name_is_not_looked_at(letter: str) -> None:
    long = naming.clean(letter * 1360 + "x")

    assert long == naming.clean(letter * 1360)
