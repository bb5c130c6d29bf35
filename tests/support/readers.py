"""Load on a mount: readers in processes of their own, who know what they should read."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.support import mounting, trees

_PROGRAM: Final = Path(__file__).with_name("reader_program.py")


class Counts(NamedTuple):
    """How many reads were right, how many were not, and how many failed."""

    right: int
    wrong: int
    error: int


class Reader:
    """A process that reads *place* without end and compares with *truth*."""

    def __init__(self, place: Path, truth: Path, seed: str, folder: Path) -> None:
        self._mark = mounting.new_mark()
        self._result = folder / f"counts-{self._mark}"
        command = [sys.executable, "-P", _PROGRAM, place, truth, seed, self._result]
        self._process = subprocess.Popen(
            list(map(str, command)),
            env=mounting.environment(self._mark),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self._dots = self._process.stdout.fileno()

    def after(self, reads: int) -> None:
        """Return when it has read so many times more."""
        while reads > 0:
            dots = os.read(self._dots, reads)
            assert dots, "the reader has ended"
            reads -= len(dots)

    def end(self) -> Counts:
        """End it and return what it has counted."""
        assert self._process.stdout is not None
        self._process.stdout.close()
        assert self._process.wait(mounting.PATIENCE) == 0
        found = json.loads(self._result.read_text())
        return Counts(*(found.get(field, 0) for field in Counts._fields))

    def stop(self) -> None:
        """End it, whatever it does."""
        mounting.kill(*mounting.marked(self._mark))
        self._process.wait(mounting.PATIENCE)


@contextlib.contextmanager
def reading(
    place: Path, truth: Path, seed: str, folder: Path, readers: int = 1
) -> Iterator[list[Reader]]:
    """Start *readers* processes that read *place*; they do so when this returns."""
    started: list[Reader] = []
    try:
        started.extend(
            Reader(place, truth, f"{seed} {number}", folder)
            for number in range(readers)
        )
        for reader in started:
            reader.after(1)
        yield started
    finally:
        for reader in started:
            reader.stop()


def write_truth(medium: Path, folder: Path) -> Path:
    """Write to *folder* what a mount of *medium* has to show, and return it.

    A file that is missing on the medium is empty there.
    """
    for path, seen in trees.look(medium).items():
        if not seen.is_folder:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(seen.data)
    return folder
