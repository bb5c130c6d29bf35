"""A series of plain images, listed as a whole: what nearly all series are.

What is shown of it is what would come of its records one by one. Where that is not plain to
see, as files are missing, or two images claim to be one, they become drafts after all.
"""

from collections.abc import Sequence
from typing import Any

from dicomfs.dicom.types import Level
from dicomfs.dicomdir.images import Images
from dicomfs.fileset.fileset import Item, Part
from dicomfs.fileset.guesses import Clue
from dicomfs.fileset.locate import Together
from dicomfs.media.medium import Status
from dicomfs.tree import draft
from dicomfs.tree.draft import Leaf
from dicomfs.tree.files import Columns, Files
from dicomfs.tree.selection import Selection


class Series:
    """The *images* of *part*, which are all that is in *folder*; their files are looked up."""

    def __init__(self, folder: Selection, part: Part, images: Images) -> None:
        self._folder = folder
        self._part = part
        self._images = images
        self._found = part.file_set.find_all(images.file_ids, self._clue)

    @classmethod
    def of(cls, folder: Selection) -> "Series | None":
        """Return what is in *folder*; None if that is not one series of plain images.

        Raises OSError if the DICOMDIR was changed.
        """
        if folder.level is not Level.SERIES or folder.by_type or len(folder.parts) != 1:
            return None
        [part] = folder.parts
        part.file_set.check_unchanged()
        images = part.file_set.images(part)
        return None if images is None else cls(folder, part, images)

    def _item(self, number: int) -> Item:
        file_set, sets = self._part.file_set, self._part.character_sets
        return Item(file_set, file_set.record(self._images.offsets[number]), sets)

    def _clue(self, number: int) -> Clue:
        if self._images.file_ids[number].isascii():
            # No character set makes anything else of it.
            return Clue(self._images.uids[number])
        return self._item(number).clue

    def leaves(self) -> list[Leaf]:
        """Return the images as drafts, which are placed already."""
        items = zip(
            self._part.file_set.children(self._part),
            self._images.file_ids,
            strict=False,
        )
        leaves = [
            Leaf(item.attributes, item.file_set, item.record, file_id)
            for item, file_id in items
        ]
        draft.number(leaves)
        found = self._found
        each = found.located() if isinstance(found, Together) else found
        # Should links be mended in between, there may be fewer, and all begins anew.
        draft.place(leaves, each[: len(leaves)])
        return leaves

    def listing(self) -> Files | None:
        """Return the files by name; None if there is more to be said of any of them."""
        offsets, file_ids, uids, numbers = self._images
        count = len(uids)
        if not len(set(uids)) == len(set(numbers)) == count:
            return None
        found = self._files()
        if found is None:
            return None
        paths, statuses = found
        sizes, mtimes_ns, changes_ns = zip(*statuses, strict=True)
        places, own = set(paths), b"/".join(self._part.file_set.place)
        if len(places) != count or own in places or not all(sizes):
            return None
        columns: list[Sequence[Any]] = [
            *(numbers, _ordinals(file_ids), offsets, uids, paths),
            *(sizes, mtimes_ns, changes_ns),
        ]
        if (order := _order(numbers)) is not None:
            columns = [[column[n] for n in order] for column in columns]
        return Files(self._folder, self._part.file_set, Columns(*columns))

    def _files(self) -> tuple[list[bytes], Sequence[Status]] | None:
        """Return paths and statuses of the files; None if any is not there."""
        found = self._found
        if isinstance(found, Together):
            above = b"".join(name + b"/" for name in found.folder)
            return [above + name for name in found.names], found.statuses
        located = [each for each in found if not isinstance(each, Exception)]
        if len(located) != len(found):
            return None
        return [b"/".join(place) for place, _ in located], [each for _, each in located]


def _order(values: Sequence[Any]) -> list[int] | None:
    """Return the places of *values* in their order, None if they are in it."""
    if sorted(values) == values:
        return None
    return sorted(range(len(values)), key=values.__getitem__)


def _ordinals(file_ids: Sequence[bytes]) -> Sequence[int]:
    """Return which each of *file_ids* is in their order."""
    if (order := _order(file_ids)) is None:
        return range(len(file_ids))
    ordinals = [0] * len(file_ids)
    for ordinal, number in enumerate(order):
        ordinals[number] = ordinal
    return ordinals
