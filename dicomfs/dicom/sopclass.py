"""SOP classes: which Directory Record Type an instance of each has (PS3.3 F.4, F.5)."""

from functools import lru_cache
from typing import Final

DIRECTORY: Final = b"1.2.840.10008.1.3.10"
IMAGE: Final = "IMAGE"

_ROOT: Final = b"1.2.840.10008.5.1."
# By what follows that root. With a dot behind, it is all classes below.
_TYPES: Final = {
    b"1.27": "STORED PRINT",
    b"4.34.": "PLAN",
    b"4.38.1": "HANGING PROTOCOL",
    b"4.39.1": "PALETTE",
    b"4.43.1": "IMPLANT",
    b"4.44.1": "IMPLANT ASSY",
    b"4.45.1": "IMPLANT GROUP",
    b"4.1.1.4.2": "SPECTROSCOPY",
    b"4.1.1.8": "OVERLAY",
    b"4.1.1.9": "CURVE",
    b"4.1.1.9.": "WAVEFORM",
    b"4.1.1.9.100.": "WF PRESENTATION",
    b"4.1.1.10": "MODALITY LUT",
    b"4.1.1.11": "VOI LUT",
    b"4.1.1.11.": "PRESENTATION",
    b"4.1.1.66": "RAW DATA",
    b"4.1.1.66.1": "REGISTRATION",
    b"4.1.1.66.2": "FIDUCIAL",
    b"4.1.1.66.3": "REGISTRATION",
    b"4.1.1.66.5": "SURFACE",
    b"4.1.1.66.6": "TRACT",
    b"4.1.1.67": "VALUE MAP",
    b"4.1.1.68.": "SURFACE SCAN",
    b"4.1.1.77.1.5.3": "STEREOMETRIC",
    b"4.1.1.78.": "MEASUREMENT",
    b"4.1.1.78.6": "SR DOCUMENT",
    b"4.1.1.79.": "SR DOCUMENT",
    b"4.1.1.80.": "MEASUREMENT",
    b"4.1.1.88.": "SR DOCUMENT",
    b"4.1.1.88.59": "KEY OBJECT DOC",
    b"4.1.1.90.": "ASSESSMENT",
    b"4.1.1.91.": "ANNOTATION",
    b"4.1.1.104.": "ENCAP DOC",
    b"4.1.1.129": "CURVE",
    b"4.1.1.131": "PRESENTATION",
    b"4.1.1.201.1": "INVENTORY",
    # Second generation radiotherapy, but for what has a type of its own.
    b"4.1.1.481.": "RADIOTHERAPY",
    b"4.1.1.481.1": IMAGE,
    b"4.1.1.481.2": "RT DOSE",
    b"4.1.1.481.3": "RT STRUCTURE SET",
    b"4.1.1.481.4": "RT TREAT RECORD",
    b"4.1.1.481.5": "RT PLAN",
    b"4.1.1.481.6": "RT TREAT RECORD",
    b"4.1.1.481.7": "RT TREAT RECORD",
    b"4.1.1.481.8": "RT PLAN",
    b"4.1.1.481.9": "RT TREAT RECORD",
    b"4.1.1.481.23": IMAGE,
    b"4.1.1.481.24": IMAGE,
}


@lru_cache(maxsize=256)
def record_type(sop_class_uid: bytes) -> str:
    """Return the Directory Record Type of instances of a class; IMAGE for any other."""
    if not sop_class_uid.startswith(_ROOT):
        return IMAGE
    below = sop_class_uid.removeprefix(_ROOT)
    while below not in _TYPES and below:
        below = below.rstrip(b".").rpartition(b".")[0]
        below += b"." if below else b""
    return _TYPES.get(below, IMAGE)
