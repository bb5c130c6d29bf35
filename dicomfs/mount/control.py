"""What supervisor and worker say to each other, over a socket pair.

    worker     "opened"   the medium is a File-set
    supervisor "device"   here is the descriptor of the mount
    worker     "ready"    the mount answers
    worker     failure    the problem and its facts; instead of any of its words

The supervisor says "ready" or a failure to the command line in the same form, which answers:

    caller     "heard"    the mount is known of; that of a caller that was interrupted is not
"""

import json
import socket
from contextlib import suppress
from typing import Final

from dicomfs.errors import Failure, Problem

OPENED: Final = b"opened"
READY: Final = b"ready"
_DEVICE: Final = b"device"
_HEARD: Final = b"heard"
_MAX_MESSAGE: Final = 64 * 1024
# Meanwhile nobody watches the mount.
_TO_HEAR: Final = 1.0


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a new connection that keeps messages apart."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def encode(failure: Failure) -> bytes:
    """Return *failure* as a message."""
    return json.dumps((failure.problem.name, dict(failure.facts))).encode()


def expect(connection: socket.socket, word: bytes) -> None:
    """Wait for *word*; raises the Failure that comes instead.

    The other side may be in the hands of a medium: whatever else it says is no word.
    """
    try:
        message = connection.recv(_MAX_MESSAGE)
    except ConnectionError as error:
        raise _died() from error
    if message != word:
        raise _decoded(message)


def tell_ready(connection: socket.socket) -> bool:
    """Say that the mount is ready; return whether there is anybody to hear it."""
    connection.settimeout(_TO_HEAR)
    try:
        connection.send(READY)
        return connection.recv(_MAX_MESSAGE) == _HEARD
    except TimeoutError:  # who was stopped will hear it when they go on
        return True
    except ConnectionError:
        return False


def acknowledge(connection: socket.socket) -> None:
    """Say that it was heard, if anybody still waits for that."""
    with suppress(ConnectionError):
        connection.send(_HEARD)


def _decoded(message: bytes) -> Failure:
    """Return the failure that *message* is; that the worker died if it is none."""
    try:
        problem, facts = json.loads(message)
        return Failure(Problem[problem], **facts)
    except (ValueError, TypeError, LookupError, RecursionError):
        return _died()


def send_device(connection: socket.socket, device: int) -> None:
    """Hand over the descriptor of the mount; raises Failure if nobody is there."""
    try:
        socket.send_fds(connection, [_DEVICE], [device])
    except ConnectionError as error:
        raise _died() from error


def _died() -> Failure:
    return Failure(Problem.WORKER_DIED)


def receive_device(connection: socket.socket) -> int | None:
    """Return the descriptor of the mount; None if the other side has gone."""
    _, descriptors, _, _ = socket.recv_fds(connection, len(_DEVICE), 1)
    return descriptors[0] if descriptors else None
