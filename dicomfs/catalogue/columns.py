"""The columns of a catalogue: attributes by their keywords, and what is counted.

Keywords are those of the standard, also for numbers (PS3.4 C.3.4). What it has no keyword
for is written small.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from dicomfs.dicom.keywords import BY_NAME, KEYWORDS, Keyword
from dicomfs.dicom.types import Level
from dicomfs.errors import Failure, Problem

LEVELS: Final[Mapping[str, Level]] = {
    "patient": Level.PATIENT,
    "study": Level.STUDY,
    "series": Level.SERIES,
    "instance": Level.INSTANCE,
}


class Column(NamedTuple):
    """A column called *name*: the values of a *keyword*, or without one what is counted.

    Where the attribute belongs to a level below that of the row, it has all values there.
    """

    name: str
    keyword: Keyword | None = None


def keywords_of(columns: Sequence[Column]) -> list[Keyword]:
    """Return the keywords of those of *columns* that have one."""
    return [each.keyword for each in columns if each.keyword is not None]


# Of rows on the levels that stand there.
COUNTED: Final[Mapping[str, frozenset[Level]]] = {
    "NumberOfPatientRelatedStudies": frozenset({Level.PATIENT}),
    "NumberOfPatientRelatedSeries": frozenset({Level.PATIENT}),
    "NumberOfPatientRelatedInstances": frozenset({Level.PATIENT}),
    "NumberOfStudyRelatedSeries": frozenset({Level.STUDY}),
    "NumberOfStudyRelatedInstances": frozenset({Level.STUDY}),
    "NumberOfSeriesRelatedInstances": frozenset({Level.SERIES}),
    "bytes": frozenset(LEVELS.values()),
    "missing": frozenset({Level.PATIENT, Level.STUDY, Level.SERIES}),
    "error": frozenset({Level.INSTANCE}),
    "path": frozenset(LEVELS.values()),
    "source_path": frozenset(LEVELS.values()),
    "source": frozenset(LEVELS.values()),
}
"""Columns that are no attributes of a record, and on which levels they are known."""

_HALF: Final = "([0-9A-Fa-f]{4})"
_TAG: Final = re.compile(rf"\(?{_HALF}(?:, ?)?{_HALF}\)?")
_MODALITIES: Final = Column("ModalitiesInStudy", BY_NAME["Modality"])


class Dictionary(Protocol):
    """Knows more keywords; see ``catalogue.dictionary``."""

    def find(self, name: str) -> Keyword | None:
        """Return the attribute with the keyword *name*, None if there is none."""
        ...

    def keyword(self, tag: int) -> str:
        """Return the keyword of a *tag*, empty if there is none."""
        ...

    def names(self) -> list[str]:
        """Return all keywords."""
        ...


class AllKeywords:
    """All keywords of DICOM, loaded for those that the product itself does not know."""

    def find(self, name: str) -> Keyword | None:
        """Return the attribute with the keyword *name*, None if there is none."""
        from dicomfs.catalogue import dictionary

        return dictionary.find(name)

    def keyword(self, tag: int) -> str:
        """Return the keyword of a *tag*, empty if there is none."""
        from dicomfs.catalogue import dictionary

        return dictionary.keyword(tag)

    def names(self) -> list[str]:
        """Return all keywords."""
        from dicomfs.catalogue import dictionary

        return dictionary.names()


def default(level: Level) -> list[Column]:
    """Return the columns of rows on a *level* if nobody asks for others."""
    attributes = [Column(each.name, each) for each in KEYWORDS if each.level <= level]
    modalities = [_MODALITIES] if level < Level.SERIES else []
    counted = [Column(name) for name, levels in COUNTED.items() if level in levels]
    return attributes + modalities + counted


def asked_for(
    names: Sequence[str], level: Level, more: Dictionary | None = None
) -> list[Column]:
    """Return the columns of these *names* for rows on a *level*.

    A name may be a tag: (0008,0060) or 00080060; the column is called by its keyword. A
    dictionary knows *more* keywords than records usually have. Raises Failure for a
    name that is none, with the nearest that is one.
    """
    return [_asked_for(_by_keyword(name, more), level, more) for name in names]


def _by_keyword(name: str, more: Dictionary | None) -> str:
    """Return the keyword for a *name* that is a tag, and any other as it is."""
    found = _TAG.fullmatch(name)
    if found is None:
        return name
    tag = int(found[1] + found[2], 16)
    own = next((each.name for each in KEYWORDS if tag in each.tags), "")
    return own or (more.keyword(tag) if more else "") or name


def _asked_for(name: str, level: Level, more: Dictionary | None) -> Column:
    if name in COUNTED:
        if level in COUNTED[name]:
            return Column(name)
        levels = [word for word, each in LEVELS.items() if each in COUNTED[name]]
        raise Failure(Problem.COLUMN_LEVEL, name=name, levels=" or ".join(levels))
    if name == _MODALITIES.name:
        return _MODALITIES
    keyword = BY_NAME.get(name) or (more and more.find(name))
    if keyword:
        return Column(name, keyword)
    known = [*COUNTED, _MODALITIES.name, *BY_NAME, *(more.names() if more else ())]
    from difflib import get_close_matches

    words = {each.lower(): each for each in reversed(known)}
    nearest = words[get_close_matches(name.lower(), words, 1, 0)[0]]
    raise Failure(Problem.COLUMN_UNKNOWN, name=name, nearest=nearest)
