"""The worker: it reads the medium and serves the mount, with no rights but to do that.

It gets the media as descriptors, and the mount as another once they proved to have a
File-set. In this order: load all that will be needed, give up rights, open the
index, take the mount, say that it answers. Not a byte of the medium is read before the
rights are gone.
"""

import functools
import logging
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import pyfuse3
import trio

from dicomfs.catalogue import byuid, kept
from dicomfs.fileset.confinement import confine_to
from dicomfs.fileset.fileset import FileSet
from dicomfs.fileset.listener import Listener
from dicomfs.fileset.open import capacity_of, file_sets_of, listen
from dicomfs.findings import Findings
from dicomfs.media.opening import OpenedSource
from dicomfs.mount import control
from dicomfs.mount.entrance import Entrance
from dicomfs.mount.entries import Ownership
from dicomfs.mount.fuse import Operations
from dicomfs.mount.handshake import Handshake
from dicomfs.mount.options import Options
from dicomfs.mount.pictures import Pictures
from dicomfs.mount.scheduler import Scheduler
from dicomfs.original import adding
from dicomfs.pictures.gallery import Gallery
from dicomfs.pictures.wire import PREVIEW_SIZE
from dicomfs.sandbox.voice import Voice
from dicomfs.tree import own
from dicomfs.tree.node import FolderNode
from dicomfs.tree.tree import Tree

log = logging.getLogger(__name__)

# pyfuse3 starts 99 at most by itself; requests that hang would fill those.
_MAX_TASKS: Final = 500
# Requests that are being answered get so many seconds when the mount is to end.
_LAST_WORDS: Final = 1.0


def run(
    sources: Sequence[OpenedSource],
    options: Options,
    connection: socket.socket,
    listener: Listener,
    voice: Voice,
    studio: socket.socket | None = None,
) -> None:
    """Serve *sources* until they are unmounted; raises Failure if none is a File-set.

    The *listener* hears how their opening goes; all that is said goes to the *voice*.
    """
    passwords = options.password_file.read() if options.password_file else ()
    gallery = Gallery(studio) if studio else None
    add_extras = _extras(options, gallery)
    held = [connection.fileno(), voice.pipe, *([studio.fileno()] if studio else [])]
    for lacking in confine_to(sources, held, scan=options.scan):
        log.warning("the sandbox lacks %s", lacking)
    if options.log_names:
        log.warning("this log will contain names of patients (--log-names)")
    findings = Findings(log_names=options.log_names)
    file_sets = file_sets_of(
        sources,
        findings,
        scan=options.scan,
        passwords=passwords,
        charset=options.charset,
        deadline=options.deadline,
        listener=listener,
    )
    # Only archives that have encrypted members have them still.
    del passwords
    listen(file_sets)
    tree, root = _tree(file_sets, options)
    add_extras(tree)
    connection.send(control.OPENED)
    device = control.receive_device(connection)
    if device is None:
        return
    greeting = trio.CancelScope()
    scheduler = Scheduler(root, tree.listings, options.deadline)
    operations = Operations(
        scheduler,
        Ownership(options.uid, options.gid, options.umask),
        capacity_of(file_sets),
        on_init=greeting.cancel,
        pictures=Pictures(gallery, options.deadline) if gallery else None,
    )
    say_ready = functools.partial(_say_ready, connection)
    handshake = Handshake(device)
    _begin(operations, handshake.fd)
    try:
        trio.run(_serve, scheduler, greeting, handshake, say_ready)
    finally:
        pyfuse3.close(unmount=False)


def _begin(operations: Operations, fd: int) -> None:
    """Have pyfuse3 talk to the kernel through *fd*, with requests coming in one way."""
    # First: pyfuse3 3.4 takes its lock when it begins, later ones when they first wait.
    Entrance(fd, lambda: operations.under_way > 0).open()
    pyfuse3.init(operations, f"/dev/fd/{fd}", set())


def _tree(file_sets: Sequence[FileSet], options: Options) -> tuple[Tree, FolderNode]:
    """Return the tree of *file_sets*, and what is shown of it.

    The folder that is on no medium is in that.
    """
    tree = Tree(file_sets, read_headers=not options.index_only)
    original = adding.Original(tree, file_sets)
    more: own.Compilers = {kept.NAME: kept.Catalogue(tree), adding.PAGE: original.page}
    if options.original:
        root = original.as_root()
        own.add_to(tree, more, options.title, root)
        return tree, root
    ours = own.add_to(tree, more, options.title)
    ours.hidden = {
        byuid.NAME: byuid.ByUid(tree, ours),
        adding.NAME: original.beside(ours),
    }
    return tree, tree.root


def _extras(options: Options, gallery: Gallery | None) -> Callable[[Tree], None]:
    """Return what adds extras to a tree, if they are wanted.

    It is loaded now: nothing can be loaded once rights are given up.
    """
    if not options.extras:
        return lambda _: None
    from dicomfs.extras import adding as extras

    previews = None
    if gallery is not None:
        from dicomfs.extras.preview import Previews

        previews = Previews(gallery.preview, PREVIEW_SIZE)
    return functools.partial(
        extras.add_to, deadline=options.deadline, previews=previews
    )


def _say_ready(connection: socket.socket) -> None:
    """Say that the kernel has begun to talk: from here on the mount answers."""
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
