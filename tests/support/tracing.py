"""System calls of a process that runs already, by strace; takes root's rights."""

import re
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from tests.support import mounting

OPENS: Final = ("open", "openat", "openat2", "creat", "open_by_handle_at")
_CALL: Final = re.compile(r"^\d+ +(\w+)\((.*?)(?:\) += (-?\d+)| <unfinished)")


class Call(NamedTuple):
    """A system call: its name and its arguments as strace writes them."""

    name: str
    arguments: str


@contextmanager
def traced(pid: int, calls: Iterable[str], output: Path) -> Iterator[list[Call]]:
    """Trace *calls* of *pid* and its threads inside; the list is filled behind it."""
    names = ",".join(f"?{name}" for name in sorted(set(calls)))
    options = ["-f", "-y", "-s", "8192", "-e", f"trace={names}", "-o", str(output)]
    said = output.with_suffix(".stderr")
    with said.open("w") as stderr:
        tracer = subprocess.Popen(
            ["strace", *options, "-p", str(pid)],
            stderr=stderr,
            env=mounting.environment(mounting.new_mark()),
        )
    found: list[Call] = []
    try:
        attached = mounting.until(lambda: "attached" in said.read_text())
        assert attached, said.read_text()
        yield found
    finally:
        tracer.terminate()
        tracer.wait(mounting.PATIENCE)
    lines = output.read_text(errors="surrogateescape").splitlines()
    calls_made = filter(None, map(_CALL.match, lines))
    found += [Call(call[1], call[2]) for call in calls_made]
