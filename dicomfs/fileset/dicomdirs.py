"""The File-sets of a medium: where their DICOMDIRs lie, and why one is of no use."""

import errno
import os
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from dicomfs.dicom import disguise
from dicomfs.dicom.header import read_meta
from dicomfs.dicom.uids import DIRECTORY
from dicomfs.errors import (
    DicomfsError,
    DirectoryError,
    Failure,
    NotDicomError,
    Problem,
)
from dicomfs.fileset.fileid import Names
from dicomfs.fileset.fileset import FileSet
from dicomfs.fileset.listener import NOBODY, Listener
from dicomfs.fileset.patience import PatientLister, Workers
from dicomfs.fileset.spelling import bare_name
from dicomfs.findings import Finding, Findings, Kind
from dicomfs.media.medium import EntryType, Medium, Place, shown
from dicomfs.media.opening import unreadable
from dicomfs.media.walk import Listed, Walk
from dicomfs.source.pulse import DEADLINE
from dicomfs.source.source import Source
from dicomfs.source.window import Window

DICOMDIR: Final = b"DICOMDIR"
_SEARCH_DEPTH: Final = 3
# Folders that are looked into below the level that has a DICOMDIR.
_MOST_BELOW: Final = 32
# Files of a folder that are asked whether they are one, and how much of each is read.
_MOST_ASKED: Final = 32
_BEGINNING: Final = 1024
_SIGNS: Final = re.compile(r"[^a-z0-9]")
# DICOMDIRs that are named of many.
_NAMED: Final = 3


class Found(NamedTuple):
    """Where DICOMDIRs lie: those of the first level that has any, and some *deeper* ones."""

    places: list[Place]
    deeper: list[Place]


def find_dicomdirs(medium: Medium, deadline: float = DEADLINE) -> Found:
    """Return where the DICOMDIRs of *medium* lie, found without regard to case.

    A conformant medium has one in its root. If there is not, folders are searched, to
    depth 3, and all DICOMDIRs of the first level that has any are found. Below that only
    the first few folders are searched. A folder that hangs for *deadline* seconds costs
    itself. Raises OSError if the root cannot be read.
    """
    found = Found([], [])
    below = 0
    lister = PatientLister(medium, Workers(1, deadline, "search"))
    for folder in Walk(lister, depth=_SEARCH_DEPTH, by_level=True):
        if folder.error is not None and not folder.place:
            raise folder.error
        if found.places and len(folder.place) >= len(found.places[0]):
            below += 1
            if below > _MOST_BELOW:
                break
            found.deeper.extend(_in(medium, folder))
        else:
            found.places.extend(_in(medium, folder))
    return found


def _in(medium: Medium, folder: Listed) -> list[Place]:
    """Return the DICOMDIRs in *folder*.

    If none has the name, a browser may have called it ``DICOM.DIR`` or ``DICOMDIR (1)``:
    then it is known by what is in it, in the root whatever it is called.
    """
    name = Names(folder.entries).match(DICOMDIR)
    if name is not None and folder.entries[name] is not EntryType.FOLDER:
        return [(*folder.place, name)]
    alike = [name for name in folder.files if _is_alike(name)]
    others = [] if folder.place else [n for n in folder.files if n not in alike]
    for names in (alike, others):
        places = [(*folder.place, name) for name in names[:_MOST_ASKED]]
        if found := [place for place in places if _is_directory(medium, place)]:
            return found
    return []


def _is_alike(name: bytes) -> bool:
    bare = bare_name(name.decode("latin-1"))
    return _SIGNS.sub("", bare).startswith("dicomdir")


def _is_directory(medium: Medium, place: Place) -> bool:
    """Whether the file at *place* says that it is a directory."""
    try:
        source = medium.open(place)
    except (OSError, DicomfsError):
        return False
    try:
        return read_meta(Window(source, _BEGINNING)).sop_class_uid == DIRECTORY
    except (OSError, DicomfsError):
        return False
    finally:
        source.close()


def open_file_sets(
    medium: Medium,
    dicomdir: bytes = b"",
    findings: Findings | None = None,
    listener: Listener = NOBODY,
    path: str = "",
    deadline: float = DEADLINE,
) -> list[FileSet]:
    """Return the File-sets of *medium*, or only that of the *dicomdir* in its root.

    One of several that is broken costs only itself, and so does a folder that hangs for
    *deadline* seconds. The *listener* hears of others that are not shown; *path* leads
    to the folder that the medium is, if it is one. Raises Failure if all are broken.
    """
    findings = Findings() if findings is None else findings
    try:
        if dicomdir:
            found = Found([(dicomdir,)], [])
        else:
            found = find_dicomdirs(medium, deadline)
    except TimeoutError as error:
        raise Failure(Problem.SOURCE_SILENT) from error
    except OSError as error:
        raise unreadable(error) from error
    tell = _Teller(findings, listener)
    # It may be the only one that is of use.
    if found.deeper:
        tell.deeper(found.deeper, path)
    file_sets = _opened(medium, found.places, findings)
    if len(found.places[0]) > 1 or not (dicomdir or _has_name(found.places[0])):
        tell.taken([each.place for each in file_sets])
    for file_set in file_sets:
        if not (file_set.roots or file_set.unlinked):
            tell.empty(file_set.place)
    return file_sets


def _has_name(place: Place) -> bool:
    return Names(place[-1:]).match(DICOMDIR) is not None


class _Teller:
    """Says at once what is to be known of DICOMDIRs: to a *listener* and in *findings*."""

    def __init__(self, findings: Findings, listener: Listener) -> None:
        self._findings = findings
        self._listener = listener

    def taken(self, places: Sequence[Place]) -> None:
        """Say which DICOMDIRs are shown that are not where they should be."""
        told = f"shown is what {_list(places)} lists"
        self._tell(Kind.INDEX_ELSEWHERE, places, "shown", told)

    def deeper(self, places: Sequence[Place], path: str) -> None:
        """Say which DICOMDIRs are not shown, and how to see them."""
        folder = shown(places[0][:-1])
        how = "--scan shows all files"
        if path:
            how = f"give {os.path.join(path, folder)} as a SOURCE, too"  # noqa: PTH118
        done = f"not shown; to see it, {how}"
        told = f"{_list(places)} is {done}"
        self._tell(Kind.INDEX_BESIDE, places, done, told)

    def empty(self, place: Place) -> None:
        """Say that a DICOMDIR has no records."""
        done = "--scan shows what lies on the medium"
        told = f"{shown(place)} lists nothing; {done}"
        self._tell(Kind.INDEX_EMPTY, [place], done, told)

    def _tell(self, kind: Kind, places: Sequence[Place], done: str, told: str) -> None:
        files = tuple(map(shown, places[:_NAMED]))
        finding = Finding(kind, count=len(places), done=done, files=files)
        # A check looks further, and then says so in its place.
        self._findings.add(finding, key=kind)
        self._listener.told(self._findings.source, told)


def _list(places: Sequence[Place]) -> str:
    named = ", ".join(map(shown, places[:_NAMED]))
    more = len(places) - _NAMED
    return f"{named} and {more} more" if more > 0 else named


def _opened(
    medium: Medium, places: Sequence[Place], findings: Findings
) -> list[FileSet]:
    """Return the File-sets of the DICOMDIRs at *places*; raises Failure."""
    file_sets: list[FileSet] = []
    failures: list[tuple[Place, Failure]] = []
    for place in places:
        # Findings have to say which of several they are about.
        about = findings.about(shown(place)) if len(places) > 1 else findings
        try:
            file_set = _open_file_set(medium, place, about)
            if any(file_set.identity == other.identity for other in file_sets):
                file_set.tell_apart(b"/".join(place))
            file_sets.append(file_set)
        except Failure as failure:
            failures.append((place, failure))
    if file_sets:
        for place, left_out in failures:
            findings.add(
                Finding(
                    Kind.INDEX_LEFT_OUT, detail=str(left_out), files=(shown(place),)
                )
            )
        return file_sets
    if failures:
        raise failures[0][1]
    raise Failure(Problem.NO_DICOMDIR, depth=_SEARCH_DEPTH)


def _open_file_set(medium: Medium, place: Place, findings: Findings) -> FileSet:
    try:
        source = medium.open(place)
    except OSError as error:
        raise unreadable(error) from error
    try:
        return FileSet(medium, source, findings, place)
    except BaseException as error:
        failure = _failure(source, error)
        source.close()
        if failure is None:
            raise
        raise failure from error


def _failure(source: Source, error: BaseException) -> Failure | None:
    """Return why the DICOMDIR in *source* is of no use, None if that is unforeseen."""
    if isinstance(error, OSError):
        # The medium itself answers: its other files may be there.
        if error.errno == errno.EIO:
            return Failure(Problem.DICOMDIR_UNREADABLE, reason=error.strerror)
        return unreadable(error)
    if isinstance(error, NotDicomError):
        return _instead(source, error)
    if isinstance(error, DirectoryError):
        return Failure(Problem.DICOMDIR_BROKEN, reason=error)
    return None


def _instead(source: Source, error: NotDicomError) -> Failure:
    """Return what *source* is instead of a DICOMDIR, if that can be told."""
    head = source.read_at(0, disguise.ENVELOPE_HEAD)
    if not head:
        return Failure(Problem.DICOMDIR_EMPTY)
    how = disguise.how_secured(head)
    if how == disguise.ENCRYPTED:
        return Failure(Problem.DICOMDIR_ENCRYPTED)
    if how == disguise.SIGNED:
        return Failure(Problem.DICOMDIR_SIGNED)
    return Failure(Problem.NOT_DICOM, reason=error)
