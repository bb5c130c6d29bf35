"""The fetcher: the process that holds the sockets of remote media.

    caller ──fork──> fetcher                        has the URLs, talks to servers
      └────fork──> supervisor ──fork──> worker      asks it, over a socket pair

The worker that reads a medium has no network, and whoever takes it over by a medium
gets none either: of the fetcher one can have bytes of the objects that it was started
with, or that lie in their folders, and nothing else. It holds neither the mount nor any
other descriptor, says nothing to anybody but its types of errors (a URL may hold a
signature that is a key), and ends when the worker and who started it are gone.
"""

import asyncio
import gc
import importlib.util
import logging
import os
import random
import resource
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NoReturn, TypeVar

from dicomfs.errors import Failure, Problem
from dicomfs.remote.connection import Connection, receive_greeting
from dicomfs.remote.stores import Refusal, Store, open_store
from dicomfs.remote.urls import check
from dicomfs.remote.wire import (
    MOST_LISTED,
    REQUEST_SIZE,
    Outcome,
    ProtocolError,
    Request,
    UrlStatus,
    Verb,
    decode_request,
    encode_answer,
    encode_greeting,
    encode_listing,
)
from dicomfs.sandbox import confine as sandbox
from dicomfs.sandbox import process

_T = TypeVar("_T")

# Signals for the group that dicomfs was started in. The fetcher ends by its socket:
# earlier, it would take from the worker what it still reads.
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# What a server can make it take; it takes 90 MiB by itself, most of it for S3.
_MEMORY: Final = 1024**3
_ANY_DESCRIPTOR: Final = 2**20

# Answered at a time, of at most a megabyte each; and URLs looked at.
_MOST_AT_ONCE: Final = 48
_MOST_LOOKED_AT: Final = 16
# Looking at URLs is given up sooner: most likely one is misspelt.
_LONGEST_LOOK: Final = 10.0
# Seconds before the first repetition; doubled each time.
_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
# An answer that stalls is given up in time for another attempt.
_PATIENCE: Final = 3
_LONGEST_PATIENCE: Final = 15.0
# What starting takes besides, on a busy machine.
_MARGIN: Final = 20.0

# -- starting it -----------------------------------------------------------------------


def start(urls: Sequence[str], deadline: float) -> Connection:
    """Start the fetcher for *urls*, and return the connection to it.

    ``Connection.looked`` says what came of each. To be called by a process that has
    no threads and may have sockets, before the worker is forked; the worker keeps the
    connection, all others ``leave`` it. Each request may take *deadline* seconds, and
    so may looking at the URLs. Raises Failure for a URL that is none of ours, and where
    fsspec is missing.
    """
    for url in urls:
        check(url)
    if importlib.util.find_spec("fsspec") is None:
        raise Failure(Problem.NO_FSSPEC)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    # A signal in between would find a process that still has its parent's handlers.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        pid = os.fork()
        if pid == 0:
            _run(theirs, urls, deadline)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    try:
        ours.settimeout(deadline + _MARGIN)
        looked = receive_greeting(ours)
        ours.settimeout(None)
    except (OSError, ProtocolError) as error:
        ours.close()
        raise Failure(Problem.FETCHER_DIED) from error
    except BaseException:
        ours.close()
        raise
    return Connection(ours, looked, deadline, pid)


# -- the process -----------------------------------------------------------------------


def _run(connection: socket.socket, urls: Sequence[str], deadline: float) -> NoReturn:
    try:
        _settle(connection.fileno())
        asyncio.run(_Fetcher(urls, deadline).serve(connection))
    finally:
        os._exit(0)


def _settle(connection: int) -> None:
    """Leave behind all that came from the parent but the *connection*."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    # Objects of the parent are never taken away here: those that own a descriptor
    # would close one of ours that has got its number.
    gc.freeze()
    os.closerange(3, connection)
    os.closerange(connection + 1, _ANY_DESCRIPTOR)
    process.detach()
    _say_nothing()
    sandbox.forbid_dumps()
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = _MEMORY if most == resource.RLIM_INFINITY else min(most, _MEMORY)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _say_nothing() -> None:
    """Keep libraries from logging: they quote URLs, headers and keys."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda _: None
    threading.excepthook = lambda _: None


class _Fetcher:
    """Answers requests, many at a time."""

    def __init__(self, urls: Sequence[str], deadline: float) -> None:
        self._urls = urls
        self._deadline = deadline
        self._stores: list[Store | None] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, connection: socket.socket) -> None:
        """Answer what comes over *connection* until the other side is gone."""
        reader, writer = await asyncio.open_connection(sock=connection)
        self._begin(self._greet(writer))
        at_once = asyncio.Semaphore(_MOST_AT_ONCE)
        try:
            while True:
                head = await reader.readexactly(REQUEST_SIZE)
                number, request, tag, name = decode_request(head)
                request = request._replace(
                    tag=await reader.readexactly(tag),
                    name=await reader.readexactly(name),
                )
                await at_once.acquire()
                task = self._begin(self._answer(number, request, writer))
                task.add_done_callback(lambda _: at_once.release())
        except (asyncio.IncompleteReadError, ConnectionError, ProtocolError):
            # At once: threads that wait for a name server would hold up the end.
            os._exit(0)

    def _begin(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _greet(self, writer: asyncio.StreamWriter) -> None:
        """Look at all URLs, and say what they lead to."""
        patience = min(self._deadline / _PATIENCE, _LONGEST_PATIENCE)
        stores = [_opened(url, patience) for url in self._urls]
        self._stores = [each if isinstance(each, Store) else None for each in stores]
        # Only now: the first of a kind takes a second to import.
        until = time.monotonic() + min(self._deadline, _LONGEST_LOOK)
        at_once = asyncio.Semaphore(_MOST_LOOKED_AT)

        async def look(store: Store | UrlStatus) -> UrlStatus:
            if isinstance(store, UrlStatus):
                return store
            async with at_once:
                return await _look(store, until)

        looked = await asyncio.gather(*map(look, stores))
        writer.write(encode_greeting(looked))
        await writer.drain()

    async def _answer(
        self, number: int, request: Request, writer: asyncio.StreamWriter
    ) -> None:
        try:
            data = await self._fetch(request)
            outcome = Outcome.DONE
        except Refusal as refusal:
            outcome, data = refusal.outcome, b"Refusal"
        except Exception as error:  # noqa: BLE001 - of a library: it costs this request
            outcome = Outcome.UNREACHABLE
            data = type(error).__name__.encode()[:64]
        writer.write(encode_answer(number, outcome, data))
        await writer.drain()

    async def _fetch(self, request: Request) -> bytes:
        store = self._store(request.which)
        name = _checked(request.name)
        seconds = min(request.milliseconds / 1000, self._deadline)
        until = time.monotonic() + seconds
        if request.kind is Verb.LIST:
            listing = await _persist(lambda: store.list(name), until)
            data = encode_listing(listing)
            if len(data) > MOST_LISTED:
                raise Refusal(Outcome.TOO_LARGE)
            return data
        tag = request.tag.decode()
        place = request.offset, request.size
        return await _persist(lambda: store.read(name, tag, *place), until)

    def _store(self, which: int) -> Store:
        store = self._stores[which] if which < len(self._stores) else None
        if store is None:
            raise Refusal(Outcome.MISSING)
        return store


def _opened(url: str, patience: float) -> Store | UrlStatus:
    """Return the store for *url*, or why there is none."""
    try:
        return open_store(url, patience)
    except Exception as error:  # noqa: BLE001 - of a library: it costs this URL
        return _reason(error)


async def _look(store: Store, until: float) -> UrlStatus:
    """Return what *store* leads to, or why to nothing."""
    try:
        return UrlStatus(Outcome.DONE, await _persist(store.find, until))
    except Exception as error:  # noqa: BLE001 - of a library: it costs this URL
        return _reason(error)


def _reason(error: Exception) -> UrlStatus:
    """Return why a URL leads to nothing, as *error* says; its words may hold secrets."""
    if isinstance(error, Refusal):
        return UrlStatus(error.outcome)
    if isinstance(error, ImportError):
        return UrlStatus(Outcome.NO_LIBRARY)
    return UrlStatus(Outcome.UNREACHABLE, None, type(error).__name__)


def _checked(name: bytes) -> str:
    """Return a name below a URL; raises Refusal for one that may lead out of it."""
    try:
        text = name.decode()
    except UnicodeDecodeError as error:
        raise Refusal(Outcome.MISSING) from error
    parts = text.split("/") if text else []
    # S3 takes what follows a question mark for the version of another name.
    if any(part in {"", ".", ".."} for part in parts) or any(c in text for c in "\0?"):
        raise Refusal(Outcome.MISSING)
    return text


async def _persist(attempt: Callable[[], Awaitable[_T]], until: float) -> _T:
    """Return what *attempt* returns, repeated until then unless it is refused."""
    pause = _PAUSE
    async with asyncio.timeout(until - time.monotonic()):
        while True:
            try:
                return await attempt()
            except Refusal:
                raise
            except Exception:
                # Not all that failed at once are to come again at once.
                pause_now = pause * random.uniform(0.5, 1)
                if time.monotonic() + pause_now >= until:
                    raise
            await asyncio.sleep(pause_now)
            pause = min(2 * pause, _LONGEST_PAUSE)
