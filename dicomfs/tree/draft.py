"""Folders and files in the making: placed, joined and named before they become nodes."""

import errno
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.types import Level
from dicomfs.dicomdir.record import DirectoryRecord
from dicomfs.errors import CutOffError, FileIdError
from dicomfs.fileset.fileset import FileSet, Part
from dicomfs.fileset.guesses import Clue
from dicomfs.findings import Finding, Kind
from dicomfs.media.medium import Place
from dicomfs.tree import naming
from dicomfs.tree.identity import Position, patient_keys
from dicomfs.tree.naming import Name

# The medium has a link or a device of that name, or something outside of it.
_REFUSALS: Final = frozenset({errno.ELOOP, errno.EXDEV, errno.EINVAL, errno.ENXIO})
_FEW: Final = 5
_DONE: Final = {
    Kind.REPEATED_INSTANCE: "listed once",
    Kind.DUPLICATE_INSTANCE: "all are listed",
}
# What names say of files that cannot be opened, by the errno that opening them gives.
_MARKS: Final = {errno.ENOENT: "missing", errno.EACCES: "refused"}
_CUT_OFF: Final = "cut off"
_SERIES_DIGITS: Final = 3
_INSTANCE_DIGITS: Final = 4
_UIDS: Final = {
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
        if self.level not in _UIDS:
            return b""
        uid = self.attributes.raw(_UIDS[self.level])
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
    copies: tuple[tuple[FileSet, Place], ...] = ()
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
    same: dict[int, int] = {}
    for leaf in leaves:
        by_file_set.setdefault(id(leaf.file_set), []).append(leaf)
    for together in by_file_set.values():
        file_ids = [leaf.file_id for leaf in together]
        clue = partial(_clue, together)
        found = together[0].file_set.locate_all(file_ids, clue)
        for leaf, where in zip(together, found, strict=True):
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


def faults(
    leaves: Sequence[Leaf], shown: Sequence[Leaf], where: tuple[str, ...]
) -> Iterator[Finding]:
    """Yield what is wrong with the files of *leaves*, which folder *where* consists of.

    Some of them are *shown*; the others repeat one of those.
    """
    bad: dict[tuple[Kind, str], list[Leaf]] = defaultdict(list)
    for leaf in leaves:
        if leaf.fault is not None:
            bad[leaf.fault, leaf.file_set.findings.source].append(leaf)
    uids = Counter(leaf.uid for leaf in shown)
    for leaf in shown:
        if leaf.copies and leaf.fault is None:
            kind = Kind.REPEATED_INSTANCE
        elif uids[leaf.uid] > 1 and leaf.uid and leaf.fault is None:
            kind = Kind.DUPLICATE_INSTANCE
        else:
            continue
        bad[kind, leaf.file_set.findings.source].append(leaf)
    for (kind, source), alike in bad.items():
        record = alike[0].record
        files = tuple(_as_path(leaf.file_id) for leaf in alike[:_FEW])
        yield Finding(
            kind,
            record.offset,
            record.type,
            where,
            len(alike),
            len(shown),
            done=_DONE.get(kind, "listed; opening it fails"),
            files=files,
            source=source,
        )


def _as_path(file_id: bytes) -> str:
    return file_id.decode("utf-8", "replace").replace("\\", "/")


def joined(branches: Sequence[Branch]) -> list[Branch]:
    """Return *branches* with those that are the same patient, study or series joined."""
    patients = [branch for branch in branches if branch.level is Level.PATIENT]
    keys = dict(
        zip(
            map(id, patients),
            patient_keys([(each.attributes, each.position) for each in patients]),
            strict=True,
        )
    )
    result: dict[Hashable, Branch] = {}
    for branch in branches:
        key = (branch.level, keys.get(id(branch), _key(branch)))
        if (first := result.setdefault(key, branch)) is not branch:
            first.parts += branch.parts
    return list(result.values())


def _key(branch: Branch) -> Hashable:
    if branch.role is Role.OTHER:
        return branch.role
    if branch.role is Role.TYPE:
        return branch.record.type
    return branch.uid or branch.position


def without_duplicates(leaves: Sequence[Leaf]) -> list[Leaf]:
    """Return *leaves* without those that repeat an instance, which become its copies.

    The same instance has the same UID, Instance Number and size: there are writers that
    give all slices of a series one UID, and uncompressed slices are all of one size. A
    file that cannot be opened repeats any of that UID and number that can.
    """
    there = {_instance(leaf) for leaf in leaves if not leaf.error}
    by_file: dict[Hashable, Leaf] = {}
    result: dict[Hashable, Leaf] = {}
    for leaf in leaves:
        if not leaf.uid:
            result[leaf.position] = leaf
        elif not leaf.error:
            # One file is one instance, even if it is listed once for each frame.
            first = by_file.setdefault((id(leaf.file_set), leaf.place, leaf.uid), leaf)
            first = result.setdefault((_instance(first), first.size), first)
            if first is not leaf:
                first.copies += ((leaf.file_set, leaf.place),)
        elif _instance(leaf) not in there:
            result.setdefault((_instance(leaf), leaf.size), leaf)
    return list(result.values())


def _instance(leaf: Leaf) -> Hashable:
    return leaf.uid, leaf.number


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
        _width(everything, tags.INSTANCE_NUMBER, _INSTANCE_DIGITS),
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
        stem = "Other"
    elif branch.role is Role.TYPE:
        stem = naming.clean(branch.record.type).capitalize() or "Unknown"
    elif branch.level is Level.SERIES:
        stem = naming.series_name(branch.attributes, branch.description, digits.series)
    else:
        stem = _stem(branch.level, branch.record, branch.attributes, digits)
    uid = branch.uid or branch.attributes.raw(tags.PATIENT_ID)
    return Name(stem, "", _keys(uid, branch.position.key()))


def _leaf_name(leaf: Leaf, digits: _Digits) -> Name:
    record = leaf.record
    stem = _stem(record.level, record, leaf.attributes, digits)
    keys = _keys(leaf.uid, leaf.file_id, leaf.position.key())
    return Name(stem, naming.EXTENSION, keys, "" if leaf.size else _mark(leaf))


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
    return naming.instance_name(record.type, attributes, uid, digits.instance)
