"""How much the tests try: a little, a part, or all of what is promised.

The profile of Hypothesis says which (``pytest --hypothesis-profile``):

``dev``    a little, for whoever is at work (``scripts/test --fast``, or one room)
``ci``     twenty times as much, a tenth of all (``scripts/test``)
``slow``   all of it (``scripts/test --slow``)

A test that tries more in ``slow`` than in ``ci`` is marked `counted`: ``scripts/test
--slow`` runs it again.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import pytest
from hypothesis import settings

Test = TypeVar("Test", bound=Callable[..., object])

# Fewer examples would not reach what a property test is made for.
_FEWEST: Final = {"dev": 20, "ci": 100}
_PARTS: Final = {"dev": 200, "ci": 10}


def register_profiles() -> None:
    """Let Hypothesis know the profiles; ``ci`` is the one without being asked."""
    # A loaded machine is slow now and then. What hangs is the watchdog's.
    settings.register_profile("dev", max_examples=_FEWEST["dev"], deadline=2_000)
    settings.register_profile("ci", max_examples=_FEWEST["ci"], deadline=2_000)
    settings.register_profile("slow", settings.get_profile("ci"))
    settings.load_profile("ci")


def tries_all() -> bool:
    """Return whether all of what is promised is tried."""
    return settings.get_current_profile_name() not in _PARTS


def part_of(all_of_them: int, fewest: int | None = None) -> int:
    """Return how many of *all_of_them* are tried in the profile that is in force.

    At least so many as a property test needs, or *fewest* where each one is large.
    """
    if tries_all():
        return all_of_them
    profile = settings.get_current_profile_name()
    least = _FEWEST[profile] if fewest is None else fewest
    return max(all_of_them // _PARTS[profile], least)


def examples(all_of_them: int) -> Callable[[Test], Test]:
    """Let Hypothesis try *all_of_them* in ``slow``, and a part in other profiles."""

    def decorate(test: Test) -> Test:
        tried = settings(max_examples=part_of(all_of_them))(test)
        marked: Test = pytest.mark.counted(tried)
        return marked

    return decorate
