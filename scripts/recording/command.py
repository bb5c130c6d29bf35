"""Run dicomfs, as people do, and return what came of it."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.benchmark import processes
from scripts.recording.entries import Parts

# How long a command may take before it is taken to hang.
LIMIT: Final = 120.0
HANGS: Final = "hangs"

# With these the program of another clone would run the code of this one.
_OF_THIS_CLONE: Final = frozenset({"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"})
# Folders to mount on are made anew by each run, with names of their own.
_WORK: Final = "WORK"
# Each line of a log begins with the number of the process.
_PROCESS: Final = re.compile(r"^dicomfs\[\d+\]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Dicomfs:
    """The *program* that is recorded, run in the folder of the *media*.

    *work* is an empty folder, for what has to lie elsewhere.
    """

    program: Path
    media: Path
    work: Path

    def run(self, *arguments: str | Path, mark: str = "") -> Parts:
        """Run it with *arguments*; its processes carry *mark*."""
        try:
            done = subprocess.run(
                [self.program, *arguments],
                env=environment(mark),
                cwd=self.media,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"exit": HANGS}
        return {
            "exit": str(done.returncode),
            "stdout": self.plain(done.stdout),
            "stderr": self.plain(done.stderr),
        }

    def plain(self, said: bytes) -> str:
        """Return what was *said*, without what is another for each run."""
        text = said.decode("utf-8", "surrogateescape").replace(str(self.work), _WORK)
        return _PROCESS.sub("dicomfs[]", text)


def environment(mark: str) -> dict[str, str]:
    """Return the environment of a command: the same everywhere, as far as it counts."""
    ours = {**processes.environment(mark), "COLUMNS": "80", "TZ": "UTC"}
    return {name: ours[name] for name in ours.keys() - _OF_THIS_CLONE}


def installed() -> Path:
    """Return the dicomfs of this clone."""
    root = Path(__file__).resolve().parent.parent.parent
    return root / ".venv/bin/dicomfs"


def is_program(path: Path) -> bool:
    """Whether there is something to run."""
    return path.is_file() and os.access(path, os.X_OK)
