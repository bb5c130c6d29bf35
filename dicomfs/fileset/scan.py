"""A DICOMDIR made of the files themselves, where a medium has none that is of use.

Every file of the medium is looked at, and the header of each instance becomes a
directory record, in bytes as another writer would have put them on the medium: values
and character sets as they are in the header. So the tree, its names and its laziness
are the same with and without a DICOMDIR. An index takes about 220 bytes an instance,
the table of the real paths as much as their names and 50 bytes each.
"""

import errno
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.header import read_header, sop_class_uid
from dicomfs.dicom.types import IMAGE, is_private_class, type_of_class
from dicomfs.dicom.uids import DIRECTORY
from dicomfs.dicomdir.writer import SIZE, TITLES, DirectoryWriter
from dicomfs.errors import (
    CutOffError,
    DicomfsError,
    Failure,
    FileIdError,
    MethodError,
    PasswordError,
    Problem,
)
from dicomfs.fileset.fileset import FileSet
from dicomfs.fileset.listener import NOBODY, Listener
from dicomfs.fileset.locate import ScannedLocator, statuses
from dicomfs.fileset.patience import PatientLister, Task, Workers
from dicomfs.findings import Finding, Findings, Kind
from dicomfs.media.foreign import packed_instance
from dicomfs.media.medium import Medium, Place, Status
from dicomfs.media.opening import unreadable
from dicomfs.media.walk import Lister, Walk
from dicomfs.source.pulse import DEADLINE
from dicomfs.source.source import BytesSource, Source

log = logging.getLogger(__name__)

# How many files were looked at, how many instances they were, and how many files there are.
Progress = Callable[[int, int, int], None]

# Files of an archive that somebody has the key to, or a program for.
_Locked = PasswordError | MethodError

# Files and folders together: a disc has tens of thousands.
MAX_ENTRIES: Final = 500_000
# In bytes; while it is written it takes twice that.
MAX_INDEX: Final = 128 * 1024 * 1024
# The standard has eight levels of folders.
MAX_DEPTH: Final = 32

_THREADS: Final = 8
_BATCH: Final = 16
_BATCHES_AHEAD: Final = 4 * _THREADS
_EXAMPLES: Final = 5

# In so many bytes Media Storage SOP Class UID stands, even where the header is damaged.
_BEGINNING: Final = 512
_PREFIX: Final = slice(128, 132)

# A file that has none of these is not an instance, or says nothing about itself.
_TELLING: Final = (
    *tags.NAMING,
    tags.SOP_CLASS_UID,
    tags.SOP_INSTANCE_UID,
)
_DIRECTORY_GROUP: Final = (tags.FILE_SET_ID, tags.OFFSET_OF_FIRST_ROOT_RECORD)


@dataclass(frozen=True, slots=True)
class Scan:
    """The findings of a scan, and all that a File-set is made of.

    *index* is a DICOMDIR, whose File IDs *places* resolves; *mtime_ns* the time of the
    newest instance. *files* counts those that were looked at, *instances* those of them
    that are in the index. *locked* is the error of the first file in an archive that no
    password opens, or that is packed in a way that is not read.
    """

    index: bytes
    places: ScannedLocator
    files: int
    instances: int
    mtime_ns: int
    findings: list[Finding]
    locked: _Locked | None = None


def scanned(
    medium: Medium,
    findings: Findings,
    which: str = "the medium",
    listener: Listener = NOBODY,
    deadline: float = DEADLINE,
) -> list[FileSet]:
    """Return *medium* as a File-set that is made of the headers of its files.

    A file that is silent for *deadline* seconds is left out. The *listener* hears how
    far it is; a log calls the medium *which*. Raises Failure if the medium cannot be
    read or has no instance.
    """
    try:
        found = scan(medium, partial(listener.scanned, findings.source), deadline)
    except OSError as error:
        raise unreadable(error) from error
    finally:
        listener.scan_ended()
    findings.extend(found.findings)
    if unread := _count(found.findings, Kind.UNREADABLE_FILE, Kind.SILENT_FILE):
        log.warning("%d files or folders of %s cannot be read", unread, which)
    if not found.instances:
        if found.locked is not None:
            raise unreadable(found.locked)
        if packed := _count(found.findings, Kind.PACKED_INSTANCE):
            raise Failure(Problem.ONLY_PACKED, files=found.files, count=packed)
        raise Failure(Problem.NO_INSTANCE, files=found.files)
    index = BytesSource(found.index)
    return [
        FileSet(medium, index, findings, locator=found.places, mtime_ns=found.mtime_ns)
    ]


def _count(findings: Sequence[Finding], *kinds: Kind) -> int:
    return sum(each.count for each in findings if each.kind in kinds)


def scan(medium: Medium, progress: Progress, deadline: float = DEADLINE) -> Scan:
    """Look at every file of *medium* and return what was found.

    The same medium gives the same index, in whatever order its files answer. Links,
    devices and pipes are not files. One that is silent for *deadline* seconds is left
    out. Raises OSError if the root cannot be read, or too much is silent.
    """
    workers = Workers(_THREADS, deadline, "scan")
    try:
        return _scan(medium, progress, workers)
    finally:
        workers.end()


def _scan(medium: Medium, progress: Progress, workers: Workers) -> Scan:
    troubles = _Troubles()
    index = DirectoryWriter()
    places = ScannedLocator(medium)
    files, newest = 0, 0
    locked: _Locked | None = None
    batches, total = _counted(PatientLister(medium, workers), troubles, progress)
    for folder, seen in _in_order(medium, batches, workers):
        for each in seen:
            files += each.is_file
            locked = locked or each.locked
            if each.trouble is not None:
                troubles.add(each.trouble, (*folder, each.name))
            if each.header is not None:
                index.add(each.header, places.add(folder, each.name))
                newest = max(newest, each.mtime_ns)
        progress(files, len(places), total)
        if index.size > MAX_INDEX:
            troubles.add(Kind.TOO_MANY_RECORDS, folder, "the index is full")
            break
    return Scan(
        index.written(), places, files, len(places), newest, troubles.all(), locked
    )


# -- looking at the files --------------------------------------------------------------


class _Seen(NamedTuple):
    """A name on the medium, and what it turned out to be; an instance has a *header*."""

    name: bytes
    is_file: bool
    trouble: Kind | None = None
    header: Attributes | None = None
    mtime_ns: int = 0
    locked: _Locked | None = None


class _Batch(NamedTuple):
    """A folder, and the names of a few of its files."""

    folder: Place
    names: Sequence[bytes]


def _counted(
    medium: Lister, troubles: "_Troubles", progress: Progress
) -> tuple[list[_Batch], int]:
    """Return all batches, and how many files they are; *progress* hears of these."""
    batches: list[_Batch] = []
    total = 0
    for batch in _batches(medium, troubles):
        batches.append(batch)
        total += len(batch.names)
        progress(0, 0, total)
    return batches, total


def _batches(medium: Lister, troubles: "_Troubles") -> Iterator[_Batch]:
    """Yield folders and the names of their files, a few at a time.

    Each folder comes before those in it, all in the order of their names.
    """
    for folder in Walk(medium, depth=MAX_DEPTH, most=MAX_ENTRIES):
        place = folder.place
        if folder.error is not None:
            if not place:
                raise folder.error
            troubles.add(Kind.UNREADABLE_FILE, place, "folders")
        if folder.is_cut:
            troubles.add(Kind.TOO_MANY_RECORDS, place, "more files than are looked at")
        files = folder.files
        for start in range(0, len(files), _BATCH):
            yield _Batch(place, files[start : start + _BATCH])
        if len(place) == MAX_DEPTH and folder.folders:
            troubles.add(Kind.TOO_DEEP, place, "folders that are not looked into")


class _Look:
    """Looks at the files of a *batch*; those that it has *seen* are there at once."""

    def __init__(self, medium: Medium, batch: _Batch) -> None:
        self._medium = medium
        self.batch = batch
        self.seen: list[_Seen] = []
        # Whether the first file that was not seen is the one that it is at.
        self.is_at_first = len(batch.names) == 1

    def run(self) -> None:
        """Look at them."""
        folder, names = self.batch
        found = statuses(self._medium, folder, names)
        self.is_at_first = True
        for name, status in zip(names, found, strict=True):
            self.seen.append(_look_at(self._medium, folder, name, status))


def _look_at(
    medium: Medium, folder: Place, name: bytes, status: Status | OSError
) -> _Seen:
    # The beginning of a file that was cut off may say what it is.
    if isinstance(status, OSError) and not isinstance(status, CutOffError):
        # Links, devices and pipes; they are not opened.
        if status.errno == errno.EINVAL:
            return _Seen(name, is_file=False)
        return _unreadable(name, status)
    try:
        source = medium.open((*folder, name))
    except (OSError, FileIdError) as error:
        return _unreadable(name, error)
    try:
        header, trouble = _header(source)
    finally:
        source.close()
    if isinstance(status, OSError):
        # If it says so little, nobody else will say that it is there.
        trouble = Kind.FILE_CUT_OFF if header is None else trouble
        status = source.status
    return _Seen(name, True, trouble, header, status.mtime_ns)


def _unreadable(name: bytes, error: Exception) -> _Seen:
    locked = error if isinstance(error, _Locked) else None
    return _Seen(name, is_file=True, trouble=Kind.UNREADABLE_FILE, locked=locked)


def _header(source: Source) -> tuple[Attributes | None, Kind | None]:
    """Return the header of the instance in *source*, and what is wrong with the file.

    The header is None if it is not an instance, and empty if it cannot be read.
    """
    header = Attributes({})
    trouble = Kind.HEADER_UNREADABLE
    try:
        header = read_header(source, _DIRECTORY_GROUP)
    except OSError:
        trouble = Kind.UNREADABLE_FILE
    except DicomfsError:
        pass  # no DICOM file, or one that is damaged
    if any(tag in header.values for tag in _DIRECTORY_GROUP):
        return None, None
    if any(map(header.raw, _TELLING)):
        return _with_more(source, header), None
    try:
        beginning = source.read_at(0, _BEGINNING)
    except OSError:
        return None, Kind.UNREADABLE_FILE
    if beginning[_PREFIX] == b"DICM" and DIRECTORY not in beginning:
        return header, trouble
    if trouble is Kind.UNREADABLE_FILE:
        return None, trouble
    return None, _packed(source)


def _packed(source: Source) -> Kind | None:
    """Return that a file is a packed instance, None if it is not."""
    try:
        return None if packed_instance(source) is None else Kind.PACKED_INSTANCE
    except OSError:
        return Kind.UNREADABLE_FILE


def _with_more(source: Source, header: Attributes) -> Attributes:
    """Return *header*, with what else tells what an instance is and how it is called."""
    class_uid = sop_class_uid(header)
    more: tuple[int, ...] = TITLES
    if type_of_class(class_uid) == IMAGE:
        if not is_private_class(class_uid):
            return header
        more = SIZE
    try:
        return read_header(source, more)
    except (OSError, DicomfsError):
        return header


def _in_order(
    medium: Medium, batches: Sequence[_Batch], workers: Workers
) -> Iterator[tuple[Place, list[_Seen]]]:
    """Yield for each of *batches*, in their order, what is seen of the files in it.

    Several threads work ahead, so that a file that is slow to answer holds up no other.
    Raises OSError if too much is silent.
    """
    begun: deque[tuple[_Look, Task[None]]] = deque()
    for batch in batches:
        begun.append(_begun(medium, batch, workers))
        if len(begun) >= _BATCHES_AHEAD:
            yield _outcome(medium, *begun.popleft(), workers)
    while begun:
        yield _outcome(medium, *begun.popleft(), workers)


def _begun(medium: Medium, batch: _Batch, workers: Workers) -> tuple[_Look, Task[None]]:
    look = _Look(medium, batch)
    return look, workers.begin(look.run)


def _outcome(
    medium: Medium, look: _Look, task: Task[None], workers: Workers
) -> tuple[Place, list[_Seen]]:
    """Return what is seen of the files of a batch, where one that hangs costs itself."""
    folder = look.batch.folder
    seen: list[_Seen] = []
    waiting = [(look, task)]
    while waiting:
        look, task = waiting.pop()
        try:
            workers.answer(task)
            seen += look.seen
        except TimeoutError:
            # It may go on while it is left behind.
            known = look.seen[:]
            names = look.batch.names[len(known) :]
            seen += known
            if look.is_at_first:
                seen.append(_Seen(names[0], is_file=True, trouble=Kind.SILENT_FILE))
                rest = [names[1:]] if names[1:] else []
            else:
                rest = [[name] for name in reversed(names)]
            waiting += [_begun(medium, _Batch(folder, each), workers) for each in rest]
    return folder, seen


class _Troubles:
    """Collects what went wrong: of each kind how often, and the first few places."""

    def __init__(self) -> None:
        self._count: dict[tuple[Kind, str], int] = {}
        self._files: dict[tuple[Kind, str], list[str]] = {}

    def add(self, kind: Kind, place: Place, detail: str = "") -> None:
        """Add one more of *kind* at *place*."""
        key = kind, detail
        self._count[key] = self._count.get(key, 0) + 1
        files = self._files.setdefault(key, [])
        if len(files) < _EXAMPLES:
            files.append(b"/".join(place).decode("utf-8", "backslashreplace"))

    def all(self) -> list[Finding]:
        """Return them as findings."""
        return [
            Finding(kind, count=count, detail=detail, files=tuple(files))
            for ((kind, detail), count), files in zip(
                self._count.items(), self._files.values(), strict=True
            )
        ]
