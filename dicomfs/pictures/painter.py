"""The painter: it has the libraries loaded, and forks a process for each picture.

That process gives up every right before it gets a byte of the image: it has no file and
no socket but its connection, which the worker holds the other end of, and a bound on
memory and time. Whatever an image does to it costs the one picture. The painter itself
reads nothing of a medium: it only hands connections out.
"""

import gc
import os
import resource
import select
import signal
import socket
import time
import warnings
from contextlib import suppress
from typing import Final, NoReturn

from PIL import Image
from pydicom import config

from dicomfs.pictures import decoding, forms
from dicomfs.pictures.excerpt import Excerpt
from dicomfs.pictures.wire import (
    Form,
    ProtocolError,
    receive_request,
    send_picture,
)
from dicomfs.sandbox import confine, inheritance, process

MOST_AT_ONCE: Final = 2
# Nobody has wanted a picture for so long: then the memory is given back.
_IDLE: Final = 60.0
# Seconds for one picture, and for its worker to say what it wants.
_PATIENCE: Final = 10.0
_MOST_COMPUTING: Final = 8
_MOST_MEMORY: Final = 1024**3
_GLANCE: Final = 0.5
_SAMPLE: Final = 8


def paint(line: socket.socket) -> None:
    """Hand a connection out over the *line* for each picture that is wanted there.

    Returns when nobody has wanted one for a while, or nobody holds the other end.
    """
    _prepare()
    confine.restrict(confine.Rights((), forks=True))
    _Painter(line).work()


def _prepare() -> None:
    """Load what the libraries load when they are used first: there are no files later."""
    warnings.simplefilter("ignore")
    config.settings.reading_validation_mode = config.IGNORE
    config.settings.writing_validation_mode = config.IGNORE
    Image.init()
    Image.MAX_IMAGE_PIXELS = None
    for form in Form:
        with suppress(Exception):
            forms.rendered(form, lambda size: decoding.decoded(_sample(), size))
    gc.collect()
    gc.freeze()


def _sample() -> Excerpt:
    """Return a small image."""
    rows = _SAMPLE.to_bytes(2, "little")
    elements = {
        b"\x02\x00": b"US\x02\x00\x01\x00",
        b"\x04\x00": b"CS\x0c\x00MONOCHROME2 ",
        b"\x10\x00": b"US\x02\x00" + rows,
        b"\x11\x00": b"US\x02\x00" + rows,
        b"\x00\x01": b"US\x02\x00\x10\x00",
        b"\x01\x01": b"US\x02\x00\x0c\x00",
        b"\x02\x01": b"US\x02\x00\x0b\x00",
        b"\x03\x01": b"US\x02\x00\x00\x00",
    }
    header = b"".join(b"\x28\x00" + tag + rest for tag, rest in elements.items())
    return Excerpt(b"", header, bytes(range(2 * _SAMPLE**2)), 0x7FE00010)


class _Painter:
    """Starts processes, and ends those that take too long."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        # When each process has to be done.
        self._due: dict[int, float] = {}

    def work(self) -> None:
        """Start a process for each that is wanted."""
        last = time.monotonic()
        try:
            while self._due or time.monotonic() < last + _IDLE:
                self._clear()
                is_free = len(self._due) < MOST_AT_ONCE
                event = self._wait(_IDLE if not self._due else _GLANCE, listens=is_free)
                if event & (select.POLLHUP | select.POLLERR):
                    return
                if event & select.POLLIN:
                    last = time.monotonic()
                    self._begin()
        finally:
            for pid in self._due:
                os.kill(pid, signal.SIGKILL)

    def _wait(self, seconds: float, *, listens: bool) -> int:
        """Wait for something on the line, or for a process to end."""
        poll = select.poll()
        poll.register(self._line, select.POLLIN if listens else 0)
        pidfds = [os.pidfd_open(pid) for pid in self._due]
        try:
            for each in pidfds:
                poll.register(each, select.POLLIN)
            happened = dict(poll.poll(seconds * 1000))
            return happened.get(self._line.fileno(), 0)
        finally:
            for each in pidfds:
                os.close(each)

    def _begin(self) -> None:
        """Start a process, and hand the other end of its connection over."""
        # Whatever is said there, it means one thing.
        if not self._line.recv(1):
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours, theirs:
            pid = os.fork()
            if pid == 0:
                _run(theirs)
            self._due[pid] = time.monotonic() + _PATIENCE
            # If nobody is there to take it, the process sees so by that.
            with suppress(OSError):
                socket.send_fds(self._line, [b"\0"], [ours.fileno()])

    def _clear(self) -> None:
        """Let go of the processes that have ended, and end those that are late."""
        for pid, due in [*self._due.items()]:
            if time.monotonic() > due:
                os.kill(pid, signal.SIGKILL)
            if os.waitpid(pid, os.WNOHANG)[0]:
                del self._due[pid]


def _run(connection: socket.socket) -> NoReturn:
    """Paint one picture."""
    try:
        process.call("dicomfs-brush")
        process.end_with_parent(signal.SIGKILL)
        inheritance.keep_descriptors([connection.fileno()])
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
        confine.limit_computing(_MOST_COMPUTING)
        confine.restrict(confine.Rights(()))
        request = receive_request(connection)
        send_picture(connection, _picture(request.form, request.excerpt))
    except (OSError, ProtocolError, MemoryError):
        pass  # the worker sees that there is none
    finally:
        os._exit(0)


def _picture(form: Form, excerpt: Excerpt) -> bytes:
    """Return a picture, empty if none can be made."""
    try:
        return forms.rendered(form, lambda size: decoding.decoded(excerpt, size))
    except Exception:  # noqa: BLE001 - of libraries: it costs this picture
        return b""
