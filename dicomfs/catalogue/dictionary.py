"""All other keywords, out of pydicom's data dictionary.

Who needs no other does not load this: it takes its time.
"""

from typing import Final

from pydicom import datadict

from dicomfs.dicom import numbers
from dicomfs.dicom.keywords import Keyword
from dicomfs.dicom.types import Level
from dicomfs.errors import Failure, Problem

# PS3.5 6.2: of these the values are text.
_TEXTS: Final = frozenset(
    (
        *("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT"),
        *("PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"),
    )
)


def find(name: str) -> Keyword | None:
    """Return the attribute with the keyword *name*, None if there is none.

    It may stand on any level. Raises Failure for one that is neither text nor a number.
    """
    tag = datadict.tag_for_keyword(name)
    if tag is None:
        return None
    vr = datadict.dictionary_VR(tag)
    if vr not in _TEXTS and vr not in numbers.VRS:
        raise Failure(Problem.COLUMN_KIND, name=name, vr=vr)
    return Keyword(name, Level.ROOT, vr, (tag,))


def keyword(tag: int) -> str:
    """Return the keyword of a *tag*, empty if there is none."""
    return str(datadict.keyword_for_tag(tag))


def names() -> list[str]:
    """Return all keywords."""
    return list(datadict.keyword_dict)
