"""The beginning of a DICOMDIR: what comes in front of the directory records.

Where the medium cannot give it, the records tell how they are encoded, and their own
links where the root is.
"""

import errno
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.element import (
    EXPLICIT_LITTLE,
    IMPLICIT_BIG,
    IMPLICIT_LITTLE,
    ITEM,
    UNDEFINED_LENGTH,
    Syntax,
    elements,
    sniff,
)
from dicomfs.dicom.header import Meta, read_meta
from dicomfs.dicom.types import is_known
from dicomfs.dicom.uids import DEFLATED, DIRECTORY, EXPLICIT_VR_LITTLE_ENDIAN
from dicomfs.dicomdir.record import ITEM_HEADER, NO_RECORD, read_record
from dicomfs.errors import DirectoryError, NotDicomError
from dicomfs.findings import Kind
from dicomfs.source.source import SECTOR, Source
from dicomfs.source.window import Window

_DIRECTORY_GROUP: Final = 0x0004
_MAX_VALUE: Final = 256
_HEAD: Final = 8
# Records begin within so many bytes, or the file is not a DICOMDIR.
_MOST_SEARCHED: Final = 4 * 1024 * 1024
# Items are written in these ways, whether there are VRs or not.
_ITEMS: Final = tuple(each.tag(ITEM) for each in (IMPLICIT_LITTLE, IMPLICIT_BIG))


class Header(NamedTuple):
    """The elements in front of the directory records.

    *root* is the offset of the first record of the root entity as written, *records*
    that of the first item of the Directory Record Sequence, *behind* that of what follows
    the sequence, 0 if that is not known, *unusual* what is not as the standard wants it,
    but harmless.
    """

    syntax: Syntax
    file_set_uid: bytes
    file_set_id: bytes
    root: int
    records: int
    behind: int
    is_whole: bool
    unusual: tuple[Kind, ...]


def read_beginning(window: Window) -> Header:
    """Return what comes in front of the records in *window*.

    Raises NotDicomError, DirectoryError or ElementError for what is not a DICOMDIR,
    and OSError from the medium.
    """
    meta = read_meta(window)
    if meta.transfer_syntax == DEFLATED:
        raise DirectoryError("the DICOMDIR is deflated and so its offsets lead nowhere")
    syntax = meta.syntax(window)
    values: dict[int, bytes] = {}
    records, behind = meta.start, 0
    for element in elements(window, meta.start, window.size, syntax, cut=True):
        values[element.tag] = b""
        if element.tag == tags.DIRECTORY_RECORD_SEQUENCE:
            records = element.start
            is_whole = True
            if element.length != UNDEFINED_LENGTH:
                behind = element.start + element.length
                is_whole = behind <= window.size
            break
        if element.length <= _MAX_VALUE:
            values[element.tag] = window.read(element.start, element.length)
    else:
        # A DICOMDIR without records is whole only if it says that it is empty.
        is_whole = not any(values.get(tags.OFFSET_OF_FIRST_ROOT_RECORD, b"?"))
    if not any(tag >> 16 == _DIRECTORY_GROUP for tag in values):
        raise NotDicomError("the file is in DICOM format, but no directory")
    return Header(
        syntax,
        meta.sop_instance_uid,
        values.get(tags.FILE_SET_ID, b"").strip(b" \0"),
        syntax.integer(values.get(tags.OFFSET_OF_FIRST_ROOT_RECORD, b"")),
        records,
        behind,
        is_whole,
        tuple(_unusual(meta, syntax, values)),
    )


def _unusual(meta: Meta, syntax: Syntax, values: dict[int, bytes]) -> Iterator[Kind]:
    if not meta.is_whole:
        yield Kind.NO_FILE_META
    elif meta.sop_class_uid != DIRECTORY:
        yield Kind.WRONG_SOP_CLASS
    is_declared = meta.transfer_syntax == EXPLICIT_VR_LITTLE_ENDIAN
    if not is_declared or syntax is not EXPLICIT_LITTLE:
        yield Kind.WRONG_SYNTAX
    if any(values.get(tags.FILE_SET_CONSISTENCY_FLAG, b"")):
        yield Kind.CONSISTENCY_FLAG


# -- where it cannot be read -----------------------------------------------------------


def guess_beginning(source: Source) -> Header:
    """Return a header for the records in *source*, whose beginning is unreadable.

    Raises DirectoryError if no record is found, OSError if nothing can be read.
    """
    window = Window(source)
    is_readable = False
    for offset, block in _readable(source):
        is_readable = True
        for at in _items(block):
            if (syntax := _syntax_of(window, offset + at)) is not None:
                return Header(syntax, b"", b"", NO_RECORD, offset + at, 0, True, ())
    if not is_readable:
        raise OSError(errno.EIO, "no sector of the DICOMDIR can be read")
    raise DirectoryError("its beginning cannot be read, and no record is found")


def _readable(source: Source) -> Iterator[tuple[int, bytes]]:
    """Yield what can be read of the first sectors of *source*, and where it lies."""
    for offset in range(0, min(source.size, _MOST_SEARCHED), SECTOR):
        # A few bytes more, if they are there: an item may begin at the end of one.
        for size in (SECTOR + 2 * _HEAD, SECTOR):
            with suppress(OSError):
                yield offset, source.read_at(offset, size)
                break


def _items(block: bytes) -> Iterator[int]:
    """Yield where in *block* something begins as an item does."""
    for item in _ITEMS:
        at = block.find(item)
        while at >= 0:
            yield at
            at = block.find(item, at + 1)


def _syntax_of(window: Window, offset: int) -> Syntax | None:
    """Return how the record at *offset* is encoded, None if it is not a record."""
    with suppress(OSError, DirectoryError):
        syntax = sniff(window.read(offset + ITEM_HEADER, _HEAD))
        if window.read(offset, 4) == syntax.tag(ITEM):
            record = read_record(window, offset, syntax, window.size)
            return syntax if is_known(record.type) else None
    return None


def first_readable(source: Source, size: int) -> tuple[int, bytes]:
    """Return the first *size* bytes that can be read of *source*, and where they lie.

    They are looked for sector by sector. Raises OSError if there are none.
    """
    for offset in range(0, min(source.size, _MOST_SEARCHED), SECTOR):
        with suppress(OSError):
            return offset, source.read_at(offset, size)
    raise OSError(errno.EIO, "no sector of the DICOMDIR can be read")
