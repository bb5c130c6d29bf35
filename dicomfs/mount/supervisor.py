"""The supervisor: it mounts, watches the worker, and unmounts. It never parses.

    dicomfs mount ──> supervisor ──fork──> worker
                      mounts, watches,     reads the medium, names, serves
                      unmounts

Whatever a broken or hostile medium does to the worker, the mount is cleaned up by a
process that has not read a byte of it.
"""

import logging
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from dicomfs import logs
from dicomfs.errors import Failure, Problem
from dicomfs.fileset.listener import Listener
from dicomfs.media.mountinfo import Mount
from dicomfs.media.opening import OpenedSource
from dicomfs.mount import control, mountpoint
from dicomfs.mount.options import Options
from dicomfs.sandbox import environment, inheritance, process
from dicomfs.sandbox.voice import Ears, Kind, Log, Said, Voice, to_people

log = logging.getLogger(__name__)

_MOUNT_OPTIONS: Final = "ro,nosuid,nodev,noexec,default_permissions,subtype=dicomfs"
# What ends an option, or begins an escape.
_SPECIAL: Final = re.compile(r"([\\,])")
_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Of 128 KiB at a time a read costs more for the asking than for the copying.
_READ_AHEAD_KB: Final = 1024
# SIGTERM has to end everything within five seconds, whatever the medium does.
_GRACE: Final = 3.0
# A process that hangs in the medium cannot be ended; nor need it be waited for.
_LAST_GRACE: Final = 1.0
# How a worker ends.
_WELL: Final = os.EX_OK
_FAILED: Final = 1
# Words of fusermount3 that tell why it refuses.
_REFUSALS: Final = {
    "user_allow_other": Problem.OTHERS_REFUSED,
    "username": Problem.USER_REFUSED,
    "/dev/fuse": Problem.DEVICE_REFUSED,
}


class _Stopped(Exception):  # noqa: N818 - no error: somebody wants the mount to end
    """A signal asks for the end."""


def mount_in_background(
    sources: Sequence[OpenedSource],
    place: Path,
    options: Options,
    listener: Listener,
) -> None:
    """Mount *sources* on *place* and return when the mount answers; raises Failure.

    The *listener* hears how their opening goes, in the process that does it.
    """
    ours, theirs = control.pair()
    if os.fork() == 0:
        ours.close()
        _run_in_background(sources, place, options, listener, theirs)
    theirs.close()
    control.expect(ours, control.READY)


def _run_in_background(
    sources: Sequence[OpenedSource],
    place: Path,
    options: Options,
    listener: Listener,
    caller: socket.socket,
) -> NoReturn:
    def announce() -> None:
        caller.send(control.READY)
        caller.close()
        process.detach()

    try:
        mount_in_foreground(sources, place, options, listener, announce, caller)
    except Failure as failure:
        caller.send(control.encode(failure))
    except Exception as error:  # noqa: BLE001 - a child must not run its parent's code
        logs.unforeseen(log, "the supervisor", error)
    finally:
        os._exit(os.EX_OK)  # nobody asks


def mount_in_foreground(
    sources: Sequence[OpenedSource],
    place: Path,
    options: Options,
    listener: Listener,
    announce: Callable[[], None],
    caller: socket.socket | None = None,
) -> bool:
    """Mount *sources* on *place* and stay until the mount ends.

    Return whether it ended because somebody wanted it to.

    *announce* is called when the mount answers; *caller* is not the worker's business.
    Raises Failure if it does not come so far.
    """
    worker: _Worker | None = None
    mount: Mount | None = None
    _keep_nothing_of_others(sources, options, caller)
    try:
        for number in _STOP_SIGNALS:
            signal.signal(number, _stop)
        worker = _Worker(sources, options, listener, caller)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
        worker.expect(control.OPENED)
        device = _mount(place, options)
        mount = mountpoint.find_mount(place)
        control.send_device(worker.connection, device)
        # Held here too, it would keep a dead worker's mount from failing.
        os.close(device)
        worker.expect(control.READY)
        if mount is not None:
            _tune(mount)
        announce()
        return _is_well(worker.wait())
    except _Stopped:
        return True
    finally:
        _ignore_stop_signals()
        if worker is not None:
            _end(worker, place, mount)
        mountpoint.remove(options.made)


def _keep_nothing_of_others(
    sources: Sequence[OpenedSource], options: Options, caller: socket.socket | None
) -> None:
    """Let go of all that came from who called dicomfs, and that is not for a mount."""
    own = [descriptor for source in sources for descriptor in source.descriptors]
    own += logs.descriptors()
    if options.password_file is not None:
        own.append(options.password_file.fd)
    if caller is not None:
        own.append(caller.fileno())
    inheritance.keep_descriptors(own)
    environment.leave()


def _stop(number: int, frame: FrameType | None) -> None:
    del number, frame
    # One is enough: a second one must not cut the clearing up short.
    _ignore_stop_signals()
    raise _Stopped


def _ignore_stop_signals() -> None:
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _is_well(status: int | None) -> bool:
    """Return whether a worker that ended by itself had nothing left to serve."""
    if status != _WELL:
        log.error("the worker failed, and ended with %s", status)
    return status == _WELL


class _Worker:
    """The process that serves the mount."""

    def __init__(
        self,
        sources: Sequence[OpenedSource],
        options: Options,
        listener: Listener,
        caller: socket.socket | None,
    ) -> None:
        """Start it; it does not keep the connection to the *caller*."""
        self.connection, theirs = control.pair()
        heard, said = os.pipe()
        # A signal in between would find a worker that nobody knows of.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
        self.pid = os.fork()
        if self.pid == 0:
            self.connection.close()
            if caller is not None:
                caller.close()
            os.close(heard)
            _work(sources, options, listener, theirs, Voice(said, waits=False))
        theirs.close()
        os.close(said)
        self._log = Log(self.pid)
        self._ears = Ears(heard, self._hear)
        for source in sources:
            source.leave()
        if options.password_file is not None:
            options.password_file.leave()
        self.alive = True
        self._pidfd = os.pidfd_open(self.pid)

    def _hear(self, said: Said) -> None:
        if said.kind is Kind.LOG:
            self._log.take(said)
        else:
            to_people(said)

    def expect(self, word: bytes) -> None:
        """Wait for *word*; raises the Failure that comes instead."""
        self._ears.until(self.connection.fileno())
        control.expect(self.connection, word)

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait for the worker to end, *seconds* at most.

        Return its exit code, negative for a signal; None if it goes on.
        """
        if not self._ears.until(self._pidfd, seconds):
            return None
        # First, as a signal may take us out of here at any moment.
        self.alive = False
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def stop(self) -> None:
        """End the worker: asked first, then by force."""
        self.connection.close()
        for number, grace in (
            (signal.SIGTERM, _GRACE),
            (signal.SIGKILL, _LAST_GRACE),
        ):
            if self.alive:
                os.kill(self.pid, number)
                self.wait(grace)


def _work(
    sources: Sequence[OpenedSource],
    options: Options,
    listener: Listener,
    connection: socket.socket,
    voice: Voice,
) -> NoReturn:
    """Run the worker in this process, a child of the supervisor."""
    exit_code = _FAILED
    try:
        # Ctrl-C is for the supervisor, which then ends the worker in its order.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
        voice.take_over()
        process.detach()
        try:
            # pyfuse3 and trio: only here, after the fork.
            from dicomfs.mount import worker
        except ImportError as error:
            raise Failure(
                Problem.NOT_IMPORTED, name=error.name or "pyfuse3", reason=error
            ) from error
        worker.run(sources, options, connection, listener, voice)
        exit_code = _WELL
    except Failure as failure:
        connection.send(control.encode(failure))
    except Exception as error:  # noqa: BLE001 - a child must not run its parent's code
        logs.unforeseen(log, "the worker", error)
    finally:
        os._exit(exit_code)


def _mount(place: Path, options: Options) -> int:
    """Mount on *place* and return the descriptor of the mount; raises Failure."""
    name = _SPECIAL.sub(r"\\\1", options.shown_as)
    wanted = f"{_MOUNT_OPTIONS},fsname={name}"
    if options.allow_other:
        wanted += ",allow_other"
    ours, theirs = socket.socketpair()
    # Whatever comes in between, the helper is waited for: it might mount later.
    with (
        ours,
        theirs,
        subprocess.Popen(
            [mountpoint.fusermount(), "-o", wanted, "--", str(place)],
            env={**os.environ, "_FUSE_COMMFD": str(theirs.fileno())},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as helper,
    ):
        theirs.close()
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
        _, said = helper.communicate()
    if not descriptors:
        raise Failure(
            _refusal(said), reason=said.strip() or "fusermount3 refused to mount"
        )
    return descriptors[0]


def _tune(mount: Mount) -> None:
    """Let the kernel read further ahead, if we may say so."""
    path = Path(f"/sys/class/bdi/{mount.device}/read_ahead_kb")
    with suppress(OSError):  # only root may
        path.write_text(str(_READ_AHEAD_KB), "ascii")


def _refusal(said: str) -> Problem:
    """Return what fusermount3 objects to, by the words that it *said*."""
    for word, problem in _REFUSALS.items():
        if word in said:
            return problem
    return Problem.MOUNT_REFUSED


def _end(worker: _Worker, place: Path, ours: Mount | None) -> None:
    """Leave nothing mounted and nothing running.

    *ours* is the mount as it was made; None if a signal came before that was seen.
    """
    mount = mountpoint.find_mount(place)
    # After a lazy unmount somebody may have mounted there anew.
    is_it = ours is None or mount is None or mount.device == ours.device
    if mount is not None and mountpoint.is_ours(mount) and is_it:
        # While the worker lives its device number is taken; afterwards a mount that
        # answers is another one.
        if worker.alive:
            if mountpoint.unmount(place, lazy=False):
                mountpoint.unmount(place, lazy=True)
        elif mountpoint.is_stale(place):
            mountpoint.unmount(place, lazy=True)
    worker.stop()
