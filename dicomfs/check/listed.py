"""The files that records list: each one read through, and held against its records.

A few threads read them, folder by folder. A file that hangs costs itself. What is wrong
in the same way with several files of a folder becomes one finding, so that memory does
not grow with the medium.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from itertools import chain
from typing import Final, NamedTuple

from dicomfs.check.inspection import Inspection, heard, inspect
from dicomfs.check.meter import Meter
from dicomfs.check.readability import Readability, first_difference, read_through
from dicomfs.check.records import character_set_fault, disagreements
from dicomfs.check.seen import Seen
from dicomfs.check.unlisted import named
from dicomfs.fileset import aside
from dicomfs.fileset.aside import Asked, Redo, Told
from dicomfs.fileset.fileset import FileSet
from dicomfs.fileset.patience import Workers
from dicomfs.findings import NOT_WHOLE, Finding, Kind
from dicomfs.media.medium import Place
from dicomfs.tree.node import Said
from dicomfs.tree.report import Stage
from dicomfs.tree.selection import Instance

Where = tuple[str, ...]
# Where a file lies that may be a copy of another one.
Copy = tuple[FileSet, Place]

# A file that has one of these cannot be compared with its copies.
_UNREAD: Final = frozenset(
    {Kind.UNREADABLE_BYTES, Kind.UNREADABLE_FILE, Kind.SILENT_FILE}
)
# What was compared.
_SAME: Final = "the same, byte for byte"
# Further unreadable ranges of a file are not named one by one.
_MOST_LETTERS: Final = 1000
# What the process beside this one is asked to do.
JOB: Final = "inspect"
# Files that a thread takes at once.
_BATCH: Final = 16


class _Trouble(NamedTuple):
    """Something about a file.

    Alike in a folder where *kind*, *what* and *source* (see ``Finding``) are the same.
    """

    kind: Kind
    what: str
    source: str
    file: Place
    offset: int
    record_type: str
    example: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether the file is whole all the same."""
        return self.kind not in NOT_WHOLE


class LookedAt(NamedTuple):
    """What is wrong with the files of a folder, and how many are *whole*.

    *texts* says what is wrong with the character set of records that were read.
    """

    findings: Sequence[Finding]
    whole: int
    texts: Mapping[Instance, str]


class ListedFiles:
    """Has *workers* look at the files of one folder after another.

    *end_if_gone* raises the error that it is given, if that means that no file can be
    read any more. The *meter* counts what was looked at.
    """

    def __init__(
        self, workers: Workers, end_if_gone: Callable[[OSError], None], meter: Meter
    ) -> None:
        self._workers = workers
        self._end_if_gone = end_if_gone
        self._meter = meter
        # Instances of other folders.
        self._instances = Seen()
        # Of the files of this folder whose records were read.
        self._texts: dict[Instance, str] = {}

    def look_at(self, files: Sequence[Instance], where: Where, above: Said) -> LookedAt:
        """Look at *files*, all those of the folder at *where*.

        Those that can be opened are read, in the order of their paths. *above* are the attributes
        of the folder's record and of those above it. Raises OSError if the medium is
        gone.
        """
        self._texts = {}
        there = sorted((each for each in files if not each.error), key=_place)
        looked = [*self._each(there, above)]
        troubles = chain(
            chain.from_iterable(looked),
            self._copies(there, looked),
            self._twins(there),
        )
        alike: dict[tuple[Kind, str, str], list[_Trouble]] = {}
        for each in troubles:
            alike.setdefault(each[:3], []).append(each)
        for file in there:
            if file.uid:
                self._instances.add(file.uid)
        of = Counter(
            file_set.findings.source for file in files for file_set, _ in _places(file)
        )
        groups = alike.values()
        findings = [_finding(where, group, of[group[0].source]) for group in groups]
        whole = [found for found in looked if all(each.is_whole for each in found)]
        return LookedAt(findings, len(whole), self._texts)

    def _each(self, files: Sequence[Instance], above: Said) -> Iterator[list[_Trouble]]:
        """Yield what is wrong with each of *files* by itself."""
        looked = self._looked_aside(files, above) or self._workers.map(
            partial(self._look_at, above=above), files, _BATCH
        )
        for file, found in zip(files, looked, strict=True):
            self._meter.add(Stage.FILES)
            yield [self._unopened(file, found)] if isinstance(found, OSError) else found

    def _looked_aside(
        self, files: Sequence[Instance], above: Said
    ) -> Iterator[list[_Trouble] | OSError] | None:
        """Have the process beside this one look at *files*; None if there is none."""
        media = {file.file_set.medium for file in files}
        medium = media.pop() if len(media) == 1 else None
        beside = None if medium is None else aside.beside(medium)
        if medium is None or beside is None:
            return None
        asked = [
            Asked(each.place, (each.size, each.mtime_ns, each.changed_ns))
            for each in files
        ]
        looked = beside.looks(JOB, medium, asked, self._workers.deadline)
        return map(partial(self._said_of, above=above), files, looked)

    def _said_of(
        self, file: Instance, told: Told | OSError | Redo, above: Said
    ) -> list[_Trouble] | OSError:
        """Return what is wrong with *file* according to the process beside this one."""
        if isinstance(told, OSError):
            return told
        with suppress(ValueError):
            if not isinstance(told, Redo):
                self._count(file.size)
                return [*self._troubles(file, heard(told), above)]
        try:
            return self._workers.ask(partial(self._look_at, file, above))
        except OSError as error:
            return error

    def _copies(
        self, files: Sequence[Instance], looked: Sequence[Sequence[_Trouble]]
    ) -> Iterator[_Trouble]:
        """Yield what is wrong with copies of *files*, with which that was wrong."""
        pairs: list[tuple[Instance, Copy]] = []
        for file, troubles in zip(files, looked, strict=True):
            copies = [copy[:2] for copy in file.copies]
            if any(each.kind in _UNREAD for each in troubles):
                yield from (_unsure(file, at) for at in copies)
            else:
                pairs += [(file, at) for at in copies]
        compared = self._workers.map(self._compare, pairs)
        for (file, at), found in zip(pairs, compared, strict=True):
            if isinstance(found, OSError):
                yield from (self._unopened(file, found, at), _unsure(file, at))
            else:
                yield from found

    def _twins(self, files: Sequence[Instance]) -> Iterator[_Trouble]:
        """Yield which of the *files* of a folder have a UID that others have, too.

        That is a remark if they are the same, byte for byte.
        """
        alike: dict[bytes, list[Instance]] = defaultdict(list)
        for file in files:
            if file.uid:
                alike[file.uid].append(file)
        for first, *others in alike.values():
            if all(self._are_same(first, each) for each in others):
                for file in others:
                    yield _trouble(file, Kind.REPEATED_INSTANCE, _SAME)
            else:
                for file in (first, *others):
                    yield _trouble(file, Kind.DUPLICATE_INSTANCE)

    def _are_same(self, one: Instance, other: Instance) -> bool:
        """Whether two files have the same bytes, as far as these can be read."""
        if one.size != other.size:
            return False
        try:
            return self._workers.ask(partial(_have_same_bytes, one, other))
        except OSError as error:
            self._end_if_gone(error)
            return False

    def _look_at(self, file: Instance, above: Said) -> list[_Trouble]:
        """Return what is wrong with *file*; raises OSError if it cannot be read."""
        source = file.open_listed()
        try:
            found = inspect(source, self._count)
            return [*self._troubles(file, found, above)]
        finally:
            source.close()

    def _troubles(
        self, file: Instance, found: Inspection, above: Said
    ) -> Iterator[_Trouble]:
        """Yield what is wrong with *file* according to what was *found* out about it."""
        record = file.record
        self._texts[file] = character_set_fault(file.attributes_of(record))
        if not found.readability.is_whole:
            yield _unreadable(file, found.readability)
        if file.uid and file.uid in self._instances:
            yield _trouble(file, Kind.REPEATED_ELSEWHERE)
        for kind, what in found.faults():
            yield _trouble(file, kind, what)
        if found.header is not None:
            for each in disagreements(record, above, found.header):
                example = f"record {each.record!r}, file {each.file!r}"
                yield _trouble(file, each.kind, each.attribute, example)

    def _compare(self, pair: tuple[Instance, Copy]) -> list[_Trouble]:
        """Hold a file against the one that is taken for its copy; raises OSError."""
        file, at = pair
        file_set, place = at
        with closing(file_set.medium.open(place)) as copy:
            readability = read_through(copy, self._count)
            if not readability.is_whole:
                return [_unreadable(file, readability, at), _unsure(file, at)]
            with closing(file.open_listed()) as source:
                differ = first_difference(source, copy)
        if differ is None:
            return [_trouble(file, Kind.REPEATED_INSTANCE, _SAME, at=at)]
        example = f"from byte {differ} on"
        return [_trouble(file, Kind.COPIES_DIFFER, "", example, at)]

    def _unopened(
        self, file: Instance, error: OSError, at: Copy | None = None
    ) -> _Trouble:
        """Return that the file cannot be read; raises *error* if no file can."""
        self._end_if_gone(error)
        is_silent = isinstance(error, TimeoutError)
        kind = Kind.SILENT_FILE if is_silent else Kind.UNREADABLE_FILE
        return _trouble(file, kind, error.strerror or "", at=at)

    def _count(self, size: int) -> None:
        self._meter.add(Stage.FILES, 0, size)


def _have_same_bytes(one: Instance, other: Instance) -> bool:
    with closing(one.open_listed()) as left, closing(other.open_listed()) as right:
        return first_difference(left, right) is None


def _place(file: Instance) -> Place:
    return file.place


def _places(file: Instance) -> list[Copy]:
    """Return where the file and its copies lie."""
    return [(file.file_set, file.place), *(copy[:2] for copy in file.copies)]


def _unsure(file: Instance, at: Copy) -> _Trouble:
    """Return that nobody knows whether a copy of *file* is the same."""
    return _trouble(file, Kind.ASSUMED_COPIES, at=at)


def _trouble(
    file: Instance,
    kind: Kind,
    what: str = "",
    example: str = "",
    at: Copy | None = None,
) -> _Trouble:
    """Return what is wrong with *file*, or with the copy of it that is *at* a place."""
    record = file.record
    file_set, place = at or (file.file_set, file.place)
    source = file_set.findings.source
    return _Trouble(kind, what, source, place, record.offset, record.type, example)


def _unreadable(
    file: Instance, readability: Readability, at: Copy | None = None
) -> _Trouble:
    """Return which bytes of the file are unreadable, a finding by itself."""
    ranges = str(readability)
    if len(ranges) > _MOST_LETTERS:
        ranges = ranges[:_MOST_LETTERS].rpartition(",")[0] + " and more"
    return _trouble(file, Kind.UNREADABLE_BYTES, ranges, at=at)


def _finding(where: Where, group: Sequence[_Trouble], of: int) -> Finding:
    """Return the finding that is about all of *group*, out of *of* files in a folder."""
    first = group[0]
    detail = ", ".join(filter(None, (first.what, first.example)))
    return Finding(
        first.kind,
        first.offset,
        first.record_type,
        where,
        len(group),
        of,
        detail=detail,
        files=named([each.file for each in group]),
        source=first.source,
    )
