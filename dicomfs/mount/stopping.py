"""The signals that ask for the end of a mount."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stopped(Exception):  # noqa: N818 - no error: somebody wants the mount to end
    """A signal asks for the end."""


def heed() -> None:
    """Let the next of the signals raise Stopped, and those after it do nothing."""
    for number in SIGNALS:
        signal.signal(number, _stop)


def ignore() -> None:
    """Let the signals do nothing."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def later() -> Iterator[None]:
    """Let the signals wait until the end of the block, which then is done as a whole.

    A child that is forked in it has them waiting, too, until it says ``now``.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        now()


def now() -> None:
    """Let the signals come that had to wait."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _stop(number: int, frame: FrameType | None) -> None:
    del number, frame
    # One is enough: a second one must not cut the clearing up short.
    ignore()
    raise Stopped
