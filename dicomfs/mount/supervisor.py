"""The supervisor: it mounts, watches the worker, and unmounts. It never parses.

    dicomfs mount ──> supervisor ──fork──> worker
                      mounts, watches,     reads the medium, names, serves
                      unmounts

Whatever a broken or hostile medium does to the worker, the mount is cleaned up by a
process that has not read a byte of it.
"""

import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from dicomfs import logs
from dicomfs.errors import Failure, Problem
from dicomfs.fileset.listener import Listener
from dicomfs.media.mountinfo import Mount
from dicomfs.media.opening import OpenedSource
from dicomfs.mount import attachment, control, forking, stopping
from dicomfs.mount.options import Options
from dicomfs.mount.serving import Serving
from dicomfs.mount.watch import Watch
from dicomfs.pictures import studio
from dicomfs.sandbox import environment, inheritance, process
from dicomfs.sandbox.voice import Voice

log = logging.getLogger(__name__)

# Of 128 KiB at a time a read costs more for the asking than for the copying.
_READ_AHEAD_KB: Final = 1024
# How a worker ends.
_WELL: Final = os.EX_OK
_FAILED: Final = 1


def mount_in_background(
    sources: Sequence[OpenedSource],
    held: int,
    options: Options,
    listener: Listener,
) -> None:
    """Mount *sources* on the folder *held*; return when they answer; raises Failure.

    The *listener* hears how their opening goes, in the process that does it. From then on
    Ctrl-C does nothing here.
    """
    ours, theirs = control.pair()
    if os.fork() == 0:
        ours.close()
        _run_in_background(sources, held, options, listener, theirs)
    theirs.close()
    control.expect(ours, control.READY)
    # Who is told of it is not interrupted any more: that would not end the mount. Programs
    # that are started from here on have Ctrl-C as ever.
    signal.signal(signal.SIGINT, lambda *_: None)
    control.acknowledge(ours)


def _run_in_background(
    sources: Sequence[OpenedSource],
    held: int,
    options: Options,
    listener: Listener,
    caller: socket.socket,
) -> NoReturn:
    def announce() -> None:
        # First of all: when the caller ends, its terminal may be hung up, and with it
        # whoever belongs to it.
        process.detach()
        if not control.tell_ready(caller):
            raise stopping.Stopped
        caller.close()

    try:
        mount_in_foreground(sources, held, options, listener, announce, caller)
    except Failure as failure:
        caller.send(control.encode(failure))
    except Exception as error:  # noqa: BLE001 - a child must not run its parent's code
        logs.unforeseen(log, "the supervisor", error)
    finally:
        os._exit(os.EX_OK)  # nobody asks


def mount_in_foreground(
    sources: Sequence[OpenedSource],
    held: int,
    options: Options,
    listener: Listener,
    announce: Callable[[], None],
    caller: socket.socket | None = None,
) -> bool:
    """Mount *sources* on the folder *held* and stay until the mount ends.

    Return whether it ended because somebody wanted it to.

    *announce* is called when the mount answers; *caller* is not the worker's business.
    Raises Failure if it does not come so far.
    """
    watch: Watch | None = None
    _keep_nothing_of_others(sources, held, options, caller)
    try:
        stopping.heed()
        # A signal in between would find a worker that nobody knows of.
        with stopping.later():
            painting = _start_studio(options)
            worker, connection = _start_worker(
                sources, held, options, listener, caller, painting
            )
            watch = Watch(worker, options)
        watch.begin(held)
        _expect(control.OPENED, worker, connection)
        with stopping.later():
            device, mount = attachment.attach(held, options)
            watch.begun(mount.device)
        os.close(held)
        try:
            control.send_device(connection, device)
        finally:
            # Held here too, it would keep a dead worker's mount from failing.
            os.close(device)
        _expect(control.READY, worker, connection)
        _tune(mount)
        announce()
        watch.keep()
        return _is_well(worker.exit_code())
    except stopping.Stopped:
        return True
    finally:
        stopping.ignore()
        if watch is not None:
            watch.end()


def _keep_nothing_of_others(
    sources: Sequence[OpenedSource],
    held: int,
    options: Options,
    caller: socket.socket | None,
) -> None:
    """Let go of all that came from who called dicomfs, and that is not for a mount."""
    own = [descriptor for source in sources for descriptor in source.descriptors]
    own += [held, *logs.descriptors()]
    if options.password_file is not None:
        own.append(options.password_file.fd)
    if caller is not None:
        own.append(caller.fileno())
    inheritance.keep_descriptors(own)
    environment.leave()


def _expect(word: bytes, worker: Serving, connection: socket.socket) -> None:
    """Wait for *word*, and hear what else the worker says; raises Failure."""
    worker.hear_until(connection.fileno())
    control.expect(connection, word)


def _is_well(status: int | None) -> bool:
    """Return whether a worker that ended by itself had nothing left to serve."""
    if status != _WELL:
        log.error("the worker failed, and ended with %s", status)
    return status == _WELL


def _start_studio(options: Options) -> socket.socket | None:
    """Start who paints pictures, if they are wanted and can be; return the line there."""
    return studio.start() if options.pictures and studio.can_paint() else None


def _start_worker(
    sources: Sequence[OpenedSource],
    held: int,
    options: Options,
    listener: Listener,
    caller: socket.socket | None,
    painting: socket.socket | None,
) -> tuple[Serving, socket.socket]:
    """Start the process that serves the mount; return it, and the line to it.

    It keeps neither the folder *held* nor the line to the *caller*.
    """
    ours, theirs = control.pair()
    heard, said = os.pipe()
    pid = forking.fork()
    if pid == 0:
        process.call("dicomfs-worker")
        # One that is stopped would never notice that it was unmounted.
        process.end_with_parent(signal.SIGCONT)
        ours.close()
        os.close(held)
        os.close(heard)
        if caller is not None:
            caller.close()
        _work(sources, options, listener, theirs, Voice(said, waits=False), painting)
    theirs.close()
    os.close(said)
    if painting is not None:
        painting.close()
    for source in sources:
        source.leave()
    if options.password_file is not None:
        options.password_file.leave()
    return Serving(pid, heard), ours


def _work(
    sources: Sequence[OpenedSource],
    options: Options,
    listener: Listener,
    connection: socket.socket,
    voice: Voice,
    painting: socket.socket | None,
) -> NoReturn:
    """Run the worker in this process, a child of the supervisor."""
    exit_code = _FAILED
    try:
        # Ctrl-C is for the supervisor, which then ends the worker in its order.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        stopping.now()
        voice.take_over()
        process.detach()
        try:
            # pyfuse3 and trio: only here, after the fork.
            from dicomfs.mount import worker
        except ImportError as error:
            raise Failure(
                Problem.NOT_IMPORTED, name=error.name or "pyfuse3", reason=error
            ) from error
        worker.run(sources, options, connection, listener, voice, painting)
        exit_code = _WELL
    except Failure as failure:
        connection.send(control.encode(failure))
    except Exception as error:  # noqa: BLE001 - a child must not run its parent's code
        logs.unforeseen(log, "the worker", error)
    finally:
        os._exit(exit_code)


def _tune(mount: Mount) -> None:
    """Let the kernel read further ahead, if we may say so."""
    path = Path(f"/sys/class/bdi/{mount.device}/read_ahead_kb")
    with suppress(OSError):  # only root may
        path.write_text(str(_READ_AHEAD_KB), "ascii")
