"""Programs that read a DICOMDIR record by record, in the order of the file.

They follow no links: what they show tells that the file can be read, and the File IDs lead
to the instances, not where those belong.
"""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from scripts.catalogue.readers import CRASHES, HANGS, Reading, Shown

PROGRAMS: Final = {
    "dcmdump": ("dcmdump", "-q", "+L", "-Un"),
    "gdcmdump": ("gdcmdump",),
}

_FILE_ID: Final = re.compile(rb"\(0004,1500\) \S\S \[([^\]\n]*)\]")


def read(program: Sequence[str], dicomdir: Path, limit: float) -> Reading:
    """Return what *program* shows of a medium within *limit* seconds."""
    try:
        done = subprocess.run(
            [*program, dicomdir],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Reading([], HANGS)
    if done.returncode < 0:
        return Reading([], CRASHES)
    shown = [
        Shown(_place(dicomdir.parent, found), ("", "", ""))
        for found in _FILE_ID.findall(done.stdout)
    ]
    return Reading(shown, "an error" if done.returncode else "")


def _place(folder: Path, file_id: bytes) -> Path:
    """Return the file of a File ID, taken by its letters; a folder is none."""
    path = file_id.decode("latin-1").strip(" \0").split("\\")
    place = folder.joinpath(*path) if "\0" not in "".join(path) else folder
    return place if place.is_file() else folder / "?"
