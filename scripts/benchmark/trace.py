"""Count exactly what the medium sees: the system calls of dicomfs, by strace."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_OPENS: Final = frozenset({"open", "openat", "openat2"})
_STATS: Final = frozenset({"stat", "lstat", "newfstatat", "statx"})
_CALL: Final = re.compile(r"^(\w+)\((.*)\) = (-?\d+)(?:<([^>]*)>)?")
_BY_DESCRIPTOR: Final = re.compile(r'^(?:\d+|AT_FDCWD)<([^>]*)>, "([^"]*)"')
# The status of an open descriptor: the medium is not asked again.
_EMPTY: Final = '>, "", '
_BY_PATH: Final = re.compile(r'^"([^"]*)"')


def strace_into(prefix: Path) -> list[str]:
    """Return what to put in front of a command to trace it, a file for each thread.

    A file for each, or calls would be interrupted by those of others in the middle of
    a line. *-y* gives the path of each descriptor.
    """
    calls = ",".join(f"?{name}" for name in sorted(_OPENS | _STATS))
    options = ["-ff", "-qq", "-y", "-s", "4096", "-e", f"trace={calls}"]
    return ["strace", *options, "-o", str(prefix)]


@dataclass(frozen=True, slots=True)
class Counts:
    """How often files were opened, and how often only looked at."""

    opens: int
    stats: int


def counts(prefix: Path, files: set[str]) -> Counts:
    """Return what was done to *files* according to the traces at *prefix*.

    A descriptor that is for looking only (O_PATH) does not open the file: it is a stat.
    """
    opens = stats = 0
    for call, arguments, path in _calls(prefix):
        if path not in files:
            continue
        if call in _STATS or "O_PATH" in arguments:
            stats += 1
        else:
            opens += 1
    return Counts(opens, stats)


def _calls(prefix: Path) -> Iterator[tuple[str, str, str]]:
    """Yield name, arguments and path of every call that succeeded."""
    for trace in sorted(prefix.parent.glob(f"{prefix.name}.*")):
        for line in trace.read_text(errors="surrogateescape").splitlines():
            found = _CALL.match(line)
            if found is None or found[3].startswith("-") or _EMPTY in found[2]:
                continue
            yield found[1], found[2], found[4] or _named(found[2])


def _named(arguments: str) -> str:
    """Return the path that a call names."""
    if found := _BY_DESCRIPTOR.match(arguments):
        return str(Path(found[1], found[2]))
    if found := _BY_PATH.match(arguments):
        return found[1]
    return ""
