"""Who is the same: merge keys of patients, studies and series, and inode numbers.

Doubt separates: records without an identity of their own are never joined with others.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from dicomfs.dicom import patient, tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicomdir.origin import contradict

# The kernel keeps 0 and 1 (the root) for itself.
ROOT_INODE: Final = 1

# Files of a folder that are numbered in a row: the rest of the 64 bits is a hash.
ROW_BITS: Final = 16
ORDINALS: Final = (1 << ROW_BITS) - 1
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
    if ordinal > ORDINALS:
        return inode(Position(b"", ordinal), "file", parent)
    return _first_file(parent) | ordinal


@lru_cache(maxsize=64)
def _first_file(parent: int) -> int:
    """Return the inode number of the first file of a folder."""
    return inode(Position(b"", 0), "files", parent) & ~ORDINALS | _IN_A_ROW


# Asked for the number of a patient, says which Study Instance UIDs are below it.
Studies = Callable[[int], frozenset[bytes]]


def no_studies(number: int) -> frozenset[bytes]:
    """Know of no studies."""
    del number
    return frozenset()


def patient_keys(
    patients: Sequence[tuple[Attributes, Position]], studies: Studies = no_studies
) -> list[Hashable]:
    """Return a key for each of *patients*; those with equal keys are one person.

    Patient ID and name must be the same, the name in each group that both have, and
    neither birth date nor sex nor issuer may contradict. Without an ID nothing
    counts. A placeholder, or an ID without a name, counts within its own File-set, but
    for those that have one of their *studies* in common; those are asked for where
    placeholders are the same.
    """
    people = [_Person.of(*each) for each in patients]
    clusters = _clusters(_ties(people, studies))
    said: dict[Hashable, list[tuple[str, ...]]] = defaultdict(list)
    for cluster, person in zip(clusters, people, strict=True):
        said[cluster].append(person.witnesses)
    contradicted = {cluster for cluster, each in said.items() if contradict(each)}
    return [
        (cluster, person.witnesses, person.domain)
        if cluster in contradicted
        else cluster
        for cluster, person in zip(clusters, people, strict=True)
    ]


class _Person(NamedTuple):
    """What a patient is known by; *domain* is where that counts, empty for everywhere."""

    domain: bytes
    ties: tuple[Hashable, ...]
    witnesses: tuple[str, ...]
    is_placeholder: bool

    @staticmethod
    def of(attributes: Attributes, position: Position) -> "_Person":
        number = patient.patient_id(attributes)
        name = patient.patient_name(attributes)
        witnesses = (*_witnesses(attributes), *name)
        if not number:
            return _Person(position.file_set, (position,), witnesses, False)
        if not any(name):
            ties: tuple[Hashable, ...] = (number,)
            return _Person(position.file_set, ties, witnesses, True)
        ties = tuple((number, *group) for group in enumerate(name) if group[1])
        is_placeholder = any(map(patient.is_placeholder, (number, " ".join(name))))
        domain = position.file_set if is_placeholder else b""
        return _Person(domain, ties, witnesses, is_placeholder)


def _ties(people: Sequence[_Person], studies: Studies) -> list[frozenset[Hashable]]:
    """Return for each of *people* what is the same of those who may be one person."""
    domains: dict[Hashable, set[bytes]] = defaultdict(set)
    for person in people:
        for tie in person.ties:
            domains[tie].add(person.domain)
    result: list[frozenset[Hashable]] = []
    for number, person in enumerate(people):
        ties: set[Hashable] = {(person.domain, tie) for tie in person.ties}
        if person.is_placeholder and any(len(domains[tie]) > 1 for tie in person.ties):
            ties |= {(tie, uid) for tie in person.ties for uid in studies(number)}
        result.append(frozenset(ties))
    return result


def _clusters(ties: Sequence[frozenset[Hashable]]) -> list[Hashable]:
    """Return for each of *ties* a key of all those that it is linked to by what is in it.

    The key does not depend on their order.
    """
    above = list(range(len(ties)))

    def top(number: int) -> int:
        while above[number] != number:
            above[number] = above[above[number]]
            number = above[number]
        return number

    owners: dict[Hashable, int] = {}
    for number, each in enumerate(ties):
        for tie in each:
            above[top(number)] = top(owners.setdefault(tie, number))
    members: dict[int, set[frozenset[Hashable]]] = defaultdict(set)
    for number, each in enumerate(ties):
        members[top(number)].add(each)
    keys = {number: frozenset(each) for number, each in members.items()}
    return [keys[top(number)] for number in range(len(ties))]


def _witnesses(attributes: Attributes) -> tuple[str, ...]:
    return tuple(patient.normal(attributes.text(tag)) for tag in _WITNESSES)
