"""Who is the same, and inode numbers."""

from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.tree.identity import Position, file_inode, inode, patient_keys

ONE = b"one file-set"
OTHER = b"another file-set"


def person(name: str, patient_id: str, **more: str) -> Attributes:
    values = {"PATIENT_NAME": name, "PATIENT_ID": patient_id} | more
    return Attributes(
        {getattr(tags, key): value.encode() for key, value in values.items()}
    )


def groups(*people: Attributes, file_sets: tuple[bytes, ...] = ()) -> list[int]:
    """Return for each of *people* the place of the first that is the same person."""
    owners = file_sets or (ONE,) * len(people)
    keys = patient_keys(
        [
            (attributes, Position(owner, 8 * place))
            for place, (attributes, owner) in enumerate(
                zip(people, owners, strict=True), start=1
            )
        ]
    )
    return [keys.index(key) for key in keys]


DOE = person("Doe^Jane", "12345")

SAME = pytest.mark.parametrize(
    "other",
    [
        DOE,
        person("DOE^JANE", "12345"),
        person("Doe^Jane ", "12345 "),
        person("Doe ^ Jane", "12345"),
        person("Doe^Jane^^^", "12345"),
        person("Doe^Jane=", "12345"),
        person("Doe^Jane=\u30c9\u30a6^\u30b8\u30a7\u30fc\u30f3", "12345"),
        person("Doe^Jane==\u3069\u3046", "12345"),
        person("Doe^Jane", "12345", PATIENT_SEX="F"),
        person("Doe^Jane", "12345", PATIENT_BIRTH_DATE="19700101"),
    ],
    ids=[
        *("equal", "case", "padding", "blanks", "carets", "empty-group"),
        *("ideographic-given-once", "phonetic-given-once"),
        *("sex-given-once", "birth-date-given-once"),
    ],
)


@SAME
def test_the_same_id_and_name_are_one_person(other: Attributes) -> None:
    assert groups(DOE, other) == [0, 0]


@SAME
def test_the_same_person_on_two_media_is_one(other: Attributes) -> None:
    assert groups(DOE, other, file_sets=(ONE, OTHER)) == [0, 0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (DOE, person("Doe^John", "12345")),
        (DOE, person("Doe^Jane", "12346")),
        (DOE, person("Doe^Jane", "012345")),
        (DOE, person("Doe^Jane^^Dr", "12345")),
        (person("Doe^Jo^^^Jr", "1"), person("Doe^Jo^^^Sr", "1")),
        (person("Doe^Jo", "1"), person("Doe^Jo^^^Jr", "1")),
        (DOE, person("Doe^Jane", "\uff11\uff12\uff13\uff14\uff15")),
        (person("Doe^Jane", "ab1"), person("Doe^Jane", "AB1")),
        (person("Doe^Jane", "122"), person("Doe^Jane", "12\u00b2")),
        (person("Doe^Jane", "\u00df"), person("Doe^Jane", "SS")),
        (person("Doe^Jane", "1 2"), person("Doe^Jane", "12")),
        (person("Ono^A=\u5c0f\u91ce", "7"), person("Ono^A=\u5927\u91ce", "7")),
        (person("Ono^A==\u304a\u306e", "7"), person("Ono^A==\u304a\u304a\u306e", "7")),
        (person("Ono^A", "7"), person("=\u5c0f\u91ce", "7")),
        (DOE, person("", "12345")),
        (DOE, person("Doe^Jane", "")),
        (person("", ""), person("", "")),
        (person("Doe^Jane", ""), person("Doe^Jane", "")),
        (
            person("Doe^Jane", "1", PATIENT_SEX="F"),
            person("Doe^Jane", "1", PATIENT_SEX="M"),
        ),
        (
            person("Doe^Jane", "1", PATIENT_BIRTH_DATE="19700101"),
            person("Doe^Jane", "1", PATIENT_BIRTH_DATE="19700102"),
        ),
        (
            person("Doe^Jane", "1", ISSUER_OF_PATIENT_ID="North"),
            person("Doe^Jane", "1", ISSUER_OF_PATIENT_ID="South"),
        ),
    ],
    ids=[
        *("name", "id", "leading-zero", "title", "generation", "generation-once"),
        *("full-width", "case-of-id", "power", "sharp-s", "blank-in-id"),
        *("ideographic", "phonetic", "no-common-group"),
        *("no-name", "no-id", "nothing", "name-only"),
        *("sex", "birth-date", "issuer"),
    ],
)
@pytest.mark.parametrize("second", [ONE, OTHER], ids=["one-medium", "two-media"])
def test_doubt_separates(one: Attributes, other: Attributes, second: bytes) -> None:
    assert groups(one, other, file_sets=(ONE, second)) == [0, 1]


@pytest.mark.parametrize(
    ("second", "expected"), [(ONE, [0, 0]), (OTHER, [0, 1])], ids=["same", "other"]
)
def test_an_id_without_a_name_counts_within_its_medium(
    second: bytes, expected: list[int]
) -> None:
    nameless = person("", "12345")

    assert groups(nameless, nameless, file_sets=(ONE, second)) == expected


def test_who_could_be_either_of_two_is_neither() -> None:
    woman = person("Doe^Jane", "1", PATIENT_SEX="F")
    man = person("Doe^Jane", "1", PATIENT_SEX="M")
    unknown = person("Doe^Jane", "1")

    for people in permutations([woman, man, unknown]):
        assert groups(*people) == [0, 1, 2]


def test_a_pair_that_agrees_is_joined_beside_one_that_does_not() -> None:
    woman = person("Doe^Jane", "1", PATIENT_SEX="F")
    man = person("Doe^Jane", "1", PATIENT_SEX="M")

    assert groups(woman, man, woman) == [0, 1, 0]


@pytest.mark.parametrize("written", ["\u00e9", "e\u0301"], ids=["one", "two"])
def test_how_an_accent_is_written_does_not_count(written: str) -> None:
    one, other = person("Doe^J", "\u00e9"), person("Doe^J", written)

    assert groups(one, other) == [0, 0]


def test_ids_that_differ_in_what_is_no_text_are_not_the_same() -> None:
    people = [
        Attributes(
            {
                tags.PATIENT_NAME: b"Doe^J",
                tags.PATIENT_ID: b"1" + byte,
                tags.SPECIFIC_CHARACTER_SET: b"ISO_IR 192",
            }
        )
        for byte in (b"\xff", b"\xfe")
    ]

    assert groups(*people) == [0, 1]


PLACEHOLDERS = pytest.mark.parametrize(
    "nobody",
    [
        person("Doe^Jane", "0"),
        person("Doe^Jane", "0000"),
        person("Doe^Jane", "UNKNOWN"),
        person("Doe^Jane", "n/a"),
        person("Doe^Jane", "-"),
        person("Anonymous", "12345"),
        person("ANONYMOUS^PATIENT", "12345"),
        person("Test^Test", "TEST"),
        person("Anonymized", "Anonymized"),
        person("\u533f\u540d", "12345"),
        person("", "12345"),
    ],
)


@PLACEHOLDERS
def test_a_placeholder_counts_on_its_own_medium_only(nobody: Attributes) -> None:
    assert groups(nobody, nobody, file_sets=(ONE, OTHER)) == [0, 1]
    assert groups(nobody, nobody, file_sets=(ONE, ONE)) == [0, 0]


@PLACEHOLDERS
def test_placeholders_that_have_a_study_in_common_are_one(nobody: Attributes) -> None:
    where = [(nobody, Position(file_set, 8)) for file_set in (ONE, OTHER, b"a third")]
    studies = [frozenset({b"1.1", b"1.2"}), frozenset({b"1.2"}), frozenset({b"1.3"})]

    keys = patient_keys(where, studies.__getitem__)

    assert [keys.index(key) for key in keys] == [0, 0, 2]


def test_placeholders_that_have_a_study_in_common_may_contradict_each_other() -> None:
    people = [person("Anonymous", "0", PATIENT_SEX=sex) for sex in ("F", "M")]
    where = list(zip(people, (Position(ONE, 8), Position(OTHER, 8)), strict=True))

    assert len(set(patient_keys(where, lambda _: frozenset({b"1.1"})))) == 2


@pytest.mark.parametrize("name", ["Doe^Jane", "Tester^Jo", "Nobody^Noel", "Null^Jane"])
def test_studies_are_only_asked_for_where_there_are_placeholders(name: str) -> None:
    where = [(person(name, "1"), Position(file_set, 8)) for file_set in (ONE, OTHER)]

    assert len(set(patient_keys(where, lambda _: pytest.fail("was asked")))) == 1


def test_text_that_grows_when_it_is_normalised_is_compared_as_it_is() -> None:
    # In form KC each of these letters is 18.
    long = person("\ufdfa" * 1360, "\ufdfa" * 1360)

    assert groups(long, long, person("\ufdfa" * 1361, "\ufdfa" * 1360)) == [0, 0, 2]


people = st.builds(
    person,
    st.sampled_from(["", "Doe^Jane", "DOE^JANE=X", "Doe^Jane=Y", "=X", "Anonymous"]),
    st.sampled_from(["", "1", "2"]),
    PATIENT_SEX=st.sampled_from(["", "F", "M"]),
)


@given(st.lists(people, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_records_does_not_matter(
    found: list[Attributes], random: Random
) -> None:
    pairs = [(each, Position(ONE, place)) for place, each in enumerate(found, 1)]
    keys = dict(zip((p for _, p in pairs), patient_keys(pairs), strict=True))
    random.shuffle(pairs)

    again = dict(zip((p for _, p in pairs), patient_keys(pairs), strict=True))

    assert again == keys


POSITIONS = st.builds(Position, st.binary(max_size=32), st.integers(1, 2**32 - 1))


@given(POSITIONS, st.sampled_from(["file", "folder", "patient"]))
def test_an_inode_number_fits_and_is_never_that_of_the_root(
    position: Position, role: str
) -> None:
    number = inode(position, role, 1)

    assert 1 < number < 2**64
    assert number == inode(position, role, 1)


def test_inode_numbers_are_the_same_in_every_process() -> None:
    assert inode(Position(b"medium", 396), "file", 1) == 8585686466393649402


@pytest.mark.slow
def test_inode_numbers_differ() -> None:
    numbers = {
        inode(Position(file_set, offset), role, parent)
        for file_set in (ONE, OTHER)
        for offset in range(8, 40_000, 8)
        for parent in (1, 2)
        for role in ("file", "folder", "patient", "study", "series")
    }

    assert len(numbers) == 2 * 4_999 * 2 * 5


def test_files_of_a_folder_are_numbered_in_a_row() -> None:
    numbers = [file_inode(parent, n) for parent in (1, 2, 2**64 - 1) for n in range(99)]

    assert len(set(numbers)) == len(numbers)
    assert numbers[:99] == list(range(numbers[0], numbers[0] + 99))
    assert all(1 < number < 2**64 for number in numbers)


def test_more_files_than_can_be_numbered_in_a_row_differ() -> None:
    numbers = {file_inode(1, ordinal) for ordinal in range(70_000)}

    assert len(numbers) == 70_000
