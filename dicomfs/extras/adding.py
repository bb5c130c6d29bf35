"""The one way to have extras in a tree."""

from typing import Final

from dicomfs.extras.beside import Extras
from dicomfs.extras.preview import Previews
from dicomfs.extras.readme import Readme
from dicomfs.source.pulse import DEADLINE
from dicomfs.tree.node import Once
from dicomfs.tree.tree import Tree

# Of the deadline, for counting what is on a medium.
_SHARE: Final = 3


def add_to(
    tree: Tree, deadline: float = DEADLINE, previews: Previews | None = None
) -> None:
    """Have extras made beside what records list, in every folder of *tree*.

    With *previews* there is a picture in each series.

    So that a folder is listed within *deadline* seconds, files that hang get less.
    """
    welcome = Once(Readme(tree, deadline / _SHARE))
    tree.beside = Extras(tree, deadline, welcome, previews)
