"""Any bytes as what one process says to another that must not believe it."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Final, cast

from dicomfs.cli.exits import complaint
from dicomfs.errors import Failure, Problem
from dicomfs.mount import control
from dicomfs.remote.connection import Connection, _Asked, receive_greeting
from dicomfs.remote.fetching import checked
from dicomfs.remote.medium import RemoteFolder, Remotes
from dicomfs.remote.stores import Refusal
from dicomfs.remote.wire import (
    MOST_BYTES,
    MOST_NAME,
    MOST_TAG,
    REQUEST_SIZE,
    Outcome,
    ProtocolError,
    RemoteStatus,
    Request,
    UrlStatus,
    Verb,
    decode_request,
    encode_answer,
    encode_greeting,
    encode_listing,
    encode_request,
)
from tests.guided.harness import see

_ASKED: Final = (
    Request(Verb.READ, 0, b"A", size=4, milliseconds=9),
    Request(Verb.READ, 0, b"B", milliseconds=9),
    Request(Verb.LIST, 0, b"", milliseconds=9),
)
_SECONDS: Final = 9.0


def run_wire(data: bytes) -> None:
    """Say *data* to a process; the first byte says to which, and when."""
    _LISTENERS[data[0] % len(_LISTENERS) if data else 0](data[1:])


def _request(data: bytes) -> None:
    """Let the worker ask the fetcher."""
    if len(data) < REQUEST_SIZE:
        return
    try:
        number, request, tag, name = decode_request(data[:REQUEST_SIZE])
    except ProtocolError:
        return
    see(tag <= MOST_TAG and name <= MOST_NAME, "a name is longer than may be")
    see(request.size <= MOST_BYTES, "more is asked for than may be")
    rest = data[REQUEST_SIZE:]
    whole = request._replace(tag=rest[:tag], name=rest[tag : tag + name])
    sent = encode_request(number, whole)
    see(len(rest) < tag + name or data.startswith(sent), "a request changes on its way")
    with suppress(Refusal):
        path = checked(whole.name)
        see(not path or not {"", ".", ".."} & {*path.split("/")}, "a name leads out")


def _greeting(data: bytes) -> None:
    """Let the fetcher say what it found."""
    with _heard(data) as ours, suppress(OSError, ProtocolError):
        for looked in receive_greeting(ours):
            see(isinstance(looked.outcome, Outcome), "an outcome is none")
            see(looked.found is None or looked.found.size >= 0, "a size is none")


def _answers(data: bytes) -> None:
    """Let the fetcher answer three requests; no other comes after it."""
    line, keeper = socket.socketpair()
    keeper.close()
    with line, _heard(data) as stream:
        connection = Connection(line, stream, [], _SECONDS, 0)
        asked = [_Asked(request, 0.0, Future()) for request in _ASKED]
        connection._waiting.update(enumerate(asked, 1))
        connection._receive()
        see(all(each.answer.done() for each in asked), "somebody waits for ever")
        for request, answer in ((each.request, each.answer) for each in asked):
            if request.kind is Verb.READ and answer.exception() is None:
                see(len(answer.result()) == request.size, "an answer is too short")


def _heard(data: bytes) -> socket.socket:
    """Return the end at which *data* comes in, and then nothing more."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.send(data)
    return ours


class _Lister:
    """Remotes of whom only a listing comes."""

    blocks = None
    seconds = _SECONDS

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.connection = self

    def ask(self, request: Request) -> Future[bytes]:
        """Answer with the listing."""
        del request
        answer = Future[bytes]()
        answer.set_result(self._data)
        return answer


def _listing(data: bytes) -> None:
    """Let the fetcher say what is in a folder."""
    folder = RemoteFolder(cast(Remotes, _Lister(data)), 0)
    with suppress(OSError):
        for name, entry in folder.listing(()).items():
            see(name not in {b"", b".", b".."}, "a name leads elsewhere")
            see(not set(name) & {0, ord("/")}, "a name is a path")
            see(entry.status.size >= 0, "a size is none")


def _word(data: bytes) -> None:
    """Let the worker say something to the supervisor."""
    ours, theirs = control.pair()
    with ours:
        with theirs:
            theirs.send(data)
        try:
            control.expect(ours, control.READY)
        except Failure as failure:
            see(all(complaint(failure)), "nobody is told why it failed")
        else:
            see(data == control.READY, "another word is taken for the one expected")


_LISTENERS: Final[tuple[Callable[[bytes], None], ...]] = (
    _request,
    _greeting,
    _answers,
    _listing,
    _word,
)


WORDS: Final = (
    *(
        b'"..":',
        b'"."',
        b'""',
        b"/",
        b"\\u0000",
        b"\\ud800",
        b"[[[[[[[[",
        b"null",
        b"{}",
    ),
    *(b"-1", b"1e400", b"NaN", b"9223372036854775808", b"true", b"\xff\xff\xff\xff"),
)


def wire_seeds() -> Iterator[bytes]:
    """Yield what is said where nobody is hostile."""
    found = RemoteStatus(is_folder=False, size=9, mtime_ns=1, tag="etag")
    looked = [UrlStatus(Outcome.DONE, found), UrlStatus(Outcome.MISSING, None, "Error")]
    listing = encode_listing({"A": found, "DIR": RemoteStatus(is_folder=True)})
    said = [
        encode_request(7, Request(Verb.READ, 0, b"DIR/A", b"etag", 1, 2, 3)),
        encode_greeting(looked),
        encode_answer(1, Outcome.DONE, b"four")
        + encode_answer(3, Outcome.DONE, listing)
        + encode_answer(2, Outcome.CHANGED, b"Refusal"),
        listing,
        control.encode(Failure(Problem.WORKER_DIED)),
    ]
    for number, message in enumerate(said):
        yield bytes([number]) + message
    yield bytes([4]) + control.READY
