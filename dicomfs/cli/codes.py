"""How a command can end: by which number, and with which two lines."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple


class Exit(IntEnum):
    """Exit codes of the command line, each with its *meaning*."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> "Exit":
        """Make a member that is equal to its *code*."""
        made = int.__new__(cls, code)
        made._value_ = code
        made.meaning = meaning
        return made

    OK = 0, "all went well"
    UNEXPECTED = 1, "an error that dicomfs did not foresee"
    USAGE = 2, "the command line is not understood"
    FAULTS = (
        4,
        "check: the medium has faults; copy: not all was copied; "
        "doctor: something is missing; repair: an instance was left out",
    )
    UNCHECKED = 8, "check: the medium could not be read to the end, or not at all"
    SOURCE_MISSING = 10, "SOURCE does not exist"
    SOURCE_UNSUPPORTED = (
        11,
        "SOURCE is neither a folder, a DICOMDIR, an image nor an archive",
    )
    NO_DICOMDIR = 12, "there is no DICOMDIR on the medium"
    NOT_DICOM = 13, "the DICOMDIR is not a DICOM file"
    DICOMDIR_BROKEN = 14, "the DICOMDIR is damaged at its root"
    SOURCE_UNREADABLE = 15, "the medium cannot be read"
    MOUNTPOINT_MISSING = 16, "MOUNTPOINT does not exist"
    MOUNTPOINT_NOT_FOLDER = 17, "MOUNTPOINT is not a folder"
    MOUNTPOINT_NOT_EMPTY = 18, "MOUNTPOINT is not empty"
    MOUNTPOINT_IN_USE = 19, "something is mounted on MOUNTPOINT already"
    MOUNTPOINT_STALE = 20, "MOUNTPOINT holds a dead mount that is not ours to clear"
    MOUNTPOINT_OVERLAPS = 21, "MOUNTPOINT lies inside SOURCE or around it"
    NO_FUSE_DEVICE = 22, "/dev/fuse is missing or may not be opened"
    NO_FUSERMOUNT = 23, "fusermount3 is not installed"
    NO_PYFUSE3 = 24, "pyfuse3 is not installed"
    MOUNT_REFUSED = 25, "MOUNTPOINT cannot be looked into, or fusermount3 refused"
    WORKER_DIED = 26, "the serving process ended before the mount was ready"
    NOT_MOUNTED = 27, "umount: nothing of dicomfs is mounted there"
    UNMOUNT_BUSY = 28, "umount: the mount is in use, or somebody else's"
    IMAGE_BROKEN = 29, "the image or archive is damaged as a whole"
    PASSWORD_NEEDED = 30, "the archive is encrypted, and no password fits"
    DESTINATION = (
        31,
        "copy: DESTINATION cannot be written; others: the output cannot be written",
    )
    INTERRUPTED = 130, "interrupted by Ctrl-C"


MEANINGS: Final[Mapping[Exit, str]] = {each: each.meaning for each in Exit}


class Complaint(NamedTuple):
    """What a failed command ends with: its exit code, what is wrong, how to mend it."""

    exit_code: Exit
    what: str
    mend: str
