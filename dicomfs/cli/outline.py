"""The tree as text: for ``dicomfs tree``, without FUSE."""

import json
from collections.abc import Iterator

from dicomfs.tree.node import Instance, Node, Selection
from dicomfs.tree.tree import Tree

SCHEMA = 1

Json = dict[str, object]


def lines(tree: Tree, folder: Selection, indent: str = "") -> Iterator[str]:
    """Yield a line for each node below *folder*, drawn as a tree."""
    nodes = list(tree.expand(folder).values())
    for place, node in enumerate(nodes, start=1):
        last = place == len(nodes)
        yield f"{indent}{'└── ' if last else '├── '}{node.name}{_remark(node)}"
        if isinstance(node, Selection):
            yield from lines(tree, node, indent + ("    " if last else "│   "))


def as_json(tree: Tree) -> str:
    """Return the whole tree as one JSON object."""
    entries = _entries(tree, tree.root)
    return json.dumps(
        {"schema": SCHEMA, "entries": entries}, ensure_ascii=False, indent=1
    )


def _entries(tree: Tree, folder: Selection) -> list[Json]:
    return [_entry(tree, node) for node in tree.expand(folder).values()]


def _entry(tree: Tree, node: Node) -> Json:
    common: Json = {"name": node.name, "inode": node.inode, "mtime_ns": node.mtime_ns}
    if isinstance(node, Selection):
        return {**common, "type": "folder", "entries": _entries(tree, node)}
    return {**common, "type": "file", "size": node.size, **_error(node)}


def _error(file: Instance) -> Json:
    return {"error": file.reason} if file.error else {}


def _remark(node: Node) -> str:
    return f"  [{node.reason}]" if isinstance(node, Instance) and node.error else ""
