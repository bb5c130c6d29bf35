"""The one way to have extras in a tree."""

from typing import Final

from dicomfs.extras.beside import Extras
from dicomfs.extras.readme import Readme
from dicomfs.source.pulse import DEADLINE
from dicomfs.tree.node import Once
from dicomfs.tree.tree import Tree

# Of the deadline, for counting what is on a medium.
_SHARE: Final = 3


def add_to(tree: Tree, deadline: float = DEADLINE) -> None:
    """Have extras made beside what records list, in every folder of *tree*.

    So that a folder is listed within *deadline* seconds, files that hang get less.
    """
    welcome = Once(Readme(tree, deadline / _SHARE))
    tree.beside = Extras(tree, deadline, welcome)
