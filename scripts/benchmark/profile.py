"""Where the time of a row goes: who computes, and in which functions of Python.

py-spy looks at the stacks of the processes from outside, two hundred times a second, while
something is measured. That takes time itself: what is measured meanwhile counts for nothing.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from scripts.benchmark.processes import BenchError

_RATE: Final = 200
_SHOWN: Final = 25
_SECONDS_TO_ATTACH: Final = 10.0
_SECONDS_TO_END: Final = 30.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class _Computed(NamedTuple):
    """What a process has computed, in user mode and in the kernel, and how often it waited."""

    user: float
    system: float
    switches: int


@dataclass(slots=True)
class _Spent:
    """What was seen of the processes of one kind, in all runs."""

    user: float = 0.0
    system: float = 0.0
    switches: int = 0
    own: Counter[str] = field(default_factory=Counter)
    within: Counter[str] = field(default_factory=Counter)

    def add(self, before: "_Computed", after: "_Computed") -> None:
        """Add what a process computed in between."""
        self.user += after.user - before.user
        self.system += after.system - before.system
        self.switches += after.switches - before.switches


class Profile:
    """Looks on at commands and at those who serve them; ``told`` says what was seen."""

    def __init__(self) -> None:
        found = shutil.which("py-spy", path=str(Path(sys.executable).parent))
        if found is None:
            raise BenchError("--profile needs py-spy: .venv/bin/pip install py-spy")
        self._spy = found
        self._spent: dict[str, _Spent] = {}

    @contextlib.contextmanager
    def observe(
        self, command: Sequence[str | Path], pid: int, serving: Sequence[int]
    ) -> Iterator[None]:
        """Look on while *command* runs as *pid*, and *serving* processes serve it."""
        name = _called(command)
        watched = [(each, f"{name}, served by {_program(each)}") for each in serving]
        if _is_python(pid):
            watched.append((pid, name))
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            for each, title in watched:
                stack.enter_context(self._watch(each, title, Path(folder, str(each))))
            yield

    @contextlib.contextmanager
    def _watch(self, pid: int, title: str, stacks: Path) -> Iterator[None]:
        spent = self._spent.setdefault(title, _Spent())
        before = _computed(pid) or _Computed(0.0, 0.0, 0)
        spy = self._attached(pid, stacks) if _is_python(pid) else None
        try:
            yield
        finally:
            spent.add(before, _computed(pid) or before)
            if spy is not None:
                _end(spy)
                _count(stacks, spent)

    def _attached(self, pid: int, stacks: Path) -> "subprocess.Popen[bytes]":
        command = [self._spy, "record", "--pid", str(pid), "--format", "raw"]
        command += ["--subprocesses", "--rate", str(_RATE), "--output", str(stacks)]
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def told(self) -> str:
        """Return what was seen, as text."""
        return "\n".join(
            line
            for title, spent in self._spent.items()
            for line in _lines(title, spent)
        )


def _end(spy: "subprocess.Popen[bytes]") -> None:
    """End *spy* in a way in which it writes down what it saw."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        spy.wait(0.5)
        return
    spy.send_signal(2)
    try:
        spy.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        spy.kill()
        spy.wait()


def _count(stacks: Path, spent: _Spent) -> None:
    """Add the *stacks* that were written down, a line for each that is unlike others."""
    lines = stacks.read_text().splitlines() if stacks.exists() else []
    for line in lines:
        told, _, count = line.rpartition(" ")
        if not count.isdecimal():  # the last one may be cut
            continue
        functions = [
            each for each in told.split(";") if not each.startswith("process ")
        ]
        if not functions:
            continue
        seconds = int(count)
        spent.own[functions[-1].rpartition(":")[0]] += seconds
        for each in {each.rpartition(":")[0] for each in functions}:
            spent.within[each] += seconds


def _lines(title: str, spent: _Spent) -> Iterator[str]:
    # Of a program that has ended nobody knows any more.
    computed = (
        f": {spent.user:.2f} s user, {spent.system:.2f} s system, "
        f"{spent.switches:,} times it waited"
        if spent.user + spent.system
        else ""
    )
    yield f"\n{title}{computed}"
    total = sum(spent.own.values())
    for what, counted in (("itself", spent.own), ("with what it calls", spent.within)):
        if total:
            yield f"  {what}, of {total / _RATE:.2f} s in which Python was seen at work:"
        for function, count in counted.most_common(_SHOWN):
            yield f"    {count / total:6.1%}  {function})"


def _called(command: Sequence[str | Path]) -> str:
    """Return the name of a program with its options, without paths that are ours."""
    words = [Path(word).name or str(word) for word in map(str, command)]
    return " ".join(word if len(word) < 40 else "..." for word in words[:6])


def _program(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return "one that ended"


def _is_python(pid: int) -> bool:
    """Whether *pid* is a Python; one that was just started becomes one in a moment."""
    deadline = time.monotonic() + _SECONDS_TO_ATTACH
    while time.monotonic() < deadline:
        try:
            program = Path(f"/proc/{pid}/exe").readlink()
        except OSError:
            return False
        if program != Path("/proc/self/exe").readlink() or _has_own_arguments(pid):
            return "python" in program.name
        time.sleep(0.001)
    return False


def _has_own_arguments(pid: int) -> bool:
    """Whether *pid* is another program by now than the one that forked it."""
    ours = Path("/proc/self/cmdline").read_bytes()
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes() != ours
    return False


def _computed(pid: int) -> _Computed | None:
    """Return what *pid* has computed so far, None if it has ended and nobody knows."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = [
            each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/status")
        ]
        waited = sum(
            int(line.split()[1])
            for line in "".join(status).splitlines()
            if line.startswith("voluntary_ctxt_switches")
        )
        return _Computed(int(fields[11]) / _TICKS, int(fields[12]) / _TICKS, waited)
    return None
