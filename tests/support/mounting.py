"""Run dicomfs as people do: by its command line, in processes of its own.

Nothing here serves a mount from the test's own process: such a mount can hang beyond
SIGKILL. What is started carries a mark in its environment, by which all of it is found
again and ended, whatever it did to itself. Memory maps of a mounted file belong into a
process of their own too (``python``): a page fault holds the lock that the watchdog
needs.

The fixtures that hand this out are in ``conftest.py``; they are explained there.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pydicom
import pytest

from dicomfs.pictures.studio import can_paint

ROOT: Final = Path(__file__).resolve().parents[2]
SAMPLES: Final = Path(pydicom.__file__).parent / "data/test_files/dicomdirtests"

# Supervisor, watcher and worker, and the studio where there can be pictures; keeper and
# fetcher, too, if there are URLs.
OF_A_MOUNT: Final = 4 if can_paint() else 3

# How long anything may take before it is given up; not how long it takes.
PATIENCE: Final = 30.0

_PAINTERS: Final = ("studio", "painter", "brush")
_MARK: Final = "DICOMFS_TEST"
_SESSION: Final = uuid.uuid4().hex
_NOBODY: Final = 65534
_BAD_LOG_LINE: Final = re.compile(r": (WARNING|ERROR|CRITICAL): |Traceback")
_MAIN: Final = "from dicomfs.cli.program import dicomfs; dicomfs()"


def _command() -> list[str]:
    """Return what starts dicomfs: the installed command, else the code beside us."""
    installed = Path(sys.executable).parent / "dicomfs"
    return (
        [str(installed)] if installed.exists() else [sys.executable, "-P", "-c", _MAIN]
    )


COMMAND: Final = _command()


def changed(code: str) -> list[str]:
    """Return what starts dicomfs once *code* has changed something in it."""
    return [sys.executable, "-P", "-c", f"{code}\n{_MAIN}"]


# The same on a terminal, and how far it is shows at once.
IMPATIENT: Final = (
    *("env", "TERM=xterm"),
    *changed("from dicomfs.cli import terminal; terminal._SECONDS_UNSHOWN = 0"),
)

Finished = subprocess.CompletedProcess[str]


# -- waiting, and what the machine has -------------------------------------------------


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """Wait until *condition* holds; return whether it does within *seconds*."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def need(*tools: str) -> None:
    """Skip the test if one of *tools* is missing; where all are due, let it fail."""
    missing = [tool for tool in tools if not _is_there(tool)]
    if missing:
        lack(f"needs {', '.join(missing)}")


def need_packages(*names: str) -> None:
    """Skip the test if one of these packages is not installed, or let it fail."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        lack(f"needs {', '.join(missing)}")


def need_pictures() -> None:
    """Skip the test if the libraries of pictures are missing or too old, or let it fail."""
    if not can_paint():
        lack("needs the libraries of the extra pictures")


def lack(reason: str) -> None:
    """Skip the test for *reason*; with DICOMFS_REQUIRE_TOOLS=1 fail it."""
    if os.environ.get("DICOMFS_REQUIRE_TOOLS") == "1":
        pytest.fail(f"{reason}, and DICOMFS_REQUIRE_TOOLS=1")
    pytest.skip(reason)


def need_root() -> None:
    """Skip a test that only root can do; an ordinary user's run lacks nothing."""
    if os.getuid() != 0:
        pytest.skip("needs root")


def _is_there(tool: str) -> bool:
    if tool.startswith("/"):
        return os.access(tool, os.R_OK | os.W_OK)
    return shutil.which(tool, path=tool_path()) is not None


def tool_path() -> str:
    """Return the PATH with the folders that ordinary users do not look into."""
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


@contextlib.contextmanager
def loop_device(path: Path) -> Iterator[Path]:
    """Have the file at *path* as a block device, read-only, for a while."""
    need("losetup")
    need_root()
    made = run(["losetup", "--read-only", "--find", "--show", str(path)])
    if made.returncode:
        lack(f"no loop device can be made: {made.stderr.strip()}")
    device = made.stdout.strip()
    try:
        yield Path(device)
    finally:
        run(["losetup", "--detach", device])


# -- users -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class User:
    """Somebody without rights, and a folder of theirs; us, if we have none ourselves."""

    uid: int
    gid: int
    home: Path

    def command(self, command: Sequence[str]) -> list[str]:
        """Return *command* as this user would run it."""
        if os.getuid() == self.uid:
            return list(command)
        return [*self._setpriv(), *command]

    def dicomfs(self, *arguments: str) -> list[str]:
        """Return a dicomfs command as this user would run it.

        Where the interpreter lies in a folder closed to the user, dicomfs alone gets
        the right to look into such folders. It does not get around the modes of FUSE.
        """
        if os.getuid() == self.uid or self._reaches_dicomfs():
            return self.command([*COMMAND, *arguments])
        return self.starter([*COMMAND, *arguments])

    def starter(self, command: Sequence[str]) -> list[str]:
        """Return *command*, which may start dicomfs later, as this user would run it.

        It has the right to look into closed folders, as those of the interpreter may be.
        """
        if os.getuid() == self.uid:
            return list(command)
        capability = "+dac_read_search"
        extra = ["--inh-caps", capability, "--ambient-caps", capability]
        return [*self._setpriv(), *extra, *command]

    def owns(self, path: Path) -> Path:
        """Give *path* and all below it to this user; return it."""
        if os.getuid() != self.uid:
            for each in [path, *path.rglob("*")]:
                os.chown(each, self.uid, self.gid, follow_symlinks=False)
        return path

    def _setpriv(self) -> list[str]:
        user, group = f"--reuid={self.uid}", f"--regid={self.gid}"
        return ["setpriv", user, group, "--clear-groups"]

    def _reaches_dicomfs(self) -> bool:
        return run(self.command([*COMMAND, "--help"])).returncode == 0


def ordinary_user(home: Path) -> User:
    """Return an ordinary user with the folder *home*: us, or nobody if we are root."""
    if os.getuid() != 0:
        return User(os.getuid(), os.getgid(), home)
    need("setpriv")
    return User(_NOBODY, _NOBODY, home)


# -- processes -------------------------------------------------------------------------


def new_mark() -> str:
    """Return a mark for processes, of no other test."""
    return f"{_SESSION}.{uuid.uuid4().hex}"


def environment(mark: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a command: ours, *more*, and the *mark*."""
    path = os.pathsep.join(
        filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]),
    )
    ours = {**os.environ, "PATH": tool_path(), "PYTHONPATH": path, _MARK: mark}
    return ours | dict(more or {})


def run(
    command: Sequence[str | bytes],
    *,
    mark: str = _SESSION,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    seconds: float = PATIENCE,
) -> Finished:
    """Run *command* to its end, and to the end of whoever holds its stdout and stderr."""
    return subprocess.run(
        command,
        env=environment(mark, env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=seconds,
        check=False,
    )


def dicomfs(
    *arguments: str | Path,
    mark: str = _SESSION,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Finished:
    """Run dicomfs with *arguments*."""
    return run([*COMMAND, *map(str, arguments)], mark=mark, env=env, cwd=cwd)


@dataclass(frozen=True, slots=True)
class BarePython:
    """A Python that has pydicom, but neither pyfuse3 nor trio."""

    folder: Path

    def run(self, code: str, *arguments: str | Path) -> Finished:
        """Run *code*, by default dicomfs, with *arguments*."""
        path = os.pathsep.join([str(ROOT), str(self.folder / "packages")])
        command = [str(self.folder / "bin/python"), "-P", "-c", code]
        return run([*command, *map(str, arguments)], env={"PYTHONPATH": path})

    def dicomfs(self, *arguments: str | Path) -> Finished:
        """Run dicomfs with *arguments*."""
        return self.run(_MAIN, *arguments)


def make_bare_python(folder: Path) -> BarePython:
    """Make a virtual environment in *folder* that is as good as empty."""
    venv.create(folder, symlinks=True, with_pip=False)
    package = Path(pydicom.__file__).parent
    (folder / "packages").mkdir()
    for each in [package, *package.parent.glob("pydicom-*.dist-info")]:
        (folder / "packages" / each.name).symlink_to(each)
    return BarePython(folder)


def python(
    code: str, *arguments: str | Path, env: Mapping[str, str] | None = None
) -> str:
    """Run *code* in a Python of its own and return what it prints; it must not fail."""
    done = run([sys.executable, "-P", "-c", code, *map(str, arguments)], env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def marked(mark: str = _SESSION) -> list[int]:
    """Return the processes that carry *mark*, and those below them; no dead ones.

    By default all that this session of tests has started. Parents come first.
    """
    above = dict(parents())
    found = {pid for pid in above if _carries(pid, mark)}
    growing = True
    while growing:
        below = {pid for pid, parent in above.items() if parent in found} - found
        found |= below
        growing = bool(below)
    found.discard(os.getpid())
    return sorted(found, key=lambda pid: _depth(pid, above))


def parents() -> Iterator[tuple[int, int]]:
    """Yield all processes that live, each with its parent."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                # The name of the program comes first, in brackets, and may hold any.
                state, parent = (
                    (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                )
                if state not in "ZX":
                    yield int(entry.name), int(parent)


def name_of(pid: int) -> str:
    """Return what process *pid* is called where processes are listed."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _carries(pid: int, mark: str) -> bool:
    with contextlib.suppress(OSError):
        return f"{_MARK}={mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    return False


def _depth(pid: int, parents: Mapping[int, int]) -> int:
    depth = 0
    while pid in parents and parents[pid] != pid:
        pid, depth = parents[pid], depth + 1
    return depth


def send(number: signal.Signals, *pids: int) -> None:
    """Send a signal to processes one after the other; what has ended gets none.

    The first that gets it may have ended the others before it is their turn.
    """
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def kill(*pids: int) -> None:
    """End processes without asking."""
    send(signal.SIGKILL, *pids)


def kill_together(*pids: int) -> None:
    """End processes before one of them can do anything about the end of another."""
    before, (cpu, *_) = os.sched_getaffinity(0), sorted(os.sched_getaffinity(0))
    for pid in (0, *pids):
        os.sched_setaffinity(pid, {cpu})
    with contextlib.suppress(PermissionError):  # for root alone
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        kill(*pids)
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.sched_setaffinity(0, before)


# -- mounts ----------------------------------------------------------------------------


def mounts() -> dict[bytes, bytes]:
    """Return all mountpoints with their kind of file system, as the kernel has them."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        before, _, after = line.partition(b" - ")
        place = re.sub(
            rb"\\(\d{3})",
            lambda octal: bytes([int(octal[1], 8)]),
            before.split(b" ")[4],
        )
        found[place] = after.split(b" ")[0]
    return found


# They are not ours, dead or alive.
_MOUNTED_BEFORE: Final = frozenset(mounts())


def is_mounted(place: Path) -> bool:
    """Whether something is mounted on *place*; does not touch it."""
    return os.fsencode(place) in mounts()


def mounts_below(folder: Path) -> list[Path]:
    """Return all mountpoints below *folder*, whatever is mounted there, upper ones first."""
    found = [Path(os.fsdecode(place)) for place in mounts()]
    return [place for place in reversed(found) if folder in place.parents]


def force_off(place: Path) -> None:
    """Take away what is mounted on *place*, dead or alive, however often."""
    while is_mounted(place):
        done = run(["fusermount3", "-u", "-z", "--", os.fsencode(place)])
        if done.returncode and run(["umount", "-l", os.fsencode(place)]).returncode:
            break


@dataclass(eq=False)
class Mount:
    """A medium that is mounted on *place*, and who serves it."""

    source: Path | str
    place: Path
    log_file: Path
    mark: str
    foreground: "subprocess.Popen[str] | None" = None
    expected: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    said: str = ""

    @property
    def processes(self) -> list[int]:
        """All that serve it, at this moment: the supervisor, then those below it."""
        return marked(self.mark)

    @property
    def supervisor(self) -> int:
        """The process that mounted it, or has taken the place of that."""
        others = [f"dicomfs-{name}" for name in ("worker", "watcher", *_PAINTERS)]
        return next(pid for pid in self.processes if name_of(pid) not in others)

    @property
    def worker(self) -> int:
        """The process that answers."""
        return self._called("dicomfs-worker")

    @property
    def watcher(self) -> int:
        """The process that is there in case that the supervisor is not."""
        return self._called("dicomfs-watcher")

    @property
    def log(self) -> str:
        """What was logged so far."""
        if not self.log_file.exists():
            return ""
        return self.log_file.read_text(encoding="utf-8")

    def files(self) -> list[Path]:
        """Return all that is no folder below it, sorted."""
        found = [
            Path(folder, name)
            for folder, _, names in os.walk(self.place, onerror=_raise)
            for name in names
        ]
        return sorted(found)

    def structure(self) -> list[str]:
        """Return the paths of all that is below it, sorted, folders with a slash."""
        found = []
        for folder, folders, names in os.walk(self.place, onerror=_raise):
            above = Path(folder).relative_to(self.place)
            found += [f"{above / name}/" for name in folders]
            found += [str(above / name) for name in names]
        return sorted(found)

    def expect_log(self, pattern: str) -> None:
        """Expect a line in the log that *pattern* is found in; others still fail."""
        self.expected.append(pattern)

    def allow_log(self, pattern: str) -> None:
        """Let there be lines in the log that *pattern* is found in, now or later."""
        self.allowed.append(pattern)

    def _is_unmounted(self) -> bool:
        if is_mounted(self.place):
            run(["fusermount3", "-u", "--", os.fsencode(self.place)])
        return not is_mounted(self.place)

    def has_ended(self, seconds: float = PATIENCE) -> bool:
        """Whether nothing is mounted and nobody serves any more, within *seconds*."""
        return until(self._is_over, seconds)

    def unmount(self) -> None:
        """Unmount it as people do, and see that all of it ends."""
        # Who looked at it a moment ago may keep it busy.
        assert until(self._is_unmounted)
        assert self.has_ended(), f"still there: processes {self.processes}"

    def clear(self) -> None:
        """Leave nothing of it, whatever became of it."""
        force_off(self.place)
        kill(*self.processes)
        if self.foreground is not None:
            self.foreground.wait(PATIENCE)

    def check_log(self) -> None:
        """See that the log has the lines that are expected, and no others."""
        lines = [line for line in self.log.splitlines() if _BAD_LOG_LINE.search(line)]
        for pattern in self.expected:
            assert any(re.search(pattern, line) for line in lines), (pattern, lines)
        unexpected = [
            line
            for line in lines
            if not any(re.search(each, line) for each in self.expected + self.allowed)
        ]
        assert unexpected == [], unexpected

    def _called(self, name: str) -> int:
        (found,) = [pid for pid in self.processes if name_of(pid) == name]
        return found

    def _is_over(self) -> bool:
        if self.foreground is not None:
            self.foreground.poll()
        return not is_mounted(self.place) and not self.processes


def _raise(error: OSError) -> None:
    raise error


class Mounter:
    """Mounts media, on folders that it makes below *folder*."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[Mount] = []

    def __call__(
        self,
        source: Path | str,
        *options: str | Path,
        place: Path | None = None,
        user: User | None = None,
        foreground: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> Mount:
        """Mount *source* with *options* and return it when it answers.

        Further sources may be among the options. *foreground* keeps the process, so
        that its exit code can be seen.
        """
        need("fusermount3", "/dev/fuse")
        mount = self._prepare(source, place, user)
        arguments = [
            "mount",
            *(["--foreground"] if foreground else []),
            "--log-file",
            str(mount.log_file),
            *map(str, options),
            str(source),
            str(mount.place),
        ]
        command = user.dicomfs(*arguments) if user else [*COMMAND, *arguments]
        if foreground:
            self._start(mount, command, env)
        else:
            done = run(command, mark=mount.mark, env=env)
            assert done.returncode == 0, done.stderr
            mount.said = done.stderr
        assert is_mounted(mount.place)
        return mount

    def adopt(self, source: Path | str, place: Path) -> Mount:
        """Return what a test will mount by itself; it is ended like the others."""
        log_file = self.folder / f"log{len(self.made) + 1}"
        mount = Mount(source, place, log_file, new_mark())
        self.made.append(mount)
        return mount

    def _prepare(
        self, source: Path | str, place: Path | None, user: User | None
    ) -> Mount:
        number = len(self.made) + 1
        folder = user.home if user else self.folder
        if place is None:
            place = folder / f"mnt{number}"
        if not is_mounted(place):  # a dead mount cannot even be looked at
            place.mkdir(exist_ok=True)
            if user:
                user.owns(place)
        mount = Mount(source, place, folder / f"log{number}", new_mark())
        self.made.append(mount)
        return mount

    def _start(
        self, mount: Mount, command: list[str], env: Mapping[str, str] | None
    ) -> None:
        said = mount.log_file.with_name(f"said{len(self.made)}")
        with said.open("w") as stderr:
            mount.foreground = subprocess.Popen(
                command,
                env=environment(mount.mark, env),
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                text=True,
            )
        process = mount.foreground
        assert until(lambda: "mounted on" in said.read_text() or process.poll())
        assert process.poll() is None, said.read_text()

    def clear(self) -> None:
        """Leave nothing of what was mounted, gently first; then complain."""
        problems: list[AssertionError | subprocess.SubprocessError] = []
        for mount in reversed(self.made):
            try:
                mount.unmount()
                mount.check_log()
            except (AssertionError, subprocess.SubprocessError) as problem:
                problems.append(problem)
            finally:
                mount.clear()
        if problems:
            raise problems[0]


@contextlib.contextmanager
def mounter(folder: Path) -> Iterator[Mounter]:
    """Return a Mounter, and leave nothing of what it mounts."""
    made = Mounter(folder)
    try:
        yield made
    finally:
        made.clear()


def stop_everything() -> None:
    """End all that this session has started, and take away its mounts.

    For the watchdog: those who wait for a mount that hangs get an error.
    """
    kill(*marked())
    for place, fstype in mounts().items():
        # Not all that tests mount is dicomfs.
        if (
            place not in _MOUNTED_BEFORE
            and fstype.startswith(b"fuse")
            and _is_dead(place)
        ):
            force_off(Path(os.fsdecode(place)))


def _is_dead(place: bytes) -> bool:
    """Whether nobody answers on *place*; asked by a process that may hang there."""
    try:
        done = run(["stat", "-f", "--", place], seconds=5)
    except subprocess.TimeoutExpired:
        # Somebody else's, who stopped it.
        return False
    return done.returncode != 0 and "not connected" in done.stderr
