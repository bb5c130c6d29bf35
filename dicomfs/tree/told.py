"""What is told of a node and of the folders above it: values by keyword.

The records tell it, and where they say too little, the header of an instance that was
read to name a folder.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.keywords import Keyword, Value
from dicomfs.dicom.numbers import with_what_tells
from dicomfs.dicom.types import Level
from dicomfs.dicomdir.record import DirectoryRecord
from dicomfs.errors import DirectoryError
from dicomfs.fileset.fileset import FileSet
from dicomfs.tree.draft import UIDS
from dicomfs.tree.node import Node
from dicomfs.tree.selection import FOLDERS, Instance, Selection


class Told:
    """What is told on each of some *levels*: who comes first there is believed first."""

    __slots__ = ("_levels",)

    def __init__(self, levels: Mapping[Level, Sequence[Attributes]]) -> None:
        self._levels = levels

    def below(self, level: Level, told: Sequence[Attributes]) -> "Told":
        """Return the same, and what is *told* on a *level* below."""
        return Told({**self._levels, level: told})

    def and_by(self, header: Attributes) -> "Told":
        """Return the same, and what the *header* of a file tells."""
        own = self._levels.get(Level.INSTANCE, ())
        return self.below(Level.INSTANCE, [*own, header])

    def value(self, keyword: Keyword) -> Value | None:
        """Return the value of *keyword*, None if there is none.

        It is told on its own level, or on the next one below that tells it.
        """
        for level in sorted(self._levels):
            if level >= keyword.level:
                for attributes in self._levels[level]:
                    if (value := keyword.value(attributes)) is not None:
                        return value
        return None


NOTHING: Final = Told({})


class Teller:
    """Reads what records tell, those of many nodes one after the other.

    They tell *more* than is named there by itself, too.
    """

    def __init__(self, more: Iterable[Keyword] = ()) -> None:
        vrs = {tag: each.vr for each in more for tag in each.tags}
        self.vrs = with_what_tells(vrs)
        self._readers: dict[FileSet, Callable[[int], DirectoryRecord]] = {}

    def of_folder(self, folder: Selection, above: Told) -> Told:
        """Return what is told of *folder*, and *above* it."""
        if (origin := folder.origin) is None or folder.level not in FOLDERS:
            return above
        told: list[Attributes] = []
        with suppress(DirectoryError, OSError):
            record = self._record(origin.file_set, origin.offset)
            sets = origin.character_sets
            told.append(origin.file_set.attributes(record, sets))
        if folder.header is not None:
            told.append(folder.header)
        if folder.uid:
            told.append(Attributes({UIDS[folder.level]: folder.uid}))
        return above.below(folder.level, told)

    def of_file(self, file: Instance, above: Told) -> Told:
        """Return what is told of *file*, and *above* it."""
        told: list[Attributes] = []
        with suppress(DirectoryError, OSError):
            record = self._record(file.file_set, file.offset)
            told.append(file.attributes_of(record))
        return above.below(Level.INSTANCE, told)

    def _record(self, file_set: FileSet, offset: int) -> DirectoryRecord:
        if file_set not in self._readers:
            self._readers[file_set] = file_set.reader(self.vrs)
        return self._readers[file_set](offset)


def told_of(node: Node) -> Told:
    """Return what is told of *node* and all above it."""
    teller = Teller()
    if isinstance(node, Selection):
        above = NOTHING if node.parent is None else told_of(node.parent)
        return teller.of_folder(node, above)
    if isinstance(node, Instance):
        return teller.of_file(node, told_of(node.parent))
    return NOTHING
