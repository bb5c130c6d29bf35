"""What supervisor and worker say to each other, over a socket pair.

    worker     "opened"   the medium is a File-set
    supervisor "device"   here is the descriptor of the mount
    worker     "ready"    the mount answers
    worker     failure    exit code, what, how to mend it; instead of any of its words

The same form carries a failure from the supervisor to the command line.
"""

import json
import socket
from typing import Final

from dicomfs.errors import Exit, Failure

OPENED: Final = b"opened"
READY: Final = b"ready"
_DEVICE: Final = b"device"
_MAX_MESSAGE: Final = 64 * 1024


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a new connection that keeps messages apart."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def encode(failure: Failure) -> bytes:
    """Return *failure* as a message."""
    fields = (int(failure.exit_code), failure.what, failure.mend)
    return json.dumps(fields).encode()


def expect(connection: socket.socket, word: bytes) -> None:
    """Wait for *word*; raises the Failure that comes instead."""
    try:
        message = connection.recv(_MAX_MESSAGE)
    except ConnectionError as error:
        raise _died() from error
    if message == word:
        return
    if not message:
        raise _died()
    exit_code, what, mend = json.loads(message)
    raise Failure(Exit(exit_code), what, mend)


def send_device(connection: socket.socket, device: int) -> None:
    """Hand over the descriptor of the mount; raises Failure if nobody is there."""
    try:
        socket.send_fds(connection, [_DEVICE], [device])
    except ConnectionError as error:
        raise _died() from error


def _died() -> Failure:
    return Failure(
        Exit.WORKER_DIED,
        "the serving process ended before the mount was ready",
        "run it again with --foreground --verbose to see why",
    )


def receive_device(connection: socket.socket) -> int | None:
    """Return the descriptor of the mount; None if the other side has gone."""
    _, descriptors, _, _ = socket.recv_fds(connection, len(_DEVICE), 1)
    return descriptors[0] if descriptors else None
