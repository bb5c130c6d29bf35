"""Forests of records, asked whether they are trees."""

from array import array

import pytest

from dicomfs.dicomdir.index import MRDR_KIND
from dicomfs.dicomdir.recovery.forest import MAX_DEPTH, MISSING, NONE, Forest, Walk

PATIENT, STUDY, SERIES, INSTANCE = range(1, 5)
BRANCH = 6


def forest(*records: tuple[int, int, int]) -> Forest:
    """Return a forest of records: kind, next and lower of each."""
    kinds, nexts, lowers = zip(*records, strict=True)
    return Forest(bytes(kinds), array("l", nexts), array("l", lowers))


def series(*, second: int = NONE) -> Forest:
    """Return a patient's series of two images, the last of which leads to *second*."""
    return forest(
        (PATIENT, NONE, 1),
        (STUDY, NONE, 2),
        (SERIES, NONE, 3),
        (INSTANCE, 4, NONE),
        (INSTANCE, second, NONE),
    )


def branches(count: int) -> Forest:
    """Return so many records, each below the one before."""
    below = [*range(1, count), NONE]
    return forest(*((BRANCH, NONE, lower) for lower in below))


def test_a_series_is_a_tree() -> None:
    found = series()

    assert found.is_tree()
    assert found.is_sound(0)
    assert found.heads() == [0]
    assert list(found.entity(3)) == [3, 4]
    assert Walk(found).reaches_all_from([0])


@pytest.mark.parametrize("second", [0, 1, 2, 3, MISSING])
def test_a_link_too_many_is_not_a_tree(second: int) -> None:
    assert not series(second=second).is_sound(0)


def test_records_that_nothing_leads_to_are_not_a_tree() -> None:
    apart = forest((PATIENT, NONE, NONE), (PATIENT, NONE, NONE))

    assert not apart.is_tree()
    assert not apart.is_sound(0)
    assert apart.heads() == [0, 1]


def test_a_record_that_only_lends_its_file_is_not_a_part() -> None:
    lent = forest((PATIENT, NONE, NONE), (MRDR_KIND, NONE, NONE))

    assert lent.is_tree()
    assert lent.is_sound(0)


@pytest.mark.parametrize(
    ("nexts", "lowers"), [(1, NONE), (NONE, 1)], ids=["beside", "below"]
)
def test_a_patient_is_not_beside_or_below_a_study(nexts: int, lowers: int) -> None:
    odd = forest((STUDY, nexts, lowers), (PATIENT, NONE, NONE))

    assert not odd.levels_descend()
    assert [(link.referrer, link.target) for link in odd.impossible()] == [(0, 1)]


@pytest.mark.parametrize(("count", "is_sound"), [(MAX_DEPTH, True), (40, False)])
def test_records_may_lie_so_deep_and_no_deeper(count: int, is_sound: bool) -> None:
    assert branches(count).is_sound(0) == is_sound


def test_a_forest_keeps_the_links_that_name_a_record() -> None:
    written = series(second=MISSING)

    assert series().keeps(written)
    assert not written.keeps(series(second=3))


def test_who_leads_to_whom_is_known_in_a_circle_too() -> None:
    circle = series(second=3)

    assert circle.leads_to([0], 4)
    assert circle.leads_to([3], 3)
    assert not circle.leads_to([3], 0)


def test_a_second_way_to_a_record_is_a_conflict() -> None:
    found = series(second=3)
    walk = Walk(found)

    [conflict] = walk.visit([0])

    assert (conflict.target, conflict.parent, conflict.link.referrer) == (3, 2, 4)
    assert walk.chain(4) == [0, 1, 2, 4]
    assert walk.leads_from(3, 4)
    conflict.link.cut()
    assert found.is_tree()


def test_being_asked_changes_nothing() -> None:
    found = series(second=3)
    before = found.nexts[:], found.lowers[:]

    found.is_tree()
    found.is_sound(0)
    Walk(found).visit(found.heads())

    assert (found.nexts, found.lowers) == before
