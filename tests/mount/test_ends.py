"""Whoever of a mount is killed, stopped or starved: nothing stays, and nobody."""

import multiprocessing
from pathlib import Path
from typing import Final

import pytest

from tests.support import lifecycle
from tests.support.lifecycle import (
    ALONE,
    KILLED,
    STARVED,
    STOPPED,
    Case,
    Outcome,
    cases,
)
from tests.support.mounting import need

pytestmark = [pytest.mark.mount, pytest.mark.alone]

# How a dead mount used to stay, or a process.
KNOWN: Final = [
    Case(ALONE, ALONE, KILLED, busy=True),
    Case(ALONE, ALONE, STOPPED, busy=False),
    Case(KILLED, ALONE, KILLED, busy=False),
    Case(STOPPED, ALONE, KILLED, busy=False),
    Case(STOPPED, KILLED, ALONE, busy=False),
    Case(STARVED, KILLED, KILLED, busy=False),
]


@pytest.fixture
def medium(public_folder: Path) -> Path:
    """Return a small medium that all can read."""
    return lifecycle.write(public_folder / "medium")


def outcome(case: Case, number: int, medium: Path) -> Outcome:
    """Return what comes of a *case*, tried in a process of its own."""
    need("fusermount3", "/dev/fuse")
    with multiprocessing.get_context("fork").Pool(1) as pool:
        ((_, came),) = pool.apply(
            lifecycle.share, [[(case, number)], medium, medium.parent]
        )
    return came


# Whose mount it is, and what else is done, goes by the number of the run.
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("case", KNOWN, ids=str)
def test_nothing_stays_of_a_mount(medium: Path, case: Case, number: int) -> None:
    assert outcome(case, number, medium).failures == ()


@pytest.mark.late
@pytest.mark.parametrize("case", cases(), ids=str)
def test_nothing_stays_of_a_mount_in_any_case(medium: Path, case: Case) -> None:
    assert outcome(case, 1, medium).failures == ()
