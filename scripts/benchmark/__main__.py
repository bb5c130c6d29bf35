"""The command line of the benchmark; see ``scripts/bench --help``."""

import argparse
import re
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from scripts.benchmark import (
    checking,
    counts,
    discs,
    drives,
    files,
    index,
    page,
    passing,
    pictures,
    remote,
    shelf,
)
from scripts.benchmark.bench import Bench, Row
from scripts.benchmark.machine import facts
from scripts.benchmark.media import Media
from scripts.benchmark.mounts import Mounts, work_folder
from scripts.benchmark.processes import BenchError, observed_by
from scripts.benchmark.profile import Profile
from scripts.benchmark.result import Comparison, Missing, Result, as_json, table
from scripts.benchmark.sizes import Sizes

_ROWS: Final[dict[int, Row]] = {
    1: index.mounting,
    2: index.first_look,
    3: index.listing,
    4: index.memory,
    5: files.reading,
    6: files.copying,
    7: files.looking_again,
    8: counts.seen_by_the_medium,
    9: drives.slow_drive,
    10: discs.many_discs,
    11: discs.random_reads,
    12: passing.looking_through,
    13: index.large_folder,
    14: checking.looking_at_all,
    15: remote.far_away,
    16: pictures.in_sight,
    17: shelf.many_images,
    18: index.starting,
}
_UNITS: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def main() -> int:
    """Run the benchmark; return the exit code."""
    given = _parser().parse_args()
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGHUP, _stop)
    sizes = _sizes(given)
    found = facts(given.folder)
    results: list[Result] = []
    with work_folder(given.folder) as folder:
        bench = Bench(sizes, folder, Media(folder), Mounts(folder))
        if given.profile:
            return _profiled(bench, given.profile)
        for row in given.only or _ROWS:
            results += _measured(bench, row)
    if given.page:
        given.page.write_text(page.written(given.page.read_text(), results, found))
    if given.json:
        found |= {"quick": given.quick, "sizes": asdict(sizes)}
        print(as_json(results, found))
    else:
        print(table(results))
    return _exit_code(results, strict=given.strict)


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    """End in a way that unmounts everything."""
    raise SystemExit(1)


def _measured(bench: Bench, row: int) -> Iterator[Result]:
    """Yield the results of *row*; if it fails, that is its result."""
    start = time.monotonic()
    try:
        yield from _ROWS[row](bench)
    except (BenchError, OSError) as error:
        what = (_ROWS[row].__doc__ or "").partition(": ")[2]
        yield Missing(row, what, str(error), failed=True)
    print(f"row {row}: {time.monotonic() - start:.0f} s", file=sys.stderr)


def _profiled(bench: Bench, row: int) -> int:
    """Show where the time of *row* goes; return the exit code."""
    try:
        profile = Profile()
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    with observed_by(profile.observe):
        results = list(_measured(bench, row))
    print(profile.told())
    return _exit_code(results, strict=False)


def _exit_code(results: list[Result], *, strict: bool) -> int:
    if any(isinstance(each, Missing) and each.failed for each in results):
        return 1
    missed = [
        each
        for each in results
        if isinstance(each, Comparison) and each.nominal and not each.passed
    ]
    return 1 if strict and missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure dicomfs (A) beside other programs (B), in turns; print "
        "the ratios of the medians with their targets.",
        epilog="Exit code: 0 when it was completed, 1 when a comparison failed to run, "
        "or with --strict when a target was missed.",
        allow_abbrev=False,
    )
    parser.add_argument("--quick", action="store_true", help="a minute or two, smaller")
    parser.add_argument("--json", action="store_true", help="for a machine")
    parser.add_argument(
        "--strict", action="store_true", help="exit with 1 if a target is missed"
    )
    parser.add_argument(
        "--only",
        type=int,
        choices=_ROWS,
        action="append",
        metavar="ROW",
        help="only this row; may be given again",
    )
    parser.add_argument(
        "--profile",
        type=int,
        choices=_ROWS,
        metavar="ROW",
        help="show where the time of this row goes instead (py-spy; needs root)",
    )
    parser.add_argument(
        "--page",
        type=Path,
        metavar="FILE",
        help="put the results into this page, docs/performance.md; rows that are not "
        "measured keep their lines",
    )
    parser.add_argument("--runs", type=_number, help="how often each is measured")
    parser.add_argument(
        "--records", type=_number, help="of the middle index (default: 100,000)"
    )
    parser.add_argument(
        "--instance-size", type=_size, metavar="SIZE", help="for example 1G, 256M"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("/var/tmp"),
        help="where the media are made and removed again (default: /var/tmp); the "
        "file system that is measured",
    )
    return parser


def _sizes(given: argparse.Namespace) -> Sizes:
    sizes = Sizes.quick() if given.quick else Sizes()
    if given.records:
        sizes = sizes.with_records(given.records)
    if given.instance_size:
        sizes = replace(sizes, instance=given.instance_size)
    if given.profile and not given.runs:
        return replace(sizes, runs=1)
    return replace(sizes, runs=given.runs) if given.runs else sizes


def _number(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,7}", text):
        raise argparse.ArgumentTypeError(f"{text} is no number")
    return int(text)


def _size(text: str) -> int:
    found = re.fullmatch(r"([1-9]\d{0,8})([KMG]?)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text} is no size like 256M")
    return int(found[1]) * _UNITS[found[2]]


if __name__ == "__main__":
    sys.exit(main())
