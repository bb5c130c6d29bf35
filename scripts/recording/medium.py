"""Media on disk, as they are given to dicomfs. ``media.json`` beside them lists all."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from scripts.recording.entries import RecordingError

_LIST: Final = "media.json"


@dataclass(frozen=True, slots=True)
class Medium:
    """A medium, or several: what names it on a command line in the folder of all.

    Those with options for *mount*, be it none, are mounted too.
    """

    name: str
    arguments: tuple[str, ...]
    mount: tuple[str, ...] | None = None


def save(media: Sequence[Medium], folder: Path) -> None:
    """Write the list of all *media*, last of all: with it they are complete."""
    text = json.dumps([asdict(each) for each in media], indent=1)
    (folder / _LIST).write_text(f"{text}\n", encoding="utf-8")


def load(folder: Path) -> list[Medium]:
    """Return the media in *folder*; raises RecordingError."""
    try:
        listed = json.loads((folder / _LIST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordingError(f"{folder} has no media: {error}") from error
    return [
        Medium(
            each["name"],
            tuple(each["arguments"]),
            None if each["mount"] is None else tuple(each["mount"]),
        )
        for each in listed
    ]
