"""A DICOMDIR made of the files themselves, where a medium has none that is of use.

Every file of the medium is looked at, and the header of each instance becomes a
directory record, in bytes as another writer would have put them on the medium: values
and character sets as they are in the header. So the tree, its names and its laziness
are the same with and without a DICOMDIR. An index takes about 220 bytes an instance,
the table of the real paths as much as their names and 50 bytes each.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

from dicomfs.dicomdir.writer import DirectoryWriter
from dicomfs.errors import Failure, Problem
from dicomfs.fileset import aside
from dicomfs.fileset.aside import Aside, Asked, Redo, Told
from dicomfs.fileset.fileset import FileSet
from dicomfs.fileset.glance import JOB, Glance, Locked, heard, look_at, unread
from dicomfs.fileset.listener import NOBODY, Listener
from dicomfs.fileset.locate import ScannedLocator, statuses
from dicomfs.fileset.patience import PatientLister, Task, Workers
from dicomfs.findings import Finding, Findings, Kind
from dicomfs.media.medium import Medium, Place, Status
from dicomfs.media.opening import unreadable
from dicomfs.media.walk import Lister, Walk
from dicomfs.source.pulse import DEADLINE
from dicomfs.source.source import BytesSource

log = logging.getLogger(__name__)

# How many files were looked at, how many instances they were, and how many files there are.
Progress = Callable[[int, int, int], None]

# Files and folders together: a disc has tens of thousands.
MAX_ENTRIES: Final = 500_000
# In bytes; while it is written it takes twice that.
MAX_INDEX: Final = 128 * 1024 * 1024
# The standard has eight levels of folders.
MAX_DEPTH: Final = 32

_THREADS: Final = 8
_BATCH: Final = 16
_BATCHES_AHEAD: Final = 4 * _THREADS
# Whose files are looked at together by the process beside this one.
_BATCHES_BESIDE: Final = 64
_EXAMPLES: Final = 5


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
    locked: Locked | None = None


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
    locked: Locked | None = None
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
        self.seen: list[Glance] = []
        # Whether the first file that was not seen is the one that it is at.
        self.is_at_first = len(batch.names) == 1

    def run(self) -> None:
        """Look at them."""
        folder, names = self.batch
        found = statuses(self._medium, folder, names)
        self.is_at_first = True
        for name, status in zip(names, found, strict=True):
            self.seen.append(look_at(self._medium, folder, name, status))


def _in_order(
    medium: Medium, batches: Sequence[_Batch], workers: Workers
) -> Iterator[tuple[Place, list[Glance]]]:
    """Yield for each of *batches*, in their order, what is seen of the files in it.

    A process beside this one works ahead, or several threads do, so that a file that is
    slow to answer holds up no other. Raises OSError if too much is silent.
    """
    remaining = iter(batches)
    while (beside := aside.beside(medium)) is not None:
        if not (some := list(islice(remaining, _BATCHES_BESIDE))):
            return
        yield from _aside(medium, some, workers, beside)
    begun: deque[tuple[_Look, Task[None]]] = deque()
    for batch in remaining:
        begun.append(_begun(medium, batch, workers))
        if len(begun) >= _BATCHES_AHEAD:
            yield _outcome(medium, *begun.popleft(), workers)
    while begun:
        yield _outcome(medium, *begun.popleft(), workers)


def _aside(
    medium: Medium, batches: Sequence[_Batch], workers: Workers, beside: Aside
) -> Iterator[tuple[Place, list[Glance]]]:
    """Have the process *beside* this one look at all regular files of *batches*."""
    listed = [_statuses(medium, batch, workers) for batch in batches]
    asked = [
        Asked((*batch.folder, name), status)
        for batch, found in zip(batches, listed, strict=True)
        for name, status in zip(batch.names, found, strict=False)
        if isinstance(status, Status)
    ]
    looked = beside.looks(JOB, medium, asked, workers.deadline)
    for batch, found in zip(batches, listed, strict=True):
        if not found:
            # Something of it hangs: who asks one by one finds out what.
            yield _outcome(medium, *_begun(medium, batch, workers), workers)
            continue
        yield (
            batch.folder,
            [
                _said(next(looked), medium, batch.folder, name, status, workers)
                if isinstance(status, Status)
                else look_at(medium, batch.folder, name, status)
                for name, status in zip(batch.names, found, strict=True)
            ],
        )


def _statuses(
    medium: Medium, batch: _Batch, workers: Workers
) -> Sequence[Status | OSError]:
    """Return the status of each file of *batch*, none if that hangs."""
    try:
        return workers.ask(partial(statuses, medium, *batch))
    except TimeoutError:
        return ()


def _said(
    told: Told | OSError | Redo,
    medium: Medium,
    folder: Place,
    name: bytes,
    status: Status,
    workers: Workers,
) -> Glance:
    """Return what is seen of a file according to the process beside this one."""
    if isinstance(told, TimeoutError):
        return Glance(name, is_file=True, trouble=Kind.SILENT_FILE)
    if isinstance(told, OSError):
        return unread(name, told)
    with suppress(ValueError):
        if not isinstance(told, Redo):
            return heard(name, told, status.mtime_ns)
    batch = _Batch(folder, [name])
    _, [seen] = _outcome(medium, *_begun(medium, batch, workers), workers)
    return seen


def _begun(medium: Medium, batch: _Batch, workers: Workers) -> tuple[_Look, Task[None]]:
    look = _Look(medium, batch)
    return look, workers.begin(look.run)


def _outcome(
    medium: Medium, look: _Look, task: Task[None], workers: Workers
) -> tuple[Place, list[Glance]]:
    """Return what is seen of the files of a batch, where one that hangs costs itself."""
    folder = look.batch.folder
    seen: list[Glance] = []
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
                seen.append(Glance(names[0], is_file=True, trouble=Kind.SILENT_FILE))
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
