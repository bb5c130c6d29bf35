"""The tree as text and as JSON: for ``dicomfs tree``, without FUSE.

Everything is made line by line while the tree is walked, and none of it is kept.
"""

import json
from collections.abc import Iterator
from typing import Final

from dicomfs.catalogue.groups import Group, groups
from dicomfs.dicom.keywords import of_level
from dicomfs.dicom.types import Level
from dicomfs.tree.files import Files
from dicomfs.tree.node import FolderNode, Node
from dicomfs.tree.once import children_once, recorded_once
from dicomfs.tree.selection import Instance, Selection
from dicomfs.tree.told import NOTHING, Teller, Told

SCHEMA: Final = 2
DEEPEST: Final = 1000
"""No folder lies deeper than this."""

Json = dict[str, object]


# -- text ------------------------------------------------------------------------------


def lines(folder: FolderNode, depth: int = DEEPEST, indent: str = "") -> Iterator[str]:
    """Yield a line for each node below *folder*, drawn as a tree *depth* folders deep."""
    nodes = children_once(folder)
    if isinstance(nodes, Files):
        # All of them can be opened, and no node has to be made of any.
        *names, final = nodes
        yield from map(f"{indent}├── ".__add__, names)
        yield f"{indent}└── {final}"
        return
    for place, (name, node) in enumerate(nodes.items(), start=1):
        last = place == len(nodes)
        yield f"{indent}{'└── ' if last else '├── '}{name}{_remark(node)}"
        if node.is_folder and depth > 1:
            yield from lines(node, depth - 1, indent + ("    " if last else "│   "))


def _remark(node: Node) -> str:
    return "" if node.is_folder or not node.error else f"  [{node.reason}]"


# -- JSON ------------------------------------------------------------------------------


def as_json(root: Selection, depth: int = DEEPEST) -> Iterator[str]:
    """Yield the lines of one JSON object that has all below *root*, *depth* folders deep.

    Each node has a line of its own.
    """
    yield f'{{"schema": {SCHEMA}, "entries": ['
    yield from _entries(root, NOTHING, depth, Teller())
    yield "]}"


def _entries(
    folder: Selection, told: Told, depth: int, teller: Teller, indent: str = " "
) -> Iterator[str]:
    nodes = recorded_once(folder)
    for place, node in enumerate(nodes, start=1):
        comma = "," if place < len(nodes) else ""
        if not node.is_folder:
            yield f"{indent}{_dumped(_file(node, told, teller))}{comma}"
            continue
        below = teller.of_folder(node, told)
        entry = _dumped(_folder(node, below))
        if depth == 1:
            yield f"{indent}{entry}{comma}"
            continue
        yield f'{indent}{entry[:-1]}, "entries": ['
        yield from _entries(node, below, depth - 1, teller, indent + " ")
        yield f"{indent}]}}{comma}"


def studies_as_json(root: Selection) -> Iterator[str]:
    """Yield a line for each study below *root*: a JSON object with what is below it.

    What belongs to no study is in a line for the folder that it is in.
    """
    teller = Teller()
    for group in groups(root, Level.STUDY, teller):
        yield _dumped(_of_group(group, teller))


def _of_group(group: Group, teller: Teller) -> Json:
    whole: Json = {"schema": SCHEMA}
    # Folders that were met, and are looked into later.
    waiting: dict[Selection, Json] = {}
    below: list[Json] = []
    for step in group:
        entry = waiting.pop(step.folder, whole)
        if entry is whole:
            whole["path"] = "/".join(step.folder.path)
            whole |= _told(step.told, Level.PATIENT)
        entry |= _folder(step.folder, step.told)
        entry["entries"] = below = []
        for node in step.nodes:
            if node.is_folder:
                below.append(waiting.setdefault(node, {}))
            else:
                below.append(_file(node, step.told, teller))
    if waiting:
        # They are in lines of their own.
        whole["entries"] = [each for each in below if each]
    return whole


def _folder(folder: Selection, told: Told) -> Json:
    return {
        "name": folder.name,
        "type": "folder",
        "level": folder.level.name.lower(),
        **_told(told, folder.level),
        "inode": str(folder.inode),
        "mtime_ns": folder.mtime_ns,
        "source": folder.sources,
    }


def _file(file: Instance, told: Told, teller: Teller) -> Json:
    return {
        "name": file.name,
        "type": "file",
        **_told(teller.of_file(file, told), Level.INSTANCE),
        "size": file.size,
        "inode": str(file.inode),
        "mtime_ns": file.mtime_ns,
        "source": file.sources,
        "source_path": file.source_path or None,
        "error": file.reason or None,
    }


def _told(told: Told, level: Level) -> Json:
    return {each.name: told.value(each) for each in of_level(level)}


def _dumped(entry: Json) -> str:
    return json.dumps(entry, ensure_ascii=False)
