"""A medium in trouble: a FUSE passthrough of a folder, in a process of its own.

    python -m tests.support.hanging FOLDER MOUNTPOINT

It reads orders from stdin, a JSON object a line:

``{"hang": [path, ...]}``         reads of these files hang; of others they go on
``{"hang_open": [path, ...]}``    the same for opening them
``{"hang_close": [path, ...]}``   the same for closing them
``{"bad": {path: [[first, end], ...]}}``    these sectors of 2 KiB give EIO
``{"gone": true}``                whatever is opened or read gives EIO, until it is false

When an order is carried out it answers with a line, ``{"open": [path, ...], "asked":
[[path, offset, size], ...]}``: what is open, and what it was asked for since the last
order; an offset of -1 is an open.

The kernel's page cache and read-ahead above it are real, as with a drive.
"""

# ruff: noqa: ARG002 - pyfuse3 fixes the signatures

import contextlib
import errno
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyfuse3
import trio
from pyfuse3 import (
    EntryAttributes,
    FileHandleT,
    FileInfo,
    FileNameT,
    FlagT,
    InodeT,
    ReaddirToken,
    RequestContext,
    StatvfsData,
)

from dicomfs.mount.handshake import Handshake
from tests.support import mounting

SECTOR: Final = 2048
_FOR_EVER: Final = 3600.0


# -- for tests -------------------------------------------------------------------------


class Drive:
    """A folder that is served as by a drive in trouble, on ``place``."""

    def __init__(self, folder: Path, place: Path) -> None:
        mounting.need("fusermount3", "/dev/fuse")
        self.folder = folder
        self.place = place
        place.mkdir()
        command = [sys.executable, "-P", "-m", "tests.support.hanging"]
        self._process = subprocess.Popen(
            [*command, str(folder), str(place)],
            cwd=mounting.ROOT,
            env=mounting.environment(mounting.new_mark()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.tell()

    def tell(self, **order: object) -> dict[str, Any]:
        """Give an order; return what is open, and what was asked for since the last one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def work_again(self) -> None:
        """Do all that hangs, and be well from now on."""
        self.tell(hang=[], hang_open=[], hang_close=[], bad={}, gone=False)

    def forget(self) -> None:
        """Have the kernel forget the bytes of all files that it has read."""
        for path in self.place.rglob("*"):
            if path.is_file():
                forget(path)

    def pull(self) -> None:
        """End at once, as a drive does that is pulled out."""
        self._process.kill()
        self._process.communicate(timeout=mounting.PATIENCE)

    def end(self) -> None:
        """Leave nothing of it, whatever hangs."""
        if self._process.poll() is None:
            self.work_again()
        mounting.force_off(self.place)
        self.pull()


def forget(path: Path) -> None:
    """Have the kernel forget the bytes of a file that it has read."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


@contextlib.contextmanager
def drive(folder: Path, place: Path) -> Iterator[Drive]:
    """Serve *folder* on *place*, and leave nothing of it in the end."""
    made = Drive(folder, place)
    try:
        yield made
    finally:
        made.end()


# -- the process -----------------------------------------------------------------------


class Trouble:
    """What is wrong at the moment."""

    def __init__(self) -> None:
        self._hanging: dict[str, dict[str, trio.Event]] = {}
        self._bad: Mapping[str, Sequence[Sequence[int]]] = {}
        self._gone = False

    def order(self, order: Mapping[str, Any]) -> None:
        """Carry out one order."""
        for kind in ("hang", "hang_open", "hang_close"):
            if kind in order:
                self._hang(kind, order[kind])
        self._bad = order.get("bad", self._bad)
        self._gone = order.get("gone", self._gone)

    def _hang(self, kind: str, paths: Sequence[str]) -> None:
        before = self._hanging.get(kind, {})
        self._hanging[kind] = {path: before.pop(path, trio.Event()) for path in paths}
        for event in before.values():
            event.set()

    async def met(self, kind: str, path: str) -> None:
        """Hang as long as *path* is to hang; raise EIO if nothing works."""
        event = self._hanging.get(kind, {}).get(path)
        if event is not None:
            await event.wait()
        if self._gone:
            raise pyfuse3.FUSEError(errno.EIO)

    def is_bad(self, path: str, first: int, end: int) -> bool:
        """Whether one of the sectors from *first* to *end* is bad."""
        return any(a < end and first < b for a, b in self._bad.get(path, ()))


class Passthrough(pyfuse3.Operations):
    """Serves a folder, with the *trouble* that there is."""

    enable_writeback_cache = False

    def __init__(
        self, folder: Path, trouble: Trouble, greeting: trio.CancelScope
    ) -> None:
        super().__init__()
        paths = [folder, *sorted(folder.rglob("*"))]
        self._folder = folder
        self._paths = dict(enumerate(paths, pyfuse3.ROOT_INODE))
        self._inodes = {path: inode for inode, path in self._paths.items()}
        self._trouble = trouble
        self._greeting = greeting
        self.open_files: dict[int, str] = {}
        self.asked: list[tuple[str, int, int]] = []

    def init(self) -> None:
        """Say that libfuse has answered the kernel."""
        self._greeting.cancel()

    async def lookup(
        self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        """Find a name in a folder."""
        path = self._paths[parent_inode] / os.fsdecode(name)
        if path not in self._inodes:
            raise pyfuse3.FUSEError(errno.ENOENT)
        return self._attributes(path)

    async def getattr(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes:
        """Return the attributes of a node."""
        return self._attributes(self._paths[inode])

    async def opendir(self, inode: InodeT, ctx: RequestContext) -> FileHandleT:
        """Open a folder."""
        return FileHandleT(inode)

    async def readdir(
        self, fh: FileHandleT, start_id: int, token: ReaddirToken
    ) -> None:
        """List a folder from entry *start_id* on."""
        for path, inode in self._inodes.items():
            is_below = path.parent == self._paths[fh] and inode > start_id
            name = FileNameT(os.fsencode(path.name))
            if is_below and not pyfuse3.readdir_reply(
                token, name, self._attributes(path), inode
            ):
                return

    async def open(self, inode: InodeT, flags: FlagT, ctx: RequestContext) -> FileInfo:
        """Open a file, if it lets itself be opened."""
        path = self._paths[inode]
        name = str(path.relative_to(self._folder))
        self.asked.append((name, -1, 0))
        await self._trouble.met("hang_open", name)
        fd = os.open(path, os.O_RDONLY)
        self.open_files[fd] = name
        return FileInfo(fh=FileHandleT(fd), keep_cache=True)

    async def read(self, fh: FileHandleT, off: int, size: int) -> bytes:
        """Return bytes of a file, unless it hangs or they are bad."""
        name = self.open_files[fh]
        self.asked.append((name, off, size))
        await self._trouble.met("hang", name)
        if self._trouble.is_bad(name, off // SECTOR, -(-(off + size) // SECTOR)):
            raise pyfuse3.FUSEError(errno.EIO)
        return os.pread(fh, size, off)

    async def flush(self, fh: FileHandleT) -> None:
        """Close a descriptor of a file, if it lets itself be closed."""
        await self._trouble.met("hang_close", self.open_files[fh])

    async def release(self, fh: FileHandleT) -> None:
        """Close a file."""
        del self.open_files[fh]
        os.close(fh)

    async def statfs(self, ctx: RequestContext) -> StatvfsData:
        """Return the size of the medium."""
        status = StatvfsData()
        status.f_bsize = status.f_frsize = SECTOR
        status.f_blocks = 1000
        status.f_namemax = 255
        return status

    def _attributes(self, path: Path) -> EntryAttributes:
        found = path.stat()
        entry = EntryAttributes()
        entry.st_ino = InodeT(self._inodes[path])
        entry.st_mode = stat.S_IFMT(found.st_mode) | 0o555
        entry.st_nlink = found.st_nlink
        entry.st_uid, entry.st_gid = os.getuid(), os.getgid()
        entry.st_size = found.st_size
        entry.st_mtime_ns = entry.st_ctime_ns = entry.st_atime_ns = found.st_mtime_ns
        entry.entry_timeout = entry.attr_timeout = _FOR_EVER
        return entry


async def obey(operations: Passthrough, trouble: Trouble) -> None:
    """Carry out orders until there will be no more."""
    waiting = b""
    async with trio.lowlevel.FdStream(os.dup(0)) as orders:
        async for some in orders:
            *lines, waiting = (waiting + some).split(b"\n")
            for line in lines:
                trouble.order(json.loads(line))
                await trio.lowlevel.checkpoint()
                answer = {
                    "open": sorted(operations.open_files.values()),
                    "asked": operations.asked,
                }
                operations.asked = []
                sys.stdout.write(json.dumps(answer) + "\n")
                sys.stdout.flush()


def mount(place: Path) -> int:
    """Mount on *place*, for all users if we may say so, and return the device."""
    # Whoever mounted it, all may read it: it stands for a disc.
    allowed = ",allow_other" if os.getuid() == 0 else ""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        subprocess.run(
            ["fusermount3", "-o", f"ro,subtype=hanging{allowed}", "--", place],
            env={**os.environ, "_FUSE_COMMFD": str(theirs.fileno())},
            pass_fds=[theirs.fileno()],
            check=True,
        )
        _, (device,), _, _ = socket.recv_fds(ours, 1, 1)
    return device


async def serve(
    operations: Passthrough,
    trouble: Trouble,
    greeting: trio.CancelScope,
    handshake: Handshake,
) -> None:
    """Serve, and carry out orders."""
    with greeting:
        await pyfuse3.main()
    handshake.finish()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(obey, operations, trouble)
        await pyfuse3.main(max_tasks=1000)
        nursery.cancel_scope.cancel()


def main(folder: Path, place: Path) -> None:
    """Serve *folder* on *place* until it is unmounted."""
    greeting, trouble = trio.CancelScope(), Trouble()
    operations = Passthrough(folder, trouble, greeting)
    handshake = Handshake(mount(place))
    pyfuse3.init(operations, f"/dev/fd/{handshake.fd}", set())
    trio.run(serve, operations, trouble, greeting, handshake)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
