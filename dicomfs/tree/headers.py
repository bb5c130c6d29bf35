"""The headers of instances that say what records lack, read once and then kept."""

from collections.abc import Callable
from typing import Final

from dicomfs.dicom.attributes import Attributes
from dicomfs.dicomdir.record import DirectoryRecord
from dicomfs.fileset.fileset import FileSet, Item
from dicomfs.source.cache import Cache
from dicomfs.tree.identity import Position

# A header is a few kilobytes. Most media have fewer series.
_MOST: Final = 10_000

_Key = tuple[Position, bool]


class Headers:
    """The headers of instances, by the record that they are sought below.

    None is ever read unless *may_be_read* says so.
    """

    def __init__(self, *, may_be_read: bool) -> None:
        self.may_be_read = may_be_read
        # One that is not to be had is kept, too, as nothing.
        self._kept = Cache[_Key, tuple[Attributes | None]](_MOST)

    def below(
        self,
        file_set: FileSet,
        record: DirectoryRecord,
        suits: Callable[[Item, Attributes], bool] = lambda *_: True,
    ) -> Attributes | None:
        """Return the header of an instance below *record*, None if there is none.

        It is the first that *suits*, which is only asked where none is kept.
        """
        if not self.may_be_read:
            return None
        key = _key(file_set, record)
        if (kept := self._kept.get(key)) is None:
            found = (each[1] for each in file_set.headers(record) if suits(*each))
            kept = (next(found, None),)
            self._kept.put(key, kept)
        return kept[0]

    def kept(self, file_set: FileSet, record: DirectoryRecord) -> Attributes | None:
        """Return the header if it was read before, else None."""
        kept = self._kept.get(_key(file_set, record))
        return kept[0] if kept else None


def _key(file_set: FileSet, record: DirectoryRecord) -> _Key:
    # Links that were wrong may have led to another patient's instance.
    return Position(file_set.identity, record.offset), file_set.is_mended
