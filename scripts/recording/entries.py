"""What was recorded: by command, and by medium."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

# Raised when a part changes its meaning or goes; new parts do not raise it.
SCHEMA: Final = 1

# What came of a command: its exit code and its streams, and other parts by name.
Parts = dict[str, str]
# Parts by the command, then by the medium that it was for.
Recording = dict[str, dict[str, Parts]]


class RecordingError(Exception):
    """A recording, or media for one, that cannot be used."""


class Entry(NamedTuple):
    """What came of a command for a medium."""

    command: str
    medium: str
    parts: Parts


def recording(entries: Iterable[Entry]) -> Recording:
    """Return *entries* as one recording; none may come twice."""
    made: Recording = {}
    for command, medium, parts in entries:
        media = made.setdefault(command, {})
        if medium in media:
            raise RecordingError(f"{command}, {medium}: recorded twice")
        media[medium] = parts
    return made


def count(of: Recording) -> int:
    """Return how many entries there are."""
    return sum(map(len, of.values()))


def save(made: Recording, to: Path) -> None:
    """Write a recording. Bytes that are no UTF-8 are kept, as halves of pairs."""
    text = json.dumps({"schema": SCHEMA, "entries": made}, indent=1)
    to.write_text(f"{text}\n", encoding="ascii")


def load(path: Path) -> Recording:
    """Return the recording in a file; raises RecordingError."""
    try:
        document = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise RecordingError(f"{path} is no recording of this schema, {SCHEMA}")
    entries: Recording = document["entries"]
    return entries
