"""Fuzzing that learns, for as long as wanted.

    scripts/fuzz --guided 20                      20 minutes with each harness
    scripts/fuzz --guided 60 --harness iso        an hour with one
    scripts/fuzz --repeat FILE --harness iso      one input again, with its traceback
    scripts/fuzz --minimise                       what was learned, into the tests' corpus

What was learned lies in .fuzz, and each run goes on from there.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.guided import corpus
from tests.guided.harness import problem_with
from tests.guided.table import HARNESSES

_ROOT: Final = Path(__file__).parents[2]
LEARNED: Final = _ROOT / ".fuzz"

# Findings, after which nobody looks for more.
_ENOUGH: Final = 5
_MOST_MEMORY: Final = 512
_HANGS: Final = 60
_EXECUTIONS: Final = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
_WROTE: Final = re.compile(r"Test unit written to (.+)")
_LINES: Final = 12


@dataclass
class Outcome:
    """What came of fuzzing with one harness."""

    name: str
    executions: int = 0
    # Of processor time, with what it takes to start.
    seconds: float = 0.0
    learned: int = 0
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        rate = self.executions / max(self.seconds, 1)
        return (
            f"{self.name:10}{self.executions:>13,} runs in {self.seconds:>6,.0f} s of "
            f"processor time, {rate:>6,.0f}/s "
            f"{self.learned:>7,} inputs kept {len(self.findings):>3} findings"
        )


def fuzz(name: str, minutes: float) -> Outcome:
    """Let Atheris learn with one harness for so long."""
    outcome = Outcome(name)
    learned, found = (LEARNED / name / each for each in ("learned", "found"))
    for folder in (learned, found):
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dicomfs-fuzz-") as seeds:
        for number, data in enumerate(_known(name)):
            Path(seeds, str(number)).write_bytes(data)
        start = time.monotonic()
        while (left := 60 * minutes - (time.monotonic() - start)) >= 1:
            options = [
                f"-max_total_time={int(left)}",
                f"-artifact_prefix={found}/",
                f"-rss_limit_mb={_MOST_MEMORY}",
                f"-timeout={_HANGS}",
                *_dictionary(name),
                "-print_final_stats=1",
                "-verbosity=1",
            ]
            said, seconds = _learn(name, [*options, str(learned), seeds])
            outcome.seconds += seconds
            outcome.executions += sum(map(int, _EXECUTIONS.findall(said)))
            if wrote := _WROTE.search(said):
                outcome.findings.append(_finding(name, wrote[1], said))
            elif not _EXECUTIONS.search(said):
                outcome.findings.append(f"it did not run:\n{said}")
            if not wrote or len(outcome.findings) == _ENOUGH:
                break
    outcome.learned = sum(1 for _ in learned.iterdir())
    return outcome


def _dictionary(name: str) -> Iterator[str]:
    """Yield the option that names the words of a harness, if it has any."""
    if words := list(HARNESSES[name].words):
        path = LEARNED / name / "words"
        path.write_text("".join(map(_quoted, words)))
        yield f"-dict={path}"


def _quoted(word: bytes) -> str:
    """Return a line of a dictionary of libFuzzer."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n'


def _known(name: str) -> Iterator[bytes]:
    yield from HARNESSES[name].seeds()
    yield from corpus.kept(name).values()


def _learn(name: str, options: Sequence[str]) -> tuple[str, float]:
    """Run Atheris until it ends; return what it says, and how long it computed."""
    command = [sys.executable, "-P", "-m", "tests.guided.learn", name, *options]
    with subprocess.Popen(
        command,
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        errors="replace",
    ) as child:
        assert child.stdout is not None
        said = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return said, usage.ru_utime + usage.ru_stime


def _finding(name: str, path: str, said: str) -> str:
    """Return what somebody needs to know of an input that broke a promise."""
    start = said.rfind("Traceback (most recent call last)")
    lines = said[max(start, 0) :].partition("==")[0].splitlines()[-_LINES:]
    repeat = f"to repeat it: scripts/fuzz --repeat {path} --harness {name}"
    return "\n".join([*lines, repeat])


# -- the command line ------------------------------------------------------------------


def main() -> int:
    """Do what was asked for; return the exit code."""
    given = _parser().parse_args()
    names = given.harness or list(HARNESSES)
    if given.repeat is not None:
        return _repeat(names, given.repeat)
    if given.minimise:
        for name in names:
            _minimise(name)
        return 0
    is_good = True
    with ThreadPoolExecutor(given.jobs) as pool:
        work = [pool.submit(fuzz, name, given.guided) for name in names]
        for done in as_completed(work):
            outcome = done.result()
            for finding in outcome.findings:
                _say(f"{outcome.name}: {finding}\n")
            _say(str(outcome))
            is_good = is_good and not outcome.findings
    return 0 if is_good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz", description="Fuzzing that learns what leads somewhere new."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    add = what.add_argument
    add("--guided", type=float, metavar="MINUTES", help="so long with each harness")
    add("--repeat", type=Path, metavar="FILE", help="one input, with its traceback")
    add("--minimise", action="store_true", help="renew the corpus that the tests read")
    parser.add_argument(
        "--harness",
        choices=list(HARNESSES),
        action="append",
        help="this one only; may be given more than once",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    return parser


def _repeat(names: Sequence[str], path: Path) -> int:
    data = path.read_bytes()
    problems = {name: problem_with(HARNESSES[name], data) for name in names}
    for name, problem in problems.items():
        _say(f"{name}: {problem or 'all promises are kept'}")
    return 1 if any(problems.values()) else 0


def _minimise(name: str) -> None:
    """Renew the corpus of a harness by what was learned."""
    learned = LEARNED / name / "learned"
    paths = learned.iterdir() if learned.exists() else iter(())
    inputs = [*_known(name), *(path.read_bytes() for path in paths)]
    few = corpus.minimised(HARNESSES[name], inputs)
    size = corpus.keep(name, few)
    _say(f"{name}: {len(few)} of {len(inputs):,} inputs are kept, {size:,} bytes")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
