"""Rows 5 to 7: reading, copying and listing again, beside bindfs."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, NamedTuple

from scripts.benchmark.bench import Bench
from scripts.benchmark.index import walk_down
from scripts.benchmark.machine import file_system
from scripts.benchmark.media import memory_folder, need_room, warm
from scripts.benchmark.mounts import US, Mount, User, ordinary_user, work_folder
from scripts.benchmark.processes import (
    DICOMFS,
    BenchError,
    Taken,
    alternate,
    cpu_of,
    python,
    run,
    taken,
    time_of,
)
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

_READ_WHOLE: Final = """
import sys
with open(sys.argv[1], "rb") as file:
    file.read()
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


def _readers(file: Path) -> Iterator[tuple[str, list[str | Path]]]:
    """Yield programs that read *file* to its end, and what people call them."""
    yield "cat", ["cat", file]
    yield "cp", ["cp", file, "/dev/null"]
    for size in ("1M", "64k"):
        yield f"dd bs={size}", ["dd", f"if={file}", "of=/dev/null", f"bs={size}"]
    # The interpreter that lies where an ordinary user reaches it, if there is one.
    interpreter = shutil.which("python3", path="/usr/bin") or sys.executable
    yield "Python read()", [interpreter, "-I", "-c", _READ_WHOLE, file]


READERS: Final = [name for name, _ in _readers(Path())]


def reading(bench: Bench) -> Iterator[Result]:
    """Row 5: reading one large instance from its beginning to its end."""
    size = bench.sizes.instance
    need_room(bench.folder, size)
    disk = bench.media.instance(size, bench.folder)
    kind = file_system(bench.folder)
    for who, target in (("root", 1.1), ("not root", 1.3)):
        for reader in READERS:
            where = f"{who}, {kind}"
            try:
                yield _read(bench, disk, where, _user(who), reader, target)
            except BenchError as error:
                yield Missing(5, _reading(size, reader, where), str(error))
    shutil.rmtree(disk)
    yield _read_from_tmpfs(bench, size)


def _user(who: str) -> User:
    user = ordinary_user() if who == "not root" else US
    if who == "root" and not _is_root():
        raise BenchError("needs root")
    return user


def _is_root() -> bool:
    return os.getuid() == 0


def _reading(size: int, reader: str, where: str) -> str:
    return f"{reader} of {size // MIB:,} MiB ({where})"


def _read_from_tmpfs(bench: Bench, size: int) -> Result:
    what, reader = "root, tmpfs: no RWF_NOWAIT", "dd bs=1M"
    if not _is_root():
        return Missing(5, _reading(size, reader, what), "needs root")
    parent = memory_folder(size)
    if parent is None:
        reason = "there is no tmpfs with enough room"
        return Missing(5, _reading(size, reader, what), reason)
    with work_folder(parent) as folder:
        medium = bench.media.instance(size, folder)
        return _read(bench, medium, what, US, reader, 1.5)


def _read(
    bench: Bench, medium: Path, where: str, user: User, reader: str, target: float
) -> Result:
    with bench.mounts.dicomfs(medium, user=user) as mount:
        below = _first_file(mount)
    raw = next((medium / "DICOM").iterdir())

    def through(mounting: _Mounting, file: Path) -> Callable[[], Taken]:
        def measure() -> Taken:
            time_of(["cat", raw])  # so that the medium is warm
            with mounting() as mount:
                return mount.taken(*dict(_readers(mount.place / file))[reader])

        return measure

    pairs = alternate(
        bench.runs,
        through(lambda: bench.mounts.dicomfs(medium, user=user), below),
        through(lambda: bench.mounts.bindfs(medium, user), raw.relative_to(medium)),
    )
    return Comparison(
        row=5,
        what=_reading(bench.sizes.instance, reader, where),
        against=BINDFS,
        target=target,
        nominal=bench.is_nominal("instance"),
        cache="medium warm, both mounts made anew for each run and cold",
        note=user.note,
    ).timed(*pairs)


def _first_file(mount: Mount) -> Path:
    """Return the path of the first instance, from the mountpoint on."""
    folder = walk_down(mount, levels=4)
    name = mount.run("ls", folder).splitlines()[0]
    return (folder / name).relative_to(mount.place)


# -- row 6 ---------------------------------------------------------------------


def copying(bench: Bench) -> Iterator[Result]:
    """Row 6: copying a study."""
    for study, target in zip(bench.sizes.studies, (1.2, 1.15), strict=True):
        size = study.images * (study.size + 4096)
        need_room(bench.folder, 2 * size)
        medium = bench.media.study(study)
        parent = memory_folder(size)
        note = "" if parent else "copied to a disk: there is no tmpfs with enough room"
        with work_folder(parent or bench.folder) as folder:
            copy = _Copy(bench, study, medium, folder, note)
            yield copy.beside_bindfs(target)
            yield copy.with_attributes()
            yield copy.without_mount()


class _Copy(NamedTuple):
    """A *study* on a *medium* that is copied to a *folder*."""

    bench: Bench
    study: Study
    medium: Path
    folder: Path
    note: str

    def beside_bindfs(self, target: float) -> Comparison:
        """Compare ``cp -r`` with the same through bindfs."""
        mounts = self.bench.mounts
        pairs = alternate(
            self.bench.runs,
            self._taken(lambda: mounts.dicomfs(self.medium), self._below, "-r"),
            self._taken(lambda: mounts.bindfs(self.medium), Path("DICOM"), "-r"),
        )
        return self._comparison("cp -r", BINDFS, target).timed(*pairs)

    def with_attributes(self) -> Comparison:
        """Compare ``cp -a``, which asks for more, with ``cp -r``."""
        mounts = self.bench.mounts
        all_of, plain = (
            self._taken(
                lambda: mounts.dicomfs(self.medium), self._below, option, serving=True
            )
            for option in ("-a", "-r")
        )
        pairs = alternate(self.bench.runs, all_of, plain)
        against = "cp -r; what the mount computes"
        return self._comparison("cp -a", against, 1.2).computed(*pairs)

    def without_mount(self) -> Comparison:
        """Compare ``dicomfs copy`` with a mount and ``cp -r``: both begin with nothing."""
        pairs = alternate(self.bench.runs, self._copied_apart, self._mounted_and_copied)
        return self._comparison("dicomfs copy", "mount and cp -r", 1).timed(*pairs)

    def _mounted_and_copied(self) -> Taken:
        below = self._below
        warm(self.medium)
        start = time.perf_counter()
        with self.bench.mounts.dicomfs(self.medium) as mount:
            mounted = time.perf_counter() - start
            computed = cpu_of(mount.processes)
            found = copied(mount.place / below, self.folder, "-r", mount.mark)
        return Taken(mounted + found.wall, computed + found.cpu)

    def _copied_apart(self) -> Taken:
        warm(self.medium)
        place = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            return taken([*DICOMFS, "copy", self.medium, place])
        finally:
            shutil.rmtree(place)

    def _comparison(self, what: str, against: str, target: float) -> Comparison:
        return Comparison(
            row=6,
            what=f"{what} of a study of {self.study}",
            against=against,
            target=target,
            nominal=self.bench.is_nominal("studies"),
            cache="medium warm, both mounts made anew for each run and cold",
            note=self.note,
        )

    @property
    def _below(self) -> Path:
        with self.bench.mounts.dicomfs(self.medium) as mount:
            return walk_down(mount, levels=3).relative_to(mount.place)

    def _taken(
        self, mounting: _Mounting, below: Path, option: str, *, serving: bool = False
    ) -> Callable[[], Taken]:
        def measure() -> Taken:
            warm(self.medium)
            with mounting() as mount:
                before = cpu_of(mount.processes)
                found = copied(mount.place / below, self.folder, option, mount.mark)
                served = cpu_of(mount.processes) - before
                return Taken(found.wall, served) if serving else found

        return measure


def copied(source: Path, target: Path, option: str = "-r", of: str = "") -> Taken:
    """Return what ``cp`` takes to copy *source* below *target*, and who serves it."""
    place = Path(tempfile.mkdtemp(dir=target))
    try:
        return taken(["cp", option, source, place], of=of)
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
