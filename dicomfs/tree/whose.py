"""Whether what people see of a file tells it from those of all other media.

Who keeps pictures of files by their names and times, as file managers do, shows the one
for the other where it does not.
"""

import re
from typing import Final

from dicomfs.dicom import patient, tags
from dicomfs.dicom.types import Level
from dicomfs.tree.selection import Instance, Selection

# What stands in ZIP archives and FAT where nobody set a time: 1980, in any time zone.
_BEGIN: Final = 315_532_800
_DAY: Final = 24 * 3600
# No digital image is older; 1900 and 1970 are what stands where a date was taken out.
_FIRST_DATE: Final = "1970-01-02"

_LETTERS: Final = re.compile(r"[^\W\d_]+")
# Words that stand for people in studies, besides those that stand for nobody.
_FOR_PEOPLE: Final = frozenset(
    {"case", "pat", "person", "proband", "pseudonym", "removed", "sub", "subject"}
)
# Of a number that is counted up everywhere there are as many as there are discs.
_FEWEST_DIGITS: Final = 4
_SECOND: Final = 10**9


def says_who_and_when(folder: Selection) -> bool:
    """Whether the path of *folder* says whose its files are, and of which study date."""
    said = folder.attributes
    who, when = said.get(Level.PATIENT), said.get(Level.STUDY)
    if who is None or when is None or when.date(tags.STUDY_DATE) < _FIRST_DATE:
        return False
    return _tells(patient.patient_id(who)) or any(
        map(_tells, patient.patient_name(who))
    )


def _tells(value: str) -> bool:
    """Whether an ID or a name is one person's: ``ANON001`` and ``Patient 1`` are not."""
    words = [
        word
        for word in _LETTERS.findall(value.casefold())
        if len(word) > 1 or not word.isascii()
    ]
    if words:
        nobodys = (
            word in _FOR_PEOPLE or patient.is_placeholder(word) for word in words
        )
        return not all(nobodys)
    digits = "".join(filter(str.isdecimal, value))
    return len(digits.lstrip("0")) >= _FEWEST_DIGITS


def has_own_time(file: Instance) -> bool:
    """Whether *file* has a time that it was given, and not what stands for none.

    One that cannot be opened has that of its folder.
    """
    return not file.error and is_own_time(file.mtime_ns)


def is_own_time(mtime_ns: int) -> bool:
    """Whether a time is one that was given, and not what stands for none."""
    seconds = mtime_ns // _SECOND
    return seconds > _DAY and abs(seconds - _BEGIN) > _DAY
