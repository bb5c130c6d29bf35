"""The keeper: it starts the fetcher, and starts it again when that dies.

    caller ──fork──> keeper ──fork──> fetcher, and the next one

The worker may not fork, and the fetcher's credentials are to be in no process that
parses a medium. So a process between caller and fetcher has them, which reads nothing
that others have made: it forks, waits, and hands the worker the end of each new
connection, over a line that stays. It ends when nobody holds the other end of that.
"""

import importlib.util
import os
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from types import MappingProxyType
from typing import Final, NoReturn

from dicomfs.errors import Failure, Problem
from dicomfs.remote import fetcher
from dicomfs.remote.connection import Connection, receive_greeting, receive_stream
from dicomfs.remote.urls import check
from dicomfs.remote.wire import ProtocolError
from dicomfs.sandbox import process

_NO_VARIABLES: Final[Mapping[bytes, bytes]] = MappingProxyType({})

# So many fetchers are started in so many seconds, and with a gap: a server whose answers
# end them has as many attempts to do more than that.
_MOST_STARTS: Final = 8
_PERIOD: Final = 600.0
_GAP: Final = 0.5
# Seconds for a fetcher to end that nobody is connected to.
_GRACE: Final = 1.0
# What starting takes besides, on a busy machine.
_MARGIN: Final = 20.0


def start(
    urls: Sequence[str],
    deadline: float,
    variables: Mapping[bytes, bytes] = _NO_VARIABLES,
) -> Connection:
    """Start keeper and fetcher for *urls*, and return the connection to the fetcher.

    ``Connection.looked`` says what came of each. To be called by a process that has
    no threads and may have sockets, before the worker is forked; the worker keeps the
    connection, all others ``leave`` it. Each request may take *deadline* seconds, and
    so may looking at the URLs. The *variables* are added to the fetcher's environment.
    Raises Failure for a URL that is none of ours, and where fsspec is missing.
    """
    for url in urls:
        check(url)
    if importlib.util.find_spec("fsspec") is None:
        raise Failure(Problem.NO_FSSPEC)
    line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # A signal in between would find a process that still has its parent's handlers.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, process.GROUP_SIGNALS)
    try:
        pid = os.fork()
        if pid == 0:
            _run(theirs, urls, deadline, variables)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    with ExitStack() as ends:
        ends.enter_context(line).settimeout(deadline + _MARGIN)
        try:
            stream = ends.enter_context(receive_stream(line))
            stream.settimeout(deadline + _MARGIN)
            looked = receive_greeting(stream)
        except (OSError, ProtocolError) as error:
            raise Failure(Problem.FETCHER_DIED) from error
        for each in (line, stream):
            each.settimeout(None)
        ends.pop_all()
    return Connection(line, stream, looked, deadline, pid)


# -- the process -----------------------------------------------------------------------


def _run(
    line: socket.socket,
    urls: Sequence[str],
    deadline: float,
    variables: Mapping[bytes, bytes],
) -> NoReturn:
    try:
        # Ended by a signal, it would take from the worker what that still reads.
        process.leave_parent(line.fileno())
        os.environb.update(variables)
        _keep(line, urls, deadline)
    finally:
        os._exit(0)


def _keep(line: socket.socket, urls: Sequence[str], deadline: float) -> None:
    """Have a fetcher run as long as somebody holds the other end of the *line*."""
    starts: deque[float] = deque(maxlen=_MOST_STARTS)
    while not _is_left(line, _pause(starts)):
        is_first = not starts
        starts.append(time.monotonic())
        with suppress(OSError):  # there may be no room for a process now
            _wait(_fork(line, urls, deadline, looks=is_first), line)


def _fork(
    line: socket.socket, urls: Sequence[str], deadline: float, *, looks: bool
) -> int:
    """Start a fetcher, and hand the other end of its connection over."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        pid = os.fork()
        if pid == 0:
            ours.close()
            line.close()
            fetcher.run(theirs, urls, deadline, looks=looks)
        # If nobody is there to take it, it sees so by that.
        with suppress(OSError):
            socket.send_fds(line, [b"\0"], [ours.fileno()])
    return pid


def _pause(starts: "deque[float]") -> float:
    """Return how many seconds from now the next fetcher may start."""
    if not starts:
        return 0
    next_ = starts[-1] + _GAP
    if len(starts) == _MOST_STARTS:
        next_ = max(next_, starts[0] + _PERIOD)
    return max(next_ - time.monotonic(), 0)


def _is_left(line: socket.socket, seconds: float) -> bool:
    """Wait that long; return whether nobody holds the other end of the *line*."""
    poll = select.poll()
    # Nothing is ever sent to us: what comes is the end.
    poll.register(line, 0)
    return bool(poll.poll(seconds * 1000))


def _wait(pid: int, line: socket.socket) -> None:
    """Wait for the fetcher *pid* to end; let it not outlive the *line* for long."""
    pidfd = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.register(line, 0)
    poll.poll()
    if not select.select([pidfd], [], [], _GRACE)[0]:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(pidfd)
