"""The testimony of records and headers: where records belong."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, Protocol

from dicomfs.dicom.types import Level
from dicomfs.dicomdir.index import Index
from dicomfs.dicomdir.origin import Origin
from dicomfs.dicomdir.recovery.forest import Forest, Walk

# Headers that are read; a medium on which more are needed is an attack.
_MOST_QUESTIONS: Final = 2000
# Instances whose headers are tried, for one question.
_WITNESSES: Final = 2
# Series that are looked at, of all in a forest.
_SERIES_ASKED: Final = 4
_SERIES, _INSTANCE = int(Level.SERIES), int(Level.INSTANCE)


class Witness(Protocol):
    """Somebody who can say where records belong."""

    def said_by_records(self, offsets: Sequence[int]) -> Origin:
        """Return what a chain of records says, from the top to the lowest."""
        ...

    def said_by_header(self, offsets: Sequence[int]) -> Origin | None:
        """Return what the header of the first of these instances says, if any does."""
        ...


class Testimony:
    """The answers of a *witness* about the records of an index, to so many questions."""

    def __init__(self, index: Index, witness: Witness) -> None:
        self._index = index
        self._witness = witness
        self._questions = _MOST_QUESTIONS
        # Whether a question was not asked any more.
        self.is_ended = False

    def contradicts(self, forest: Forest) -> bool:
        """Whether a header of a few series says that *forest* is wrong."""
        walk = Walk(forest)
        walk.visit(forest.heads())
        series = [at for at, kind in enumerate(forest.kinds) if kind == _SERIES]
        step = max(len(series) // _SERIES_ASKED, 1)
        return any(
            self.agrees(walk, at, forest.lowers[at]) is False
            for at in series[::step]
            if forest.lowers[at] >= 0
        )

    def agrees(self, walk: Walk, parent: int, child: int) -> bool | None:
        """Whether the header of an instance at or below *child* agrees with *parent*.

        None if nobody knows.
        """
        if parent < 0:
            return None
        said = self.of_header(walk.forest, child)
        if said is None:
            return None
        return self.of_records(walk, parent).agrees(said, walk.forest.kinds[parent])

    def of_records(self, walk: Walk, at: int) -> Origin:
        """Return what the record *at* and those above it say."""
        offsets = self._index.offsets
        return self._witness.said_by_records([offsets[each] for each in walk.chain(at)])

    def of_header(self, forest: Forest, head: int) -> Origin | None:
        """Return what the header of an instance at or below *head* says, if any does."""
        if not self._questions:
            self.is_ended = True
            return None
        self._questions -= 1
        few = islice(self._instances(forest, head), _WITNESSES)
        return self._witness.said_by_header([self._index.offsets[at] for at in few])

    def _instances(self, forest: Forest, head: int) -> Iterator[int]:
        flagged = self._index.kinds
        return (at for at in forest.sample(head) if flagged[at] == _INSTANCE)
