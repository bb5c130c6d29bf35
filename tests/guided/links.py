"""Any bytes as a DICOMDIR, and any links at all: what is mended is a forest."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Final

from dicomfs.dicom.patient import NOBODY
from dicomfs.dicom.types import Level
from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.index import INACTIVE, MRDR_KIND, Index
from dicomfs.dicomdir.indexing import read_index
from dicomfs.dicomdir.origin import Origin
from dicomfs.dicomdir.record import NO_RECORD
from dicomfs.dicomdir.recovery.forest import MAX_DEPTH
from dicomfs.dicomdir.recovery.repair import Mended, Repair, repair
from dicomfs.errors import DirectoryError, NotDicomError
from dicomfs.source.source import BytesSource
from tests.build.medium import (
    OMIT,
    build_dicomdir,
    image,
    leaf,
    patient,
    record,
    series,
    study,
)
from tests.build.mutations import FORMS, media, mutate
from tests.guided.harness import see
from tests.support.trees import CountingSource

# Reading all records takes one pass and the searches behind damage.
_MOST_READ: Final = 32
_LITTLE: Final = 256 * 1024
LONGEST: Final = 1024
_KINDS: Final = 7
_STEP: Final = 100
MOST_RECORDS: Final = 30


# -- any bytes -------------------------------------------------------------------------


def run_index(data: bytes) -> None:
    """Read *data* as a DICOMDIR, and mend its links."""
    source = CountingSource(data)
    try:
        directory = Directory(source)
        index = read_index(directory)
    except (DirectoryError, NotDicomError):
        return
    most = _MOST_READ * len(data) + _LITTLE
    see(source.bytes_read <= most, "the index takes more reading than there is")
    offsets = list(index.offsets)
    see(offsets == sorted(set(offsets)), "the index has a record twice")
    see(not offsets or offsets[-1] < len(data), "a record lies behind the file")
    for offset in offsets:
        directory.written(offset)
    made = repair(index, directory.header.root, _Silent())
    see_forest(index, made, directory.header.root)


class _Silent:
    """A witness who has nothing to say."""

    def said_by_records(self, offsets: Sequence[int]) -> Origin:
        """Say nothing."""
        del offsets
        return Origin.unknown()

    def said_by_header(self, offsets: Sequence[int]) -> Origin | None:
        """Say nothing."""
        del offsets
        return None


def index_seeds() -> Iterator[bytes]:
    """Yield small DICOMDIRs, as different writers lay them out."""
    slices = [image(f"1.3.{number}", number=number) for number in (1,)]
    lent = record("MRDR", file="LENT")
    borrower = leaf("IMAGE", "1.5", file=OMIT, MRDRDirectoryRecordOffset=lent)
    below = [series("1.3", slices), series("1.4", [borrower])]
    people = [patient("Doe", "1", [study("1.2", below)]), lent]
    for form in FORMS:
        yield build_dicomdir(people, **form)[:LONGEST]
    for medium in media():
        yield medium.dicomdir[:LONGEST]


def mutate_index(data: bytes, random: Random) -> bytes:
    """Break a DICOMDIR in one of the ways that the other fuzzer has."""
    broken = bytearray(data)
    mutate(broken, random)
    return bytes(broken)


# -- any links -------------------------------------------------------------------------


def run_recovery(data: bytes) -> None:
    """Mend links that lead anywhere.

    Two bytes say where the root is and which bytes are unreadable; then each record has
    four: its kind, its links, and what it and its header say of where it belongs.
    """
    root, unreadable, rest = (data + b"\0\0")[0], (data + b"\0\0")[1], data[2:]
    records = [rest[at : at + 4] for at in range(0, len(rest) - 3, 4)]
    index = Index()
    for number, (kind, following, lower, _) in enumerate(records, start=1):
        flags = INACTIVE if kind & INACTIVE else 0
        plain = kind % INACTIVE or _KINDS
        index.add(number * _STEP, following * _STEP, lower * _STEP, plain | flags)
    if unreadable:
        index.unreadable = [(unreadable * _STEP, _STEP)]
    made = repair(index, root * _STEP, _Talkative(index, [each[3] for each in records]))
    see_forest(index, made, root * _STEP)


class _Talkative:
    """A witness who says what *said* has for each record: a byte, of two bits a level."""

    def __init__(self, index: Index, said: Sequence[int]) -> None:
        self._kinds = dict(zip(index.offsets, index.kinds, strict=True))
        self._said = dict(zip(index.offsets, said, strict=True))

    def said_by_records(self, offsets: Sequence[int]) -> Origin:
        """Say what the records of a chain do, each of its own level."""
        found = Origin.unknown()
        for offset in offsets:
            said, kind = self._origin(offset), self._kinds[offset] % INACTIVE
            if kind == Level.PATIENT:
                found = found._replace(patient_id=said.patient_id)
            elif kind == Level.STUDY:
                found = found._replace(study_uid=said.study_uid)
            elif kind == Level.SERIES:
                found = found._replace(series_uid=said.series_uid)
        return found

    def said_by_header(self, offsets: Sequence[int]) -> Origin | None:
        """Say what the header of the first instance does, if it can be read."""
        for offset in offsets:
            if self._said[offset] < 0xC0:
                return self._origin(offset)
        return None

    def _origin(self, offset: int) -> Origin:
        said = self._said[offset]
        keys = (said & 3, said >> 2 & 3, said >> 4 & 3)
        patient, study, series = (str(key) if key else "" for key in keys)
        return Origin(patient, NOBODY, study.encode(), series.encode())


def recovery_seeds() -> Iterator[bytes]:
    """Yield the links of sound media, and such that lead to other records."""
    # Two patients have the same study.
    yield bytes([1, 0, *(1, 2, 3, 1), *(1, 0, 3, 2), *(2, 0, 0, 4)])
    for medium in media():
        try:
            directory = Directory(BytesSource(medium.dicomdir))
            index = read_index(directory)
        except (DirectoryError, NotDicomError):
            continue
        if len(index) > MOST_RECORDS:
            continue
        for turn in (0, 1, 7):
            yield _packed(index, directory.header.root, turn)


def _packed(index: Index, root: int, turn: int) -> bytes:
    """Return *index* as an input whose links lead *turn* records too far."""

    def number(offset: int) -> int:
        at = index.position(offset)
        return 0 if at < 0 else at + 1 + turn

    packed = bytearray([number(root), 0])
    rows = zip(index.kinds, index.nexts, index.lowers, strict=True)
    for at, (kind, following, lower) in enumerate(rows):
        packed += bytes([kind, number(following), number(lower), at * 7 & 0xFF])
    return bytes(packed)


# -- what must hold --------------------------------------------------------------------


def see_forest(index: Index, made: Repair, root: int) -> None:
    """See that *made* has each record once: in one place, and not in none."""
    links = made.links or Mended(index, index.nexts, index.lowers)
    heads = [*made.roots, *made.unlinked]
    reached, depths = _reached(links, heads, made.adopted)
    kinds = dict(zip(index.offsets, index.kinds, strict=True))
    twice = [
        offset
        for offset, count in reached.items()
        if count > 1 and kinds.get(offset, MRDR_KIND) % INACTIVE != MRDR_KIND
    ]
    see(not twice, f"a record is in two places: {twice[:4]}")
    see(max(depths.values(), default=0) <= 2 * MAX_DEPTH, "records lie too deep")
    missing = set(kinds) - set(reached)
    hidden = {offset for offset in missing if kinds[offset] & INACTIVE}
    below, _ = _reached(links, [links.of(each)[1] for each in hidden], made.adopted)
    missing -= hidden | set(below)
    lost = [each for each in missing if kinds[each] != MRDR_KIND]
    see(not lost, f"a record is nowhere: {sorted(lost)[:4]}")
    see(root not in kinds or reached.keys() & kinds.keys(), "nothing is shown")


def _reached(
    links: Mended, heads: Sequence[int], adopted: Mapping[int, Sequence[int]]
) -> tuple[Counter[int], dict[int, int]]:
    """Return how often each record is reached from *heads*, and how deep."""
    reached: Counter[int] = Counter()
    depths: dict[int, int] = {}
    waiting = [(head, 1) for head in heads]
    while waiting:
        at, depth = waiting.pop()
        if at == NO_RECORD or links.index.position(at) < 0:
            continue
        reached[at] += 1
        if reached[at] > 1:
            continue
        depths[at] = depth
        following, lower = links.of(at)
        waiting += [(following, depth), (lower, depth + 1)]
        waiting += [(head, depth + 1) for head in adopted.get(at, ())]
    return reached, depths
