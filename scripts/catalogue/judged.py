"""What other readers make of broken media before and after these are put in good order."""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from dicomfs.errors import Failure
from scripts.catalogue import dcmtk, dumps, readers, rebuilding
from scripts.catalogue.readers import Reading
from scripts.catalogue.table import aligned, outcome
from tests.build.breakage import Case, Medium

# What reads a DICOMDIR within so many seconds.
Judge = Callable[[Path, float], Reading]

_WHEN: Final = ("before", "after")


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether each reader found all instances of a *case* before and after, by its name."""

    case: Case
    before: Mapping[str, bool]
    after: Mapping[str, bool]


def judges(program: Path | None) -> dict[str, Judge]:
    """Return the readers that there are; *program* is DCMTK's."""
    found: dict[str, Judge] = {
        "pydicom FileSet": lambda path, limit: readers.read(
            readers.pydicom, path.parent, path, limit
        )
    }
    if program is not None:
        found["DCMTK, by links"] = partial(dcmtk.read, program)
    for name, command in dumps.PROGRAMS.items():
        if shutil.which(name) is not None:
            found[name] = partial(dumps.read, command)
    return found


def judged(
    case: Case, folder: Path, all_of_them: Mapping[str, Judge], limit: float
) -> Judgement | None:
    """Return what the readers make of a *case*; None if it has no File-set at all."""
    root, to = folder / "medium", folder / "rebuilt"
    root.mkdir(parents=True)
    to.mkdir()
    try:
        medium = case.write(root)
        if medium.broken.failure is not None:
            return None
        written = root / medium.broken.folder / medium.broken.dicomdir
        before = _right(medium, all_of_them, [written], {}, limit)
        try:
            made = rebuilding.write(root, to)
        except Failure:
            return None
        indexes = [each / "DICOMDIR" for each in made.folders]
        after = _right(medium, all_of_them, indexes, made.files, limit)
        return Judgement(case, before, after)
    finally:
        shutil.rmtree(folder)


def _right(
    medium: Medium,
    all_of_them: Mapping[str, Judge],
    indexes: Iterable[Path],
    files: Mapping[Path, Path],
    limit: float,
) -> dict[str, bool]:
    """Return which readers found all there is in *indexes*, each in its place.

    *files* says which file of the medium is meant by each that they show.
    """
    return {
        name: _is_right(medium, [judge(each, limit) for each in indexes], files)
        for name, judge in all_of_them.items()
    }


def _is_right(
    medium: Medium, readings: Sequence[Reading], files: Mapping[Path, Path]
) -> bool:
    shown = [
        each._replace(path=files.get(each.path, each.path))
        for reading in readings
        for each in reading.shown
    ]
    failure = "".join(each.failure for each in readings)
    found = outcome(medium, Reading(shown, failure), names_folders=False)
    is_whole = found.shown == len(medium.to_find) and not failure
    return is_whole and not found.misplaced and not found.surplus


def as_markdown(judgements: Sequence[Judgement], versions: Mapping[str, str]) -> str:
    """Return in numbers how many media each reader reads, before and after."""
    broken = [each for each in judgements if each.case.entries]
    names = list(broken[0].before) if broken else []
    table = [["all found, and in their places", "media", *_WHEN]]
    for name in names:
        counts = [
            sum(each.before[name] for each in broken),
            sum(each.after[name] for each in broken),
        ]
        label = " ".join(filter(None, (name, versions.get(name, ""))))
        table.append([label, *map(str, (len(broken), *counts))])
    return "\n".join(aligned(table))


def worse(judgements: Iterable[Judgement]) -> list[tuple[str, str]]:
    """Return the cases that a reader reads before and not after, and the reader."""
    return [
        (each.case.name, name)
        for each in judgements
        for name, was_right in each.before.items()
        if was_right and not each.after[name]
    ]
