"""Reads a mount until nobody listens any more, and counts what is not the truth.

    reader_program.py MOUNT TRUTH SEED RESULT

TRUTH is a folder with the files as they should be. Each read that came back writes a
dot to stdout; when that is closed, the counts go to the file RESULT as JSON. A program
of its own that imports nothing: a reader of a mount that hangs cannot be interrupted.
"""

import contextlib
import json
import os
import random
import sys
from collections import Counter
from pathlib import Path

_LONGEST = 200_000


class Reader:
    """Reads files of the mount *place* at random, some of them kept open."""

    def __init__(self, place: Path, truth: Path, seed: str) -> None:
        self.place = place
        self.truth = {
            str(path.relative_to(truth)): path.read_bytes()
            for path in sorted(truth.rglob("*"))
            if path.is_file()
        }
        self.names = {part for path in self.truth for part in Path(path).parts}
        self.paths = [path for path, data in self.truth.items() if data]
        self.random = random.Random(seed)
        self.handles: dict[str, int] = {}

    def read(self) -> str:
        """Read or list once; return "right", "wrong" or "error"."""
        path = self.random.choice(self.paths)
        try:
            if self.random.random() < 0.1:
                return self._list(Path(path).parent)
            return self._read(path)
        except OSError:
            self._close(path)
            return "error"

    def _list(self, folder: Path) -> str:
        names = set(os.listdir(self.place / folder))  # noqa: PTH208 - names are asked for
        return "right" if names <= self.names else "wrong"

    def _read(self, path: str) -> str:
        expected = self.truth[path]
        if self.random.random() < 0.5:
            self._close(path)
        if path not in self.handles:
            self.handles[path] = os.open(self.place / path, os.O_RDONLY)
        handle = self.handles[path]
        # What the kernel has in memory would not be asked for.
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        start = self.random.randrange(len(expected))
        end = min(start + self.random.randrange(1, _LONGEST), len(expected))
        while start < end:
            # Where a later page fails, a read gives the earlier ones: only nothing at
            # all is an end of the file.
            data = os.pread(handle, end - start, start)
            if not data or data != expected[start : start + len(data)]:
                return "wrong"
            start += len(data)
        return "right"

    def _close(self, path: str) -> None:
        with contextlib.suppress(OSError, KeyError):
            os.close(self.handles.pop(path))


def main() -> None:
    """Read until stdout is closed, then write the counts."""
    place, truth, seed, result = sys.argv[1:]
    reader = Reader(Path(place), Path(truth), seed)
    counts: Counter[str] = Counter()
    with contextlib.suppress(BrokenPipeError):
        while True:
            counts[reader.read()] += 1
            os.write(1, b".")
    Path(result).write_text(json.dumps(counts))


if __name__ == "__main__":
    main()
