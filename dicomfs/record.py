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
_BEFORE_ITEMS: Final = ITEM - 1

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
        tags.REFERENCED_SOP_CLASS_UID,
        tags.REFERENCED_SOP_INSTANCE_UID,
        tags.REFERENCED_TRANSFER_SYNTAX_UID,
        tags.MIME_TYPE_OF_ENCAPSULATED_DOCUMENT,
        *tags.TITLES,
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


# The one object that is each tag, of all that are of use once a record is read.
_TAGS: Final = {tag: tag for tag in _WANTED if _WANTED[tag] > _MAX_LINK}
_REPEATED: Final = frozenset(
    {
        tags.SPECIFIC_CHARACTER_SET,
        tags.DIRECTORY_RECORD_TYPE,
        tags.REFERENCED_SOP_CLASS_UID,
        tags.REFERENCED_TRANSFER_SYNTAX_UID,
    }
)
PRIVATE: Final = "PRIVATE"
# Lends its file to other records, and is nothing by itself (retired).
MRDR: Final = "MRDR"
# Records of the root entity that belong to no patient.
ROOT_TYPES: Final = frozenset(
    {
        "HANGING PROTOCOL",
        "PALETTE",
        "IMPLANT",
        "IMPLANT ASSY",
        "IMPLANT GROUP",
        "INVENTORY",
        PRIVATE,
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
# PS3.3 table F.4-1, and what it had in former editions.
_INSTANCE_TYPES: Final = frozenset(
    {
        "ANNOTATION",
        "ASSESSMENT",
        "CURVE",
        "ENCAP DOC",
        "FIDUCIAL",
        "HL7 STRUC DOC",
        "IMAGE",
        "KEY OBJECT DOC",
        "MEASUREMENT",
        "MODALITY LUT",
        "OVERLAY",
        "PLAN",
        "PRESENTATION",
        "RADIOTHERAPY",
        "RAW DATA",
        "REGISTRATION",
        "RT DOSE",
        "RT PLAN",
        "RT STRUCTURE SET",
        "RT TREAT RECORD",
        "SPECTROSCOPY",
        "SR DOCUMENT",
        "STEREOMETRIC",
        "STORED PRINT",
        "STRUCT REPORT",
        "SURFACE",
        "SURFACE SCAN",
        "TRACT",
        "VALUE MAP",
        "VOI LUT",
        "WAVEFORM",
        "WF PRESENTATION",
    }
)
_LEVELS: Final = {
    "PATIENT": Level.PATIENT,
    "STUDY": Level.STUDY,
    "SERIES": Level.SERIES,
} | dict.fromkeys(ROOT_TYPES | _BRANCH_TYPES, Level.OTHER)
# By what a record of a type that nobody knows is one of a level all the same.
_SIGNS: Final = (
    (Level.SERIES, tags.SERIES_INSTANCE_UID),
    (Level.STUDY, tags.STUDY_INSTANCE_UID),
    (Level.PATIENT, tags.PATIENT_NAME),
    (Level.PATIENT, tags.PATIENT_ID),
)


def level_of(type_: str) -> Level:
    """Return the level of records of a type; those of unknown types are instances."""
    return _LEVELS.get(type_, Level.INSTANCE)


def is_known(type_: str) -> bool:
    """Whether a Directory Record Type is in the standard, or was."""
    return type_ in _LEVELS or type_ in _INSTANCE_TYPES or type_ == MRDR


class DirectoryRecord(NamedTuple):
    """One directory record, by the byte offset of its item in the DICOMDIR.

    *length* is that of the bytes it was read from. *damage* says why it could not be
    read to its end, empty if it could.
    """

    offset: int
    next: int
    lower: int
    in_use: bool
    mrdr: int
    type: str
    attributes: Attributes
    length: int = 0
    damage: str = ""

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
        """The level that the record belongs to.

        By its type; if that is unknown or missing and it has no file, by its keys.
        """
        known = _LEVELS.get(self.type)
        if known is not None:
            return known
        if self.type not in _INSTANCE_TYPES and not self.file_id:
            for level, sign in _SIGNS:
                if self.attributes.raw(sign):
                    return level
        return Level.INSTANCE


def read_record(
    window: Window, offset: int, syntax: Syntax, end: int
) -> DirectoryRecord:
    """Return the directory record whose item begins at *offset*.

    *end* is where the DICOMDIR ends; a record that claims to go on is cut there.
    One that is damaged further inside is returned with what could be read of it. Raises
    DirectoryError if no item begins at *offset* or nothing of it is of use.
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
    damage = ""
    stop = last
    try:
        stop = read_values(window, start, last, syntax, _WANTED, values)
        if stop != last and length != UNDEFINED_LENGTH:
            damage = "its elements do not fill it"
        if tags.DIRECTORY_RECORD_TYPE not in values and last < end:
            # Too short for any record: it goes on to where the next item begins.
            read_values(window, start, end, syntax, _WANTED, values, _BEFORE_ITEMS)
        if tags.CONCEPT_NAME_CODE_SEQUENCE in values:
            title = code_meaning(values[tags.CONCEPT_NAME_CODE_SEQUENCE], syntax)
            values[tags.CONCEPT_NAME_CODE_SEQUENCE] = title
    except ElementError as error:
        # What came before the damage counts, but nothing can follow by it.
        damage = str(error)
        if tags.DIRECTORY_RECORD_TYPE not in values:
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
        record_type(values.get(tags.DIRECTORY_RECORD_TYPE, b"")),
        Attributes(_compact(values)),
        stop - offset,
        damage,
    )


def _compact(values: dict[int, bytes]) -> dict[int, bytes]:
    """Return *values* without links, in half the memory: lists of records are long."""
    return {
        _TAGS[tag]: _shared(value) if tag in _REPEATED else value
        for tag, value in values.items()
        if tag in _TAGS
    }


@lru_cache(maxsize=256)
def _shared(value: bytes) -> bytes:
    """Return *value*, the same object each time: most records say the same."""
    return value


@lru_cache(maxsize=256)
def record_type(value: bytes) -> str:
    """Return a Directory Record Type without padding, case and doubled blanks."""
    return " ".join(value.strip(b" \0").decode("latin-1").upper().split())


def code_meaning(sequence: bytes, syntax: Syntax) -> bytes:
    """Return the Code Meaning in the first item of a code *sequence*.

    Raises ElementError where it is damaged.
    """
    window = Window(BytesSource(sequence))
    wanted = {tags.CODE_MEANING: _MAX_VALUE}
    values: dict[int, bytes] = {}
    for start, end in items(window, 0, len(sequence), syntax):
        read_values(window, start, end, syntax, wanted, values)
        break
    return values.get(tags.CODE_MEANING, b"")
