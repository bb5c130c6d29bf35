"""The translation between the tree and FUSE: inodes, attributes, errno. Nothing else.

Every handler runs inside one guard; see ``guard``.
"""

import errno
import functools
import logging
import os
from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple, NoReturn, cast

import pyfuse3
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
    XAttrNameT,
)

from dicomfs import logs
from dicomfs.media.medium import Capacity
from dicomfs.mount import xattrs
from dicomfs.mount.entries import (
    FILE_MODE,
    FOLDER_MODE,
    LINK_MODE,
    TIMEOUT,
    Ownership,
    blank,
    fill,
    fill_size,
    fill_times,
)
from dicomfs.mount.guard import Guarded, guarded
from dicomfs.mount.lookups import Lookups
from dicomfs.mount.pictures import Pictures
from dicomfs.mount.scheduler import Scheduler
from dicomfs.pictures import thumbnail
from dicomfs.pictures.repository import Shelf
from dicomfs.source.source import Source
from dicomfs.tree.files import Files
from dicomfs.tree.node import FolderNode, Link, Node

log = logging.getLogger(__name__)

_MAX_NAME: Final = 255


class _Opened(NamedTuple):
    """A folder that was opened, and what was in it then."""

    folder: FolderNode
    names: Sequence[str]
    nodes: Sequence[Node] | Files


class Operations(Guarded, pyfuse3.Operations):
    """The handlers of a read-only file system that shows the tree of *scheduler*."""

    supports_dot_lookup = True
    enable_writeback_cache = False

    def __init__(
        self,
        scheduler: Scheduler,
        ownership: Ownership,
        room: Capacity,
        on_init: Callable[[], None] = lambda: None,
        pictures: Pictures | None = None,
    ) -> None:
        super().__init__()
        self._scheduler = scheduler
        self._ownership = ownership
        self._room = room
        self._on_init = on_init
        self._pictures = pictures
        self._lookups = Lookups()
        self._lookups.add(scheduler.root)
        self._sources: dict[int, Source] = {}
        self._opened: dict[int, _Opened] = {}
        self._last_handle = 0
        scheduler.on_change = self._tell_kernel

    def init(self) -> None:
        """Say that the kernel has begun to talk to us."""
        self._on_init()

    # -- nodes ---------------------------------------------------------------

    @guarded
    async def lookup(
        self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        """Find *name* in a folder; what is not there is cached as not being there."""
        if len(name) > _MAX_NAME:
            raise pyfuse3.FUSEError(errno.ENAMETOOLONG)
        node = await self._find(self._folder(parent_inode), name)
        if node is None:
            absent = EntryAttributes()
            absent.entry_timeout = TIMEOUT
            return absent
        if not self._lookups.is_free(node):
            self._refuse(node)
        self._lookups.add(node)
        return await self._attributes(node)

    async def _find(self, folder: FolderNode, name: bytes) -> Node | None:
        if name == b".":
            return folder
        if name == b"..":
            return folder.parent or folder
        # UTF-8 whatever the locale is; no name of ours is anything else.
        text = name.decode("utf-8", "replace")
        if self._pictures is not None:
            if isinstance(folder, Shelf):
                return await self._pictures.look_up(folder, text)
            if (shared := self._pictures.shared_in(folder, text)) is not None:
                return shared
        return await self._scheduler.lookup(folder, text)

    @guarded
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
        except Exception as error:  # noqa: BLE001 - see guard
            logs.unforeseen(log, "forget", error)

    def _forget(self, inode: int, count: int) -> None:
        node = self._lookups.forget(inode, count)
        if node is not None and node.is_folder:
            node.forget()

    # -- folders -------------------------------------------------------------

    @guarded
    async def opendir(self, inode: InodeT, ctx: RequestContext) -> FileHandleT:
        """Open a folder: what is in it now is what this handle will list."""
        folder = self._folder(inode)
        children = await self._scheduler.children(folder)
        handle = self._new_handle()
        if isinstance(children, Files):
            self._opened[handle] = _Opened(folder, (), children)
        else:
            names, nodes = [*children], [*children.values()]
            self._opened[handle] = _Opened(folder, names, nodes)
        return handle

    @guarded
    async def readdir(
        self, fh: FileHandleT, start_id: int, token: ReaddirToken
    ) -> None:
        """List a folder from entry *start_id* on; the first two are ``.`` and ``..``."""
        folder, names, nodes = self._opened[fh]
        dots = ((b".", folder), (b"..", folder.parent or folder))
        for place, (name, dot) in enumerate(dots, start=1):
            if place > start_id and not pyfuse3.readdir_reply(
                token, FileNameT(name), await self._attributes(dot), place
            ):
                return
        if isinstance(nodes, Files):
            self._list_files(folder, nodes, max(start_id - 2, 0), token)
            return
        file_entry = blank(self._ownership, FILE_MODE)
        folder_entry = blank(self._ownership, FOLDER_MODE)
        now = folder.children_cached()
        for place in range(max(start_id - 2, 0), len(nodes)):
            node = nodes[place]
            if not self._lookups.is_free(node):
                self._refuse(node)
            if node.is_folder or node.is_fixed:
                entry = folder_entry if node.is_folder else file_entry
                fill(entry, node)
                # Links were mended since the folder was opened: that is not to be kept.
                is_there = now is None or names[place] in now
                entry.entry_timeout = TIMEOUT if is_there else 0
            else:
                entry = await self._attributes(node)
            # Not its own: a file may be in several folders, and has one name of its own.
            name = FileNameT(names[place].encode())
            if not pyfuse3.readdir_reply(token, name, entry, place + 3):
                return
            # Each entry but those two counts as a lookup by the kernel.
            self._lookups.add(node)

    def _list_files(
        self, folder: FolderNode, files: Files, start: int, token: ReaddirToken
    ) -> None:
        """List *files* from number *start* on, without making a node of any.

        This is gone through for every file of a medium: nothing is called in vain.
        """
        listed = self._lookups.listed(files)
        if listed is None:
            self._refuse(folder)
        now = folder.children_cached()
        node_with, reply = listed.node_with, pyfuse3.readdir_reply
        entry = blank(self._ownership, FILE_MODE)
        entry.st_nlink = 1
        # As it is in an entry that nothing was filled in.
        last_size = last_time = 0
        place = start
        for place, (name, inode, size, mtime_ns) in enumerate(
            files.shown(start), start
        ):
            known = node_with(inode)
            if known is not None and not listed.is_free(place, known):
                self._refuse(known)
            entry.st_ino = inode
            # Most are as large, or as old, as the one before.
            if size != last_size:
                fill_size(entry, last_size := size)
            if mtime_ns != last_time:
                fill_times(entry, last_time := mtime_ns)
            if now is not None and now is not files:
                # Links were mended since the folder was opened: see ``readdir``.
                entry.entry_timeout = TIMEOUT if name.decode() in now else 0
            if not reply(token, name, entry, place + 3):
                break
        else:
            place = len(files)
        listed.add(range(start, place))

    @guarded
    async def releasedir(self, fh: FileHandleT) -> None:
        """Close a folder."""
        del self._opened[fh]

    # -- files ---------------------------------------------------------------

    @guarded
    async def readlink(self, inode: InodeT, ctx: RequestContext) -> FileNameT:
        """Return where a symbolic link leads."""
        node = self._node(inode)
        if not isinstance(node, Link):
            raise pyfuse3.FUSEError(errno.EINVAL)
        return FileNameT(node.target.encode())

    @guarded
    async def open(self, inode: InodeT, flags: FlagT, ctx: RequestContext) -> FileInfo:
        """Open a file for reading."""
        if flags & os.O_ACCMODE != os.O_RDONLY:
            raise pyfuse3.FUSEError(errno.EROFS)
        node = self._node(inode)
        if node.is_folder:
            raise pyfuse3.FUSEError(errno.EISDIR)
        handle = self._new_handle()
        source = self._sources[handle] = await self._scheduler.open(node)
        if node.is_fixed and not source.is_stand_in:
            return FileInfo(fh=handle, keep_cache=not source.is_renewed)
        # It grows while the mount is used: what is read is what it is now. Or it is read
        # in place of another file, of which the kernel may have kept something.
        return FileInfo(fh=handle, direct_io=True)

    @guarded
    async def read(self, fh: FileHandleT, off: int, size: int) -> bytes:
        """Return exactly *size* bytes, fewer only where the file ends."""
        data = await self._scheduler.read(self._sources[fh], off, size)
        # pyfuse3 takes any buffer, and has sent it on before anything else is awaited.
        return cast(bytes, data)

    @guarded
    async def release(self, fh: FileHandleT) -> None:
        """Close a file."""
        self._scheduler.close(self._sources.pop(fh))

    # -- the rest ------------------------------------------------------------

    @guarded
    async def statfs(self, ctx: RequestContext) -> StatvfsData:
        """Return the size of the medium; nothing is free on it."""
        status = StatvfsData()
        status.f_bsize = status.f_frsize = self._room.block
        status.f_blocks = self._room.blocks
        status.f_namemax = _MAX_NAME
        return status

    @guarded
    async def getxattr(
        self, inode: InodeT, name: XAttrNameT, ctx: RequestContext
    ) -> bytes:
        """Return an attribute of those that ``xattrs`` knows.

        There is no ``listxattr``: the kernel asks once, and answers ``cp -a`` by itself
        from then on. Who wants one knows its name.
        """
        # ENODATA here would make ls ask for the same attribute of every file.
        if not name.startswith(b"user."):
            raise pyfuse3.FUSEError(errno.EOPNOTSUPP)
        node = self._node(inode)
        if name == thumbnail.NAME and self._pictures is not None:
            value = await self._pictures.thumbnail(node)
        elif not xattrs.is_known(name):
            raise pyfuse3.FUSEError(pyfuse3.ENOATTR)
        elif xattrs.is_at_hand(name):
            value = xattrs.value(node, name)
        else:
            value = await self._scheduler.read_records(
                functools.partial(xattrs.value, node, name)
            )
        if not value:
            raise pyfuse3.FUSEError(pyfuse3.ENOATTR)
        return value

    # -- helpers -------------------------------------------------------------

    def _node(self, inode: int) -> Node:
        node = self._lookups.get(inode)
        if node is None:
            raise pyfuse3.FUSEError(errno.ENOENT)
        return node

    def _folder(self, inode: int) -> FolderNode:
        node = self._node(inode)
        if not node.is_folder:
            raise pyfuse3.FUSEError(errno.ENOTDIR)
        return node

    def _refuse(self, node: Node) -> NoReturn:
        """Answer that *node* cannot be told apart from another."""
        log.error("two nodes have the inode number %d", node.inode)
        raise pyfuse3.FUSEError(errno.EIO)

    def _new_handle(self) -> FileHandleT:
        self._last_handle += 1
        return FileHandleT(self._last_handle)

    def _tell_kernel(self, folder: FolderNode, names: Collection[str]) -> None:
        """Have the kernel ask anew for *names*, which are there no more, or only now."""
        for name in names:
            pyfuse3.invalidate_entry_async(
                InodeT(folder.inode), FileNameT(name.encode()), ignore_enoent=True
            )

    # -- attributes ----------------------------------------------------------

    async def _attributes(self, node: Node) -> EntryAttributes:
        mode = FOLDER_MODE if node.is_folder else FILE_MODE
        entry = blank(self._ownership, LINK_MODE if isinstance(node, Link) else mode)
        fill(entry, node)
        if not node.is_folder and not node.is_fixed:
            fill_size(entry, await self._scheduler.size(node))
            entry.entry_timeout = entry.attr_timeout = 0
        return entry
