"""Folders and files in the making: placed, joined and named before they become nodes."""

import errno
import os
import sys
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

from dicomfs.dicom import patient, tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.types import Level
from dicomfs.dicomdir.record import DirectoryRecord
from dicomfs.errors import CutOffError, FileIdError
from dicomfs.fileset.fileset import FileSet, Part
from dicomfs.fileset.guesses import Clue
from dicomfs.fileset.links import LinkCheck
from dicomfs.fileset.references import Found
from dicomfs.findings import Finding, Kind
from dicomfs.media.medium import Place
from dicomfs.tree import naming
from dicomfs.tree.identity import Position, patient_keys
from dicomfs.tree.naming import Name
from dicomfs.tree.selection import Copy

# The medium has a link or a device of that name, or something outside of it.
_REFUSALS: Final = frozenset({errno.ELOOP, errno.EXDEV, errno.EINVAL, errno.ENXIO})
# Of a patient who is called by a placeholder.
_MOST_STUDIES: Final = 1000
# Of a DICOMDIR with more records, the root is listed before all were looked at.
_MOST_DATED: Final = 20_000
# What names say of files that cannot be opened, by the errno that opening them gives.
_MARKS: Final = {errno.ENOENT: "missing", errno.EACCES: "refused"}
_CUT_OFF: Final = "cut off"
_SERIES_DIGITS: Final = 3
UIDS: Final = {
    Level.STUDY: tags.STUDY_INSTANCE_UID,
    Level.SERIES: tags.SERIES_INSTANCE_UID,
}


class Role(Enum):
    """Why a folder is there; one record can be the reason for several."""

    OWN = "folder"
    PATIENT = "patient"
    STUDY = "study"
    SERIES = "series"
    TYPE = "type"
    OTHER = "other"


@dataclass(slots=True, eq=False)
class Branch:
    """A folder in the making: that of *record*, or one filled in above it."""

    level: Level
    role: Role
    attributes: Attributes
    file_set: FileSet
    record: DirectoryRecord
    parts: list[Part]
    # A series has that of its record, or of one of its instances.
    description: str = ""
    # That of an instance, where the record says too little.
    header: Attributes | None = None

    @property
    def position(self) -> Position:
        """Where the record lies."""
        return Position(self.file_set.identity, self.record.offset)

    @property
    def uid(self) -> bytes:
        """Study or Series Instance UID, empty if there is none."""
        if self.level not in UIDS:
            return b""
        uid = self.attributes.raw(UIDS[self.level])
        # PS3.3 F.5.2: a STUDY that references a file may carry its UID there.
        return uid or (self.record.sop_instance_uid if self.role is Role.OWN else b"")


@dataclass(slots=True, eq=False)
class Leaf:
    """A file in the making."""

    attributes: Attributes
    file_set: FileSet
    record: DirectoryRecord
    file_id: bytes
    ordinal: int = 0
    place: Place = ()
    size: int = 0
    mtime_ns: int = 0
    changed_ns: int = 0
    error: int = 0
    fault: Kind | None = None
    reason: str = ""
    # How many records list the file.
    times: int = 1
    copies: tuple[Copy, ...] = ()
    # The record's, asked for many times.
    uid: bytes = field(init=False)
    number: int | None = field(init=False)

    def __post_init__(self) -> None:
        self.uid = self.record.sop_instance_uid
        self.number = self.attributes.number(tags.INSTANCE_NUMBER)

    @property
    def position(self) -> Position:
        """Where the record lies."""
        return Position(self.file_set.identity, self.record.offset)

    @property
    def keys(self) -> tuple[bytes, ...]:
        """What tells its name from others, each more specific than the one before."""
        return _keys(self.uid, self.file_id, self.position.key())


def alone(file_set: FileSet, record: DirectoryRecord, attributes: Attributes) -> Part:
    """Return the part of a folder that is one *record*, which has these *attributes*."""
    sets = attributes.character_sets
    return Part(file_set, record.offset, whole_entity=False, character_sets=sets)


def number(leaves: Sequence[Leaf]) -> None:
    """Give *leaves* numbers in the order in which they lie, as far as their File IDs tell.

    All of them, and before anything is asked of the medium: an inode number must not
    come to mean another file because a drive failed to find one in between.
    """
    order = sorted(leaves, key=lambda leaf: (leaf.file_set.identity, leaf.file_id))
    for ordinal, leaf in enumerate(order):
        leaf.ordinal = ordinal


def locate(leaves: Sequence[Leaf]) -> None:
    """Find the files of *leaves* on their media; what is not there has an *error*."""
    by_file_set: dict[int, list[Leaf]] = {}
    for leaf in leaves:
        by_file_set.setdefault(id(leaf.file_set), []).append(leaf)
    for together in by_file_set.values():
        file_ids = [leaf.file_id for leaf in together]
        clue = partial(_clue, together)
        place(together, together[0].file_set.locate_all(file_ids, clue))


def place(leaves: Sequence[Leaf], found: Sequence[Found]) -> None:
    """Note where each file of *leaves* was *found*, or why it was not."""
    same: dict[int, int] = {}
    for leaf, where in zip(leaves, found, strict=True):
        if isinstance(where, Exception):
            leaf.error, leaf.fault, leaf.reason = _refusal(where)
        else:
            leaf.place, (size, mtime_ns, changed_ns) = where
            # Most files of a series have the same: one number for all is enough.
            leaf.size = same.setdefault(size, size)
            leaf.mtime_ns = same.setdefault(mtime_ns, mtime_ns)
            leaf.changed_ns = same.setdefault(changed_ns, changed_ns)


def _clue(leaves: Sequence[Leaf], number: int) -> Clue:
    leaf = leaves[number]
    return Clue(leaf.uid, leaf.attributes.character_sets)


def _refusal(error: OSError | FileIdError) -> tuple[int, Kind, str]:
    """Return what opening the file gives, what kind of fault that is, and in words."""
    if isinstance(error, FileIdError):
        return errno.EACCES, Kind.REFUSED_PATH, str(error)
    if error.errno in _REFUSALS:
        return errno.EACCES, Kind.NOT_A_FILE, "it is not a regular file of this medium"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return errno.ENOENT, Kind.MISSING_FILE, os.strerror(errno.ENOENT)
    number = error.errno or errno.EIO
    if isinstance(error, CutOffError):
        return number, Kind.FILE_CUT_OFF, str(error.strerror)
    return number, Kind.UNREADABLE_FILE, error.strerror or os.strerror(number)


def joined(branches: Sequence[Branch]) -> list[Branch]:
    """Return *branches* with those that are the same patient, study or series joined."""
    patients = [branch for branch in branches if branch.level is Level.PATIENT]
    found = patient_keys(
        [(each.attributes, each.position) for each in patients],
        lambda number: _studies(patients[number]),
    )
    keys = dict(zip(map(id, patients), found, strict=True))
    result: dict[Hashable, Branch] = {}
    for branch in branches:
        key = (branch.level, keys.get(id(branch), _key(branch)))
        if (first := result.setdefault(key, branch)) is not branch:
            first.parts += branch.parts
            if branch.level is Level.PATIENT:
                _note_spelling(first, branch)
    return list(result.values())


def _studies(branch: Branch) -> frozenset[bytes]:
    """Return the UIDs of the first studies below a patient, as far as they are known."""
    uids = {branch.attributes.raw(tags.STUDY_INSTANCE_UID)}
    with suppress(OSError):
        for part in branch.parts:
            for item in islice(part.file_set.children(part), _MOST_STUDIES):
                uid = item.attributes.raw(tags.STUDY_INSTANCE_UID)
                is_study = item.record.level is Level.STUDY
                uids.add(uid or (item.record.sop_instance_uid if is_study else b""))
    return frozenset(uids - {b""})


def newest_ns(patient: Branch) -> int | None:
    """Return the time of the newest study of a *patient*, None if that is not known.

    It is where all records were looked at: then to read those of studies costs little.
    """
    file_sets = {part.file_set for part in patient.parts}
    if not all(_is_known(each) for each in file_sets):
        return None
    times: list[int | None] = []
    with suppress(OSError):
        for part in patient.parts:
            times += (
                item.attributes.time_ns(tags.STUDY_DATE, tags.STUDY_TIME)
                for item in part.file_set.children(part)
            )
    return max((time for time in times if time is not None), default=None)


def _is_known(file_set: FileSet) -> bool:
    is_whole = file_set.link_check is LinkCheck.WHOLE
    return is_whole and file_set.records <= _MOST_DATED


def _note_spelling(first: Branch, branch: Branch) -> None:
    """Note that a patient who was joined with another one is spelled otherwise."""
    spellings = [patient.spelling(each.attributes) for each in (first, branch)]
    if spellings[0] != spellings[1]:
        record, detail = branch.record, " and ".join(map(repr, spellings))
        branch.file_set.note(
            Finding(Kind.SPELLINGS, record.offset, record.type, detail=detail)
        )


def _key(branch: Branch) -> Hashable:
    if branch.role is Role.OTHER:
        return branch.role
    if branch.role is Role.TYPE:
        return branch.record.type
    return branch.uid or branch.position


class _Digits(NamedTuple):
    """How many digits the numbers of a folder's series and instances are padded to."""

    series: int
    instance: int


def names(branches: Sequence[Branch], leaves: Sequence[Leaf]) -> list[str]:
    """Return the names of *branches* and then of *leaves*, all of them distinct.

    Every series has a ``0001.dcm``: in all of them it is one and the same string.
    """
    everything = [branch.attributes for branch in branches]
    everything += [leaf.attributes for leaf in leaves]
    digits = _Digits(
        _width(everything, tags.SERIES_NUMBER, _SERIES_DIGITS),
        _width(everything, tags.INSTANCE_NUMBER, naming.INSTANCE_DIGITS),
    )
    found = naming.distinct(
        [_branch_name(branch, digits) for branch in branches]
        + [_leaf_name(leaf, digits) for leaf in leaves]
    )
    return [sys.intern(name) for name in found]


def _width(everything: Sequence[Attributes], tag: int, least: int) -> int:
    return naming.width_of([each.number(tag) for each in everything], least)


def _branch_name(branch: Branch, digits: _Digits) -> Name:
    if branch.role is Role.OTHER:
        stem = naming.OTHER
    elif branch.role is Role.TYPE:
        stem = naming.clean(branch.record.type).capitalize() or "Unknown"
    elif branch.level is Level.SERIES:
        stem = naming.series_name(branch.attributes, branch.description, digits.series)
    else:
        stem = _stem(branch.level, branch.record, branch.attributes, digits)
    uid = branch.uid or branch.attributes.raw(tags.PATIENT_ID)
    is_taken = branch.level is Level.PATIENT and naming.passes_for_ours(stem)
    keys = _keys(uid, branch.position.key())
    budget = naming.BUDGETS.get(branch.level, naming.BUDGETS[Level.INSTANCE])
    return Name(stem, "", keys, is_taken=is_taken, budget=budget)


def _leaf_name(leaf: Leaf, digits: _Digits) -> Name:
    record = leaf.record
    stem = _stem(record.level, record, leaf.attributes, digits)
    return Name(stem, naming.EXTENSION, leaf.keys, "" if leaf.size else _mark(leaf))


def _mark(leaf: Leaf) -> str:
    """Return what is wrong with a file that shows no bytes, empty if that may pass."""
    if leaf.fault is Kind.FILE_CUT_OFF or not leaf.error:
        return _CUT_OFF
    return _MARKS.get(leaf.error, "")


def _keys(*keys: bytes) -> tuple[bytes, ...]:
    return tuple(key for key in keys if key)


def _stem(
    level: Level, record: DirectoryRecord, attributes: Attributes, digits: _Digits
) -> str:
    """Return the name of what *record* is on a *level*, its own or a filled-in one."""
    if level is Level.PATIENT:
        return naming.patient_name(attributes)
    if level is Level.STUDY:
        return naming.study_name(attributes)
    if level is Level.SERIES:
        description = attributes.text(tags.SERIES_DESCRIPTION)
        return naming.series_name(attributes, description, digits.series)
    uid = record.sop_instance_uid or record.file_id or b"%d" % record.offset
    if record.level is Level.OTHER:
        return naming.other_name(record.type, attributes, uid)
    return naming.instance_name(record.shown_type, attributes, uid, digits.instance)
