"""What a confined process says: over a pipe, as it has neither a terminal nor a log.

Whoever takes that process over can say what they like. So what it says is escaped by the
process that hears it, one line is one line, and neither side waits for more than a pipe
holds.
"""

import fcntl
import io
import logging
import os
import select
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import IntEnum
from typing import Final, NamedTuple, TextIO

from dicomfs.counting import agreed, counted
from dicomfs.printable import CLEAR_LINE, printable

# What is in front of each piece: its kind, the level of what is logged, and its length.
# The kernel keeps pieces of this size whole, whoever else writes.
_HEAD: Final = struct.Struct("=BBH")
_MOST: Final = select.PIPE_BUF - _HEAD.size
# A signal just before the kernel begins to wait would not be seen before it ends.
_GLANCE: Final = 2.0
_MOST_LINES: Final = 1000
_MINUTE: Final = 60.0
_F_GETPIPE_SZ: Final = 1032


class Kind(IntEnum):
    """Where something is said."""

    OUT = 1
    ERR = 2
    LOG = 3


_KINDS: Final = frozenset(Kind)


class Said(NamedTuple):
    """A piece of what is said; *level* is that of ``logging``."""

    kind: Kind
    level: int
    text: str


class Voice:
    """The end of the pipe at which something is said.

    Who *waits* does so for whoever hears it. Else what finds no room is lost.
    """

    def __init__(self, pipe: int, *, waits: bool) -> None:
        self.pipe = pipe
        os.set_blocking(pipe, waits)

    def say(self, kind: Kind, text: str, level: int = 0) -> None:
        """Say *text*; raises BrokenPipeError if nobody hears it."""
        for data in _pieces(text):
            try:
                os.write(self.pipe, _HEAD.pack(kind, level, len(data)) + data)
            except BlockingIOError:
                return

    def take_over(self) -> None:
        """Take the place of stdout and stderr, and of a log that leads elsewhere."""
        root = logging.getLogger()
        before, root.handlers[:] = root.handlers[:], [_Handler(self)]
        for handler in before:
            handler.close()
        sys.stdout = _Stream(self, Kind.OUT, sys.stdout)
        sys.stderr = _Stream(self, Kind.ERR, sys.stderr)


def _pieces(text: str) -> Iterator[bytes]:
    """Yield *text* in pieces of whole letters, which the kernel keeps whole."""
    begin = 0
    while begin < len(text):
        count = _MOST
        while len(data := _encoded(text[begin : begin + count])) > _MOST:
            count //= 2
        yield data
        begin += count


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


class _Stream(io.TextIOBase):
    """A stream that is said: by the line on stderr and to a terminal, else when enough is."""

    def __init__(self, voice: Voice, kind: Kind, before: TextIO | None) -> None:
        self._voice = voice
        self._kind = kind
        self._is_terminal = before is not None and before.isatty()
        self._is_by_line = self._is_terminal or kind is Kind.ERR
        self._lock = threading.Lock()
        self._waiting: list[str] = []
        self._length = 0

    def write(self, text: str) -> int:
        """Say *text*, now or later."""
        with self._lock:
            self._waiting.append(text)
            self._length += len(text)
            is_due = self._length >= _MOST or (self._is_by_line and "\n" in text)
        if is_due:
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Say all that waits."""
        with self._lock:
            text = "".join(self._waiting)
            self._waiting.clear()
            self._length = 0
            self._voice.say(self._kind, text)

    def isatty(self) -> bool:
        """Return whether it is heard on a terminal."""
        return self._is_terminal

    def writable(self) -> bool:
        """Return True."""
        return True


class _Handler(logging.Handler):
    """Says what is logged."""

    def __init__(self, voice: Voice) -> None:
        super().__init__()
        self._voice = voice

    def emit(self, record: logging.LogRecord) -> None:
        """Say it, if anybody listens."""
        try:
            self._voice.say(Kind.LOG, record.getMessage(), record.levelno)
        except OSError:
            self.handleError(record)


# -- the other side --------------------------------------------------------------------


class Ears:
    """The end of the pipe at which something is heard; *hear* is told each piece."""

    def __init__(self, pipe: int, hear: Callable[[Said], None]) -> None:
        self._pipe: int | None = pipe
        # All that can have been said before something else happens.
        self._size = fcntl.fcntl(pipe, _F_GETPIPE_SZ)
        self._hear = hear
        self._heard = bytearray()
        os.set_blocking(pipe, False)

    def until(self, ready: int, seconds: float | None = None) -> bool:
        """Hear what is said until the descriptor *ready* can be read.

        All that was said before is heard then. Return False if that takes more than so
        many *seconds*.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            wanted = select.poll()
            wanted.register(ready, select.POLLIN)
            if self._pipe is not None:
                wanted.register(self._pipe, select.POLLIN)
            left = _GLANCE if end is None else min(end - time.monotonic(), _GLANCE)
            found = {which for which, _ in wanted.poll(max(left, 0) * 1000)}
            self._listen()
            if ready in found:
                return True
            if end is not None and time.monotonic() >= end:
                return False

    def close(self) -> None:
        """Hear nothing any more; who speaks is told so."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None

    def _listen(self) -> None:
        """Hear what is in the pipe."""
        if self._pipe is None:
            return
        try:
            data = os.read(self._pipe, self._size)
        except BlockingIOError:
            return
        self._heard += data
        if not data or not self._tell():
            self.close()

    def _tell(self) -> bool:
        """Tell what was heard as a whole; return False if it is none of ours."""
        at = 0
        try:
            while len(self._heard) >= at + _HEAD.size:
                kind, level, size = _HEAD.unpack_from(self._heard, at)
                if kind not in _KINDS or size > _MOST:
                    return False
                begin, end = at + _HEAD.size, at + _HEAD.size + size
                if len(self._heard) < end:
                    break
                at = end
                text = self._heard[begin:end].decode("utf-8", "surrogateescape")
                self._hear(Said(Kind(kind), level, text))
        finally:
            del self._heard[:at]
        return True


def to_people(said: Said) -> None:
    """Show on stderr what was *said*, with escapes for all that is no plain text."""
    stream = sys.stderr
    if stream is None:
        return
    # A line that says how far something is takes the place of the last one.
    clear = CLEAR_LINE if stream.isatty() else printable(CLEAR_LINE)
    first, *others = (
        "\n".join(map(printable, piece.split("\n")))
        for piece in said.text.split(CLEAR_LINE)
    )
    with suppress(OSError):
        stream.write(clear.join([first, *(_fitting(each, stream) for each in others)]))
        stream.flush()


def _fitting(text: str, stream: TextIO) -> str:
    """Return what fits into one line: what goes on in the next is not taken back."""
    if "\n" in text:
        return text
    with suppress(OSError):
        columns = os.get_terminal_size(stream.fileno()).columns
        return text[: columns - 1] if columns else text
    return text


class Log:
    """Logs what *process* says, each on one line, up to a number of lines in a minute.

    What is beyond is counted: the log must not fill the disk.
    """

    def __init__(
        self, process: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._process = process
        self._clock = clock
        self._until = 0.0
        self._lines = 0

    def take(self, said: Said) -> None:
        """Log what was *said*, if there is room for it."""
        if (now := self._clock()) >= self._until:
            if (left_out := self._lines - _MOST_LINES) > 0:
                are = agreed(left_out, "is", "are")
                told = f"{counted(left_out, 'line')} {are} left out here"
                self._log(logging.WARNING, told)
            self._until, self._lines = now + _MINUTE, 0
        self._lines += 1
        if self._lines <= _MOST_LINES:
            self._log(said.level, printable(said.text))

    def _log(self, level: int, line: str) -> None:
        record = logging.makeLogRecord(
            {
                "name": __name__,
                "levelno": level,
                "levelname": logging.getLevelName(level),
                "msg": "%s",
                "args": (line,),
                "process": self._process,
            }
        )
        logging.getLogger().handle(record)
