"""The command line: runs what was asked for, and ends with its exit code.

Nothing heavy is imported before it is needed: ``--help``, ``umount`` and mistakes are
answered at once, and commands that do not mount work where pyfuse3 is not installed.
Data go to stdout, messages to stderr.
"""

import io
import sys
from collections.abc import Sequence
from importlib import import_module

from dicomfs.cli.codes import Exit
from dicomfs.cli.exits import complaint
from dicomfs.cli.parser import parsed
from dicomfs.cli.terminal import complain, say
from dicomfs.errors import Failure, Problem


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    # Paths may be any bytes; on stdout they are data, and shown as they are.
    for stream, errors in (
        (sys.stdout, "surrogateescape"),
        (sys.stderr, "backslashreplace"),
    ):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)
    try:
        given = parsed(arguments)
        # A module a command: the others are not loaded.
        return int(import_module(f"dicomfs.cli.{given.command}").run(given))
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
