"""What is said to people on stderr: lines, and one that says how far something is."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Final, TextIO

from dicomfs.cli.codes import Complaint
from dicomfs.cli.command import command
from dicomfs.cli.exits import complaint
from dicomfs.counting import counted
from dicomfs.errors import Failure
from dicomfs.fileset.listener import Listener
from dicomfs.printable import CLEAR_LINE, printable

if TYPE_CHECKING:
    import logging

_TERMINAL: Final = os.environ.get("TERM", "")
_SECONDS_UNSHOWN: Final = 0.5
_SECONDS_SHOWN: Final = 0.1
# Before that, nobody can tell how fast something goes.
_SECONDS_UNKNOWN: Final = 3.0
_MOST_MINUTES: Final = 90
# So many a second need no decimals.
_MANY: Final = 10
# What is left out is told by name, but a terminal holds no more than so many lines.
_MOST_TOLD: Final = 20


def say(text: str) -> None:
    """Say *text* on stderr, in one line, if anybody listens."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(f"dicomfs: {printable(text)}\n")
            sys.stderr.flush()


def complain(about: Complaint) -> None:
    """Say in two lines what is wrong, and how to mend it."""
    say(about.what)
    say(f"to mend it: {about.mend}")


def warnings_handler() -> "logging.Handler":
    """Return what says on stderr what is logged as a warning."""
    import logging

    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("dicomfs: %(message)s"))
    return handler


class StatusLine:
    """Shows in one line of *stream* how far something is; nowhere if it is no terminal.

    What is quickly done needs no line.
    """

    def __init__(
        self, stream: TextIO | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        # A dumb one cannot take a line back.
        can_show = stream is not None and stream.isatty() and _TERMINAL != "dumb"
        self._stream = stream if can_show else None
        self._clock = clock
        self._due = clock() + _SECONDS_UNSHOWN
        self._is_shown = False

    def show(self, text: str) -> None:
        """Show *text* in the place of the last one; one that follows too soon is not."""
        if (now := self._clock()) >= self._due:
            self._due = now + _SECONDS_SHOWN
            self._is_shown = True
            self._write(CLEAR_LINE + text)

    def clear(self) -> None:
        """Leave nothing of the line."""
        self._due = self._clock() + _SECONDS_UNSHOWN
        if self._is_shown:
            self._is_shown = False
            self._write(CLEAR_LINE)

    def _write(self, text: str) -> None:
        if self._stream is not None:
            with suppress(OSError):  # a terminal that was closed is no reason to stop
                self._stream.write(text)
                self._stream.flush()


class Pace:
    """Says how fast something goes, and how much longer if it goes on as it has begun."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: tuple[float, float, float] | None = None

    def told(self, part: float, done: float, unit: str = "") -> str:
        """Return ", 12 MB a second, about 3 minutes left".

        So much is *done*, in *unit*, which is *part* of it, from 0 to 1; 0 if nobody
        knows. It is empty as long as there is nothing to be told.
        """
        now = self._clock()
        if self._began is None or part < self._began[1] or done < self._began[2]:
            self._began = now, part, done
        began, part_before, done_before = self._began
        passed = now - began
        if passed < _SECONDS_UNKNOWN or done <= done_before:
            return ""
        told = f", {_rounded((done - done_before) / passed)}{unit} a second"
        if part <= part_before:
            return told
        left = passed * (1 - part) / (part - part_before)
        return f"{told}, {_in_words(left)} left"


def _rounded(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= _MANY else f"{rate:.1f}"


def _in_words(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < _MOST_MINUTES:
        return f"about {counted(minutes, 'minute')}"
    return f"about {counted(round(minutes / 60), 'hour')}"


@contextmanager
def status_line() -> Iterator[StatusLine]:
    """Give a line of stderr for the time of something; at the end the line is gone."""
    line = StatusLine(sys.stderr)
    try:
        yield line
    finally:
        line.clear()


class Audience(Listener):
    """Tells people how the opening of sources goes.

    Unless it *tells_names* it keeps what is left out to itself. A process that is
    forked later tells the same people.
    """

    def __init__(self, *, tells_names: bool = True) -> None:
        self._tells_names = tells_names
        self._numbers = count(1)
        self._told = count(1)
        self._line = StatusLine(sys.stderr)
        self._pace = Pace()
        self._more = f"further ones, too; {command()} check names all"

    def left_out(self, name: str, failure: Failure) -> None:
        """Say that it is left out and why, as long as there is room for it."""
        number = next(self._numbers) if self._tells_names else 0
        if 1 <= number <= _MOST_TOLD:
            what = complaint(failure).what
            say(f"left out: {what if name in what else f'{name}: {what}'}")
        elif number == _MOST_TOLD + 1:
            say(f"left out: {self._more}")

    def told(self, name: str, what: str) -> None:
        """Say it, as long as there is room for it."""
        number = next(self._told) if self._tells_names else 0
        if 1 <= number <= _MOST_TOLD:
            say(f"{name}: {what}" if name else what)
        elif number == _MOST_TOLD + 1:
            say(self._more)

    def scanned(self, name: str, files: int, instances: int, of: int) -> None:
        """Show how far the scan is."""
        which = f"{printable(name)}: " if name else ""
        if not files:
            self._line.show(f"{which}files to be looked at: {of:,} so far")
            return
        self._line.show(
            f"{which}{files:,} of {counted(of, 'file')} looked at, "
            f"{counted(instances, 'instance')} found"
            f"{self._pace.told(files / max(of, files), files)}"
        )

    def scan_ended(self) -> None:
        """Take the line away."""
        self._line.clear()
        self._pace = Pace()
