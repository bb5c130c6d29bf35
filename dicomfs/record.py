"""A directory record: one item of the Directory Record Sequence (PS3.3 F.3.2.2)."""

from enum import IntEnum
from functools import lru_cache
from typing import Final, NamedTuple

from dicomfs import tags
from dicomfs.attributes import Attributes
from dicomfs.element import ITEM, UNDEFINED_LENGTH, Syntax, items, read_values
from dicomfs.errors import DirectoryError, ElementError
from dicomfs.source import BytesSource, Window

NO_RECORD: Final = 0
INACTIVE: Final = 0x0000

# Longer values are no names; icons and private data are passed over unread.
_MAX_VALUE: Final = 4096
_MAX_LINK: Final = 4
_ITEM_HEADER: Final = 8

_WANTED: Final = dict.fromkeys(
    (
        tags.OFFSET_OF_NEXT_RECORD,
        tags.OFFSET_OF_LOWER_ENTITY,
        tags.RECORD_IN_USE_FLAG,
        tags.MRDR_OFFSET,
    ),
    _MAX_LINK,
) | dict.fromkeys(
    (
        *tags.NAMING,
        tags.DIRECTORY_RECORD_TYPE,
        tags.REFERENCED_FILE_ID,
        tags.REFERENCED_SOP_INSTANCE_UID,
        tags.IMPLANT_NAME,
        tags.DOCUMENT_TITLE,
        tags.MIME_TYPE_OF_ENCAPSULATED_DOCUMENT,
        tags.CONTENT_LABEL,
        tags.CONTENT_DESCRIPTION,
        tags.HANGING_PROTOCOL_NAME,
        tags.IMPLANT_ASSEMBLY_TEMPLATE_NAME,
        tags.IMPLANT_TEMPLATE_GROUP_NAME,
        tags.STRUCTURE_SET_LABEL,
        tags.RT_PLAN_LABEL,
        tags.USER_CONTENT_LABEL,
        tags.CONCEPT_NAME_CODE_SEQUENCE,
    ),
    _MAX_VALUE,
)


class Level(IntEnum):
    """Where a record stands in the Basic Directory (PS3.3 table F.4-1)."""

    ROOT = 0
    PATIENT = 1
    STUDY = 2
    SERIES = 3
    INSTANCE = 4
    OTHER = 5


# Records of the root entity that belong to no patient.
ROOT_TYPES: Final = frozenset(
    {
        "HANGING PROTOCOL",
        "PALETTE",
        "IMPLANT",
        "IMPLANT ASSY",
        "IMPLANT GROUP",
        "INVENTORY",
        "PRIVATE",
    }
)
# Retired or local branches: folders of their own wherever they stand.
_BRANCH_TYPES: Final = frozenset(
    {
        "TOPIC",
        "VISIT",
        "RESULTS",
        "INTERPRETATION",
        "STUDY COMPONENT",
        "PRINT QUEUE",
        "FILM SESSION",
        "FILM BOX",
        "IMAGE BOX",
    }
)
_LEVELS: Final = {
    "PATIENT": Level.PATIENT,
    "STUDY": Level.STUDY,
    "SERIES": Level.SERIES,
} | dict.fromkeys(ROOT_TYPES | _BRANCH_TYPES, Level.OTHER)


class DirectoryRecord(NamedTuple):
    """One directory record, by the byte offset of its item in the DICOMDIR."""

    offset: int
    next: int
    lower: int
    in_use: bool
    mrdr: int
    type: str
    attributes: Attributes

    @property
    def file_id(self) -> bytes:
        """Referenced File ID as it is written, empty if the record has no file."""
        return self.attributes.raw(tags.REFERENCED_FILE_ID)

    @property
    def sop_instance_uid(self) -> bytes:
        """Referenced SOP Instance UID in File, empty if there is none."""
        return self.attributes.raw(tags.REFERENCED_SOP_INSTANCE_UID)

    @property
    def level(self) -> Level:
        """The level that the record's type belongs to; unknown types are instances."""
        return _LEVELS.get(self.type, Level.INSTANCE)


def read_record(
    window: Window, offset: int, syntax: Syntax, end: int
) -> DirectoryRecord:
    """Return the directory record whose item begins at *offset*.

    *end* is where the DICOMDIR ends; a record that claims to go on is cut there.
    Raises DirectoryError if no item begins at *offset* or it cannot be read through.
    """
    header = window.read(offset, _ITEM_HEADER) if NO_RECORD < offset < end else b""
    if len(header) < _ITEM_HEADER:
        raise DirectoryError("no directory record begins", offset)
    tag, _, length, _ = syntax.plain_header(header, 0)
    if tag != ITEM:
        raise DirectoryError("no directory record begins", offset)
    start = offset + _ITEM_HEADER
    last = end if length == UNDEFINED_LENGTH else min(start + length, end)
    values: dict[int, bytes] = {}
    try:
        read_values(window, start, last, syntax, _WANTED, values)
        if tags.CONCEPT_NAME_CODE_SEQUENCE in values:
            title = _code_meaning(values[tags.CONCEPT_NAME_CODE_SEQUENCE], syntax)
            values[tags.CONCEPT_NAME_CODE_SEQUENCE] = title
    except ElementError as error:
        raise DirectoryError(
            f"a record is damaged ({error}); it begins", offset
        ) from error
    in_use = values.get(tags.RECORD_IN_USE_FLAG)
    return DirectoryRecord(
        offset,
        syntax.integer(values.get(tags.OFFSET_OF_NEXT_RECORD, b"")),
        syntax.integer(values.get(tags.OFFSET_OF_LOWER_ENTITY, b"")),
        # PS3.3 F.3.2.2 knows two values; without any, old media are in use.
        not in_use or syntax.integer(in_use) != INACTIVE,
        syntax.integer(values.get(tags.MRDR_OFFSET, b"")),
        _record_type(values.get(tags.DIRECTORY_RECORD_TYPE, b"")),
        Attributes(values),
    )


@lru_cache(maxsize=256)
def _record_type(value: bytes) -> str:
    """Return a Directory Record Type without padding, case and doubled blanks."""
    return " ".join(value.strip(b" \0").decode("latin-1").upper().split())


def _code_meaning(sequence: bytes, syntax: Syntax) -> bytes:
    """Return the Code Meaning in the first item of a code *sequence*."""
    window = Window(BytesSource(sequence))
    wanted = {tags.CODE_MEANING: _MAX_VALUE}
    values: dict[int, bytes] = {}
    for start, end in items(window, 0, len(sequence), syntax):
        read_values(window, start, end, syntax, wanted, values)
        break
    return values.get(tags.CODE_MEANING, b"")
