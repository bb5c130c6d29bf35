"""A File-set: one DICOMDIR, and the files of the medium that it references.

It is read part by part. Its ``roots`` are Parts; the ``children`` of a Part are Items,
each a record with what it references; and below an Item there are Parts again.
"""

import errno
import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from typing import Final, NamedTuple

from dicomfs.dicom.attributes import Attributes
from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.images import Images, images_of
from dicomfs.dicomdir.indexing import MOST_RECORDS, read_index
from dicomfs.dicomdir.record import NO_RECORD, DirectoryRecord
from dicomfs.errors import CutOffError, DirectoryError
from dicomfs.fileset.guesses import Clue
from dicomfs.fileset.links import LinkCheck, LinkedRecords
from dicomfs.fileset.locate import Locator, Together
from dicomfs.fileset.nested import Family, NestedSets
from dicomfs.fileset.references import Found, References, clue_of
from dicomfs.fileset.settling import Settling
from dicomfs.findings import Finding, Findings, Kind
from dicomfs.media.medium import Medium, Place, Status, shown
from dicomfs.source.digests import Digests
from dicomfs.source.source import Source
from dicomfs.source.window import Window

# Files that are opened for a header, and records that are asked for one.
_HEADER_ATTEMPTS: Final = 2
_MOST_ASKED: Final = 100


class Part(NamedTuple):
    """A place of records in a File-set: one alone, or an entity from its first on.

    *owner* is the offset of the record that the entity is below, 0 if there is none;
    *character_sets* are those of the records above, for records without their own.
    """

    file_set: "FileSet"
    offset: int
    whole_entity: bool
    owner: int = NO_RECORD
    character_sets: tuple[bytes, ...] = ()


class Item:
    """One *record*, with its *attributes* in the character sets of those above it.

    The files and records that it leads to are looked up when somebody asks for them, as
    other records and files may have to be read for that.
    """

    __slots__ = ("attributes", "file_set", "record")

    def __init__(
        self,
        file_set: "FileSet",
        record: DirectoryRecord,
        character_sets: tuple[bytes, ...] = (),
    ) -> None:
        self.file_set = file_set
        self.record = record
        self.attributes = file_set.attributes(record, character_sets)

    @property
    def file_id(self) -> bytes:
        """The Referenced File ID, empty if the record has no file."""
        return self.file_set.file_id(self.record)

    @property
    def clue(self) -> Clue:
        """What is known of the file, wherever it lies."""
        return clue_of(self.record, self.attributes.character_sets)

    @property
    def nested(self) -> "FileSet | None":
        """The File-set whose directory the record references, None if it does not."""
        return self.file_set._nested.of(self.record)

    @property
    def is_home(self) -> bool:
        """Whether the instance belongs where its record is found."""
        return self.file_set._links.is_home(self.record)

    @property
    def below(self) -> list[Part]:
        """The lower entities, as one part, and those of the nested File-set."""
        own, at = self.file_set, self.record.offset
        sets = self.attributes.character_sets
        parts: list[Part] = []
        if starts := own._links.entities(self.record.lower, at):
            parts.append(Part(own, starts[0], True, at, sets))
        if (nested := self.nested) is not None:
            parts += [part._replace(character_sets=sets) for part in nested.roots]
        return parts

    def header(self) -> Attributes | None:
        """Return the header of the file, None if there is none or it is unreadable."""
        if self.nested is not None or not self.file_id:
            return None
        header = self.file_set._references.header(self.record)
        return header and header.under((), self.file_set.shared.charset)


class FileSet:
    """The records of one DICOMDIR, which lies at *place* of *medium*, and their files."""

    def __init__(
        self,
        medium: Medium,
        source: Source,
        findings: Findings,
        place: Place = (),
        locator: Locator | None = None,
        mtime_ns: int = 0,
        family: Family | None = None,
        above: Sequence[Place] = (),
    ) -> None:
        """Read the header of the DICOMDIR in *source*; raises what ``Directory`` does.

        A DICOMDIR that is not a file of the medium has no *place*, and *mtime_ns* is its
        time. A nested one belongs to a *family*, and the directories *above* lead to it.
        """
        self.medium = medium
        self.findings = findings
        self.place = place
        self._status = Status(source.size, mtime_ns)
        if place:
            self._status = _status_of(medium, place, source)
        self.mtime_ns = self._status.mtime_ns
        # What was read of the DICOMDIR.
        self._digests = Digests()
        if place:
            source.remember(self._digests)
        self.directory = Directory(source)
        # It tells this File-set from others, and is the same on every mount.
        self.identity = self.directory.identity
        self.is_nested = bool(above)
        if family is not None:
            locator = family.locator
        self._references = References(
            self.directory, medium, place[:-1], self.note, locator
        )
        self._line = (*above, place)
        # With those that are nested in it.
        self.shared = family or Family(self._references.locator)
        self._nested = NestedSets(
            medium, self._line, self.shared, self._references, self._nest, self.note
        )
        self._links = LinkedRecords(self.directory, self._references, self.note)
        # Those of the data set, once somebody asked for them.
        self._character_sets: tuple[bytes, ...] | None = None
        self.settling = Settling(
            self.directory, self._links, self._nested, self.check_unchanged
        )
        self._links.begin()
        self._note_header()

    def note(self, finding: Finding, key: Hashable = None) -> None:
        """Add a *finding* about a record, in the place of one with the same *key*."""
        if self.is_nested and not finding.files:
            finding = replace(finding, files=(shown(self.place),))
        self.findings.add(finding, key=(self.identity, finding if key is None else key))

    def _note_header(self) -> None:
        header = self.directory.header
        if not header.is_whole:
            done = "what is left of it is shown; --scan shows all files"
            self.note(Finding(Kind.INDEX_CUT_OFF, done=done))
        for kind in header.unusual:
            self.note(Finding(kind))

    @property
    def source(self) -> str:
        """What people call the medium that it lies on: the source, and what lies in it."""
        return "/".join(filter(None, (self.shared.source, self.findings.source)))

    def tell_apart(self, mark: bytes) -> None:
        """Make the identity one of its own by a *mark* that no copy of it has."""
        self.identity = hashlib.sha256(self.identity + mark).digest()

    def check_unchanged(self) -> None:
        """Raise OSError (EIO) if the DICOMDIR is not what it was when it was opened."""
        if not self.place:
            return
        status = _status_of(self.medium, self.place, self.directory.source)
        if self._is_same(status) and self.directory.is_unchanged():
            self._status = status
            return
        self.note(Finding(Kind.INDEX_CHANGED, done="nothing more is shown"))
        raise OSError(errno.EIO, "the DICOMDIR was changed")

    def _is_same(self, status: Status) -> bool:
        """Whether the DICOMDIR of this *status* is the one that was opened.

        Where only the time of its last change tells, what was read is read again, where
        it lies now. Raises OSError.
        """
        if status == self._status:
            return True
        if status[:2] != self._status[:2]:
            return False
        with closing(self.medium.open(self.place)) as source:
            return self._digests.hold(source.read_at)

    def close(self) -> None:
        """Close the DICOMDIR; whoever opened the medium closes that."""
        self.directory.source.close()

    # -- records -----------------------------------------------------------------------

    @property
    def roots(self) -> list[Part]:
        """The root entities; one, in a sound DICOMDIR that has records."""
        return [self._top(root, whole_entity=True) for root in self._links.roots]

    def _top(self, offset: int, *, whole_entity: bool) -> Part:
        """Return a part that has no record above it, only the data set around it."""
        if self._character_sets is None:
            found = self.directory.character_set()
            self._character_sets = (found,) if found else ()
        return Part(self, offset, whole_entity, character_sets=self._character_sets)

    @property
    def unlinked(self) -> list[Part]:
        """The parts that belong nowhere: whole entities, and single records that strayed."""
        whole = [self._top(at, whole_entity=True) for at in self._links.unlinked]
        strays = [self._top(at, whole_entity=False) for at in self._links.strays]
        return whole + strays

    def children(self, part: Part) -> Iterator[Item]:
        """Yield what *part* consists of: its active records, in the order of links.

        Raises LinksMended where the links turn out to be wrong: whatever was made of
        these records is to be made anew. Raises OSError from the medium.
        """
        if not part.whole_entity:
            yield Item(self, self.record(part.offset), part.character_sets)
            return
        for first in self._links.entities(part.offset, part.owner):
            for record in self._links.entity(first):
                yield Item(self, record, part.character_sets)

    def images(self, part: Part) -> Images | None:
        """Return all that *part* consists of, if that is plain images; None if in doubt."""
        is_plain = part.whole_entity and self._links.is_plain(part.offset, part.owner)
        return images_of(self.directory, part.offset) if is_plain else None

    def everything(self) -> Iterator[Item]:
        """Yield all records in the order of the file, inactive and unlinked ones too.

        Records that cannot be read are passed over, unless their instances were found.
        Raises OSError if the medium fails.
        """
        window = Window(self.directory.source)
        offsets = read_index(self.directory).offsets
        for offset in chain(offsets, self.directory.made_anew):
            with suppress(DirectoryError, OSError):
                yield Item(self, self.directory.written(offset, window))

    def attributes(
        self, record: DirectoryRecord, character_sets: tuple[bytes, ...]
    ) -> Attributes:
        """Return the attributes of *record*, below records with *character_sets*."""
        return record.attributes.under(character_sets, self.shared.charset)

    def record(self, offset: int) -> DirectoryRecord:
        """Return the directory record at *offset*; DirectoryError if none is there."""
        return self.directory.record(offset)

    def reader(self, more: Mapping[int, str]) -> Callable[[int], DirectoryRecord]:
        """Return what reads many records that lie near each other, by their offsets.

        They have the attributes *more*, too, by tags and VRs. Raises as ``record``.
        """
        window = Window(self.directory.source)
        return partial(self.directory.detailed, window=window, more=more)

    def file_id(self, record: DirectoryRecord) -> bytes:
        """Return the Referenced File ID of *record*, its own or lent; empty if none."""
        return self._references.file_id(record)

    # -- links -------------------------------------------------------------------------

    def check_links(self, most: int = MOST_RECORDS) -> None:
        """Look at all records, unless there are more than *most*, and mend the links.

        The headers of all instances are asked, too, if the links had to be guessed.
        Raises OSError if the medium fails.
        """
        self._links.check(most)

    def doubt(self) -> None:
        """Check the links, as some lead back or too deep; raises as ``children``."""
        self._links.doubt()

    @property
    def link_check(self) -> LinkCheck:
        """Whether the links were checked."""
        return self._links.state

    @property
    def records(self) -> int:
        """How many records the check of the links looked at."""
        return self._links.count

    @property
    def is_mended(self) -> bool:
        """Whether other links are followed than are written."""
        return self._links.is_mended

    @property
    def revision(self) -> int:
        """Counts up when links are mended, or a stray is found; nested ones count."""
        return self._links.revision + sum(each.revision for each in self._nested.met)

    # -- files -------------------------------------------------------------------------

    def locate_all(
        self, file_ids: Iterable[bytes], clue: Callable[[int], Clue] | None = None
    ) -> list[Found]:
        """Return where the files of *file_ids* lie, or why not; see ``References``."""
        return self._references.locate_all(file_ids, clue)

    def find_all(
        self, file_ids: Sequence[bytes], clue: Callable[[int], Clue]
    ) -> Together | list[Found]:
        """Return the same; in short if all lie in one folder, and nothing is amiss."""
        return self._references.find_all(file_ids, clue)

    def headers(self, record: DirectoryRecord) -> Iterator[tuple[Item, Attributes]]:
        """Yield the headers of instances that *record* has or leads to, with their items.

        They are those of the first one that is there, and of the second, as far as they
        can be read.
        """
        attempts = 0
        for item in islice(_instances(Item(self, record)), _MOST_ASKED):
            if (header := item.header()) is not None:
                yield item, header
            elif self._references.is_missing(item.record):
                continue
            attempts += 1
            if attempts == _HEADER_ATTEMPTS:
                return

    # -- directories in directories ----------------------------------------------------

    @property
    def family(self) -> list["FileSet"]:
        """This File-set and the nested ones that were met so far."""
        return [self, *(each for below in self._nested.met for each in below.family)]

    def _nest(self, source: Source, place: Place, file_id: bytes) -> "FileSet":
        """Open the directory in *source*; raises as the constructor does."""
        findings, shared, line = self.findings, self.shared, self._line
        nested = FileSet(
            self.medium, source, findings, place, family=shared, above=line
        )
        # On the same medium one that is referenced twice, or has a twin, is another.
        unique = b"%b %b %b" % (self.identity, nested.identity, file_id)
        nested.identity = hashlib.sha256(unique).digest()
        # Those who follow the record wait for it, as for its own File-set.
        with suppress(DirectoryError, OSError):
            nested.settling.check(MOST_RECORDS)
        # It was mended before anybody saw it: that changes nothing but what is unlinked.
        nested._links.revision = int(bool(nested.unlinked))
        return nested


def _status_of(medium: Medium, place: Place, source: Source) -> Status:
    """Return the status of the DICOMDIR at *place*, also of one that was cut off."""
    with suppress(CutOffError):
        return medium.status(place)
    return source.status


def _instances(top: Item) -> Iterator[Item]:
    """Yield *top* and the items below it that have files, as a walk meets them."""
    chains: list[Iterator[Item]] = [iter([top])]
    seen: set[tuple[FileSet, int]] = set()
    while chains:
        item = next(chains[-1], None)
        if item is None:
            chains.pop()
            continue
        if item.nested is None and item.file_id:
            yield item
        for part in item.below:
            if part[:2] not in seen:
                seen.add(part[:2])
                chains.append(part.file_set.children(part))
