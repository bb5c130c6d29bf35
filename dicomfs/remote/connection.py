"""The worker's end of the connection to the fetcher: asks, and hands out the answers.

The fetcher may be in the hands of a server: what it says is not believed (see ``wire``).
When it dies, or says what cannot be, the keeper sends the end of a connection to the
next one. That is asked once more for what the last one did not answer.
"""

import errno
import itertools
import logging
import os
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from dicomfs.remote.wire import (
    ANSWER,
    MOST_LISTED,
    MOST_NAME,
    MOST_TAG,
    Outcome,
    ProtocolError,
    Request,
    UrlStatus,
    Verb,
    decode_greeting,
    encode_request,
)

log = logging.getLogger(__name__)

_MOST_GREETING: Final = 16 * 1024 * 1024
_MOST_WORD: Final = 64
# How often a request is sent: an answer that ends one fetcher may end the next.
_MOST_SENT: Final = 2
# How many may wait for the next fetcher.
_MOST_WAITING: Final = 1000


def receive_stream(line: socket.socket) -> socket.socket:
    """Wait for the connection to the next fetcher; raises OSError if there is none."""
    _, descriptors, _, _ = socket.recv_fds(line, 1, 1, socket.MSG_CMSG_CLOEXEC)
    if not descriptors:
        raise _ended()
    return socket.socket(fileno=descriptors[0])


def receive_greeting(connection: socket.socket) -> list[UrlStatus]:
    """Wait for what each URL leads to; raises OSError or ProtocolError."""
    _, _, length = ANSWER.unpack(_receive(connection, ANSWER.size))
    if length > _MOST_GREETING:
        raise ProtocolError("the greeting is too long")
    return decode_greeting(_receive(connection, length))


def _receive(connection: socket.socket, size: int) -> bytearray:
    """Return the next *size* bytes; raises OSError if there are not so many."""
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = connection.recv_into(view)
        if not count:
            raise _ended()
        view = view[count:]
    return data


@dataclass(slots=True)
class _Asked:
    """A request that has no answer yet: what is due by *until*, and how often it was sent."""

    request: Request
    until: float
    answer: Future[bytes]
    sent: int = 0


class Connection:
    """The worker's end: asks, and never waits. Made before the process forks.

    *looked* says what each URL leads to. A thread of its own takes the answers; it is
    started with the first request, as a process in a sandbox has had none before. Over
    the *line* come further streams. *deadline* is how many seconds a request may take,
    *pid* the keeper: a child of who started it, who has to wait for it in the end.
    """

    def __init__(
        self,
        line: socket.socket,
        stream: socket.socket,
        looked: Sequence[UrlStatus],
        deadline: float,
        pid: int,
    ) -> None:
        self.looked = looked
        self.pid = pid
        self.deadline = deadline
        self._line = line
        # None between two fetchers.
        self._stream: socket.socket | None = stream
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, _Asked] = {}
        self._thread: threading.Thread | None = None
        self._is_over = False
        # What the log says already.
        self._said: set[Outcome] = set()

    def ask(self, request: Request) -> Future[bytes]:
        """Send *request* and return what its answer will be, or OSError.

        Any number of threads may ask, and so may the event loop: a fetcher that does
        not listen is an error at once.
        """
        answer: Future[bytes] = Future()
        if len(request.name) > MOST_NAME or len(request.tag) > MOST_TAG:
            answer.set_exception(_unreachable("a name is too long"))
            return answer
        until = time.monotonic() + request.milliseconds / 1000
        asked = _Asked(request, until, answer)
        with self._lock:
            number = next(self._numbers) & 0xFFFFFFFF
            self._waiting[number] = asked
            error = self._send(number, asked)
            if error is not None:
                del self._waiting[number]
        if error is not None:
            answer.set_exception(error)
        return answer

    def _send(self, number: int, asked: _Asked) -> OSError | None:
        """Send a request whole, or later; return what keeps it from being sent at all."""
        if self._is_over:
            return _ended()
        if self._thread is None:
            self._thread = threading.Thread(target=self._receive, daemon=True)
            self._thread.start()
        if self._stream is None:
            if len(self._waiting) > _MOST_WAITING:
                return _unreachable("the fetcher is not back yet")
            return None
        message = encode_request(number, asked.request)
        try:
            # The kernel takes a message as short as this whole, or not at all.
            self._stream.send(message, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except ConnectionError:
            # The next fetcher is asked for it: who takes the answers will see that.
            return None
        except OSError:
            return _unreachable("the fetcher does not listen")
        asked.sent += 1
        return None

    def _receive(self) -> None:
        """Hand the answers to those who wait for them, until there will be no more."""
        stream = self._stream
        while stream is not None:
            try:
                while True:
                    self._take_answer(stream)
            except (OSError, ProtocolError, MemoryError) as error:
                stream = self._next(stream, type(error).__name__)

    def _next(self, stream: socket.socket, word: str) -> socket.socket | None:
        """Return the stream that comes after this one, None if there will be no more."""
        with self._lock:
            self._stream = None
        stream.close()
        after = None
        with suppress(OSError):
            after = receive_stream(self._line)
        if after is not None:
            log.warning("another process reads over the network now: %s", word)
        elif not self._is_over:
            log.error("the process that reads over the network has ended: %s", word)
        failed: list[tuple[_Asked, OSError]] = []
        with self._lock:
            if self._is_over and after is not None:
                after.close()
                after = None
            self._stream = after
            self._is_over = after is None
            for number, asked in [*self._waiting.items()]:
                error = self._send_again(number, asked)
                if error is not None:
                    del self._waiting[number]
                    failed.append((asked, error))
        # Not under the lock: who hears of it may ask for something else.
        for asked, error in failed:
            asked.answer.set_exception(error)
        return after

    def _send_again(self, number: int, asked: _Asked) -> OSError | None:
        """Send what the last fetcher did not answer; return what keeps it from that."""
        seconds = asked.until - time.monotonic()
        if asked.sent >= _MOST_SENT or seconds <= 0:
            return _ended()
        milliseconds = int(seconds * 1000)
        asked.request = asked.request._replace(milliseconds=milliseconds)
        return self._send(number, asked)

    def _take_answer(self, stream: socket.socket) -> None:
        number, outcome, length = ANSWER.unpack(_receive(stream, ANSWER.size))
        asked = self._waiting.get(number)
        if asked is None:
            raise ProtocolError("an answer that nobody waits for")
        request, answer = asked.request, asked.answer
        if outcome not in tuple(Outcome) or length > _most(request, outcome):
            raise ProtocolError("no such answer")
        data = bytes(_receive(stream, length))
        is_done = outcome == Outcome.DONE
        if is_done and request.kind is Verb.READ and len(data) < request.size:
            raise ProtocolError("an answer that is too short")
        with self._lock:
            self._waiting.pop(number, None)
        if outcome != Outcome.DONE:
            if request.kind is Verb.READ or outcome not in _NO_FOLDER:
                self._say(Outcome(outcome), _word(data))
            answer.set_exception(error_of(Outcome(outcome), request.kind))
        else:
            self._say_it_works()
            answer.set_result(data)

    def _say(self, outcome: Outcome, word: str) -> None:
        """Log a failure of this kind once; the network's again when it was back."""
        if outcome not in self._said:
            self._said.add(outcome)
            log.warning(
                "a request over the network failed: %s (%s)",
                outcome.name.lower().replace("_", " "),
                word,
            )

    def _say_it_works(self) -> None:
        if Outcome.UNREACHABLE in self._said:
            self._said.discard(Outcome.UNREACHABLE)
            log.warning("requests over the network are answered again")

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What of this process belongs to it."""
        ends = (self._line, self._stream)
        return tuple(each.fileno() for each in ends if each is not None)

    def leave(self) -> None:
        """Close this process' copy, after a fork; the connection goes on elsewhere."""
        for each in (self._line, self._stream):
            if each is not None:
                each.close()

    def close(self) -> None:
        """End the connection, and with it the fetcher."""
        with self._lock:
            self._is_over = True
            for each in (self._line, self._stream):
                if each is not None:
                    with suppress(OSError):
                        each.shutdown(socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join()
        self.leave()


def _most(request: Request, outcome: int) -> int:
    """Return how long the answer to *request* may be."""
    if outcome != Outcome.DONE:
        return _MOST_WORD
    return request.size if request.kind is Verb.READ else MOST_LISTED


def _word(data: bytes) -> str:
    """Return what a failure is called, if it is a name as types have them."""
    word = data.decode("ascii", "replace")
    return word if word.isidentifier() else "an error"


# These are answers to a listing, and not failures.
_NO_FOLDER: Final = {
    Outcome.MISSING: errno.ENOENT,
    Outcome.NO_FOLDERS: errno.ENOTDIR,
}
_WORDS: Final = {
    Outcome.MISSING: "the object is there no more",
    Outcome.REFUSED: "the server refuses the object",
    Outcome.CHANGED: "the object was changed since it was opened",
    Outcome.NO_RANGES: "the server sends no parts of the object",
    Outcome.TOO_LARGE: "the folder has too many entries",
}


def error_of(outcome: Outcome, kind: Verb = Verb.READ) -> OSError:
    """Return the error that a request ends with."""
    if kind is Verb.LIST and outcome in _NO_FOLDER:
        number = _NO_FOLDER[outcome]
        return OSError(number, os.strerror(number))
    return _unreachable(_WORDS.get(outcome, "the server did not answer"))


def _ended() -> OSError:
    return _unreachable("the fetcher has ended")


def _unreachable(what: str) -> OSError:
    return OSError(errno.EIO, what)
