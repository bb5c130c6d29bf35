"""The supervisor: it mounts, watches the worker, and unmounts. It never parses.

    dicomfs mount ──> supervisor ──fork──> worker
                      mounts, watches,     reads the medium, names, serves
                      unmounts

Whatever a broken or hostile medium does to the worker, the mount is cleaned up by a
process that has not read a byte of it.
"""

import logging
import os
import select
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from dicomfs import logs
from dicomfs.errors import Exit, Failure
from dicomfs.media.mountinfo import Mount
from dicomfs.media.opening import OpenedSource
from dicomfs.mount import control, mountpoint
from dicomfs.mount.options import Options
from dicomfs.sandbox import process

log = logging.getLogger(__name__)

# Constant: /proc/mounts is for all to read.
_MOUNT_OPTIONS: Final = (
    "ro,nosuid,nodev,noexec,default_permissions,fsname=dicomfs,subtype=dicomfs"
)
_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Of 128 KiB at a time a read costs more for the asking than for the copying.
_READ_AHEAD_KB: Final = 1024
# SIGTERM has to end everything within five seconds, whatever the medium does.
_GRACE: Final = 3.0
# A process that hangs in the medium cannot be ended; nor need it be waited for.
_LAST_GRACE: Final = 1.0


class _Stopped(Exception):  # noqa: N818 - no error: somebody wants the mount to end
    """A signal asks for the end."""


def mount_in_background(
    sources: Sequence[OpenedSource], place: Path, options: Options
) -> None:
    """Mount *sources* on *place* and return when the mount answers; raises Failure."""
    ours, theirs = control.pair()
    if os.fork() == 0:
        ours.close()
        _run_in_background(sources, place, options, theirs)
    theirs.close()
    control.expect(ours, control.READY)


def _run_in_background(
    sources: Sequence[OpenedSource],
    place: Path,
    options: Options,
    caller: socket.socket,
) -> NoReturn:
    def announce() -> None:
        caller.send(control.READY)
        caller.close()
        process.detach()

    exit_code = Exit.UNEXPECTED
    try:
        exit_code = mount_in_foreground(sources, place, options, announce, caller)
    except Failure as failure:
        exit_code = failure.exit_code
        caller.send(control.encode(failure))
    except Exception as error:  # noqa: BLE001 - a child must not run its parent's code
        logs.unforeseen(log, "the supervisor", error)
    finally:
        os._exit(exit_code)


def mount_in_foreground(
    sources: Sequence[OpenedSource],
    place: Path,
    options: Options,
    announce: Callable[[], None],
    caller: socket.socket | None = None,
) -> Exit:
    """Mount *sources* on *place* and stay until the mount ends; return how it did.

    *announce* is called when the mount answers; *caller* is not the worker's business.
    Raises Failure if it does not come so far.
    """
    worker: _Worker | None = None
    mount: Mount | None = None
    try:
        for number in _STOP_SIGNALS:
            signal.signal(number, _stop)
        logs.configure(options)
        worker = _Worker(sources, options, caller)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
        control.expect(worker.connection, control.OPENED)
        device = _mount(place, options)
        mount = mountpoint.find_mount(place)
        control.send_device(worker.connection, device)
        # Held here too, it would keep a dead worker's mount from failing.
        os.close(device)
        control.expect(worker.connection, control.READY)
        if mount is not None:
            _tune(mount)
        announce()
        return _verdict(worker.wait())
    except _Stopped:
        return Exit.OK
    finally:
        _ignore_stop_signals()
        if worker is not None:
            _end(worker, place, mount)


def _stop(number: int, frame: FrameType | None) -> None:
    del number, frame
    # One is enough: a second one must not cut the clearing up short.
    _ignore_stop_signals()
    raise _Stopped


def _ignore_stop_signals() -> None:
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _verdict(status: int | None) -> Exit:
    """Return how a worker ended that nobody asked to end."""
    if status == Exit.OK:
        return Exit.OK
    log.error("the worker failed, and ended with %s", status)
    return Exit.UNEXPECTED


class _Worker:
    """The process that serves the mount."""

    def __init__(
        self,
        sources: Sequence[OpenedSource],
        options: Options,
        caller: socket.socket | None,
    ) -> None:
        """Start it; it does not keep the connection to the *caller*."""
        self.connection, theirs = control.pair()
        # A signal in between would find a worker that nobody knows of.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
        self.pid = os.fork()
        if self.pid == 0:
            self.connection.close()
            if caller is not None:
                caller.close()
            _work(sources, options, theirs)
        theirs.close()
        for source in sources:
            source.leave()
        self.alive = True
        self._pidfd = os.pidfd_open(self.pid)

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait for the worker to end, *seconds* at most.

        Return its exit code, negative for a signal; None if it goes on.
        """
        if not select.select([self._pidfd], [], [], seconds)[0]:
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
    sources: Sequence[OpenedSource], options: Options, connection: socket.socket
) -> NoReturn:
    """Run the worker in this process, a child of the supervisor."""
    exit_code = Exit.UNEXPECTED
    try:
        # Ctrl-C is for the supervisor, which then ends the worker in its order.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
        try:
            # pyfuse3 and trio: only here, after the fork.
            from dicomfs.mount import worker
        except ImportError as error:
            raise Failure(
                Exit.NO_PYFUSE3,
                f"{error.name or 'pyfuse3'} cannot be imported: {error}",
                "install it: pip install pyfuse3 (it needs the system packages "
                "fuse3 libfuse3-dev pkg-config gcc)",
            ) from error
        worker.run(sources, options, connection)
        exit_code = Exit.OK
    except Failure as failure:
        exit_code = failure.exit_code
        connection.send(control.encode(failure))
    except Exception as error:  # noqa: BLE001 - a child must not run its parent's code
        logs.unforeseen(log, "the worker", error)
    finally:
        os._exit(exit_code)


def _mount(place: Path, options: Options) -> int:
    """Mount on *place* and return the descriptor of the mount; raises Failure."""
    wanted = _MOUNT_OPTIONS + (",allow_other" if options.allow_other else "")
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
            Exit.MOUNT_REFUSED,
            said.strip() or "fusermount3 refused to mount",
            _remedy(said),
        )
    return descriptors[0]


def _tune(mount: Mount) -> None:
    """Let the kernel read further ahead, if we may say so."""
    path = Path(f"/sys/class/bdi/{mount.device}/read_ahead_kb")
    with suppress(OSError):  # only root may
        path.write_text(str(_READ_AHEAD_KB), "ascii")


def _remedy(said: str) -> str:
    if "user_allow_other" in said:
        return "leave --allow-other out, or add user_allow_other to /etc/fuse.conf"
    if "username" in said:
        return "give your user a name: fusermount3 wants a line in /etc/passwd"
    if "/dev/fuse" in said:
        return "see that you may open /dev/fuse: sudo chmod 666 /dev/fuse"
    return "give a folder of your own, on a file system that can be mounted on"


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
