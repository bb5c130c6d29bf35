"""Doing something in a child process, so that this one can end though that hangs.

A thread that waits for a request in the kernel can often not even be killed, and a
process does not end before all its threads have. So what reads media is done by a child.
Once that has said how it ends, nobody waits for it.
"""

import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NoReturn

from dicomfs.sandbox import process

# A child that does not hang has ended long before.
_SECONDS_TO_END: Final = 1.0


def apart(work: Callable[[], int]) -> int:
    """Do *work* in a child process; return what it returns, an exit code.

    It is interrupted when this process is, and ends with it.
    """
    ours, theirs = os.pipe()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    child = os.fork()
    if child == 0:
        os.close(ours)
        _end_after(work, theirs)
    os.close(theirs)
    said = _heard(ours, child)
    is_ended = _has_ended(child)
    if said:
        return said[0]
    if not is_ended:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return abs(os.waitstatus_to_exitcode(status)) or 1


def _heard(pipe: int, child: int) -> bytes:
    """Return what *child* says at its end; if we are interrupted, so is it."""
    while True:
        try:
            return os.read(pipe, 1)
        except KeyboardInterrupt:
            os.kill(child, signal.SIGTERM)


def _has_ended(child: int) -> bool:
    """Wait a moment for *child* to end; return whether it has."""
    with suppress(OSError):
        pidfd = os.pidfd_open(child)
        try:
            if not select.select([pidfd], [], [], _SECONDS_TO_END)[0]:
                return False
        finally:
            os.close(pidfd)
    return True


def _end_after(work: Callable[[], int], pipe: int) -> NoReturn:
    """Do *work* in the child, say in *pipe* what it returns, and end."""
    code = 1
    try:
        # The caller hears of Ctrl-C, too, and passes it on.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        process.end_with_parent(signal.SIGTERM)
        code = work()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                with suppress(OSError, ValueError):
                    stream.flush()
    finally:
        # Who reads what we say must not wait for us either.
        process.silence(process.open_null())
        os.write(pipe, bytes([code]))
        os._exit(code)
