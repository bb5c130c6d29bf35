"""What comes of requests: bytes of objects and names in folders, asked of servers.

An attempt that fails is repeated until the time for it is over. Runs where there is an
event loop: in the fetcher, and for the library in a thread (``remote.inside``).
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from dicomfs.remote.stores import Refusal, Store, open_store
from dicomfs.remote.wire import (
    MOST_LISTED,
    Outcome,
    Request,
    UrlStatus,
    Verb,
    encode_listing,
    is_name,
)

_T = TypeVar("_T")

# URLs that are looked at at a time.
_MOST_LOOKED_AT: Final = 16
# Looking at URLs is given up sooner: most likely one is misspelt.
_LONGEST_LOOK: Final = 10.0
# Seconds before the first repetition; doubled each time.
_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
# An answer that stalls is given up in time for another attempt.
_PATIENCE: Final = 3
_LONGEST_PATIENCE: Final = 15.0


class Fetching:
    """Asks the servers of *urls*, each request for *deadline* seconds at most.

    *failed* is called whenever an attempt was not answered as it should be.
    """

    def __init__(
        self, urls: Sequence[str], deadline: float, failed: Callable[[], None]
    ) -> None:
        self._urls = urls
        self._deadline = deadline
        self._patience = min(deadline / _PATIENCE, _LONGEST_PATIENCE)
        self._failed = failed
        self._stores: dict[int, Store] = {}

    async def look_at_all(self) -> list[UrlStatus]:
        """Return what each URL leads to, or why to nothing."""
        until = time.monotonic() + min(self._deadline, _LONGEST_LOOK)
        at_once = asyncio.Semaphore(_MOST_LOOKED_AT)

        async def look(which: int) -> UrlStatus:
            async with at_once:
                return await self._look(which, until)

        return await asyncio.gather(*map(look, range(len(self._urls))))

    async def _look(self, which: int, until: float) -> UrlStatus:
        try:
            store = self._store(which)
            return UrlStatus(Outcome.DONE, await self._persist(store.find, until))
        except Exception as error:  # noqa: BLE001 - of a library: it costs this URL
            return _reason(error)

    async def answer(self, request: Request) -> tuple[Outcome, bytes]:
        """Return what comes of *request*: the bytes, or a word that says what failed."""
        try:
            return Outcome.DONE, await self._fetch(request)
        except Refusal as refusal:
            return refusal.outcome, b"Refusal"
        except Exception as error:  # noqa: BLE001 - of a library: it costs this request
            self._failed()
            return Outcome.UNREACHABLE, type(error).__name__.encode()[:64]

    async def _fetch(self, request: Request) -> bytes:
        store = self._store(request.which)
        name = checked(request.name)
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
                    self._failed()
                    # Not all that failed at once are to come again at once.
                    pause_now = pause * random.uniform(0.5, 1)
                    is_over = time.monotonic() + pause_now >= until
                    if isinstance(error, Refusal) or is_over:
                        raise
                await asyncio.sleep(pause_now)
                pause = min(2 * pause, _LONGEST_PAUSE)


def _reason(error: Exception) -> UrlStatus:
    """Return why a URL leads to nothing, as *error* says; its words may hold secrets."""
    if isinstance(error, Refusal):
        return UrlStatus(error.outcome)
    if isinstance(error, ImportError):
        return UrlStatus(Outcome.NO_LIBRARY)
    return UrlStatus(Outcome.UNREACHABLE, None, type(error).__name__)


def checked(name: bytes) -> str:
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
