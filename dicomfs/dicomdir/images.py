"""The images of a series by columns: what nearly all entities consist of, read as a whole.

Records of images that are linked as they lie in the file are read many at a time. An entity
with anything else in it, or with any damage, is left to those who read record by record.
"""

from collections.abc import Sequence
from functools import lru_cache
from operator import eq
from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.layout import Alike
from dicomfs.dicom.types import IMAGE, type_as_written, type_shown
from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.record import ITEM_HEADER, NO_RECORD, DirectoryRecord
from dicomfs.errors import DirectoryError
from dicomfs.source.window import Window

# 12 characters at most (PS3.5 6.2).
_MOST_DIGITS: Final = 12
# How many records are read at a time: at first few, as what follows may be another series.
_FEW: Final = 16
_MOST: Final = 4096
_NO_FLAG: Final = b"\xff\xff"
_READ: Final = (
    tags.OFFSET_OF_NEXT_RECORD,
    tags.OFFSET_OF_LOWER_ENTITY,
    tags.REFERENCED_FILE_ID,
    tags.REFERENCED_SOP_INSTANCE_UID,
    tags.INSTANCE_NUMBER,
)


class Images(NamedTuple):
    """Records of images in the order of links: each list has one entry for each of them.

    All have a File ID, a SOP Instance UID and a number that is not negative; none has
    anything below it.
    """

    offsets: list[int]
    file_ids: list[bytes]
    uids: list[bytes]
    numbers: list[int]


def images_of(directory: Directory, first: int) -> Images | None:
    """Return the images of the entity that begins at *first*; None if it has others, too.

    None, too, if there is any doubt about them, or the medium fails.
    """
    try:
        return _Reader(directory).read(first)
    except (DirectoryError, OSError):
        return None


class _Reader:
    """Reads one entity."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._integers = directory.header.syntax.integers
        self._window = Window(directory.source)
        self._found = Images([], [], [], [])

    def read(self, first: int) -> Images | None:
        """Return all images from *first* on; raises DirectoryError and OSError."""
        found, window, length = self._found, self._window, 0
        offset, most = first, _FEW
        while offset != NO_RECORD:
            window.read(offset, ITEM_HEADER)
            alike = self._directory.alike(window, offset, most)
            if alike is not None:
                next_ = self._add_all(alike)
                length += alike.end - alike.starts[0]
                most = min(2 * most, _MOST)
            else:
                record = self._directory.written(offset, window)
                next_ = self._add(record)
                length += record.length
            # Records that overlap or lead back are for those who can say so.
            if next_ is None or length > self._directory.source.size:
                return None
            offset = next_
        return found if len(set(found.offsets)) == len(found.offsets) else None

    def _add(self, record: DirectoryRecord) -> int | None:
        """Add one image; return where the next one is, None if it is not a plain one."""
        number = record.attributes.number(tags.INSTANCE_NUMBER)
        sop_class = record.attributes.values.get(tags.REFERENCED_SOP_CLASS_UID, b"")
        is_plain = (
            _is_image(record.type, sop_class)
            and not record.damage
            and record.in_use
            and record.lower == NO_RECORD
        )
        is_known = record.file_id and record.sop_instance_uid
        if not (is_plain and is_known) or number is None or number < 0:
            return None
        found = self._found
        found.offsets.append(record.offset)
        found.file_ids.append(record.file_id)
        found.uids.append(record.sop_instance_uid)
        found.numbers.append(number)
        return record.next

    def _add_all(self, alike: Alike) -> int | None:
        """Add images that are alike; return what ``_add`` does of the last one."""
        type_ = type_as_written(alike.same[tags.DIRECTORY_RECORD_TYPE])
        sop_class = alike.same.get(tags.REFERENCED_SOP_CLASS_UID, b"")
        in_use = alike.same.get(tags.RECORD_IN_USE_FLAG, _NO_FLAG)
        is_plain = _is_image(type_, sop_class) and (not in_use or any(in_use))
        if not is_plain or not alike.places.keys() >= set(_READ):
            return None
        nexts, lowers, file_ids, uids, numbers = map(alike.values, _READ)
        offsets = list(map(self._window.start.__add__, alike.starts))
        links = [*self._integers(nexts)]
        # What lies behind them may be of another entity.
        count = len(offsets)
        if links[:-1] != offsets[1:]:
            count = 1 + list(map(eq, links, offsets[1:])).index(False)
        if any(map(any, set(lowers[:count]))):
            return None
        found, before = self._found, len(self._found.uids)
        found.offsets.extend(offsets[:count])
        found.file_ids.extend(each.strip(b" \0") for each in file_ids[:count])
        found.uids.extend(_raw(uids[:count]))
        try:
            found.numbers.extend(map(_number, _raw(numbers[:count])))
        except ValueError:
            return None
        is_known = all(found.file_ids[before:]) and all(found.uids[before:])
        return links[count - 1] if is_known else None


def _is_image(type_: str, sop_class: bytes) -> bool:
    """Whether an instance is shown as an image, as which nothing else is said of it."""
    return type_ == IMAGE and type_shown(type_, sop_class) == IMAGE


def _raw(values: Sequence[bytes]) -> Sequence[bytes]:
    """Return *values* as ``Attributes.raw`` does."""
    joined = b"".join(values)
    if b"\0" not in joined and b" " not in joined:
        return values
    return [value.partition(b"\0")[0].strip(b" ") for value in values]


@lru_cache(maxsize=4096)
def _number(value: bytes) -> int:
    """Return the number that *value* is; ValueError if it is not a plain one."""
    if value.isdigit() and len(value) <= _MOST_DIGITS:
        return int(value)
    number = Attributes({tags.INSTANCE_NUMBER: value}).number(tags.INSTANCE_NUMBER)
    if number is None or number < 0:
        raise ValueError
    return number
