"""Random media: each file that is listed is shown once, byte for byte, in its place.

``scripts/randommedia`` makes and judges them; ``scripts/random-media`` goes on for as
long as wanted. What is shown at once and what is shown later is the same, too, on discs
with wrong links as well.
"""

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from scripts.randommedia import __main__ as command
from scripts.randommedia import run
from scripts.randommedia.run import Medium
from scripts.randommedia.truth import Expected, Folder, Listed, expected
from tests.support.amounts import part_of
from tests.support.mounting import need

_COUNT: Final = part_of(command.COUNT, fewest=3)
# So many take seconds, and each test may take a minute.
_EACH: Final = min(_COUNT, 15)
# One disc, as a folder.
_SMALL: Final = 1

WHERE: Final = [Folder("person", ("1",)), Folder("2", ("2",)), Folder("3", ("3",))]


@pytest.mark.slow
@pytest.mark.counted
@pytest.mark.parametrize("first", range(0, _COUNT, _EACH))
def test_each_file_is_shown_once_and_in_its_place(first: int, tmp_path: Path) -> None:
    need("xorriso")
    assert wrong_of(range(first, first + _EACH), tmp_path, is_torn=False) == []


@pytest.mark.slow
@pytest.mark.counted
@pytest.mark.parametrize("first", range(0, _COUNT, _EACH))
def test_wrong_links_lose_no_file_and_show_none_as_another_s(
    first: int, tmp_path: Path
) -> None:
    need("xorriso")
    assert wrong_of(range(first, first + _EACH), tmp_path, is_torn=True) == []


def wrong_of(numbers: Iterable[int], root: Path, *, is_torn: bool) -> list[str]:
    """Return what is wrong with the media of these *numbers*, and how to repeat it."""
    wrong: list[str] = []
    again = f"scripts/random-media{' --torn' * is_torn} --seed {command.SEED} --only"
    for number in numbers:
        folder = root / f"{number}"
        folder.mkdir()
        medium = run.make(command.SEED, number, folder, is_torn=is_torn)
        wrong += [f"{words}; {again} {number}" for words in run.faults(medium)]
        shutil.rmtree(folder)
    return wrong


# -- the judge -------------------------------------------------------------------------


@pytest.fixture
def medium(tmp_path: Path) -> Medium:
    made = run.make(command.SEED, _SMALL, tmp_path)
    assert made.forms == ["folder"]
    return made


def test_a_medium_is_the_same_each_time(tmp_path: Path, medium: Medium) -> None:
    again = tmp_path / "again"
    again.mkdir()

    assert run.make(command.SEED, _SMALL, again).expected == medium.expected


def told(medium: Medium, entries: list[Expected]) -> str:
    """Return what is told of *medium* if other *entries* are expected than it has."""
    before = run.faults(medium)
    after = run.faults(replace(medium, expected=entries))
    return "\n".join(line for line in after if line not in before)


def test_a_file_that_is_not_shown_is_told(medium: Medium) -> None:
    more = medium.expected[0]._replace(digests=["00"], files=["disc 1: NOWHERE"])

    assert told(medium, [*medium.expected, more]) == "disc 1: NOWHERE is not shown"


def test_a_file_that_should_not_be_shown_is_told(medium: Medium) -> None:
    assert "belongs to no disc" in told(medium, medium.expected[1:])


def test_a_file_whose_bytes_are_others_is_told(medium: Medium) -> None:
    shown = next(each for each in medium.expected if each.digests)
    path = medium.sources[0] / shown.files[0].removeprefix("disc 1: ")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)

    assert f"{shown.files[0]} is not shown" in run.faults(medium)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_file_in_a_wrong_folder_is_told(medium: Medium, level: int) -> None:
    *others, last = [each for each in medium.expected if None not in each.folders]
    folder = last.folders[level]
    assert folder is not None
    wrong = [*last.folders]
    wrong[level] = replace(folder, said=("2.25.1",))

    assert "and not one of ('2.25.1',)" in told(
        medium, [*others, last._replace(folders=wrong)]
    )


@pytest.mark.parametrize("fault", ["is not shown", "belongs to no disc"])
def test_of_wrong_links_the_same_is_told(medium: Medium, fault: str) -> None:
    torn = replace(medium, is_torn=True)
    more = medium.expected[0]._replace(digests=["00"], files=["disc 1: NOWHERE"])

    assert run.faults(torn) == []
    assert fault in told(torn, [*medium.expected[1:], more])


# -- the truth -------------------------------------------------------------------------


def listed(disc: int, place: str, data: bytes | None = b"a", uid: str = "4") -> Listed:
    return Listed(disc, place, data, uid, [*WHERE])


def files(*found: Listed) -> list[list[str]]:
    return [each.files for each in expected(found)]


def test_two_files_of_one_disc_are_two_entries() -> None:
    assert files(listed(1, "A"), listed(1, "B")) == [["disc 1: A"], ["disc 1: B"]]


def test_a_file_that_is_listed_twice_is_one_entry() -> None:
    assert files(listed(1, "A"), listed(1, "a")) == [["disc 1: a"]]


def test_copies_on_two_discs_are_one_entry() -> None:
    assert files(listed(1, "A"), listed(2, "B")) == [["disc 1: A", "disc 2: B"]]


@pytest.mark.parametrize(
    "more",
    [
        [listed(1, "C"), listed(2, "B")],
        [listed(2, "B", b"longer"), listed(3, "C")],
        [listed(2, "B", uid=""), listed(3, "C", uid="")],
        [listed(2, "B", uid="5"), listed(3, "C", uid="6")],
    ],
    ids=["two on one disc", "of two sizes", "no UID", "other UIDs"],
)
def test_other_files_of_several_discs_are_all_shown(more: list[Listed]) -> None:
    assert all(len(each) == 1 for each in files(listed(1, "A"), *more))


def test_one_copy_that_is_missing_does_not_count() -> None:
    [entry] = expected([listed(1, "A", None), listed(2, "B")])

    assert len(entry.digests) == 1


def test_nobody_is_joined_by_a_study_in_common() -> None:
    found = [listed(disc, f"{disc}") for disc in (1, 2, 3)]
    for each in found:
        each.nobody = "nobody"
    found[2].folders[1] = Folder("another", ("another",))

    assert [each.files for each in expected(found)] == [
        ["disc 1: 1", "disc 2: 2"],
        ["disc 3: 3"],
    ]
