"""The programs that are installed: a command in a process that does nothing else."""

import gc
import os
import sys
from collections.abc import Callable
from typing import Final, NoReturn

# How many objects may come before those that are of no use are looked for. Modules are a
# lot of objects, and as good as all of them stay.
_GARBAGE: Final = 10_000


def dicomfs() -> NoReturn:
    """Be ``dicomfs``: run the command line, and end with its exit code."""
    gc.set_threshold(_GARBAGE)
    from dicomfs.cli.main import main

    _end_after(main)


def mount_dicomfs() -> NoReturn:
    """Be ``mount.dicomfs``: do what mount(8) asks for, and end with a code of its own."""
    gc.set_threshold(_GARBAGE)
    from dicomfs.cli.main import mount_helper

    _end_after(mount_helper)


def _end_after(run: Callable[[], int]) -> NoReturn:
    """End with the exit code that *run* returns; what it raises ends Python as ever.

    What was loaded is left to the kernel: Python would take it apart piece by piece, which
    takes a tenth of the time of a short command.
    """
    code = run()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        sys.exit(code)  # Python has words of its own for what it could not write
    os._exit(code)
