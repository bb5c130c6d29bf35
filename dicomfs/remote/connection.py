"""The worker's end of the connection to the fetcher: asks, and hands out the answers.

The fetcher may be in the hands of a server: what it says is not believed (see ``wire``).
"""

import errno
import itertools
import logging
import os
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
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
            raise ConnectionResetError(errno.ECONNRESET, "the fetcher has ended")
        view = view[count:]
    return data


class Connection:
    """The worker's end: asks, and never waits. Made before the process forks.

    *looked* says what each URL leads to. A thread of its own takes the answers; it is
    started with the first request, as a process in a sandbox has had none before.
    *deadline* is how many seconds a request may take, *pid* the fetcher: a child of
    who started it, who has to wait for it in the end.
    """

    def __init__(
        self,
        connection: socket.socket,
        looked: Sequence[UrlStatus],
        deadline: float,
        pid: int,
    ) -> None:
        self.looked = looked
        self.pid = pid
        self.deadline = deadline
        self._socket = connection
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[Request, Future[bytes]]] = {}
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
        with self._lock:
            number = next(self._numbers) & 0xFFFFFFFF
            if not self._is_over:
                self._waiting[number] = request, answer
            error = self._send(encode_request(number, request))
            if error is not None:
                self._waiting.pop(number, None)
        if error is not None:
            answer.set_exception(error)
        return answer

    def _send(self, message: bytes) -> OSError | None:
        """Send *message* whole or not at all; return what kept it from being sent."""
        if self._is_over:
            return _unreachable("the fetcher has ended")
        if self._thread is None:
            self._thread = threading.Thread(target=self._receive, daemon=True)
            self._thread.start()
        try:
            # The kernel takes a message as short as this whole, or not at all.
            self._socket.send(message, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError:
            return _unreachable("the fetcher does not listen")
        return None

    def _receive(self) -> None:
        """Hand the answers to those who wait for them, until there will be no more."""
        try:
            while True:
                self._take_answer()
        except (OSError, ProtocolError, MemoryError) as error:
            self._end(type(error).__name__)

    def _take_answer(self) -> None:
        number, outcome, length = ANSWER.unpack(_receive(self._socket, ANSWER.size))
        request, answer = self._waiting.get(number, (None, None))
        if request is None or answer is None:
            raise ProtocolError("an answer that nobody waits for")
        if outcome not in tuple(Outcome) or length > _most(request, outcome):
            raise ProtocolError("no such answer")
        data = bytes(_receive(self._socket, length))
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

    def _end(self, word: str) -> None:
        with self._lock:
            was_over, self._is_over = self._is_over, True
            waiting = list(self._waiting.values())
            self._waiting.clear()
        if not was_over:
            log.error("the process that reads over the network has ended: %s", word)
        for _, answer in waiting:
            answer.set_exception(_unreachable("the fetcher has ended"))

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._socket.fileno()

    def leave(self) -> None:
        """Close this process' copy, after a fork; the connection goes on elsewhere."""
        self._socket.close()

    def close(self) -> None:
        """End the connection, and with it the fetcher."""
        with self._lock:
            self._is_over = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join()
        self._socket.close()


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


def _unreachable(what: str) -> OSError:
    return OSError(errno.EIO, what)
