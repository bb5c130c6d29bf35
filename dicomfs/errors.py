"""What can go wrong, in dicomfs' own words.

    DicomfsError
    ├── ElementError      bytes that are not a data element
    │   └── EndlessError  a sequence or item without an end
    ├── NotDicomError     a file that is not a DICOM file, or not a directory where one is due
    ├── DirectoryError    a DICOMDIR, or a record of it, that cannot be followed
    ├── DocumentError     a document in an instance that cannot be shown
    ├── PictureError      an image of which no picture can be made
    ├── FileIdError       a Referenced File ID that may not be opened
    ├── MediumError       an image or archive that cannot be used as a medium
    │   └── SplitError    one part of an archive
    └── Failure           something that was asked for and cannot be done: which Problem

Messages name the thing, the offset and the value, but never a patient's name, ID or
UID: they may reach a log. The facts of a Failure name paths and URLs: they are for who
asked. Faults of the medium itself stay ``OSError``, and so do a member of an archive
that is locked (``PasswordError``), is packed in a way that is not read (``MethodError``)
or is not what it says (``DamagedError``), and a file that ends beyond the end of its
image or archive (``CutOffError``).
"""

import errno
from collections.abc import Mapping
from enum import Enum, unique
from functools import partial
from typing import Final


class DicomfsError(Exception):
    """Base of all errors that dicomfs raises by itself."""


class ElementError(DicomfsError):
    """Bytes that are not a data element, or nested deeper than is sane."""

    def __init__(self, what: str, offset: int) -> None:
        super().__init__(f"{what} at offset {offset}")
        self.offset = offset


class EndlessError(ElementError):
    """A sequence or item that goes on where the bytes have ended."""


class NotDicomError(DicomfsError):
    """A file that is not a DICOM file, or not a directory where one is due."""


class DirectoryError(DicomfsError):
    """A DICOMDIR, or one of its records, that cannot be followed."""

    def __init__(self, what: str, offset: int = 0) -> None:
        super().__init__(f"{what} at offset {offset}" if offset else what)
        self.offset = offset


class DocumentError(DicomfsError):
    """A document in an instance that cannot be shown: why not."""


class PictureError(DicomfsError):
    """An image of which no picture can be made: why not."""


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


class SplitError(MediumError):
    """An archive that was split, of which this is one part."""


class MethodError(OSError):
    """A member of an archive that is packed in a way that is not read."""

    def __init__(self, what: str) -> None:
        super().__init__(errno.EIO, what)


class CutOffError(OSError):
    """A file whose place reaches beyond the end of what it lies in: it was cut off."""

    def __init__(self) -> None:
        super().__init__(errno.EIO, "the medium ends before the file does")


class DamagedError(OSError):
    """A member of an archive that is not what it says: nothing of it is to be believed."""

    def __init__(self, what: str) -> None:
        super().__init__(errno.EIO, f"it is damaged: {what}")
        self.what = what


class LibraryError(PasswordError):
    """A member under AES, which cannot be deciphered without the library for it."""


@unique
class Problem(Enum):
    """The ways in which something that was asked for cannot be done.

    The value says what is the matter: all of it, or what is the matter with what the
    fact *name* of a Failure names. ``cli/exits`` tells people, and how to mend it.
    """

    UNFORESEEN = "an error that dicomfs did not foresee"

    # What was asked for, and the machine.
    USAGE = "the command line is not understood"
    COLUMN_UNKNOWN = "is no keyword of DICOM, and no other column"
    COLUMN_KIND = "is neither text nor a number"
    COLUMN_LEVEL = "is not known on this level"
    PASSWORD_FILE = "the password file cannot be read"
    LOG_FILE = "the log file cannot be written"
    OUTPUT = "the output cannot be written"
    OUTPUT_FOLDER = "lies in no folder that exists"
    OUTPUT_FILE = "cannot be written"
    NO_SAMPLE = "the sample medium is not installed"
    DEMO_FOLDER = "belongs to somebody else"
    NO_PLACE = "cannot be made"
    NAMESPACE = "the mount namespace cannot be entered"
    NO_FUSE_DEVICE = "cannot be opened"
    NO_FUSERMOUNT = "is not installed"
    NO_PYFUSE3 = "pyfuse3 is not installed"
    NOT_IMPORTED = "cannot be imported"

    # A source.
    SOURCE_MISSING = "does not exist"
    SOURCE_MISSPELT = "does not exist, and something is called much like it"
    SOURCE_UNSUPPORTED = (
        "is neither a folder, a DICOMDIR, an ISO or UDF image nor a ZIP or tar archive"
    )
    SOURCE_FOREIGN = "is of a kind that is not read"
    SOURCE_UNREADABLE = "cannot be read"
    SOURCE_SILENT = "the medium does not answer"
    TOO_MUCH_COMPUTING = "the medium takes more computing than any that is sound"
    TOO_MANY_SOURCES = "more sources than open files allow"
    PASSWORD_NEEDED = "the archive cannot be opened"
    LIBRARY_NEEDED = "the encrypted archive cannot be opened"
    METHOD_UNSUPPORTED = "the archive is packed in a way that is not read"
    ARCHIVE_SPLIT = "the archive was split, and this is one part of it"
    IMAGE_BROKEN = "the image or archive is damaged"
    NESTED_TOO_DEEP = "lies in too many archives"
    TOO_MANY_IMAGES = "more images in an archive than are opened"

    # A URL.
    NO_FSSPEC = "a URL cannot be read: fsspec is not installed"
    FETCHER_DIED = "the process that reads over the network has ended"
    URL_IN_URL = "a URL inside another one (::) is not read"
    URL_LOCAL = "leads to no other machine"
    URL_MALFORMED = "a URL is not understood"
    URL_WITH_PASSWORD = "a URL must not hold a password"
    URL_EMPTY = "a URL leads nowhere"
    URL_MISSING = "leads to nothing"
    URL_REFUSED = "is refused by its server, or wants credentials"
    URL_CHANGED = "is being changed"
    URL_UNREACHABLE = "has a server that does not answer as it should"
    URL_NO_RANGES = "has a server that sends only the whole and no part of it"
    URL_NO_LIBRARY = "needs what is not installed for fsspec"
    URL_NO_PROTOCOL = "has a protocol that fsspec does not know"
    URL_NO_FOLDERS = "is a folder of a web server, which cannot be listed"

    # What is copied of a medium, and where to.
    PATH_MISSING = "is not on the medium"
    DESTINATION_UNUSABLE = "cannot be written into"
    DESTINATION_OVERLAPS = "lies inside the source"
    DESTINATION_FAILED = "the copy cannot be written any more"

    # The File-sets of a source.
    NO_DICOMDIR = "there is no DICOMDIR on the medium"
    ONLY_PACKED = "the DICOM files on the medium are packed one by one"
    NO_INSTANCE = "no file on the medium is in DICOM format"
    ONLY_IMAGES = "the folder is not a medium itself, but holds images or archives"
    DICOMDIR_EMPTY = "the DICOMDIR is empty: it has no bytes"
    DICOMDIR_ENCRYPTED = (
        "the medium is encrypted: its DICOMDIR is an enveloped CMS object"
    )
    DICOMDIR_SIGNED = (
        "the medium is secured: its DICOMDIR is wrapped in a signed CMS object"
    )
    NOT_DICOM = "the DICOMDIR is not a DICOM directory"
    DICOMDIR_UNREADABLE = "the DICOMDIR cannot be read"
    DICOMDIR_BROKEN = "the DICOMDIR is damaged"

    # A mountpoint, and the mount.
    MOUNTPOINT_MISSING = "the mountpoint does not exist"
    MOUNTPOINT_NOT_FOLDER = "the mountpoint is not a folder"
    MOUNTPOINT_NOT_EMPTY = "the mountpoint is not empty"
    MOUNTPOINT_CLOSED = "the mountpoint cannot be looked into"
    MOUNTPOINT_OVERLAPS = "the mountpoint lies inside the source or around it"
    MOUNTPOINT_OURS = "dicomfs is mounted on the mountpoint already"
    MOUNTPOINT_TAKEN = "the mountpoint is mounted on already"
    MOUNTPOINT_STALE = "the mountpoint holds a dead mount"
    MOUNT_REFUSED = "fusermount3 refused to mount"
    OTHERS_REFUSED = "fusermount3 refused to let others in"
    USER_REFUSED = "fusermount3 refused a user without a name"
    DEVICE_REFUSED = "fusermount3 may not open the device"
    WORKER_DIED = "the serving process ended before the mount was ready"
    WORKER_FAILED = "the serving process failed; the mount is gone"
    NOT_MOUNTED = "dicomfs is not mounted there"
    UNMOUNT_REFUSED = "the mount cannot be ended"


# Facts that have their place in what a Failure says of itself.
_PLACED: Final = frozenset({"within", "name", "reason", "kind"})


class Failure(DicomfsError):  # noqa: N818 - an answer to who asked, not an error of the code
    """Something that was asked for cannot be done: the *problem*, and its *facts*.

    *name* says what it is about, *reason* what was said against it, *within* in which
    source it lies, *kind* which of several cases it is; others are as the problem needs
    them.
    """

    def __init__(self, problem: Problem, **facts: object) -> None:
        self.problem = problem
        self.facts: Mapping[str, str] = {key: str(fact) for key, fact in facts.items()}
        super().__init__(problem, self.facts)

    def __reduce__(self) -> tuple[partial["Failure"], tuple[()]]:
        """Pass to another process with its facts."""
        return partial(Failure, self.problem, **self.facts), ()

    def __str__(self) -> str:
        name, reason = self.facts.get("name", ""), self.facts.get("reason", "")
        sentence = f"{name} {self.problem.value}".lstrip()
        if reason:
            sentence += f": {reason}"
        if others := [f"{k} {v}" for k, v in self.facts.items() if k not in _PLACED]:
            sentence += f" ({', '.join(others)})"
        return self.inside(sentence)

    def inside(self, sentence: str) -> str:
        """Return *sentence* about it, with the source that it lies in before it."""
        within = self.facts.get("within", "")
        return f"{within}: {sentence}" if within else sentence

    def found_in(self, source: str) -> "Failure":
        """Return the same, said of what lies in *source*, unless it names that."""
        if not source or source in str(self):
            return self
        return Failure(self.problem, **{**self.facts, "within": source})
