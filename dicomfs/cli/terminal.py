"""What is said to people while something is done: lines, and one that says how far it is."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TextIO

_SECONDS_SHOWN: Final = 0.1
_CLEARED: Final = "\r\x1b[K"
# Format characters, and yet part of how Indic and Persian words are written.
_JOINERS: Final = "\u200c\u200d"


def say(text: str) -> None:
    """Say *text* on stderr, in one line, if anybody listens."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(f"dicomfs: {printable(text)}\n")
            sys.stderr.flush()


def printable(text: str) -> str:
    """Return *text* on one line, with escapes for what a terminal would obey or hide.

    Bytes of a file name that are no UTF-8 are escaped as such.
    """
    if text.isprintable():
        return text
    return "".join(each if is_harmless(each) else _escape(each) for each in text)


def is_harmless(letter: str) -> bool:
    """Whether a terminal shows *letter* as what it is."""
    return letter.isprintable() or letter in _JOINERS


def _escape(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8 (PEP 383)
        code -= 0xDC00
    return ascii(chr(code))[1:-1]


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
