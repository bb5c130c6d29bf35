"""Several processes that are heard in order."""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from dicomfs.cli import jobs

pytestmark = pytest.mark.slow


def say(*lines: str, code: int = 0) -> Callable[[], int]:
    """Return what prints *lines* and ends with *code*."""

    def work() -> int:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        return code

    return work


def heard(*crews: list[jobs.Work], at_once: int = 2) -> list[str | int]:
    """Return the lines of *crews*, and after those of each its exit code."""
    result: list[str | int] = []
    for each in jobs.in_order(crews, at_once, hears_errors=True):
        if isinstance(each, jobs.Line):
            result.append(each.text.decode())
        else:
            result.append(each.code)
    return result


def test_lines_come_in_the_order_of_the_work_whoever_is_first(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    def wait_for_the_second() -> int:
        while not mark.exists():
            time.sleep(0.01)
        return say("first")()

    def let_the_first_go_on() -> int:
        mark.touch()
        return say("second", code=4)()

    assert heard([wait_for_the_second], [let_the_first_go_on], [say("third")]) == [
        *("first", 0, "second", 4, "third", 0),
    ]


def test_those_who_share_a_work_speak_in_turn() -> None:
    one, two = say("1", "", "3a", "3b", ""), say("2", "", "4", "", "5", "")

    assert heard([one, two]) == ["1", "2", "3a", "3b", "4", "5", 0]


def test_what_goes_wrong_is_said_with_the_work_that_it_belongs_to() -> None:
    def fail() -> int:
        sys.stderr.write("it is broken\n")
        return 15

    ended = list(jobs.in_order([[fail, fail], [say()]], 1, hears_errors=True))

    assert ended == [jobs.End(15, [b"it is broken"]), jobs.End(0, [])]


def test_one_that_dies_has_the_exit_code_that_a_shell_gives_it() -> None:
    def die() -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    assert heard([die]) == [128 + signal.SIGKILL]


def test_much_that_is_ahead_waits_and_is_not_lost() -> None:
    long = "x" * 100_000
    much = [say(*[f"{number} {long}" for number in range(100)]) for _ in range(2)]

    numbers = [
        line.split()[0] if isinstance(line, str) else "end"
        for line in heard([much[0]], [much[1]])
    ]

    assert numbers == [*map(str, range(100)), "end"] * 2


def test_who_listens_no_more_ends_all(tmp_path: Path) -> None:
    def work(number: int) -> int:
        (tmp_path / str(number)).write_text(str(os.getpid()))
        say("begun")()
        sys.stdout.flush()
        while True:
            time.sleep(1)

    works = [[partial(work, number)] for number in range(2)]
    with closing(jobs.in_order(works, 2, hears_errors=False)) as lines:
        assert next(lines) == jobs.Line(b"begun")

    for file in tmp_path.iterdir():
        if pid := file.read_text():
            assert not Path(f"/proc/{pid}").exists()
