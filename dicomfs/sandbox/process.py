"""What a process is: a daemon, a child that ends with its parent, one without a dump."""

import ctypes
import gc
import os
import resource
import signal
import sys
import threading
import warnings
from typing import Final

GROUP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals for the group that dicomfs was started in."""
_ANY_DESCRIPTOR: Final = 2**20

_PR_SET_PDEATHSIG: Final = 1
_CLONE_NEWNS: Final = 0x20000
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NAME: Final = 15

_libc = ctypes.CDLL(None, use_errno=True)


def leave_parent(kept: int) -> None:
    """Leave behind all that came from who forked this process, but the descriptor *kept*.

    It ends by that: signals for the group of its parent are none for it. They have to be
    blocked until then.
    """
    for number in GROUP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, GROUP_SIGNALS)
    # Objects of the parent are never taken away here: those that own a descriptor
    # would close one of ours that has got its number.
    gc.freeze()
    os.closerange(3, kept)
    os.closerange(kept + 1, _ANY_DESCRIPTOR)
    detach()
    _say_nothing()
    forbid_dumps()


def _say_nothing() -> None:
    """Keep libraries from logging: they quote URLs, headers and keys."""
    import logging  # noqa: PLC0415 - slow, and only those need it that load libraries

    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda _: None
    threading.excepthook = lambda _: None


def forbid_dumps() -> None:
    """Let this process, and those that it forks, leave no memory behind if they fail.

    Raises OSError.
    """
    # The limit alone does not hold where dumps are piped to a program.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_DUMPABLE")


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
    _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def enter_mounts(namespace: str) -> None:
    """Go over to the mount *namespace* of this path; raises OSError."""
    fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(fd, _CLONE_NEWNS):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(fd)


def call(name: str) -> None:
    """Call this process *name* where processes are listed; 15 bytes are shown."""
    _libc.prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


def silence(null: int) -> None:
    """Put *null* in the place of the standard streams, and close it."""
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)
