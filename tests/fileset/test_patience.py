"""Patience: several are asked, and those that never answer are given up."""

import threading
from collections.abc import Callable, Iterator, Mapping

import pytest

from dicomfs.fileset.patience import PatientLister, Workers, answers
from dicomfs.media.medium import EntryType, Place
from dicomfs.source import pulse
from dicomfs.source.pulse import LeftBehind, beat, resting
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

    assert answers([slow, quick], mounting.PATIENCE) == [1, 2]


@pytest.mark.parametrize("count", [1, 8, 17])
def test_those_that_are_silent_cost_only_themselves(
    count: int, silent: Callable[[], int]
) -> None:
    assert answers([*[silent] * count, lambda: 1], 0.1) == [*[None] * count, 1]


def test_nobody_asked_is_nothing_answered() -> None:
    assert answers([], 0.1) == []


# -- workers ---------------------------------------------------------------------------

SOON = 0.1
# Long enough for a thread to be heard of, however busy the machine is.
LATER = 0.5


def test_work_is_done_by_a_thread_and_gives_what_it_gives() -> None:
    workers = Workers(2, mounting.PATIENCE, "test")

    assert workers.ask(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        workers.ask(lambda: 1 // 0)


def test_work_that_hangs_is_an_error_that_says_for_how_long(
    silent: Callable[[], int],
) -> None:
    with pytest.raises(TimeoutError, match=r"no answer within 0\.1 seconds"):
        Workers(1, SOON, "test").ask(silent)


@pytest.mark.slow
def test_what_hangs_costs_itself_and_the_others_keep_their_order(
    silent: Callable[[], int],
) -> None:
    workers = Workers(3, LATER, "test")
    hang = {3, 4}

    given = workers.map(lambda n: silent() if n in hang else n, range(200))

    told = [-1 if isinstance(each, TimeoutError) else each for each in given]
    assert told == [-1 if n in hang else n for n in range(200)]


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 4, 16])
def test_what_hangs_in_a_batch_costs_itself_even_with_one_thread(
    silent: Callable[[], int], batch: int
) -> None:
    workers = Workers(1, SOON, "test")
    hang = {2, 5, 6, 17}

    given = workers.map(lambda n: silent() if n in hang else n, range(20), batch)

    told = [-1 if isinstance(each, TimeoutError) else each for each in given]
    assert told == [-1 if n in hang else n for n in range(20)]


def test_an_error_in_a_batch_costs_only_what_has_it() -> None:
    error = OSError(5, "a bad sector")

    def work(number: int) -> int:
        if number % 3 == 1:
            raise error
        return number

    given = [*Workers(2, mounting.PATIENCE, "test").map(work, range(10), 4)]

    assert given == [error if n % 3 == 1 else n for n in range(10)]


def test_an_error_of_the_medium_costs_only_what_has_it() -> None:
    error = OSError(5, "a bad sector")

    def work(number: int) -> int:
        if number == 1:
            raise error
        return number

    assert [*Workers(1, mounting.PATIENCE, "test").map(work, range(3))] == [0, error, 2]


def test_slow_work_that_shows_signs_of_life_does_not_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(pulse, "monotonic", lambda: now)
    workers = Workers(1, mounting.PATIENCE, "test")

    def slow() -> int:
        nonlocal now
        for _ in range(100):
            now += 0.9 * workers.deadline
            beat()
        return 1

    assert workers.ask(slow) == 1


def test_no_more_threads_are_left_behind_than_there_may_be(
    silent: Callable[[], int],
) -> None:
    workers = Workers(2, SOON, "test", most_left=2)

    given = [*workers.map(lambda _: silent(), range(20))]

    hung = [each for each in given if isinstance(each, TimeoutError)]
    assert len(hung) <= 3
    assert {str(e) for e in given if e not in hung} == {
        "[Errno 19] too much of it does not answer"
    }


def test_a_thread_that_was_left_behind_ends_when_it_goes_on() -> None:
    over, ended = threading.Event(), threading.Event()

    def work() -> None:
        over.wait(mounting.PATIENCE)
        try:
            beat()
        except LeftBehind:
            ended.set()
            raise

    workers = Workers(1, SOON, "test", most_left=1)
    with pytest.raises(TimeoutError):
        workers.ask(work)
    over.set()

    assert ended.wait(mounting.PATIENCE)
    # There is room for another one again.
    assert mounting.until(lambda: not workers._left)
    assert workers.ask(lambda: 1) == 1


@pytest.mark.slow
def test_who_waits_for_work_that_hangs_does_not_hang_itself(
    silent: Callable[[], int],
) -> None:
    inner, outer = Workers(1, 2 * LATER, "inner"), Workers(1, LATER, "outer")

    def work() -> str:
        with pytest.raises(TimeoutError):
            inner.ask(silent)
        return "went on"

    assert outer.ask(work) == "went on"


def test_when_all_is_over_work_ends_with_its_next_sign_of_life() -> None:
    begun, ended = threading.Event(), threading.Event()

    def work() -> None:
        try:
            while True:
                beat()
                begun.set()
        finally:
            ended.set()

    workers = Workers(1, mounting.PATIENCE, "test")
    workers.begin(work)
    assert begun.wait(mounting.PATIENCE)
    workers.end()

    assert ended.wait(mounting.PATIENCE)


def test_a_beat_that_nobody_waits_for_is_nothing() -> None:
    beat()
    with resting():
        beat()


@pytest.mark.slow
def test_a_folder_that_hangs_is_an_error(silent: Callable[[], int]) -> None:
    class Hanging:
        def entries(self, folder: Place) -> Mapping[bytes, EntryType]:
            if folder:
                silent()
            return {b"A": EntryType.FOLDER}

    lister = PatientLister(Hanging(), Workers(1, LATER, "test"))

    assert lister.entries(()) == {b"A": EntryType.FOLDER}
    with pytest.raises(TimeoutError):
        lister.entries((b"A",))
