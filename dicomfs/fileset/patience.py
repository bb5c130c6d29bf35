"""Waiting for several answers of which some may never come, as a drive may hang."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, InvalidStateError, wait
from contextlib import suppress
from typing import Final, TypeVar

_A = TypeVar("_A")

# Drives and servers that are asked at a time.
_THREADS: Final = 8


def answers(
    questions: Sequence[Callable[[], _A]], patience: float | None
) -> list[_A | None]:
    """Return what each of *questions* answers, in their order; None if it is silent.

    A few are asked at a time. If none of those answers within *patience* seconds, all
    of them are given up; None waits for ever. A question must not raise.
    """
    futures: list[Future[_A]] = []
    running: set[Future[_A]] = set()
    for question in questions:
        if len(running) == _THREADS:
            running = _still(running, patience)
        futures.append(_ask(question))
        running.add(futures[-1])
    while running:
        running = _still(running, patience)
    return [None if each.cancelled() else each.result() for each in futures]


def _ask(question: Callable[[], _A]) -> Future[_A]:
    """Ask in a thread that nobody has to wait for."""
    future: Future[_A] = Future()

    def run() -> None:
        answer = question()
        with suppress(InvalidStateError):  # too late
            future.set_result(answer)

    threading.Thread(target=run, name="opening", daemon=True).start()
    return future


def _still(running: set[Future[_A]], patience: float | None) -> set[Future[_A]]:
    """Wait for one of *running*; return those that go on, none if they are given up."""
    done, late = wait(running, patience, FIRST_COMPLETED)
    if done:
        return late
    for future in late:
        future.cancel()
    return set()
