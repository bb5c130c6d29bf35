"""Row 17: a shelf of small ISO images: studies, a catalogue, and all of them mounted.

What 10,000 would take is computed from the slope between a tenth of them and all, and said
as such.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from scripts.benchmark.bench import Bench
from scripts.benchmark.processes import (
    DICOMFS,
    BenchError,
    Memory,
    alternate,
    python,
    run,
)
from scripts.benchmark.result import Comparison, Missing, Result, Rule
from scripts.benchmark.trace import counts, strace_into

_ROW: Final = 17
# A tenth of the shelf, beside which it is measured, and for how many it is computed.
_PART: Final = 10
_COMPUTED: Final = 10_000
_SHARED: Final = "Bench^Shared"
_PATIENTS: Final = 2
_KIB: Final = 1024
_COMMANDS: Final = (
    ("tree --studies", ["tree", "--studies"]),
    ("catalogue --jobs 1", ["catalogue", "--jobs", "1"]),
)
# Bytes of memory that one more image may take.
_MOST_KEPT: Final = 128 * _KIB

# Runs a command and tells seconds, seconds of a processor, and the most memory in KiB
# that one of its processes had.
_RUN: Final = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(json.loads(sys.argv[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss]))
sys.exit(done.returncode)
"""


class Cost(NamedTuple):
    """What a command took: seconds, seconds of a processor, KiB of memory at most."""

    wall: float
    cpu: float
    kib: float


def many_images(bench: Bench) -> Iterator[Result]:
    """Row 17: a shelf of ISO images."""
    many = bench.media.discs(bench.sizes.shelf, _SHARED, _PATIENTS)
    few = many[: len(many) // _PART]
    nominal = bench.is_nominal("shelf")
    for name, command in _COMMANDS:
        large, small = alternate(bench.runs, _cost(command, many), _cost(command, few))
        yield from _compared(name, many, few, large, small, nominal=nominal)
    one, two = (["catalogue", "--jobs", jobs] for jobs in ("2", "1"))
    a, b = alternate(bench.runs, _cost(one, many), _cost(two, many))
    yield Comparison(
        row=_ROW,
        what=f"catalogue --jobs 2, {len(many):,} ISO images",
        against="--jobs 1",
        a=[each.wall for each in a],
        b=[each.wall for each in b],
        target=1.0,
        nominal=nominal,
    )
    yield from _mounted(bench, many, few, nominal=nominal)
    for name, command in _COMMANDS:
        yield from _opens(bench, few, name, command)


def _cost(command: Sequence[str], images: Sequence[Path]) -> Callable[[], Cost]:
    full = [*map(str, DICOMFS), *command, *map(str, images)]
    return lambda: Cost(*json.loads(run(python(_RUN, json.dumps(full)))))


def _compared(
    name: str,
    many: Sequence[Path],
    few: Sequence[Path],
    large: Sequence[Cost],
    small: Sequence[Cost],
    *,
    nominal: bool,
) -> Iterator[Result]:
    """Yield time and memory of a command on *many* images, beside *few*."""
    more = len(many) - len(few)
    a, b = ([each.cpu for each in those] for those in (large, small))
    slope = _slope(a, b, more)
    yield Comparison(
        row=_ROW,
        what=f"{name}, {len(many):,} ISO images, each",
        against=f"{len(few):,} ISO images, each",
        a=[1000 * each / len(many) for each in a],
        b=[1000 * each / len(few) for each in b],
        target=1.2,
        unit="CPU ms",
        nominal=nominal,
        cache="images warm",
        note=_computed(slope, median(a) - slope * len(many), "CPU s"),
    )
    a, b = ([each.kib / _KIB for each in those] for those in (large, small))
    slope = _slope(a, b, more)
    yield Comparison(
        row=_ROW,
        what=f"{name}, {len(many):,} ISO images, most memory of a process",
        against=f"{len(few):,} ISO images",
        a=a,
        b=b,
        rule=Rule.MORE,
        target=more * _MOST_KEPT / _KIB / _KIB,
        unit="MiB",
        nominal=nominal,
        note=_computed(slope, median(a) - slope * len(many), "MiB"),
    )


def _mounted(
    bench: Bench, many: Sequence[Path], few: Sequence[Path], *, nominal: bool
) -> Iterator[Result]:
    """Yield what a mount of *many* images takes, beside one of *few*."""
    large, small = alternate(
        bench.runs, lambda: _mount(bench, many), lambda: _mount(bench, few)
    )
    more = len(many) - len(few)
    for at, what, unit, target in (
        (0, "mount + ls of the root", "s", 0.0),
        (1, "memory of its processes", "MiB", more * _MOST_KEPT / _KIB / _KIB),
        (2, "descriptors of its worker", "", float(more)),
    ):
        a, b = ([each[at] for each in those] for those in (large, small))
        slope = _slope(a, b, more)
        yield Comparison(
            row=_ROW,
            what=f"{what}, {len(many):,} ISO images",
            against=f"{len(few):,} ISO images",
            a=a,
            b=b,
            rule=Rule.MORE,
            target=target or more * 0.01,
            unit=unit,
            nominal=nominal,
            note=_computed(slope, median(a) - slope * len(many), unit),
        )


def _mount(bench: Bench, images: Sequence[Path]) -> tuple[float, float, float]:
    """Return seconds, MiB of memory, and the most descriptors of a process."""
    with bench.mounts.dicomfs(*images) as mount:
        wall = mount.mounting.wall + mount.time_of("ls", mount.place)
        held = [len([*Path(f"/proc/{pid}/fd").iterdir()]) for pid in mount.processes]
        memory = Memory.of(mount.processes).proportional / _KIB / _KIB
        return wall, memory, max(held)


def _opens(
    bench: Bench, images: Sequence[Path], name: str, command: Sequence[str]
) -> Iterator[Result]:
    """Yield how often a *command* opens images: each of them once."""
    prefix = bench.folder / f"trace-shelf-{command[0]}"
    try:
        run([*strace_into(prefix), *DICOMFS, *command, *images])
        found = counts(prefix, {str(image) for image in images})
    except BenchError as error:
        yield Missing(_ROW, f"opens of images, {name}", str(error), failed=True)
        return
    yield Comparison(
        row=_ROW,
        what=f"opens of images, {name}, {len(images):,} ISO images",
        against="images",
        a=[found.opens],
        b=[len(images)],
        rule=Rule.COUNT,
        unit="",
        note="as many for ten times as many: each is opened once",
    )


def _computed(slope: float, rest: float, unit: str) -> str:
    """Return what 10,000 images would take, by the *slope* for one more image."""
    amount = f"{rest + slope * _COMPUTED:,.1f} {unit}".rstrip()
    return f"{_COMPUTED:,} images would take {amount}, by calculation from the slope"


def _slope(many: Sequence[float], few: Sequence[float], more: int) -> float:
    """Return what one image more takes, the median over pairs."""
    return median(a - b for a, b in zip(many, few, strict=True)) / more
