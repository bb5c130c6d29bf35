"""A File-set: one DICOMDIR, and the files of the medium that it references."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from dicomfs import fileid
from dicomfs.attributes import Attributes
from dicomfs.directory import Directory
from dicomfs.errors import (
    DicomfsError,
    DirectoryError,
    Exit,
    Failure,
    FileIdError,
    NotDicomError,
)
from dicomfs.header import read_header
from dicomfs.identity import Position
from dicomfs.media.medium import Medium, Path, Status
from dicomfs.media.opening import unreadable
from dicomfs.record import NO_RECORD, DirectoryRecord

log = logging.getLogger(__name__)

DICOMDIR: Final = b"DICOMDIR"
_SEARCH_DEPTH: Final = 3
_HEADER_ATTEMPTS: Final = 2


def find_dicomdirs(medium: Medium) -> list[Path]:
    """Return where the DICOMDIRs of *medium* lie, found without regard to case.

    There is one in the root of a conformant medium. Only if there is none, folders are
    searched, to depth 3; then all of the first level that has any are returned. Raises
    OSError if the root cannot be read.
    """
    level: list[Path] = [()]
    for _ in range(_SEARCH_DEPTH + 1):
        if found := [p for up in level if (p := _dicomdir_in(medium, up))]:
            return found
        level = [(*up, name) for up in level for name in _folders_in(medium, up)]
    return []


def _dicomdir_in(medium: Medium, folder: Path) -> Path | None:
    try:
        name = fileid.Names(medium.names(folder)).match(DICOMDIR)
        is_file = name is not None and name not in medium.folders(folder)
    except OSError:
        if not folder:
            raise
        return None
    return (*folder, name) if name is not None and is_file else None


def _folders_in(medium: Medium, folder: Path) -> list[bytes]:
    try:
        return sorted(medium.folders(folder))
    except OSError:
        return []


class FileSet:
    """The records and files of one DICOMDIR, which lies at *place* of *medium*."""

    def __init__(self, medium: Medium, place: Path) -> None:
        """Read the header of the DICOMDIR; raises what ``Directory`` does."""
        self.medium = medium
        self.mtime_ns = medium.status(place).mtime_ns
        self.place = place
        source = medium.open(place)
        try:
            self._directory = Directory(source)
        except BaseException:
            source.close()
            raise
        self._locator = fileid.Locator(medium, place[:-1])
        if not self._directory.header.is_whole:
            log.warning(
                "the DICOMDIR is cut off: files of its last records are missing"
            )
        # What tells this File-set from others, the same on every mount.
        self.identity = self._directory.identity

    def tell_apart(self) -> None:
        """Make the identity that of this copy, where a medium has the same one twice."""
        by_place = self.identity + b"/".join(self.place)
        self.identity = hashlib.sha256(by_place).digest()

    @property
    def root(self) -> int:
        """Offset of the first record of the root entity; 0 if there is none."""
        return self._directory.header.root

    def position(self, record: DirectoryRecord) -> Position:
        """Return where *record* lies."""
        return Position(self.identity, record.offset)

    def record(self, offset: int) -> DirectoryRecord:
        """Return the directory record at *offset*; DirectoryError if there is none."""
        return self._directory.record(offset)

    def entity(self, first: int) -> Iterator[DirectoryRecord]:
        """Yield the active records of the directory entity that begins at *first*.

        A chain that breaks ends there; what came before is shown, and it is logged.
        """
        try:
            yield from self._directory.entity(first)
        except DirectoryError as error:
            log.warning("a directory entity is incomplete: %s", error)

    def file_id(self, record: DirectoryRecord) -> bytes:
        """Return the Referenced File ID of *record*, empty if it has no file.

        The retired Multi-Referenced Directory Record lends its own.
        """
        if record.file_id or record.mrdr == NO_RECORD:
            return record.file_id
        try:
            return self.record(record.mrdr).file_id
        except DirectoryError as error:
            log.warning("a multi-referenced record is unusable: %s", error)
            return b""

    def locate(self, file_id: bytes) -> tuple[Path, Status]:
        """Return where the file of a Referenced File ID lies, and its status.

        Raises FileIdError for one that leads nowhere, OSError from the medium.
        """
        return self._locator.locate(fileid.components(file_id))

    def locate_all(
        self, file_ids: Sequence[bytes]
    ) -> list[tuple[Path, Status] | OSError | FileIdError]:
        """Do for each of *file_ids* what ``locate`` does; return errors, not raise."""
        paths = [_components(file_id) for file_id in file_ids]
        usable = [path for path in paths if not isinstance(path, FileIdError)]
        found = iter(self._locator.locate_all(usable))
        return [
            path if isinstance(path, FileIdError) else next(found) for path in paths
        ]

    def header(self, record: DirectoryRecord) -> Attributes | None:
        """Return the header of an instance that *record* has or leads to.

        Of the first one, or where that cannot be read of the second; else None.
        """
        for file_id in islice(self._file_ids(record), _HEADER_ATTEMPTS):
            try:
                source = self.medium.open(self.locate(file_id)[0])
            except (OSError, DicomfsError) as error:
                log.info("a header cannot be opened: %s", type(error).__name__)
                continue
            try:
                return read_header(source)
            except (OSError, DicomfsError) as error:
                log.info("a header cannot be read: %s", type(error).__name__)
            finally:
                source.close()
        return None

    def _file_ids(self, record: DirectoryRecord) -> Iterator[bytes]:
        """Yield the File IDs of *record* and of the records below it, in their order."""
        chains = [iter([record])]
        seen: set[int] = set()
        while chains:
            below = next(chains[-1], None)
            if below is None:
                chains.pop()
                continue
            if file_id := self.file_id(below):
                yield file_id
            if below.lower != NO_RECORD and below.lower not in seen:
                seen.add(below.lower)
                chains.append(self.entity(below.lower))


def _components(file_id: bytes) -> Path | FileIdError:
    try:
        return fileid.components(file_id)
    except FileIdError as error:
        return error


def open_file_sets(medium: Medium, dicomdir: bytes = b"") -> list[FileSet]:
    """Return the File-sets of *medium*; only that of *dicomdir* in its root if named.

    One of several that is broken costs only itself. Raises Failure with the exit code
    that says why there is none.
    """
    try:
        places = [(dicomdir,)] if dicomdir else find_dicomdirs(medium)
    except OSError as error:
        raise unreadable(error) from error
    file_sets: list[FileSet] = []
    failures: list[Failure] = []
    for place in places:
        try:
            file_set = _open_file_set(medium, place)
            if any(file_set.identity == other.identity for other in file_sets):
                file_set.tell_apart()
            file_sets.append(file_set)
        except Failure as failure:
            failures.append(failure)
    if file_sets:
        for left_out in failures:
            log.warning("one of several File-sets is left out: %s", left_out.what)
        return file_sets
    if failures:
        raise failures[0]
    raise Failure(
        Exit.NO_DICOMDIR,
        f"there is no DICOMDIR on the medium, down to {_SEARCH_DEPTH} folders deep",
        "give the folder that holds the DICOMDIR; a medium without one is not a DICOM "
        "File-set",
    )


def _open_file_set(medium: Medium, place: Path) -> FileSet:
    try:
        return FileSet(medium, place)
    except NotDicomError as error:
        raise Failure(
            Exit.NOT_DICOM,
            f"the DICOMDIR is no DICOM directory: {error}",
            "look whether the medium was copied whole, and is not encrypted",
        ) from error
    except DirectoryError as error:
        raise Failure(
            Exit.DICOMDIR_BROKEN,
            f"the DICOMDIR is damaged: {error}",
            "copy the medium again, or ask where it came from for another",
        ) from error
    except OSError as error:
        raise unreadable(error) from error
