"""Writing a DICOMDIR anew, out of the contents of records that are in good order.

What readers rely on is made here: offsets count from the first byte of the file and lead
to the first byte of an item (PS3.3 F.2.2.2), every record is in use, the File-set is
consistent, and lengths are what they say.
"""

from collections.abc import Mapping
from struct import Struct
from struct import error as StructError  # noqa: N812 - an exception's name
from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.uids import DIRECTORY, EXPLICIT_VR_LITTLE_ENDIAN
from dicomfs.dicomdir.content import Content, joined
from dicomfs.dicomdir.encoding import element, elements, item, part_10, sequence_header
from dicomfs.dicomdir.record import ITEM_HEADER, NO_RECORD
from dicomfs.errors import DirectoryError

_NUMBER: Final = Struct("<L")
_NO_LINK: Final = _NUMBER.pack(NO_RECORD)
_IN_USE: Final = b"\xff\xff"
_CONSISTENT: Final = b"\0\0"
_META_VERSION: Final = b"\0\1"
# Of this implementation, under the root for UIDs that are made of UUIDs (PS3.5 B.2).
_IMPLEMENTATION: Final = b"2.25.204196284107302950741062884071320193411"
_ELEMENT_HEADER: Final = 8
# The links of a record, and what is written before them, on its own account.
_OURS: Final = (
    tags.OFFSET_OF_NEXT_RECORD,
    tags.RECORD_IN_USE_FLAG,
    tags.OFFSET_OF_LOWER_ENTITY,
)
_LINKS: Final = elements(
    {
        tags.OFFSET_OF_NEXT_RECORD: _NO_LINK,
        tags.RECORD_IN_USE_FLAG: _IN_USE,
        tags.OFFSET_OF_LOWER_ENTITY: _NO_LINK,
    }
)
_LOWER_BEHIND: Final = len(_LINKS) - len(_NO_LINK)


class Top(NamedTuple):
    """What a DICOMDIR says of the File-set: its UID and ID, and its character set."""

    file_set_uid: bytes
    file_set_id: bytes = b""
    character_set: bytes = b""


class Rewriter:
    """A DICOMDIR in the making; records are added as a walk from the top down meets them."""

    def __init__(self, top: Top) -> None:
        self._top = top
        self._data = bytearray(self._front(NO_RECORD, NO_RECORD, 0))
        self._start = len(self._data)
        # Of the last record at each depth: its offset, and those of its two links.
        self._last: list[tuple[int, int, int]] = []
        self.records = 0

    @property
    def size(self) -> int:
        """How many bytes there are so far."""
        return len(self._data)

    def add(self, content: Content, depth: int) -> None:
        """Add a record *depth* levels below the root entity, where that is 0.

        It is a sibling of the last one at that depth, or the first below the last one
        above. What *content* says of links and of being in use does not count. Raises
        DirectoryError if there is none above, or the DICOMDIR would be too large
        for its offsets.
        """
        if depth > len(self._last):
            raise DirectoryError("a record has none above it")
        before = joined({tag: each for tag, each in content.items() if tag < _OURS[0]})
        behind = {
            tag: each
            for tag, each in content.items()
            if tag > _OURS[0] and tag not in _OURS
        }
        offset = len(self._data)
        record = item(b"".join((before, _LINKS, joined(behind))))
        next_at = offset + ITEM_HEADER + len(before) + _ELEMENT_HEADER
        lower_at = offset + ITEM_HEADER + len(before) + _LOWER_BEHIND
        self._data += record
        if depth < len(self._last):
            self._link(self._last[depth][1], offset)
        elif depth:
            self._link(self._last[depth - 1][2], offset)
        self._last[depth:] = [(offset, next_at, lower_at)]
        self.records += 1

    def _link(self, at: int, offset: int) -> None:
        try:
            _NUMBER.pack_into(self._data, at, offset)
        except StructError as error:
            raise DirectoryError("the DICOMDIR is too large for its offsets") from error

    def written(self) -> bytes:
        """Return the DICOMDIR, to which nothing is added any more."""
        first = self._start if self._last else NO_RECORD
        last = self._last[0][0] if self._last else NO_RECORD
        front = self._front(first, last, len(self._data) - self._start)
        self._data[: self._start] = front
        if self._top.character_set:
            own = {tags.SPECIFIC_CHARACTER_SET: self._top.character_set}
            self._data += elements(own)
        return bytes(self._data)

    def _front(self, first: int, last: int, length: int) -> bytes:
        """Return what comes before records that are *length* bytes in all."""
        meta = elements(
            {
                tags.FILE_META_INFORMATION_VERSION: _META_VERSION,
                tags.MEDIA_STORAGE_SOP_CLASS_UID: DIRECTORY,
                tags.MEDIA_STORAGE_SOP_INSTANCE_UID: self._top.file_set_uid,
                tags.TRANSFER_SYNTAX_UID: EXPLICIT_VR_LITTLE_ENDIAN,
                tags.IMPLEMENTATION_CLASS_UID: _IMPLEMENTATION,
            }
        )
        top = elements(
            {
                tags.FILE_SET_ID: self._top.file_set_id,
                tags.OFFSET_OF_FIRST_ROOT_RECORD: _NUMBER.pack(first),
                tags.OFFSET_OF_LAST_ROOT_RECORD: _NUMBER.pack(last),
                tags.FILE_SET_CONSISTENCY_FLAG: _CONSISTENT,
            }
        )
        sequence = sequence_header(tags.DIRECTORY_RECORD_SEQUENCE, length)
        return part_10(meta, top + sequence)


def put(content: Content, values: Mapping[int, bytes]) -> None:
    """Put elements with these *values* into *content*, in place of those of their tags."""
    content.update({tag: element(tag, value) for tag, value in values.items()})
