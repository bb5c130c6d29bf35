"""The folders of a tree in the groups that rows of a catalogue are about.

A group is a patient, study or series with all that is below it. What belongs to none,
like a hanging protocol, makes a group of the folder that it is in: each file of a tree is
in one group.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final, NamedTuple

from dicomfs.dicom.types import Level
from dicomfs.tree.once import recorded_once
from dicomfs.tree.selection import Instance, Selection
from dicomfs.tree.told import NOTHING, Teller, Told


class Step(NamedTuple):
    """A *folder* that was looked into: what is *told* of it, and the *nodes* in it."""

    folder: Selection
    told: Told
    nodes: Sequence[Instance | Selection]

    @property
    def folders(self) -> list[Selection]:
        """The folders in it."""
        return [node for node in self.nodes if node.is_folder]

    @property
    def files(self) -> list[Instance]:
        """The files in it."""
        return [node for node in self.nodes if not node.is_folder]


class Share(NamedTuple):
    """Which groups are meant: of each *of* in a row the one with this *number*."""

    number: int
    of: int


ALL: Final = Share(0, 1)

Group = Iterator[Step]


def groups(
    root: Selection, level: Level, teller: Teller, share: Share = ALL
) -> Iterator[Group]:
    """Yield the groups on a *level* below *root*, each with its folders from the top down.

    The *teller* tells of them. Each is to be read to its end before the next one. Only
    folders that are needed for the *share* are looked into. Raises OSError if the medium
    cannot be read.
    """
    number = count()

    def is_mine() -> bool:
        return next(number) % share.of == share.number

    def below(folder: Selection, told: Told) -> Iterator[Group]:
        if folder.level is level:
            if is_mine():
                yield steps(folder, told, teller)
            return
        step = Step(folder, told, recorded_once(folder))
        is_own = step.files or not step.nodes
        if is_own and folder is not root and is_mine():
            yield iter([step])
        for each in step.folders:
            yield from below(each, teller.of_folder(each, told))

    return below(root, NOTHING)


def steps(folder: Selection, told: Told, teller: Teller) -> Group:
    """Yield *folder*, of which that is *told*, and all folders below it."""
    step = Step(folder, told, recorded_once(folder))
    yield step
    for each in step.folders:
        yield from steps(each, teller.of_folder(each, told), teller)
