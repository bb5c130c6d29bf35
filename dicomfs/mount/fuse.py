"""The translation between the tree and FUSE: inodes, attributes, errno. Nothing else.

Every handler runs inside one guard, as pyfuse3 ends the whole mount at the first
exception that is no FUSEError.
"""

import errno
import functools
import logging
import os
import stat
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, TypeVar, cast

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
    XAttrNameT,
)

from dicomfs import logs
from dicomfs.dicom.types import Level
from dicomfs.errors import DicomfsError
from dicomfs.media.medium import Capacity
from dicomfs.mount.scheduler import Scheduler
from dicomfs.source.source import BytesSource, Source
from dicomfs.tree import report as reports
from dicomfs.tree.identity import ROOT_INODE, Position, inode
from dicomfs.tree.node import Instance, Node, Selection

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

ERROR_XATTR: Final = b"user.dicomfs.error"
# In the root, but not in its listing: nobody copies it along with the patients.
REPORT_FOLDER: Final = b".dicomfs"
_FORMS: Final = {"report.json": reports.as_json, "report.txt": reports.as_text}
# Where nodes come from that no record is the reason for.
_OWN: Final = Position(REPORT_FOLDER, 0)

# Nothing in the tree changes but what the kernel is told of, so it may keep the rest.
_TIMEOUT: Final = 24 * 3600.0
_MAX_NAME: Final = 255
_SECTOR: Final = 512
_FOLDER_MODE: Final = stat.S_IFDIR | 0o777
_FILE_MODE: Final = stat.S_IFREG | 0o666


class Ownership(NamedTuple):
    """Whose the files are shown to be, and which permission bits are taken away."""

    uid: int
    gid: int
    umask: int


@dataclass(slots=True, eq=False)
class Report:
    """A file of the mount's own, whose bytes are made when they are asked for."""

    inode: int
    name: str
    parent: Selection
    mtime_ns: int
    render: Callable[[], bytes]
    lookups: int = 0

    def is_same(self, other: object) -> bool:
        """Whether *other* is this very file."""
        return other is self


_Shown = Node | Report


def _guarded(
    handler: Callable[Concatenate["Operations", P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate["Operations", P], Coroutine[Any, Any, R]]:
    """Let nothing but FUSEError out of *handler*.

    What dicomfs did not foresee is logged by type and place only: messages of others
    may quote what they choked on, and that may be a name.
    """

    @functools.wraps(handler)
    async def guarded(self: "Operations", /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await handler(self, *args, **kwargs)
        except pyfuse3.FUSEError:
            raise
        except OSError as error:
            raise pyfuse3.FUSEError(error.errno or errno.EIO) from error
        except (DicomfsError, trio.TooSlowError) as error:
            log.warning("%s failed: %s", handler.__name__, type(error).__name__)
            raise pyfuse3.FUSEError(errno.EIO) from error
        except Exception as error:
            logs.unforeseen(log, handler.__name__, error)
            raise pyfuse3.FUSEError(errno.EIO) from error

    return guarded


class Operations(pyfuse3.Operations):
    """The handlers of a read-only file system that shows the tree of *scheduler*."""

    supports_dot_lookup = True
    enable_writeback_cache = False

    def __init__(
        self,
        scheduler: Scheduler,
        ownership: Ownership,
        room: Capacity,
        make_report: Callable[[], reports.Report],
        on_init: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self._scheduler = scheduler
        self._ownership = ownership
        self._room = room
        self._on_init = on_init
        # What the kernel knows; each counts how often it was told (see ``forget``).
        self._nodes: dict[int, _Shown] = {}
        self._remember(scheduler.root)
        self._sources: dict[int, Source] = {}
        self._opened: dict[int, tuple[Selection, list[_Shown]]] = {}
        self._last_handle = 0
        self._report_folder = _report_folder(scheduler.root)
        self._reports = _reports(self._report_folder, make_report)
        scheduler.on_change = self._tell_kernel

    def init(self) -> None:
        """Say that the kernel has begun to talk to us."""
        self._on_init()

    # -- nodes ---------------------------------------------------------------

    @_guarded
    async def lookup(
        self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        """Find *name* in a folder; what is not there is cached as not being there."""
        if len(name) > _MAX_NAME:
            raise pyfuse3.FUSEError(errno.ENAMETOOLONG)
        node = await self._find(self._folder(parent_inode), name)
        if node is None:
            absent = EntryAttributes()
            absent.entry_timeout = _TIMEOUT
            return absent
        self._check(node)
        self._remember(node)
        return await self._attributes(node)

    async def _find(self, folder: Selection, name: bytes) -> _Shown | None:
        if name == b".":
            return folder
        if name == b"..":
            return folder.parent or folder
        if folder is self._scheduler.root and name == REPORT_FOLDER:
            return self._report_folder
        # UTF-8 whatever the locale is; no name of ours is anything else.
        text = name.decode("utf-8", "replace")
        if folder is self._report_folder:
            return self._reports.get(text)
        return (await self._scheduler.listing(folder)).get(text)

    @_guarded
    async def getattr(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes:
        """Return the attributes of a node."""
        return await self._attributes(self._node(inode))

    async def forget(self, inode_list: Sequence[tuple[InodeT, int]]) -> None:
        """Forget nodes that the kernel has forgotten, and with folders their listing.

        Nobody waits for an answer, and not even a FUSEError may get out of here.
        """
        try:
            for inode, count in inode_list:
                self._forget(inode, count)
        except Exception as error:  # noqa: BLE001 - see _guarded
            logs.unforeseen(log, "forget", error)

    def _forget(self, inode: int, count: int) -> None:
        node = self._nodes.get(inode)
        if node is None:
            return
        node.lookups = max(node.lookups - count, 0)
        if node.lookups:
            return
        del self._nodes[inode]
        if isinstance(node, Selection) and node is not self._report_folder:
            self._scheduler.forget(node)

    # -- folders -------------------------------------------------------------

    @_guarded
    async def opendir(self, inode: InodeT, ctx: RequestContext) -> FileHandleT:
        """Open a folder: what is in it now is what this handle will list."""
        folder = self._folder(inode)
        nodes: Iterable[_Shown] = self._reports.values()
        if folder is not self._report_folder:
            nodes = (await self._scheduler.listing(folder)).values()
        handle = self._new_handle()
        self._opened[handle] = (folder, list(nodes))
        return handle

    @_guarded
    async def readdir(
        self, fh: FileHandleT, start_id: int, token: ReaddirToken
    ) -> None:
        """List a folder from entry *start_id* on; the first two are ``.`` and ``..``."""
        folder, nodes = self._opened[fh]
        dots = ((b".", folder), (b"..", folder.parent or folder))
        for place, (name, dot) in enumerate(dots, start=1):
            if place > start_id and not pyfuse3.readdir_reply(
                token, FileNameT(name), await self._attributes(dot), place
            ):
                return
        file_entry, folder_entry = self._blank(Instance), self._blank(Selection)
        for place in range(max(start_id - 2, 0), len(nodes)):
            node = nodes[place]
            self._check(node)
            if isinstance(node, Report):
                entry = await self._attributes(node)
            else:
                entry = file_entry if isinstance(node, Instance) else folder_entry
                _fill(entry, node)
                # Links were mended since the folder was opened: that is not to be kept.
                is_there = folder.listing is None or node.name in folder.listing
                entry.entry_timeout = _TIMEOUT if is_there else 0
            name = FileNameT(node.name.encode())
            if not pyfuse3.readdir_reply(token, name, entry, place + 3):
                return
            # Each entry but those two counts as a lookup by the kernel.
            self._remember(node)

    @_guarded
    async def releasedir(self, fh: FileHandleT) -> None:
        """Close a folder."""
        del self._opened[fh]

    # -- files ---------------------------------------------------------------

    @_guarded
    async def open(self, inode: InodeT, flags: FlagT, ctx: RequestContext) -> FileInfo:
        """Open a file for reading."""
        if flags & os.O_ACCMODE != os.O_RDONLY:
            raise pyfuse3.FUSEError(errno.EROFS)
        node = self._node(inode)
        if isinstance(node, Selection):
            raise pyfuse3.FUSEError(errno.EISDIR)
        handle = self._new_handle()
        if isinstance(node, Report):
            # It grows while the mount is used: what is read is what it is now.
            self._sources[handle] = BytesSource(
                await self._scheduler.compute(node.render)
            )
            return FileInfo(fh=handle, direct_io=True)
        self._sources[handle] = await self._scheduler.open(node)
        return FileInfo(fh=handle, keep_cache=True)

    @_guarded
    async def read(self, fh: FileHandleT, off: int, size: int) -> bytes:
        """Return exactly *size* bytes, fewer only where the file ends."""
        data = await self._scheduler.read(self._sources[fh], off, size)
        # pyfuse3 takes any buffer, and has sent it on before anything else is awaited.
        return cast(bytes, data)

    @_guarded
    async def release(self, fh: FileHandleT) -> None:
        """Close a file."""
        self._scheduler.close(self._sources.pop(fh))

    # -- the rest ------------------------------------------------------------

    @_guarded
    async def statfs(self, ctx: RequestContext) -> StatvfsData:
        """Return the size of the medium; nothing is free on it."""
        status = StatvfsData()
        status.f_bsize = status.f_frsize = self._room.block
        status.f_blocks = self._room.blocks
        status.f_namemax = _MAX_NAME
        return status

    @_guarded
    async def getxattr(
        self, inode: InodeT, name: XAttrNameT, ctx: RequestContext
    ) -> bytes:
        """Return why a file cannot be opened, if it cannot."""
        # ENODATA here would make ls ask for the same attribute of every file.
        if not name.startswith(b"user."):
            raise pyfuse3.FUSEError(errno.EOPNOTSUPP)
        reason = self._reason(inode)
        if name != ERROR_XATTR or not reason:
            raise pyfuse3.FUSEError(pyfuse3.ENOATTR)
        return reason

    @_guarded
    async def listxattr(
        self, inode: InodeT, ctx: RequestContext
    ) -> Sequence[XAttrNameT]:
        """Name the attribute that says why a file cannot be opened, if it cannot."""
        return [XAttrNameT(ERROR_XATTR)] if self._reason(inode) else []

    # -- helpers -------------------------------------------------------------

    def _node(self, inode: int) -> _Shown:
        node = self._nodes.get(inode)
        if node is None:
            raise pyfuse3.FUSEError(errno.ENOENT)
        return node

    def _folder(self, inode: int) -> Selection:
        node = self._node(inode)
        if not isinstance(node, Selection):
            raise pyfuse3.FUSEError(errno.ENOTDIR)
        return node

    def _check(self, node: _Shown) -> None:
        """See that the kernel knows no other node by this inode number.

        The numbers are hashes: should two ever be the same, neither may be taken for
        the other.
        """
        known = self._nodes.get(node.inode)
        if known is not None and known is not node and not known.is_same(node):
            log.error("two nodes have the inode number %d", node.inode)
            raise pyfuse3.FUSEError(errno.EIO)

    def _remember(self, node: _Shown) -> None:
        known = self._nodes.get(node.inode)
        if known is not node:
            # Listed anew, it is another object.
            node.lookups = 0 if known is None else known.lookups
            self._nodes[node.inode] = node
        node.lookups += 1

    def _reason(self, inode: int) -> bytes:
        node = self._node(inode)
        return node.reason.encode() if isinstance(node, Instance) else b""

    def _new_handle(self) -> FileHandleT:
        self._last_handle += 1
        return FileHandleT(self._last_handle)

    async def _attributes(self, node: _Shown) -> EntryAttributes:
        entry = self._blank(type(node))
        _fill(entry, node)
        if isinstance(node, Report):
            entry.st_size = len(await self._scheduler.compute(node.render))
            entry.entry_timeout = entry.attr_timeout = 0
        return entry

    def _tell_kernel(self, folder: Selection, name: str) -> None:
        """Have the kernel ask anew for *name*, which is there no more, or only now."""
        pyfuse3.invalidate_entry_async(
            InodeT(folder.inode), FileNameT(name.encode()), ignore_enoent=True
        )

    def _blank(self, kind: type[_Shown]) -> EntryAttributes:
        """Return what the attributes of all nodes of one *kind* have in common."""
        entry = EntryAttributes()
        entry.entry_timeout = entry.attr_timeout = _TIMEOUT
        entry.st_uid, entry.st_gid, umask = self._ownership
        mode = _FOLDER_MODE if kind is Selection else _FILE_MODE
        entry.st_mode = ModeT(mode & ~umask)
        entry.st_nlink = 2 if kind is Selection else 1
        return entry


def _fill(entry: EntryAttributes, node: _Shown) -> None:
    entry.st_ino = InodeT(node.inode)
    entry.st_atime_ns = entry.st_mtime_ns = entry.st_ctime_ns = node.mtime_ns
    if isinstance(node, Instance):
        entry.st_size = node.size
        entry.st_blocks = -(-node.size // _SECTOR)


def _report_folder(root: Selection) -> Selection:
    return Selection(
        inode=inode(_OWN, "reports", ROOT_INODE),
        name=REPORT_FOLDER.decode(),
        parent=root,
        mtime_ns=root.mtime_ns,
        level=Level.OTHER,
        parts=[],
    )


def _reports(
    folder: Selection, make: Callable[[], reports.Report]
) -> dict[str, Report]:
    """Return the report on the medium in its forms, as files of *folder*."""
    return {
        name: Report(
            inode=inode(_OWN, name, folder.inode),
            name=name,
            parent=folder,
            mtime_ns=folder.mtime_ns,
            render=functools.partial(_rendered, render, make),
        )
        for name, render in _FORMS.items()
    }


def _rendered(
    render: Callable[[reports.Report], str], make: Callable[[], reports.Report]
) -> bytes:
    return render(make()).encode()
