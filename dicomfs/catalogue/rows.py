"""The rows of a catalogue: one for each patient, study, series or file of a tree."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from dicomfs.catalogue.columns import Column, keywords_of
from dicomfs.catalogue.files import Files
from dicomfs.catalogue.groups import ALL, Share, Step, groups
from dicomfs.catalogue.totals import AND_SOURCE, Row, Total
from dicomfs.dicom.keywords import Value
from dicomfs.dicom.types import Level
from dicomfs.fileset.patience import Workers
from dicomfs.tree.selection import Instance, Selection
from dicomfs.tree.told import Teller, Told


def rows(
    root: Selection,
    level: Level,
    columns: Sequence[Column],
    *,
    workers: Workers | None = None,
    share: Share = ALL,
) -> Iterator[list[Row]]:
    """Yield the rows on a *level* of the tree below *root*, those of a group together.

    *workers* read headers, for what records lack; without them no file is opened.
    Nothing is kept. Raises OSError if the medium cannot be read.
    """
    more = [each for each in keywords_of(columns) if each.level is Level.ROOT]
    teller = Teller(more)
    files = Files(teller, workers)
    if level is Level.INSTANCE:
        for group in groups(root, Level.SERIES, teller, share):
            yield [row for step in group for row in _of_files(step, columns, files)]
    else:
        for group in groups(root, level, teller, share):
            yield [Total(level, columns, files).row(group)]


def _of_files(step: Step, columns: Sequence[Column], files: Files) -> Iterator[Row]:
    # What is told above a file is the same for all that are beside it.
    above = [each.keyword and step.told.value(each.keyword) for each in columns]
    for file, told in files.told(step.files, step.told, keywords_of(columns)):
        yield [
            value if value is not None else _value(column, file, told)
            for column, value in zip(columns, above, strict=True)
        ]


def _value(column: Column, file: Instance, told: Told) -> Value | None:
    if column.keyword is None:
        return _OF_FILE[column.name](file)
    return told.value(column.keyword)


_OF_FILE: Final[Mapping[str, Callable[[Instance], Value | None]]] = {
    "bytes": lambda file: file.size,
    "error": lambda file: file.reason or None,
    "path": lambda file: "/".join((*file.parent.path, file.name)),
    "source_path": lambda file: file.source_path or None,
    "source": lambda file: AND_SOURCE.join(file.sources),
}
