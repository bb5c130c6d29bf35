"""The one way to have extras in a tree."""

from dicomfs.extras.beside import Extras
from dicomfs.source.pulse import DEADLINE
from dicomfs.tree.tree import Tree


def add_to(tree: Tree, deadline: float = DEADLINE) -> None:
    """Have extras made beside what records list, in every folder of *tree*.

    So that a folder is listed within *deadline* seconds, files that hang get less.
    """
    tree.beside = Extras(deadline)
