"""A system in which dicomfs is installed for mount(8), in a mount namespace of its own.

``/sbin`` has the helpers and ``/etc/fstab`` the lines of a test. What is mounted there is
mounted nowhere else, and gone with the last process of the namespace.
"""

import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support import mounting
from tests.support.mounting import ROOT, Finished, User, lack, need, need_root, run

_HELPERS: Final = {"mount.dicomfs": "mount_dicomfs", "dicomfs": "dicomfs"}
_UNSHARE: Final = ("unshare", "--mount", "--propagation", "private", "--", "sh", "-c")
_SBIN: Final = Path("/sbin").resolve()
_FSTAB: Final = Path("/etc/fstab")
# What was mounted elsewhere would otherwise live on here. Pairs of folders follow, of which
# each is put in the place of the next. At last it waits for the end of its input, our end.
_SET_UP: Final = """
umount --lazy --all --types fuse.dicomfs,fuse
set -e
while [ $# -gt 0 ]; do mount --rbind "$1" "$2"; shift 2; done
echo
exec cat
"""


@dataclass(frozen=True, slots=True)
class System:
    """A system with a process *pid* in it, and a file in the place of ``/etc/fstab``."""

    pid: int
    fstab: Path
    mark: str

    def run(self, *command: str | Path, user: User | None = None) -> Finished:
        """Run *command* in it, as root or as a *user*."""
        words = [str(word) for word in command]
        enter = ["nsenter", f"--mount=/proc/{self.pid}/ns/mnt", "--"]
        return run([*enter, *(user.command(words) if user else words)], mark=self.mark)

    def lines(self, *lines: str) -> None:
        """Have *lines* in fstab, and nothing else."""
        self.fstab.write_text("".join(f"{line}\n" for line in lines), "utf-8")

    def mounted(self) -> list[tuple[str, str, str]]:
        """Return source, mountpoint and options of all mounts of dicomfs."""
        table = Path(f"/proc/{self.pid}/mounts").read_text("utf-8").splitlines()
        rows = [line.split(" ") for line in table]
        return [(row[0], row[1], row[3]) for row in rows if row[2] == "fuse.dicomfs"]

    def serving(self) -> list[int]:
        """Return the processes that serve mounts."""
        return [pid for pid in mounting.marked(self.mark) if pid != self.pid]


@contextmanager
def system(folder: Path) -> Iterator[System]:
    """Make a system with its files in *folder*, which all users can look into."""
    need("unshare", "nsenter", "mount", "fusermount3", "mount.fuse3", "/dev/fuse")
    need_root()
    sbin, fstab = folder / "sbin", folder / "fstab"
    fstab.touch()
    _install(sbin)
    places = [sbin, _SBIN, fstab, _FSTAB, *_opened(folder / "opened")]
    mark = mounting.new_mark()
    with subprocess.Popen(
        [*_UNSHARE, _SET_UP, "sh", *map(str, places)],
        env=mounting.environment(mark),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        try:
            assert holder.stdout is not None
            if not holder.stdout.readline():
                lack("no mount namespace can be made")
            yield System(holder.pid, fstab, mark)
        finally:
            mounting.kill(*mounting.marked(mark))


def _install(sbin: Path) -> None:
    """Put the helpers into *sbin*, as an installation would, and that of FUSE."""
    sbin.mkdir()
    shutil.copy(_SBIN / "mount.fuse3", sbin)
    (sbin / "mount.fuse").symlink_to("mount.fuse3")
    for name, function in _HELPERS.items():
        code = f"from dicomfs.cli.program import {function} as f; f()"
        start = f"PYTHONPATH={ROOT} exec {sys.executable} -P -c '{code}'"
        (sbin / name).write_text(f'#!/bin/sh\n{start} "$@"\n', "utf-8")
        (sbin / name).chmod(0o755)


def _opened(folder: Path) -> Iterator[Path]:
    """Yield pairs that let all users run this Python, wherever it lies.

    What is closed to them gives way to a folder below *folder* in which nothing but that
    lies.
    """
    closed = {}
    for path in (Path(sys.base_prefix), Path(sys.prefix), ROOT):
        above = [
            each for each in path.parents if not each.stat().st_mode & stat.S_IXOTH
        ]
        if above:
            instead = folder / str(len(above[-1].parts)) / above[-1].name
            inside = instead / path.relative_to(above[-1])
            inside.mkdir(parents=True, exist_ok=True)
            yield from (path, inside)
            closed[above[-1]] = instead
    for place, instead in closed.items():
        yield from (instead, place)
