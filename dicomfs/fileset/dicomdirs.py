"""The File-sets of a medium: where their DICOMDIRs lie, and why one is of no use."""

import os
from typing import Final

from dicomfs.dicom import disguise
from dicomfs.errors import DirectoryError, Failure, NotDicomError, Problem
from dicomfs.fileset.fileid import Names
from dicomfs.fileset.fileset import FileSet
from dicomfs.findings import Finding, Findings, Kind
from dicomfs.media.medium import EntryType, Medium, Place
from dicomfs.media.opening import unreadable
from dicomfs.media.walk import Walk
from dicomfs.source.source import Source

DICOMDIR: Final = b"DICOMDIR"
_SEARCH_DEPTH: Final = 3


def find_dicomdirs(medium: Medium) -> list[Place]:
    """Return where the DICOMDIRs of *medium* lie, found without regard to case.

    A conformant medium has one in its root. If there is not, folders are searched, to
    depth 3, and all DICOMDIRs of the first level that has any are returned. Raises
    OSError if the root cannot be read.
    """
    found: list[Place] = []
    walk = Walk(medium, depth=_SEARCH_DEPTH, by_level=True)
    for folder in walk:
        if folder.error is not None and not folder.place:
            raise folder.error
        name = Names(folder.entries).match(DICOMDIR)
        if name is not None and folder.entries[name] is not EntryType.FOLDER:
            found.append((*folder.place, name))
            walk.depth = len(folder.place)
    return found


def open_file_sets(
    medium: Medium, dicomdir: bytes = b"", findings: Findings | None = None
) -> list[FileSet]:
    """Return the File-sets of *medium*, or only that of the *dicomdir* in its root.

    One of several that is broken costs only itself. Raises Failure if all are.
    """
    findings = Findings() if findings is None else findings
    try:
        places = [(dicomdir,)] if dicomdir else find_dicomdirs(medium)
    except OSError as error:
        raise unreadable(error) from error
    file_sets: list[FileSet] = []
    failures: list[tuple[Place, Failure]] = []
    for place in places:
        # Findings have to say which of several they are about.
        about = findings.about(_shown(place)) if len(places) > 1 else findings
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
                    Kind.INDEX_LEFT_OUT, detail=str(left_out), files=(_shown(place),)
                )
            )
        return file_sets
    if failures:
        raise failures[0][1]
    raise Failure(Problem.NO_DICOMDIR, depth=_SEARCH_DEPTH)


def _shown(place: Place) -> str:
    return os.fsdecode(b"/".join(place))


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
