"""What a command gives: data on stdout, for people and for programs."""

import io
import os
import sys
from collections.abc import Iterable
from contextlib import suppress

from dicomfs.errors import Failure, Problem
from dicomfs.printable import printable_json, printable_lines


def write(lines: Iterable[str], *, is_json: bool) -> None:
    """Write *lines* to stdout; raises Failure if it takes no more, but not for a pipe."""
    _prepare(is_json=is_json)
    try:
        for line in lines:
            print(line)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        _give_up(error)


def say(lines: Iterable[str]) -> None:
    """Say *lines* to the process that shows them, as long as that wants more."""
    try:
        for line in lines:
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        pass


def say_piece(text: str) -> None:
    """Say *text* to the process that hears it, as long as that wants more."""
    with suppress(BrokenPipeError):
        sys.stdout.write(text)
        sys.stdout.flush()


class Relay:
    """Shows on stdout what a process said that reads a medium: escaped, as text or JSON."""

    def __init__(self, *, is_json: bool) -> None:
        self._is_json = is_json
        _prepare(is_json=is_json)

    def show(self, text: str) -> bool:
        """Show *text*; return False if nobody reads it any more.

        Raises Failure if stdout takes no more.
        """
        if sys.stdout is None:
            return True
        text = printable_json(text) if self._is_json else printable_lines(text)
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError as error:
            _give_up(error)
            return False
        return True


def _prepare(*, is_json: bool) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a letter is no reason to show nothing. JSON is
        # UTF-8 everywhere (RFC 8259).
        encoding = "utf-8" if is_json else None
        sys.stdout.reconfigure(encoding=encoding, errors="replace")


def _give_up(error: OSError) -> None:
    """Write nothing any more; raises Failure unless it was a pipe that ended."""
    # Python would try once more at its end, and complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    # Whoever read a pipe has seen enough.
    if not isinstance(error, BrokenPipeError):
        raise Failure(Problem.OUTPUT, reason=error.strerror) from error
