"""Rows 10 and 11: images and archives, many of them, beside folders."""

import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from scripts.benchmark.bench import Bench
from scripts.benchmark.media import need_room
from scripts.benchmark.processes import BenchError, alternate, python, run, time_of
from scripts.benchmark.result import Comparison, Missing, Result, Rule

# So many times as many discs may cost as many times as much, and no more.
_TIMES: Final = 10
_SHARED: Final = "Bench^Shared"
_DISCS_WITH_SHARED: Final = 2
_PAGE_RUN: Final = 64 * 1024
_READS: Final = 1000

# Opens images and looks at the root; then, behind a call that is easy to find in a
# trace, at the patient whom only some of the discs have.
_FIRST_LOOKS: Final = """
import json, os, sys, time
import dicomfs.media.formats
from dicomfs.findings import Findings
from dicomfs.media.opening import open_sources
from dicomfs.tree.selection import Selection
from dicomfs.fileset.open import file_sets_of
from dicomfs.tree.tree import Tree
from pathlib import Path
paths = [Path(each) for each in json.loads(sys.argv[1])]
start = time.perf_counter()
tree = Tree(file_sets_of(open_sources(paths), Findings()), read_headers=True)
root = tree.expand(tree.root)
print(time.perf_counter() - start)
os.access("/the-roots-are-known", os.F_OK)
waiting = [folder for name, folder in root.items() if "Shared" in name]
for folder in waiting:
    waiting += [node for node in tree.expand(folder).values() if isinstance(node, Selection)]
"""
_KNOWN: Final = "/the-roots-are-known"
_READ: Final = re.compile(r"^(?:pread64|preadv2?|read)\(\d+<([^>]*)>.* = (?!-)\d")

_RANDOM_READS: Final = """
import os, random, sys, time
size = int(sys.argv[2])
paths = sorted(os.path.join(up, name) for up, _, names in os.walk(sys.argv[1]) for name in names)
places = [(path, at) for path in paths for at in range(0, os.stat(path).st_size - size + 1, size)]
places = random.Random(11).sample(places, min(int(sys.argv[3]), len(places)))
start = time.perf_counter()
for path, at in places:
    fd = os.open(path, os.O_RDONLY)
    if len(os.pread(fd, size, at)) != size:
        sys.exit("a short read")
    os.close(fd)
print(time.perf_counter() - start)
"""


# -- row 10 --------------------------------------------------------------------


def many_discs(bench: Bench) -> Iterator[Result]:
    """Row 10: many images in one mount."""
    many = bench.sizes.discs
    images = bench.media.discs(many, _SHARED, _DISCS_WITH_SHARED)
    few = images[: many // _TIMES]
    nominal = bench.is_nominal("discs")
    large, small = alternate(bench.runs, _looking(images), _looking(few))
    yield Comparison(
        row=10,
        what=f"opening {many} ISO images and listing the root, each",
        against=f"of {len(few)} ISO images, each",
        a=[1000 * each / many for each in large],
        b=[1000 * each / len(few) for each in small],
        target=1.2,
        unit="ms",
        nominal=nominal,
        cache="images warm",
    )
    mounting, one = alternate(
        bench.runs, _mounting(bench, images), _mounting(bench, images[:1])
    )
    yield Comparison(
        row=10,
        what=f"mount + ls of the root, {many} ISO images",
        against="one ISO image",
        a=mounting,
        b=one,
        rule=Rule.MORE,
        target=1.0,
        nominal=nominal,
        cache="images warm",
    )
    yield from _reads(bench, images, few)


def _reads(bench: Bench, images: list[Path], few: list[Path]) -> Iterator[Result]:
    try:
        all_of, patient = _traced(bench, images)
        some_of, _ = _traced(bench, few)
    except BenchError as error:
        yield Missing(10, "what is read of many images", str(error), failed=True)
        return
    yield Comparison(
        row=10,
        what=f"reads of {len(images)} ISO images until the root is listed",
        against=f"{_TIMES} times those of {len(few)}",
        a=[sum(all_of.values())],
        b=[_TIMES * sum(some_of.values())],
        rule=Rule.BOUND,
        unit="",
    )
    yield Comparison(
        row=10,
        what="images read of to list one patient, the roots known",
        against="images with that patient",
        a=[len(patient)],
        b=[_DISCS_WITH_SHARED],
        rule=Rule.COUNT,
        unit="",
    )


def _looking(images: list[Path]) -> Callable[[], float]:
    return lambda: float(run(_first_looks(images)))


def _first_looks(images: list[Path]) -> list[str | Path]:
    return python(_FIRST_LOOKS, json.dumps([str(image) for image in images]))


def _mounting(bench: Bench, images: list[Path]) -> Callable[[], float]:
    def measure() -> float:
        with bench.mounts.dicomfs(*images) as mount:
            return mount.mounting.wall + mount.time_of("ls", mount.place)

    return measure


def _traced(bench: Bench, images: list[Path]) -> tuple[Counter[str], Counter[str]]:
    """Return how often each image was read before the roots were known, and after."""
    prefix = bench.folder / f"trace-discs-{len(images)}"
    calls = "trace=?pread64,?preadv,?preadv2,?read,?access,?faccessat,?faccessat2"
    strace = ["strace", "-ff", "-qq", "-y", "-s", "0", "-e", calls, "-o", str(prefix)]
    run([*strace, *_first_looks(images)])
    names = {str(image) for image in images}
    before, after = Counter[str](), Counter[str]()
    for trace in prefix.parent.glob(f"{prefix.name}.*"):
        counted = before
        for line in trace.read_text(errors="surrogateescape").splitlines():
            if _KNOWN in line:
                counted = after
            elif (found := _READ.match(line)) and found[1] in names:
                counted[found[1]] += 1
    if not before:
        raise BenchError("strace saw no read of an image")
    return before, after


# -- row 11 --------------------------------------------------------------------


def random_reads(bench: Bench) -> Iterator[Result]:
    """Row 11: reading at random places in images and archives."""
    study = bench.sizes.slow_series
    need_room(bench.folder, 3 * study.images * study.size)
    medium = bench.media.study(study)
    for kind, source in (
        ("an ISO image", bench.media.iso(medium)),
        ("a stored ZIP", _zipped(medium)),
    ):
        a, b = alternate(bench.runs, _reading(bench, source), _reading(bench, medium))
        yield Comparison(
            row=11,
            what=f"{_READS:,} random reads of 64 KiB, {kind}",
            against="the same in a folder",
            a=a,
            b=b,
            target=1.2,
            nominal=bench.is_nominal("slow_series"),
            cache="medium warm, mounts made anew for each run and cold",
        )


def _reading(bench: Bench, source: Path) -> Callable[[], float]:
    def measure() -> float:
        time_of(["find", source, "-type", "f", "-exec", "cat", "{}", "+"])
        with bench.mounts.dicomfs(source) as mount:
            # So that opening, and no listing, is what is measured beside reading.
            mount.run("find", mount.place)
            code = python(_RANDOM_READS, mount.place, str(_PAGE_RUN), str(_READS))
            return float(run(code))

    return measure


def _zipped(medium: Path) -> Path:
    place = medium.with_suffix(".zip")
    if not place.exists():
        with zipfile.ZipFile(place, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(medium.rglob("*")):
                archive.write(path, path.relative_to(medium))
    return place
