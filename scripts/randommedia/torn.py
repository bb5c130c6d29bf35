"""Random media whose records are linked wrongly, and what must hold of them all the same.

Where a file belongs may have to be guessed then. But none is lost, none is shown under
another patient, study or series than its own, and a walk that begins at once finds what
a later one finds.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from dicomfs.dicom.types import Level
from scripts.randommedia.disc import Disc
from scripts.randommedia.judge import (
    Shown,
    content_of,
    contradiction,
    files,
    named,
    opened,
)
from scripts.randommedia.truth import Expected
from tests.build.medium import Record, Value, depth_first

_FURTHEST = 1 << 18
_SHIFTS = (22, -22, 8, 132)


def tear(rng: Random, disc: Disc) -> None:
    """Let some links between the records of *disc* lead astray, or all of them."""
    if rng.random() < 0.15:
        disc.options["links"] = _Shift(rng.choice(_SHIFTS))
        return
    records = depth_first(disc.records)
    for _ in range(rng.choice((1, 1, 2, 4))):
        one = rng.choice(records)
        to: Value = rng.choice((0, rng.randrange(1, _FURTHEST), rng.choice(records)))
        if rng.random() < 0.5:
            one.next = to
        else:
            one.lower = to


class _Shift:
    """Links that are off by one distance."""

    def __init__(self, distance: int) -> None:
        self._distance = distance

    def __call__(
        self, _record: Record, following: int, lower: int
    ) -> tuple[Value, Value]:
        """Return what is written instead of the true links."""
        return self._moved(following), self._moved(lower)

    def _moved(self, link: int) -> int:
        return max(link + self._distance, 0) if link else 0


def faults(sources: Sequence[Path], expected: Sequence[Expected]) -> list[str]:
    """Return what is wrong with what is shown of *sources*; raises Failure."""
    with opened(sources) as tree:
        first = list(files(tree))
        early = {shown.path: content_of(shown.node) for shown in first}
        tree.completeness.settle()
        tree.listings.refresh()
        later = {shown.path: content_of(shown.node) for shown in files(tree)}
    with opened(sources) as tree:
        tree.check_links()
        late = {shown.path: content_of(shown.node) for shown in files(tree)}
    found = [*_lost(set(early.values()), expected), *_misplaced(first, early, expected)]
    found += [
        f"{path} is not the same at the first look and later"
        for path in sorted({*early, *later})
        if early.get(path) != later.get(path)
    ]
    if Counter(early.values()) != Counter(late.values()):
        found.append("other files are shown if the links are checked first")
    return found


def _lost(shown: set[str], expected: Sequence[Expected]) -> list[str]:
    return [
        f"{named(each)} is not shown"
        for each in expected
        if each.digests and shown.isdisjoint(each.digests)
    ]


def _misplaced(
    shown: Sequence[Shown], contents: dict[str, str], expected: Sequence[Expected]
) -> Iterator[str]:
    meant: dict[str, list[Expected]] = defaultdict(list)
    for each in expected:
        for digest in each.digests:
            meant[digest].append(each)
    for one in shown:
        # Where nobody knows whose it is, it is in Unlinked.
        if one.node.error or Level.PATIENT not in one.said:
            continue
        words = [
            f"{named(each)} is shown as {one.path}: {lie}"
            for each in meant[contents[one.path]]
            if (lie := contradiction(one, each, is_torn=True))
        ]
        if len(words) == len(meant[contents[one.path]]):
            yield words[0] if words else f"{one.path} belongs to no disc"
