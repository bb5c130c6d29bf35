"""The links between the records of one DICOMDIR: followed, checked and mended.

They are followed as they are written, until one fails or a check of all records finds
them wrong. Then they are mended, once (see ``dicomdir.recovery``).
"""

import threading
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from enum import Enum
from itertools import chain, compress
from typing import Final

from dicomfs.dicom.types import Level
from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.index import INACTIVE, Index
from dicomfs.dicomdir.indexing import MOST_RECORDS, read_index
from dicomfs.dicomdir.record import NO_RECORD, DirectoryRecord
from dicomfs.dicomdir.recovery.repair import Mended, Repair, repair
from dicomfs.errors import DirectoryError
from dicomfs.fileset.lost import LostRecords
from dicomfs.fileset.partial import PartialRecords
from dicomfs.fileset.references import References
from dicomfs.fileset.witness import Witness
from dicomfs.findings import Finding, Kind
from dicomfs.source.window import Window

_SHOWN_UNLINKED: Final = "shown in Unlinked"
_ITEM: Final = 8
# Hardly any record is smaller. Of larger directories so many records are a sample.
_LITTLE: Final = 200
_SAMPLED: Final = 256
_CLEARLY: Final = 1.25


class LinksMended(Exception):  # noqa: N818 - no error: a walk has to begin anew
    """The links of a DICOMDIR turned out to be wrong, and are others from now on."""


class LinkCheck(Enum):
    """Whether all records of a DICOMDIR were looked at, and not only those asked for."""

    NOT_YET = "not yet"
    WHOLE = "whole"
    TOO_LARGE = "too large to be looked at without need"
    FAILED = "could not be read to the end"


class LinkedRecords:
    """The records of *directory* as they are linked, or should have been.

    ``begin`` comes before all else. The *references* are those of its records; *note*
    hears what is wrong. Safe to use from several threads.
    """

    def __init__(
        self,
        directory: Directory,
        references: References,
        note: Callable[[Finding], None],
    ) -> None:
        self.state = LinkCheck.NOT_YET
        # How many records the check looked at, and patients, studies and series of them.
        self.count = 0
        self.upper = array("L")
        # Counts up when links were mended, or an instance was found to be a stray.
        self.revision = 0
        self._directory = directory
        self._references = references
        self._witness = Witness(directory, references)
        self._note = note
        self._checking = threading.Lock()
        self._asking = threading.Lock()
        self._all_asked = False
        self._counting = threading.Lock()
        self._repair = Repair((directory.header.root,))
        self._verdicts: dict[int, bool] = {}

    @property
    def roots(self) -> list[int]:
        """Offsets of the first records of root entities; one, in a sound DICOMDIR."""
        return [root for root in self._repair.roots if root != NO_RECORD]

    @property
    def is_mended(self) -> bool:
        """Whether other links are followed than are written."""
        return self._directory.links is not None

    @property
    def unlinked(self) -> Sequence[int]:
        """Offsets of the first records of entities that belong nowhere."""
        return self._repair.unlinked

    @property
    def strays(self) -> Sequence[int]:
        """Offsets of single records that were found not to be where they belong."""
        # A copy, as other threads add to them.
        verdicts = self._verdicts.copy()
        return sorted(at for at, is_home in verdicts.items() if not is_home)

    # -- following them ----------------------------------------------------------------

    def entities(self, first: int, owner: int) -> Sequence[int]:
        """Return where the entities below the record at *owner* begin.

        *first* is where it leads to as far as is known; without an owner that is all.
        """
        made = self._repair
        if owner != NO_RECORD and made.links is not None:
            first = made.links.of(owner)[1]
        linked = [first] if first != NO_RECORD else []
        return linked + made.adopted.get(owner, [])

    def entity(self, first: int) -> Iterator[DirectoryRecord]:
        """Yield the active records of the directory entity that begins at *first*.

        Raises LinksMended where the links turn out to be wrong: whatever was made of
        these records is to be made anew. Raises OSError from the medium.
        """
        links = self._directory.links
        while first != NO_RECORD:
            try:
                yield from self._directory.entity(first)
            except (DirectoryError, OSError) as error:
                self._check(MOST_RECORDS)
                if self._directory.links is not links:
                    raise LinksMended from error
                first = self._behind(error)
            else:
                return

    def is_plain(self, first: int, owner: int) -> bool:
        """Whether the entity at *first*, below *owner*, is what is written there.

        Then no header is asked, either, where its records belong.
        """
        made, directory = self._repair, self._directory
        is_sure = not (made.is_guess or made.is_doubtful or made.adopted)
        is_written = directory.links is None and not directory.known
        return is_sure and is_written and self.entities(first, owner) == [first]

    def doubt(self) -> None:
        """Look at all records, as some lead back or too deep; raises as ``entity``."""
        links = self._directory.links
        self._check(MOST_RECORDS)
        if self._directory.links is not links:
            raise LinksMended

    def _behind(self, error: DirectoryError | OSError) -> int:
        """Return where a chain goes on behind a record that cannot be read.

        By links as written nobody knows: then it ends, or *error* is raised again.
        """
        offset = getattr(error, "offset", 0)
        if self._directory.links is None or not offset:
            if isinstance(error, OSError):
                raise error
            self._note(Finding(Kind.BROKEN_LINK, offset))
            return NO_RECORD
        self._note(Finding(Kind.DAMAGED_RECORD, offset, done="left out"))
        return self._directory.links.of(offset)[0]

    # -- checking all of them ----------------------------------------------------------

    def begin(self) -> None:
        """Check all links if the first records are not what they should be.

        Raises OSError if the medium fails, and DirectoryError if no record is left.
        """
        if not _begins_well(self._directory):
            self._check(MOST_RECORDS)

    def check_once(self, most: int) -> None:
        """Look at all records and mend the links, if nobody did or is about to.

        Who comes meanwhile waits. Beyond *most* records they are left as they are.
        Raises OSError if the medium fails, and DirectoryError if no record is left.
        """
        with self._checking:
            if self.state is LinkCheck.NOT_YET:
                self._check_now(most)

    def leave_alone(self, most: int) -> None:
        """Let nobody wait for a check that there will not be; nobody waits for this."""
        if not self._checking.acquire(blocking=False):
            return
        try:
            if self.state is LinkCheck.NOT_YET and _is_larger(self._directory, most):
                self.state = LinkCheck.TOO_LARGE
        finally:
            self._checking.release()

    def give_up(self) -> None:
        """Let nobody wait for a check any more."""
        with self._checking:
            if self.state is LinkCheck.NOT_YET:
                self.state = LinkCheck.FAILED

    def check(self, most: int) -> None:
        """Look at all records, unless there are more than *most*, and mend the links.

        The headers of all instances are asked, too, if the links had to be guessed.
        Raises OSError if the medium fails.
        """
        self._check(most)
        self.ask_headers()

    def ask_headers(self) -> None:
        """Ask the headers of all instances where they belong, if links were guessed."""
        with self._asking:
            if self.is_settled or not isinstance(self._directory.links, Mended):
                return
            index = self._directory.links.index
            for offset, kind in zip(index.offsets, index.kinds, strict=True):
                with suppress(DirectoryError):
                    record = self._directory.record(offset)
                    if not kind & INACTIVE and self._references.file_id(record):
                        self.is_home(record)
            self._all_asked = True

    @property
    def is_settled(self) -> bool:
        """Whether all that belongs nowhere is known, or nobody will look for it."""
        made = self._repair
        is_sure = not (made.is_guess or made.is_doubtful)
        return self.state is not LinkCheck.NOT_YET and (is_sure or self._all_asked)

    def _check(self, most: int) -> None:
        with self._checking:
            if self.state is not LinkCheck.WHOLE:
                self._check_now(most)

    def _check_now(self, most: int) -> None:
        try:
            if most < MOST_RECORDS and _is_larger(self._directory, most):
                self.state = LinkCheck.TOO_LARGE
                return
            index = read_index(self._directory, most)
            if not index.is_complete and most < MOST_RECORDS:
                self.state = LinkCheck.TOO_LARGE
                return
            self._mend(index)
        except (OSError, DirectoryError):
            if self.state is LinkCheck.NOT_YET:
                self.state = LinkCheck.FAILED
            raise

    def _mend(self, index: Index) -> None:
        header = self._directory.header
        if not len(index) and not (header.is_whole and header.root == NO_RECORD):
            raise DirectoryError("no directory record is left")
        count = len(index)
        made = self._mended(index)
        for finding in chain(_noticed(index), made.findings):
            self._note(finding)
        self._repair = made
        if made.links is not None:
            self._directory.links = made.links
            self._count_up()
        self.count = count
        is_upper = map(Level.INSTANCE.__gt__, index.kinds)
        self.upper = array("L", compress(index.offsets, is_upper))
        self.state = LinkCheck.WHOLE

    def _mended(self, index: Index) -> Repair:
        """Return what becomes of the links; what is unreadable is made up for."""
        root = self._directory.header.root
        if not index.unreadable:
            return repair(index, root, self._witness)
        partial = PartialRecords(self._directory, self._references, index)
        made = repair(index, root, self._witness)
        partial.open_up(made)
        lost = LostRecords(
            self._directory, self._references, self._witness, index, made
        )
        if (finding := lost.mend()) is not None:
            self._note(finding)
        partial.settle(made)
        return made

    def _count_up(self) -> None:
        with self._counting:
            self.revision += 1

    def is_home(self, record: DirectoryRecord) -> bool:
        """Whether an instance belongs where its *record* is found.

        Its own header is asked only where links led astray, and must not contradict;
        where they had to be guessed it has to agree.
        """
        made = self._repair
        if not (made.is_guess or made.is_doubtful) or record.offset in self._verdicts:
            return self._verdicts.get(record.offset, True)
        above = made.above(record.offset)
        verdict = not above or not made.is_guess
        if above and (said := self._witness.said_by_header([record.offset])):
            level = self._directory.written(above[-1]).level
            agrees = self._witness.said_by_records(above).agrees(said, level)
            verdict = agrees is True if made.is_guess else agrees is not False
        self._verdicts[record.offset] = verdict
        if not verdict:
            self._note(
                Finding(Kind.UNLINKED, record.offset, record.type, done=_SHOWN_UNLINKED)
            )
            self._count_up()
        return verdict


def _is_larger(directory: Directory, most: int) -> bool:
    """Whether there are more than *most* records, judged by the first ones.

    Many records are not read to find out that they are too many.
    """
    size = directory.source.size
    if size <= most * _LITTLE:
        return False
    few = read_index(directory, _SAMPLED).offsets
    if len(few) < _SAMPLED:
        return False
    return size * (len(few) - 1) > _CLEARLY * most * (few[-1] - few[0])


def _noticed(index: Index) -> Iterator[Finding]:
    """Yield what the *index* itself shows to be wrong or worth a remark."""
    for first, end in index.unreadable:
        detail = f"bytes {first} to {end}"
        yield Finding(Kind.INDEX_UNREADABLE, first, detail=detail)
    for offset in index.gaps:
        yield Finding(Kind.DAMAGED_RECORD, offset, done="those behind it were found")
    if not index.is_complete:
        yield Finding(Kind.TOO_MANY_RECORDS, count=len(index))
    inactive = [kind & INACTIVE for kind in index.kinds].count(INACTIVE)
    for kind, count, offset in (
        (Kind.INACTIVE_RECORD, inactive, 0),
        (Kind.PRIVATE_RECORD, len(index.private), min(index.private, default=0)),
        (Kind.UNKNOWN_TYPE, len(index.unknown), min(index.unknown, default=0)),
    ):
        if count:
            yield Finding(kind, offset, count=count)


def _begins_well(directory: Directory) -> bool:
    """Whether the first records are what they should be, as far as a look can tell."""
    try:
        if directory.header.root == NO_RECORD:
            return directory.header.is_whole and not _has_records(directory)
        window = Window(directory.source)
        first = directory.written(directory.header.root, window)
        link = first.lower or first.next
        if link == NO_RECORD or first.level not in {Level.PATIENT, Level.OTHER}:
            return False
        directory.written(link, window)
    except (DirectoryError, OSError):
        return False
    return True


def _has_records(directory: Directory) -> bool:
    header = directory.header
    return header.records + _ITEM < directory.source.size
