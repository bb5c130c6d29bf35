"""The studio: the process that starts the painter when a picture is wanted.

    supervisor ──fork──> studio ──fork──> painter ──fork──> one process a picture

The worker may not fork, and most mounts are never asked for a picture. So a process that
has loaded nothing waits for the first one to be wanted, and then for the painter to end,
which it does when nobody has wanted one for a while. It reads nothing that others have
made: it sees that there is something on the line, and leaves it there.
"""

import os
import select
import signal
import socket
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NoReturn

from dicomfs.sandbox import process

# What comes in place of a connection while nobody paints.
REFUSED: Final = b"\1"

# Of painters that failed one after the other: whatever ended them, most likely it would end
# the next one. After so many seconds another one is tried.
_MOST_FAILED: Final = 8
_REST: Final = 300.0
_NEEDED: Final = ("numpy", "PIL")


def can_paint() -> bool:
    """Whether the libraries are installed that pictures take; loads none of them."""
    found = find_spec("pydicom")
    if found is None or found.origin is None:
        return False
    # pydicom decodes pixels in the way that is used here since it has this.
    pixels = Path(found.origin).with_name("pixels")
    # What is closed to this user cannot be loaded by them, and is none for them.
    is_new = os.access(pixels, os.R_OK | os.X_OK)
    return is_new and all(find_spec(name) is not None for name in _NEEDED)


def start() -> socket.socket | None:
    """Start the studio, and return the line to it; None if it cannot be started.

    The worker keeps the line, all others close it: with it the studio ends. To be called
    by a process without threads.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # A signal in between would find a process that still has its parent's handlers.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, process.GROUP_SIGNALS)
    try:
        if os.fork() == 0:
            _run(theirs)
    except OSError:  # there may be no room for a process: all else works
        ours.close()
        return None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
    return ours


def _run(line: socket.socket) -> NoReturn:
    try:
        process.call("dicomfs-studio")
        process.leave_parent(line.fileno())
        _keep(line)
    finally:
        os._exit(0)


def _keep(line: socket.socket) -> None:
    """Have a painter work whenever there is something on the *line*, to the end of it."""
    failed = 0
    while _is_wanted(line, None):
        with suppress(OSError):  # there may be no room for a process now
            pid = os.fork()
            if pid == 0:
                _paint(line)
            _, status = os.waitpid(pid, 0)
            failed = failed + 1 if status else 0
        if failed >= _MOST_FAILED:
            _rest(line)
            failed = 0


def _is_wanted(line: socket.socket, until: float | None) -> bool:
    """Wait for something on the *line*, to the end of it or *until* then."""
    poll = select.poll()
    poll.register(line, select.POLLIN)
    left = None if until is None else max(until - time.monotonic(), 0) * 1000
    events = poll.poll(left)
    return bool(events) and not events[0][1] & (select.POLLHUP | select.POLLERR)


def _rest(line: socket.socket) -> None:
    """Say for a while to whoever wants a picture that nobody paints."""
    end = time.monotonic() + _REST
    while _is_wanted(line, end):
        with suppress(OSError):
            line.recv(1)
            line.send(REFUSED)


def _paint(line: socket.socket) -> NoReturn:
    exit_code = os.EX_SOFTWARE
    try:
        process.call("dicomfs-painter")
        process.end_with_parent(signal.SIGKILL)
        # Else numpy starts threads, which no fork has.
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        # numpy, Pillow, pydicom: only here, and only when they are wanted.
        from dicomfs.pictures import painter

        painter.paint(line)
        exit_code = os.EX_OK
    finally:
        os._exit(exit_code)
