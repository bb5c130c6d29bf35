"""Becoming a daemon."""

import os


def detach() -> None:
    """Let go of the terminal, of the working directory, and of the standard streams."""
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)
