"""What is said to people while something is done."""

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

import pytest

from dicomfs.cli import terminal
from dicomfs.cli.terminal import Audience, Pace, StatusLine
from dicomfs.errors import Failure, Problem

CLEARED = "\r\x1b[K"


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


@contextmanager
def screen() -> Iterator[Screen]:
    """Take what is said meanwhile."""
    taken = Screen()
    with redirect_stderr(taken):
        yield taken


@pytest.fixture(autouse=True)
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be one that can take a line back, whatever the tests are run in."""
    monkeypatch.setattr(terminal, "_TERMINAL", "xterm")


SILENT = Failure(Problem.SOURCE_SILENT)


# -- what is left out ------------------------------------------------------------------


def test_what_is_left_out_is_told_by_its_name() -> None:
    with screen() as said:
        Audience().left_out("two.iso", SILENT)

    told = "dicomfs: left out: two.iso: the medium does not answer\n"
    assert said.getvalue() == told


def test_a_name_that_the_reason_has_is_not_told_twice() -> None:
    failure = Failure(Problem.SOURCE_UNREADABLE, name="/two.iso", reason="lost")

    with screen() as said:
        Audience().left_out("/two.iso", failure)

    assert said.getvalue() == "dicomfs: left out: /two.iso cannot be read: lost\n"


def test_more_than_a_terminal_holds_is_told_to_be_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DICOMFS_COMMAND", "scripts/dicomfs")

    with screen() as said:
        audience = Audience()
        for number in range(100):
            audience.left_out(f"{number}.iso", SILENT)

    *lines, last = said.getvalue().splitlines()
    assert len(lines) == 20
    assert last.endswith("further ones, too; scripts/dicomfs check names all")


def test_names_are_kept_where_nobody_is_to_see_them() -> None:
    with screen() as said:
        Audience(tells_names=False).left_out("two.iso", SILENT)

    assert said.getvalue() == ""


@pytest.mark.parametrize(
    ("name", "line"), [("", "x is shown"), ("two.iso", "two.iso: x is shown")]
)
def test_what_is_to_be_known_is_told(name: str, line: str) -> None:
    with screen() as said:
        Audience().told(name, "x is shown")

    assert said.getvalue() == f"dicomfs: {line}\n"


def test_no_more_is_told_than_a_terminal_holds_nor_where_names_are_kept() -> None:
    with screen() as said:
        audience, silent = Audience(), Audience(tells_names=False)
        for number in range(100):
            audience.told("", f"{number} is not shown")
            silent.told("", f"{number} is not shown")

    assert len(said.getvalue().splitlines()) == 21


# -- how far something is --------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let how far something is show at once."""
    monkeypatch.setattr(terminal, "_SECONDS_UNSHOWN", 0)


@pytest.mark.usefixtures("impatient")
def test_a_scan_shows_how_far_it_is_and_leaves_nothing() -> None:
    with screen() as said:
        audience = Audience()
        audience.scanned("a\nb", 12_345, 7, 20_000)
        audience.scan_ended()

    shown = r"a\nb: 12,345 of 20,000 files looked at, 7 instances found"
    assert said.getvalue() == f"{CLEARED}{shown}{CLEARED}"


@pytest.mark.usefixtures("impatient")
def test_a_scan_shows_how_many_files_it_has_counted_so_far() -> None:
    with screen() as said:
        Audience().scanned("", 0, 0, 12_345)

    assert said.getvalue() == f"{CLEARED}files to be looked at: 12,345 so far"


@pytest.mark.parametrize(
    ("seconds", "part", "done", "told"),
    [
        (2, 0.5, 50, ""),
        (10, 0.0, 0, ""),
        (10, 0.0, 50, ", 5.0 MB a second"),
        (10, 0.5, 12_345, ", 1,234 MB a second, less than a minute left"),
        (60, 0.5, 900, ", 15 MB a second, about 1 minute left"),
        (60, 0.1, 30, ", 0.5 MB a second, about 9 minutes left"),
        (600, 0.01, 30_000, ", 50 MB a second, about 16 hours left"),
    ],
)
def test_rate_and_time_left_are_told_as_far_as_they_are_known(
    seconds: float, part: float, done: float, told: str
) -> None:
    now = 100.0
    pace = Pace(lambda: now)
    pace.told(0, 0, " MB")
    now += seconds

    assert pace.told(part, done, " MB") == told


def test_rate_and_time_left_are_told_anew_where_something_begins_again() -> None:
    now = 100.0
    pace = Pace(lambda: now)
    pace.told(0.9, 90)
    now += 60
    pace.told(0.1, 10)
    now += 60

    assert pace.told(0.2, 1210) == ", 20 a second, about 8 minutes left"


def test_what_follows_too_soon_is_passed_over() -> None:
    stream, now = Screen(), 100.0
    line = StatusLine(stream, lambda: now)
    now += 1

    line.show("one")
    line.show("two")
    now += 1
    line.show("three")

    assert stream.getvalue() == f"{CLEARED}one{CLEARED}three"


def test_what_is_quickly_done_is_not_shown_and_leaves_nothing() -> None:
    stream, now = Screen(), 100.0
    line = StatusLine(stream, lambda: now)

    now += 0.4
    line.show("one")
    line.clear()
    now += 0.4
    line.show("two")
    line.clear()

    assert stream.getvalue() == ""


def test_where_there_is_no_terminal_no_line_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream, screen, now = io.StringIO(), Screen(), 100.0
    lines = [StatusLine(stream, lambda: now), StatusLine(None, lambda: now)]
    monkeypatch.setattr(terminal, "_TERMINAL", "dumb")
    lines.append(StatusLine(screen, lambda: now))
    now += 1

    for line in lines:
        line.show("one")
        line.clear()

    assert stream.getvalue() + screen.getvalue() == ""
