"""Patient IDs and names as they are compared."""

from pathlib import Path

import pytest

from dicomfs.dicom.patient import PLACEHOLDERS, is_placeholder

MANUAL = Path(__file__).parents[2] / "docs/names.md"


def test_the_manual_lists_all_placeholders() -> None:
    text = MANUAL.read_text()

    assert [each for each in PLACEHOLDERS if f"`{each}`" not in text] == []


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-",
        "0",
        "00000",
        "Unknown",
        "TEST_PATIENT",
        "n/a",
        "De-identified",
        "XXX^XXX",
    ],
)
def test_a_placeholder_is_nobody(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize(
    "value",
    ["1", "A", "12345", "ANON001", "Doe^Jane", "Test^Jane", "Anonymous 17", "Nil 1"],
)
def test_what_may_tell_people_apart_is_no_placeholder(value: str) -> None:
    assert not is_placeholder(value)
