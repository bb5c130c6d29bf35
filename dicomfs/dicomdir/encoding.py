"""Data elements as a DICOMDIR has them: explicit VR, little endian (PS3.10 8.6)."""

from collections.abc import Mapping
from struct import Struct
from typing import Final

from dicomfs.dicom import tags
from dicomfs.dicom.element import ITEM, SHORT_VRS

VRS: Final = {
    tags.FILE_META_INFORMATION_VERSION: b"OB",
    tags.MEDIA_STORAGE_SOP_CLASS_UID: b"UI",
    tags.MEDIA_STORAGE_SOP_INSTANCE_UID: b"UI",
    tags.TRANSFER_SYNTAX_UID: b"UI",
    tags.IMPLEMENTATION_CLASS_UID: b"UI",
    tags.FILE_SET_ID: b"CS",
    tags.OFFSET_OF_FIRST_ROOT_RECORD: b"UL",
    tags.OFFSET_OF_LAST_ROOT_RECORD: b"UL",
    tags.FILE_SET_CONSISTENCY_FLAG: b"US",
    tags.OFFSET_OF_NEXT_RECORD: b"UL",
    tags.RECORD_IN_USE_FLAG: b"US",
    tags.OFFSET_OF_LOWER_ENTITY: b"UL",
    tags.DIRECTORY_RECORD_TYPE: b"CS",
    tags.PRIVATE_RECORD_UID: b"UI",
    tags.REFERENCED_FILE_ID: b"CS",
    tags.REFERENCED_SOP_CLASS_UID: b"UI",
    tags.REFERENCED_SOP_INSTANCE_UID: b"UI",
    tags.REFERENCED_TRANSFER_SYNTAX_UID: b"UI",
    tags.SPECIFIC_CHARACTER_SET: b"CS",
    tags.STUDY_DATE: b"DA",
    tags.SERIES_DATE: b"DA",
    tags.CONTENT_DATE: b"DA",
    tags.STUDY_TIME: b"TM",
    tags.SERIES_TIME: b"TM",
    tags.CONTENT_TIME: b"TM",
    tags.ACCESSION_NUMBER: b"SH",
    tags.MODALITY: b"CS",
    tags.INSTITUTION_NAME: b"LO",
    tags.REFERRING_PHYSICIAN_NAME: b"PN",
    tags.CODE_MEANING: b"LO",
    tags.TIMEZONE_OFFSET_FROM_UTC: b"SH",
    tags.STUDY_DESCRIPTION: b"LO",
    tags.SERIES_DESCRIPTION: b"LO",
    tags.PATIENT_NAME: b"PN",
    tags.PATIENT_ID: b"LO",
    tags.ISSUER_OF_PATIENT_ID: b"LO",
    tags.PATIENT_BIRTH_DATE: b"DA",
    tags.PATIENT_SEX: b"CS",
    tags.STUDY_INSTANCE_UID: b"UI",
    tags.SERIES_INSTANCE_UID: b"UI",
    tags.STUDY_ID: b"SH",
    tags.SERIES_NUMBER: b"IS",
    tags.INSTANCE_NUMBER: b"IS",
    tags.IMPLANT_NAME: b"LO",
    tags.ROWS: b"US",
    tags.COLUMNS: b"US",
    tags.VERIFICATION_DATE_TIME: b"DT",
    tags.COMPLETION_FLAG: b"CS",
    tags.VERIFICATION_FLAG: b"CS",
    tags.DOCUMENT_TITLE: b"ST",
    tags.MIME_TYPE_OF_ENCAPSULATED_DOCUMENT: b"LO",
    tags.CONTENT_LABEL: b"CS",
    tags.CONTENT_DESCRIPTION: b"LO",
    tags.HANGING_PROTOCOL_NAME: b"SH",
    tags.IMPLANT_ASSEMBLY_TEMPLATE_NAME: b"LO",
    tags.IMPLANT_TEMPLATE_GROUP_NAME: b"LO",
    tags.STRUCTURE_SET_LABEL: b"SH",
    tags.RT_PLAN_LABEL: b"SH",
    tags.USER_CONTENT_LABEL: b"SH",
}
"""How values are written, of attributes that records have or may be given."""

# PS3.5 6.2: others are padded with a blank.
_PADDED_WITH_NUL: Final = frozenset({b"UI", b"OB", b"UN"})
_SHORT: Final = Struct("<HH2sH").pack
_LONG: Final = Struct("<HH2sHL").pack
_ITEM: Final = Struct("<HHL")
_NUMBER: Final = Struct("<L")
_META_GROUP_LENGTH: Final = 0x00020000
_PREAMBLE: Final = bytes(128) + b"DICM"


def elements(values: Mapping[int, bytes]) -> bytes:
    """Return data elements with these *values*, in the order of their tags."""
    return b"".join(element(tag, value) for tag, value in sorted(values.items()))


def element(tag: int, value: bytes, vr: bytes = b"") -> bytes:
    """Return one data element, padded to an even length; its *vr* is that of `VRS`.

    The *value* of the code sequence that titles something is the Code Meaning in it.
    """
    if tag == tags.CONCEPT_NAME_CODE_SEQUENCE and not vr:
        meaning = item(element(tags.CODE_MEANING, value))
        return sequence_header(tag, len(meaning)) + meaning
    vr = vr or VRS[tag]
    if len(value) % 2:
        value += b"\0" if vr in _PADDED_WITH_NUL else b" "
    if vr in SHORT_VRS and len(value) <= 0xFFFF:
        return _SHORT(tag >> 16, tag & 0xFFFF, vr, len(value)) + value
    # PS3.5 6.2.2: a value that is too long for its VR is one of VR UN.
    vr = b"UN" if vr in SHORT_VRS else vr
    return _LONG(tag >> 16, tag & 0xFFFF, vr, 0, len(value)) + value


def item(content: bytes) -> bytes:
    """Return an item of defined length with this *content*."""
    return _ITEM.pack(ITEM >> 16, ITEM & 0xFFFF, len(content)) + content


def sequence_header(tag: int, length: int) -> bytes:
    """Return what comes in front of the items of a sequence, which are *length* long."""
    return _LONG(tag >> 16, tag & 0xFFFF, b"SQ", 0, length)


def part_10(meta: bytes, content: bytes) -> bytes:
    """Return a file in DICOM format (PS3.10 7.1): File Meta Information and *content*.

    *meta* are the elements of that information but for its length.
    """
    length = element(_META_GROUP_LENGTH, _NUMBER.pack(len(meta)), b"UL")
    return b"".join((_PREAMBLE, length, meta, content))
