"""Row 14: looking at all files of a medium, to check it or in place of its index."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from scripts.benchmark.bench import Bench
from scripts.benchmark.media import cool, need_room, warm
from scripts.benchmark.processes import DICOMFS, Taken, alternate, python, taken
from scripts.benchmark.result import Comparison, Result
from scripts.benchmark.sizes import KIB, Study

SCAN: Final = "tree --studies --scan"
# What people call it, and its arguments.
LOOKING: Final = {"check": ["check"], SCAN: SCAN.split()}
# What a scan has to read of a file, and a kernel reads ahead with it.
HEAD_SIZE: Final = 16 * KIB

# One process, as cat is one: what is read is thrown away.
_CAT: Final = ["find", "-type", "f", "-exec", "cat", "{}", "+"]

_HEADERS: Final = """
import os, sys
from pydicom import dcmread
for up, _, names in os.walk(sys.argv[1]):
    for name in names:
        dcmread(os.path.join(up, name), stop_before_pixels=True)
"""


def looking_at_all(bench: Bench) -> Iterator[Result]:
    """Row 14: checking and scanning, beside reading the files and their headers."""
    for study in bench.sizes.checked:
        need_room(bench.folder, study.images * (study.size + 4096))
        medium = bench.media.study(study)
        for what, command in LOOKING.items():
            yield _cold(bench, study, medium, what, command)
            yield _warm(bench, study, medium, what, command)


def _cold(
    bench: Bench, study: Study, medium: Path, what: str, command: list[str]
) -> Comparison:
    def after_cooling(command: list[str | Path]) -> Callable[[], Taken]:
        def measure() -> Taken:
            cool(medium)
            return taken(command)

        return measure

    pairs = alternate(
        bench.runs,
        after_cooling([*DICOMFS, *command, medium]),
        after_cooling([_CAT[0], medium, *_CAT[1:]]),
    )
    cores = len(os.sched_getaffinity(0))
    return Comparison(
        row=14,
        what=f"{what} of {study}, not in the page cache",
        against="cat of all files",
        target=1.2,
        nominal=bench.is_nominal("checked"),
        cache=f"nothing of the files (POSIX_FADV_DONTNEED); {cores} cores",
    ).timed(*pairs)


def _warm(
    bench: Bench, study: Study, medium: Path, what: str, command: list[str]
) -> Comparison:
    warm(medium)
    pairs = alternate(
        bench.runs,
        lambda: taken([*DICOMFS, *command, medium]),
        lambda: taken(python(_HEADERS, medium / "DICOM")),
    )
    return Comparison(
        row=14,
        what=f"{what} of {study}, in the page cache",
        against="pydicom reading all headers",
        target=0.8,
        nominal=bench.is_nominal("checked"),
        cache="all files",
    ).computed(*pairs)
