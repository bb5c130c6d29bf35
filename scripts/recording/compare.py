"""What differs between two recordings, by command."""

import contextlib
import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Final

from scripts.recording.entries import Parts, Recording

# Parts that are words for people: they may change while what is done stays the same.
_WORDS: Final = frozenset({"stderr", "log"})
# Lines of a difference; one is as good as a thousand to see what is wrong.
_MOST_LINES: Final = 60


def differences(a: Recording, b: Recording, *, all_words: bool = True) -> list[str]:
    """Return in lines what differs; without *all_words* only what is done and shown."""
    lines: list[str] = []
    for command in {**a, **b}:
        ours, theirs = a.get(command, {}), b.get(command, {})
        media = {**ours, **theirs}
        found = {
            medium: list(_different(ours.get(medium), theirs.get(medium), all_words))
            for medium in media
        }
        different = {medium: each for medium, each in found.items() if each}
        if different:
            lines += [f"== {command}: {len(different)} of {len(media)} differ", ""]
            lines += _grouped(different)
    return lines


def _grouped(different: Mapping[str, list[str]]) -> Iterator[str]:
    for medium, lines in different.items():
        yield f"-- {medium}"
        yield from lines
        yield ""


def _different(a: Parts | None, b: Parts | None, all_words: bool) -> Iterator[str]:
    if a is None or b is None:
        yield f"only in {'B' if a is None else 'A'}"
        return
    for part in {**a, **b}:
        if part in _WORDS and not all_words:
            continue
        if a.get(part) != b.get(part):
            yield from _cut(_difference(part, a.get(part, ""), b.get(part, "")))


def _difference(part: str, a: str, b: str) -> list[str]:
    """Return a unified diff, of JSON in the form in which it can be read."""
    ours, theirs = _readable(a), _readable(b)
    if ours == theirs:
        ours, theirs = a.splitlines(), b.splitlines()
    names = f"A: {part}", f"B: {part}"
    lines = list(difflib.unified_diff(ours, theirs, *names, lineterm="", n=2))
    return lines or [f"{part}: other line ends, or absent"]


def _readable(text: str) -> list[str]:
    if text.startswith("{"):
        with contextlib.suppress(ValueError):
            text = json.dumps(json.loads(text), ensure_ascii=False, indent=1)
    return text.splitlines()


def _cut(lines: list[str]) -> list[str]:
    more = len(lines) - _MOST_LINES
    return lines if more <= 0 else [*lines[:_MOST_LINES], f"and {more} lines more"]
