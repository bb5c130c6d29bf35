"""Signs of life of work that may hang, as a drive may.

Who asks a medium for something calls ``beat`` just before. So whoever waits for a long
piece of work can tell one that is slow from one that hangs. Where nobody waits in that
way, a beat is nothing.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

# Seconds in which a medium has to answer, unless somebody says otherwise.
DEADLINE: Final = 30.0

_NEVER: Final = float("inf")


class LeftBehind(BaseException):
    """The work in this thread hung and was given up: now that it goes on, it may end."""


class Pulse:
    """When a piece of work was heard of last."""

    def __init__(self) -> None:
        self._heard = monotonic()
        self._is_left = False

    @property
    def silence(self) -> float:
        """For how many seconds nothing was heard; less than none while it rests."""
        return monotonic() - self._heard

    def leave(self) -> None:
        """Let the work end with its next beat."""
        self._is_left = True

    def beat(self) -> None:
        """Show that the work goes on; raises LeftBehind if it had better not."""
        if self._is_left:
            raise LeftBehind
        self._heard = monotonic()

    def rest(self) -> None:
        """Need no beat until the next one."""
        self._heard = _NEVER

    @contextmanager
    def felt(self) -> Iterator[None]:
        """Take the beats of this thread for those of the work."""
        _here.pulse = self
        try:
            self.beat()
            yield
        finally:
            _here.pulse = None


class _Here(threading.local):
    pulse: Pulse | None = None


_here: Final = _Here()


def beat() -> None:
    """Show that the work in this thread goes on; raises LeftBehind if it had better not."""
    pulse = _here.pulse
    if pulse is not None:
        pulse.beat()


@contextmanager
def resting() -> Iterator[None]:
    """Need no beats in this thread meanwhile, as it waits for work that has its own."""
    pulse = _here.pulse
    if pulse is None:
        yield
        return
    pulse.rest()
    try:
        yield
    finally:
        pulse.beat()
