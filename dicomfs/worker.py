"""The worker: it reads the medium and serves the mount, with no rights but to do that.

It gets the medium as a descriptor, and the mount as another once the medium proved to
be a File-set. In this order: import all that will be needed, open the index, take the
mount, give up rights (nothing yet), say that the mount answers.
"""

import functools
import logging
import signal
import socket
from contextlib import suppress

import pyfuse3
import trio

from dicomfs import control, process
from dicomfs.fileset import open_file_sets
from dicomfs.fuse import Operations, Ownership
from dicomfs.media import Folder
from dicomfs.media.opening import OpenedSource
from dicomfs.options import Options
from dicomfs.serve import Server
from dicomfs.tree import Tree

log = logging.getLogger(__name__)

# pyfuse3 starts 99 at most by itself; requests that hang would fill those.
_MAX_TASKS = 500


def run(source: OpenedSource, options: Options, connection: socket.socket) -> None:
    """Serve *source* until it is unmounted; raises Failure if it is no File-set."""
    medium = Folder(source.fd)
    tree = Tree(
        open_file_sets(medium, source.dicomdir), read_headers=not options.index_only
    )
    connection.send(control.OPENED)
    device = control.receive_device(connection)
    if device is None:
        return
    operations = Operations(
        Server(tree, options.deadline),
        Ownership(options.uid, options.gid, options.umask),
        medium.room(),
        on_init=functools.partial(_say_ready, connection, options),
    )
    pyfuse3.init(operations, f"/dev/fd/{device}", set())
    try:
        trio.run(_serve)
    finally:
        pyfuse3.close(unmount=False)


def _say_ready(connection: socket.socket, options: Options) -> None:
    """Say that the kernel has begun to talk: from here on the mount answers."""
    if not options.foreground:
        process.detach()
    # Without a supervisor there is nobody to tell; the mount works all the same.
    with suppress(OSError):
        connection.send(control.READY)


async def _serve() -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(_end_on_signal)
        await pyfuse3.main(max_tasks=_MAX_TASKS)
        nursery.cancel_scope.cancel()


async def _end_on_signal(
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            pyfuse3.terminate()
            return
