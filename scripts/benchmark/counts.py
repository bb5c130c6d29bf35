"""Row 8: what the medium sees, counted and not measured."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from scripts.benchmark.bench import Bench
from scripts.benchmark.processes import BenchError
from scripts.benchmark.result import Comparison, Missing, Result, Rule
from scripts.benchmark.trace import Counts, counts, strace_into

_SERIES: Final = 4
_IMAGES: Final = 6
_LISTED: Final = _SERIES * _IMAGES


def seen_by_the_medium(bench: Bench) -> Iterator[Result]:
    """Row 8: opens and stats of instances during mount and ``ls -R``."""
    try:
        told = bench.media.described(_SERIES, _IMAGES, in_records=True)
        silent = bench.media.described(_SERIES, _IMAGES, in_records=False)
        mounted = _trace(bench, told, listed=False)
        listed = _trace(bench, told, listed=True)
        without = _trace(bench, silent, listed=True)
    except BenchError as error:
        yield Missing(8, "what the medium sees", str(error), failed=True)
        return
    yield _exactly("opens, mount", "none", mounted.opens, 0)
    yield _exactly("stats, mount", "none", mounted.stats, 0)
    yield _exactly("opens, mount + ls -R", "none", listed.opens, 0)
    yield _exactly(
        "opens, mount + ls -R, no descriptions", "series", without.opens, _SERIES
    )
    yield _at_most("stats, mount + ls -R", "files listed", listed.stats, _LISTED)
    yield _at_most(
        "stats, mount + ls -R, no descriptions",
        "files listed, headers read",
        without.stats,
        _LISTED + _SERIES,
    )


def _at_most(what: str, against: str, found: int, most: int) -> Comparison:
    exact = _exactly(what, against, found, most)
    return replace(exact, rule=Rule.BOUND)


def _exactly(what: str, against: str, found: int, expected: int) -> Comparison:
    return Comparison(
        row=8,
        what=what,
        against=against,
        a=[found],
        b=[expected],
        rule=Rule.COUNT,
        unit="",
    )


def _trace(bench: Bench, medium: Path, *, listed: bool) -> Counts:
    prefix = bench.folder / f"trace-{medium.name}-{listed}"
    with bench.mounts.dicomfs(medium, wrapper=strace_into(prefix)) as mount:
        mount.run("ls", *(["-R"] if listed else ["-d"]), mount.place)
    files = {str(path) for path in (medium / "DICOM").rglob("I*")}
    return counts(prefix, files)
