"""What is wrong with a medium, as values: for the report, for ``check``, for the log.

A *fault* may hide, lose or misplace something, or be dangerous; a *remark* is worth
knowing and harmless. Findings name offsets in the DICOMDIR and places in the tree. The
places are names of patients: the report shows them, a log only with ``--log-names``.
"""

import logging
import threading
from collections.abc import Hashable, Iterable
from copy import copy
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

log = logging.getLogger(__name__)

# Of one kind: a hostile medium must not fill the memory with them, nor the log.
_MAX_KEPT: Final = 10_000
_MAX_LOGGED: Final = 20
_LOGGED_TYPES: Final = frozenset({"PATIENT", "STUDY", "SERIES", "IMAGE"})


class Kind(Enum):
    """What can be found: its code, whether it is a fault, and in words."""

    # The medium, and the DICOMDIR as a whole
    SOURCE_LEFT_OUT = "source-left-out", True, "one of several media is unusable"
    SOURCE_FAILED = "source-failed", True, "a source cannot be read any more"
    INDEX_ELSEWHERE = (
        "index-elsewhere",
        False,
        "the DICOMDIR lies below the root, or has another name",
    )
    INDEX_BESIDE = "index-beside", False, "there is another DICOMDIR in a deeper folder"
    INDEX_EMPTY = "index-empty", False, "the DICOMDIR lists nothing"
    INDEX_CUT_OFF = "index-cut-off", True, "the DICOMDIR is cut off"
    INDEX_UNREADABLE = "index-unreadable", True, "a part of the DICOMDIR cannot be read"
    LOST_RECORDS = "lost-records", True, "records lie where the DICOMDIR is unreadable"
    INDEX_CHANGED = "index-changed", True, "the DICOMDIR was changed after mounting"
    INDEX_LEFT_OUT = "index-left-out", True, "one of several DICOMDIRs is unusable"
    TOO_MANY_RECORDS = "too-many-records", True, "there is more than dicomfs looks at"
    NO_FILE_META = (
        "no-file-meta",
        False,
        "the DICOMDIR lacks the header that a DICOM file begins with",
    )
    WRONG_SYNTAX = (
        "wrong-syntax",
        False,
        "the DICOMDIR is encoded in another way than it says",
    )
    WRONG_SOP_CLASS = (
        "wrong-sop-class",
        False,
        "the DICOMDIR says that it is not a directory",
    )
    CONSISTENCY_FLAG = (
        "consistency-flag",
        False,
        "whoever wrote the DICOMDIR marked it as inconsistent",
    )
    ARCHIVE_CUT_OFF = "archive-cut-off", True, "the archive is cut off"
    OLDER_SESSION = (
        "older-session",
        True,
        "the last session leads to no file of an older one",
    )
    IMAGE_CUT_OFF = "image-cut-off", True, "the image is cut off"
    MEMBER_LEFT_OUT = "member-left-out", True, "members of the archive are left out"
    ROOTED_NAME = (
        "rooted-name",
        False,
        "names in the archive begin at a root, a drive or a share",
    )
    # Links between directory records
    WRONG_ROOT = "wrong-root", True, "the first root record is not where it should be"
    BROKEN_LINK = "broken-link", True, "a link leads to no record"
    WRONG_LEVEL = "wrong-level", True, "a link leads to a record of a wrong level"
    LINKS_SHIFTED = "links-shifted", True, "all links are off by the same distance"
    LINKS_DRIFTED = "links-drifted", True, "links are off by growing distances"
    LINKS_UNUSABLE = (
        "links-unusable",
        True,
        "the links between the records are of no use",
    )
    LOOP = "loop", True, "a link leads back to where it comes from"
    SECOND_PARENT = "second-parent", True, "two records have the same one below them"
    TOO_DEEP = "too-deep", True, "records or folders are nested too deeply"
    ADOPTED = "adopted", True, "nothing links to a record"
    UNLINKED = "unlinked", True, "nothing links to a record, nor says where it belongs"
    # Directory records
    DAMAGED_RECORD = "damaged-record", True, "a record cannot be read to its end"
    INACTIVE_RECORD = "inactive-record", False, "a record is marked as not in use"
    MALFORMED_RECORD = (
        "malformed-record",
        True,
        "a record is not encoded as it should be",
    )
    PRIVATE_RECORD = (
        "private-record",
        False,
        "a record is of a kind that only its manufacturer knows",
    )
    UNKNOWN_TYPE = "unknown-type", False, "a record is of a kind that is not known"
    BROKEN_REFERENCE = (
        "broken-reference",
        True,
        "a record does not say which file it is about",
    )
    MISSING_KEY = "missing-key", False, "a record lacks a value that it must have"
    RUBBISH = "rubbish", True, "something is left over behind the end of a value"
    MALFORMED_DATE = (
        "malformed-date",
        False,
        "a date is written in another way than it must be",
    )
    MALFORMED_NUMBER = (
        "malformed-number",
        False,
        "a number is not written as it must be, and is left out",
    )
    CHARACTER_SET = (
        "character-set",
        True,
        "text does not fit the character set that is declared for it",
    )
    UNKNOWN_CHARACTER_SET = (
        "unknown-character-set",
        False,
        "a character set has a name that means nothing, but all text is in plain ASCII",
    )
    MISSING_DESCRIPTION = (
        "missing-description",
        False,
        "a study or series has no description",
    )
    SPELLINGS = "spellings", False, "one patient is spelled in different ways"
    SPLIT_STUDY = "split-study", True, "one study is found under several patients"
    # Files
    FILES_MOVED = (
        "files-moved",
        True,
        "files lie in another folder than the DICOMDIR says",
    )
    FILES_RENAMED = (
        "files-renamed",
        False,
        "files have other names than the DICOMDIR says",
    )
    SEARCH_ENDED = "search-ended", True, "a search came to its bound"
    MISSING_FILE = "missing-file", True, "a file is missing"
    REFUSED_PATH = "refused-path", True, "a record names a file outside of the medium"
    NOT_A_FILE = (
        "not-a-file",
        True,
        "a record names a link, a device or a folder instead of a file",
    )
    UNREADABLE_FILE = "unreadable-file", True, "a file cannot be opened or read"
    SILENT_FILE = (
        "silent-file",
        True,
        "a file cannot be read, as the medium does not answer",
    )
    UNREADABLE_FOLDER = "unreadable-folder", True, "a folder cannot be read"
    UNREADABLE_BYTES = "unreadable-bytes", True, "a part of a file cannot be read"
    FILE_CUT_OFF = "file-cut-off", True, "a file is cut off"
    MALFORMED_FILE = "malformed-file", True, "a file is not encoded as it should be"
    NOT_UNDERSTOOD = "not-understood", True, "a part of a file is not understood"
    MEMBER_DAMAGED = "member-damaged", True, "a member of an archive is damaged"
    NOT_DICOM = "not-dicom", True, "a listed file is not in DICOM format"
    SECURED_FILE = "secured-file", True, "a listed file is encrypted or signed"
    PACKED_INSTANCE = "packed-instance", True, "a DICOM file is there, but packed"
    FOREIGN_FILE = (
        "foreign-file",
        False,
        "a record lists a file that is not a DICOM file",
    )
    REFERENCES_ITSELF = "references-itself", False, "the DICOMDIR lists itself"
    HEADER_UNREADABLE = (
        "header-unreadable",
        False,
        "a name is not complete, as a header cannot be read",
    )
    NO_DOCUMENT = "no-document", False, "a document in a DICOM file is not shown"
    PICTURES_GIVEN_UP = "pictures-given-up", False, "pictures failed, and got a rest"
    KEY_IMAGES_MISSING = "key-images-missing", False, "key images are not there"
    DUPLICATE_INSTANCE = (
        "duplicate-instance",
        True,
        "several files have the same UID and are different",
    )
    REPEATED_INSTANCE = "repeated-instance", False, "an image is listed several times"
    ASSUMED_COPIES = (
        "assumed-copies",
        True,
        "files of several media are taken for copies, and nobody compared them",
    )
    REPEATED_ELSEWHERE = (
        "repeated-elsewhere",
        False,
        "an image is listed in another folder, too",
    )
    COPIES_DIFFER = "copies-differ", True, "copies of an image differ"
    EXECUTABLE_PREAMBLE = (
        "executable-preamble",
        True,
        "a DICOM file begins with a program, which may be harmful",
    )
    # Records and files
    UID_DISAGREES = "uid-disagrees", True, "a record and its file have different UIDs"
    PATIENT_DISAGREES = (
        "patient-disagrees",
        True,
        "a record and its file name different patients",
    )
    SYNTAX_DISAGREES = (
        "syntax-disagrees",
        False,
        "a record and its file say different things about the encoding",
    )
    UNLISTED_INSTANCE = (
        "unlisted-instance",
        True,
        "a DICOM file lies on the medium but not in its index",
    )
    UNLISTED_DOCUMENT = (
        "unlisted-document",
        False,
        "a picture or PDF lies beside the DICOM files",
    )
    UNLISTED_FILE = (
        "unlisted-file",
        False,
        "a file of another kind lies beside the DICOM files",
    )

    def __init__(self, code: str, is_fault: bool, meaning: str) -> None:
        self.code = code
        self.is_fault = is_fault
        self.meaning = meaning


# About the medium as a whole: who mounts it should see them at once.
LOUD: Final = frozenset(
    kind
    for kind in list(Kind)[: list(Kind).index(Kind.INACTIVE_RECORD)]
    if kind.is_fault
)

# A file with one of these is not there, or not to its end.
NOT_WHOLE: Final = frozenset(
    {
        Kind.MISSING_FILE,
        Kind.REFUSED_PATH,
        Kind.NOT_A_FILE,
        Kind.UNREADABLE_FILE,
        Kind.SILENT_FILE,
        Kind.UNREADABLE_BYTES,
        Kind.FILE_CUT_OFF,
        Kind.NOT_UNDERSTOOD,
        Kind.NOT_DICOM,
        Kind.SECURED_FILE,
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding, or *count* alike of them in one place.

    *offset* is that of the directory record, *where* the path in the tree, as shown;
    *of* says out of how many, *done* what was done about it, *detail* what else is
    known, *source* which of several media it is about. All but *where*, *files*,
    *detail* and *source* may be logged.
    """

    kind: Kind
    offset: int = 0
    record_type: str = ""
    where: tuple[str, ...] = ()
    count: int = 1
    of: int = 0
    done: str = ""
    detail: str = ""
    # Paths on the medium; of many, the first few.
    files: tuple[str, ...] = ()
    source: str = ""


class Findings:
    """Collects findings from all threads; each counts once, however often it is met.

    *source* is the one of several media that they are about, empty if there is one.
    """

    def __init__(self, *, log_names: bool = False) -> None:
        self.source = ""
        self._log_names = log_names
        # What a log, which must not have their names, calls sources.
        self._called: dict[str, str] = {}
        self._lock = threading.Lock()
        self._found: dict[Kind, dict[tuple[Hashable, str], Finding]] = {}
        self._more: set[Kind] = set()

    def about(self, source: str, called: str = "") -> "Findings":
        """Return where to add findings about *source*, to be collected here.

        A log calls it what it is *called*, or what the source is that it lies in.
        """
        there = copy(self)
        there.source = f"{self.source}/{source}" if self.source else source
        self._called[there.source] = called or self._called.get(self.source, "")
        return there

    @property
    def of_all(self) -> "Findings":
        """Where to add findings that are about no source in particular."""
        there = copy(self)
        there.source = ""
        return there

    def add(self, finding: Finding, key: Hashable = None) -> None:
        """Add *finding*; one of its kind with the same *key* (or itself) is replaced."""
        finding = replace(finding, source=finding.source or self.source)
        where = (finding if key is None else key), finding.source
        with self._lock:
            alike = self._found.setdefault(finding.kind, {})
            is_new = where not in alike
            if is_new and len(alike) == _MAX_KEPT:
                self._more.add(finding.kind)
                return
            alike[where] = finding
            number = len(alike) if is_new else 0
        if 0 < number <= _MAX_LOGGED:
            self._log(finding, is_last=number == _MAX_LOGGED)

    def withdraw(self, kind: Kind, key: Hashable) -> None:
        """Take back what was added of a *kind* with *key*, about any source.

        For one who knows better by now.
        """
        with self._lock:
            alike = self._found.get(kind, {})
            for each in [each for each in alike if each[0] == key]:
                del alike[each]

    def extend(self, findings: Iterable[Finding]) -> None:
        """Add all of *findings*."""
        for finding in findings:
            self.add(finding)

    def all(self) -> list[Finding]:
        """Return what was found so far: by kind, in the order of places and offsets."""
        with self._lock:
            found = {kind: list(alike.values()) for kind, alike in self._found.items()}
        return [
            finding
            for kind in Kind
            for finding in sorted(found.get(kind, ()), key=_place_of)
        ]

    def more(self) -> frozenset[Kind]:
        """Return the kinds of which more was found than is kept."""
        with self._lock:
            return frozenset(self._more)

    def _log(self, finding: Finding, *, is_last: bool) -> None:
        level = logging.WARNING if finding.kind in LOUD else logging.INFO
        tail = "; further ones are in the report only" if is_last else ""
        text = _loggable(finding, with_names=self._log_names)
        called = self._called.get(finding.source, "")
        if called and called not in text:
            text += f" ({called})"
        log.log(level, "%s%s", text, tail)


def _place_of(finding: Finding) -> tuple[tuple[str, ...], str, int]:
    return finding.where, finding.source, finding.offset


def _loggable(finding: Finding, *, with_names: bool) -> str:
    text = finding.kind.meaning
    if finding.count > 1:
        text += (
            f" ({finding.count} of {finding.of})"
            if finding.of
            else f" ({finding.count})"
        )
    if finding.record_type:
        # Not any type: a damaged record may have a name in its place.
        is_known = finding.record_type in _LOGGED_TYPES
        text += f": {finding.record_type if is_known else '?'}"
    if finding.offset:
        text += f" at offset {finding.offset}"
    if finding.done:
        text += f"; {finding.done}"
    if with_names and finding.where:
        text += " in " + "/".join(finding.where)
    return text
