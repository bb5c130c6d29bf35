"""Work for several processes: what they print is heard in order, whoever is first.

A *crew* does one piece of work, each of its processes a share of it. They print lines in
turn: an empty one says that the next is to come. A few crews work at a time. What those
say who are ahead is kept, up to a bound, and then they wait.
"""

import os
import selectors
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Final, NamedTuple, NoReturn, TextIO

from dicomfs.sandbox import environment, process

Work = Callable[[], int]

_PIECE: Final = 64 * 1024
# What is kept of a process that is ahead, and how many crews may be, for each at work.
_MOST_KEPT: Final = 4 * 1024 * 1024
_AHEAD: Final = 4
_STDOUT: Final = 1
_STDERR: Final = 2


class Line(NamedTuple):
    """A line that a crew printed on stdout."""

    text: bytes


class End(NamedTuple):
    """How a crew ended: the first exit code that is not 0, and what it said on stderr."""

    code: int
    said: list[bytes]


def in_order(
    works: Sequence[Sequence[Work]], at_once: int, *, hears_errors: bool
) -> Generator[Line | End, None, None]:
    """Do all *works*, so many *at_once*; yield the lines of each, and how it ended.

    Each is a crew: functions that print, and return an exit code. What they say on stderr
    goes to ours, unless that is heard. Who stops iterating stops them.
    """
    # The credentials are for those who work.
    environment.hide()
    waiting = deque(works)
    started: deque[_Crew] = deque()
    try:
        while waiting or started:
            working = sum(not crew.is_over for crew in started)
            while waiting and working < at_once and len(started) < _AHEAD * at_once:
                started.append(_Crew(waiting.popleft(), hears_errors=hears_errors))
                working += 1
            yield from started[0].lines()
            if started[0].is_over:
                yield started.popleft().end()
            else:
                _listen(started)
    finally:
        for crew in started:
            crew.stop()


class _Crew:
    """Processes that do a piece of work together."""

    def __init__(self, works: Sequence[Work], *, hears_errors: bool) -> None:
        self._members = [_Member(work, hears_errors=hears_errors) for work in works]
        self._turn = 0

    @property
    def pipes(self) -> "list[_Pipe]":
        """Those that may still say something."""
        return [pipe for member in self._members for pipe in member.open_pipes]

    @property
    def is_over(self) -> bool:
        """Whether nobody says anything any more."""
        return not self.pipes

    def lines(self) -> Iterator[Line]:
        """Yield the lines whose turn has come."""
        while any(member.out.lines for member in self._members):
            out = self._members[self._turn].out
            if out.lines:
                if line := out.take():
                    yield Line(line)
                    continue
            elif not out.is_closed:
                return
            self._turn = (self._turn + 1) % len(self._members)

    def end(self) -> End:
        """Wait for all; return how they ended."""
        codes = [member.wait() for member in self._members]
        # Each says it who comes across it.
        said = dict.fromkeys(line for each in self._members for line in each.errors)
        return End(next(filter(None, codes), 0), list(said))

    def stop(self) -> None:
        """End all, whatever they are at."""
        for member in self._members:
            member.stop()


class _Member:
    """A process that does its share."""

    def __init__(self, work: Work, *, hears_errors: bool) -> None:
        self.out = _Pipe()
        self._err = _Pipe() if hears_errors else None
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        self._pid = os.fork()
        if self._pid == 0:
            _end_after(work, self.out, self._err)
        for pipe in self.open_pipes:
            pipe.begin()

    @property
    def open_pipes(self) -> "list[_Pipe]":
        """Those by which it may still say something."""
        both = (self.out, *([self._err] if self._err is not None else []))
        return [pipe for pipe in both if not pipe.is_closed]

    @property
    def errors(self) -> list[bytes]:
        """What it said on stderr, line by line."""
        return [] if self._err is None else list(self._err.lines)

    def wait(self) -> int:
        """Return its exit code; that of a shell if a signal ended it."""
        code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return code if code >= 0 else 128 - code

    def stop(self) -> None:
        """End it, whatever it is at; what it started ends with it."""
        for pipe in self.open_pipes:
            pipe.close()
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


class _Pipe:
    """Hears what is written into it, line by line."""

    def __init__(self) -> None:
        self.fd, self._theirs = os.pipe()
        self.lines: deque[bytes] = deque()
        self.is_closed = False
        self._kept = 0
        self._rest = b""

    def begin(self) -> None:
        """Leave the other end to who writes."""
        os.close(self._theirs)

    def lead(self, stream: int) -> TextIO:
        """Return the standard *stream*, which is heard here from now on."""
        os.dup2(self._theirs, stream)
        return open(stream, "w", encoding="utf-8", errors="replace", closefd=False)

    def hear(self) -> None:
        """Hear what there is; to be called when there is something, or an end."""
        piece = os.read(self.fd, _PIECE)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if not piece:
            lines += [self._rest] if self._rest else []
            self.close()
        self.lines += lines
        self._kept += sum(map(len, lines))

    def take(self) -> bytes:
        """Return the first line that was not taken yet."""
        line = self.lines.popleft()
        self._kept -= len(line)
        return line

    @property
    def is_full(self) -> bool:
        """Whether so much is kept that who writes has to wait."""
        return self._kept > _MOST_KEPT

    def close(self) -> None:
        """Hear nothing any more."""
        self.is_closed = True
        os.close(self.fd)


def _listen(crews: Sequence[_Crew]) -> None:
    """Wait until one of *crews* says something, and hear it; the first is never full."""
    with selectors.DefaultSelector() as selector:
        for crew in crews:
            for pipe in crew.pipes:
                if crew is crews[0] or not pipe.is_full:
                    selector.register(pipe.fd, selectors.EVENT_READ, pipe)
        for key, _ in selector.select():
            key.data.hear()


def _end_after(work: Work, out: _Pipe, err: _Pipe | None) -> NoReturn:
    code = 1
    try:
        # Who started us hears of Ctrl-C, too, and ends us.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        process.end_with_parent(signal.SIGTERM)
        sys.stdout = out.lead(_STDOUT)
        if err is not None:
            sys.stderr = err.lead(_STDERR)
        code = work()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        os._exit(code)
