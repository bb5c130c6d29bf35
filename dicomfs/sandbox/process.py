"""Becoming a daemon."""

import os


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


def silence(null: int) -> None:
    """Put *null* in the place of the standard streams, and close it."""
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)
