"""What is in the tree and on no medium: the hidden folder ``.dicomfs`` with the report.

Another file or folder of our own is added here, as an entry of that folder. Beside it lies
what file managers look for in the root.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final, Protocol

from dicomfs.tree import report as reports
from dicomfs.tree import volume
from dicomfs.tree.identity import ROOT_INODE, Position, inode
from dicomfs.tree.node import Compiled, Fixed, FolderNode, Node, Rendered
from dicomfs.tree.report import Report
from dicomfs.tree.tree import Tree

FOLDER: Final = ".dicomfs"

# What makes the bytes of a file when it is opened, by its name.
Compilers = Mapping[str, Callable[[], bytes]]
NO_MORE: Final[Compilers] = MappingProxyType({})

_FORMS: Final = {"report.json": reports.as_json, "report.txt": reports.as_text}
# Where nodes come from that no record is the reason for.
_OWN: Final = Position(FOLDER.encode(), 0)


class Root(FolderNode, Protocol):
    """A folder in which something can be hidden."""

    hidden: Mapping[str, Node]


def add_to(
    tree: Tree,
    more: Compilers = NO_MORE,
    title: str = "",
    root: Root | None = None,
) -> Fixed:
    """Put the folder into the root of *tree*, with a report that grows with its use.

    There are *more* files in it, by their names. Side bars call the mount by its *title*.
    If another *root* is shown in place of the tree's, it is put there. Return the folder.
    """
    root = root or tree.root
    made = folder(root, partial(reports.of, tree), more)
    number = inode(_OWN, volume.FILE, ROOT_INODE)
    told = volume.info(title)
    info = Rendered(number, volume.FILE, root, root.mtime_ns, lambda: told)
    root.hidden = {FOLDER: made, volume.FILE: info}
    return made


def folder(
    root: FolderNode, make_report: Callable[[], Report], more: Compilers = NO_MORE
) -> Fixed:
    """Return the folder for *root*, with a report that is made whenever it is read."""
    made = Fixed(inode(_OWN, "reports", ROOT_INODE), FOLDER, root, root.mtime_ns)
    files: dict[str, Node] = {}
    for name, render in _FORMS.items():
        number = inode(_OWN, name, made.inode)
        data = partial(_bytes, render, make_report)
        files[name] = Rendered(number, name, made, made.mtime_ns, data)
    for name, compiler in more.items():
        number = inode(_OWN, name, made.inode)
        files[name] = Compiled(number, name, made, made.mtime_ns, compiler)
    made.entries.update(sorted(files.items()))
    return made


def _bytes(render: Callable[[Report], str], make_report: Callable[[], Report]) -> bytes:
    return render(make_report()).encode()
