"""What records become: folders that are a selection of records, and their instances.

Only *parts* of a folder that is shown may be replaced, where links turned out to be
wrong (see ``tree.listings``).
"""

import errno
import os
from collections.abc import Hashable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, NamedTuple, Protocol

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.header import read_header, sop_instance_uid
from dicomfs.dicom.types import Level
from dicomfs.dicomdir.record import DirectoryRecord
from dicomfs.errors import DicomfsError, DirectoryError
from dicomfs.fileset.fileset import FileSet, Part
from dicomfs.findings import Finding, Kind
from dicomfs.media.medium import Place, Status, shown
from dicomfs.source.source import Source
from dicomfs.tree.heads import (
    NO_CLAIMS,
    Claims,
    Listed,
    StandIn,
    Watched,
    header_of,
)
from dicomfs.tree.node import ExtraFile, ExtraFolder, Node, Said

# Folders on these levels have attributes of their own.
FOLDERS: Final = frozenset({Level.PATIENT, Level.STUDY, Level.SERIES})


class Lister(Protocol):
    """Knows what is in selections; see ``tree.listings``."""

    def children(self, folder: "Selection") -> "Listing":
        """Return what is in *folder*; raises OSError."""
        ...

    def cached(self, folder: "Selection") -> "Listing | None":
        """Return what is in *folder* if that is kept, else None."""
        ...

    def forget(self, folder: "Selection") -> None:
        """Give up what is kept of *folder*."""
        ...


class Copy(NamedTuple):
    """A file of another medium that is taken for a copy, as it was listed."""

    file_set: FileSet
    place: Place
    mtime_ns: int
    changed_ns: int


@dataclass(slots=True, eq=False)
class Instance:
    """A record with a file: it is at *offset*, and may have *copies* elsewhere."""

    is_folder: ClassVar[Literal[False]] = False
    is_fixed: ClassVar[bool] = True

    inode: int
    name: str
    parent: "Selection"
    mtime_ns: int
    file_set: FileSet
    offset: int
    place: Place
    size: int
    error: int
    reason: str
    copies: tuple[Copy, ...] = ()
    # When it was changed last as it was listed; 0 if that is not known.
    changed_ns: int = 0
    uid: bytes = b""
    # Whether its head was looked at.
    is_known: bool = False

    @property
    def links(self) -> int:
        """In how many folders it is: its series', and those that choose it, too."""
        return 1 + self.parent.chosen.get(self.uid, 0)

    @property
    def record(self) -> DirectoryRecord:
        """The directory record, read anew: a listing of many files keeps none."""
        return self.file_set.record(self.offset)

    @property
    def own_attributes(self) -> Attributes:
        """What the record says, read anew; raises DirectoryError or OSError."""
        return self.attributes_of(self.record)

    def attributes_of(self, record: DirectoryRecord) -> Attributes:
        """Return what its *record* says, with the File ID that another lends it."""
        inherited = self.parent.character_sets_of(self.file_set)
        own = self.file_set.attributes(record, inherited)
        if record.file_id:
            return own
        lent = {tags.REFERENCED_FILE_ID: self.file_set.file_id(record)}
        return own._replace(values={**own.values, **lent})

    def header(self, vrs: Mapping[int, str]) -> Attributes | None:
        """Return the header of the file, None if it cannot be read.

        It has the attributes that name it, and those of the tags in *vrs*; numbers in
        binary are text.
        """
        try:
            with closing(self.open_listed()) as source:
                header = read_header(source, vrs, vrs)
        except (OSError, DicomfsError):
            return None
        return header.under((), self.file_set.shared.charset)

    @property
    def attributes(self) -> Said:
        """What the record says, as of an instance, and what those above say."""
        above = self.parent.attributes
        with suppress(DirectoryError, OSError):
            return {**above, Level.INSTANCE: self.own_attributes}
        return above

    @property
    def identity(self) -> Hashable:
        """What stays the same whatever else is in the folder."""
        return self.file_set.identity, self.offset

    def is_same(self, other: object) -> bool:
        """Whether *other* with the same inode number is the same file, listed anew."""
        return (
            isinstance(other, Instance)
            and other.parent.is_same(self.parent)
            and other.identity == self.identity
        )

    def open(self) -> Source:
        """Open the file on its medium, or a copy where that fails; raises OSError."""
        try:
            return self._watched(self.open_listed())
        except OSError:
            for copy in () if self.error else self.copies:
                with suppress(OSError):
                    return self._stand_in(copy)
            raise

    def open_listed(self) -> Source:
        """Open this very file, and no copy of it; raises OSError."""
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        source = self.file_set.medium.open(self.place)
        listed = Status(self.size, self.mtime_ns, self.changed_ns)
        if source.status != listed:
            self._check(source, listed, self.identity)
            self.changed_ns = source.status.changed_ns
            source.is_renewed = True
        return source

    def open_cached(self) -> Source | None:
        """Open the file if that takes no waiting for its medium, else None."""
        if self.error:
            return None
        source = self.file_set.medium.open_cached(self.place)
        if source is None:
            return None
        if source.status == (self.size, self.mtime_ns, self.changed_ns):
            return self._watched(source)
        source.close()
        return None

    def _stand_in(self, copy: Copy) -> Source:
        """Open a copy in place of the file; raises OSError."""
        source = copy.file_set.medium.open(copy.place)
        listed = Status(self.size, copy.mtime_ns, copy.changed_ns)
        if source.status != listed:
            self._check(source, listed, None)
        done, files = "a copy of it is read instead", (self.source_path,)
        where = self.parent.path
        self.file_set.note(
            Finding(
                Kind.UNREADABLE_FILE, self.offset, where=where, done=done, files=files
            )
        )
        return Watched(StandIn(source), self._fits, self._look)

    def _check(self, source: Source, listed: Status, identity: Hashable) -> None:
        """See that it is the file that was *listed*, whose size the kernel remembers.

        A copy of a medium may be written to: then less than that size would be taken
        for the end of the file, and old pages mixed with new ones. Where only the time
        of the last change tells, what was read before has to read the same, and the
        head to be what is listed. Closes *source* and raises OSError if it is not.
        """
        try:
            is_same = source.status[:2] == listed[:2] and self._is_as_read(
                source, identity
            )
        except (OSError, LookupError):
            is_same = False
        if not is_same:
            source.close()
            raise OSError(errno.EIO, "the file is not the one that was listed")

    def _is_as_read(self, source: Source, identity: Hashable) -> bool:
        claims = self.parent.claims
        digests = claims.heads.known_digests(identity)
        if digests is not None and not digests.hold(source.read_at):
            return False
        if digests is not None and digests.has_head:
            return True
        header = header_of(source)
        return (
            header is not None
            and sop_instance_uid(header) == self.uid != b""
            and claims.contradiction(self.uid, header) is None
        )

    def _watched(self, source: Source) -> Source:
        """Have the head of the file looked at, and noted what is read of it."""
        if source.status.changed_ns:
            source.remember(self.parent.claims.heads.digests(self.identity))
        return source if self.is_known else Watched(source, self._fits, self._look)

    def _fits(self, head: bytes) -> bool:
        self.is_known = self.is_known or self.parent.claims.fit(self.uid, head)
        return self.is_known

    def _look(self, source: Source) -> None:
        header = header_of(source)
        if header is not None:
            listed = Listed(self.identity, self.offset, self.uid, self.source_path)
            said = self.file_set.findings.source
            self.reason = self.parent.claims.look(listed, header, said)
        self.is_known = True

    @property
    def source_path(self) -> str:
        """Where the file lies on its medium, empty if it is not there."""
        return shown(self.place)

    @property
    def sources(self) -> list[str]:
        """What people call the media that the file and its copies lie on, each once."""
        return sources_of([self.file_set, *(copy.file_set for copy in self.copies)])


@dataclass(slots=True, eq=False)
class Selection:
    """A patient, study, series or another folder, whose records lie in *parts*.

    *by_type* folders hold one folder for each record type, an *unlinked* one what
    belongs nowhere.
    """

    is_folder: ClassVar[Literal[True]] = True
    is_searched: ClassVar[bool] = False

    inode: int
    name: str
    parent: "Selection | None"
    mtime_ns: int
    level: Level
    parts: Sequence[Part]
    lister: Lister = field(repr=False)
    by_type: bool = False
    unlinked: bool = False
    # The record that it was made of, and which others were joined with.
    origin: Part | None = None
    # Study or Series Instance UID.
    uid: bytes = b""
    # That of an instance below it, where the record says too little.
    header: Attributes | None = field(default=None, repr=False)
    # How many other folders show instances of it, too, by their UIDs.
    chosen: Mapping[bytes, int] = field(default_factory=dict, repr=False)
    # Of its files, known where it has any.
    claims: Claims = field(default=NO_CLAIMS, repr=False)
    hidden: Mapping[str, Node] = field(default_factory=dict, repr=False)
    _begins: tuple[Sequence[Part], frozenset[tuple[FileSet, int]]] | None = field(
        default=None, repr=False
    )

    def children(self) -> "Listing":
        """Return what is in the folder, the same nodes as long as they are kept."""
        return self.lister.children(self)

    def children_cached(self) -> "Listing | None":
        """Return what is in the folder if that is kept, else None."""
        return self.lister.cached(self)

    def lookup(self, name: str) -> Node | None:
        """Return the child called *name*, None if there is none; raises OSError."""
        return self.hidden.get(name) or self.children().get(name)

    def forget(self) -> None:
        """Give up what is kept of the children."""
        self.lister.forget(self)

    @property
    def has_images(self) -> bool:
        """Whether it is a series."""
        return self.level is Level.SERIES

    @property
    def own_attributes(self) -> Attributes | None:
        """What the folder's record says, read anew, the first of joined ones.

        None if it cannot be read, and for what is not a patient, study or series.
        """
        if self.origin is None or self.level not in FOLDERS:
            return None
        with suppress(DirectoryError, OSError):
            record = self.origin.file_set.record(self.origin.offset)
            return self.origin.file_set.attributes(record, self.origin.character_sets)
        return None

    @property
    def attributes(self) -> Said:
        """What the records of the folder and of those above say, by level."""
        above = self.parent.attributes if self.parent is not None else {}
        own = self.own_attributes
        return above if own is None else {**above, self.level: own}

    @property
    def identity(self) -> Hashable:
        """What stays the same whatever else is in the folder above."""
        return self.inode

    @property
    def key(self) -> Hashable:
        """What tells the folder from others: its record, if it was made of one."""
        if self.origin is None:
            return self.inode
        return self.origin.file_set.identity, self.origin.offset

    def is_same(self, other: object) -> bool:
        """Whether *other* with the same inode number is the same folder, listed anew."""
        # What is in it may change when links are mended, not what it was made of.
        return isinstance(other, Selection) and other._made_of == self._made_of

    @property
    def _made_of(self) -> tuple[object, ...]:
        return self.origin, self.level, self.by_type, self.unlinked

    @property
    def begins(self) -> frozenset[tuple[FileSet, int]]:
        """Where the folder's entities begin, to find out what leads back there."""
        if self._begins is None or self._begins[0] is not self.parts:
            self._begins = (
                self.parts,
                frozenset(part[:2] for part in self.parts if part.whole_entity),
            )
        return self._begins[1]

    def character_sets_of(self, file_set: FileSet) -> tuple[bytes, ...]:
        """Return those that records of *file_set* in it have without their own."""
        sets = (p.character_sets for p in self.parts if p.file_set is file_set)
        return next(sets, ())

    @property
    def sources(self) -> list[str]:
        """What people call the media that its records lie on, each once."""
        return sources_of([part.file_set for part in self.parts])

    @property
    def path(self) -> tuple[str, ...]:
        """The names of the folders from the root to this one, without the root's."""
        above = self.parent.path if self.parent is not None else ()
        return (*above, self.name) if self.name else above


def sources_of(file_sets: Sequence[FileSet]) -> list[str]:
    """Return what people call the media of *file_sets*, each once."""
    return list(dict.fromkeys(each.source for each in file_sets))


Extra = ExtraFile | ExtraFolder
Entry = Instance | Selection | Extra
# What records become, and what is made beside it, in the order of names.
Listing = Mapping[str, Entry]
