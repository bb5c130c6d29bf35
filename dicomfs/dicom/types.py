"""Directory Record Types (PS3.3 F.4 and F.5), those of former editions included."""

from enum import IntEnum
from functools import lru_cache
from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.uids import DICOM_ROOT, STORAGE_ROOT


class Level(IntEnum):
    """Where a record stands in the Basic Directory (PS3.3 table F.4-1)."""

    ROOT = 0
    PATIENT = 1
    STUDY = 2
    SERIES = 3
    INSTANCE = 4
    OTHER = 5


class RecordType(NamedTuple):
    """A Directory Record Type.

    *short* is what file names call it, empty if that is its own name. *required* are
    the tags of its keys of type 1 and *classes* the SOP classes of its instances, by
    what follows ``uids.STORAGE_ROOT``; with a dot behind, all classes below. Where
    several fit, the longest counts. A type *in_root* belongs to no patient. The file of
    one that *is_foreign* is not in DICOM format. A type without a *level* is not a part of
    the tree.
    """

    name: str
    level: Level | None
    short: str = ""
    required: tuple[int, ...] = ()
    classes: tuple[bytes, ...] = ()
    in_root: bool = False
    is_foreign: bool = False


def _instance(
    name: str, short: str = "", classes: tuple[bytes, ...] = ()
) -> RecordType:
    """Return a type of instances that are told apart by their number."""
    return RecordType(name, Level.INSTANCE, short, (tags.INSTANCE_NUMBER,), classes)


def _unnumbered(
    name: str, short: str = "", classes: tuple[bytes, ...] = ()
) -> RecordType:
    """Return a type of instances whose records need no key of their own."""
    return RecordType(name, Level.INSTANCE, short, (), classes)


def _in_root(name: str, *classes: bytes) -> RecordType:
    """Return a type of records of the root entity that belong to no patient."""
    return RecordType(name, Level.OTHER, classes=classes, in_root=True)


def _branch(name: str) -> RecordType:
    """Return a type whose records are folders of their own wherever they stand."""
    return RecordType(name, Level.OTHER)


IMAGE: Final = "IMAGE"
RAW_DATA: Final = "RAW DATA"
DOCUMENT: Final = "ENCAP DOC"
REPORT: Final = "SR DOCUMENT"
KEY_OBJECTS: Final = "KEY OBJECT DOC"
PRIVATE: Final = "PRIVATE"
MRDR: Final = "MRDR"

RECORD_TYPES: Final = (
    RecordType("PATIENT", Level.PATIENT, required=(tags.PATIENT_ID,)),
    RecordType(
        "STUDY",
        Level.STUDY,
        required=(
            tags.STUDY_DATE,
            tags.STUDY_TIME,
            tags.STUDY_ID,
            tags.STUDY_INSTANCE_UID,
        ),
    ),
    RecordType(
        "SERIES",
        Level.SERIES,
        required=(tags.MODALITY, tags.SERIES_INSTANCE_UID, tags.SERIES_NUMBER),
    ),
    # Instances; those of classes that no row names are images.
    _instance(IMAGE, "", (b"4.1.1.481.1", b"4.1.1.481.23", b"4.1.1.481.24")),
    _instance("RT DOSE", "RTDOSE", (b"4.1.1.481.2",)),
    _instance("RT STRUCTURE SET", "RTSTRUCT", (b"4.1.1.481.3",)),
    _instance("RT PLAN", "RTPLAN", (b"4.1.1.481.5", b"4.1.1.481.8")),
    _instance(
        "RT TREAT RECORD",
        "RTRECORD",
        (b"4.1.1.481.4", b"4.1.1.481.6", b"4.1.1.481.7", b"4.1.1.481.9"),
    ),
    # Second generation radiotherapy, but for what has a type of its own.
    _instance("RADIOTHERAPY", "RT", (b"4.1.1.481.",)),
    _unnumbered("PLAN", "", (b"4.34.",)),
    _instance("PRESENTATION", "PR", (b"4.1.1.11.", b"4.1.1.131")),
    _instance("WF PRESENTATION", "PR", (b"4.1.1.9.100.",)),
    _instance("WAVEFORM", "", (b"4.1.1.9.",)),
    _instance(REPORT, "SR", (b"4.1.1.88.", b"4.1.1.78.6", b"4.1.1.79.")),
    _instance(KEY_OBJECTS, "KO", (b"4.1.1.88.59",)),
    _instance("SPECTROSCOPY", "", (b"4.1.1.4.2",)),
    _unnumbered(RAW_DATA, "RAW", (b"4.1.1.66",)),
    _instance("REGISTRATION", "REG", (b"4.1.1.66.1", b"4.1.1.66.3")),
    _instance("FIDUCIAL", "FID", (b"4.1.1.66.2",)),
    _instance(DOCUMENT, "DOC", (b"4.1.1.104.",)),
    RecordType("HL7 STRUC DOC", Level.INSTANCE, is_foreign=True),
    _instance("VALUE MAP", "RWV", (b"4.1.1.67",)),
    _unnumbered("STEREOMETRIC", "STEREO", (b"4.1.1.77.1.5.3",)),
    _instance("MEASUREMENT", "", (b"4.1.1.78.", b"4.1.1.80.")),
    _instance("SURFACE", "", (b"4.1.1.66.5",)),
    _unnumbered("SURFACE SCAN", "", (b"4.1.1.68.",)),
    _instance("TRACT", "", (b"4.1.1.66.6",)),
    _instance("ASSESSMENT", "", (b"4.1.1.90.",)),
    _instance("ANNOTATION", "ANN", (b"4.1.1.91.",)),
    # Retired ones.
    _unnumbered("CURVE", "", (b"4.1.1.9", b"4.1.1.129")),
    _unnumbered("OVERLAY", "", (b"4.1.1.8",)),
    _unnumbered("MODALITY LUT", "", (b"4.1.1.10",)),
    _unnumbered("VOI LUT", "", (b"4.1.1.11",)),
    _unnumbered("STORED PRINT", "", (b"1.27",)),
    _unnumbered("STRUCT REPORT"),
    # The root entity.
    _in_root("HANGING PROTOCOL", b"4.38.1"),
    _in_root("PALETTE", b"4.39.1"),
    _in_root("IMPLANT", b"4.43.1"),
    _in_root("IMPLANT ASSY", b"4.44.1"),
    _in_root("IMPLANT GROUP", b"4.45.1"),
    _in_root("INVENTORY", b"4.1.1.201.1"),
    # Retired or local branches.
    _branch(PRIVATE),
    _branch("TOPIC"),
    _branch("VISIT"),
    _branch("RESULTS"),
    _branch("INTERPRETATION"),
    _branch("STUDY COMPONENT"),
    _branch("PRINT QUEUE"),
    _branch("FILM SESSION"),
    _branch("FILM BOX"),
    _branch("IMAGE BOX"),
    # Lends its file to other records, and is nothing by itself (retired).
    RecordType(MRDR, None),
)

_KNOWN: Final = frozenset(each.name for each in RECORD_TYPES)
LEVELS: Final = {
    each.name: each.level for each in RECORD_TYPES if each.level is not None
}
SHORT_NAMES: Final = {each.name: each.short for each in RECORD_TYPES if each.short}
REQUIRED: Final = {each.name: each.required for each in RECORD_TYPES if each.required}
ROOT_TYPES: Final = frozenset(each.name for each in RECORD_TYPES if each.in_root)
FOREIGN_TYPES: Final = frozenset(each.name for each in RECORD_TYPES if each.is_foreign)
_BY_CLASS: Final = {part: each.name for each in RECORD_TYPES for part in each.classes}


def is_known(type_: str) -> bool:
    """Whether a Directory Record Type is in the standard, or was."""
    return type_ in _KNOWN


def level_of(type_: str) -> Level:
    """Return the level of records of a type; those of unknown types are instances."""
    return LEVELS.get(type_, Level.INSTANCE)


@lru_cache(maxsize=256)
def type_as_written(value: bytes) -> str:
    """Return the Directory Record Type that *value* is in a record.

    Padding, case and doubled blanks do not count.
    """
    return " ".join(value.strip(b" \0").decode("latin-1").upper().split())


@lru_cache(maxsize=256)
def type_of_class(sop_class_uid: bytes) -> str:
    """Return the Directory Record Type of instances of a class; IMAGE for any other."""
    if not sop_class_uid.startswith(STORAGE_ROOT):
        return IMAGE
    below = sop_class_uid.removeprefix(STORAGE_ROOT)
    while below not in _BY_CLASS and below:
        below = below.rstrip(b".").rpartition(b".")[0]
        below += b"." if below else b""
    return _BY_CLASS.get(below, IMAGE)


def is_private_class(sop_class_uid: bytes) -> bool:
    """Whether a SOP class is one that somebody made up for himself."""
    return bool(sop_class_uid) and not sop_class_uid.startswith(DICOM_ROOT)


def type_shown(type_: str, sop_class: bytes) -> str:
    """Return what an instance is, by the type of its record and the class as written.

    Writers call IMAGE whatever they do not know; then the class says more.
    """
    return type_ if type_ != IMAGE else _type_of_value(sop_class)


@lru_cache(maxsize=256)
def _type_of_value(value: bytes) -> str:
    return type_of_class(value.partition(b"\0")[0].strip(b" "))
