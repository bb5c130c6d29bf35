"""The tree that people see, made folder by folder out of directory records.

    /                      the root of all File-sets together
    ├── Doe, Jane (12345)  patients
    │   └── ...            studies, series, instances
    └── Other              root-level records that are no patients, by type

A folder's listing depends on the records of that folder alone: it is computed when
somebody looks into it, it never changes, and computed again it comes out the same.
The tree knows neither FUSE nor threads; ``expand`` may run in any thread.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Final

from dicomfs import draft, tags
from dicomfs.attributes import Attributes
from dicomfs.draft import Branch, Leaf, Role
from dicomfs.fileset import FileSet
from dicomfs.identity import ROOT_INODE, Position, file_inode, inode
from dicomfs.node import File, Folder, Listing, Node, Part
from dicomfs.record import NO_RECORD, DirectoryRecord, Level

__all__ = ["File", "Folder", "Listing", "Node", "Tree"]

log = logging.getLogger(__name__)

# Of folders in folders; the standard's Basic Directory has four levels.
_MAX_DEPTH: Final = 32
# Their files are HL7 CDA documents in XML: no DICOM, and one such file in a folder
# keeps DICOM clients from sending any.
_FOREIGN_TYPES: Final = frozenset({"HL7 STRUC DOC"})
# Lends its file to other records, and is nothing by itself (retired).
_MRDR: Final = "MRDR"
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
        self.file_sets = sorted(file_sets, key=lambda file_set: file_set.identity)
        self._read_headers = read_headers
        self._headers: dict[Position, Attributes | None] = {}
        self.root = Folder(
            inode=ROOT_INODE,
            name="",
            parent=None,
            mtime_ns=max(file_set.mtime_ns for file_set in self.file_sets),
            level=Level.ROOT,
            parts=[Part(each, each.root, whole_entity=True) for each in self.file_sets],
        )

    def expand(self, folder: Folder) -> Listing:
        """Compute what is in *folder*, by name and in the order of names.

        Raises OSError if the medium cannot be read.
        """
        branches, leaves = self._drafts(folder)
        branches = draft.joined(branches)
        for branch in branches:
            if branch.level is Level.SERIES:
                branch.description = self._description(branch)
        draft.number(leaves)
        draft.locate(leaves)
        # The DICOMDIR itself is no instance, whatever its records say.
        leaves = [leaf for leaf in leaves if leaf.place != leaf.file_set.place]
        leaves = draft.without_duplicates(leaves)
        names = draft.names(branches, leaves)
        nodes: list[Node] = [
            *(self._folder(folder, branch) for branch in branches),
            *(_file(folder, leaf) for leaf in leaves),
        ]
        for node, name in zip(nodes, names, strict=True):
            node.name = name
        return dict(sorted(zip(names, nodes, strict=True)))

    def _drafts(self, folder: Folder) -> tuple[list[Branch], list[Leaf]]:
        """Return what the records of *folder* become in it."""
        branches: list[Branch] = []
        leaves: list[Leaf] = []
        depth, above = _above(folder)
        for file_set, record in _records(folder):
            attributes = record.attributes.under(folder.character_sets)
            if (role := _role(folder, record)) is not Role.OWN:
                branches.append(self._folder_above(role, attributes, file_set, record))
                continue
            file_id = file_set.file_id(record)
            if record.type in _FOREIGN_TYPES or record.type == _MRDR:
                file_id = b""
            if file_id:
                leaves.append(Leaf(attributes, file_set, record, file_id))
            if record.lower != NO_RECORD or (_is_folder(record) and not file_id):
                branch = _own_folder(attributes, file_set, record)
                if depth > _MAX_DEPTH or not above.isdisjoint(branch.parts):
                    log.warning("a record leads back up or too deep: %d", record.offset)
                    branch.parts = []
                branches.append(branch)
        return branches, leaves

    def _folder_above(
        self,
        role: Role,
        attributes: Attributes,
        file_set: FileSet,
        record: DirectoryRecord,
    ) -> Branch:
        """Return a folder that is filled in above *record*."""
        level = _LEVELS_ABOVE.get(role, Level.OTHER)
        signs = _SIGNS.get(level, ())
        if signs and not any(attributes.raw(sign) for sign in signs):
            attributes = self._header(file_set, record) or attributes
        parts = [Part(file_set, record.offset, whole_entity=False)]
        return Branch(level, role, attributes, file_set, record, parts)

    def _description(self, branch: Branch) -> str:
        """Return a series' description; from an instance if its record has none."""
        if own := branch.attributes.text(tags.SERIES_DESCRIPTION):
            return own
        header = self._header(branch.file_set, branch.record)
        return header.text(tags.SERIES_DESCRIPTION) if header else ""

    def _header(self, file_set: FileSet, record: DirectoryRecord) -> Attributes | None:
        """Return the header of an instance below *record*, read once and then kept."""
        if not self._read_headers:
            return None
        position = file_set.position(record)
        if position not in self._headers:
            self._headers.setdefault(position, file_set.header(record))
        return self._headers[position]

    def _folder(self, parent: Folder, branch: Branch) -> Folder:
        return Folder(
            inode=inode(branch.position, branch.role.value, parent.inode),
            name="",
            parent=parent,
            mtime_ns=self._time_ns(parent, branch),
            level=branch.level,
            parts=branch.parts,
            character_sets=branch.attributes.character_sets,
            by_type=branch.role is Role.OTHER,
        )

    def _time_ns(self, parent: Folder, branch: Branch) -> int:
        """Return the study's or series' own time, else the parent folder's."""
        own = None
        if branch.level is Level.STUDY:
            own = branch.attributes.time_ns(tags.STUDY_DATE, tags.STUDY_TIME)
        elif branch.level is Level.SERIES:
            own = branch.attributes.time_ns(tags.SERIES_DATE, tags.SERIES_TIME)
            header = self._headers.get(branch.position)
            if own is None and header is not None:
                own = header.time_ns(tags.SERIES_DATE, tags.SERIES_TIME)
        return parent.mtime_ns if own is None else own


def _records(folder: Folder) -> Iterator[tuple[FileSet, DirectoryRecord]]:
    for file_set, offset, whole_entity in folder.parts:
        if whole_entity:
            for record in file_set.entity(offset):
                yield file_set, record
        else:
            yield file_set, file_set.record(offset)


def _above(folder: Folder) -> tuple[int, set[Part]]:
    """Return how deep *folder* lies, and its parts and those of the folders above it.

    A record that leads to one of those parts leads round in a circle.
    """
    depth = 0
    parts = set(folder.parts)
    while folder.parent is not None:
        folder = folder.parent
        depth += 1
        parts.update(folder.parts)
    return depth, parts


def _role(folder: Folder, record: DirectoryRecord) -> Role:
    """Return which folder of *folder* the record goes into: its own, or one above."""
    if folder.by_type:
        return Role.TYPE
    if record.level is Level.OTHER:
        return Role.OTHER if folder.level is Level.ROOT else Role.OWN
    if record.level > folder.level + 1:
        return _FILLED_IN[Level(folder.level + 1)]
    return Role.OWN


def _is_folder(record: DirectoryRecord) -> bool:
    return Level.PATIENT <= record.level <= Level.SERIES


def _own_folder(
    attributes: Attributes, file_set: FileSet, record: DirectoryRecord
) -> Branch:
    level = record.level if _is_folder(record) else Level.OTHER
    parts = []
    if record.lower != NO_RECORD:
        parts.append(Part(file_set, record.lower, whole_entity=True))
    return Branch(level, Role.OWN, attributes, file_set, record, parts)


def _file(parent: Folder, leaf: Leaf) -> File:
    return File(
        inode=file_inode(parent.inode, leaf.ordinal),
        name="",
        parent=parent,
        mtime_ns=parent.mtime_ns if leaf.error else leaf.mtime_ns,
        file_set=leaf.file_set,
        place=leaf.place,
        size=leaf.size,
        error=leaf.error,
    )
