"""A slow drive: a FUSE passthrough that serves a folder as an optical drive would.

    python -m scripts.benchmark.drive REPORT FOLDER MOUNTPOINT

The folder is laid out on a disc that exists only in numbers: first the folders, then
the DICOMDIR, then all other files in the order of their paths, which is that of their
File IDs. There is one head. What does not begin in the sector where the last transfer
ended costs a seek, and each sector costs its share of a second.

Why so, and not a block device with a delay:

* It is exact. One task serves one request at a time, in the order in which the kernel
  queued them, so both sides of a comparison pay for the same things; the number of
  seeks and bytes is written to REPORT and can be compared too.
* Only here the physical order is known, without depending on what a file system makes
  of an image. A block device would need a file system that the kernel may not have.
* FUSE, as isofs and udf, has no RWF_NOWAIT, so the same code of dicomfs runs.
* The page cache and the kernel's read-ahead above it are real. A folder is paid for
  when something in it is first asked for, and known then, as with a disc.

What it leaves out: the drive's own buffer, and that short seeks are shorter.
"""

import errno
import functools
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyfuse3
import trio
from pyfuse3 import (
    EntryAttributes,
    FileHandleT,
    FileInfo,
    FileNameT,
    FlagT,
    InodeT,
    ModeT,
    ReaddirToken,
    RequestContext,
    StatvfsData,
)

SEEK_SECONDS: Final = 0.05
BYTES_PER_SECOND: Final = 10e6

_SECTOR: Final = 2048
_DIRECTORY_RECORD: Final = 48  # bytes that an entry takes in a folder, about
_FOR_EVER: Final = 3600.0


class Head:
    """Where the drive reads, and what it has done."""

    def __init__(self) -> None:
        self.position = 0
        self.seeks = 0
        self.sectors = 0

    async def read(self, first: int, sectors: int) -> None:
        """Take as long as it takes to read *sectors* from sector *first* on."""
        seconds = sectors * _SECTOR / BYTES_PER_SECOND
        if first != self.position:
            self.seeks += 1
            seconds += SEEK_SECONDS
        self.sectors += sectors
        self.position = first + sectors
        await trio.sleep(seconds)


@dataclass(slots=True)
class Node:
    """A file or folder, and where on the disc it begins."""

    path: Path
    inode: InodeT
    status: os.stat_result
    above: "Node | None"
    below: "dict[bytes, Node] | None" = None
    first: int = 0
    is_read: bool = False

    @property
    def sectors(self) -> int:
        """How many sectors it takes."""
        size = self.status.st_size
        if self.below is not None:
            size = _DIRECTORY_RECORD * (len(self.below) + 2)
        return -(-size // _SECTOR)


def load(path: Path, above: Node | None, nodes: list[Node]) -> Node:
    """Return the node of *path* with all below it, each added to *nodes*."""
    node = Node(path, InodeT(len(nodes) + pyfuse3.ROOT_INODE), path.stat(), above)
    nodes.append(node)
    if path.is_dir():
        node.below = {
            os.fsencode(each.name): load(each, node, nodes)
            for each in sorted(path.iterdir())
        }
    return node


def lay_out(root: Node, nodes: list[Node]) -> None:
    """Say where on the disc each of *nodes* is."""

    def order(node: Node) -> tuple[bool, bool, Path]:
        return node.below is None, node.above is not root, node.path

    at = 1
    for node in sorted(nodes, key=order):
        node.first = at
        at += node.sectors


class Drive(pyfuse3.Operations):
    """The requests of the kernel."""

    def __init__(self, folder: Path, head: Head) -> None:
        super().__init__()
        self._head = head
        self._nodes: list[Node] = []
        self._nodes_by_fd: dict[int, Node] = {}
        lay_out(load(folder, None, self._nodes), self._nodes)

    def _node(self, inode: int) -> Node:
        return self._nodes[inode - pyfuse3.ROOT_INODE]

    async def _entries(self, inode: InodeT) -> dict[bytes, Node]:
        """Return what is in a folder, read from the disc the first time."""
        folder = self._node(inode)
        if folder.below is None:
            raise pyfuse3.FUSEError(errno.ENOTDIR)
        if not folder.is_read:
            folder.is_read = True
            await self._head.read(folder.first, folder.sectors)
        return folder.below

    async def lookup(
        self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        """Return what is called *name*."""
        found = (await self._entries(parent_inode)).get(name)
        if found is None:
            raise pyfuse3.FUSEError(errno.ENOENT)
        return _attributes(found)

    async def getattr(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes:
        """Return the attributes, which stand in the folder above."""
        return _attributes(self._node(inode))

    async def opendir(self, inode: InodeT, ctx: RequestContext) -> FileHandleT:
        """Open a folder."""
        return FileHandleT(inode)

    async def readdir(
        self, fh: FileHandleT, start_id: int, token: ReaddirToken
    ) -> None:
        """List a folder in the order of its names, as isofs does."""
        entries = list((await self._entries(InodeT(fh))).items())
        for place, (name, node) in enumerate(entries[start_id:], start_id + 1):
            attributes = _attributes(node)
            if not pyfuse3.readdir_reply(token, FileNameT(name), attributes, place):
                return

    async def open(self, inode: InodeT, flags: FlagT, ctx: RequestContext) -> FileInfo:
        """Open a file."""
        fd = os.open(self._node(inode).path, os.O_RDONLY)
        self._nodes_by_fd[fd] = self._node(inode)
        return FileInfo(fh=FileHandleT(fd), keep_cache=True)

    async def read(self, fh: FileHandleT, off: int, size: int) -> bytes:
        """Return bytes of a file, when the head has passed over them."""
        data = os.pread(fh, size, off)
        first = off // _SECTOR
        end = -(-(off + len(data)) // _SECTOR)
        if data:
            await self._head.read(self._nodes_by_fd[fh].first + first, end - first)
        return data

    async def release(self, fh: FileHandleT) -> None:
        """Close a file."""
        del self._nodes_by_fd[fh]
        os.close(fh)

    async def statfs(self, ctx: RequestContext) -> StatvfsData:
        """Return the size of the disc."""
        status = StatvfsData()
        status.f_bsize = status.f_frsize = _SECTOR
        status.f_blocks = sum(node.sectors for node in self._nodes)
        status.f_namemax = 255
        return status


def _attributes(node: Node) -> EntryAttributes:
    entry = EntryAttributes()
    entry.st_ino = node.inode
    entry.st_mode = ModeT(node.status.st_mode)
    entry.st_nlink = node.status.st_nlink
    entry.st_uid, entry.st_gid = os.getuid(), os.getgid()
    entry.st_size = node.status.st_size
    entry.st_blocks = -(-node.status.st_size // 512)
    entry.st_mtime_ns = entry.st_ctime_ns = entry.st_atime_ns = node.status.st_mtime_ns
    entry.entry_timeout = entry.attr_timeout = _FOR_EVER
    return entry


def main(report: Path, folder: Path, mountpoint: Path) -> None:
    """Serve *folder* on *mountpoint* until it is unmounted; then write the *report*."""
    head = Head()
    options = {*pyfuse3.default_options, "fsname=slow-drive", "ro"}
    options.discard("default_permissions")
    pyfuse3.init(Drive(folder, head), str(mountpoint), options)
    # One task: what the kernel asks for first is read first.
    trio.run(functools.partial(pyfuse3.main, min_tasks=1, max_tasks=1))
    pyfuse3.close(unmount=True)
    done = {"seeks": head.seeks, "bytes": head.sectors * _SECTOR}
    report.write_text(json.dumps(done))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
