"""Mounts whose processes are killed, stopped or starved, in every combination.

    scripts/lifecycle [--runs 50] [--jobs 4]

Of each combination it is counted how often a dead mount stayed, or a process. What is
left out: all three killed, and all three stopped, as then there is nobody to act.

The commands are run by forks of this process, which has all of dicomfs loaded; so a run
costs little. This process adopts what they leave behind, and so finds all of it.
"""

import argparse
import contextlib
import ctypes
import datetime
import itertools
import math
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from dicomfs.cli import main as command_line
from dicomfs.cli import sources
from dicomfs.mount import worker
from dicomfs.sandbox import loading
from tests.build.medium import image, patient, series, study, write_medium
from tests.support import mounting

NOBODY: Final = 65534
# How long all may take to end, on a machine that has much else to do.
LONGEST: Final = 20.0
IMAGES: Final = 4
SIZE: Final = 300_000

_PR_SET_CHILD_SUBREAPER: Final = 36
_CLONE_NEWNS: Final = 0x20000
_WALL: Final = 0x40000000
# Loaded once, and by who may: dicomfs may lie where an ordinary user may not read.
_LOADED: Final = worker

ALONE: Final = "-"
KILLED: Final = "killed"
STOPPED: Final = "stopped"
STARVED: Final = "starved"
WATCHING: Final = (ALONE, KILLED, STOPPED, STARVED)
SERVING: Final = (ALONE, KILLED, STOPPED)


class Case(NamedTuple):
    """What is done to each of the processes of a mount, which may be *busy*."""

    supervisor: str
    watcher: str
    worker: str
    busy: bool

    @property
    def is_starved(self) -> bool:
        """Whether a process may start no other one, which root always may."""
        return STARVED in self[:3]

    def __str__(self) -> str:
        return " ".join([*self[:3], "busy" if self.busy else "idle"])


def cases() -> list[Case]:
    """Return all combinations but those in which nobody is left who could act."""
    nobody_left = [(KILLED,) * 3, (STOPPED,) * 3]
    return [
        Case(*treated, busy)
        for treated in itertools.product(WATCHING, WATCHING, SERVING)
        for busy in (False, True)
        if treated not in nobody_left
    ]


class Outcome(NamedTuple):
    """What became of a mount: how it failed to end, and how many seconds it took."""

    failures: tuple[str, ...]
    seconds: float


def write(folder: Path) -> Path:
    """Write a small medium that all can read."""
    images = [image(f"1.2.3.{n}", number=n, size=SIZE) for n in range(1, IMAGES + 1)]
    person = patient("Doe^Jane", "1", [study("1.2", [series("1", images)])])
    write_medium(folder, [person])
    return folder


def run(case: Case, number: int, medium: Path, folder: Path) -> Outcome:
    """Mount *medium* in *folder*, do to it what *case* says, and see how it ends.

    The *number* of the run says whose mount it is, whether a folder above it is
    renamed, and how it is ended. This process has to be a subreaper.
    """
    chance = random.Random(f"{case} {number}")
    is_roots = os.getuid() == 0 and number % 2 == 0 and not case.is_starved
    above = Path(tempfile.mkdtemp(dir=folder))
    place = above / "parent" / "mnt"
    place.mkdir(parents=True)
    user = None if is_roots or os.getuid() else NOBODY
    if user:
        for each in (above, place.parent, place):
            os.chown(each, user, user)
    try:
        with _watchdog():
            return _tried(case, chance, medium, place, user)
    finally:
        _clear(above)


def _tried(
    case: Case, chance: random.Random, medium: Path, place: Path, user: int | None
) -> Outcome:
    log = place.parent.parent / "log"
    mount = ["mount", "--log-file", str(log), str(medium), str(place)]
    if code := command(mount, user, log):
        return Outcome((f"mounting failed with {code}: {log.read_text()}",), 0.0)
    device = _device(place)
    above = place.parent.parent
    # On a loaded machine the watcher may have got no turn yet.
    assert mounting.until(lambda: "dicomfs-watcher" in map(_name, _below()))
    supervisor, *others = _below()
    roles = {_name(pid).removeprefix("dicomfs-"): pid for pid in others}
    roles["supervisor"] = supervisor
    if chance.random() < 0.5:
        place = place.parent.rename(place.parent.with_name("renamed")) / "mnt"
    reader = _reader(place, user) if case.busy else None
    if reader:
        time.sleep(chance.random() * 0.05)
    _treat(case, roles, user)
    began = time.monotonic()
    if case.worker != KILLED:
        if case.supervisor in {ALONE, STARVED} and chance.random() < 0.5:
            mounting.send(signal.SIGTERM, roles["supervisor"])
        else:
            command(["umount", "--lazy", str(place)], user, log)
    if reader:
        mounting.send(signal.SIGKILL, reader)
    _until(lambda: not _mounted(device, above) and not _below())
    seconds = time.monotonic() - began
    failures = ["a dead mount stayed"] if _mounted(device, above) else []
    failures += [f"{_name(pid)} stayed, {_state(pid)}" for pid in _below()]
    return Outcome(tuple(failures), seconds)


def _treat(case: Case, roles: dict[str, int], user: int | None) -> None:
    """Do to each process what *case* says; those that are stopped are so first."""
    pids = (roles["supervisor"], roles["watcher"], roles["worker"])
    treated = list(zip(case[:3], pids, strict=True))
    for how, pid in treated:
        if how == STARVED:
            _starve(pid, user)
    for how, pid in treated:
        if how == STOPPED:
            mounting.send(signal.SIGSTOP, pid)
    for how, pid in treated:
        if how == KILLED:
            mounting.send(signal.SIGKILL, pid)


def _starve(pid: int, user: int | None) -> None:
    def limit() -> int:
        resource.prlimit(pid, resource.RLIMIT_NPROC, (0, 0))
        return 0

    assert os.waitpid(_forked(limit, user, None), 0)[1] == 0


# -- processes -------------------------------------------------------------------------


def adopt() -> None:
    """Let what is left behind below this process become its children."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def command(arguments: Sequence[str], user: int | None, said: Path) -> int:
    """Run dicomfs with *arguments* as *user*; return its exit code."""
    pid = _forked(lambda: command_line.main(list(arguments)), user, said)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _forked(work: Callable[[], int], user: int | None, said: Path | None) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        out = os.open(said or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        if user and said:
            said.chmod(0o666)
        for stream in (1, 2):
            os.dup2(out, stream)
        if user:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        code = work()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        os._exit(code)


def _reader(place: Path, user: int | None) -> int:
    """Start a process that reads files of the mount on *place* as long as it lives."""

    def read() -> int:
        _rename("reader")
        while True:
            with contextlib.suppress(OSError):
                for folder, _, names in os.walk(place):
                    for name in names:
                        fd = os.open(Path(folder, name), os.O_RDONLY)
                        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                        os.read(fd, SIZE)
                        os.close(fd)

    return _forked(read, user, None)


def _rename(name: str) -> None:
    ctypes.CDLL(None).prctl(15, name.encode(), 0, 0, 0)


def _below() -> list[int]:
    """Return all that lives below this process, parents first; the dead are buried."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG | _WALL) != (0, 0):
            pass
    found = [os.getpid()]
    parents = dict(mounting.parents())
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found[1:]


def _name(pid: int) -> str:
    return mounting.name_of(pid)


def _state(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return "gone"


# -- mounts ----------------------------------------------------------------------------


def _device(place: Path) -> bytes:
    (found,) = [
        line.split()[2]
        for line in Path("/proc/self/mountinfo").read_bytes().splitlines()
        if line.split()[4] == os.fsencode(place)
    ]
    return found


def _mounted(device: bytes, above: Path) -> bool:
    """Whether it is; meanwhile *device* may be that of a mount elsewhere."""
    return any(
        line.split()[2] == device and line.split()[4].startswith(os.fsencode(above))
        for line in Path("/proc/self/mountinfo").read_bytes().splitlines()
    )


def _until(condition: Callable[[], bool]) -> bool:
    return mounting.until(condition, LONGEST)


@contextlib.contextmanager
def _watchdog() -> Iterator[None]:
    """Raise TimeoutError when a run takes far too long."""

    def bark(*_: object) -> None:
        for pid in _below():
            mounting.send(signal.SIGKILL, pid)
        raise TimeoutError("the watchdog had to end it")

    before = signal.signal(signal.SIGALRM, bark)
    signal.alarm(round(5 * LONGEST))
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _clear(above: Path) -> None:
    """Leave nothing of a run, whatever became of it."""
    for pid in _below():
        mounting.send(signal.SIGKILL, pid)
    for place in list(mounting.mounts()):
        if place.startswith(os.fsencode(above) + b"/"):
            mounting.force_off(Path(os.fsdecode(place)))
    _until(lambda: not _below())
    shutil.rmtree(above, ignore_errors=True)


# -- all of them -----------------------------------------------------------------------


def share(
    tasks: Sequence[tuple[Case, int]],
    medium: Path,
    folder: Path,
    minutes: float = math.inf,
) -> list[tuple[Case, Outcome]]:
    """Do what *tasks* say, and return what came of it; in a process for this alone.

    None is begun after so many *minutes*.
    """
    latest = time.monotonic() + 60 * minutes
    adopt()
    loading.load((), ["dicomfs.cli.mount", "dicomfs.cli.umount"])
    sources.load(scan=False)
    done = []
    for case, number in tasks:
        if time.monotonic() > latest:
            break
        try:
            outcome = run(case, number, medium, folder)
        except Exception as error:  # noqa: BLE001 - it is one of many
            outcome = Outcome((f"{type(error).__name__}: {error}",), 0.0)
        for failure in outcome.failures:
            sys.stderr.write(f"{case}, run {number}: {failure}\n")
        done.append((case, outcome))
    return done


def table(outcomes: Iterable[tuple[Case, Outcome]]) -> str:
    """Return what came of it as lines of Markdown."""
    runs: Counter[Case] = Counter()
    dead: Counter[Case] = Counter()
    left: Counter[Case] = Counter()
    longest: dict[Case, float] = {}
    for case, (failures, seconds) in outcomes:
        runs[case] += 1
        dead[case] += any("dead mount" in each for each in failures)
        left[case] += bool(failures) and not all("dead mount" in f for f in failures)
        longest[case] = max(longest.get(case, 0.0), seconds)
    lines = [
        "| Supervisor | Watcher | Worker | Mount | Runs | Dead mounts | Left over | Longest |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case in cases():
        if runs[case]:
            state = "busy" if case.busy else "idle"
            cells = [*case[:3], state, runs[case], dead[case], left[case]]
            lines.append(f"| {' | '.join(map(str, cells))} | {longest[case]:.1f} s |")
    return "\n".join(lines)


def _move_away() -> None:
    """Leave the mounts that others see: a copy of one of ours would keep it alive."""
    if os.getuid() == 0:
        ctypes.CDLL(None).unshare(_CLONE_NEWNS)
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)


def main() -> int:
    """Run the command; return 1 if anything stayed."""
    parser = argparse.ArgumentParser(
        prog="scripts/lifecycle", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--runs", type=int, default=50, help="of each combination")
    parser.add_argument("--jobs", type=int, default=4, help="at the same time")
    parser.add_argument("--only", default="", help="combinations with these words")
    parser.add_argument(
        "--minutes",
        type=float,
        default=math.inf,
        help="end after that, complete or not",
    )
    given = parser.parse_args()
    _move_away()
    chosen = [case for case in cases() if given.only in str(case)]
    if os.getuid():
        sys.stderr.write("not root: no mount of root's is tried\n")
    tasks = [(case, number) for number in range(given.runs) for case in chosen]
    with tempfile.TemporaryDirectory(prefix="dicomfs-lifecycle-") as folder:
        Path(folder).chmod(0o755)
        medium = write(Path(folder) / "medium")
        shares = [
            (tasks[job :: given.jobs], medium, Path(folder), given.minutes)
            for job in range(given.jobs)
        ]
        with multiprocessing.get_context("fork").Pool(given.jobs) as pool:
            outcomes = list(itertools.chain(*pool.starmap(share, shares, chunksize=1)))
    failed = sum(bool(outcome.failures) for _, outcome in outcomes)
    today = datetime.datetime.now(tz=datetime.UTC).date()
    told = f"{today}: {len(outcomes)} runs, {failed} of them not as promised"
    sys.stdout.write(f"{told}\n\n{table(outcomes)}\n")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
