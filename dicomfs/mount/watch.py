"""The watch over a worker: two processes see to it that a mount ends as a whole.

    first     the supervisor: it waits for the worker to end, and takes the mount away
    second    does that if the first one is killed or stopped, or can start no helper

Whichever of the two is killed, the other starts a new one. They know the mount by the
number of its device, and so find it wherever it has gone. Only who ends the worker and
both of them at once leaves a dead mount, or both before a new one is there, which takes a
second, and the worker later.
"""

import logging
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, NoReturn

from dicomfs import logs
from dicomfs.media import mountinfo
from dicomfs.mount import attachment, control, forking, mountpoint, stopping
from dicomfs.mount.options import Options
from dicomfs.mount.peer import Peer
from dicomfs.mount.serving import Serving
from dicomfs.sandbox import inheritance, process

log = logging.getLogger(__name__)

# SIGTERM has to end everything within five seconds, whatever the medium does.
_GRACE: Final = 3.0
# A process that hangs in the medium cannot be ended; nor need it be waited for.
_LAST_GRACE: Final = 1.0
# How long the first may take for what it does when the worker has ended.
_PATIENCE: Final = 5.0
# What a killed first has begun to mount is there by then, or never.
_LATEST: Final = 3.0
# Between two attempts to start a second.
_PAUSE: Final = 1.0
# Between two attempts to take a mount away.
_AGAIN: Final = 2.0
_MOST_WORDS: Final = 64


class Watch:
    """Who sees to it that the mount of a *worker* ends as a whole."""

    def __init__(self, worker: Serving, options: Options) -> None:
        """Make this process the first."""
        self._worker = worker
        self._options = options
        # Of the mount, once there is one.
        self._device = ""
        # Its number may be another one's later: what it is by then, if that can be told.
        self._connection: int | None = None
        self._is_unmounted = False
        self._second: Peer | None = None
        self._line: socket.socket | None = None
        self._not_before = 0.0

    # -- the first ---------------------------------------------------------------------

    def begin(self, held: int) -> None:
        """Begin before anything is mounted on the folder *held*."""
        self._start_second(held)

    def begun(self, device: str) -> None:
        """Go on by the number of the *device* that is mounted now."""
        self._know(device)
        if self._line is not None:
            with suppress(OSError):
                self._line.send(device.encode())

    def keep(self) -> None:
        """Stay until the worker ends."""
        with _changes() as changes:
            while True:
                if self._has_left_sight():
                    # A worker that was stopped has not noticed that it is over.
                    self._worker.send(signal.SIGCONT)
                if self._worker.has_ended():
                    return
                self._renew_second()
                others = [self._worker, *([self._second] if self._second else [])]
                pause = None if self._second else _PAUSE
                _wait(*others, changes=changes, hear=self._worker, seconds=pause)

    def end(self) -> None:
        """Leave nothing mounted and nothing running.

        Returns before nothing is mounted if the second one will see to it.
        """
        is_over = self._clear()
        self._stop_worker()
        is_over = is_over or self._clear()
        if is_over:
            mountpoint.remove(self._options.made)
            if self._second is not None:
                self._second.send(signal.SIGKILL)
                self._second.has_ended(_LAST_GRACE)
                self._second.exit_code()
        # One that was killed just now may not have ended yet.
        elif self._second is None or self._second.has_ended(_LAST_GRACE):
            self._insist()

    def _know(self, device: str) -> None:
        self._device = device
        self._connection = attachment.connection(device) if device else None

    def _has_left_sight(self) -> bool:
        """Whether the mount was unmounted; open files may be served all the same."""
        if self._device and not self._is_unmounted:
            self._is_unmounted = not (
                self._connection == attachment.connection(self._device)
                and attachment.seen(self._device)
            )
        return self._is_unmounted

    def _clear(self) -> bool:
        """Take the mount away if that can be done now; return whether none is left."""
        try:
            return self._take_away()
        except OSError:
            return False

    def _take_away(self) -> bool:
        """Take the mount away; return whether none is left.

        Raises OSError if no helper can be started.
        """
        if not self._device or self._has_left_sight():
            return True
        is_sure = self._connection is not None or not self._worker.has_ended()
        return attachment.clear(self._device, if_dead=not is_sure)

    def _stop_worker(self) -> None:
        """End the worker: asked first, then by force."""
        for number, grace in (
            (signal.SIGTERM, _GRACE),
            (signal.SIGKILL, _LAST_GRACE),
        ):
            if not self._worker.has_ended():
                self._worker.send(number)
                self._worker.send(signal.SIGCONT)
                self._worker.has_ended(grace)

    def _insist(self) -> None:
        """Take the mount away by all means, and wait until it can be reached.

        Something may be mounted over it, or a folder above it be closed to this user. Of
        the first the kernel tells; for the second it has to be looked again.
        """
        with _changes() as changes:
            while True:
                try:
                    if self._take_away():
                        break
                except OSError:  # no helper can be started, but this process can be it
                    for mount in attachment.seen(self._device):
                        attachment.become_helper(mount)
                _wait(changes=changes, seconds=_AGAIN)
        mountpoint.remove(self._options.made)

    # -- the second --------------------------------------------------------------------

    def _renew_second(self) -> None:
        """See that there is a second one; if it cannot be had, try again later."""
        if self._second is not None:
            if not self._second.has_ended():
                return
            self._second.exit_code()
            self._second.close()
            self._second = None
        if time.monotonic() >= self._not_before:
            with suppress(OSError):
                self._start_second(None)

    def _start_second(self, held: int | None) -> None:
        """Start it; the mount will be on the folder *held*, if there is none yet."""
        self._not_before = time.monotonic() + _PAUSE
        ours, theirs = control.pair()
        first = Peer(os.getpid())
        with stopping.later():
            pid = forking.fork()
            if pid == 0:
                self._be_second(first, theirs, held)
            self._second = Peer(pid)
        first.close()
        theirs.close()
        if self._line is not None:
            self._line.close()
        self._line = ours

    def _be_second(
        self, first: Peer, line: socket.socket, held: int | None
    ) -> NoReturn:
        try:
            process.call("dicomfs-watcher")
            # Whoever kills the first one wakes this one, should it be stopped.
            process.end_with_parent(signal.SIGCONT)
            self._second = self._line = None
            self._worker.leave_listening()
            kept = [first.fileno(), self._worker.fileno(), self._worker.voice]
            kept += [line.fileno(), *logs.descriptors()]
            inheritance.keep_descriptors(kept if held is None else [*kept, held])
            if not self._options.foreground:
                process.leave()
                process.silence(process.open_null())
            stopping.ignore()
            stopping.now()
            if held is not None:
                self._learn(first, line, held)
            self._watch(first)
            self._step_in()
        except Exception as error:  # noqa: BLE001 - a child must not run its parent's code
            logs.unforeseen(log, "the watcher", error)
        finally:
            os._exit(os.EX_OK)  # nobody asks

    def _learn(self, first: Peer, line: socket.socket, held: int) -> None:
        """Wait until the *first* one has mounted on *held*, to know the device."""
        waiting = select.poll()
        waiting.register(line, select.POLLIN)
        waiting.register(self._worker, select.POLLIN)
        waiting.poll()
        # If either of them has ended, the line has, too, or will.
        first.send(signal.SIGCONT)
        self._know(line.recv(_MOST_WORDS).decode() or _sought(held))
        os.close(held)

    def _watch(self, first: Peer) -> None:
        """Stay until the *first* one ends, and see that it does what it has to."""
        with _changes() as changes:
            while not first.has_ended():
                others: list[Peer] = [first]
                if self._worker.has_ended():
                    first.send(signal.SIGCONT)
                    if not first.has_ended(_PATIENCE):
                        first.send(signal.SIGKILL)
                else:
                    others.append(self._worker)
                    if self._has_left_sight():
                        first.send(signal.SIGCONT)
                _wait(*others, changes=changes)

    def _step_in(self) -> None:
        """Be the first one now."""
        self._worker.listen()
        try:
            if self._device and not self._worker.has_ended():
                log.warning("the supervisor was killed; the watcher takes its place")
                process.call("dicomfs")
                stopping.heed()
                self.keep()
        except stopping.Stopped:
            pass
        finally:
            stopping.ignore()
            self.end()


def _sought(held: int) -> str:
    """Return what the first one mounted on *held* before it was killed."""
    latest = time.monotonic() + _LATEST
    with _changes() as changes:
        while (left := latest - time.monotonic()) > 0:
            mount = mountpoint.mounted_on(held)
            if mount is not None and mountpoint.is_ours(mount):
                return mount.device
            _wait(changes=changes, seconds=left)
    return ""


@contextmanager
def _changes() -> Iterator[int]:
    fd = mountinfo.changes()
    try:
        yield fd
    finally:
        os.close(fd)


def _wait(
    *others: Peer,
    changes: int,
    hear: Serving | None = None,
    seconds: float | None = None,
) -> None:
    """Wait for one of *others* to end, and for *changes* of what is mounted.

    What the worker says is heard meanwhile if it is given.
    """
    with select.epoll() as ready:
        # It can be read at any time.
        ready.register(changes, select.EPOLLPRI)
        for each in others:
            ready.register(each.fileno(), select.EPOLLIN)
        if hear is None:
            ready.poll(seconds)
        else:
            hear.hear_until(ready.fileno(), seconds)
