"""What supervisor and worker say to each other, without either of them."""

import pytest

from dicomfs.errors import Failure, Problem
from dicomfs.mount import control


def test_a_word_that_is_expected_passes() -> None:
    ours, theirs = control.pair()

    with ours, theirs:
        theirs.send(control.READY)
        control.expect(ours, control.READY)


def test_a_failure_comes_over_a_connection_as_it_is() -> None:
    failure = Failure(Problem.SOURCE_UNREADABLE, name="a\udcff.iso", reason="lost")
    ours, theirs = control.pair()

    with ours, theirs:
        theirs.send(control.encode(failure))
        with pytest.raises(Failure) as caught:
            control.expect(ours, control.READY)

    assert caught.value.problem is failure.problem
    assert caught.value.facts == failure.facts


@pytest.mark.parametrize(
    "message",
    [
        b"nonsense",
        b"\xff",
        b"[" * 60_000,
        b"7",
        b"[1, 2, 3]",
        b'["NO_SUCH_PROBLEM", {}]',
        b'["WORKER_DIED", 7]',
        b'["WORKER_DIED", {"problem": 1}]',
        b'[["WORKER_DIED"], {}]',
    ],
    ids=lambda message: message[:40].decode("latin-1"),
)
def test_a_worker_that_says_anything_else_is_one_that_died(message: bytes) -> None:
    ours, theirs = control.pair()

    with ours, theirs:
        theirs.send(message)
        with pytest.raises(Failure) as caught:
            control.expect(ours, control.READY)

    assert caught.value.problem is Problem.WORKER_DIED


def test_an_end_that_says_nothing_is_a_worker_that_died() -> None:
    ours, theirs = control.pair()
    theirs.close()

    with ours, pytest.raises(Failure) as caught:
        control.expect(ours, control.OPENED)

    assert caught.value.problem is Problem.WORKER_DIED
