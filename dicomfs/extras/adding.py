"""The one way to have extras in a tree."""

from dicomfs.extras.beside import Extras
from dicomfs.tree.tree import Tree


def add_to(tree: Tree) -> None:
    """Have extras made beside what records list, in every folder of *tree*."""
    tree.beside = Extras()
