"""Inspecting one file as a whole: every byte, the preamble, the header, the end."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from dicomfs.check.readability import Readability, readable
from dicomfs.dicom import disguise, tags
from dicomfs.dicom.attributes import Attributes, as_text, of_text
from dicomfs.dicom.element import (
    ITEM_DELIMITATION,
    UNDEFINED_LENGTH,
    elements,
    read_values,
)
from dicomfs.dicom.header import Meta, read_header, read_meta
from dicomfs.dicom.readings import steps
from dicomfs.dicom.text import has_rubbish
from dicomfs.dicom.uids import DEFLATED, DIRECTORY
from dicomfs.errors import DicomfsError, ElementError, EndlessError, NotDicomError
from dicomfs.findings import Kind
from dicomfs.source.limited import Limited
from dicomfs.source.source import Source
from dicomfs.source.window import Window

_PREFIX: Final = b"DICM"
_BLOCK: Final = 16 * 1024
# No instance has so many; what is behind them is not looked at.
_MOST_ELEMENTS: Final = 20_000
# The elements of nearly all instances, without what is passed over, take less.
_LITTLE: Final = 256 * 1024


class Encoding(Enum):
    """How a data set is encoded."""

    USUAL = "as it should be"
    MALFORMED = "not as it should be, but it can be read to its end"
    NOT_UNDERSTOOD = "from somewhere on nobody knows how"
    CUT_OFF = "its end is missing"


_FAULTS: Final = {
    Encoding.MALFORMED: Kind.MALFORMED_FILE,
    Encoding.NOT_UNDERSTOOD: Kind.NOT_UNDERSTOOD,
    Encoding.CUT_OFF: Kind.FILE_CUT_OFF,
}


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
    encoding: Encoding = Encoding.USUAL
    has_rubbish: bool = False
    secured: str = ""

    def faults(self) -> Iterator[tuple[Kind, str]]:
        """Yield what is wrong with the file by itself, and what else is known of that."""
        if not self.is_dicom:
            kind = Kind.SECURED_FILE if self.secured else Kind.NOT_DICOM
            yield kind, self.secured
        if self.encoding in _FAULTS:
            yield _FAULTS[self.encoding], ""
        if self.has_rubbish:
            yield Kind.RUBBISH, ""
        if self.program:
            yield Kind.EXECUTABLE_PREAMBLE, self.program


Told = list[object]


def told(source: Source) -> Told:
    """Return ``inspect`` of *source* in JSON, for ``heard`` of another process."""
    found = inspect(source)
    reads, header = found.readability, found.header
    return [
        [reads.size, reads.unreadable, reads.untried],
        found.program,
        None if header is None else as_text(header),
        found.is_dicom,
        found.encoding.name,
        found.has_rubbish,
        found.secured,
    ]


def heard(told: Any) -> Inspection:
    """Return what another process *told*; raises ValueError if that is no inspection."""
    try:
        reads, program, header, is_dicom, encoding, has_rubbish, secured = told
        size, unreadable, untried = reads
        ranges = [(int(begin), int(end)) for begin, end in unreadable]
        return Inspection(
            Readability(int(size), ranges, int(untried)),
            str(program),
            None if header is None else of_text(header),
            bool(is_dicom),
            Encoding[encoding],
            bool(has_rubbish),
            str(secured),
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("no inspection") from error


def inspect(source: Source, tell: Callable[[int], None] = lambda _: None) -> Inspection:
    """Read all of *source* and return what is to be known about it.

    *tell* hears how many bytes were read. Raises OSError if the medium is gone.
    """
    whole = readable(source, tell)
    readability = whole.readability
    header = meta = None
    try:
        meta = read_meta(Window(whole, _BLOCK))
        header = read_header(whole, meta=meta)
    except NotDicomError:
        secured = disguise.how_secured(whole.read_at(0, disguise.ENVELOPE_HEAD))
        return Inspection(readability, is_dicom=False, secured=secured)
    except (OSError, ElementError):
        pass  # there is no header, and the encoding says why
    return Inspection(
        readability,
        program_in(whole),
        header,
        encoding=encoding_of(whole, meta) if readability.is_whole else Encoding.USUAL,
        has_rubbish=header is not None
        and any(b"\0" in each and has_rubbish(each) for each in header.values.values()),
    )


def program_in(source: Source) -> str:
    """Return what program begins in the preamble of *source*, empty if none does."""
    try:
        head = source.read_at(0, disguise.PREAMBLE + len(_PREFIX))
    except OSError:
        return ""
    return disguise.program(head) if head.endswith(_PREFIX) else ""


def encoding_of(source: Source, meta: Meta | None = None) -> Encoding:
    """Return how the data set in *source* is encoded, and whether it ends in the file.

    That is not known of a deflated one. Who has read *meta* already may say so.
    """
    window = Window(source, _BLOCK)
    try:
        meta = meta or read_meta(window)
        if meta.transfer_syntax == DEFLATED:
            return Encoding.USUAL
        if _is_plain(source, meta):
            return Encoding.USUAL
        first = _as_written(window, meta)
        if first is Encoding.USUAL:
            return first
        return _in_doubt(window, meta, first)
    except OSError:
        return Encoding.USUAL
    except DicomfsError:
        return Encoding.CUT_OFF


def _is_plain(source: Source, meta: Meta) -> bool:
    """Whether the elements ascend and fill the file, as far as little shows that.

    What is not plain is read again, element by element.
    """
    window = Window(Limited(source, _LITTLE), _BLOCK)
    syntax = meta.syntax(window)
    with suppress(ElementError):
        end = read_values(window, meta.start, window.size, syntax, {}, {})
        return end == window.size
    return False


def _as_written(window: Window, meta: Meta) -> Encoding:
    """Return what reading element by element, as they are written, leads to."""
    end, syntax, tag = meta.start, meta.syntax(window), -1
    try:
        for number, element in enumerate(
            elements(window, end, window.size, syntax, cut=True)
        ):
            if number == _MOST_ELEMENTS:
                return Encoding.USUAL
            if element.tag <= tag:
                return Encoding.NOT_UNDERSTOOD
            tag = element.tag
            if element.length != UNDEFINED_LENGTH:
                end = element.start + element.length
    except EndlessError:
        return Encoding.CUT_OFF
    except ElementError:
        return Encoding.NOT_UNDERSTOOD
    if tag == ITEM_DELIMITATION:
        return Encoding.NOT_UNDERSTOOD
    return Encoding.CUT_OFF if end > window.size else Encoding.USUAL


def _in_doubt(window: Window, meta: Meta, first: Encoding) -> Encoding:
    """Return what reading each element as it leads on leads to; else what was *first*."""
    stop, is_usual = meta.start, True
    for step in steps(window, stop, window.size, meta.syntax(window)):
        stop, is_usual = step.after, is_usual and step.is_usual
    if stop != window.size:
        return first
    return Encoding.USUAL if is_usual else Encoding.MALFORMED


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


def is_directory(source: Source) -> bool:
    """Whether *source* says that it is a DICOMDIR; raises OSError."""
    try:
        return read_meta(Window(source, _BLOCK)).sop_class_uid == DIRECTORY
    except DicomfsError:
        return False


def _has_uid(source: Source) -> bool:
    """Whether a file without File Meta Information is an instance all the same."""
    try:
        header = read_header(source)
    except DicomfsError:
        return False
    return bool(header.raw(tags.SOP_CLASS_UID) or header.raw(tags.SOP_INSTANCE_UID))
