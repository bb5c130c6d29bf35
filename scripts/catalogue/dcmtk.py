"""DCMTK's reader, which none of its tools shows: a small program is compiled for it."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from scripts.catalogue.readers import CRASHES, HANGS, Reading, Shown

_SOURCE: Final = Path(__file__).with_name("walk.cc")
_HEADER: Final = Path("/usr/include/dcmtk/dcmdata/dcdicdir.h")
_LIBRARIES: Final = ("-ldcmdata", "-loflog", "-lofstd")
INSTALL: Final = "apt-get install g++ libdcmtk-dev"


def compiled(folder: Path) -> Path | None:
    """Return the program, made in *folder*; None where it cannot be compiled."""
    compiler = shutil.which("g++")
    if compiler is None or not _HEADER.exists():
        return None
    program = folder / "walk"
    subprocess.run([compiler, "-o", program, _SOURCE, *_LIBRARIES], check=True)
    return program


def read(program: Path, dicomdir: Path, limit: float) -> Reading:
    """Return what DCMTK shows of a medium within *limit* seconds."""
    try:
        done = subprocess.run(
            [program, dicomdir],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Reading([], HANGS)
    if done.returncode < 0:
        return Reading([], CRASHES)
    lines = [os.fsdecode(line).split("\t") for line in done.stdout.split(b"\n") if line]
    shown = [
        Shown(_found(dicomdir.parent, file_id), tuple(above))
        for *above, file_id in lines
    ]
    return Reading(shown, "" if shown or done.returncode == 0 else "an error")


def _found(folder: Path, file_id: str) -> Path:
    """Return the file of a File ID, sought where DCMTK's own tools seek it."""
    plain = "/".join(part for part in file_id.replace("\\", "/").split("/") if part)
    for name in (plain, f"{plain}.", plain.lower(), f"{plain.lower()}."):
        if "\0" not in name and (folder / name).is_file():
            return folder / name
    return folder / "?"
