"""Row 9: what is left of the speed of a slow drive (see ``drive`` for the drive)."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from scripts.benchmark.bench import Bench
from scripts.benchmark.checking import HEAD_SIZE, LOOKING, SCAN
from scripts.benchmark.files import copied
from scripts.benchmark.index import IMPORTS, walk_down
from scripts.benchmark.media import memory_folder
from scripts.benchmark.mounts import work_folder
from scripts.benchmark.processes import (
    DICOMFS,
    BenchError,
    Taken,
    alternate,
    python,
    run,
    taken,
    time_of,
)
from scripts.benchmark.result import Comparison, Result
from scripts.benchmark.sizes import Study

_PATIENTS: Final = 3  # as on a disc: few, with many images each
_RECORDS: Final = 5_000
_TARGET: Final = 1.2
_COLD: Final = "everything cold, the drive too, for each run"

# The DICOMDIR's first bytes, and each root record: what names the root's folders.
_ROOT_RECORDS: Final = """
import sys
from pydicom import dcmread
dataset = dcmread(sys.argv[1])
records = {each.seq_item_tell: each for each in dataset.DirectoryRecordSequence}
at = dataset.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity
print(0)
while at:
    print(at)
    at = records[at].OffsetOfTheNextDirectoryRecord
"""

_READ_BEGINNINGS: Final = """
import os, sys
for path in sys.argv[2:]:
    fd = os.open(path, os.O_RDONLY)
    left = int(sys.argv[1])
    while left > 0 and (data := os.read(fd, min(left, 2**18))):
        left -= len(data)
    os.close(fd)
"""

_READ_PAGES: Final = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
for offset in map(int, sys.argv[2:]):
    os.pread(fd, 4096, offset & -4096)
"""


def slow_drive(bench: Bench) -> Iterator[Result]:
    """Row 9: mounting from a slow drive, and copying a series from it."""
    yield _root(bench, bench.media.index(_RECORDS, patients=_PATIENTS))
    for size in ("slow_series", "slow_large"):
        yield _series(bench, size)
    for what, command in LOOKING.items():
        yield _looking(bench, what, command)


def _root(bench: Bench, medium: Path) -> Comparison:
    offsets = run(python(_ROOT_RECORDS, medium / "DICOMDIR")).split()
    did: dict[str, str] = {}

    def ours() -> float:
        with (
            bench.mounts.drive(medium) as drive,
            bench.mounts.dicomfs(drive.place) as mount,
        ):
            elapsed = mount.mounting.wall + mount.time_of("ls", mount.place)
        did["dicomfs"] = str(drive)
        return elapsed

    def raw() -> float:
        starting = time_of(IMPORTS)
        with bench.mounts.drive(medium) as drive:
            read = python(_READ_PAGES, drive.place / "DICOMDIR", *offsets)
            elapsed = time_of(read) - time_of(python(""))
        did["the raw medium"] = f"{drive} in {elapsed:.3f} s"
        return starting + elapsed

    a, b = alternate(bench.runs, ours, raw)
    return Comparison(
        row=9,
        what=f"slow drive: mount + ls of the root, {_RECORDS:,} records",
        against="imports of row 1 + reading the root records",
        a=a,
        b=b,
        target=_TARGET,
        cache=_COLD,
        note=_told(did),
    )


def _series(bench: Bench, size: str) -> Comparison:
    study: Study = getattr(bench.sizes, size)
    medium = bench.media.study(study)
    files = sorted((medium / "DICOM").rglob("I*"))
    did: dict[str, str] = {}
    with bench.mounts.dicomfs(medium) as mount:
        below = walk_down(mount, levels=4).relative_to(mount.place)
        if len(mount.run("ls", mount.place / below).splitlines()) != len(files):
            raise BenchError("the first series is not all of the study")
    parent = memory_folder(study.images * study.size) or bench.folder
    with work_folder(parent) as target:

        def ours() -> float:
            with (
                bench.mounts.drive(medium) as drive,
                bench.mounts.dicomfs(drive.place) as mount,
            ):
                elapsed = copied(mount.place / below, target).wall
            did["dicomfs"] = str(drive)
            return elapsed

        def raw() -> float:
            with bench.mounts.drive(medium) as drive:
                elapsed = _copy_in_order(drive.place, medium, files, target)
            did["the raw medium"] = str(drive)
            return elapsed

        a, b = alternate(bench.runs, ours, raw)
    return Comparison(
        row=9,
        what=f"slow drive: cp -r of a series of {study}",
        against="cp of the same files in physical order",
        a=a,
        b=b,
        target=_TARGET,
        nominal=bench.is_nominal(size),
        cache=_COLD,
        note=_told(did),
    )


def _looking(bench: Bench, what: str, command: Sequence[str]) -> Comparison:
    """Compare looking at all files with reading as much of them in physical order."""
    study = bench.sizes.slow_series
    medium = bench.media.study(study)
    files = [medium / "DICOMDIR", *sorted((medium / "DICOM").rglob("I*"))]
    # A scan reads no further than it has to.
    most = HEAD_SIZE if what == SCAN else study.size
    did: dict[str, str] = {}

    def ours() -> Taken:
        with bench.mounts.drive(medium) as drive:
            found = taken([*DICOMFS, *command, drive.place])
        did["dicomfs"] = str(drive)
        return found

    def raw() -> Taken:
        with bench.mounts.drive(medium) as drive:
            paths = [drive.place / each.relative_to(medium) for each in files]
            found = taken(python(_READ_BEGINNINGS, str(most), *paths))
        did["the raw medium"] = str(drive)
        return found

    pairs = alternate(bench.runs, ours, raw)
    return Comparison(
        row=9,
        what=f"slow drive: {what} of {study}",
        against="the same files, read in physical order",
        target=_TARGET,
        nominal=bench.is_nominal("slow_series"),
        cache=_COLD,
        note=_told(did),
    ).timed(*pairs)


def _copy_in_order(drive: Path, medium: Path, files: list[Path], target: Path) -> float:
    place = target / "raw"
    place.mkdir()
    try:
        paths = [drive / each.relative_to(medium) for each in files]
        return time_of(["cp", *paths, place])
    finally:
        shutil.rmtree(place)


def _told(did: dict[str, str]) -> str:
    return "in the last run " + ", ".join(f"{who}: {what}" for who, what in did.items())
