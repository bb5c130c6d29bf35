"""Links that are plainly sound, as those of nearly all media are: told without a walk."""

from itertools import chain
from operator import ge
from typing import Final

from dicomfs.dicom.types import Level
from dicomfs.dicomdir.index import INACTIVE, LOST, NOWHERE, Index
from dicomfs.dicomdir.record import NO_RECORD

_PLAIN_KINDS: Final = frozenset(range(Level.PATIENT, Level.INSTANCE + 1))


def is_plain(index: Index, root: int) -> bool:
    """Whether *root* leads to each record once, by levels that descend.

    True only of patients, studies, series and instances, each of which lies behind the
    one that links to it: where each but the first has one link to it, and that comes
    from further ahead in the file, all come from the first. What is sound in another
    way takes a walk to be told.
    """
    kinds = {kind & ~INACTIVE for kind in set(index.kinds)}
    if not len(index) or index.offsets[0] != root or not kinds <= _PLAIN_KINDS:
        return False
    return _levels_are_plain(index) and _leads_on(index)


def _levels_are_plain(index: Index) -> bool:
    """Whether each link leads to a record on the level where it belongs."""
    of_nexts, of_lowers = index.led_to()
    return all(
        below == NOWHERE or (below != LOST and below & ~INACTIVE > kind & ~INACTIVE)
        for kind, below in set(zip(index.kinds, of_lowers, strict=True))
    ) and all(
        beside == NOWHERE or (beside != LOST and beside & ~INACTIVE == kind & ~INACTIVE)
        for kind, beside in set(zip(index.kinds, of_nexts, strict=True))
    )


def _leads_on(index: Index) -> bool:
    """Whether each record but the first has one link to it, from one before it."""
    targets = set(chain(index.nexts, index.lowers))
    targets.discard(NO_RECORD)
    ends = index.nexts.count(NO_RECORD) + index.lowers.count(NO_RECORD)
    links = 2 * len(index) - ends
    backward = sum(
        sum(map(ge, index.offsets, each)) for each in (index.nexts, index.lowers)
    )
    return len(targets) == links == len(index) - 1 and backward == ends
