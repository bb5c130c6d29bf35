"""A structured report (PS3.3 C.17): what it says, of whom, and whether it may be relied on.

Any template: what a content item is about is in the item itself.
"""

import zlib
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.dataset import DataSet, read_data_set
from dicomfs.dicom.element import sniff
from dicomfs.dicom.header import read_meta
from dicomfs.dicom.types import KEY_OBJECTS, type_of_class
from dicomfs.dicom.uids import DEFLATED
from dicomfs.documents.values import (
    date_of,
    date_time_of,
    instance_of,
    name_of,
    time_of,
    value_of,
)
from dicomfs.errors import DocumentError
from dicomfs.source.source import BytesSource, Source
from dicomfs.source.window import Window

# Those that were ever seen are smaller by far.
_MOST_BYTES: Final = 8 * 1024 * 1024
_MOST_ITEMS: Final = 10_000

_SEQUENCES: Final = frozenset(
    {
        tags.CONTENT_SEQUENCE,
        tags.CONCEPT_NAME_CODE_SEQUENCE,
        tags.CONCEPT_CODE_SEQUENCE,
        tags.MEASURED_VALUE_SEQUENCE,
        tags.MEASUREMENT_UNITS_CODE_SEQUENCE,
        tags.NUMERIC_VALUE_QUALIFIER_CODE_SEQUENCE,
        tags.PREDECESSOR_DOCUMENTS_SEQUENCE,
        tags.REFERENCED_SERIES_SEQUENCE,
        tags.REFERENCED_SOP_SEQUENCE,
        tags.VERIFYING_OBSERVER_SEQUENCE,
        tags.TABULATED_VALUES_SEQUENCE,
        tags.TABLE_ROW_DEFINITION_SEQUENCE,
        tags.TABLE_COLUMN_DEFINITION_SEQUENCE,
        tags.CELL_VALUES_SEQUENCE,
        tags.SELECTOR_CODE_SEQUENCE_VALUE,
    }
)
# How an item is related to the one above it, where that is not plain.
_RELATIONS: Final = {
    b"CONTAINS": "",
    b"HAS PROPERTIES": "",
    b"HAS OBS CONTEXT": "context",
    b"HAS ACQ CONTEXT": "acquisition",
    b"HAS CONCEPT MOD": "modifier",
    b"INFERRED FROM": "inferred from",
    b"SELECTED FROM": "selected from",
}
_COMPLETE: Final = {
    b"COMPLETE": "complete",
    b"PARTIAL": "NOT COMPLETE: parts of the report are missing",
}
_VERIFIED: Final = {
    b"VERIFIED": "verified",
    b"UNVERIFIED": "NOT VERIFIED: nobody has confirmed this report",
}
_PRELIMINARY: Final = {b"PRELIMINARY": "PRELIMINARY", b"FINAL": "final"}
_SEXES: Final = {"F": "female", "M": "male", "O": "other"}
_NOT_SAID: Final = "not said"


class Entry(NamedTuple):
    """A content item: its *number* in the report, a *name*, a *value*, and those *below*.

    *relation* is how it is related to the one above it, empty where it is a part of it.
    """

    number: str
    relation: str
    name: str
    value: str
    below: "Sequence[Entry]"


class Report(NamedTuple):
    """A report: whose it is, *facts* about it, and its content.

    *targets* are the numbers of items that others refer to. *is_cut* says that there is
    more than is read.
    """

    title: str
    patient: str
    facts: Sequence[tuple[str, str]]
    content: Sequence[Entry]
    targets: Collection[str]
    is_cut: bool


def read_report(source: Source) -> Report:
    """Return the report in *source*; raises OSError and DicomfsError."""
    whole = read_whole(source, _SEQUENCES)
    said = whole.attributes
    reading = _Content()
    content = reading.entries(whole, "1")
    return Report(
        name_of(whole) or "Report",
        said.person_name(tags.PATIENT_NAME) or said.text(tags.PATIENT_ID),
        [(name, value) for name, value in _facts(whole) if value],
        content,
        reading.targets,
        reading.is_cut,
    )


def read_whole(source: Source, sequences: Collection[int]) -> DataSet:
    """Return the data set of the report in *source*, with these *sequences* in it.

    It is without its File Meta Information. Raises OSError and DicomfsError.
    """
    if source.size > _MOST_BYTES:
        raise DocumentError("it is larger than reports are")
    window = Window(BytesSource(source.read_at(0, source.size)))
    meta = read_meta(window)
    start = meta.start
    if meta.transfer_syntax == DEFLATED:
        window = Window(BytesSource(_inflated(window.read(start, source.size))))
        start = 0
    whole = read_data_set(window, start, sniff(window.read(start, 8)), sequences)
    if not whole.items(tags.CONTENT_SEQUENCE):
        raise DocumentError("there is no content in it")
    return whole


def _inflated(data: bytes) -> bytes:
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        result = inflating.decompress(data, _MOST_BYTES)
    except zlib.error as error:
        raise DocumentError("it does not inflate") from error
    if not inflating.eof:
        raise DocumentError("it is larger than reports are, or cut off")
    return result


class _Content:
    """Makes entries of content items, and counts them."""

    def __init__(self) -> None:
        self.targets: set[str] = set()
        self.is_cut = False
        self._left = _MOST_ITEMS

    def entries(self, above: DataSet, number: str) -> list[Entry]:
        """Return the content items below *above*, which has this *number*."""
        found = []
        for place, item in enumerate(above.items(tags.CONTENT_SEQUENCE), start=1):
            if not self._left:
                self.is_cut = True
                break
            self._left -= 1
            found.append(self._entry(item, f"{number}.{place}"))
        return found

    def _entry(self, item: DataSet, number: str) -> Entry:
        said = item.attributes
        relation = said.raw(tags.RELATIONSHIP_TYPE)
        target = item.numbers(tags.REFERENCED_CONTENT_ITEM_IDENTIFIER, "L")
        if target:
            self.targets.add(".".join(f"{each:g}" for each in target))
        observed = date_time_of(said.text(tags.OBSERVATION_DATE_TIME))
        value = value_of(item)
        if observed:
            value = f"{value} (observed {observed})".strip()
        return Entry(
            number,
            _RELATIONS.get(relation, said.text(tags.RELATIONSHIP_TYPE).lower()),
            name_of(item),
            value,
            self.entries(item, number),
        )


def _facts(whole: DataSet) -> Iterator[tuple[str, str]]:
    """Yield what is to be known of a report before it is read, by name."""
    said = whole.attributes
    yield "Patient", said.person_name(tags.PATIENT_NAME) or _NOT_SAID
    yield "Patient ID", said.text(tags.PATIENT_ID) or _NOT_SAID
    yield "Born", date_of(said.text(tags.PATIENT_BIRTH_DATE))
    sex = said.text(tags.PATIENT_SEX)
    yield "Sex", _SEXES.get(sex, sex)
    # Nobody completes or verifies a choice of images.
    if type_of_class(said.raw(tags.SOP_CLASS_UID)) != KEY_OBJECTS:
        yield "Completion", _flag(said, tags.COMPLETION_FLAG, _COMPLETE)
        yield "Remark", said.text(tags.COMPLETION_FLAG_DESCRIPTION)
        yield "Verification", _flag(said, tags.VERIFICATION_FLAG, _VERIFIED)
    for observer in whole.items(tags.VERIFYING_OBSERVER_SEQUENCE):
        yield "Verified by", _observer(observer.attributes)
    if said.raw(tags.PRELIMINARY_FLAG):
        yield "State", _flag(said, tags.PRELIMINARY_FLAG, _PRELIMINARY)
    for study in whole.items(tags.PREDECESSOR_DOCUMENTS_SEQUENCE):
        for series in study.items(tags.REFERENCED_SERIES_SEQUENCE):
            for document in series.items(tags.REFERENCED_SOP_SEQUENCE):
                yield "Replaces", instance_of(document)
    date, time = said.text(tags.CONTENT_DATE), said.text(tags.CONTENT_TIME)
    yield "Written", f"{date_of(date)} {time_of(time)}".strip()
    day = date_of(said.text(tags.STUDY_DATE))
    yield "Study", f"{day} {said.text(tags.STUDY_DESCRIPTION)}".strip()
    yield "Accession number", said.text(tags.ACCESSION_NUMBER)
    yield "Series", said.text(tags.SERIES_DESCRIPTION)
    yield "Institution", said.text(tags.INSTITUTION_NAME)
    yield "Referring physician", said.person_name(tags.REFERRING_PHYSICIAN_NAME)


def _flag(said: Attributes, tag: int, words: dict[bytes, str]) -> str:
    return words.get(said.raw(tag), said.text(tag) or _NOT_SAID)


def _observer(said: Attributes) -> str:
    return ", ".join(
        filter(
            None,
            (
                said.person_name(tags.VERIFYING_OBSERVER_NAME),
                said.text(tags.VERIFYING_ORGANIZATION),
                date_time_of(said.text(tags.VERIFICATION_DATE_TIME)),
            ),
        )
    )
