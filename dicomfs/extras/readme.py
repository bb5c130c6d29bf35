"""README.txt: what is on the disc, and how to look at it, in words for patients.

It is made of what is known when somebody opens it first, within bounds of time and of
files, and stays as it is then. Its size is the same on every disc: to know another one,
listing the root would have to read all of it.
"""

import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from dicomfs.dicom.types import IMAGE, Level
from dicomfs.errors import DicomfsError
from dicomfs.extras.keyimages import KeyImages
from dicomfs.extras.sentences import ENGLISH, Sentences
from dicomfs.fileset.patience import PatientLister, Workers
from dicomfs.findings import NOT_WHOLE, Finding
from dicomfs.media.medium import Medium
from dicomfs.media.walk import Walk
from dicomfs.printable import printable
from dicomfs.tree.node import FolderNode, Node
from dicomfs.tree.selection import Instance, Selection
from dicomfs.tree.tree import Tree

STEM: Final = "README"
EXTENSION: Final = ".txt"
SIZE: Final = 16 * 1024

_WIDTH: Final = 76
_INDENT: Final = "  "
# Files that are counted, and entries of the disc that are looked at.
_MOST_FILES: Final = 20_000
_MOST_ENTRIES: Final = 20_000
_MAX_DEPTH: Final = 16
# What is listed of many, and how much of a path.
_MOST_FAULTS: Final = 10
_MOST_OUTSIDE: Final = 20
_LONGEST_PATH: Final = 100
# The line that says how much is not listed.
_LONGEST_MORE: Final = 200
_OUTSIDE: Final = (
    *(b".pdf", b".jpg", b".jpeg", b".png", b".gif", b".tif", b".tiff", b".bmp"),
    b".webp",
)


class Readme:
    """Makes the text for a *tree*, and takes about *seconds* for that."""

    def __init__(
        self, tree: Tree, seconds: float, sentences: Sentences = ENGLISH
    ) -> None:
        self._tree = tree
        self._seconds = seconds
        self._words = sentences
        self._end = 0.0
        self._counted = 0
        # Whether a folder was passed over, as time was over or enough was counted.
        self._is_cut = False

    def __call__(self) -> bytes:
        """Return the text, of ``SIZE`` bytes; raises OSError if nothing can be read."""
        self._end = time.monotonic() + self._seconds
        self._counted, self._is_cut = 0, False
        words = self._words
        head = [words.title, "=" * len(words.title), *self._paragraphs(words.what)]
        content = list(self._content())
        tail = [
            *self._section(words.condition, self._condition()),
            *self._section(words.outside, self._outside()),
            *self._section(words.looking, self._paragraphs(words.how_to_look)),
            *self._section(words.ending, self._paragraphs(words.how_to_end)),
        ]
        return _padded(
            self._fitted([*head, *self._section(words.content)], content, tail)
        )

    # -- what there is -----------------------------------------------------------------

    def _content(self) -> Iterator[str]:
        """Yield some lines for each study, with the patient above the first one."""
        for name, node in self._tree.root.children().items():
            if isinstance(node, Selection) and node.level is Level.PATIENT:
                studies = list(self._studies(node))
                studies[:1] = ["\n".join([printable(name), *studies[:1]])]
                yield from studies
            elif isinstance(node, Selection):
                yield f"{self._words.apart} {printable(name)}"

    def _studies(self, patient: Selection) -> Iterator[str]:
        above = _Count()
        for name, study in self._children(patient, above):
            if isinstance(study, Selection):
                count = _Count()
                for _, one in self._children(study, count):
                    self._count(one, count)
                told = self._told(count)
                yield f"{_INDENT}{printable(name)}\n{_INDENT * 2}{told}"
        if above.unreadable:
            yield f"{_INDENT}{self._words.unreadable}: {above.unreadable}"

    def _count(self, node: Node, count: "_Count") -> None:
        if isinstance(node, KeyImages):
            for _, each in self._children(node, count):
                count.key_images += not (each.is_folder or each.reason)
            if node.children_cached() is not None:
                count.lacking += node.lacking
        elif isinstance(node, Selection):
            count.series += 1
            for _, each in self._children(node, count):
                self._count_file(each, count)
        self._count_file(node, count)

    def _count_file(self, node: Node, count: "_Count") -> None:
        if isinstance(node, Instance):
            self._counted += 1
            count.missing += bool(node.error)
            if _is_image(node):
                count.images += 1
            else:
                count.others += 1

    def _children(
        self, folder: FolderNode, count: "_Count"
    ) -> Iterator[tuple[str, Node]]:
        """Yield what is in a folder, nothing if it cannot be read or time is over."""
        if self._counted >= _MOST_FILES or time.monotonic() > self._end:
            count.is_cut = self._is_cut = True
            return
        try:
            yield from folder.children().items()
        except (OSError, DicomfsError):
            count.unreadable += 1

    def _told(self, count: "_Count") -> str:
        words = self._words
        told = [f"{words.series}: {count.series}", f"{words.images}: {count.images}"]
        for name, number in (
            (words.other_files, count.others),
            (words.key_images, count.key_images),
            (words.lacking, count.lacking),
            (words.missing, count.missing),
            (words.unreadable, count.unreadable),
        ):
            if number:
                told.append(f"{name}: {number}")
        so_far = f"{words.so_far} " if count.is_cut else ""
        return so_far + ", ".join(told)

    # -- what is wrong, and what there is besides --------------------------------------

    def _condition(self) -> Iterator[str]:
        words = self._words
        faults = [each for each in self._tree.findings.all() if each.kind.is_fault]
        if not faults:
            yield from self._paragraphs([words.nothing_known])
            return
        if broken := sum(each.count for each in faults if each.kind in NOT_WHOLE):
            yield f"{words.not_whole} {broken}"
        yield words.faults
        yield from self._some(_meanings(faults), _MOST_FAULTS)
        yield from self._paragraphs([words.where_more])

    def _outside(self) -> Iterator[str]:
        """Yield the PDFs and pictures that lie on the media as files of their own."""
        found: list[str] = []
        is_all = True
        for medium in {id(e.medium): e.medium for e in self._tree.file_sets}.values():
            is_all = self._search(medium, found) and is_all
        found.sort(key=lambda path: (not path.lower().endswith(".pdf"), path))
        yield from self._some(found, _MOST_OUTSIDE)
        if not is_all:
            yield self._words.not_all_searched
        elif not found:
            yield self._words.nothing_outside

    def _search(self, medium: Medium, found: list[str]) -> bool:
        """Add the paths of documents on *medium* to *found*; return whether that is all."""
        workers = Workers(1, max(self._seconds / 4, 0.1), "readme", most_left=2)
        lister = PatientLister(medium, workers)
        is_all = True
        # Counting may have taken all the time; a look at the disc is to be had all the same.
        end = max(self._end, time.monotonic() + self._seconds / 4)
        for folder in Walk(lister, depth=_MAX_DEPTH, most=_MOST_ENTRIES, by_level=True):
            for name in folder.files:
                if name.lower().endswith(_OUTSIDE):
                    path = b"/".join((*folder.place, name)).decode("utf-8", "replace")
                    found.append(_shortened(printable(path)))
            if folder.error is not None or folder.is_cut:
                is_all = False
            if time.monotonic() > end:
                return False
        return is_all

    # -- the text ----------------------------------------------------------------------

    def _section(self, title: str, lines: Iterator[str] | None = None) -> list[str]:
        return ["", "", title, "-" * len(title), *(lines or [])]

    def _paragraphs(self, texts: Sequence[str]) -> Iterator[str]:
        for number, text in enumerate(texts):
            if number:
                yield ""
            yield from textwrap.wrap(text, _WIDTH)

    def _some(
        self, lines: Sequence[str], most: int, indent: str = _INDENT
    ) -> Iterator[str]:
        yield from (indent + line for line in lines[:most])
        if len(lines) > most:
            yield f"{indent}{self._words.more} {len(lines) - most}"

    def _fitted(
        self, head: Sequence[str], content: Sequence[str], tail: Sequence[str]
    ) -> bytes:
        """Return all lines, without the last of *content* if they are too long."""
        if self._is_cut:
            tail = [self._words.not_counted, *tail]
        room = SIZE - len(_joined([*head, *tail])) - _LONGEST_MORE
        sizes = accumulate(len(_joined([each])) for each in content)
        fitting = sum(1 for size in sizes if size <= room)
        shown = list(self._some(content, fitting, ""))
        text = _joined([*head, *shown, *tail])
        return text[:SIZE].decode("utf-8", "ignore").encode()


@dataclass(slots=True)
class _Count:
    """What was found in a study."""

    series: int = 0
    images: int = 0
    others: int = 0
    # What somebody has chosen, and how much of that is not on the medium.
    key_images: int = 0
    lacking: int = 0
    missing: int = 0
    unreadable: int = 0
    # Whether there is more that was not looked at.
    is_cut: bool = False


def _is_image(file: Instance) -> bool:
    try:
        return file.record.shown_type == IMAGE
    except (OSError, DicomfsError):
        return False


def _meanings(faults: Sequence[Finding]) -> list[str]:
    """Return what is wrong in words, and how often, by kind."""
    counts: dict[str, int] = {}
    for each in faults:
        counts[each.kind.meaning] = counts.get(each.kind.meaning, 0) + each.count
    return [f"{meaning}: {count}" for meaning, count in counts.items()]


def _shortened(path: str) -> str:
    return path if len(path) <= _LONGEST_PATH else f"...{path[3 - _LONGEST_PATH :]}"


def _joined(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _padded(text: bytes) -> bytes:
    """Return *text* with blank lines behind it that make it ``SIZE`` bytes."""
    blank = b" " * _WIDTH + b"\n"
    missing = SIZE - len(text)
    padding = blank * (missing // len(blank) + 1)
    return text + padding[: max(missing - 1, 0)] + b"\n"[:missing]
