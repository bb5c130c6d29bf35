"""Broken images cost their own pictures: see ``scripts/pictures``."""

import pytest

from tests.support.amounts import part_of
from tests.support.painting import COUNT, SHIPPED, bombs, painters, table, try_broken

# In one test they would take longer than the watchdog lets one.
_EACH = 250

pytestmark = [
    pytest.mark.slow,
    # Of the child only the thread that forked goes on, and that is all it needs.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


@pytest.mark.counted
@pytest.mark.parametrize("first", range(0, part_of(COUNT), _EACH))
def test_broken_images_end_neither_who_reads_nor_who_paints(first: int) -> None:
    tally = try_broken(_EACH, first=first)

    assert tally.tried > _EACH
    assert tally.pictures > 0
    assert tally.slowest < 15


def test_bombs_are_no_pictures_and_take_no_time() -> None:
    tried = 0
    with painters() as paint:
        for bomb in bombs():
            assert paint.picture(bomb).picture == b"", tried
            tried += 1
    assert tried > 20


@pytest.mark.late
def test_all_encodings_that_discs_have_are_decoded() -> None:
    rows = [line.split("|")[1:4] for line in table([SHIPPED]) if line.startswith("| ")]
    counts = {name.strip(): (int(all_), int(good)) for name, all_, good in rows[1:]}

    assert all(good for name, (_, good) in counts.items() if "Extended" not in name)
    assert counts["all"][1] >= 0.95 * counts["all"][0]
