"""The fetcher: the process that holds the sockets of remote media.

    caller ──fork──> keeper ──fork──> fetcher       has the URLs, talks to servers
      └────fork──> supervisor ──fork──> worker      asks it, over a socket pair

The worker that reads a medium has no network, and whoever takes it over by a medium
gets none either: of the fetcher one can have bytes of the objects that it was started
with, or that lie in their folders, and nothing else. It holds neither the mount nor any
other descriptor, says nothing to anybody but its types of errors (a URL may hold a
signature that is a key), and ends when the worker and who started it are gone.

Nor does a server get more than the network by it: before the first word to one, it
gives up all rights but those in ``rights``.
"""

import asyncio
import os
import random
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, NoReturn, TypeVar

from dicomfs.remote.rights import (
    Readable,
    load_name_services,
    prepare_environment,
)
from dicomfs.remote.stores import Refusal, Store, load, open_store
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
    is_name,
)
from dicomfs.sandbox import confine as sandbox

_T = TypeVar("_T")

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


def run(
    connection: socket.socket, urls: Sequence[str], deadline: float, *, looks: bool
) -> NoReturn:
    """Be the fetcher for *urls*; see ``keeper``.

    If it *looks*, it says first what they lead to.
    """
    try:
        readable = _confine(urls)
        asyncio.run(_Fetcher(urls, deadline, readable).serve(connection, looks=looks))
    finally:
        os._exit(0)


def _confine(urls: Sequence[str]) -> Readable:
    """Load what is needed, and give up all other rights; return what may be read."""
    for url in urls:
        with suppress(Exception):  # is met again when the URL is opened
            load(url)
    load_name_services()
    prepare_environment()
    readable = Readable(urls)
    descriptors = readable.open()
    sandbox.restrict(sandbox.Rights(descriptors, network=True))
    for each in descriptors:
        os.close(each)
    return readable


class _Fetcher:
    """Answers requests, many at a time."""

    def __init__(
        self, urls: Sequence[str], deadline: float, readable: Readable
    ) -> None:
        self._urls = urls
        self._deadline = deadline
        self._patience = min(deadline / _PATIENCE, _LONGEST_PATIENCE)
        self._readable = readable
        self._stores: dict[int, Store] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, connection: socket.socket, *, looks: bool) -> None:
        """Answer what comes over *connection* until the other side is gone.

        If it *looks*, it begins with what the URLs lead to.
        """
        reader, writer = await asyncio.open_connection(sock=connection)
        if looks:
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
        until = time.monotonic() + min(self._deadline, _LONGEST_LOOK)
        at_once = asyncio.Semaphore(_MOST_LOOKED_AT)

        async def look(which: int) -> UrlStatus:
            async with at_once:
                return await self._look(which, until)

        looked = await asyncio.gather(*map(look, range(len(self._urls))))
        writer.write(encode_greeting(looked))
        await writer.drain()

    async def _look(self, which: int, until: float) -> UrlStatus:
        """Return what a URL leads to, or why to nothing."""
        try:
            store = self._store(which)
            return UrlStatus(Outcome.DONE, await self._persist(store.find, until))
        except Exception as error:  # noqa: BLE001 - of a library: it costs this URL
            return _reason(error)

    async def _answer(
        self, number: int, request: Request, writer: asyncio.StreamWriter
    ) -> None:
        try:
            data = await self._fetch(request)
            outcome = Outcome.DONE
        except Refusal as refusal:
            outcome, data = refusal.outcome, b"Refusal"
        except Exception as error:  # noqa: BLE001 - of a library: it costs this request
            self._end_if_outdated()
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
            listing = await self._persist(lambda: store.list(name), until)
            data = encode_listing(listing)
            if len(data) > MOST_LISTED:
                raise Refusal(Outcome.TOO_LARGE)
            return data
        tag = request.tag.decode()
        place = request.offset, request.size
        return await self._persist(lambda: store.read(name, tag, *place), until)

    def _store(self, which: int) -> Store:
        """Return the store of a URL, opened once."""
        if which >= len(self._urls):
            raise Refusal(Outcome.MISSING)
        if which not in self._stores:
            self._stores[which] = open_store(self._urls[which], self._patience)
        return self._stores[which]

    async def _persist(self, attempt: Callable[[], Awaitable[_T]], until: float) -> _T:
        """Return what *attempt* returns, repeated until then unless it is refused."""
        pause = _PAUSE
        async with asyncio.timeout(until - time.monotonic()):
            while True:
                try:
                    return await attempt()
                except Exception as error:
                    self._end_if_outdated()
                    # Not all that failed at once are to come again at once.
                    pause_now = pause * random.uniform(0.5, 1)
                    is_over = time.monotonic() + pause_now >= until
                    if isinstance(error, Refusal) or is_over:
                        raise
                await asyncio.sleep(pause_now)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _end_if_outdated(self) -> None:
        """Leave it to the next fetcher if that may read what this one may not."""
        if self._readable.is_outdated():
            os._exit(0)


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
    if not all(map(is_name, parts)) or "?" in text:
        raise Refusal(Outcome.MISSING)
    return text
