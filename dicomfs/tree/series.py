"""A series of plain images, listed as a whole: what nearly all series are.

What is shown of it is what would come of its records one by one. Where that is not plain to
see, as files are missing, or two images claim to be one, they become drafts after all.
"""

from collections.abc import Sequence

from dicomfs.dicom.types import Level
from dicomfs.dicomdir.images import Images
from dicomfs.fileset.fileset import Item, Part
from dicomfs.fileset.guesses import Clue
from dicomfs.media.medium import Place, Status
from dicomfs.tree import draft, naming
from dicomfs.tree.draft import Leaf
from dicomfs.tree.identity import file_inode
from dicomfs.tree.selection import Instance, Listing, Selection


class Series:
    """The *images* of *part*, which are all that is in *folder*; their files are looked up."""

    def __init__(self, folder: Selection, part: Part, images: Images) -> None:
        self._folder = folder
        self._part = part
        self._images = images
        self._found = part.file_set.locate_all(images.file_ids, self._clue)
        # Most files of a series have the same: one number for all is enough.
        self._same: dict[int, int] = {}

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
        # Should links be mended in between, there may be fewer, and all begins anew.
        draft.place(leaves, self._found[: len(leaves)])
        return leaves

    def listing(self) -> Listing | None:
        """Return the files by name; None if there is more to be said of any of them."""
        offsets, file_ids, uids, numbers = self._images
        count = len(uids)
        if not len(set(uids)) == len(set(numbers)) == count:
            return None
        located = [each for each in self._found if not isinstance(each, Exception)]
        places = {place for place, _ in located}
        if len(places) != count or self._part.file_set.place in places:
            return None
        if not all(status.size for _, status in located):
            return None
        names = naming.numbered(numbers)
        ordinals = _ordinals(file_ids)
        return {
            names[n]: self._file(
                names[n], offsets[n], ordinals[n], uids[n], *located[n]
            )
            for n in sorted(range(count), key=names.__getitem__)
        }

    def _file(
        self,
        name: str,
        offset: int,
        ordinal: int,
        uid: bytes,
        place: Place,
        status: Status,
    ) -> Instance:
        folder, same = self._folder, self._same.setdefault
        said = folder.claims.heads.reason((self._part.file_set.identity, offset))
        return Instance(
            file_inode(folder.inode, ordinal),
            name,
            folder,
            same(status.mtime_ns, status.mtime_ns),
            self._part.file_set,
            offset,
            place,
            same(status.size, status.size),
            0,
            said,
            (),
            same(status.changed_ns, status.changed_ns),
            uid,
            bool(said),
        )


def _ordinals(file_ids: Sequence[bytes]) -> list[int]:
    """Return which each of *file_ids* is in their order."""
    ordinals = [0] * len(file_ids)
    order = sorted(range(len(file_ids)), key=file_ids.__getitem__)
    for ordinal, number in enumerate(order):
        ordinals[number] = ordinal
    return ordinals
