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
# Records of a study that are looked at for choices: fewer are in nearly all.
_MOST_RECORDS: Final = 100_000
# References of all studies that are remembered.
_MOST_KEPT: Final = 100_000


class Apart(NamedTuple):
    """What is no key image: documents that choose some, by their UIDs.

    The *series* that have nothing else, by their inode numbers, need not be searched.
    """

    series: frozenset[int]
    documents: frozenset[bytes]


class Chosen(NamedTuple):
    """The *document* that chooses key images, what it chooses, and what is *apart*."""

    document: Instance
    choice: Choice
    apart: Apart

    def uids_in(self, series: Selection, study: Selection) -> list[bytes]:
        """Return the UIDs of the instances that it chooses in a *series* of a *study*."""
        if series.inode in self.apart.series:
            return []
        return [
            each.instance
            for each in self.choice.references
            if each.study in {b"", study.uid}
            and each.series in {b"", series.uid}
            and each.instance not in self.apart.documents
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
        documents: list[Instance] = []
        alone = set[int]()
        for series in _with_choices(nodes):
            files = self._instances(series)
            found = [each for each in files if each.record.shown_type == KEY_OBJECTS]
            documents += found
            if len(found) == len(files):
                alone.add(series.inode)
        uids = {each.uid for each in documents} - {b""}
        apart = Apart(frozenset(alone), frozenset(uids))
        allowance = Allowance()
        chosen = [
            Chosen(document, choice, apart)
            for document in documents
            if (choice := self._choice(document, allowance)) is not None
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

    def _instances(self, series: Selection) -> list[Instance]:
        nodes = self._tree.recorded(series).values()
        return [each for each in nodes if isinstance(each, Instance)]

    def _choice(self, document: Instance, allowance: Allowance) -> Choice | None:
        """Return what a *document* chooses, None if that is nothing."""
        if document.error:
            return None
        type_ = document.record.type
        choice = self._looker.look(document, type_, keyobjects.read, allowance)
        is_one = choice is not None and choice.is_choice and choice.references
        return choice if is_one else None


def _references(chosen: Sequence[Chosen]) -> int:
    return 1 + sum(len(each.choice.references) for each in chosen)


def _with_choices(nodes: Iterable[Entry]) -> Iterator[Selection]:
    """Yield the series among *nodes* that have Key Object Selections."""
    left = _MOST_RECORDS
    for each in nodes:
        if isinstance(each, Selection) and left > 0:
            is_one, looked_at = _has_choices(each, left)
            left -= looked_at
            if is_one:
                yield each


def _has_choices(series: Selection, most: int) -> tuple[bool, int]:
    """Whether Key Object Selections are in *series*, and how many records said so.

    They are in series of their own (PS3.3 C.17.6.1), but not all writers keep to that: at
    *most* so many records are looked at. Raises LinksMended.
    """
    said = series.own_attributes
    if said is not None and said.text(tags.MODALITY) == _MODALITY:
        return True, 0
    count = 0
    with suppress(OSError, DicomfsError):
        for part in series.parts:
            images = part.file_set.images(part)
            if images is not None:
                count += len(images.uids)
                continue
            for item in islice(part.file_set.children(part), most - count):
                count += 1
                if item.record.shown_type == KEY_OBJECTS:
                    return True, count
    return False, count
