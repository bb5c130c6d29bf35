"""Whether what people see of a file tells it from those of all other media.

Who keeps pictures of files by their names and times, as file managers do, shows the one
for the other where it does not.
"""

from typing import Final

from dicomfs.dicom import patient, tags
from dicomfs.dicom.types import Level
from dicomfs.tree.selection import Instance, Selection

# What stands in ZIP archives and FAT where nobody set a time: 1980, in any time zone.
_BEGIN: Final = 315_532_800
_DAY: Final = 24 * 3600
_SECOND: Final = 10**9


def says_who_and_when(folder: Selection) -> bool:
    """Whether the path of *folder* says whose its files are, and of which study date."""
    said = folder.attributes
    who, when = said.get(Level.PATIENT), said.get(Level.STUDY)
    if who is None or when is None or not when.date(tags.STUDY_DATE):
        return False
    names = (patient.patient_id(who), " ".join(patient.patient_name(who)))
    return any(name and not patient.is_placeholder(name) for name in names)


def has_own_time(file: Instance) -> bool:
    """Whether *file* has a time that it was given, and not what stands for none.

    One that cannot be opened has that of its folder.
    """
    seconds = file.mtime_ns // _SECOND
    return not file.error and seconds > _DAY and abs(seconds - _BEGIN) > _DAY
