"""The tree as text: for ``dicomfs tree``, without FUSE."""

import json
from collections.abc import Iterator

from dicomfs.tree.node import FileNode, FolderNode, Node

SCHEMA = 1

Json = dict[str, object]


def lines(folder: FolderNode, indent: str = "") -> Iterator[str]:
    """Yield a line for each node below *folder*, drawn as a tree."""
    nodes = _children(folder)
    for place, node in enumerate(nodes, start=1):
        last = place == len(nodes)
        yield f"{indent}{'└── ' if last else '├── '}{node.name}{_remark(node)}"
        if node.is_folder:
            yield from lines(node, indent + ("    " if last else "│   "))


def as_json(root: FolderNode) -> str:
    """Return all that is below *root* as one JSON object."""
    return json.dumps(
        {"schema": SCHEMA, "entries": _entries(root)}, ensure_ascii=False, indent=1
    )


def _children(folder: FolderNode) -> list[Node]:
    """Return what is in *folder*, which nobody will ask again."""
    nodes = [*folder.children().values()]
    folder.forget()
    return nodes


def _entries(folder: FolderNode) -> list[Json]:
    return [_entry(node) for node in _children(folder)]


def _entry(node: Node) -> Json:
    common: Json = {"name": node.name, "inode": node.inode, "mtime_ns": node.mtime_ns}
    if node.is_folder:
        return {**common, "type": "folder", "entries": _entries(node)}
    return {**common, "type": "file", "size": node.size, **_error(node)}


def _error(file: FileNode) -> Json:
    return {"error": file.reason} if file.error else {}


def _remark(node: Node) -> str:
    return "" if node.is_folder or not node.error else f"  [{node.reason}]"
