"""Rows 1 to 4, 13 and 18: how fast a medium is there, and what that takes."""

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Final

from scripts.benchmark.bench import Bench
from scripts.benchmark.mounts import Mount
from scripts.benchmark.processes import (
    DICOMFS,
    BenchError,
    Memory,
    Taken,
    alternate,
    python,
    run,
    settled_memory,
    taken,
    time_of,
)
from scripts.benchmark.result import Comparison, Result, Rule
from scripts.benchmark.sizes import KIB, MIB, Study

# As a command does it.
_SELDOM: Final = "import gc; gc.set_threshold(10_000)\n"
# All that a mount has loaded when it answers, in one process and nothing else.
IMPORTS: Final = python(
    f"{_SELDOM}import dicomfs.cli.main, dicomfs.cli.mount, dicomfs.mount.worker"
)
_IMPORTS: Final = "the imports of a mount, and nothing else"

_FILE_SET: Final = """
import sys
from pydicom.fileset import FileSet
FileSet(sys.argv[1])
"""

_DCMREAD: Final = """
import sys
from pydicom import dcmread
from scripts.benchmark.processes import Memory
before = Memory.of(["self"])
dataset = dcmread(sys.argv[1])
len(dataset.DirectoryRecordSequence)
print(Memory.of(["self"]).proportional - before.proportional)
"""

# A command in one process that keeps all rights.
_FREE: Final = """
import sys
from dicomfs.cli import apart, main, program

class Child(apart.Child):
    def confine_to(self, *_, **__):
        pass

apart.apart = lambda work, **_: work(Child([]))
"""
# That begins and ends as all do now; and as they did when none was confined.
_UNCONFINED: Final = {
    "the same in one process that keeps its rights": f"{_SELDOM}{_FREE}program.dicomfs()",
    "the same, as it was before it was confined": f"{_FREE}sys.exit(main.main())",
}
_STARTED: Final = (("tree",), ("check",), ("tree", "--scan"))
_FEW: Final = Study(20, 20 * KIB)
# Each is over in a moment.
_MORE_OFTEN: Final = 3

# On a busy machine the listing of a very large folder takes longer than a request may.
_PATIENT: Final = ["--deadline", "600"]
_COUNT: Final = 'find "$1" -type f | wc -l'


def mounting(bench: Bench) -> Iterator[Result]:
    """Row 1: mounting, beside the imports that it cannot do without."""
    places = [bench.media.index(records) for records in bench.sizes.indexes]
    alternate(1, _mounting(bench, places[0]), _importing)  # compiles what is imported
    for place, records in zip(places, bench.sizes.indexes, strict=True):
        pairs = alternate(bench.runs, _mounting(bench, place), _importing)
        yield Comparison(
            row=1,
            what=f"mount, {records:,} records",
            against=_IMPORTS,
            target=1.4,
            nominal=bench.is_nominal("records"),
            cache="DICOMDIR and Python warm",
        ).timed(*pairs)
    small, large = alternate(
        bench.runs, _mounting(bench, places[0]), _mounting(bench, places[-1])
    )
    yield Comparison(
        row=1,
        what=f"mount, {bench.sizes.indexes[-1]:,} records",
        against=f"mount, {bench.sizes.indexes[0]:,} records",
        target=1.1,
        nominal=bench.is_nominal("records"),
    ).timed(large, small)


def _mounting(bench: Bench, place: Path) -> Callable[[], Taken]:
    def measure() -> Taken:
        with bench.mounts.dicomfs(place) as mount:
            return mount.mounting

    return measure


def starting(bench: Bench) -> Iterator[Result]:
    """Row 18: commands on a small medium, beside themselves unconfined."""
    place = bench.media.study(_FEW)
    for command, (against, code) in product(_STARTED, _UNCONFINED.items()):
        confined: list[str | Path] = [*DICOMFS, *command, place]
        unconfined: list[str | Path] = [*python(code), *command, place]
        pairs = alternate(
            bench.runs * _MORE_OFTEN,
            partial(taken, confined),
            partial(taken, unconfined),
        )
        yield Comparison(
            row=18,
            what=f"dicomfs {' '.join(command)}, {_FEW.images} images",
            against=against,
            target=1.2,
            cache="medium and Python warm",
        ).timed(*pairs)


def _importing() -> Taken:
    return taken(IMPORTS)


def first_look(bench: Bench) -> Iterator[Result]:
    """Row 2: mounting and looking into one series, beside reading the File-set."""
    records = bench.sizes.file_set
    place = bench.media.index(records, files=True)

    def look() -> float:
        with bench.mounts.dicomfs(place) as mount:
            start = time.perf_counter()
            walk_down(mount, levels=4)
            return mount.mounting.wall + time.perf_counter() - start

    # FileSet takes minutes for a large index: its time hardly varies, so once must do.
    taken = [look() for _ in range(bench.runs)]
    yield Comparison(
        row=2,
        what=f"mount + ls of root, patient, study, series; {records:,} records",
        against="pydicom FileSet(path)",
        a=taken,
        b=[time_of(python(_FILE_SET, place / "DICOMDIR"))],
        target=0.01,
        nominal=bench.is_nominal("file_set"),
        cache="medium warm, mount cold",
        note="FileSet was measured once",
    )


def walk_down(mount: Mount, levels: int) -> Path:
    """List the root and the first folder below it, *levels* in all; return the last."""
    place = mount.place
    for level in range(levels):
        names = mount.run("ls", place).splitlines()
        if not names:
            raise BenchError("a folder of the mount is empty")
        if level < levels - 1:
            place /= names[0]
    return place


def listing(bench: Bench) -> Iterator[Result]:
    """Row 3: showing every file, beside DCMTK printing every record."""
    records = bench.sizes.listed
    place = bench.media.index(records, files=True)
    images = bench.media.images(place)

    def find() -> Taken:
        with bench.mounts.dicomfs(place) as mount:
            found = mount.taken("find", mount.place, "-type", "f")
            # Not of what is measured: by now the kernel knows all names.
            count = int(mount.run("sh", "-c", _COUNT, "sh", mount.place))
        if count != images:
            raise BenchError(f"find shows {count} files of {images}")
        return mount.mounting + found

    def tree() -> Taken:
        return taken([*DICOMFS, "tree", place])

    def dump() -> Taken:
        return taken(["dcmdump", place / "DICOMDIR"])

    for what, ours, target in (
        ("mount + find -type f", find, 1.0),
        ("dicomfs tree", tree, 0.8),
    ):
        pairs = alternate(bench.runs, ours, dump)
        yield Comparison(
            row=3,
            what=f"{what}, {records:,} records",
            against="dcmdump DICOMDIR > /dev/null",
            target=target,
            nominal=bench.is_nominal("listed"),
            cache="medium warm, mount cold",
        ).timed(*pairs)


def large_folder(bench: Bench) -> Iterator[Result]:
    """Row 13: one folder with very many images, listed twice while it is in use."""
    for files, which in ((True, "images"), (False, "images that are missing")):
        yield from _large_folder(bench, which, files=files)


def _large_folder(bench: Bench, which: str, *, files: bool) -> Iterator[Result]:
    images = bench.sizes.folder
    # Its patient, its study and its series.
    place = bench.media.index(
        images + 3, patients=1, images_per_series=images, files=files
    )
    first: list[Taken] = []
    second: list[Taken] = []
    for _ in range(bench.runs):
        with bench.mounts.dicomfs(place, options=_PATIENT) as mount:
            folder = walk_down(mount, levels=3)
            folder /= mount.run("ls", folder).splitlines()[0]
            first.append(mount.taken("ls", "-U", folder))
            used = os.open(folder, os.O_RDONLY)
            try:
                second.append(mount.taken("ls", "-U", folder))
            finally:
                os.close(used)
    for what, runs, target in (("first", first, 4.0), ("second", second, 0.5)):
        yield Comparison(
            row=13,
            what=f"{what} ls -U of one folder of {images:,} {which}",
            against="",
            rule=Rule.ALONE,
            target=target,
            nominal=bench.is_nominal("folder"),
            cache="medium warm, mount cold",
        ).timed(runs)


def memory(bench: Bench) -> Iterator[Result]:
    """Row 4: what all processes of the mount hold, in proportional set size."""
    small, _, large = bench.sizes.indexes
    of_small = [_mounted_memory(bench, small) for _ in range(bench.runs)]
    of_large = [_mounted_memory(bench, large) for _ in range(bench.runs)]
    resident = (of_large[-1].resident - of_small[-1].resident) / MIB
    private = (of_large[-1].private - of_small[-1].private) / MIB
    yield Comparison(
        row=4,
        what=f"memory after mounting {large:,} records",
        against=f"after mounting {small:,}",
        a=[each.proportional / MIB for each in of_large],
        b=[each.proportional / MIB for each in of_small],
        rule=Rule.MORE,
        target=10,
        unit="MiB",
        nominal=bench.is_nominal("records"),
        note="PSS of supervisor and worker together; "
        f"by RSS {resident:+.1f} MiB, private only {private:+.1f} MiB",
    )
    yield _growth(bench)


def _mounted_memory(bench: Bench, records: int) -> Memory:
    with bench.mounts.dicomfs(bench.media.index(records)) as mount:
        return settled_memory(mount.processes)


def _growth(bench: Bench) -> Comparison:
    records = bench.sizes.listed
    place = bench.media.index(records, files=True)
    with bench.mounts.dicomfs(place) as mount:
        before = settled_memory(mount.processes)
        mount.run("sh", "-c", _COUNT, "sh", mount.place)
        after = settled_memory(mount.processes)
    read = int(run(python(_DCMREAD, place / "DICOMDIR")))
    return Comparison(
        row=4,
        what=f"memory that find takes more, {records:,} records",
        against="that pydicom dcmread takes more",
        a=[(after.proportional - before.proportional) / MIB],
        b=[read / MIB],
        target=0.10,
        unit="MiB",
        nominal=bench.is_nominal("listed"),
        note=f"PSS; measured once; by RSS of all processes "
        f"{(after.resident - before.resident) / MIB:+.1f} MiB",
    )
