"""Logging: where it goes, and what must never be in it.

Names, IDs and UIDs of patients appear in no log: messages hold offsets and kinds, and
of errors that dicomfs did not foresee only type and place, as their text may quote what
they choked on.
"""

import logging
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Final

_FORMAT: Final = "dicomfs[%(process)d]: %(levelname)s: %(message)s"
_SYSLOG: Final = Path("/dev/log")


def configure(
    handler: logging.Handler, *, verbose: bool = False, log_names: bool = False
) -> None:
    """Send the log to *handler* and nowhere else: warnings, and all if it is *verbose*.

    Names of patients may be in it only with *log_names*.
    """
    handler.setFormatter(logging.Formatter(_FORMAT))
    # A log that cannot be written is no reason to show people what could not.
    logging.raiseExceptions = False
    # It quotes names of entries in what it says of its errors.
    logging.getLogger("pyfuse3").disabled = not log_names
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.WARNING)


def syslog() -> logging.Handler:
    """Return what writes to the log of the machine, if it has one."""
    from logging.handlers import SysLogHandler  # noqa: PLC0415 - slow, and mostly not needed

    try:
        return SysLogHandler(str(_SYSLOG))
    except OSError:
        return logging.NullHandler()


def descriptors() -> list[int]:
    """Return the descriptors that it is logged to."""
    found = []
    for handler in logging.getLogger().handlers:
        held = getattr(handler, "stream", None) or getattr(handler, "socket", None)
        with suppress(OSError, ValueError):
            found += [held.fileno()] if held is not None else []
    return found


def unforeseen(log: logging.Logger, where: str, error: BaseException) -> None:
    """Log an error that should not have been, by its type and place."""
    log.error("%s failed: %s", where, place_of(error))


def place_of(error: BaseException) -> str:
    """Return the type and the place of *error*, but not its text."""
    # extract_tb would read the source, which the worker cannot.
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    return f"{type(error).__name__} in {Path(frame.f_code.co_filename).name}:{line}"
