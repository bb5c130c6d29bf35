"""Which key images were chosen in a study: what its Key Object Selections say.

They are read when the study is listed, and again if that was forgotten when one of its
series is: the link count of a file says how many of them choose it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.types import KEY_OBJECTS, Level
from dicomfs.documents import keyobjects
from dicomfs.documents.keyobjects import Choice
from dicomfs.errors import DicomfsError
from dicomfs.extras.looking import Allowance, Looker
from dicomfs.source.cache import Cache
from dicomfs.tree.selection import Entry, Instance, Selection
from dicomfs.tree.tree import Tree

_MODALITY: Final = "KO"
# References of all studies that are remembered.
_MOST_KEPT: Final = 100_000


class Chosen(NamedTuple):
    """The *document* that chooses key images, and what it chooses.

    Nothing is chosen of the series *apart*, which have such documents (inode numbers).
    """

    document: Instance
    choice: Choice
    apart: frozenset[int]

    def uids_in(self, series: Selection, study: Selection) -> list[bytes]:
        """Return the UIDs of the instances that it chooses in a *series* of a *study*."""
        if series.inode in self.apart:
            return []
        return [
            each.instance
            for each in self.choice.references
            if each.study in {b"", study.uid} and each.series in {b"", series.uid}
        ]


class Choices:
    """Reads the Key Object Selections of the studies of *tree* by *looker*."""

    def __init__(self, tree: Tree, looker: Looker) -> None:
        self._tree = tree
        self._looker = looker
        # By the study, and how often links were mended before.
        self._kept: Cache[tuple[int, int], Sequence[Chosen]] = Cache(
            _MOST_KEPT, _references
        )

    def read(self, study: Selection, nodes: Iterable[Entry]) -> Sequence[Chosen]:
        """Return what was chosen in *study*, in which these *nodes* are."""
        allowance = Allowance()
        of_choices = [
            each
            for each in nodes
            if isinstance(each, Selection) and _is_of_choices(each)
        ]
        apart = frozenset(series.inode for series in of_choices)
        chosen = [
            Chosen(document, choice, apart)
            for series in of_choices
            for document, choice in self._read_in(series, allowance)
        ]
        self._kept.put((study.inode, self._tree.revision), chosen)
        return chosen

    def counts(self, series: Selection) -> Mapping[bytes, int]:
        """Return how often the instances of *series* were chosen, by their UIDs."""
        study = series.parent
        if study is None or study.level is not Level.STUDY:
            return {}
        chosen = self._kept.get((study.inode, self._tree.revision))
        if chosen is None:
            chosen = self.read(study, self._tree.recorded(study).values())
        return Counter(uid for each in chosen for uid in each.uids_in(series, study))

    def _read_in(
        self, series: Selection, allowance: Allowance
    ) -> Iterator[tuple[Instance, Choice]]:
        """Yield the documents in *series* that choose something, and what."""
        for document in self._tree.recorded(series).values():
            if not isinstance(document, Instance) or document.error:
                continue
            record = document.record
            if record.shown_type == KEY_OBJECTS:
                choice = self._looker.look(
                    document, record.type, keyobjects.read, allowance
                )
                if choice is not None and choice.is_choice and choice.references:
                    yield document, choice


def _references(chosen: Sequence[Chosen]) -> int:
    return 1 + sum(len(each.choice.references) for each in chosen)


def _is_of_choices(series: Selection) -> bool:
    """Whether Key Object Selections are in *series*: they are in series of their own.

    The modality says so (PS3.3 C.17.6.1), or its first record. Raises LinksMended.
    """
    said = series.own_attributes
    if said is not None and said.text(tags.MODALITY) == _MODALITY:
        return True
    with suppress(OSError, DicomfsError):
        return any(
            item.record.shown_type == KEY_OBJECTS
            for part in series.parts
            for item in islice(part.file_set.children(part), 1)
        )
    return False
