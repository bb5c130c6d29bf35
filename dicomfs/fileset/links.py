"""The links between the records of one DICOMDIR: followed, checked and mended.

They are followed as they are written, until one fails or a check of all records finds
them wrong. Then they are mended, once (see ``dicomdir.recovery``).
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from enum import Enum
from typing import Final

from dicomfs.dicom.types import Level
from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.index import INACTIVE, MOST_RECORDS, Index, read_index
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


class LinksMended(Exception):  # noqa: N818 - no error: a walk has to begin anew
    """The links of a DICOMDIR turned out to be wrong, and are others from now on."""


class LinkCheck(Enum):
    """Whether all records of a DICOMDIR were looked at, and not only those asked for."""

    NOT_YET = "not yet"
    WHOLE = "whole"
    TOO_LARGE = "too large to be looked at without need"


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
        # How many records the check looked at.
        self.count = 0
        # Counts up when links were mended, or an instance was found to be a stray.
        self.revision = 0
        self._directory = directory
        self._references = references
        self._witness = Witness(directory, references)
        self._note = note
        self._checking = threading.Lock()
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
        if not self._begins_well():
            self._check(MOST_RECORDS)

    def check(self, most: int) -> None:
        """Look at all records, unless there are more than *most*, and mend the links.

        The headers of all instances are asked, too, if the links had to be guessed.
        Raises OSError if the medium fails.
        """
        self._check(most)
        if self._repair.is_guess or self._repair.is_doubtful:
            links = self._directory.links
            assert isinstance(links, Mended)
            for offset, kind in zip(
                links.index.offsets, links.index.kinds, strict=True
            ):
                with suppress(DirectoryError):
                    record = self._directory.record(offset)
                    if not kind & INACTIVE and self._references.file_id(record):
                        self.is_home(record)

    def _check(self, most: int) -> None:
        with self._checking:
            if self.state is LinkCheck.WHOLE:
                return
            index = read_index(self._directory, most)
            if not index.is_complete and most < MOST_RECORDS:
                self.state = LinkCheck.TOO_LARGE
                return
            header, count = self._directory.header, len(index)
            if not count and not (header.is_whole and header.root == NO_RECORD):
                raise DirectoryError("no directory record is left")
            made = self._mended(index)
            self._note_index(index)
            for finding in made.findings:
                self._note(finding)
            self._repair = made
            if made.links is not None:
                self._directory.links = made.links
                self._count_up()
            self.count = count
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

    def _note_index(self, index: Index) -> None:
        """Note what the *index* itself shows."""
        add = self._note
        for first, end in index.unreadable:
            add(Finding(Kind.INDEX_UNREADABLE, first, detail=f"bytes {first} to {end}"))
        for offset in index.gaps:
            add(Finding(Kind.DAMAGED_RECORD, offset, done="those behind it were found"))
        if not index.is_complete:
            add(Finding(Kind.TOO_MANY_RECORDS, count=len(index)))
        inactive = [kind & INACTIVE for kind in index.kinds].count(INACTIVE)
        for kind, count, offset in (
            (Kind.INACTIVE_RECORD, inactive, 0),
            (Kind.PRIVATE_RECORD, len(index.private), min(index.private, default=0)),
            (Kind.UNKNOWN_TYPE, len(index.unknown), min(index.unknown, default=0)),
        ):
            if count:
                add(Finding(kind, offset, count=count))

    def _begins_well(self) -> bool:
        """Whether the first records are what they should be, as far as a look can tell."""
        directory = self._directory
        try:
            if directory.header.root == NO_RECORD:
                return directory.header.is_whole and not self._has_records()
            window = Window(directory.source)
            first = directory.written(directory.header.root, window)
            link = first.lower or first.next
            if link == NO_RECORD or first.level not in {Level.PATIENT, Level.OTHER}:
                return False
            directory.written(link, window)
        except (DirectoryError, OSError):
            return False
        return True

    def _has_records(self) -> bool:
        header = self._directory.header
        return header.records + _ITEM < self._directory.source.size

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
