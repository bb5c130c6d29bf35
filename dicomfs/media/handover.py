"""Sources that a child opens and hands over: a path that hangs costs the child alone.

Whoever asks a file system that does not answer waits in the kernel, often so that no
signal ends it. Descriptors pass from one process to another, so it need not be us.
"""

import os
import pickle
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

from dicomfs.errors import Failure, Problem
from dicomfs.media.opening import (
    Opened,
    Unopened,
    make_room,
    open_source,
    open_source_if_possible,
)
from dicomfs.sandbox import inheritance, process

Resolve = Callable[[Path], Path]

_MAX_MESSAGE: Final = 64 * 1024


def open_sources(
    paths: Sequence[Path], resolve: Resolve, seconds: float
) -> list[Opened]:
    """Do what ``opening.open_sources`` does with *paths*, once they are resolved.

    One that takes longer than so many *seconds* counts as one that cannot be opened.
    """
    make_room(len(paths))
    opened: list[Opened] = []
    while len(opened) < len(paths):
        opened += _opened_in_time(paths[len(opened) :], resolve, len(paths), seconds)
        if len(opened) < len(paths):
            silent = Failure(Problem.SOURCE_SILENT)
            if len(paths) == 1:
                raise silent
            opened.append(Unopened(str(paths[len(opened)]), silent))
    return opened


def _opened_in_time(
    paths: Sequence[Path], resolve: Resolve, sources: int, seconds: float
) -> list[Opened]:
    """Return what a child opens of *paths* until one of them takes too long."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        _hand_over(paths, resolve, theirs, is_alone=sources == 1)
    theirs.close()
    opened: list[Opened] = []
    with ours:
        ours.settimeout(seconds)
        try:
            while len(opened) < len(paths):
                opened.append(_taken(ours))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)  # nobody waits for it: it may hang for ever
            return opened
    os.waitpid(pid, 0)
    return opened


def _hand_over(
    paths: Sequence[Path], resolve: Resolve, line: socket.socket, *, is_alone: bool
) -> NoReturn:
    """Open *paths*, and send them one by one, or the Failure."""
    open_one = open_source if is_alone else open_source_if_possible
    try:
        # If it hangs, nobody must wait for what it has of ours.
        inheritance.keep_descriptors([line.fileno()])
        process.silence(process.open_null())
        for path in paths:
            opened = open_one(resolve(path))
            held = [] if isinstance(opened, Unopened) else [opened.fd]
            socket.send_fds(line, [pickle.dumps(opened)], held)
    except Failure as failure:
        line.send(pickle.dumps(failure))
    finally:
        os._exit(os.EX_OK)


def _taken(line: socket.socket) -> Opened:
    """Return the next source of a child; raises the Failure that it sends."""
    message, held, _, _ = socket.recv_fds(line, _MAX_MESSAGE, 1)
    if not message:
        raise Failure(Problem.UNFORESEEN, reason="who opens the sources has ended")
    said: Opened | Failure = pickle.loads(message)
    if isinstance(said, Failure):
        raise said
    return said if isinstance(said, Unopened) else said._replace(fd=held[0])
