"""Looking into folders one after the other, without keeping what is in all of them."""

from collections.abc import Mapping

from dicomfs.tree.node import FolderNode, Node
from dicomfs.tree.selection import Instance, Selection


def recorded_once(folder: Selection) -> list[Instance | Selection]:
    """Return what records list in *folder*, and keep it no longer than before."""
    nodes = children_once(folder).values()
    return [each for each in nodes if isinstance(each, Instance | Selection)]


def children_once(folder: FolderNode) -> Mapping[str, Node]:
    """Return what is in *folder*, by name, and keep it no longer than it was kept."""
    is_kept = folder.children_cached() is not None
    children = folder.children()
    if not is_kept:
        folder.forget()
    return children
