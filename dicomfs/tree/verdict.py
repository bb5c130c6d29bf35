"""The verdict on a medium, in one word for programs and one sentence for people."""

from dataclasses import dataclass
from enum import Enum

from dicomfs.counting import agreed, counted


class Verdict(Enum):
    """What a check comes to: its code, and in words."""

    SOUND = "sound", "the medium is sound"
    SOUND_WITH_REMARKS = "sound-with-remarks", "the medium is sound, with remarks"
    FAULTS = "faults", "the medium has faults"
    UNFINISHED = "unfinished", "not all was looked at"

    def __init__(self, code: str, meaning: str) -> None:
        self.code = code
        self.meaning = meaning


@dataclass(frozen=True, slots=True)
class Tally:
    """What a check met: files that records list, how many are there, and how many whole.

    *unlisted* are DICOM files that no record lists. All are *are_images* or not;
    *reads_files* says whether the check reads any, *is_scan* that it has made the index
    itself, *is_all* that every folder could be listed, *media* how many there are.
    """

    listed: int
    there: int
    whole: int
    unlisted: int
    are_images: bool = True
    reads_files: bool = True
    is_scan: bool = False
    is_all: bool = True
    media: int = 1


def sentence(tally: Tally | None, folders: int, failure: str) -> str:
    """Return what a *tally* comes to in one sentence; without one it is of a mount.

    So many *folders* of it were looked into. *failure* says why not all could be read.
    """
    if tally is None:
        return (
            f"so far {counted(folders, 'folder')} of this mount "
            f"{agreed(folders, 'was', 'were')} looked into, and no file was checked "
            "(dicomfs check looks at everything)"
        )
    if failure:
        return f"{_met(tally)}, but not everything could be read: {failure}"
    return f"{_whole(tally)}{_besides(tally)}"


def _met(tally: Tally) -> str:
    """Return how many files were met, where nobody knows how many there are."""
    count = tally.whole if tally.reads_files else tally.there
    listed = counted(tally.listed, "image" if tally.are_images else "file")
    were = agreed(tally.listed, "was", "were")
    state = "whole" if tally.reads_files else "there"
    return (
        f"{listed} {were} looked at and {count:,} of them "
        f"{agreed(count, 'is', 'are')} {state}"
    )


def _whole(tally: Tally) -> str:
    """Return how many of the listed files are whole, or at least there."""
    listed = tally.listed
    what = "images" if tally.are_images else "files"
    what = f"{what} found" if tally.is_scan else f"listed {what}"
    if not listed:
        return f"there are no {what}"
    if not tally.is_all:
        what += " in the folders that could be read"
    count = tally.whole if tally.reads_files else tally.there
    said = f"{count:,} of {listed:,} {what} {agreed(count, 'is', 'are')}"
    return f"{said} whole" if tally.reads_files else f"{said} there"


def _besides(tally: Tally) -> str:
    """Return what else there is on the medium, as far as that was looked at."""
    if not tally.reads_files:
        return "; what is in them, and what else lies on the medium, was not looked at"
    if not tally.unlisted:
        return ""
    count = tally.unlisted
    where = (
        "lies on the medium but not in its index"
        if tally.media == 1
        else "lies on the media but not in their indexes"
    )
    if count > 1:
        where = where.replace("lies", "lie", 1)
    files = counted(count, "more DICOM file")
    return f"; {files} {where} (see {agreed(count, 'it', 'them')} with --scan)"
