"""What the kernel is told of a node: its attributes, and how long it may keep them."""

import stat
from typing import Final, NamedTuple

from pyfuse3 import EntryAttributes, InodeT, ModeT

from dicomfs.tree.node import Node

# Nothing in the tree changes but what the kernel is told of, so it may keep the rest.
TIMEOUT: Final = 24 * 3600.0
FOLDER_MODE: Final = stat.S_IFDIR | 0o777
LINK_MODE: Final = stat.S_IFLNK | 0o777
FILE_MODE: Final = stat.S_IFREG | 0o666
_SECTOR: Final = 512


class Ownership(NamedTuple):
    """Whose the files are shown to be, and which permission bits are taken away."""

    uid: int
    gid: int
    umask: int


def blank(ownership: Ownership, mode: int) -> EntryAttributes:
    """Return what the attributes of all nodes of one *mode* have in common."""
    entry = EntryAttributes()
    entry.entry_timeout = entry.attr_timeout = TIMEOUT
    entry.st_uid, entry.st_gid, umask = ownership
    entry.st_mode = ModeT(mode & ~umask)
    entry.st_nlink = 2
    return entry


def fill(entry: EntryAttributes, node: Node) -> None:
    """Fill in what is known of *node* without asking it to compute anything."""
    entry.st_ino = InodeT(node.inode)
    fill_times(entry, node.mtime_ns)
    if node.is_folder:
        return
    entry.st_nlink = node.links
    if node.is_fixed:
        fill_size(entry, node.size)


def fill_times(entry: EntryAttributes, mtime_ns: int) -> None:
    """Fill in the one time that a node has."""
    entry.st_atime_ns = entry.st_mtime_ns = entry.st_ctime_ns = mtime_ns


def fill_size(entry: EntryAttributes, size: int) -> None:
    """Fill in how large a file of *size* bytes is."""
    entry.st_size = size
    entry.st_blocks = -(-size // _SECTOR)
