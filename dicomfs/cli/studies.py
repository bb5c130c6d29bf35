"""A line for each study, for people: who, what, when, and on which disc."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Final

from dicomfs.catalogue.columns import asked_for
from dicomfs.catalogue.rows import rows
from dicomfs.dicom.keywords import Value
from dicomfs.dicom.text import person_name
from dicomfs.dicom.types import Level
from dicomfs.printable import printable
from dicomfs.tree.selection import Selection

_HEADS: Final = (
    *("PATIENT", "ID", "DATE", "MODALITIES", "DESCRIPTION", "ACCESSION"),
    *("SERIES", "IMAGES", "BYTES", "DISC"),
)
_COLUMNS: Final = (
    *("PatientName", "PatientID", "StudyDate", "ModalitiesInStudy"),
    *("StudyDescription", "AccessionNumber", "NumberOfStudyRelatedSeries"),
    *("NumberOfStudyRelatedInstances", "bytes", "source", "missing"),
)
_NUMBERS: Final = frozenset({"SERIES", "IMAGES", "BYTES"})
_NONE: Final = "-"
# So many lines say how wide the columns are; others may have to stand out.
_MEASURED: Final = 1000
_BLANKS: Final = "  "
_DATE: Final = 8


def lines(root: Selection) -> Iterator[str]:
    """Yield a head and then a line for each study below *root*."""
    columns = asked_for(_COLUMNS, Level.STUDY)
    found = (_cells(row) for group in rows(root, Level.STUDY, columns) for row in group)
    first = [list(_HEADS), *islice(found, _MEASURED)]
    widths = [max(map(_width, column)) for column in zip(*first, strict=True)]
    for cells in chain(first, found):
        yield _BLANKS.join(_padded(cells, widths)).rstrip()


def _cells(row: Sequence[Value | None]) -> list[str]:
    name, id_, date, modalities, *more, missing = row
    more[3] = f"{more[3]} ({missing} missing)" if missing else more[3]
    told = [person_name(str(name or "")), id_, _date(date), modalities, *more]
    return [printable("" if each is None else str(each)) or _NONE for each in told]


def _date(value: Value | None) -> str:
    """Return a date as in names of folders, and what is none as it is written."""
    text = str(value or "")
    if len(text) == _DATE and text.isdecimal():
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return text


def _padded(cells: Iterable[str], widths: Iterable[int]) -> Iterator[str]:
    for head, cell, width in zip(_HEADS, cells, widths, strict=True):
        blanks = " " * (width - _width(cell))
        yield blanks + cell if head in _NUMBERS else cell + blanks


def _width(text: str) -> int:
    """Return how many columns of a terminal *text* takes."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(each) in "WF" for each in text)
    return len(text) + wide - sum(unicodedata.combining(each) != 0 for each in text)
