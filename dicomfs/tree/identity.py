"""Who is the same: merge keys of patients, studies and series, and inode numbers.

Doubt separates: records without an identity of their own are never joined with others.
"""

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicomdir.origin import contradict, normal

# The kernel keeps 0 and 1 (the root) for itself.
ROOT_INODE: Final = 1

# Files of a folder that are numbered in a row: the rest of the 64 bits is a hash.
ROW_BITS: Final = 16
_ORDINALS: Final = (1 << ROW_BITS) - 1
# Set in these numbers and in no others.
_IN_A_ROW: Final = 1 << 63
# Attributes that must not contradict each other in one patient.
_WITNESSES: Final = (
    tags.ISSUER_OF_PATIENT_ID,
    tags.PATIENT_BIRTH_DATE,
    tags.PATIENT_SEX,
)


class Position(NamedTuple):
    """Where a record lies: the identity of its File-set, and its offset there.

    The same on every mount, and of no two records of all media.
    """

    file_set: bytes
    offset: int

    def key(self) -> bytes:
        """Return the position as bytes."""
        return b"%b %d" % (self.file_set, self.offset)


def inode(position: Position, role: str, parent: int) -> int:
    """Return the inode number of what the record at *position* is, in this *role*.

    The *parent*'s counts: a record that two folders lead to is a node of its own in
    each, as one folder in two places would let the kernel mistake the one for the other.
    """
    data = b"%b %d %d %b" % (*position, parent, role.encode())
    number = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
    number &= ~_IN_A_ROW
    return number if number > ROOT_INODE else number + 2


def is_in_a_row(inode: int) -> bool:
    """Whether *inode* is the number of a file, numbered in a row with those beside it."""
    return bool(inode & _IN_A_ROW)


def file_inode(parent: int, ordinal: int) -> int:
    """Return the inode number of the file that is number *ordinal* in its folder.

    The numbers of a folder ascend, of its first 65,536 files: ``cp -r`` and others read
    files in the order of their inodes, and on a disc only the order in which they lie
    is quick.
    """
    if ordinal > _ORDINALS:
        return inode(Position(b"", ordinal), "file", parent)
    return _first_file(parent) | ordinal


@lru_cache(maxsize=64)
def _first_file(parent: int) -> int:
    """Return the inode number of the first file of a folder."""
    return inode(Position(b"", 0), "files", parent) & ~_ORDINALS | _IN_A_ROW


def patient_keys(
    patients: Sequence[tuple[Attributes, Position]],
) -> list[Hashable]:
    """Return a key for each of *patients*; those with equal keys are one person.

    Patient ID and name must be the same, and neither birth date nor sex nor issuer may
    contradict. Without a name the ID counts within its own File-set only; without an
    ID nothing does.
    """
    keys = [_patient_key(*patient) for patient in patients]
    witnesses: dict[Hashable, list[tuple[str, ...]]] = defaultdict(list)
    for key, (attributes, _) in zip(keys, patients, strict=True):
        witnesses[key].append(_witnesses(attributes))
    contradicted = {key for key, said in witnesses.items() if contradict(said)}
    return [
        (key, _witnesses(attributes)) if key in contradicted else key
        for key, (attributes, _) in zip(keys, patients, strict=True)
    ]


def _patient_key(attributes: Attributes, position: Position) -> Hashable:
    patient_id = normal(attributes.text(tags.PATIENT_ID))
    name = normal(attributes.person_name(tags.PATIENT_NAME))
    if not patient_id:
        return position
    if not name:
        return patient_id, position.file_set
    return patient_id, name


def _witnesses(attributes: Attributes) -> tuple[str, ...]:
    return tuple(normal(attributes.text(tag)) for tag in _WITNESSES)
