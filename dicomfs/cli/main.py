"""The command line: runs what was asked for, and ends with its exit code.

Nothing heavy is imported before it is needed: ``--help``, ``umount`` and mistakes are
answered at once, and commands that do not mount work where pyfuse3 is not installed.
Data go to stdout, messages to stderr.
"""

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final

from dicomfs.cli import helper
from dicomfs.cli.codes import Exit
from dicomfs.cli.exits import complaint
from dicomfs.cli.parser import parsed
from dicomfs.cli.terminal import complain, say
from dicomfs.errors import Failure, Problem

# What reads media itself, and may hang with them.
_READING: Final = frozenset({"tree", "check"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if helper.is_meant(given):
        return mount_helper(given)
    _prepare_streams()
    return _ended_well_or_told(lambda: _run(given))


def mount_helper(arguments: Sequence[str] | None = None) -> int:
    """Run as ``mount.dicomfs``; return the exit code for mount(8)."""
    given = sys.argv[1:] if arguments is None else arguments
    _prepare_streams()
    return helper.code_of(_ended_well_or_told(lambda: helper.run(given)))


def _prepare_streams() -> None:
    # Paths may be any bytes; on stdout they are data, and shown as they are.
    for stream, errors in (
        (sys.stdout, "surrogateescape"),
        (sys.stderr, "backslashreplace"),
    ):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def _run(arguments: Sequence[str]) -> int:
    given = parsed(arguments)
    return read(given) if given.command in _READING else _command(given)


def read(given: argparse.Namespace) -> int:
    """Do a command that reads media, in a process of its own; return its exit code."""
    from dicomfs.cli.apart import apart

    return apart(lambda: _ended_well_or_told(lambda: _command(given)))


def _command(given: argparse.Namespace) -> int:
    # A module a command: the others are not loaded.
    return int(import_module(f"dicomfs.cli.{given.command}").run(given))


def _ended_well_or_told(work: Callable[[], int]) -> int:
    """Return the exit code of *work*, or tell people what went wrong."""
    try:
        return work()
    except Failure as failure:
        return _ended(failure)
    except KeyboardInterrupt:
        say("interrupted")
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - people get two lines, no traceback
        return _ended(_unforeseen(error))


def _ended(failure: Failure) -> Exit:
    told = complaint(failure)
    complain(told)
    return told.exit_code


def _unforeseen(error: Exception) -> Failure:
    from dicomfs import logs

    return Failure(Problem.UNFORESEEN, reason=logs.place_of(error))
