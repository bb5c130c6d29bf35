"""The one way to have the disc in good order beside a tree, or in its place."""

from collections.abc import Sequence
from functools import partial
from pathlib import PurePath
from typing import Final

from dicomfs.fileset.fileset import FileSet
from dicomfs.original import account
from dicomfs.original.fileids import FileIds
from dicomfs.original.folders import View
from dicomfs.original.rebuilt import Rebuilt, rebuilt
from dicomfs.printable import printable
from dicomfs.tree import naming
from dicomfs.tree.identity import ROOT_INODE, Position, inode
from dicomfs.tree.naming import Name
from dicomfs.tree.node import Fixed, FolderNode
from dicomfs.tree.tree import Tree

NAME: Final = "original"
PAGE: Final = "original.txt"

_OWN: Final = Position(NAME.encode(), 0)
_UNNAMED: Final = "disc"


class Original:
    """The File-sets of *tree* in good order: one as it is, of several a folder for each."""

    def __init__(self, tree: Tree, file_sets: Sequence[FileSet]) -> None:
        self._tree = tree
        self._file_sets = file_sets
        self._views: list[View] = []

    def beside(self, parent: FolderNode) -> FolderNode:
        """Return its folder in *parent*."""
        return self._folder(inode(_OWN, NAME, parent.inode), NAME, parent)

    def as_root(self) -> View | Fixed:
        """Return its folder as the root of a mount."""
        return self._folder(ROOT_INODE, "", None)

    def _folder(
        self, number: int, name: str, parent: FolderNode | None
    ) -> View | Fixed:
        mtime_ns = self._tree.root.mtime_ns
        if len(self._file_sets) == 1:
            [file_set] = self._file_sets
            rebuild = partial(_rebuilt, self._tree, file_set)
            self._views = [View(number, name, parent, mtime_ns, rebuild)]
            return self._views[0]
        made = Fixed(number, name, parent, mtime_ns)
        for file_set, called in zip(self._file_sets, self._names, strict=True):
            self._views.append(self._view(file_set, called, made))
        made.entries.update({view.name: view for view in self._views})
        return made

    def _view(self, file_set: FileSet, name: str, parent: Fixed) -> View:
        may_be_read = self._tree.headers.may_be_read
        number = inode(Position(file_set.identity, 0), NAME, parent.inode)

        def rebuild() -> Rebuilt:
            # What is joined in the tree of all is taken apart.
            own = Tree([file_set], read_headers=may_be_read)
            return _rebuilt(own, file_set)

        return View(number, name, parent, file_set.mtime_ns, rebuild)

    @property
    def _names(self) -> list[str]:
        """What the folder of each File-set is called: like its source."""
        return naming.distinct(
            [
                Name(naming.clean(PurePath(each.source).name) or _UNNAMED, "", keys)
                for each in self._file_sets
                for keys in [(each.identity.hex().encode(),)]
            ]
        )

    def page(self) -> bytes:
        """Return what is to be said of it, as text; raises OSError."""
        lines: list[str] = []
        sources = [printable(each.source) for each in self._file_sets]
        for view, source in zip(self._views, sources, strict=True):
            about = [f"{view.name} is {source}:"] if len(self._views) > 1 else []
            lines += [*about, *account.lines(view.rebuilt())]
        return "".join(f"{line}\n" for line in lines).encode()


def _rebuilt(tree: Tree, file_set: FileSet) -> Rebuilt:
    """Return *file_set*, the one of *tree*, rebuilt; raises OSError."""
    tree.completeness.settle()
    # A scan has made the File IDs up.
    return rebuilt(tree, FileIds(are_kept=bool(file_set.place)))
