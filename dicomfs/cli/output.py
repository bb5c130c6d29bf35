"""What a command gives: lines on stdout, for people and for programs."""

import io
import os
import sys
from collections.abc import Iterable

from dicomfs.errors import Failure, Problem


def write(lines: Iterable[str], *, is_json: bool) -> None:
    """Write *lines* to stdout; raises Failure if it takes no more, but not for a pipe."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a letter is no reason to show nothing. JSON is
        # UTF-8 everywhere (RFC 8259).
        encoding = "utf-8" if is_json else None
        sys.stdout.reconfigure(encoding=encoding, errors="replace")
    try:
        for line in lines:
            print(line)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        # Python would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return  # whoever read it has seen enough
        raise Failure(Problem.OUTPUT, reason=error.strerror) from error
