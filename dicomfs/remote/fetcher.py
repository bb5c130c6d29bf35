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
import socket
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Final, NoReturn

from dicomfs.remote.fetching import Fetching
from dicomfs.remote.rights import (
    Readable,
    load_name_services,
    prepare_environment,
)
from dicomfs.remote.stores import load
from dicomfs.remote.wire import (
    REQUEST_SIZE,
    ProtocolError,
    Request,
    decode_request,
    encode_answer,
    encode_greeting,
)
from dicomfs.sandbox import confine as sandbox

# Answered at a time, of at most a megabyte each.
_MOST_AT_ONCE: Final = 48


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
        self._readable = readable
        self._fetching = Fetching(urls, deadline, self._end_if_outdated)
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
        writer.write(encode_greeting(await self._fetching.look_at_all()))
        await writer.drain()

    async def _answer(
        self, number: int, request: Request, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(encode_answer(number, *await self._fetching.answer(request)))
        await writer.drain()

    def _end_if_outdated(self) -> None:
        """Leave it to the next fetcher if that may read what this one may not."""
        if self._readable.is_outdated():
            os._exit(0)
