"""A Key Object Selection (PS3.3 A.35.4): which instances somebody has chosen, and what for."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.dataset import DataSet
from dicomfs.documents.report import read_whole
from dicomfs.documents.values import name_of
from dicomfs.source.source import Source

_SEQUENCES: Final = frozenset(
    {
        tags.CONCEPT_NAME_CODE_SEQUENCE,
        tags.CONTENT_SEQUENCE,
        tags.CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
        tags.REFERENCED_SERIES_SEQUENCE,
        tags.REFERENCED_SOP_SEQUENCE,
    }
)
# Titles (PS3.16 CID 7010) of documents that choose nothing: they list all that there is,
# or withdraw what they list.
_CHOOSE_NOTHING: Final = frozenset(
    {
        b"113001",  # Rejected for Quality Reasons
        b"113030",  # Manifest
        b"113031",  # Signed Manifest
        b"113032",  # Complete Study Content
        b"113033",  # Signed Complete Study Content
        b"113034",  # Complete Acquisition Content
        b"113035",  # Signed Complete Acquisition Content
        b"113037",  # Rejected for Patient Safety Reasons
        b"113038",  # Incorrect Modality Worklist Entry
        b"113039",  # Data Retention Policy Expired
    }
)
_DCM: Final = b"DCM"


class Reference(NamedTuple):
    """An instance by its UID, and the *series* and *study* that it is said to be in.

    Both are empty if that is not said.
    """

    instance: bytes
    series: bytes
    study: bytes


class Choice(NamedTuple):
    """What was chosen, in the order of the document, each once; the *title* says why.

    If *is_choice* is not set, the document lists instances for another reason.
    """

    title: str
    is_choice: bool
    references: Sequence[Reference]

    @property
    def digest(self) -> bytes:
        """What tells it from choices of other instances."""
        chosen = [part for each in self.references for part in each]
        return hashlib.sha256(b"\0".join([self.title.encode(), *chosen])).digest()


def read(source: Source) -> Choice:
    """Return what the Key Object Selection in *source* chooses.

    Raises OSError and DicomfsError.
    """
    whole = read_whole(source, _SEQUENCES)
    places = {each.instance: each for each in _evidence(whole)}
    chosen = dict.fromkeys(_referenced(whole))
    references = [places.get(uid, Reference(uid, b"", b"")) for uid in chosen]
    return Choice(name_of(whole), not _chooses_nothing(whole), references)


def _chooses_nothing(whole: DataSet) -> bool:
    title = whole.first(tags.CONCEPT_NAME_CODE_SEQUENCE)
    said: Mapping[int, bytes] = {} if title is None else title.attributes.values
    scheme = said.get(tags.CODING_SCHEME_DESIGNATOR, b"").strip()
    return scheme == _DCM and said.get(tags.CODE_VALUE, b"").strip() in _CHOOSE_NOTHING


def _referenced(above: DataSet) -> Iterator[bytes]:
    """Yield the UIDs of the instances that content items refer to, from the top down."""
    for item in above.items(tags.CONTENT_SEQUENCE):
        for reference in item.items(tags.REFERENCED_SOP_SEQUENCE):
            if uid := reference.attributes.raw(tags.REFERENCED_SOP_INSTANCE):
                yield uid
        yield from _referenced(item)


def _evidence(whole: DataSet) -> Iterator[Reference]:
    """Yield what the document refers to, with the series and studies of that."""
    for study in whole.items(tags.CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE):
        of_study = study.attributes.raw(tags.STUDY_INSTANCE_UID)
        for series in study.items(tags.REFERENCED_SERIES_SEQUENCE):
            of_series = series.attributes.raw(tags.SERIES_INSTANCE_UID)
            for each in series.items(tags.REFERENCED_SOP_SEQUENCE):
                uid = each.attributes.raw(tags.REFERENCED_SOP_INSTANCE)
                yield Reference(uid, of_series, of_study)
