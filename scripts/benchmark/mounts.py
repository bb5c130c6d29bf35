"""Mount dicomfs, bindfs and the slow drive; whatever happens, nothing stays mounted."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from scripts.benchmark.processes import (
    DICOMFS,
    NOTHING,
    BenchError,
    Taken,
    cpu_of,
    end,
    environment,
    marked,
    run,
    taken,
    until,
)
from scripts.benchmark.sizes import MIB

_NOBODY: Final = 65534


@dataclass(frozen=True, slots=True)
class User:
    """Who mounts and reads: us, or with *prefix* an ordinary user."""

    prefix: tuple[str, ...] = ()
    dicomfs_prefix: tuple[str, ...] = ()
    note: str = ""

    def owns(self, folder: Path) -> None:
        """Give *folder* to this user."""
        if self.prefix:
            os.chown(folder, _NOBODY, _NOBODY)


US: Final = User()


def ordinary_user() -> User:
    """Return an ordinary user who can run dicomfs; BenchError if there is none."""
    if os.getuid() != 0:
        return US
    ids = ("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups")
    capability = "+dac_read_search"
    reaching = (*ids, "--inh-caps", capability, "--ambient-caps", capability)
    note = "the interpreter lies in a closed folder: dicomfs may look into such (CAP_DAC_READ_SEARCH)"
    for user in (User(ids, ids), User(ids, reaching, note)):
        with contextlib.suppress(BenchError):
            run([*user.dicomfs_prefix, *DICOMFS, "--help"])
            return user
    raise BenchError("the interpreter is out of an ordinary user's reach")


@dataclass(frozen=True, slots=True)
class Mount:
    """Something that is mounted on *place*."""

    place: Path
    mark: str
    user: User = US
    mounting: Taken = NOTHING  # what mounting took, with whoever serves it

    @property
    def processes(self) -> list[int]:
        """Whoever serves it."""
        return marked(self.mark)

    def run(self, *command: str | Path) -> str:
        """Run *command* as the user who mounted."""
        return run([*self.user.prefix, *command])

    def taken(self, *command: str | Path) -> Taken:
        """Return what *command* takes, run as the user who mounted."""
        return taken([*self.user.prefix, *command], of=self.mark)

    def time_of(self, *command: str | Path) -> float:
        """Return how long *command* takes, run as the user who mounted."""
        return self.taken(*command).wall


@dataclass(frozen=True, slots=True)
class Mounts:
    """Mounts on folders below *folder*, which is readable for all."""

    folder: Path

    @contextlib.contextmanager
    def dicomfs(
        self,
        *sources: Path | str,
        user: User = US,
        wrapper: Sequence[str] = (),
        options: Sequence[str] = (),
        name: str = "",
    ) -> Iterator[Mount]:
        """Mount *sources* with dicomfs; with *wrapper* in front, do not wait for it.

        The folder of the mount has this *name*, or a new one.
        """
        command = [*user.dicomfs_prefix, *wrapper, *DICOMFS, "mount", *options]
        command += map(str, sources)
        with self._mounted(command, user, name, waits=not wrapper) as mount:
            yield mount

    @contextlib.contextmanager
    def bindfs(self, source: Path, user: User = US) -> Iterator[Mount]:
        """Mount *source* with bindfs, read-only as dicomfs is."""
        command = [*user.prefix, "bindfs", "-r", "--no-allow-other", str(source)]
        with self._mounted(command, user) as mount:
            yield mount

    @contextlib.contextmanager
    def drive(self, source: Path) -> Iterator["Drive"]:
        """Put the medium *source* into a slow drive."""
        report = Path(tempfile.mkdtemp(dir=self.folder)) / "report"
        module = ["-P", "-m", "scripts.benchmark.drive"]
        command = [sys.executable, *module, str(report), str(source)]
        drive = Drive(report)
        with self._mounted(command, US, waits=False) as mount:
            drive.mounted.append(mount.place)
            yield drive
        if not report.exists():
            raise BenchError("the slow drive did not end well")

    @contextlib.contextmanager
    def _mounted(
        self, command: list[str], user: User, name: str = "", *, waits: bool = True
    ) -> Iterator[Mount]:
        place = self.folder / name
        if name:
            place.mkdir()
        else:
            place = Path(tempfile.mkdtemp(dir=self.folder))
        user.owns(place)
        mark = uuid.uuid4().hex
        full = [*command, str(place)]
        try:
            with contextlib.ExitStack() as stack:
                mounting = NOTHING
                if waits:
                    mounting = taken(full, mark)
                    mounting += Taken(0.0, cpu_of(marked(mark)))
                else:
                    stack.enter_context(_beside(full, mark, place))
                if not is_mounted(place):
                    raise BenchError(f"{full[0]} mounted nothing")
                try:
                    yield Mount(place, mark, user, mounting)
                finally:
                    unmount(place)
        finally:
            unmount(place)
            end(mark)
            place.rmdir()


@dataclass(frozen=True, slots=True)
class Drive:
    """A slow drive with a medium in it; what it did is known when it has ended."""

    report: Path
    mounted: list[Path] = field(default_factory=list)

    @property
    def place(self) -> Path:
        """Where the medium appears."""
        return self.mounted[0]

    def __str__(self) -> str:
        did = json.loads(self.report.read_text())
        return f"{did['seeks']} seeks and {did['bytes'] / MIB:.2f} MiB"


@contextlib.contextmanager
def _beside(command: list[str], mark: str, place: Path) -> Iterator[None]:
    """Run *command* until the mount that it makes on *place* has gone."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command,
            env=environment(mark),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        try:
            until(lambda: is_mounted(place) or process.poll() is not None)
            if not is_mounted(place):
                said.seek(0)
                raise BenchError(f"{command[0]} failed: {said.read().strip()[-500:]}")
            yield
        finally:
            unmount(place)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def mountpoints() -> list[Path]:
    """Return where something is mounted, without touching it."""
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    return [Path(os.fsdecode(_plain(line.split(b" ")[4]))) for line in lines]


def _plain(escaped: bytes) -> bytes:
    return re.sub(rb"\\(\d{3})", lambda octal: bytes([int(octal[1], 8)]), escaped)


def is_mounted(place: Path) -> bool:
    """Whether something is mounted on *place*; does not touch it."""
    return place in mountpoints()


def unmount(place: Path) -> None:
    """Take away what is mounted on *place*: gently first, then in any case."""
    gently = ["fusermount3", "-u", str(place)]
    commands = [gently, gently, ["fusermount3", "-uz", str(place)]]
    for command in [*commands, ["umount", "-l", str(place)]]:
        if not is_mounted(place):
            return
        with contextlib.suppress(BenchError):
            run(command)
            continue
        until(lambda: not is_mounted(place), seconds=0.5)


@contextlib.contextmanager
def work_folder(parent: Path) -> Iterator[Path]:
    """Make a folder below *parent* for everything; remove it with all mounts in it."""
    folder = Path(tempfile.mkdtemp(prefix="dicomfs-bench-", dir=parent)).resolve()
    folder.chmod(0o755)  # an ordinary user reads the media too
    try:
        yield folder
    finally:
        for place in reversed(mountpoints()):
            if folder in place.parents:
                unmount(place)
        shutil.rmtree(folder, ignore_errors=True)
