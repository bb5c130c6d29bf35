"""Rows 5 to 7: reading, copying and listing again, beside bindfs."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from scripts.benchmark.bench import Bench
from scripts.benchmark.index import walk_down
from scripts.benchmark.machine import file_system
from scripts.benchmark.media import memory_folder, need_room
from scripts.benchmark.mounts import US, Mount, User, ordinary_user, work_folder
from scripts.benchmark.processes import BenchError, alternate, python, run, time_of
from scripts.benchmark.result import Comparison, Missing, Result
from scripts.benchmark.sizes import MIB, Study

BINDFS: Final = "the same through bindfs -r"

_Mounting = Callable[[], AbstractContextManager[Mount]]

# bindfs lets attributes expire after a second. Somebody who looks again later than
# that is whom the row is about, whatever the size of the medium.
_STAT_EVERY_FILE: Final = """
import os, sys, time
paths = [os.path.join(up, name) for up, _, names in os.walk(sys.argv[1]) for name in names]
for path in paths:
    os.stat(path)
time.sleep(1.2)
start = time.perf_counter()
for path in paths:
    os.stat(path)
print(time.perf_counter() - start)
"""

_LIST_AGAIN: Final = """
import subprocess, sys, time
command = ["ls", "-lR", sys.argv[1]]
subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
time.sleep(1.2)
start = time.perf_counter()
subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
print(time.perf_counter() - start)
"""


# -- row 5 ---------------------------------------------------------------------


def reading(bench: Bench) -> Iterator[Result]:
    """Row 5: reading one large instance from its beginning to its end."""
    size = bench.sizes.instance
    need_room(bench.folder, size)
    disk = bench.media.instance(size, bench.folder)
    kind = file_system(bench.folder)
    for who, target in (("root", 1.0), ("not root", 1.5)):
        try:
            yield _read(bench, disk, f"{who}, {kind}", _user(who), target)
        except BenchError as error:
            yield Missing(5, _reading(size, f"{who}, {kind}"), str(error))
    shutil.rmtree(disk)
    yield _read_from_tmpfs(bench, size)


def _user(who: str) -> User:
    user = ordinary_user() if who == "not root" else US
    if who == "root" and not _is_root():
        raise BenchError("needs root")
    return user


def _is_root() -> bool:
    return run(["id", "-u"]).strip() == "0"


def _reading(size: int, where: str) -> str:
    return f"sequential read of {size // MIB:,} MiB ({where})"


def _read_from_tmpfs(bench: Bench, size: int) -> Result:
    what = "root, tmpfs: no RWF_NOWAIT"
    if not _is_root():
        return Missing(5, _reading(size, what), "needs root")
    parent = memory_folder(size)
    if parent is None:
        return Missing(5, _reading(size, what), "there is no tmpfs with enough room")
    with work_folder(parent) as folder:
        medium = bench.media.instance(size, folder)
        return _read(bench, medium, what, US, 1.5)


def _read(bench: Bench, medium: Path, where: str, user: User, target: float) -> Result:
    with bench.mounts.dicomfs(medium, user=user) as mount:
        below = _first_file(mount)
    raw = next((medium / "DICOM").iterdir())

    def through(mounting: _Mounting, file: Path) -> Callable[[], float]:
        def measure() -> float:
            time_of(["cat", raw])  # so that the medium is warm
            with mounting() as mount:
                return mount.time_of(
                    "dd", f"if={mount.place / file}", "of=/dev/null", "bs=1M"
                )

        return measure

    a, b = alternate(
        bench.runs,
        through(lambda: bench.mounts.dicomfs(medium, user=user), below),
        through(lambda: bench.mounts.bindfs(medium, user), raw.relative_to(medium)),
    )
    return Comparison(
        row=5,
        what=_reading(bench.sizes.instance, where),
        against=BINDFS,
        a=a,
        b=b,
        target=target,
        nominal=bench.is_nominal("instance"),
        cache="medium warm, both mounts made anew for each run and cold",
        note=user.note,
    )


def _first_file(mount: Mount) -> Path:
    """Return the path of the first instance, from the mountpoint on."""
    folder = walk_down(mount, levels=4)
    name = mount.run("ls", folder).splitlines()[0]
    return (folder / name).relative_to(mount.place)


# -- row 6 ---------------------------------------------------------------------


def copying(bench: Bench) -> Iterator[Result]:
    """Row 6: copying a study."""
    for study in bench.sizes.studies:
        yield _copy(bench, study)


def _copy(bench: Bench, study: Study) -> Result:
    size = study.images * (study.size + 4096)
    need_room(bench.folder, 2 * size)
    medium = bench.media.study(study)
    with bench.mounts.dicomfs(medium) as mount:
        below = walk_down(mount, levels=3).relative_to(mount.place)
    parent = memory_folder(size)
    with work_folder(parent or bench.folder) as target:

        def through(mounting: _Mounting, folder: Path) -> Callable[[], float]:
            def measure() -> float:
                time_of(["find", medium, "-type", "f", "-exec", "cat", "{}", "+"])
                with mounting() as mount:
                    return copy_time(mount.place / folder, target)

            return measure

        a, b = alternate(
            bench.runs,
            through(lambda: bench.mounts.dicomfs(medium), below),
            through(lambda: bench.mounts.bindfs(medium), Path("DICOM")),
        )
    return Comparison(
        row=6,
        what=f"cp -r of a study of {study}",
        against=BINDFS,
        a=a,
        b=b,
        target=1.0,
        nominal=bench.is_nominal("studies"),
        cache="medium warm, both mounts made anew for each run and cold",
        note="" if parent else "copied to a disk: there is no tmpfs with enough room",
    )


def copy_time(source: Path, target: Path) -> float:
    """Return how long ``cp -r`` takes to copy *source* below *target*."""
    place = Path(tempfile.mkdtemp(dir=target))
    try:
        return time_of(["cp", "-r", source, place])
    finally:
        shutil.rmtree(place)


# -- row 7 ---------------------------------------------------------------------


def looking_again(bench: Bench) -> Iterator[Result]:
    """Row 7: what the kernel can answer by itself, if it may."""
    study = bench.sizes.studies[-1]
    medium = bench.media.study(study)
    for what, code in (
        ("second ls -lR", _LIST_AGAIN),
        ("stat of every file", _STAT_EVERY_FILE),
    ):
        with bench.mounts.dicomfs(medium) as ours, bench.mounts.bindfs(medium) as other:
            a, b = alternate(bench.runs, _timer(code, ours), _timer(code, other))
        yield Comparison(
            row=7,
            what=f"{what}, {study.images:,} files",
            against=BINDFS,
            a=a,
            b=b,
            target=0.1,
            nominal=bench.is_nominal("studies"),
            cache="everything seen before, more than a second ago",
        )


def _timer(code: str, mount: Mount) -> Callable[[], float]:
    return lambda: float(run(python(code, mount.place)))
