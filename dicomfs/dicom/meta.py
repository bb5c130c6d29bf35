"""What stands in front of a data set: preamble and File Meta Information (PS3.10 7.1)."""

from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.element import Syntax, elements, sniff
from dicomfs.errors import NotDicomError
from dicomfs.source.window import Window

_PREAMBLE: Final = 128
_PREFIX: Final = b"DICM"
_META_GROUP: Final = 0x0002
# Data sets begin in group 0004 (directories) or 0008 (instances).
_FIRST_GROUPS: Final = frozenset({_META_GROUP, 0x0004, 0x0008})
_HEAD: Final = 8
_MAX_VALUE: Final = 256


class Meta(NamedTuple):
    """What the File Meta Information says, and where the data set begins."""

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

    Raises NotDicomError where no DICOM file begins.
    """
    begin = start = _first_element(window)
    head = window.read(start, _HEAD)
    syntax = sniff(head)
    group = syntax.integer(head[:2])
    if len(head) < _HEAD or group not in _FIRST_GROUPS:
        raise NotDicomError("the file is not in DICOM format")
    values: dict[int, bytes] = {}
    if group == _META_GROUP:
        # Guided by the elements, not by their group length: it is wrong on many media.
        for element in elements(window, start, window.size, syntax):
            if element.tag >> 16 != _META_GROUP:
                break
            if element.length <= _MAX_VALUE:
                value = window.read(element.start, element.length)
                values[element.tag] = value.strip(b" \0")
            start = element.start + element.length
    return Meta(
        bool(values) and begin == _PREAMBLE + len(_PREFIX),
        values.get(tags.MEDIA_STORAGE_SOP_CLASS_UID, b""),
        values.get(tags.MEDIA_STORAGE_SOP_INSTANCE_UID, b""),
        values.get(tags.TRANSFER_SYNTAX_UID, b""),
        start,
    )


def _first_element(window: Window) -> int:
    if window.read(_PREAMBLE, len(_PREFIX)) == _PREFIX:
        return _PREAMBLE + len(_PREFIX)
    if window.read(0, len(_PREFIX)) == _PREFIX:
        return len(_PREFIX)
    return 0
