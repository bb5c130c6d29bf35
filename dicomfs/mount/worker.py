"""The worker: it reads the medium and serves the mount, with no rights but to do that.

It gets the media as descriptors, and the mount as another once they proved to have a
File-set. In this order: load all that will be needed, give up rights, open the
index, take the mount, say that it answers. Not a byte of the medium is read before the
rights are gone.
"""

import functools
import gc
import logging
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import pyfuse3
import trio

from dicomfs.dicom import charsets
from dicomfs.fileset import spelling
from dicomfs.fileset.listener import Listener
from dicomfs.fileset.open import capacity_of, file_sets_of, listen
from dicomfs.findings import Findings
from dicomfs.media.opening import OpenedFolder, OpenedSource
from dicomfs.mount import control
from dicomfs.mount.fuse import Operations, Ownership
from dicomfs.mount.handshake import Handshake
from dicomfs.mount.options import Options
from dicomfs.mount.scheduler import Scheduler
from dicomfs.sandbox import confine as sandbox
from dicomfs.sandbox import loading, process
from dicomfs.tree import own
from dicomfs.tree.tree import Tree

log = logging.getLogger(__name__)

# pyfuse3 starts 99 at most by itself; requests that hang would fill those.
_MAX_TASKS: Final = 500
# How many objects may come before those that are of no use are looked for.
_GARBAGE: Final = 10_000
# Requests that are being answered get so many seconds when the mount is to end.
_LAST_WORDS: Final = 1.0
# socket imports it when it takes a descriptor.
_ALWAYS_NEEDED: Final = ("array",)
# What images and archives need, and URLs; of a folder nobody does.
_FORMATS: Final = ("dicomfs.media.formats",)
# A scan looks into files that are packed.
_PACKED: Final = ("bz2", "lzma")


def run(
    sources: Sequence[OpenedSource],
    options: Options,
    connection: socket.socket,
    listener: Listener,
) -> None:
    """Serve *sources* until they are unmounted; raises Failure if none is a File-set.

    The *listener* hears how their opening goes.
    """
    null = _let_go(options)
    _load(sources, scan=options.scan)
    # What is loaded stays: to look through it again and again would free nothing.
    gc.freeze()
    gc.set_threshold(_GARBAGE)
    folders = [source.fd for source in sources if isinstance(source, OpenedFolder)]
    rights = sandbox.Rights(folders, of_others=True)
    for lacking in sandbox.restrict(rights):
        log.warning("the sandbox lacks %s", lacking)
    if options.log_names:
        log.warning("this log will contain names of patients (--log-names)")
    findings = Findings(log_names=options.log_names)
    file_sets = file_sets_of(
        sources,
        findings,
        scan=options.scan,
        passwords=options.passwords,
        charset=options.charset,
        deadline=options.deadline,
        listener=listener,
    )
    listen(file_sets)
    tree = Tree(file_sets, read_headers=not options.index_only)
    connection.send(control.OPENED)
    device = control.receive_device(connection)
    if device is None:
        return
    greeting = trio.CancelScope()
    own.add_to(tree)
    scheduler = Scheduler(tree.root, tree.listings, options.deadline)
    operations = Operations(
        scheduler,
        Ownership(options.uid, options.gid, options.umask),
        capacity_of(file_sets),
        on_init=greeting.cancel,
    )
    say_ready = functools.partial(_say_ready, connection, null)
    handshake = Handshake(device)
    pyfuse3.init(operations, f"/dev/fd/{handshake.fd}", set())
    try:
        trio.run(_serve, scheduler, greeting, handshake, say_ready)
    finally:
        pyfuse3.close(unmount=False)


def _load(sources: Sequence[OpenedSource], *, scan: bool) -> None:
    """Load what will be needed: nothing can be loaded once rights are given up."""
    is_plain = all(isinstance(source, OpenedFolder) for source in sources)
    needed = _ALWAYS_NEEDED + (() if is_plain else _FORMATS)
    codecs = charsets.CODECS.union(spelling.CODECS)
    loading.load(codecs, needed + (_PACKED if scan else ()))


def _let_go(options: Options) -> int | None:
    """Let a worker in the background go of its caller; only the streams come later.

    Return what then takes their place: in the sandbox nothing can be opened.
    """
    if options.foreground:
        return None
    process.leave()
    return process.open_null()


def _say_ready(connection: socket.socket, null: int | None) -> None:
    """Say that the kernel has begun to talk: from here on the mount answers."""
    if null is not None:
        process.silence(null)
    # Without a supervisor there is nobody to tell; the mount works all the same.
    with suppress(OSError):
        connection.send(control.READY)


async def _serve(
    scheduler: Scheduler,
    greeting: trio.CancelScope,
    handshake: Handshake,
    say_ready: Callable[[], None],
) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(_end_on_signal, nursery.cancel_scope)
        with greeting:
            await pyfuse3.main()
        if greeting.cancelled_caught:
            handshake.finish()
            say_ready()
            scheduler.check_links()
            await pyfuse3.main(max_tasks=_MAX_TASKS)
        nursery.cancel_scope.cancel()


async def _end_on_signal(
    everything: trio.CancelScope,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            pyfuse3.terminate()
            # It waits for its requests, and those may wait for the medium.
            await trio.sleep(_LAST_WORDS)
            everything.cancel()
            return
