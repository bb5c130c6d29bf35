"""What can go wrong, in dicomfs' own words.

    DicomfsError
    ├── ElementError      bytes that are no data element
    ├── NotDicomError     a file that is no DICOM file, or no directory where one is due
    ├── DirectoryError    a DICOMDIR, or a record of it, that cannot be followed
    ├── FileIdError       a Referenced File ID that may not be opened
    ├── MediumError       an image or archive that cannot be used as a medium
    └── Failure           a command that ends with an exit code and two lines for people

Messages name the thing, the offset and the value, but never a patient's name, ID or
UID: they may reach a log. Faults of the medium itself stay ``OSError``, and so does a
member of an archive that is locked (``PasswordError``).
"""

import errno
from enum import IntEnum


class DicomfsError(Exception):
    """Base of all errors that dicomfs raises by itself."""


class ElementError(DicomfsError):
    """Bytes that are no data element, or nested deeper than is sane."""

    def __init__(self, what: str, offset: int) -> None:
        super().__init__(f"{what} at offset {offset}")
        self.offset = offset


class NotDicomError(DicomfsError):
    """A file that is no DICOM file, or no directory where one is due."""


class DirectoryError(DicomfsError):
    """A DICOMDIR, or one of its records, that cannot be followed."""

    def __init__(self, what: str, offset: int = 0) -> None:
        super().__init__(f"{what} at offset {offset}" if offset else what)
        self.offset = offset


class FileIdError(DicomfsError):
    """A Referenced File ID that names nothing below the File-set's root."""


class MediumError(DicomfsError):
    """An image or archive that cannot be used as a medium: what it lacks, and where."""

    def __init__(self, what: str, offset: int = 0) -> None:
        super().__init__(f"{what} at offset {offset}" if offset else what)
        self.offset = offset


class PasswordError(PermissionError):
    """A member of an archive that is encrypted, and no password was given or none fits."""

    def __init__(self, what: str) -> None:
        super().__init__(errno.EACCES, what)


class LibraryError(PasswordError):
    """A member under AES, which cannot be deciphered without the library for it."""


class Exit(IntEnum):
    """Exit codes of the command line; ``MEANINGS`` says what each one means."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    FAULTS = 4
    UNCHECKED = 8
    SOURCE_MISSING = 10
    SOURCE_UNSUPPORTED = 11
    NO_DICOMDIR = 12
    NOT_DICOM = 13
    DICOMDIR_BROKEN = 14
    SOURCE_UNREADABLE = 15
    MOUNTPOINT_MISSING = 16
    MOUNTPOINT_NOT_FOLDER = 17
    MOUNTPOINT_NOT_EMPTY = 18
    MOUNTPOINT_IN_USE = 19
    MOUNTPOINT_STALE = 20
    MOUNTPOINT_OVERLAPS = 21
    NO_FUSE_DEVICE = 22
    NO_FUSERMOUNT = 23
    NO_PYFUSE3 = 24
    MOUNT_REFUSED = 25
    WORKER_DIED = 26
    NOT_MOUNTED = 27
    UNMOUNT_BUSY = 28
    IMAGE_BROKEN = 29
    PASSWORD_NEEDED = 30
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "all went well",
    Exit.UNEXPECTED: "an error that dicomfs did not foresee",
    Exit.USAGE: "the command line is not understood",
    Exit.FAULTS: "check: the medium has faults",
    Exit.UNCHECKED: "check: the medium could not be read to the end, or not at all",
    Exit.SOURCE_MISSING: "SOURCE does not exist",
    Exit.SOURCE_UNSUPPORTED: "SOURCE is neither a folder, a DICOMDIR, an image nor an archive",
    Exit.NO_DICOMDIR: "there is no DICOMDIR on the medium",
    Exit.NOT_DICOM: "the DICOMDIR is not a DICOM file",
    Exit.DICOMDIR_BROKEN: "the DICOMDIR is damaged at its root",
    Exit.SOURCE_UNREADABLE: "the medium cannot be read",
    Exit.MOUNTPOINT_MISSING: "MOUNTPOINT does not exist",
    Exit.MOUNTPOINT_NOT_FOLDER: "MOUNTPOINT is not a folder",
    Exit.MOUNTPOINT_NOT_EMPTY: "MOUNTPOINT is not empty",
    Exit.MOUNTPOINT_IN_USE: "something is mounted on MOUNTPOINT already",
    Exit.MOUNTPOINT_STALE: "MOUNTPOINT holds a dead mount that is not ours to clear",
    Exit.MOUNTPOINT_OVERLAPS: "MOUNTPOINT lies inside SOURCE or around it",
    Exit.NO_FUSE_DEVICE: "/dev/fuse is missing or may not be opened",
    Exit.NO_FUSERMOUNT: "fusermount3 is not installed",
    Exit.NO_PYFUSE3: "pyfuse3 is not installed",
    Exit.MOUNT_REFUSED: "MOUNTPOINT cannot be looked into, or fusermount3 refused",
    Exit.WORKER_DIED: "the serving process ended before the mount was ready",
    Exit.NOT_MOUNTED: "umount: nothing of dicomfs is mounted there",
    Exit.UNMOUNT_BUSY: "umount: the mount is in use, or somebody else's",
    Exit.IMAGE_BROKEN: "the image or archive is damaged as a whole",
    Exit.PASSWORD_NEEDED: "the archive is encrypted, and no password fits",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
}


class Failure(DicomfsError):  # noqa: N818 - of a command, not an error of the code
    """A command ends here: its exit code, what is wrong, and how to mend it."""

    def __init__(self, exit_code: Exit, what: str, mend: str) -> None:
        super().__init__(what)
        self.exit_code = exit_code
        self.what = what
        self.mend = mend
