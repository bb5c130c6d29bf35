"""A directory record: one item of the Directory Record Sequence (PS3.3 F.3.2.2)."""

import errno
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Final, NamedTuple

from dicomfs.dicom import numbers, tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.element import (
    ITEM,
    UNDEFINED_LENGTH,
    Syntax,
    code_meaning,
    read_values,
)
from dicomfs.dicom.readings import read_values_in_doubt
from dicomfs.dicom.types import LEVELS, Level, type_as_written, type_shown
from dicomfs.errors import DirectoryError, ElementError
from dicomfs.source.source import SECTOR
from dicomfs.source.window import Window
from dicomfs.source.worn import is_zero

NO_RECORD: Final = 0
_NOT_IN_USE: Final = 0x0000

# Longer values are not names; icons and private data are passed over unread.
_MAX_VALUE: Final = 4096
# Only who asks for an icon gets it: 128 times 128 pixels in colour fit in.
_LONG_VALUES: Final = {tags.ICON_IMAGE_SEQUENCE: 64 * 1024}
_MAX_LINK: Final = 4
ITEM_HEADER: Final = 8
_NO_TAG: Final = bytes(4)
# So much of a record has to be read, or nobody knows what it is.
HEAD: Final = 128
# Read in doubt: no record is longer, but for its icon.
_LONGEST: Final = 128 * 1024
# One without a length may be anything.
_LONGEST_OPEN: Final = 2048
# How often it is looked then for what may be an element (``readings.steps``).
_MOST_LOOKS: Final = 1_000
# The damage of a record of which everything could be read all the same.
MALFORMED: Final = "an element is not encoded as it should be"
# The damage of a record that lies on a bad sector, and not with all its elements.
UNREADABLE: Final = "the medium cannot give all of it"
_BEFORE_ITEMS: Final = ITEM - 1

# The longest value to be read of each attribute.
WANTED: Final = dict.fromkeys(
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

# The one object that is each tag, of all that are of use once a record is read.
_TAGS: Final = {tag: tag for tag in WANTED if WANTED[tag] > _MAX_LINK}
# What is the same in most records.
REPEATED: Final = frozenset(
    {
        tags.SPECIFIC_CHARACTER_SET,
        tags.DIRECTORY_RECORD_TYPE,
        tags.REFERENCED_SOP_CLASS_UID,
        tags.REFERENCED_TRANSFER_SYNTAX_UID,
    }
)
# Attributes by which a record of a type that nobody knows belongs to a level.
_SIGNS: Final = (
    (Level.SERIES, tags.SERIES_INSTANCE_UID),
    (Level.STUDY, tags.STUDY_INSTANCE_UID),
    (Level.PATIENT, tags.PATIENT_NAME),
    (Level.PATIENT, tags.PATIENT_ID),
)


class DirectoryRecord(NamedTuple):
    """One directory record, by the byte offset of its item in the DICOMDIR.

    *file_id* is its Referenced File ID as it is written, empty if it has no file.
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
    level: Level
    file_id: bytes
    length: int = 0
    damage: str = ""

    @property
    def sop_instance_uid(self) -> bytes:
        """Referenced SOP Instance UID in File, empty if there is none."""
        return self.attributes.raw(tags.REFERENCED_SOP_INSTANCE_UID)

    @property
    def shown_type(self) -> str:
        """Directory Record Type as it is shown, where the SOP class says more."""
        sop_class = self.attributes.values.get(tags.REFERENCED_SOP_CLASS_UID, b"")
        return type_shown(self.type, sop_class)


def level_of_record(type_: str, attributes: Attributes) -> Level:
    """Return the level that a record of a type and with these attributes belongs to.

    Where the type is unknown or missing, and there is no file, the keys tell.
    """
    known = LEVELS.get(type_)
    if known is not None:
        return known
    if not attributes.raw(tags.REFERENCED_FILE_ID):
        for level, sign in _SIGNS:
            if attributes.raw(sign):
                return level
    return Level.INSTANCE


def read_record(
    window: Window, offset: int, syntax: Syntax, end: int
) -> DirectoryRecord:
    """Return the directory record whose item begins at *offset*.

    *end* is where the DICOMDIR ends; a record that claims to go on is cut there.
    One that is damaged further inside, or lies on a bad sector there, is returned with
    what could be read of it. Raises DirectoryError if no item begins at *offset* or
    nothing of it is of use, and OSError from the medium.
    """
    record = _read_record(window, offset, syntax, end)
    zeros = (offset // SECTOR + 1) * SECTOR
    if record.damage in {"", UNREADABLE} or not is_zero(window.source, zeros):
        return record
    # They stand for a bad sector: what comes behind is of another record.
    cut = _read_record(window, offset, syntax, min(zeros, end))
    if not cut.type and zeros - offset < HEAD:
        raise DirectoryError("no directory record is left", offset)
    return cut._replace(damage=record.damage) if cut.type else record


def _read_record(
    window: Window, offset: int, syntax: Syntax, end: int
) -> DirectoryRecord:
    header = window.read(offset, ITEM_HEADER) if NO_RECORD < offset < end else b""
    if len(header) < ITEM_HEADER:
        raise DirectoryError("no directory record begins", offset)
    tag, _, length, _ = syntax.plain_header(header, 0)
    # Zeros stand for what a medium did not give: no element has such a tag.
    if tag != ITEM or window.read(offset + ITEM_HEADER, len(_NO_TAG)) == _NO_TAG:
        raise DirectoryError("no directory record begins", offset)
    last = end
    if length != UNDEFINED_LENGTH:
        last = min(offset + ITEM_HEADER + length, end)
    values: dict[int, bytes] = {}
    try:
        stop, damage = _read_elements(
            window, offset, last, end, syntax, values, length == UNDEFINED_LENGTH
        )
    except (ElementError, OSError) as error:
        # What came before the damage counts, but nothing can follow by it.
        if tags.DIRECTORY_RECORD_TYPE not in values:
            raise _of_no_use(error, offset) from error
        stop, damage = last, _damage(error)
        if damage == UNREADABLE and length == UNDEFINED_LENGTH:
            stop = offset + ITEM_HEADER
    in_use = values.get(tags.RECORD_IN_USE_FLAG)
    type_ = type_as_written(values.get(tags.DIRECTORY_RECORD_TYPE, b""))
    attributes = Attributes(compact(values))
    return DirectoryRecord(
        offset,
        syntax.integer(values.get(tags.OFFSET_OF_NEXT_RECORD, b"")),
        syntax.integer(values.get(tags.OFFSET_OF_LOWER_ENTITY, b"")),
        # PS3.3 F.3.2.2 knows two values; without any, old media are in use.
        not in_use or syntax.integer(in_use) != _NOT_IN_USE,
        syntax.integer(values.get(tags.MRDR_OFFSET, b"")),
        type_,
        attributes,
        level_of_record(type_, attributes),
        file_id_of(attributes),
        stop - offset,
        damage,
    )


def _read_elements(
    window: Window,
    offset: int,
    last: int,
    end: int,
    syntax: Syntax,
    values: dict[int, bytes],
    is_open: bool,
) -> tuple[int, str]:
    """Put the values of the record at *offset*, which ends at *last*, into *values*.

    Return where they end, and what is damaged, empty if nothing is; raises ElementError
    and OSError.
    """
    start = offset + ITEM_HEADER
    found = _read_values(window, start, last, syntax, values, is_open)
    if tags.DIRECTORY_RECORD_TYPE not in values and last < end:
        # Too short for any record: it goes on to where the next item begins.
        read_values(window, start, end, syntax, WANTED, values, _BEFORE_ITEMS)
    if tags.CONCEPT_NAME_CODE_SEQUENCE in values:
        title = code_meaning(values[tags.CONCEPT_NAME_CODE_SEQUENCE], syntax)
        values[tags.CONCEPT_NAME_CODE_SEQUENCE] = title
    return found


def more_of(
    window: Window, record: DirectoryRecord, syntax: Syntax, more: Mapping[int, str]
) -> dict[int, bytes]:
    """Return the values of *record* of the attributes *more*, by their tags and VRs.

    Numbers in binary are text. What cannot be read is passed over.
    """
    values: dict[int, bytes] = {}
    start, end = record.offset + ITEM_HEADER, record.offset + record.length
    wanted = {tag: _LONG_VALUES.get(tag, _MAX_VALUE) for tag in more}
    with suppress(ElementError, OSError):
        read_values(window, start, end, syntax, wanted, values, is_sorted=False)
    return numbers.legible(values, more, syntax)


def _of_no_use(error: ElementError | OSError, offset: int) -> DirectoryError | OSError:
    """Return what to say of the record at *offset*, of which nothing is of use."""
    if isinstance(error, OSError):
        return error
    return DirectoryError(f"a record is damaged ({error}); it begins", offset)


def _damage(error: ElementError | OSError) -> str:
    """Return what *error* says about a record; raises it if the medium is gone."""
    if isinstance(error, OSError):
        if error.errno != errno.EIO:
            raise error
        return UNREADABLE
    return str(error)


def file_id_of(attributes: Attributes) -> bytes:
    """Return the Referenced File ID as it is written, a NUL inside of it and all.

    Other values end at a NUL. What names a file does not: it is not cut to another name.
    """
    return attributes.values.get(tags.REFERENCED_FILE_ID, b"").strip(b" \0")


def _read_values(
    window: Window,
    start: int,
    last: int,
    syntax: Syntax,
    values: dict[int, bytes],
    is_open: bool,
) -> tuple[int, str]:
    """Put the values of a record from *start* to *last* into *values*.

    Return where they end, and what is damaged, empty if nothing is. One that *is_open*
    ends with a delimiter. Raises ElementError where nothing but damage is found.
    """
    stop, doubt = last, None
    try:
        stop = read_values(window, start, last, syntax, WANTED, values)
        if stop == last or is_open:
            return stop, ""
    except ElementError as error:
        doubt = error
    if _fills(window, start, last, syntax, values) and not is_open:
        return last, ""
    better: dict[int, bytes] = {}
    farthest = start + (_LONGEST_OPEN if is_open else _LONGEST)
    found = read_values_in_doubt(
        window,
        start,
        min(last, farthest),
        syntax,
        WANTED,
        better,
        is_open=is_open,
        looks=_MOST_LOOKS,
    )
    if len(better) > len(values) or (found.is_usual and found.stop == last):
        values.clear()
        values.update(better)
        is_odd = not found.is_usual or not (is_open or found.stop == last)
        return found.stop, MALFORMED if is_odd else ""
    if doubt is not None:
        raise doubt
    return stop, "its elements do not fill it"


def _fills(
    window: Window, start: int, last: int, syntax: Syntax, values: dict[int, bytes]
) -> bool:
    """Whether elements that are not sorted fill a record; then put in their values."""
    found: dict[int, bytes] = {}
    try:
        stop = read_values(window, start, last, syntax, WANTED, found, is_sorted=False)
    except ElementError:
        return False
    if stop == last:
        # What was read in order stays.
        values.update({**found, **values})
    return stop == last


def compact(values: dict[int, bytes]) -> dict[int, bytes]:
    """Return *values* without links, in half the memory: lists of records are long."""
    return {
        _TAGS[tag]: _shared(value) if tag in REPEATED else value
        for tag, value in values.items()
        if tag in _TAGS
    }


@lru_cache(maxsize=256)
def _shared(value: bytes) -> bytes:
    """Return *value*, the same object each time: most records say the same."""
    return value
