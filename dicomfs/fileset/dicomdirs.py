"""The File-sets of a medium: where their DICOMDIRs lie, and why one is of no use."""

import os
from typing import Final

from dicomfs.dicom import disguise
from dicomfs.errors import DirectoryError, Exit, Failure, NotDicomError
from dicomfs.fileset.fileid import Names
from dicomfs.fileset.fileset import FileSet
from dicomfs.findings import Finding, Findings, Kind
from dicomfs.media.medium import EntryType, Medium, Place
from dicomfs.media.opening import unreadable
from dicomfs.media.walk import Walk
from dicomfs.source.source import Source

DICOMDIR: Final = b"DICOMDIR"
_SEARCH_DEPTH: Final = 3
_SCAN: Final = "give --scan to build the tree from the files themselves"


def find_dicomdirs(medium: Medium) -> list[Place]:
    """Return where the DICOMDIRs of *medium* lie, found without regard to case.

    There is one in the root of a conformant medium. Only if there is none, folders are
    searched, to depth 3; then all of the first level that has any are returned. Raises
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
    """Return the File-sets of *medium*; only that of *dicomdir* in its root if named.

    One of several that is broken costs only itself. Raises Failure with the exit code
    that says why there is none.
    """
    findings = Findings() if findings is None else findings
    try:
        places = [(dicomdir,)] if dicomdir else find_dicomdirs(medium)
    except OSError as error:
        raise unreadable(error) from error
    file_sets: list[FileSet] = []
    failures: list[tuple[Place, Failure]] = []
    for place in places:
        # Of several, findings have to say which they are about.
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
                    Kind.INDEX_LEFT_OUT, detail=left_out.what, files=(_shown(place),)
                )
            )
        return file_sets
    if failures:
        raise failures[0][1]
    raise Failure(
        Exit.NO_DICOMDIR,
        f"there is no DICOMDIR on the medium, down to {_SEARCH_DEPTH} folders deep",
        f"give the folder that holds the DICOMDIR; or {_SCAN}",
    )


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
        what, mend = _what_it_is(source, error)
        return Failure(Exit.NOT_DICOM, what, mend)
    if isinstance(error, DirectoryError):
        return Failure(
            Exit.DICOMDIR_BROKEN,
            f"the DICOMDIR is damaged: {error}",
            f"copy the medium again, or {_SCAN}",
        )
    return None


def _what_it_is(source: Source, error: NotDicomError) -> tuple[str, str]:
    """Return what a file is that is no DICOMDIR, and what to do about it."""
    head = source.read_at(0, disguise.ENVELOPE_HEAD)
    if not head:
        return "the DICOMDIR is empty: it has no bytes", f"copy it again, or {_SCAN}"
    how = disguise.how_secured(head)
    if how == disguise.ENCRYPTED:
        return (
            "the medium is encrypted: its DICOMDIR is an enveloped CMS object",
            "decrypt it with the key of its recipient (PS3.15), then mount the result",
        )
    if how == disguise.SIGNED:
        return (
            "the medium is secured: its DICOMDIR is wrapped in a signed CMS object",
            "unwrap it first (openssl cms -verify), then mount the result",
        )
    return (
        f"the DICOMDIR is no DICOM directory: {error}",
        f"look whether the medium was copied whole; or {_SCAN}",
    )
