"""What is in the tree and on no medium: the hidden folder ``.dicomfs`` with the report.

Another file or folder of our own is added here, as an entry of that folder.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from dicomfs.tree import report as reports
from dicomfs.tree.identity import ROOT_INODE, Position, inode
from dicomfs.tree.node import Fixed, FolderNode, Rendered
from dicomfs.tree.report import Report
from dicomfs.tree.tree import Tree

FOLDER: Final = ".dicomfs"

_FORMS: Final = {"report.json": reports.as_json, "report.txt": reports.as_text}
# Where nodes come from that no record is the reason for.
_OWN: Final = Position(FOLDER.encode(), 0)


def add_to(tree: Tree) -> None:
    """Put the folder into the root of *tree*, with a report that grows with its use."""
    tree.root.hidden = {FOLDER: folder(tree.root, partial(reports.of, tree))}


def folder(root: FolderNode, make_report: Callable[[], Report]) -> Fixed:
    """Return the folder for *root*, with a report that is made whenever it is read."""
    made = Fixed(inode(_OWN, "reports", ROOT_INODE), FOLDER, root, root.mtime_ns)
    for name, render in _FORMS.items():
        made.entries[name] = Rendered(
            inode(_OWN, name, made.inode),
            name,
            made,
            made.mtime_ns,
            partial(_bytes, render, make_report),
        )
    return made


def _bytes(render: Callable[[Report], str], make_report: Callable[[], Report]) -> bytes:
    return render(make_report()).encode()
