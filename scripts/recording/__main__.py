"""The command line of recordings; see ``scripts/behaviour --help``."""

import argparse
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from scripts.recording import entries, medium
from scripts.recording.command import installed, is_program
from scripts.recording.compare import differences
from scripts.recording.entries import RecordingError
from scripts.recording.run import run


def main() -> int:
    """Do what was asked for; return the exit code."""
    given = _parser().parse_args()
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGHUP, _stop)
    try:
        code: int = given.do(given)
    except (RecordingError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return code


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    """End in a way that unmounts everything."""
    raise SystemExit(2)


def _media(given: argparse.Namespace) -> int:
    # It stands on the product's own code, which nothing else here does.
    from scripts.recording import media  # noqa: PLC0415

    made = media.make(given.folder.resolve())
    sys.stderr.write(f"{len(made)} media in {given.folder}\n")
    return 0


def _run(given: argparse.Namespace) -> int:
    folder, program = given.folder.resolve(), given.dicomfs.absolute()
    if not is_program(program):
        raise RecordingError(f"{program} cannot be run")
    given.to.touch()  # that it cannot be written is better known now
    start = time.monotonic()
    made = run(program, folder, medium.load(folder))
    entries.save(made, given.to)
    seconds = time.monotonic() - start
    sys.stderr.write(f"{entries.count(made):,} entries in {seconds:.0f} s\n")
    return 0


def _compare(given: argparse.Namespace) -> int:
    a, b = entries.load(given.a), entries.load(given.b)
    lines = differences(a, b, all_words=not given.only_exit_and_data)
    if not lines:
        sys.stdout.write(f"the same: {entries.count(a):,} entries\n")
        return 0
    # Names of files may be any bytes.
    text = "\n".join(lines).encode("utf-8", "backslashreplace")
    sys.stdout.buffer.write(text)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/behaviour",
        description="Record what dicomfs says and shows of many media, and compare "
        "what two commits do.",
        epilog="Exit code of compare: 0 if nothing differs, 1 if something does.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    media = commands.add_parser("media", help="make the media, once for all recordings")
    media.set_defaults(do=_media)
    media.add_argument("folder", metavar="DIR", type=Path, help="an empty folder")
    recorded = commands.add_parser("run", help="record what dicomfs does with them")
    recorded.set_defaults(do=_run)
    recorded.add_argument("folder", metavar="DIR", type=Path, help="that of the media")
    recorded.add_argument("to", metavar="OUT.json", type=Path, help="the recording")
    recorded.add_argument(
        "--dicomfs",
        type=Path,
        default=installed(),
        metavar="PATH",
        help="the program, be it of another clone (default: that of this one)",
    )
    compared = commands.add_parser("compare", help="say what differs")
    compared.set_defaults(do=_compare)
    compared.add_argument("a", metavar="A.json", type=Path, help="as it was")
    compared.add_argument("b", metavar="B.json", type=Path, help="as it is")
    compared.add_argument(
        "--only-exit-and-data",
        action="store_true",
        help="let messages and logs have other words",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
