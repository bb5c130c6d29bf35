"""Fetching in this very process, for who neither forks nor confines it: the library.

Requests are answered by an event loop in a thread, as in the fetcher. That thread is one
for the process and stays, as the connections of fsspec do.
"""

import asyncio
import importlib.util
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future

from dicomfs.errors import Failure, Problem
from dicomfs.remote.connection import error_of
from dicomfs.remote.fetching import Fetching
from dicomfs.remote.urls import check
from dicomfs.remote.wire import Outcome, Request, UrlStatus


class _Loop:
    """The event loop of a process; one that is forked off has to have its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        """Return the loop, started if this process has none yet."""
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                self._loop, self._pid = asyncio.new_event_loop(), os.getpid()
                run = self._loop.run_forever
                threading.Thread(target=run, name="fetching", daemon=True).start()
            return self._loop


_loop = _Loop()


class Inside:
    """Asks the servers of *urls*; *looked* says what each leads to.

    Each request may take *deadline* seconds, and so may looking at the URLs. Raises
    Failure for a URL that is none of ours, and where fsspec is missing.
    """

    def __init__(self, urls: Sequence[str], deadline: float) -> None:
        for url in urls:
            check(url)
        if importlib.util.find_spec("fsspec") is None:
            raise Failure(Problem.NO_FSSPEC)
        self.deadline = deadline
        self._fetching = Fetching(urls, deadline, _nothing)
        looking = self._fetching.look_at_all()
        found = asyncio.run_coroutine_threadsafe(looking, _loop.get())
        self.looked: Sequence[UrlStatus] = found.result()

    def ask(self, request: Request) -> Future[bytes]:
        """Return what the answer to *request* will be, or OSError."""
        return asyncio.run_coroutine_threadsafe(self._answer(request), _loop.get())

    async def _answer(self, request: Request) -> bytes:
        outcome, data = await self._fetching.answer(request)
        if outcome is not Outcome.DONE:
            raise error_of(outcome, request.kind)
        return data

    @property
    def descriptors(self) -> Sequence[int]:
        """The descriptors by which it is asked: none."""
        return ()

    def leave(self) -> None:
        """Do nothing: the loop serves others, too."""


def _nothing() -> None:
    """Leave it to the next attempt."""
