"""The tree that people see, made folder by folder out of directory records.

    /                      the root of all File-sets together
    ├── Doe, Jane (12345)  patients
    │   └── ...            studies, series, instances
    ├── Other              root-level records that are no patients, by type
    └── Unlinked           records that nothing links to and that belong nowhere

A folder's listing depends on the records of that folder alone: it is computed when
somebody looks into it, and computed again it comes out the same, unless links between
records turn out to be wrong meanwhile (``Tree.revision``). ``listings`` keeps it.
The tree knows neither FUSE nor threads; ``expand`` may run in any thread.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.types import FOREIGN_TYPES, MRDR, Level, is_known
from dicomfs.dicomdir.index import MOST_RECORDS
from dicomfs.dicomdir.record import NO_RECORD, DirectoryRecord
from dicomfs.dicomdir.recovery import MAX_DEPTH
from dicomfs.errors import DirectoryError
from dicomfs.fileset.fileset import FileSet, Item, Part
from dicomfs.fileset.links import LinkCheck, LinksMended
from dicomfs.findings import Finding, Kind
from dicomfs.tree import draft
from dicomfs.tree.draft import Branch, Leaf, Role
from dicomfs.tree.identity import ROOT_INODE, Position, file_inode, inode
from dicomfs.tree.listings import Listings
from dicomfs.tree.selection import Instance, Listing, Selection

# Of folders in folders: of all that recovery leaves, and of what is filled in above it.
_MAX_DEPTH: Final = MAX_DEPTH + 8
_UNLINKED: Final = "Unlinked"
# What a record must have of a level to stand in for the missing record of that level.
_SIGNS: Final = {
    Level.PATIENT: (tags.PATIENT_ID, tags.PATIENT_NAME),
    Level.STUDY: (tags.STUDY_INSTANCE_UID,),
    Level.SERIES: (tags.SERIES_INSTANCE_UID,),
}
# Folders that are filled in above records whose own level is further down.
_FILLED_IN: Final = {
    Level.PATIENT: Role.PATIENT,
    Level.STUDY: Role.STUDY,
    Level.SERIES: Role.SERIES,
}
_LEVELS_ABOVE: Final = {role: level for level, role in _FILLED_IN.items()}


class Tree:
    """The folders of several File-sets, joined by identity."""

    def __init__(self, file_sets: Sequence[FileSet], *, read_headers: bool) -> None:
        """Join *file_sets*; the order in which they are given does not matter.

        *read_headers* lets instances be opened for what their records lack: series
        descriptions, and the patients and studies of records that stand without.
        """
        self._tops = sorted(file_sets, key=lambda file_set: file_set.identity)
        self.findings = self._tops[0].findings.of_all
        self._read_headers = read_headers
        self._headers: dict[tuple[Position, bool], Attributes | None] = {}
        # Of several, those that somebody looked into.
        self._entered: set[FileSet] = set()
        # How often a folder was computed.
        self.listed = 0
        self.listings = Listings(self)
        self.root = Selection(
            inode=ROOT_INODE,
            name="",
            parent=None,
            mtime_ns=max(file_set.mtime_ns for file_set in self._tops),
            level=Level.ROOT,
            parts=[],
            lister=self.listings,
        )

    @property
    def file_sets(self) -> list[FileSet]:
        """The File-sets, and those nested in them that were met so far."""
        return [each for top in self._tops for each in top.family]

    @property
    def revision(self) -> int:
        """Counts up when folders have to be computed anew."""
        return sum(file_set.revision for file_set in self.file_sets)

    @property
    def records(self) -> int:
        """How many records were looked at, of DICOMDIRs that were looked through."""
        return sum(file_set.records for file_set in self.file_sets)

    @property
    def is_behind(self) -> bool:
        """Whether there is a DICOMDIR that ``check_some_links`` would look through."""
        return any(each.link_check is LinkCheck.NOT_YET for each in self._due)

    @property
    def _due(self) -> list[FileSet]:
        """The File-sets to look through: of several, those that somebody looked into."""
        if len(self._tops) == 1:
            return self.file_sets
        return [each for each in self.file_sets if each in self._entered]

    def check_links(self) -> None:
        """Look at all records of all DICOMDIRs, and mend what is wrong.

        One of several that cannot be read costs only itself; raises OSError or
        DirectoryError if none can.
        """
        self._check_links(self.file_sets, MOST_RECORDS * len(self.file_sets))

    def check_some_links(self, most: int) -> None:
        """Look through the DICOMDIRs that are due, reading at most *most* records in all.

        Those that were not looked into are not due, and none is looked through in part.
        """
        self._check_links(self._due, most)

    def _check_links(self, file_sets: Sequence[FileSet], most: int) -> None:
        failures: list[OSError | DirectoryError] = []
        for file_set in file_sets:
            room = min(max(most, 0), MOST_RECORDS)
            try:
                file_set.check_links(room)
            except (OSError, DirectoryError) as error:
                failures.append(error)
                self._note_failed(file_set, error)
            is_whole = file_set.link_check is LinkCheck.WHOLE
            most -= file_set.records if is_whole else room
        if failures and len(failures) == len(file_sets):
            raise failures[0]

    def expand(self, folder: Selection) -> Listing:
        """Compute what is in *folder*, by name and in the order of names, and keep nothing.

        Raises OSError if the medium cannot be read, or its DICOMDIR was changed.
        """
        while True:
            before = {each: each.is_mended for each in self.file_sets}
            with suppress(LinksMended):
                listing = self._listing(folder)
                # Meanwhile another thread may have found the links to be wrong.
                if all(each.is_mended == was for each, was in before.items()):
                    return listing

    def _listing(self, folder: Selection) -> Listing:
        if folder.level is Level.ROOT:
            folder.parts = [root for file_set in self._tops for root in file_set.roots]
            branches, leaves = self._drafts_of_all(folder)
        else:
            self._entered |= {part.file_set for part in folder.parts}
            branches, leaves = self._drafts(folder, folder.parts)
        branches = draft.joined(branches)
        for branch in branches:
            if branch.level is Level.SERIES:
                branch.description = self._description(folder, branch)
        draft.number(leaves)
        draft.locate(leaves)
        leaves = self._instances(folder, leaves)
        names = draft.names(branches, leaves)
        name = iter(names)
        nodes: list[Instance | Selection] = [
            *(self._folder(folder, branch, next(name)) for branch in branches),
            *(_file(folder, leaf, next(name)) for leaf in leaves),
        ]
        listing = dict(sorted(zip(names, nodes, strict=True)))
        if folder.level is Level.ROOT:
            self._add_unlinked(listing)
        self.listed += 1
        return listing

    def _drafts_of_all(self, root: Selection) -> tuple[list[Branch], list[Leaf]]:
        """Return what the records of the root entities become in the root.

        A File-set that cannot be read any more costs what only it has, and no more: in
        a folder further down, where files would be missing, it is an error. Raises
        OSError if none can be read.
        """
        branches: list[Branch] = []
        leaves: list[Leaf] = []
        failures: list[OSError] = []
        for file_set in self._tops:
            parts = [part for part in root.parts if part.file_set is file_set]
            try:
                file_set.check_unchanged()
                more_branches, more_leaves = self._drafts(root, parts)
            except OSError as error:
                failures.append(error)
                self._note_failed(file_set, error)
                continue
            branches += more_branches
            leaves += more_leaves
        if len(failures) == len(self._tops):
            raise failures[0]
        return branches, leaves

    def _note_failed(self, file_set: FileSet, error: OSError | DirectoryError) -> None:
        """Note that a File-set of several cannot be read any more."""
        if len(self._tops) > 1:
            detail = getattr(error, "strerror", None) or str(error)
            finding = Finding(Kind.SOURCE_FAILED, detail=detail)
            file_set.findings.add(finding, key=Kind.SOURCE_FAILED)

    def _instances(self, folder: Selection, leaves: list[Leaf]) -> list[Leaf]:
        """Return *leaves* without what is no instance of its own; note what is wrong."""
        # The DICOMDIR itself is no instance, whatever its records say.
        for leaf in leaves:
            if leaf.place and leaf.place == leaf.file_set.place:
                offset, type_ = leaf.record.offset, leaf.record.type
                leaf.file_set.note(Finding(Kind.REFERENCES_ITSELF, offset, type_))
        leaves = [
            leaf
            for leaf in leaves
            if not leaf.place or leaf.place != leaf.file_set.place
        ]
        everything = leaves
        leaves = draft.without_duplicates(leaves)
        for fault in draft.faults(everything, leaves, folder.path):
            self.findings.add(fault, key=(folder.inode, fault.kind))
        return leaves

    def _add_unlinked(self, listing: Listing) -> None:
        """Add the folder of what belongs nowhere to the root's, if there is anything."""
        parts = [part for each in self.file_sets for part in each.unlinked]
        # Of all File-sets first the entities: the first part gives the folder its number.
        parts.sort(key=lambda part: not part.whole_entity)
        if not parts:
            return
        name = _UNLINKED
        while name in listing:
            name += " records"
        position = Position(parts[0].file_set.identity, NO_RECORD)
        listing[name] = Selection(
            inode=inode(position, _UNLINKED, ROOT_INODE),
            name=name,
            parent=self.root,
            mtime_ns=self.root.mtime_ns,
            level=Level.OTHER,
            parts=parts,
            lister=self.listings,
            unlinked=True,
        )

    def _drafts(
        self, folder: Selection, parts: Sequence[Part]
    ) -> tuple[list[Branch], list[Leaf]]:
        """Return what the records of *parts* become in *folder*; raises OSError."""
        for file_set in {part.file_set for part in parts}:
            file_set.check_unchanged()
        branches: list[Branch] = []
        leaves: list[Leaf] = []
        above = _above(folder)
        for part in parts:
            for item in part.file_set.children(part):
                self._add_draft(folder, item, above, branches, leaves)
        return branches, leaves

    def _add_draft(
        self,
        folder: Selection,
        item: Item,
        above: Sequence[frozenset[tuple[FileSet, int]]],
        branches: list[Branch],
        leaves: list[Leaf],
    ) -> None:
        """Add what *item* becomes in *folder* to its *branches* and *leaves*."""
        record, file_set = item.record, item.file_set
        if _is_folder(record) and record.level <= folder.level < Level.INSTANCE:
            file_set.doubt()
        if (role := _role(folder, record)) is not Role.OWN:
            branches.append(self._folder_above(role, item))
            return
        file_id = self._file_id(folder, item)
        if file_id and (folder.unlinked or item.is_home):
            leaves.append(Leaf(item.attributes, file_set, record, file_id))
        below = item.below
        if below or (_is_folder(record) and not file_id):
            place = (file_set, record.lower)
            if len(above) > _MAX_DEPTH or any(place in each for each in above):
                file_set.doubt()
                below = [part for part in below if part.file_set is not file_set]
            branches.append(_own_folder(item, below))

    def _file_id(self, folder: Selection, item: Item) -> bytes:
        """Return the File ID of an instance, empty if *item* is not one."""
        record, note = item.record, item.file_set.note
        if record.damage:
            note(Finding(Kind.DAMAGED_RECORD, record.offset, record.type))
        file_id = item.file_id
        if record.type == MRDR or item.nested is not None:
            return b""
        if not file_id and _should_have_file(record):
            note(Finding(Kind.BROKEN_REFERENCE, record.offset, record.type))
        # One such file in a folder keeps DICOM clients from sending any.
        if file_id and record.type in FOREIGN_TYPES:
            offset, done = record.offset, "not listed"
            note(
                Finding(Kind.FOREIGN_FILE, offset, record.type, folder.path, done=done)
            )
            return b""
        return file_id

    def _folder_above(self, role: Role, item: Item) -> Branch:
        """Return a folder that is filled in above *item*."""
        level = _LEVELS_ABOVE.get(role, Level.OTHER)
        signs = _SIGNS.get(level, ())
        attributes = item.attributes
        if signs and not any(attributes.raw(sign) for sign in signs):
            attributes = self._header(item.file_set, item.record) or attributes
        parts = [_alone(item.file_set, item.record, attributes)]
        return Branch(level, role, attributes, item.file_set, item.record, parts)

    def _description(self, folder: Selection, branch: Branch) -> str:
        """Return a series' description; from an instance if its record has none."""
        if own := branch.attributes.text(tags.SERIES_DESCRIPTION):
            return own
        if not self._read_headers:
            return ""
        header = self._header(branch.file_set, branch.record)
        if header is None and branch.parts:
            offset, type_ = branch.record.offset, branch.record.type
            branch.file_set.note(
                Finding(Kind.HEADER_UNREADABLE, offset, type_, folder.path)
            )
        return header.text(tags.SERIES_DESCRIPTION) if header else ""

    def _header(self, file_set: FileSet, record: DirectoryRecord) -> Attributes | None:
        """Return the header of an instance below *record*, read once and then kept."""
        if not self._read_headers:
            return None
        # Links that were wrong may have led to another patient's instance.
        key = Position(file_set.identity, record.offset), file_set.is_mended
        if key not in self._headers:
            self._headers.setdefault(key, file_set.header(record))
        return self._headers[key]

    def _folder(self, parent: Selection, branch: Branch, name: str) -> Selection:
        return Selection(
            inode=inode(branch.position, branch.role.value, parent.inode),
            name=name,
            parent=parent,
            mtime_ns=self._time_ns(parent, branch),
            level=branch.level,
            parts=branch.parts,
            lister=self.listings,
            by_type=branch.role is Role.OTHER,
            origin=_alone(branch.file_set, branch.record, branch.attributes),
        )

    def _time_ns(self, parent: Selection, branch: Branch) -> int:
        """Return the study's or series' own time, else the parent folder's."""
        own = None
        if branch.level is Level.STUDY:
            own = branch.attributes.time_ns(tags.STUDY_DATE, tags.STUDY_TIME)
        elif branch.level is Level.SERIES:
            own = branch.attributes.time_ns(tags.SERIES_DATE, tags.SERIES_TIME)
            header = self._headers.get((branch.position, branch.file_set.is_mended))
            if own is None and header is not None:
                own = header.time_ns(tags.SERIES_DATE, tags.SERIES_TIME)
        return parent.mtime_ns if own is None else own


def _alone(file_set: FileSet, record: DirectoryRecord, attributes: Attributes) -> Part:
    """Return the part of a folder that is one *record*, which has these *attributes*."""
    sets = attributes.character_sets
    return Part(file_set, record.offset, whole_entity=False, character_sets=sets)


def _above(folder: Selection) -> list[frozenset[tuple[FileSet, int]]]:
    """Return where *folder* and the folders above it begin, from the lowest up.

    A record that leads to one of those places leads round in a circle.
    """
    places = [folder.begins]
    while folder.parent is not None:
        folder = folder.parent
        places.append(folder.begins)
    return places


def _role(folder: Selection, record: DirectoryRecord) -> Role:
    """Return which folder of *folder* the record goes into: its own, or one above."""
    if folder.by_type:
        return Role.TYPE
    if record.level is Level.OTHER:
        return Role.OTHER if folder.level is Level.ROOT else Role.OWN
    if record.level > folder.level + 1:
        return _FILLED_IN[Level(folder.level + 1)]
    return Role.OWN


def _should_have_file(record: DirectoryRecord) -> bool:
    is_instance = record.level is Level.INSTANCE and is_known(record.type)
    return is_instance and record.lower == NO_RECORD and not record.damage


def _is_folder(record: DirectoryRecord) -> bool:
    return Level.PATIENT <= record.level <= Level.SERIES


def _own_folder(item: Item, below: list[Part]) -> Branch:
    level = item.record.level if _is_folder(item.record) else Level.OTHER
    return Branch(level, Role.OWN, item.attributes, item.file_set, item.record, below)


def _file(parent: Selection, leaf: Leaf, name: str) -> Instance:
    return Instance(
        inode=file_inode(parent.inode, leaf.ordinal),
        name=name,
        parent=parent,
        mtime_ns=parent.mtime_ns if leaf.error else leaf.mtime_ns,
        file_set=leaf.file_set,
        offset=leaf.record.offset,
        place=leaf.place,
        size=leaf.size,
        error=leaf.error,
        reason=leaf.reason,
        copies=leaf.copies,
        changed_ns=leaf.changed_ns,
    )
