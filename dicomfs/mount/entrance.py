"""The entrance: how the tasks of pyfuse3 wait for the kernel's next request.

pyfuse3 lets one task after the other wait, through three rounds of the event loop between
one request and the next. Of copying small files, which have one request under way at a
time, that was most of what the worker computed. Here a task that has answered keeps its
place, and looks at the device a moment longer before it leaves that to the event loop.

Nobody has to wait for it: it is done only while no other request is being answered, and
after a few of them the event loop has its turn in any case.
"""

import select
from collections.abc import Callable
from types import SimpleNamespace, TracebackType
from typing import Final

import pyfuse3
import trio

# A program that copies asks again within a few dozen microseconds.
_MOMENT_MS: Final = 1
# So many requests are taken before others have their turn. More gain nothing.
_IN_A_ROW: Final = 16


class Entrance:
    """Where requests come in from the device *fd*: one task waits there at a time.

    *is_busy* says whether a request is being answered. As a context manager it is the
    lock for those who wait.
    """

    def __init__(self, fd: int, is_busy: Callable[[], bool]) -> None:
        self._device = select.poll()
        self._device.register(fd, select.POLLIN)
        self._is_busy = is_busy
        self._is_taken = False
        self._waiting = trio.lowlevel.ParkingLot()
        self._in_a_row = 0

    async def __aenter__(self) -> None:
        """Wait while another task waits for a request."""
        # One that was woken may find that the task before it has come back at once.
        while self._is_taken:
            await self._waiting.park()
        self._is_taken = True

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the next one wait, which it does as soon as this one has to."""
        self._is_taken = False
        self._waiting.unpark()

    async def wait_readable(self, fd: int) -> None:
        """Wait until there is a request, or the mount has ended."""
        self._in_a_row += 1
        may_look = self._in_a_row <= _IN_A_ROW and not self._is_busy()
        if may_look and self._device.poll(_MOMENT_MS):
            return
        self._in_a_row = 0
        await trio.lowlevel.wait_readable(fd)

    def open(self) -> None:
        """Have pyfuse3 wait here from now on, in the way of ``pyfuse3.asyncio``."""
        lowlevel = {**vars(trio.lowlevel), "wait_readable": self.wait_readable}
        instead = {"Lock": lambda: self, "lowlevel": SimpleNamespace(**lowlevel)}
        vars(pyfuse3)["trio"] = SimpleNamespace(**{**vars(trio), **instead})
