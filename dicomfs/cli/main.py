"""The command line: runs what was asked for, and ends with its exit code.

Nothing heavy is imported before it is needed: ``--help``, ``umount`` and mistakes are
answered at once, and commands that do not mount work where pyfuse3 is not installed.
Data go to stdout, messages to stderr.
"""

import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Final

from dicomfs.cli import helper
from dicomfs.cli.ending import ended
from dicomfs.cli.parser import parsed

_LAST_STREAM: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if helper.is_meant(given):
        return mount_helper(given)
    _prepare_streams()
    return ended(lambda: _run(given))


def mount_helper(arguments: Sequence[str] | None = None) -> int:
    """Run as ``mount.dicomfs``; return the exit code for mount(8)."""
    given = sys.argv[1:] if arguments is None else arguments
    _prepare_streams()
    return helper.code_of(ended(lambda: _help(given)))


def _help(arguments: Sequence[str]) -> int:
    _keep_private(helper.NAME)
    return helper.run(arguments)


def _prepare_streams() -> None:
    _fill_streams()
    # Paths may be any bytes; on stdout they are data, and shown as they are.
    for stream, errors in (
        (sys.stdout, "surrogateescape"),
        (sys.stderr, "backslashreplace"),
    ):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def _fill_streams() -> None:
    """Let no file get the number of a standard stream that the caller has closed.

    It would be closed, or written into, where that stream is meant.
    """
    with suppress(OSError):  # there may be no /dev, as where nothing is mounted
        while (fd := os.open(os.devnull, os.O_RDWR)) <= _LAST_STREAM:
            pass
        os.close(fd)


def _run(arguments: Sequence[str]) -> int:
    given = parsed(arguments)
    _keep_private(f"dicomfs {given.command}")
    # A module a command: the others are not loaded.
    return int(import_module(f"dicomfs.cli.{given.command}").run(given))


def _keep_private(shown: str) -> None:
    """Leave no memory on the disk, and let the list of processes say *shown*."""
    from dicomfs.sandbox import inheritance, process

    process.forbid_dumps()
    # Portals call an archive after the patient.
    inheritance.hide_arguments(shown)
