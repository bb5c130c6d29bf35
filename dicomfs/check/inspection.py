"""Inspecting one file as a whole: every byte, the preamble, the header, the end."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dicomfs.check.readability import Readability, ReadableSource, read_through
from dicomfs.dicom import disguise, tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.element import UNDEFINED_LENGTH, elements
from dicomfs.dicom.header import read_header, read_meta
from dicomfs.dicom.uids import DEFLATED, DIRECTORY
from dicomfs.errors import DicomfsError, ElementError, NotDicomError
from dicomfs.source.source import Source
from dicomfs.source.window import Window

_PREFIX: Final = b"DICM"
_BLOCK: Final = 16 * 1024
# No instance has so many; what is behind them is not looked at.
_MOST_ELEMENTS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found out about a file.

    *readability* says which bytes are unreadable, *program* what hides in the preamble.
    A file without *header* is not in DICOM format, or its header lies where it is
    unreadable. What is not in DICOM format may be *secured*: encrypted or signed.
    """

    readability: Readability
    program: str = ""
    header: Attributes | None = None
    is_dicom: bool = True
    is_cut_off: bool = False
    secured: str = ""


def inspect(source: Source, go_on: Callable[[], bool] = lambda: True) -> Inspection:
    """Read all of *source* and return what is to be known about it.

    Raises OSError if the medium is gone, InterruptedError once *go_on* says no.
    """
    readability = read_through(source, go_on)
    readable = ReadableSource(source, readability)
    try:
        header = read_header(readable)
    except NotDicomError:
        secured = disguise.how_secured(readable.read_at(0, disguise.ENVELOPE_HEAD))
        return Inspection(readability, is_dicom=False, secured=secured)
    except (OSError, ElementError):
        header = None
    is_cut_off = readability.is_whole and ends_early(readable)
    return Inspection(readability, program_in(readable), header, is_cut_off=is_cut_off)


def program_in(source: Source) -> str:
    """Return what program begins in the preamble of *source*, empty if none does."""
    try:
        head = source.read_at(0, disguise.PREAMBLE + len(_PREFIX))
    except OSError:
        return ""
    return disguise.program(head) if head.endswith(_PREFIX) else ""


def ends_early(source: Source) -> bool:
    """Whether the data set in *source* goes on where the file has ended.

    That is not known of a deflated one.
    """
    window = Window(source, _BLOCK)
    try:
        meta = read_meta(window)
        if meta.transfer_syntax == DEFLATED:
            return False
        end, syntax = meta.start, meta.syntax(window)
        for number, element in enumerate(
            elements(window, end, window.size, syntax, cut=True)
        ):
            if number == _MOST_ELEMENTS:
                return False
            if element.length != UNDEFINED_LENGTH:
                end = element.start + element.length
    except OSError:
        return False
    except DicomfsError:
        return True
    return end > window.size


def is_instance(source: Source) -> bool:
    """Whether *source* is a DICOM file, and not a DICOMDIR; raises OSError."""
    window = Window(source, _BLOCK)
    try:
        meta = read_meta(window)
    except DicomfsError:
        return False
    if meta.sop_class_uid == DIRECTORY:
        return False
    return bool(meta.sop_class_uid or meta.sop_instance_uid) or _has_uid(source)


def _has_uid(source: Source) -> bool:
    """Whether a file without File Meta Information is an instance all the same."""
    try:
        header = read_header(source)
    except DicomfsError:
        return False
    return bool(header.raw(tags.SOP_CLASS_UID) or header.raw(tags.SOP_INSTANCE_UID))
