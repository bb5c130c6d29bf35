"""Patience: several are asked, and those that never answer are given up."""

import threading
from collections.abc import Callable, Iterator

import pytest

from dicomfs.fileset.patience import answers
from tests.support import mounting


@pytest.fixture
def silent() -> Iterator[Callable[[], int]]:
    """Give a question that has no answer before the test is over."""
    over = threading.Event()

    def question() -> int:
        over.wait(mounting.PATIENCE)
        return 0

    yield question
    over.set()


def test_answers_come_in_the_order_of_the_questions() -> None:
    second = threading.Event()

    def slow() -> int:
        second.wait(mounting.PATIENCE)
        return 1

    def quick() -> int:
        second.set()
        return 2

    assert answers([slow, quick], None) == [1, 2]


@pytest.mark.parametrize("count", [1, 8, 17])
def test_those_that_are_silent_cost_only_themselves(
    count: int, silent: Callable[[], int]
) -> None:
    assert answers([*[silent] * count, lambda: 1], 0.1) == [*[None] * count, 1]


def test_nobody_asked_is_nothing_answered() -> None:
    assert answers([], 0.1) == []
