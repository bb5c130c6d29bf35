"""Key images: a folder in a study, with the instances that somebody has chosen in it.

The files in it are those of the series, under names that begin with their place in the
choice: the same nodes, with the same inode numbers, in a second folder.
"""

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

from dicomfs.dicom.types import Level
from dicomfs.documents.keyobjects import Reference
from dicomfs.extras.choices import Apart, Chosen
from dicomfs.findings import Finding, Kind
from dicomfs.tree import naming
from dicomfs.tree.identity import Position, inode
from dicomfs.tree.naming import Name
from dicomfs.tree.node import Node, Said
from dicomfs.tree.selection import Instance, Selection

_ROLE: Final = "key images"
_DIGITS: Final = 2
# Titles that go on with the sentence, as most of those of the standard do.
_GOES_ON: Final = re.compile(r"(?:Of|For)(?= )")
_NUMBER: Final = re.compile(r"\d+(?= |$)")
# What a name is told apart by, and what is wrong with the file.
_TAIL: Final = re.compile(r"(?: \[[0-9a-f]+\])?(?: \([a-z ]+\))?$")


@dataclass(slots=True, eq=False)
class KeyImages:
    """The folder in the study *parent* with the key images that were *chosen*."""

    is_folder: ClassVar[Literal[True]] = True
    is_searched: ClassVar[bool] = False
    has_images: ClassVar[bool] = True
    hidden: ClassVar[Mapping[str, Node]] = {}

    inode: int
    name: str
    parent: Selection
    chosen: Chosen
    _found: Mapping[str, Node] | None = field(default=None, repr=False)
    _lacking: int = field(default=0, repr=False)

    @property
    def mtime_ns(self) -> int:
        """The time of the series that the choice is in."""
        return self.chosen.document.parent.mtime_ns

    @property
    def attributes(self) -> Said:
        """What the records of the folders above say."""
        return self.parent.attributes

    @property
    def identity(self) -> Hashable:
        """What stays the same whatever else is in the folder above."""
        return _ROLE, self.chosen.document.identity

    def is_same(self, other: object) -> bool:
        """Whether *other* has the images of the same choice, listed anew."""
        return (
            isinstance(other, KeyImages)
            and other.identity == self.identity
            and other.parent.is_same(self.parent)
        )

    def children(self) -> Mapping[str, Node]:
        """Return the instances that were chosen, by the names that they have here.

        What is not found is noted. Raises OSError if a series cannot be listed.
        """
        found = self._found
        if found is None:
            found = self._found = self._look()
        return found

    def children_cached(self) -> Mapping[str, Node] | None:
        """Return what is in the folder if that is known, else None."""
        return self._found

    def lookup(self, name: str) -> Node | None:
        """Return the child called *name*, None if there is none; raises OSError."""
        return self.children().get(name)

    def forget(self) -> None:
        """Forget what is in it."""
        self._found = None

    @property
    def lacking(self) -> int:
        """How many of the images that were chosen are not there; raises OSError."""
        self.children()
        return self._lacking

    def _look(self) -> Mapping[str, Node]:
        references = self.chosen.choice.references
        files: list[Instance] = []
        reasons: list[str] = []
        search = _Search(self.parent, self.chosen.apart)
        for each in references:
            found = search.found(each)
            files += found
            if not found:
                is_here = each.study in {b"", self.parent.uid}
                reasons.append("not found" if is_here else "of another study")
            elif all(file.error for file in found):
                reasons.append("missing or damaged")
        self._lacking = len(reasons)
        self._note(reasons, len(references))
        return dict(zip(_names(files), files, strict=True))

    def _note(self, reasons: Sequence[str], of: int) -> None:
        """Note how many of the images are not shown, and why."""
        document = self.chosen.document
        told = [
            f"{reasons.count(each)} of {of} {each}" for each in dict.fromkeys(reasons)
        ]
        if told:
            finding = Finding(
                Kind.KEY_IMAGES_MISSING,
                document.offset,
                where=(*self.parent.path, self.name),
                count=len(reasons),
                of=of,
                detail=", ".join(told),
            )
            document.file_set.findings.add(finding, key=document.identity)


class _Search:
    """Finds instances in a *study*, each series of which it lists once at most.

    It passes over what is *apart*.
    """

    def __init__(self, study: Selection, apart: Apart) -> None:
        self._study = study
        self._series = [
            each
            for each in study.children().values()
            if isinstance(each, Selection) and each.inode not in apart.series
        ]
        self._documents = apart.documents
        self._listed: dict[Selection, dict[bytes, list[Instance]]] = {}

    def found(self, reference: Reference) -> list[Instance]:
        """Return the files that are what *reference* means; raises OSError."""
        if reference.study not in {b"", self._study.uid}:
            # Nobody may find what belongs to one study in the folder of another.
            return []
        if reference.instance in self._documents:
            return []
        return [
            file
            for series in self._series
            if reference.series in {b"", series.uid}
            for file in self._files(series).get(reference.instance, ())
        ]

    def _files(self, series: Selection) -> dict[bytes, list[Instance]]:
        if series not in self._listed:
            files = self._listed[series] = {}
            for file in series.children().values():
                if isinstance(file, Instance):
                    files.setdefault(file.uid, []).append(file)
        return self._listed[series]


def folders(
    study: Selection, chosen: Iterable[Chosen], taken: set[str], *, is_told_apart: bool
) -> Iterator[KeyImages]:
    """Yield the folders in *study* with what was *chosen*, none under a *taken* name.

    If *is_told_apart*, each has a name that no other medium has.
    """
    all_ = list(chosen)
    stems = [_stem(each) for each in all_]
    names = naming.distinct(
        [
            Name(
                stem,
                "",
                (each.document.uid or each.choice.digest, _position(each).key()),
                is_taken=is_told_apart or naming.folded(stem) in taken,
                budget=naming.BUDGETS[Level.SERIES],
            )
            for stem, each in zip(stems, all_, strict=True)
        ]
    )
    for name, each in zip(names, all_, strict=True):
        yield KeyImages(inode(_position(each), _ROLE, study.inode), name, study, each)


def _position(chosen: Chosen) -> Position:
    return Position(chosen.document.file_set.identity, chosen.document.offset)


def _stem(chosen: Chosen) -> str:
    """Return ``Key images of TITLE``, which some titles begin with themselves."""
    title = chosen.choice.title
    if _GOES_ON.match(title):
        return naming.clean(f"Key images {title[0].lower()}{title[1:]}")
    return naming.clean(f"Key images of {title}" if title else "Key images")


def _names(files: Sequence[Instance]) -> list[str]:
    """Return ``01 002-0017.dcm`` and so on: the place, the series, and the file's name."""
    width = naming.width_of([len(files)], _DIGITS)
    return [_name(f"{place:0{width}d}", file) for place, file in enumerate(files, 1)]


def _name(place: str, file: Instance) -> str:
    number = _NUMBER.match(file.parent.name)
    body = file.name.removesuffix(naming.EXTENSION)
    tail = _TAIL.search(body)
    end = tail[0] if tail else ""
    series = f"{number[0]}-" if number else ""
    stem = f"{place} {series}{body.removesuffix(end)}"
    return Name(stem, end + naming.EXTENSION, ()).plain()
