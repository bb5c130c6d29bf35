"""Becoming a daemon, or a child that ends with its parent."""

import ctypes
import os
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def detach() -> None:
    """Let go of the terminal, of the working directory, and of the standard streams."""
    leave()
    silence(open_null())


def leave() -> None:
    """Let go of the terminal and of the working directory."""
    os.setsid()
    os.chdir("/")


def open_null() -> int:
    """Return a descriptor that swallows everything."""
    return os.open(os.devnull, os.O_RDWR)


def end_with_parent(number: int) -> None:
    """Get the signal *number* when the parent of this process ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def silence(null: int) -> None:
    """Put *null* in the place of the standard streams, and close it."""
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)
