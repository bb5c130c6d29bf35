"""Commands that read media do so in a child process."""

import os
import signal
import sys

import pytest

from dicomfs.cli.apart import apart


def test_what_is_done_apart_ends_as_it_says() -> None:
    assert apart(lambda: 7) == 7


def test_it_is_done_in_another_process() -> None:
    here = os.getpid()

    assert apart(lambda: int(os.getppid() == here)) == 1


def test_what_is_printed_is_printed_once(capfd: pytest.CaptureFixture[str]) -> None:
    sys.stdout.write("before\n")

    assert apart(lambda: sys.stdout.write("apart\n")) == len("apart\n")
    assert capfd.readouterr().out == "before\napart\n"


def test_a_child_that_is_killed_is_not_waited_for() -> None:
    def work() -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    assert apart(work) == signal.SIGKILL


def test_an_error_that_nobody_tells_is_no_success() -> None:
    def work() -> int:
        raise ZeroDivisionError

    assert apart(work) == 1
