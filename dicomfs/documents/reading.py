"""Which instances hold documents, and who reads them.

A reader gets the bytes of an instance and returns its documents by their extension, each
as a source of its own. A document that lies in the instance as it is stands on the source
that it was read from, and is never copied. Readers raise OSError from the medium and
DicomfsError where there is no document, or one that is better not shown.
"""

from collections.abc import Callable, Mapping
from typing import Final

from dicomfs.dicom.types import DOCUMENT, KEY_OBJECTS, REPORT
from dicomfs.documents import encapsulated, pages, video
from dicomfs.documents.video import is_video
from dicomfs.source.source import Source

Documents = Mapping[str, Source]
Reader = Callable[[Source], Documents]

_BY_TYPE: Final[Mapping[str, Reader]] = {
    DOCUMENT: encapsulated.read,
    REPORT: pages.read,
    KEY_OBJECTS: pages.read,
}


def reader_of(type_: str, transfer_syntax: bytes) -> Reader | None:
    """Return who reads the documents of an instance, as its record describes it.

    By its Directory Record Type, or its Transfer Syntax. None if it holds none.
    """
    if is_video(transfer_syntax):
        return video.read
    return _BY_TYPE.get(type_)
