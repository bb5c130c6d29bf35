"""Sorting the records of a folder: what each becomes in it, a folder or a file."""

from typing import Final

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.text import is_beyond_ascii
from dicomfs.dicom.types import FOREIGN_TYPES, MRDR, Level, is_known
from dicomfs.dicomdir.record import MALFORMED, NO_RECORD, DirectoryRecord
from dicomfs.dicomdir.recovery.forest import MAX_DEPTH
from dicomfs.fileset.fileset import FileSet, Item, Part
from dicomfs.findings import Finding, Kind
from dicomfs.tree.draft import Branch, Leaf, Role, alone
from dicomfs.tree.headers import Headers
from dicomfs.tree.selection import Selection

# Folders in folders: all that recovery leaves, and those that are filled in above it.
_MAX_DEPTH: Final = MAX_DEPTH + 8
# A record must have one of these of a level to stand in for its missing record.
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
# Text that folders are named by.
_TEXTS: Final = (tags.PATIENT_NAME, tags.STUDY_DESCRIPTION, tags.SERIES_DESCRIPTION)
_UNDECLARED: Final = "none is declared"
_LEVELS_ABOVE: Final = {role: level for level, role in _FILLED_IN.items()}


class Sorter:
    """Sorts the items of *folder* into *branches* and *leaves*.

    The *headers* say what records lack that stand without a patient or a study.
    """

    def __init__(self, folder: Selection, headers: Headers) -> None:
        self.branches: list[Branch] = []
        self.leaves: list[Leaf] = []
        self._folder = folder
        self._headers = headers
        self._above = _above(folder)

    def add(self, item: Item) -> None:
        """Sort one more *item*; raises what the links of its File-set do, and OSError."""
        record, folder = item.record, self._folder
        self._complete(item)
        if _is_folder(record) and record.level <= folder.level < Level.INSTANCE:
            item.file_set.doubt()
        if (role := _role(folder, record)) is not Role.OWN:
            self.branches.append(self._filled_in(role, item))
            return
        file_id = self._file_id(item)
        if file_id and (folder.unlinked or item.is_home):
            leaf = Leaf(item.attributes, item.file_set, record, file_id)
            self.leaves.append(leaf)
        below = item.below
        if below or (_is_folder(record) and not file_id):
            if self._leads_back(item):
                item.file_set.doubt()
                below = [part for part in below if part.file_set is not item.file_set]
            self.branches.append(_own_folder(item, below))

    def _complete(self, item: Item) -> None:
        """Give *item* what its record lacks because of damage, or to be legible.

        The header of an instance at or below it says that, if it may be read. What the
        record does say stands.
        """
        record, own = item.record, item.attributes
        is_illegible = not (own.character_sets or own.preferred) and any(
            is_beyond_ascii(own.raw(tag)) for tag in _TEXTS
        )
        if not (record.damage or (is_illegible and _is_folder(record))):
            return
        header = self._headers.below(item.file_set, record)
        if header is None:
            return
        sets = own.inherited or header.character_sets
        if is_illegible and header.character_sets:
            done = "that of a file was taken"
            offset, type_ = record.offset, record.type
            item.file_set.note(
                Finding(
                    Kind.CHARACTER_SET, offset, type_, done=done, detail=_UNDECLARED
                )
            )
        lacking = {
            tag: header.values[tag]
            for tag in (tags.NAMING if record.damage else ())
            if tag in header.values and not own.raw(tag)
        }
        item.attributes = Attributes({**lacking, **own.values}, sets, own.preferred)

    def _leads_back(self, item: Item) -> bool:
        """Whether what is below *item* is a folder above it, or lies too deep."""
        place = (item.file_set, item.record.lower)
        return len(self._above) > _MAX_DEPTH or any(
            place in each for each in self._above
        )

    def _file_id(self, item: Item) -> bytes:
        """Return the File ID of an instance, empty if *item* is not one."""
        record, note = item.record, item.file_set.note
        if record.damage:
            is_read = record.damage == MALFORMED
            kind = Kind.MALFORMED_RECORD if is_read else Kind.DAMAGED_RECORD
            note(Finding(kind, record.offset, record.type))
        file_id = item.file_id
        if record.type == MRDR or item.nested is not None:
            return b""
        if not file_id and _should_have_file(record):
            note(Finding(Kind.BROKEN_REFERENCE, record.offset, record.type))
        # One such file in a folder keeps DICOM clients from sending any.
        if file_id and record.type in FOREIGN_TYPES:
            offset, where = record.offset, self._folder.path
            done = "not listed"
            note(Finding(Kind.FOREIGN_FILE, offset, record.type, where, done=done))
            return b""
        return file_id

    def _filled_in(self, role: Role, item: Item) -> Branch:
        """Return the folder that is filled in above *item*."""
        file_set, record = item.file_set, item.record
        level = _LEVELS_ABOVE.get(role, Level.OTHER)
        signs = _SIGNS.get(level, ())
        attributes = item.attributes
        if signs and not any(attributes.raw(sign) for sign in signs):
            attributes = self._headers.below(file_set, record) or attributes
        parts = [alone(file_set, record, attributes)]
        return Branch(level, role, attributes, file_set, record, parts)


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
