"""Writing a DICOMDIR: directory records made of the headers of instances.

Values of a header are copied as they are, in its own character set. Only UIDs say
which instances belong together.
"""

import hashlib
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from struct import Struct
from typing import Final

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.header import sop_class_uid, sop_instance_uid
from dicomfs.dicom.types import (
    IMAGE,
    RAW_DATA,
    ROOT_TYPES,
    Level,
    is_private_class,
    type_of_class,
)
from dicomfs.dicom.uids import DIRECTORY, EXPLICIT_VR_LITTLE_ENDIAN
from dicomfs.dicomdir.encoding import elements, item, part_10, sequence_header

_PATIENT: Final = (
    tags.SPECIFIC_CHARACTER_SET,
    tags.PATIENT_NAME,
    tags.PATIENT_ID,
    tags.ISSUER_OF_PATIENT_ID,
    tags.PATIENT_BIRTH_DATE,
    tags.PATIENT_SEX,
)
_STUDY: Final = (
    tags.SPECIFIC_CHARACTER_SET,
    tags.STUDY_DATE,
    tags.STUDY_TIME,
    tags.ACCESSION_NUMBER,
    tags.TIMEZONE_OFFSET_FROM_UTC,
    tags.STUDY_DESCRIPTION,
    tags.STUDY_INSTANCE_UID,
    tags.STUDY_ID,
)
_SERIES: Final = (
    tags.SPECIFIC_CHARACTER_SET,
    tags.SERIES_DATE,
    tags.SERIES_TIME,
    tags.MODALITY,
    tags.TIMEZONE_OFFSET_FROM_UTC,
    tags.SERIES_DESCRIPTION,
    tags.SERIES_INSTANCE_UID,
    tags.SERIES_NUMBER,
)
# Titles of instances other than images; they lie far behind in a header.
TITLES: Final = (*tags.TITLES, tags.MIME_TYPE_OF_ENCAPSULATED_DOCUMENT)
# What a picture has; of private classes it tells pictures from all else.
SIZE: Final = (tags.ROWS, tags.COLUMNS)
_INSTANCE: Final = (tags.SPECIFIC_CHARACTER_SET, tags.INSTANCE_NUMBER, *TITLES)
# What is copied to the records of each level.
COPIED: Final = {
    Level.PATIENT: _PATIENT,
    Level.STUDY: _STUDY,
    Level.SERIES: _SERIES,
    Level.INSTANCE: _INSTANCE,
}
_FILE_ID: Final = b"%08d"
_ITEM: Final = Struct("<HHL")
_NUMBER: Final = Struct("<L")
_IN_USE: Final = b"\xff\xff"
_CONSISTENT: Final = b"\0\0"
_NO_LINK: Final = bytes(4)
# In each record these come first: where their values begin, from that of the item.
_NEXT_AT: Final = 16
_LOWER_AT: Final = 38
# As long as the UID that is made of the records, once they are known.
_NO_UID: Final = b"2.25.1" + b"0" * 38


def _type(class_uid: bytes, header: Attributes) -> str:
    """Return the type of the record of an instance of a class."""
    type_ = type_of_class(class_uid)
    if type_ != IMAGE or not is_private_class(class_uid):
        return type_
    has_size = any(header.values.get(tag, b"").strip(b"\0 ") for tag in SIZE)
    return IMAGE if has_size else RAW_DATA


@dataclass(slots=True)
class _Entity:
    """A record of a patient, study or series, and the directory entity below it."""

    record: bytes = b""
    below: "dict[Hashable, _Entity]" = field(default_factory=dict)
    leaves: bytearray = field(default_factory=bytearray)


class DirectoryWriter:
    """A DICOMDIR in the making: explicit VR, little endian, records depth first."""

    def __init__(self) -> None:
        # The bytes of all records so far.
        self.size = 0
        self._root = _Entity()

    def add(self, header: Attributes, number: int) -> None:
        """Add the instance with this *header*, which is the file of this *number*."""
        class_uid = sop_class_uid(header)
        type_ = _type(class_uid, header)
        entity = self._root
        if type_ not in ROOT_TYPES:
            entity = self._series(header, number)
        leaf = _record(
            type_,
            header,
            _INSTANCE,
            {
                tags.REFERENCED_FILE_ID: _FILE_ID % number,
                tags.REFERENCED_SOP_CLASS_UID: class_uid,
                tags.REFERENCED_SOP_INSTANCE_UID: sop_instance_uid(header),
                tags.REFERENCED_TRANSFER_SYNTAX_UID: header.raw(
                    tags.TRANSFER_SYNTAX_UID
                ),
            },
        )
        entity.leaves += leaf
        self.size += len(leaf)

    def _series(self, header: Attributes, number: int) -> _Entity:
        """Return the series that the instance with this *header* belongs to.

        Only UIDs say what belongs together. Patients are the same if all that headers
        say of them is. An instance without UIDs stands for itself, by its *number*.
        """
        study_uid = header.raw(tags.STUDY_INSTANCE_UID) or number
        series_uid = header.raw(tags.SERIES_INSTANCE_UID) or number
        patient: Hashable = tuple(map(header.raw, _PATIENT))
        if not header.raw(tags.PATIENT_ID):
            # Patients without an ID may be anybody.
            patient = patient, study_uid
        entity = self._root
        for key, type_, wanted in (
            (patient, "PATIENT", _PATIENT),
            (study_uid, "STUDY", _STUDY),
            (series_uid, "SERIES", _SERIES),
        ):
            below = entity.below.get(key)
            if below is None:
                below = _Entity(_record(type_, header, wanted, {}))
                entity.below[key] = below
                self.size += len(below.record)
            entity = below
        return entity

    def written(self) -> bytes:
        """Return the DICOMDIR; ends the index, whose memory is given back meanwhile."""
        data = bytearray(_front(_NO_UID, 0, 0))
        start = len(data)
        _write(data, self._root)
        with memoryview(data) as view:
            digest = hashlib.sha256(view[start:]).digest()
        number = int.from_bytes(digest, "big") % 10**38
        uid = b"2.25.1%038d" % number
        first = start if len(data) > start else 0
        data[:start] = _front(uid, first, len(data) - start)
        return bytes(data)


def _write(data: bytearray, entity: _Entity) -> None:
    """Write the records below *entity*, linked: those of folders, then those of files."""
    waiting = list(reversed(entity.below.values()))
    entity.below.clear()
    while waiting:
        below = waiting.pop()
        start = len(data)
        data += below.record
        if below.below or below.leaves:
            _NUMBER.pack_into(data, start + _LOWER_AT, len(data))
        _write(data, below)
        if waiting or entity.leaves:
            _NUMBER.pack_into(data, start + _NEXT_AT, len(data))
    start, end = len(data), len(data) + len(entity.leaves)
    data += entity.leaves
    entity.leaves.clear()
    while start < end:
        following = start + _ITEM.size + _ITEM.unpack_from(data, start)[2]
        if following < end:
            _NUMBER.pack_into(data, start + _NEXT_AT, following)
        start = following


def _front(uid: bytes, first: int, length: int) -> bytes:
    """Return what comes before records that begin at *first* and are *length* long."""
    meta = elements(
        {
            tags.MEDIA_STORAGE_SOP_CLASS_UID: DIRECTORY,
            tags.MEDIA_STORAGE_SOP_INSTANCE_UID: uid,
            tags.TRANSFER_SYNTAX_UID: EXPLICIT_VR_LITTLE_ENDIAN,
        }
    )
    top = elements(
        {
            tags.FILE_SET_ID: b"SCAN",
            tags.OFFSET_OF_FIRST_ROOT_RECORD: _NUMBER.pack(first),
            tags.FILE_SET_CONSISTENCY_FLAG: _CONSISTENT,
        }
    )
    sequence = sequence_header(tags.DIRECTORY_RECORD_SEQUENCE, length)
    return part_10(meta, top + sequence)


def _record(
    type_: str, header: Attributes, wanted: Iterable[int], more: dict[int, bytes]
) -> bytes:
    """Return a directory record with the *wanted* attributes of *header* and *more*.

    Its links lead nowhere yet.
    """
    record = elements(
        {
            tags.OFFSET_OF_NEXT_RECORD: _NO_LINK,
            tags.RECORD_IN_USE_FLAG: _IN_USE,
            tags.OFFSET_OF_LOWER_ENTITY: _NO_LINK,
            tags.DIRECTORY_RECORD_TYPE: type_.encode(),
        }
        | {tag: value for tag, value in more.items() if value}
        | {tag: value for tag in wanted if (value := header.raw(tag))}
    )
    return item(record)
