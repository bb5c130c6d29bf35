"""A bound on what a request may compute: a medium may be made to keep it at that.

A deadline answers the request, but its thread would go on, and slow all others down.
"""

import ctypes
import errno
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

_T = TypeVar("_T")

# Seconds of computing: to check the links of four million records takes some twelve.
MOST_COMPUTING: Final = 300.0
_MOMENT: Final = 0.001
_MOMENTS: Final = 1000


class _Beyond(BaseException):
    """The work in this thread has computed for too long."""


class Bound:
    """Stops work in threads that computes for more than *most* seconds.

    Python code is stopped wherever it is. A call of a library is waited for: what those
    get is of a bounded size.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        # The clock of each thread that works, and what it may show.
        self._working: dict[int, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def look(self) -> bool:
        """Stop those beyond the bound; return whether anybody works."""
        with self._lock:
            for thread, (clock, most) in list(self._working.items()):
                if time.clock_gettime(clock) > most:
                    del self._working[thread]
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(thread), ctypes.py_object(_Beyond)
                    )
            return bool(self._working)

    def run(self, work: Callable[[], _T]) -> _T:
        """Do *work* in this thread; raises OSError (ETIMEDOUT) if that is stopped."""
        thread = threading.get_ident()
        clock = time.pthread_getcpuclockid(thread)
        with self._lock:
            self._working[thread] = clock, time.thread_time() + self._most
        try:
            try:
                result = work()
            except _Beyond:
                raise
            except BaseException:
                self._leave(thread)
                raise
            self._leave(thread)
        except _Beyond as error:
            words = "it takes too much computing"
            raise OSError(errno.ETIMEDOUT, words) from error
        return result

    def _leave(self, thread: int) -> None:
        """Be stopped no more; who is to be stopped already waits for that here."""
        with self._lock:
            if self._working.pop(thread, None) is not None:
                return
        for _ in range(_MOMENTS):
            time.sleep(_MOMENT)
