"""What readers made of broken media, in numbers and as a table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.catalogue.readers import CRASHES, HANGS, Reading
from tests.build.breakage import ENTRIES, Case, Fate, Instance, Medium

# Raised when a field changes its meaning or goes; new fields do not raise it.
SCHEMA: Final = 1

# Chapters of the catalogue, by their first entries.
_CHAPTERS: Final = {
    1: "offsets and links",
    14: "content of records",
    27: "File IDs and files",
    41: "encoding",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many instances a reader showed, how many of them where they do not belong.

    *surplus* are those that were not to be shown: of inactive records.
    """

    shown: int
    misplaced: int
    surplus: int
    failure: str

    def cell(self, of: int) -> str:
        """Return it in words."""
        words = [] if self.failure and not self.shown else [f"{self.shown} of {of}"]
        words += [f"{self.misplaced} misplaced"] if self.misplaced else []
        words += [f"{self.surplus} too many"] if self.surplus else []
        words += [self.failure] if self.failure else []
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class Row:
    """A case, how many instances are to be found, and what the readers found.

    A medium *is_useless* whose DICOMDIR has nothing to show.
    """

    case: Case
    of: int
    is_useless: bool
    outcomes: Mapping[str, Outcome]

    def is_right(self, reader: str) -> bool:
        """Whether *reader* found all, in its place; of nothing, whether it says so."""
        outcome = self.outcomes[reader]
        if self.is_useless:
            return bool(outcome.failure) and outcome.failure not in (HANGS, CRASHES)
        is_whole = outcome.shown == self.of and not outcome.failure
        return is_whole and not outcome.misplaced and not outcome.surplus

    @property
    def chapter(self) -> str:
        """The chapter of its first entry."""
        first = min(self.case.entries)
        return _CHAPTERS[max(start for start in _CHAPTERS if start <= first)]

    def as_json(self) -> dict[str, object]:
        """Return it for a machine."""
        return {
            "case": self.case.name,
            "entries": list(self.case.entries),
            "instances": self.of,
            "readers": {
                name: {
                    "shown": each.shown,
                    "misplaced": each.misplaced,
                    "surplus": each.surplus,
                    "failure": each.failure,
                    "right": self.is_right(name),
                }
                for name, each in self.outcomes.items()
            },
        }


def outcome(medium: Medium, reading: Reading, *, names_folders: bool) -> Outcome:
    """Return what *reading* made of *medium*.

    With *names_folders* its folders are names, else they are IDs and UIDs.
    """
    folders: dict[Path, list[tuple[str, ...]]] = {}
    for shown in reading.shown:
        folders.setdefault(shown.path.resolve(), []).append(shown.folder)
    instances: dict[Path, list[Instance]] = {}
    for each in medium.instances:
        instances.setdefault(each.path.resolve(), []).append(each)
    to_find = {path.resolve() for path in medium.to_find}
    is_right = _is_placed if names_folders else _agrees
    misplaced = [
        path
        for path, several in instances.items()
        if path in folders
        and not all(
            any(is_right(each, folder) for each in several) for folder in folders[path]
        )
    ]
    surplus = [
        path
        for path, several in instances.items()
        if path in folders and all(each.fate is Fate.LOST for each in several)
    ]
    return Outcome(
        len(to_find & folders.keys()),
        len(set(misplaced) & to_find),
        len(surplus),
        reading.failure,
    )


def _is_placed(instance: Instance, folder: tuple[str, ...]) -> bool:
    return instance.is_right_in([folder])


def _agrees(instance: Instance, said: tuple[str, ...]) -> bool:
    """Whether patient, study and series are those of the instance, where both know."""
    return all(
        theirs.strip(" ") in (ours, "") or not ours
        for ours, theirs in zip(instance.origin, said, strict=True)
    )


def as_markdown(
    rows: Sequence[Row], versions: Mapping[str, str], *, with_cases: bool
) -> str:
    """Return in numbers how many media each reader gets right, *with_cases* each one."""
    lines = _summary(rows, versions)
    if with_cases:
        lines += ["", *_lines(rows, list(versions))]
    return "\n".join(lines)


def _summary(rows: Sequence[Row], versions: Mapping[str, str]) -> list[str]:
    broken = [row for row in rows if row.case.entries]
    heads = [f"{reader} {version}" for reader, version in versions.items()]
    table = [["all found, and in their places", "media", *heads]]
    for chapter in (*_CHAPTERS.values(), "all"):
        those = [row for row in broken if chapter in (row.chapter, "all")]
        right = [sum(row.is_right(reader) for row in those) for reader in versions]
        table.append([chapter, *map(str, (len(those), *right))])
    return aligned(table)


def _lines(rows: Sequence[Row], readers: Sequence[str]) -> list[str]:
    table = [["case", "entries", *readers]]
    for row in rows:
        entries = ", ".join(map(str, row.case.entries))
        cells = [row.outcomes[reader].cell(row.of) for reader in readers]
        table.append([row.case.name, entries, *cells])
    listed = sorted({entry for row in rows for entry in row.case.entries})
    return [*aligned(table), "", *(f"{each}. {ENTRIES[each]}" for each in listed)]


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a *table* in Markdown."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in table]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [lines[0], rule, *lines[1:]]


def as_json(rows: Sequence[Row], versions: Mapping[str, str]) -> str:
    """Return everything for a machine."""
    document = {
        "schema": SCHEMA,
        "versions": dict(versions),
        "cases": [row.as_json() for row in rows],
    }
    return json.dumps(document, indent=2)
