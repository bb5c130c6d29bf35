"""Row 16: the pictures of what is in sight of a large series, from a slow drive."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from scripts.benchmark.bench import Bench
from scripts.benchmark.index import walk_down
from scripts.benchmark.mounts import Drive, Mount
from scripts.benchmark.processes import alternate, python, time_of
from scripts.benchmark.result import Comparison, Result
from scripts.benchmark.sizes import KIB
from tests.build import medium as build
from tests.build.pixels import instance

# So many icons fit into a window of a file manager.
_IN_SIGHT: Final = 40
_SIDE: Final = 128
# What is read of the disc besides the files: the kernel reads ahead.
_MOST_READ: Final = 1.5
_MOST_TIME: Final = 4
_COLD: Final = "everything cold, the drive and the painter too, for each run"

# As Thunar does: one after the other.
_LOOK: Final = """
import os, sys
for name in sys.argv[2:]:
    with open(os.path.join(sys.argv[1], name), "rb") as file:
        assert file.read(4) == b"\\x89PNG"
"""
_READ: Final = """
import sys
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        file.read()
"""


def in_sight(bench: Bench) -> Iterator[Result]:
    """Row 16: pictures of a series on a slow drive."""
    medium = _medium(bench.folder / "pictured", bench.sizes.pictured)
    files = sorted((medium / "DICOM").rglob("I*"))[:_IN_SIGHT]
    read: dict[str, list[int]] = {"mount": [], "pictures": [], "files": []}

    def ours() -> float:
        with (
            bench.mounts.drive(medium) as drive,
            bench.mounts.dicomfs(drive.place) as mount,
        ):
            series = walk_down(mount, levels=4)
            mount.run("ls", series)
        read["mount"].append(_bytes_of(drive))
        with (
            bench.mounts.drive(medium) as drive,
            bench.mounts.dicomfs(drive.place) as mount,
        ):
            elapsed = _look(mount)
        read["pictures"].append(_bytes_of(drive) - read["mount"][-1])
        return elapsed

    def raw() -> float:
        with bench.mounts.drive(medium) as drive:
            paths = [drive.place / each.relative_to(medium) for each in files]
            elapsed = time_of(python(_READ, *paths))
        read["files"].append(_bytes_of(drive))
        return elapsed

    a, b = alternate(bench.runs, ours, raw)
    what = f"slow drive: {_IN_SIGHT} pictures of a series of {bench.sizes.pictured:,}"
    against = "reading the same files"
    nominal = bench.is_nominal("pictured")
    yield Comparison(
        row=16,
        what=f"{what}, until the last one is there",
        against=against,
        a=a,
        b=b,
        target=_MOST_TIME,
        nominal=nominal,
        cache=_COLD,
    )
    yield Comparison(
        row=16,
        what=f"{what}, read for them",
        against=against,
        a=[each / KIB for each in read["pictures"]],
        b=[each / KIB for each in read["files"]],
        target=_MOST_READ,
        unit="KiB",
        nominal=nominal,
        cache=_COLD,
    )


def _look(mount: Mount) -> float:
    """Return how long it takes to see the first pictures of the series."""
    series = walk_down(mount, levels=4)
    names = sorted(mount.run("ls", series).splitlines())[:_IN_SIGHT]
    digests = [hashlib.md5(each.encode()).hexdigest() for each in names]
    shared = series / ".sh_thumbnails/normal"
    return mount.time_of(*python(_LOOK, shared, *(f"{each}.png" for each in digests)))


def _bytes_of(drive: Drive) -> int:
    """Return how many bytes a drive has read, which has ended."""
    found: int = json.loads(drive.report.read_text())["bytes"]
    return found


def _medium(place: Path, images: int) -> Path:
    """Return a medium with one series of so many images that have pixels."""
    chance = np.random.default_rng(1)
    slices = []
    for number in range(1, images + 1):
        uid = f"2.25.9.9.{number}"
        content = instance(
            chance.integers(0, 4096, (_SIDE, _SIDE), np.uint16),
            SOPInstanceUID=uid,
            PatientName="Bench^Pictures",
            PatientID="B-Pictures",
        )
        file = f"DICOM/S0000001/I{number:07d}"
        slices.append(
            build.image(uid, number=number, file=file, content=content, size=None)
        )
    study = build.study("2.25.9.9", [build.series("2.25.9.9.0", slices)])
    build.write_medium(place, [build.patient("Bench^Pictures", "B-Pictures", [study])])
    return place
