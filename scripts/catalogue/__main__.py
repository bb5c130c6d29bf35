"""The command line of the table; see ``scripts/breakage --help``."""

import argparse
import logging
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pydicom

import dicomfs
from scripts.catalogue import dcmtk, judged, page, readers
from scripts.catalogue.table import Row, as_json, as_markdown, outcome
from tests.build.breakage import CASES, Case

_DICOMFS: Final = "dicomfs"
_PYDICOM: Final = "pydicom FileSet"
_DCMTK: Final = "DCMTK"


def main() -> int:
    """Make each medium, let each reader read it, and print the table."""
    parser = _parser()
    given = parser.parse_args()
    if unknown := [name for name in given.case if name not in CASES]:
        parser.error(f"there is no case {unknown[0]}")
    logging.disable(logging.CRITICAL)
    cases = [CASES[name] for name in given.case] or list(CASES.values())
    versions = {_DICOMFS: dicomfs.__version__, _PYDICOM: pydicom.__version__}
    with tempfile.TemporaryDirectory(prefix="dicomfs-breakage-") as folder:
        program = dcmtk.compiled(Path(folder))
        if program is None:
            sys.stderr.write(f"DCMTK is left out; to have it: {dcmtk.INSTALL}\n")
        else:
            versions[_DCMTK] = _dcmtk_version()
        if given.rebuilt:
            return _judge(cases, Path(folder), program, given)
        rows = [
            _row(case, Path(folder, case.name), program, given.limit) for case in cases
        ]
    if given.json:
        text = as_json(rows, versions)
    else:
        text = as_markdown(rows, versions, with_cases=not given.summary)
    sys.stdout.write(f"{text}\n")
    return 0 if all(row.is_right(_DICOMFS) for row in rows) else 1


def _judge(
    cases: Sequence[Case], folder: Path, program: Path | None, given: argparse.Namespace
) -> int:
    """Print what other readers make of media before and after, and what got worse.

    What belongs nowhere is left out: who reads in the order of the file had it before.
    """
    all_of_them = judged.judges(program)
    each = (
        judged.judged(case, folder / "case", all_of_them, given.limit) for case in cases
    )
    found = [judgement for judgement in each if judgement is not None]
    text = judged.as_markdown(found, _judge_versions())
    if given.write:
        page.put(text)
    sys.stdout.write(f"{text}\n")
    for case, reader in judged.worse(found):
        sys.stderr.write(f"{case}: {reader} read it before, and does not now\n")
    return 0


def _judge_versions() -> dict[str, str]:
    return {
        "pydicom FileSet": pydicom.__version__,
        "DCMTK, by links": _dcmtk_version(),
        "dcmdump": _dcmtk_version(),
        "gdcmdump": _version("gdcmdump", r"gdcm (\d\S*)"),
    }


def _row(case: Case, root: Path, program: Path | None, limit: float) -> Row:
    root.mkdir()
    medium = case.write(root)
    dicomdir = root / medium.broken.folder / medium.broken.dicomdir
    readings = {
        _DICOMFS: readers.read(readers.dicomfs, root, dicomdir, limit),
        _PYDICOM: readers.read(readers.pydicom, root, dicomdir, limit),
    }
    if program is not None:
        readings[_DCMTK] = dcmtk.read(program, dicomdir, limit)
    outcomes = {
        name: outcome(medium, reading, names_folders=name == _DICOMFS)
        for name, reading in readings.items()
    }
    shutil.rmtree(root)
    return Row(case, len(medium.to_find), medium.broken.failure is not None, outcomes)


def _dcmtk_version() -> str:
    """Return the version of the installed library, as its tools tell it."""
    # "$dcmtk: dcmdump v3.6.7 2022-04-22 $"
    return _version("dcmdump", r" v(\S+)")


def _version(program: str, pattern: str) -> str:
    if shutil.which(program) is None:
        return ""
    said = subprocess.run([program, "--version"], capture_output=True, check=False)
    found = re.search(pattern, said.stdout.decode())
    return found[1] if found else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/breakage",
        description="Make broken media of all kinds, and show how many of their "
        "instances dicomfs, pydicom's FileSet and DCMTK find, and where.",
        epilog="Exit code: 0 if dicomfs shows all of every medium in its place.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "case", nargs="*", metavar="CASE", help="only these (default: all)"
    )
    parser.add_argument("--json", action="store_true", help="for a machine")
    parser.add_argument(
        "--rebuilt",
        action="store_true",
        help="show what other readers make of the media before and after dicomfs puts "
        "them in good order",
    )
    parser.add_argument(
        "--write", action="store_true", help="put that table into docs/original.md, too"
    )
    parser.add_argument("--summary", action="store_true", help="only the numbers")
    parser.add_argument(
        "--limit",
        type=float,
        default=20,
        metavar="SECONDS",
        help="when a reader is taken to hang (default: 20)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
