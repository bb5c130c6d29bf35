"""One line on a terminal that says how far something is."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TextIO

_SECONDS_SHOWN: Final = 0.1
_CLEARED: Final = "\r\x1b[K"


@contextmanager
def status_line(stream: TextIO | None) -> Iterator[Callable[[str], None]]:
    """Give what shows a text in one line of *stream*, or nowhere if it is no terminal.

    A text that follows too soon is passed over. At the end the line is gone.
    """
    if stream is None or not stream.isatty():
        yield lambda _text: None
        return
    due = 0.0

    def show(text: str) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + _SECONDS_SHOWN
            write(_CLEARED + text)

    def write(text: str) -> None:
        with suppress(OSError):  # a terminal that was closed is no reason to stop
            stream.write(text)
            stream.flush()

    try:
        yield show
    finally:
        write(_CLEARED)
