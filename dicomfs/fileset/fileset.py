"""A File-set: one DICOMDIR, and the files of the medium that it references."""

import errno
import hashlib
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from itertools import islice
from typing import Final

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.header import read_header
from dicomfs.dicom.types import Level
from dicomfs.dicom.uids import DIRECTORY
from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.index import INACTIVE, MOST_RECORDS, Index, read_index
from dicomfs.dicomdir.origin import Origin
from dicomfs.dicomdir.record import NO_RECORD, DirectoryRecord
from dicomfs.dicomdir.recovery import Mended, Repair, repair
from dicomfs.errors import (
    DicomfsError,
    DirectoryError,
    FileIdError,
    NotDicomError,
)
from dicomfs.fileset import fileid, moved
from dicomfs.fileset.locate import Locator
from dicomfs.findings import Finding, Findings, Kind
from dicomfs.media.medium import Medium, Place, Status
from dicomfs.media.reopened import Reopened
from dicomfs.source.source import Source
from dicomfs.source.window import Window
from dicomfs.tree.identity import Position

log = logging.getLogger(__name__)

_SHOWN_UNLINKED: Final = "shown in Unlinked"
_ITEM: Final = 8
_HEADER_ATTEMPTS: Final = 2
# Instances that are asked where a File-set was moved to, and out of how many records.
_SAMPLES: Final = 8
_SAMPLED: Final = 4096
# Directories that lead to others: how many in a row, and of one DICOMDIR how much, of
# which each counts as so many bytes at least.
_MOST_ABOVE: Final = 4
_MOST_NESTED: Final = 64 * 1024 * 1024
_LEAST_NESTED: Final = 16 * 1024


class LinksMended(Exception):  # noqa: N818 - no error: a walk has to begin anew
    """The links of a DICOMDIR turned out to be wrong, and are others from now on."""


class Examined(Enum):
    """Whether all records of a DICOMDIR were looked at, and not only those asked for."""

    NOT_YET = "not yet"
    WHOLE = "whole"
    TOO_LARGE = "too large to be looked at without need"


class FileSet:
    """The records of one DICOMDIR, which lies at *place* of *medium*, and their files.

    Links are followed as they are written, until one fails or ``examine`` finds them
    wrong: then they are mended, once (see ``recovery``).
    """

    def __init__(
        self,
        medium: Medium,
        source: Source,
        findings: Findings,
        place: Place = (),
        locator: Locator | None = None,
        mtime_ns: int = 0,
        above: "FileSet | None" = None,
    ) -> None:
        """Read the header of the DICOMDIR in *source*; raises what ``Directory`` does.

        Without a *place* it is none of the medium's files, and *mtime_ns* its time.
        A record of the File-set *above* references the directory of a nested one.
        """
        self.medium = medium
        self.findings = findings
        self.place = place
        self._status = medium.status(place) if place else Status(source.size, mtime_ns)
        self.mtime_ns = self._status.mtime_ns
        self.examined = Examined.NOT_YET
        # How many records were looked at by then.
        self.records = 0
        # Counts up when links were mended, or an instance was found to be a stray.
        self.revision = 0
        self._directory = Directory(source)
        self._locator = locator or moved.MovedLocator(
            medium, place[:-1], self._samples, self._note_move
        )
        self._above = above
        # By the offset of the record; None where what it references is no directory.
        self._nested: dict[int, FileSet | None] = {}
        self._nesting = threading.Lock()
        self._room = _MOST_NESTED
        self._mending = threading.Lock()
        self._counting = threading.Lock()
        self._repair = Repair((self._directory.header.root,))
        self._verdicts: dict[int, bool] = {}
        # What tells this File-set from others, the same on every mount.
        self.identity = self._directory.identity
        if not self._begins_well():
            self._examine()
        self._note_header()

    def note(self, finding: Finding) -> None:
        """Add a *finding* about a record: those of other File-sets have its offset too."""
        if self._above is not None and not finding.files:
            finding = replace(finding, files=(os.fsdecode(b"/".join(self.place)),))
        self.findings.add(finding, key=(self.identity, finding))

    def _note_header(self) -> None:
        header = self._directory.header
        if not header.is_whole:
            self.note(Finding(Kind.INDEX_CUT_OFF))
        for kind in header.unusual:
            self.note(Finding(kind))

    def tell_apart(self) -> None:
        """Make the identity that of this copy, where a medium has the same one twice."""
        by_place = self.identity + b"/".join(self.place)
        self.identity = hashlib.sha256(by_place).digest()

    # -- records -----------------------------------------------------------------------

    @property
    def roots(self) -> Sequence[int]:
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

    def position(self, record: DirectoryRecord) -> Position:
        """Return where *record* lies."""
        return Position(self.identity, record.offset)

    def record(self, offset: int) -> DirectoryRecord:
        """Return the directory record at *offset*; DirectoryError if there is none."""
        return self._directory.record(offset)

    def entities(self, first: int, owner: int) -> Sequence[int]:
        """Return where the entities below the record at *owner* begin.

        *first* is where it leads to as far as is known; without an owner that is all.
        """
        made = self._repair
        if owner != NO_RECORD and made.links is not None:
            first = made.links.of(owner)[1]
        linked = [first] if first != NO_RECORD else []
        return linked + made.adopted.get(owner, [])

    def all_records(self) -> Iterator[DirectoryRecord]:
        """Yield all records in the order of the file, inactive and unlinked ones too.

        What cannot be read is passed over. Raises OSError if the medium fails.
        """
        window = Window(self._directory.source)
        for offset in read_index(self._directory).offsets:
            with suppress(DirectoryError, OSError):
                yield self._directory.written(offset, window)

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
                self._examine()
                if self._directory.links is not links:
                    raise LinksMended from error
                first = self._behind(error)
            else:
                return

    def doubt(self) -> None:
        """Look at all records, as some lead back or too deep; raises as ``entity``."""
        links = self._directory.links
        self._examine()
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
            self.note(Finding(Kind.BROKEN_LINK, offset))
            return NO_RECORD
        self.note(Finding(Kind.DAMAGED_RECORD, offset, done="left out"))
        return self._directory.links.of(offset)[0]

    # -- looking at all of them ----------------------------------------------------------

    def examine(self, most: int = MOST_RECORDS) -> None:
        """Look at all records, unless there are more than *most*, and mend what is wrong.

        Where the links had to be guessed, at the headers of all instances, too. Raises
        OSError if the medium fails.
        """
        self._examine(most)
        if self._repair.is_guess or self._repair.is_doubtful:
            links = self._directory.links
            assert isinstance(links, Mended)
            for offset, kind in zip(
                links.index.offsets, links.index.kinds, strict=True
            ):
                with suppress(DirectoryError):
                    record = self.record(offset)
                    if not kind & INACTIVE and self.file_id(record):
                        self.is_home(record)

    def _examine(self, most: int = MOST_RECORDS) -> None:
        with self._mending:
            if self.examined is Examined.WHOLE:
                return
            index = read_index(self._directory, most)
            if not index.is_complete and most < MOST_RECORDS:
                self.examined = Examined.TOO_LARGE
                return
            header = self._directory.header
            if not len(index) and not (header.is_whole and header.root == NO_RECORD):
                raise DirectoryError("no directory record is left")
            made = repair(index, header.root, self)
            self._note_index(index)
            for finding in made.findings:
                self.note(finding)
            self._repair = made
            if made.links is not None:
                self._directory.links = made.links
                with self._counting:
                    self.revision += 1
            self.records = len(index)
            self.examined = Examined.WHOLE

    def _note_index(self, index: Index) -> None:
        """Note what the *index* itself shows."""
        add = self.note
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
        """Whether an instance belongs where its record is found.

        Only where links led astray its own header is asked, and must not contradict;
        where they had to be guessed it has to agree.
        """
        made = self._repair
        if not (made.is_guess or made.is_doubtful) or record.offset in self._verdicts:
            return self._verdicts.get(record.offset, True)
        above = made.above(record.offset)
        verdict = not above or not made.is_guess
        if above and (said := self.said_by_header([record.offset])):
            level = self._directory.written(above[-1]).level
            agrees = self.said_by_records(above).agrees(said, level)
            verdict = agrees is True if made.is_guess else agrees is not False
        self._verdicts[record.offset] = verdict
        if not verdict:
            self.note(
                Finding(Kind.UNLINKED, record.offset, record.type, done=_SHOWN_UNLINKED)
            )
            with self._counting:
                self.revision += 1
        return verdict

    def said_by_records(self, offsets: Sequence[int]) -> Origin:
        """Return what a chain of records, from the top down, says of those below."""
        origin = Origin.unknown()
        for offset in offsets:
            with suppress(DirectoryError, OSError):
                record = self._directory.written(offset)
                origin = Origin.of(record.attributes).below(origin)
                if record.level is Level.STUDY and not origin.study_uid:
                    # PS3.3 F.5.2: a STUDY that references a file may have it there.
                    origin = origin._replace(study_uid=record.sop_instance_uid)
        return origin

    def said_by_header(self, offsets: Sequence[int]) -> Origin | None:
        """Return what the header of the first readable of these instances says."""
        for offset in offsets:
            with suppress(DirectoryError, OSError):
                file_id = self.file_id(self._directory.written(offset))
                if file_id and (header := self._header_of(file_id)):
                    return Origin.of(header)
        return None

    def check_unchanged(self) -> None:
        """Raise OSError (EIO) if the DICOMDIR is not what it was when it was opened."""
        if not self.place:
            return
        status = self.medium.status(self.place)
        is_same = status == self._status
        if not is_same or not self._directory.is_unchanged():
            self.note(Finding(Kind.INDEX_CHANGED, done="nothing more is shown"))
            raise OSError(errno.EIO, "the DICOMDIR was changed")

    # -- files -------------------------------------------------------------------------

    def file_id(self, record: DirectoryRecord) -> bytes:
        """Return the Referenced File ID of *record*, empty if it has no file.

        The retired Multi-Referenced Directory Record lends its own.
        """
        file_id = record.file_id
        if file_id or record.mrdr == NO_RECORD:
            return file_id
        try:
            return self._directory.written(record.mrdr).file_id
        except DirectoryError:
            self.note(Finding(Kind.BROKEN_REFERENCE, record.offset, record.type))
            return b""

    def locate(self, file_id: bytes) -> tuple[Place, Status]:
        """Return where the file of a Referenced File ID lies, and its status.

        Raises FileIdError for one that leads nowhere, OSError from the medium.
        """
        return self._locator.locate(fileid.components(file_id))

    def locate_all(
        self, file_ids: Sequence[bytes]
    ) -> list[tuple[Place, Status] | OSError | FileIdError]:
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
        for file_set, file_id in islice(self._instances(record), _HEADER_ATTEMPTS):
            if header := file_set._header_of(file_id):
                return header
        return None

    def _header_of(self, file_id: bytes) -> Attributes | None:
        try:
            source = self.medium.open(self.locate(file_id)[0])
        except (OSError, DicomfsError) as error:
            log.info("a header cannot be opened: %s", type(error).__name__)
            return None
        try:
            return read_header(source)
        except (OSError, DicomfsError) as error:
            log.info("a header cannot be read: %s", type(error).__name__)
            return None
        finally:
            source.close()

    def _instances(self, record: DirectoryRecord) -> Iterator[tuple["FileSet", bytes]]:
        """Yield the File IDs of *record* and of the records below it, in their order.

        Each with the File-set that it is of: this one, or a nested one.
        """
        chains: list[tuple[FileSet, Iterator[DirectoryRecord]]] = [
            (self, iter([record]))
        ]
        seen: set[tuple[FileSet, int]] = set()
        while chains:
            file_set, chain = chains[-1]
            below = next(chain, None)
            if below is None:
                chains.pop()
                continue
            nested = file_set.nested(below)
            if nested is None and (file_id := file_set.file_id(below)):
                yield file_set, file_id
            starts = [
                (file_set, first)
                for first in file_set.entities(below.lower, below.offset)
            ]
            if nested is not None:
                starts += [(nested, root) for root in nested.roots]
            for start in starts:
                if start not in seen:
                    seen.add(start)
                    chains.append((start[0], start[0].entity(start[1])))

    def _samples(self) -> list[moved.Sample]:
        """Return a few of the first instances, to find out where the files are.

        Of the records in the order of the file, which no broken link can change.
        """
        samples = []
        window = Window(self._directory.source)
        with suppress(OSError):
            index = read_index(self._directory, _SAMPLED)
            records = zip(index.offsets, index.kinds, strict=True)
            active = [(at, kind) for at, kind in records if not kind & INACTIVE]
            instances = [at for at, kind in active if kind == Level.INSTANCE]
            offsets = instances or [at for at, _ in active]
            count = min(_SAMPLES, len(offsets))
            for number in range(count):
                offset = offsets[number * len(offsets) // count]
                with suppress(DirectoryError, FileIdError):
                    record = self._directory.written(offset, window)
                    path = fileid.components(self.file_id(record))
                    if uid := record.sop_instance_uid:
                        samples.append(moved.Sample(path, uid))
        return samples

    def _note_move(self, move: moved.Move) -> None:
        self.note(Finding(Kind.FILES_MOVED, done="found there", detail=str(move)))

    # -- directories in directories ----------------------------------------------------

    @property
    def family(self) -> list["FileSet"]:
        """This File-set and the nested ones that were met so far."""
        below = [nested for nested in [*self._nested.values()] if nested is not None]
        return [self, *(each for nested in below for each in nested.family)]

    def nested(self, record: DirectoryRecord) -> "FileSet | None":
        """Return the File-set whose directory *record* references, None if it does not.

        Only a DICOMDIR may be a directory (PS3.10 8.6), but there are writers that give
        each study and series a file of their own for the records below it. The File IDs
        in it count from the same root.
        """
        if record.level > Level.SERIES or not record.file_id:
            return None
        sop_class = record.attributes.raw(tags.REFERENCED_SOP_CLASS_UID)
        if sop_class not in {b"", DIRECTORY}:
            return None
        with self._nesting:
            if record.offset not in self._nested:
                self._nested[record.offset] = self._open_nested(
                    record, is_said=bool(sop_class)
                )
            return self._nested[record.offset]

    def _open_nested(
        self, record: DirectoryRecord, *, is_said: bool
    ) -> "FileSet | None":
        """Open what *record* references; *is_said* if it says that it is a directory."""
        try:
            place, _ = self.locate(record.file_id)
        except (FileIdError, OSError):
            # It is listed as a file, and so is what is wrong with it.
            return None
        if place in {file_set.place for file_set in self._line}:
            self.note(Finding(Kind.REFERENCES_ITSELF, record.offset, record.type))
            return None
        try:
            return self._nested_at(place, record.file_id)
        except NotDicomError as error:
            what = str(error) if is_said else ""
        except DirectoryError as error:
            what = str(error)
        except OSError as error:
            what = error.strerror or ""
        if what:
            offset, type_ = record.offset, record.type
            self.note(Finding(Kind.INDEX_LEFT_OUT, offset, type_, detail=what))
        return None

    def _nested_at(self, place: Place, file_id: bytes) -> "FileSet":
        """Open the directory at *place*; raises as the constructor does."""
        if len(self._line) > _MOST_ABOVE:
            raise DirectoryError("directories lead to each other too deeply")
        source = Reopened(self.medium, place)
        top = self._line[-1]
        with top._counting:
            top._room -= max(source.size, _LEAST_NESTED)
        if top._room < 0:
            raise DirectoryError("there are too many directories")
        nested = FileSet(
            self.medium, source, self.findings, place, self._locator, above=self
        )
        # On the same medium one that is referenced twice, or has a twin, is another.
        unique = b"%b %b %b" % (self.identity, nested.identity, file_id)
        nested.identity = hashlib.sha256(unique).digest()
        # It was mended before anybody saw it: that changes nothing but what is unlinked.
        nested.revision = int(bool(nested.unlinked))
        return nested

    @property
    def _line(self) -> list["FileSet"]:
        """This File-set, the one above it, and so on up to that of the DICOMDIR."""
        line = [self]
        while (above := line[-1]._above) is not None:
            line.append(above)
        return line


def _components(file_id: bytes) -> Place | FileIdError:
    try:
        return fileid.components(file_id)
    except FileIdError as error:
        return error
