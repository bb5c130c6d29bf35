"""Logging: where it goes, and what must never be in it.

Names, IDs and UIDs of patients appear in no log: messages hold offsets and kinds, and
of errors that dicomfs did not foresee only type and place, as their text may quote what
they choked on.
"""

import logging
import traceback
from pathlib import Path
from typing import Final

from dicomfs.mount.options import Options

_FORMAT: Final = "dicomfs[%(process)d]: %(levelname)s: %(message)s"
_SYSLOG: Final = Path("/dev/log")


def configure(options: Options) -> None:
    """Send the log to a file if one was named, else to the terminal or to syslog.

    A mount in the background shows warnings on the terminal as well, until it lets go
    of it: who asked should see what is wrong with the medium.
    """
    handler = _handler(options)
    handler.setFormatter(logging.Formatter(_FORMAT))
    # A log that cannot be written is no reason to show people what could not.
    logging.raiseExceptions = False
    # It quotes names of entries in what it says of its errors.
    logging.getLogger("pyfuse3").disabled = not options.log_names
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if options.verbose else logging.WARNING)
    if not options.foreground:
        to_terminal()


def to_terminal() -> None:
    """Show warnings on the terminal, as the command line shows what it has to say."""
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.WARNING)
    terminal.setFormatter(logging.Formatter("dicomfs: %(message)s"))
    logging.getLogger().addHandler(terminal)


def unforeseen(log: logging.Logger, where: str, error: BaseException) -> None:
    """Log an error that should not have been, by its type and place."""
    log.error("%s failed: %s", where, place_of(error))


def place_of(error: BaseException) -> str:
    """Return the type and the place of *error*, but not its text."""
    # extract_tb would read the source, which the worker cannot.
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    return f"{type(error).__name__} in {Path(frame.f_code.co_filename).name}:{line}"


def _handler(options: Options) -> logging.Handler:
    if options.log_file is not None:
        return logging.FileHandler(options.log_file, encoding="utf-8")
    if options.foreground:
        return logging.StreamHandler()
    return _syslog()


def _syslog() -> logging.Handler:
    from logging.handlers import SysLogHandler  # noqa: PLC0415 - slow, and mostly not needed

    try:
        return SysLogHandler(str(_SYSLOG))
    except OSError:
        return logging.NullHandler()
