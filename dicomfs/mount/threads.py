"""Threads for work that may hang, so few at a time and never more than so many in all."""

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

import trio

from dicomfs.mount.computing import MOST_COMPUTING, Bound

_T = TypeVar("_T")

# A thread that takes longer hangs. A seek of an optical drive takes 0.2 s at most; but
# where some hang already others do most likely, and those that do not lose nothing.
_PATIENCE: Final = 0.5
# How often it is seen how much a thread has computed.
_GLANCE: Final = 5.0
_PATIENCE_WHEN_HUNG: Final = 0.1


class Threads:
    """Threads of which *working* at a time may wait for the medium, in order.

    A thread that hangs in the medium cannot be stopped, only left behind. It does not
    count any more once it hangs, so that those behind it get on; in all there are
    never more than *most* threads. One that does not wait but computes is stopped after
    *computing* seconds of that.
    """

    def __init__(
        self, working: int, most: int, computing: float = MOST_COMPUTING
    ) -> None:
        self._working = working
        self._bound = Bound(computing)
        self._is_watched = False
        self._all = trio.CapacityLimiter(most)
        # When those that count began, the oldest first.
        self._began: dict[object, float] = {}
        self._turn = trio.StrictFIFOLock()
        self._ended = trio.Event()

    async def run(self, work: Callable[[], _T]) -> _T:
        """Do *work* in a thread and return what it returns; cancelling leaves it behind.

        Raises OSError (ETIMEDOUT) if it computes for too long.
        """
        if self._turn.locked() or len(self._began) >= self._working:
            await self._wait()
        me = object()
        self._began[me] = trio.current_time()
        if not self._is_watched:
            self._is_watched = True
            trio.lowlevel.spawn_system_task(self._watch)
        try:
            return await trio.to_thread.run_sync(
                partial(self._bound.run, work),
                abandon_on_cancel=True,
                limiter=self._all,
            )
        finally:
            self._began.pop(me, None)
            self._ended.set()

    async def _wait(self) -> None:
        """Wait until one more may work; those who came first are let through first."""
        async with self._turn:
            while len(self._began) >= self._working:
                oldest, began = next(iter(self._began.items()))
                self._ended = trio.Event()
                with trio.move_on_at(began + self._patience()):
                    await self._ended.wait()
                if trio.current_time() >= began + self._patience():
                    self._began.pop(oldest, None)

    async def _watch(self) -> None:
        """Look after those who work, as long as there are any."""
        while self._began or self._bound.look():
            await trio.sleep(_GLANCE)
            self._bound.look()
        self._is_watched = False

    def _patience(self) -> float:
        is_hung = self._all.borrowed_tokens > len(self._began)
        return _PATIENCE_WHEN_HUNG if is_hung else _PATIENCE
