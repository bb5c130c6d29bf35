"""The rows of a catalogue: what is told of a group of folders, and what is counted in it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from dicomfs.catalogue.columns import Column
from dicomfs.catalogue.groups import ALL, Share, Step, groups
from dicomfs.dicom.keywords import Keyword, Value
from dicomfs.dicom.types import Level
from dicomfs.media.medium import Place
from dicomfs.tree.selection import Instance, Selection
from dicomfs.tree.told import Teller

Row = Sequence[Value | None]

# What stands between several values of one attribute (PS3.5 6.2), or several sources.
_AND: Final = "\\"
_AND_SOURCE: Final = "; "
# Different values of which each is named, and what stands for the rest.
_MOST_VALUES: Final = 100
_MORE: Final = "..."


def rows(
    root: Selection, level: Level, columns: Sequence[Column], share: Share = ALL
) -> Iterator[list[Row]]:
    """Yield the rows on a *level* of the tree below *root*, those of a group together.

    Nothing is kept of them. Raises OSError if the medium cannot be read.
    """
    teller = Teller()
    if level is Level.INSTANCE:
        for group in groups(root, Level.SERIES, teller, share):
            yield [row for step in group for row in _of_files(step, columns, teller)]
        return
    for group in groups(root, level, teller, share):
        total = Total(level, columns, teller)
        for step in group:
            total.add(step)
        yield [total.row()]


# -- a row a file ----------------------------------------------------------------------


def _of_files(step: Step, columns: Sequence[Column], teller: Teller) -> Iterator[Row]:
    needs_record = any(e.keyword and e.keyword.level is Level.INSTANCE for e in columns)
    for file in step.files:
        told = teller.of_file(file, step.told) if needs_record else step.told
        yield [
            told.value(each.keyword) if each.keyword else _OF_FILE[each.name](file)
            for each in columns
        ]


_OF_FILE: Final[Mapping[str, Callable[[Instance], Value | None]]] = {
    "bytes": lambda file: file.size,
    "error": lambda file: file.reason or None,
    "path": lambda file: "/".join((*file.parent.path, file.name)),
    "source_path": lambda file: path_of(file.place),
    "source": lambda file: _AND_SOURCE.join(sources_of(file)),
}


# -- a row a group ---------------------------------------------------------------------


class Total:
    """What is told of a group on a *level*, and what comes of its folders together."""

    def __init__(self, level: Level, columns: Sequence[Column], teller: Teller) -> None:
        self._columns = columns
        self._teller = teller
        # What is told further down than the group is, each different value once.
        self._gathered: dict[Keyword, dict[Value, None]] = {
            each.keyword: {}
            for each in columns
            if each.keyword is not None and each.keyword.level > level
        }
        self._first: Step | None = None
        self._place: Place | None = None
        self.studies = self.series = self.instances = self.missing = self.bytes = 0

    def add(self, step: Step) -> None:
        """Add another folder of the group, the uppermost first."""
        self._first = self._first or step
        self.studies += step.folder.level is Level.STUDY
        self.series += step.folder.level is Level.SERIES
        self.instances += len(step.files)
        for file in step.files:
            self.bytes += file.size
            self.missing += file.error != 0
            if file.place:
                self._place = _common(self._place, file.place[:-1])
        for keyword, values in self._gathered.items():
            for value in self._told(keyword, step):
                if value is not None and len(values) <= _MOST_VALUES:
                    values[value if len(values) < _MOST_VALUES else _MORE] = None

    def _told(self, keyword: Keyword, step: Step) -> Iterator[Value | None]:
        if keyword.level is step.folder.level:
            yield step.told.value(keyword)
        elif keyword.level is Level.INSTANCE:
            for file in step.files:
                yield self._teller.of_file(file, step.told).value(keyword)

    def row(self) -> Row:
        """Return the row of the group."""
        return [*map(self._value, self._columns)]

    def _value(self, column: Column) -> Value | None:
        if column.keyword is None:
            return _OF_GROUP[column.name](self)
        if (values := self._gathered.get(column.keyword)) is not None:
            return next(iter(values)) if len(values) == 1 else _joined(values)
        return self._first.told.value(column.keyword) if self._first else None

    @property
    def path(self) -> str:
        """The path of the folder in the mount."""
        return "/".join(self._first.folder.path) if self._first else ""

    @property
    def source_path(self) -> str | None:
        """The folder of the medium that all files are below, where there is one medium."""
        is_one = self._place is not None and len(self.sources) == 1
        return path_of(self._place) if is_one and self._place else None

    @property
    def sources(self) -> list[str]:
        """What its records lie on."""
        return sources_of(self._first.folder) if self._first else []


_OF_GROUP: Final[Mapping[str, Callable[[Total], Value | None]]] = {
    "NumberOfPatientRelatedStudies": lambda total: total.studies,
    "NumberOfPatientRelatedSeries": lambda total: total.series,
    "NumberOfPatientRelatedInstances": lambda total: total.instances,
    "NumberOfStudyRelatedSeries": lambda total: total.series,
    "NumberOfStudyRelatedInstances": lambda total: total.instances,
    "NumberOfSeriesRelatedInstances": lambda total: total.instances,
    "bytes": lambda total: total.bytes,
    "missing": lambda total: total.missing,
    "path": lambda total: total.path,
    "source_path": lambda total: total.source_path,
    "source": lambda total: _AND_SOURCE.join(total.sources),
}


def _joined(values: Iterable[Value]) -> str | None:
    return _AND.join(map(str, values)) or None


def _common(place: Place | None, other: Place) -> Place:
    """Return the folder that both *place*, if there is one yet, and *other* lie in."""
    if place is None or place == other:
        return other
    length = 0
    for ours, theirs in zip(place, other, strict=False):
        if ours != theirs:
            break
        length += 1
    return place[:length]


def path_of(place: Place) -> str | None:
    """Return a path on a medium as text, None where there is none."""
    return b"/".join(place).decode("utf-8", "replace") or None


def sources_of(node: Instance | Selection) -> list[str]:
    """Return what *node* lies on, each source once."""
    if node.is_folder:
        file_sets = [part.file_set for part in node.parts]
    else:
        file_sets = [node.file_set, *(copy.file_set for copy in node.copies)]
    return list(dict.fromkeys(each.source for each in file_sets))
