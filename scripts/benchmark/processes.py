"""Run programs, time them, and find again what they left running.

Every program of one mount carries a mark in its environment: daemons change their
parent and their session, but not that.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

_T = TypeVar("_T")

PATIENCE: Final = 30.0
_MARK: Final = "DICOMFS_BENCH"
_MAIN: Final = "from dicomfs.cli.program import dicomfs; dicomfs()"


class BenchError(Exception):
    """Something did not do what a comparison needs."""


def dicomfs_command() -> list[str]:
    """Return what starts dicomfs: the installed command, else the code beside us."""
    installed = Path(sys.executable).parent / "dicomfs"
    return (
        [str(installed)] if installed.exists() else [sys.executable, "-P", "-c", _MAIN]
    )


DICOMFS: Final = dicomfs_command()


def environment(mark: str) -> dict[str, str]:
    """Return our environment with *mark* in it, and with plain messages."""
    return {**os.environ, _MARK: mark, "LC_ALL": "C.UTF-8"}


def run(command: Sequence[str | Path], mark: str = "") -> str:
    """Run *command* to its end and return its stdout; BenchError if it fails."""
    try:
        done = subprocess.run(
            command,
            env=environment(mark),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
        )
    except OSError as error:
        raise BenchError(f"{command[0]}: {error.strerror}") from error
    if done.returncode:
        raise BenchError(f"{command[0]} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Taken:
    """How many seconds something took: by the clock, and of a processor.

    *cpu* is that of the programs and of whoever served them, in the kernel too.
    """

    wall: float
    cpu: float

    def __add__(self, other: "Taken") -> "Taken":
        return Taken(self.wall + other.wall, self.cpu + other.cpu)


NOTHING: Final = Taken(0.0, 0.0)


def taken(command: Sequence[str | Path], mark: str = "", of: str = "") -> Taken:
    """Return what *command* takes to its end; its stdout is thrown away.

    What the processes of the mark *of* compute meanwhile counts, too.
    """
    serving = marked(of) if of else []
    served = cpu_of(serving)
    start = time.perf_counter()
    process = _started(command, mark)
    with process, _observer[-1](command, process.pid, serving):
        said = process.stderr.read() if process.stderr is not None else ""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        elapsed = time.perf_counter() - start
    if process.returncode:
        raise BenchError(f"{command[0]} failed: {said.strip()[-500:]}")
    computed = used.ru_utime + used.ru_stime + cpu_of(serving) - served
    return Taken(elapsed, computed)


# Looks on while a command runs that others serve; see ``profile``.
Observer = Callable[
    [Sequence[str | Path], int, Sequence[int]], contextlib.AbstractContextManager[None]
]


def _nobody(
    _command: Sequence[str | Path], _pid: int, _serving: Sequence[int]
) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


_observer: list[Observer] = [_nobody]


@contextlib.contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Have *observer* look on at all that is ``taken`` meanwhile."""
    _observer.append(observer)
    try:
        yield
    finally:
        _observer.pop()


def _started(command: Sequence[str | Path], mark: str) -> "subprocess.Popen[str]":
    try:
        return subprocess.Popen(
            command,
            env=environment(mark),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
        )
    except OSError as error:
        raise BenchError(f"{command[0]}: {error.strerror}") from error


def time_of(command: Sequence[str | Path], mark: str = "") -> float:
    """Return how long *command* takes to its end; its stdout is thrown away."""
    return taken(command, mark).wall


def cpu_of(pids: Sequence[int]) -> float:
    """Return how many seconds *pids* have computed so far, with threads that ended."""
    total = 0.0
    for pid in pids:
        # The clock of another process, as clock_getcpuclockid(3) numbers it.
        with contextlib.suppress(OSError):
            total += time.clock_gettime((~pid << 3) | 2)
    return total


def python(code: str, *arguments: str | Path) -> list[str | Path]:
    """Return the command that runs *code* in a Python of its own."""
    return [sys.executable, "-W", "ignore", "-c", code, *arguments]


def alternate(
    runs: int, a: Callable[[], _T], b: Callable[[], _T]
) -> tuple[list[_T], list[_T]]:
    """Return what *a* and *b* measure, in turns, so that both meet the same weather."""
    first: list[_T] = []
    second: list[_T] = []
    for index in range(runs):
        turns = [(first, a), (second, b)]
        for samples, measure in turns if index % 2 == 0 else turns[::-1]:
            samples.append(measure())
    return first, second


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """Wait until *condition* holds; return whether it does within *seconds*."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


# -- daemons -------------------------------------------------------------------


def marked(mark: str) -> list[int]:
    """Return the processes that carry *mark*."""
    wanted = f"{_MARK}={mark}".encode()
    return [pid for pid in _processes() if wanted in _environ(pid).split(b"\0")]


def _processes() -> list[int]:
    return [
        int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()
    ]


def _environ(pid: int) -> bytes:
    with contextlib.suppress(OSError):  # ended, or somebody else's
        return Path(f"/proc/{pid}/environ").read_bytes()
    return b""


def end(mark: str) -> None:
    """Wait until the processes of *mark* have ended; help those that do not."""
    if until(lambda: not marked(mark)):
        return
    for pid in marked(mark):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Memory:
    """What some processes hold, in bytes; a page that n share counts 1/n for each."""

    proportional: int
    private: int
    resident: int

    @classmethod
    def of(cls, pids: Sequence[int]) -> "Memory":
        """Return what *pids* hold together."""
        totals: dict[str, int] = {}
        for pid in pids:
            for name, size in _rollup(pid).items():
                totals[name] = totals.get(name, 0) + size
        if not totals:
            raise BenchError("the memory of the daemon may not be looked at")
        private = totals["Private_Clean"] + totals["Private_Dirty"]
        return cls(totals["Pss"], private, totals["Rss"])


def _rollup(pid: int) -> Mapping[str, int]:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {}
    fields = [line.split() for line in lines]
    return {field[0].rstrip(":"): int(field[1]) * 1024 for field in fields}


def settled_memory(pids: Sequence[int]) -> Memory:
    """Return what *pids* hold once that has stopped changing."""
    before = Memory.of(pids)
    for _ in range(20):
        time.sleep(0.25)
        now = Memory.of(pids)
        if abs(now.proportional - before.proportional) < 64 * 1024:
            return now
        before = now
    return before
