"""The header of a file: preamble, File Meta Information and the first of its data set.

It says what the records of an instance should have said. Neither the size of the file
nor deflate costs more: at most ``MAX_READ`` bytes are read from the medium and at most
``MAX_READ`` are inflated.
"""

import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.element import (
    UNDEFINED_LENGTH,
    Element,
    Syntax,
    code_meaning,
    elements,
    end_of_undefined,
    is_vr,
    read_values,
    sniff,
    syntax_inside,
)
from dicomfs.dicom.numbers import legible
from dicomfs.dicom.readings import read_values_in_doubt
from dicomfs.dicom.uids import DEFLATED
from dicomfs.errors import ElementError, NotDicomError
from dicomfs.source.limited import Limited
from dicomfs.source.source import BytesSource, Source
from dicomfs.source.window import Window

# Sequences in front of the patient may be long; nothing else is.
MAX_READ: Final = 4 * 1024 * 1024
_MAX_DEFLATED: Final = 64 * 1024
_BLOCK: Final = 16 * 1024
_HEAD: Final = 8
_MAX_VALUE: Final = 1024
_MAX_META_VALUE: Final = 256

_PREAMBLE: Final = 128
_PREFIX: Final = b"DICM"
# What most headers lie in: it is read at first, and mostly nothing else.
BEGINNING: Final = _PREAMBLE + _BLOCK
_META_GROUP: Final = 0x0002
_LAST_META: Final = 0x0002FFFF
# All that PS3.10 7.1 has in it.
_META: Final = dict.fromkeys(
    (*range(0x00020000, 0x00020019), 0x00020026, 0x00020027, 0x00020028, 0x00020100),
    _MAX_META_VALUE,
)
# Data sets begin in group 0004 (directories) or 0008 (instances).
_FIRST_GROUPS: Final = frozenset({_META_GROUP, 0x0004, 0x0008})

_WANTED: Final = dict.fromkeys(
    (*tags.NAMING, tags.SOP_CLASS_UID, tags.SOP_INSTANCE_UID), _MAX_VALUE
)


NO_VRS: Final[Mapping[int, str]] = MappingProxyType({})


class Meta(NamedTuple):
    """The File Meta Information, and where the data set begins."""

    is_whole: bool
    sop_class_uid: bytes
    sop_instance_uid: bytes
    transfer_syntax: bytes
    start: int

    def syntax(self, window: Window) -> Syntax:
        """Return the encoding of the data set, from its first bytes."""
        return sniff(window.read(self.start, _HEAD))


def read_meta(window: Window) -> Meta:
    """Return the File Meta Information; preamble or all of it may be missing.

    Raises NotDicomError where no DICOM file begins, and ElementError where a value of
    undefined length is not closed.
    """
    begin = start = _first_element(window)
    head = window.read(start, _HEAD)
    syntax = sniff(head)
    group = syntax.integer(head[:2])
    if len(head) < _HEAD or group not in _FIRST_GROUPS:
        raise NotDicomError("the file is not in DICOM format")
    values: dict[int, bytes] = {}
    if group == _META_GROUP:
        values, start = _meta_values(window, start, syntax)
    return Meta(
        bool(values) and begin == _PREAMBLE + len(_PREFIX),
        values.get(tags.MEDIA_STORAGE_SOP_CLASS_UID, b""),
        values.get(tags.MEDIA_STORAGE_SOP_INSTANCE_UID, b""),
        values.get(tags.TRANSFER_SYNTAX_UID, b""),
        start,
    )


def _meta_values(
    window: Window, start: int, syntax: Syntax
) -> tuple[dict[int, bytes], int]:
    """Return the values of the File Meta Information at *start*, and where it ends.

    Guided by the elements, not by their group length: it is wrong on many media.
    """
    values: dict[int, bytes] = {}
    with suppress(ElementError):
        end = read_values(window, start, window.size, syntax, _META, values, _LAST_META)
        if values:
            return {tag: _plain(value) for tag, value in values.items()}, end
    # In another order than it should be, or nothing but what nobody knows.
    values.clear()
    for element in elements(window, start, window.size, syntax):
        if element.tag >> 16 != _META_GROUP:
            break
        if element.length <= _MAX_META_VALUE:
            values[element.tag] = _plain(window.read(element.start, element.length))
        start = _end(element, window, syntax)
    return values, start


def _plain(value: bytes) -> bytes:
    return value.partition(b"\0")[0].strip(b" ")


def _end(element: Element, window: Window, syntax: Syntax) -> int:
    """Return where the value of *element* ends."""
    if element.length != UNDEFINED_LENGTH:
        return element.start + element.length
    inside = syntax_inside(element.vr, syntax)
    return end_of_undefined(window, element.start, window.size, inside, 1)


def _first_element(window: Window) -> int:
    behind_preamble = _PREAMBLE + len(_PREFIX)
    if window.read(_PREAMBLE, len(_PREFIX)) == _PREFIX and (
        # In a file without preamble the four letters may be part of a value.
        _group(window, behind_preamble) == _META_GROUP
        or _group(window, 0) not in _FIRST_GROUPS
    ):
        return behind_preamble
    if window.read(0, len(_PREFIX)) == _PREFIX:
        return len(_PREFIX)
    return 0


def _group(window: Window, offset: int) -> int:
    head = window.read(offset, _HEAD)
    return sniff(head).integer(head[:2])


def read_header(
    source: Source,
    more: Iterable[int] = (),
    vrs: Mapping[int, str] = NO_VRS,
    meta: Meta | None = None,
) -> Attributes:
    """Return the attributes that name the instance in *source* and what it belongs to.

    Those of ``tags.NAMING``, SOP Class UID and SOP Instance UID, those of the tags in
    *more*, of which numbers in binary are text if *vrs* has their VRs, and of the File
    Meta Information Media Storage SOP Class and Instance UID and Transfer Syntax UID. Of
    a code sequence it is the first Code Meaning. Attributes that lie beyond ``MAX_READ``
    are missing. Who has read *meta* already may say so. Raises OSError from the medium,
    and NotDicomError or ElementError from a file that is not what it should be.
    """
    limited = Limited(source, MAX_READ)
    window = Window(limited, _BLOCK)
    meta = meta or read_meta(window)
    start = meta.start
    if meta.transfer_syntax == DEFLATED:
        window = Window(BytesSource(_inflate(limited.read_at(start, _MAX_DEFLATED))))
        start = 0
    syntax = sniff(window.read(start, _HEAD))
    wanted = _WANTED | dict.fromkeys(more, _MAX_VALUE)
    values: dict[int, bytes] = {}
    _read_values(window, start, syntax, wanted, values)
    if title := values.get(tags.CONCEPT_NAME_CODE_SEQUENCE):
        values[tags.CONCEPT_NAME_CODE_SEQUENCE] = b""
        with suppress(ElementError):
            values[tags.CONCEPT_NAME_CODE_SEQUENCE] = code_meaning(title, syntax)
    values[tags.MEDIA_STORAGE_SOP_CLASS_UID] = meta.sop_class_uid
    values[tags.MEDIA_STORAGE_SOP_INSTANCE_UID] = meta.sop_instance_uid
    values[tags.TRANSFER_SYNTAX_UID] = meta.transfer_syntax
    return Attributes(legible(values, vrs, syntax) if vrs else values)


def sop_class_uid(header: Attributes) -> bytes:
    """Return the SOP Class UID of an instance, from wherever its *header* has it."""
    meta = header.raw(tags.MEDIA_STORAGE_SOP_CLASS_UID)
    return header.raw(tags.SOP_CLASS_UID) or meta


def sop_instance_uid(header: Attributes) -> bytes:
    """Return the SOP Instance UID of an instance, from wherever its *header* has it."""
    meta = header.raw(tags.MEDIA_STORAGE_SOP_INSTANCE_UID)
    return header.raw(tags.SOP_INSTANCE_UID) or meta


def _read_values(
    window: Window,
    start: int,
    syntax: Syntax,
    wanted: Mapping[int, int],
    values: dict[int, bytes],
) -> None:
    """Put the *wanted* values into *values*: what comes before the bound counts."""
    # Elements lie in ascending order: nothing of use comes behind the last of these.
    last_tag, end = max(wanted), window.size
    try:
        stop = read_values(window, start, end, syntax, wanted, values, last_tag)
        if _leads_on(window.read(stop, _HEAD), syntax, last_tag):
            return
    except ElementError:
        pass
    better: dict[int, bytes] = {}
    read_values_in_doubt(window, start, end, syntax, wanted, better, last_tag)
    # Where the bound was reached on the first way there is nothing left for a second.
    if len(better) >= len(values):
        values.clear()
        values.update(better)


def _leads_on(head: bytes, syntax: Syntax, last_tag: int) -> bool:
    """Whether reading ended before *head* because nothing of use comes any more."""
    if len(head) < _HEAD:
        return True
    tag = syntax.integer(head[:2]) << 16 | syntax.integer(head[2:4])
    return tag > last_tag and (not syntax.explicit or is_vr(head[4:6]))


def _inflate(data: bytes) -> bytes:
    """Return the first ``MAX_READ`` bytes of what *data* inflates to (PS3.5 A.5)."""
    # Some writers leave the header of zlib in front (RFC 1950).
    for form in (-zlib.MAX_WBITS, zlib.MAX_WBITS):
        with suppress(zlib.error):
            return zlib.decompressobj(form).decompress(data, MAX_READ)
    raise ElementError("the data set does not inflate", 0)
