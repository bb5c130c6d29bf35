"""What a patient, study or series comes to: what is told of it, and counted in it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dicomfs.catalogue.columns import Column, keywords_of
from dicomfs.catalogue.files import Files
from dicomfs.catalogue.groups import Group, Step
from dicomfs.dicom.keywords import Keyword, Value
from dicomfs.dicom.types import Level
from dicomfs.media.medium import Place, shown

Row = Sequence[Value | None]

# What stands between several values of one attribute (PS3.5 6.2), or several sources.
_AND: Final = "\\"
AND_SOURCE: Final = "; "
# Different values of which each is named, and what stands for the rest.
_MOST_VALUES: Final = 100
_MORE: Final = "..."
# Files that are asked for what is the same in all.
_ATTEMPTS: Final = 2


class Total:
    """What comes together of a group on a *level*; *files* tell what records lack."""

    def __init__(self, level: Level, columns: Sequence[Column], files: Files) -> None:
        self._level = level
        self._columns = columns
        self._files = files
        self._told: dict[Keyword, Value | None] = {}
        # What is told further down than the group is: each different value once.
        self._gathered: dict[Keyword, dict[Value, None]] = {}
        self._is_asked = not files.reads_headers
        self._place: Place | None = None
        self.path = ""
        self.sources: list[str] = []
        self.studies = self.series = self.instances = self.missing = self.bytes = 0

    def row(self, group: Group) -> Row:
        """Return the row of *group*, which has one folder at least."""
        first = next(group)
        self._begin(first)
        self._add(first)
        for step in group:
            self._add(step)
        return [*map(self._value, self._columns)]

    def _begin(self, first: Step) -> None:
        self.path = "/".join(first.folder.path)
        self.sources = first.folder.sources
        for keyword in keywords_of(self._columns):
            value = first.told.value(keyword)
            # One that may belong to any level belongs to the first that tells it.
            is_loose = keyword.level is Level.ROOT and value is None
            if keyword.level <= self._level and not is_loose:
                self._told[keyword] = value
            else:
                self._gathered[keyword] = {}

    def _add(self, step: Step) -> None:
        self.studies += step.folder.level is Level.STUDY
        self.series += step.folder.level is Level.SERIES
        self.instances += len(step.files)
        for file in step.files:
            self.bytes += file.size
            self.missing += file.error != 0
            if file.place:
                self._place = _common(self._place, file.place[:-1])
        self._gather(step)
        if not self._is_asked and step.files:
            self._ask(step)

    def _gather(self, step: Step) -> None:
        below: list[Keyword] = []
        for keyword, values in self._gathered.items():
            if keyword.level is step.folder.level:
                _add(values, step.told.value(keyword))
            elif keyword.level in {Level.INSTANCE, Level.ROOT}:
                below.append(keyword)
        for _, told in self._files.told(step.files if below else (), step.told, below):
            for keyword in below:
                _add(self._gathered[keyword], told.value(keyword))

    def _ask(self, step: Step) -> None:
        """Ask files for what records lack: all of one patient or study say the same."""
        self._is_asked = True
        lacking = [keyword for keyword, value in self._told.items() if value is None]
        some = step.files[:_ATTEMPTS] if lacking else ()
        for _, told in self._files.told(some, step.told, lacking):
            for keyword in lacking:
                if self._told[keyword] is None:
                    self._told[keyword] = told.value(keyword)

    def _value(self, column: Column) -> Value | None:
        if column.keyword is None:
            return _COUNTED[column.name](self)
        if column.keyword in self._told:
            return self._told[column.keyword]
        # Of several values: text, also where there is but one, as others have more.
        values = self._gathered[column.keyword]
        return _AND.join(map(str, values)) or None

    @property
    def source_path(self) -> str | None:
        """The folder of the medium that all files are below, if there is one medium."""
        if self._place is None or len(self.sources) != 1:
            return None
        return shown(self._place) or None


_COUNTED: Final[Mapping[str, Callable[[Total], Value | None]]] = {
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
    "source": lambda total: AND_SOURCE.join(total.sources),
}


def _add(values: dict[Value, None], value: Value | None) -> None:
    if value is not None and len(values) <= _MOST_VALUES:
        values[value if len(values) < _MOST_VALUES else _MORE] = None


def _common(place: Place | None, other: Place) -> Place:
    """Return the folder that *other* and *place*, if there is one yet, lie in."""
    if place is None or place == other:
        return other
    length = 0
    for ours, theirs in zip(place, other, strict=False):
        if ours != theirs:
            break
        length += 1
    return place[:length]
