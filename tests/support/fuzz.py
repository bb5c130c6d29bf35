"""Fuzzing: thousands of broken DICOMDIRs through the record reader and the tree.

    scripts/fuzz                          20,000 of them, as the tests do
    scripts/fuzz --seed 7 --minutes 60    as many as one can in an hour
    scripts/fuzz --seed 7 --only 1234     this one again, with its traceback
    scripts/fuzz --guided 20              another one, which learns (``tests.guided``)

Each input has a number; with the seed it gives the same bytes everywhere. What must
hold for each: nothing is raised but what is documented, it takes less than two seconds
of processor time, names are safe and distinct, what is listed is on the medium, and no
log line has a patient's name in it.
"""

import argparse
import json
import logging
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, islice, takewhile
from pathlib import Path
from types import FrameType
from typing import Final, NamedTuple

from dicomfs.dicom.element import sniff
from dicomfs.dicom.header import read_meta
from dicomfs.dicom.types import Level
from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.index import INACTIVE
from dicomfs.dicomdir.indexing import read_index
from dicomfs.dicomdir.models import Models
from dicomfs.errors import (
    DicomfsError,
    DirectoryError,
    Failure,
    NotDicomError,
)
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.media.medium import Place
from dicomfs.source.source import BytesSource
from dicomfs.source.window import Window
from dicomfs.tree.selection import Instance, Listing, Selection
from dicomfs.tree.tree import Tree
from tests.build.filenames import faults_of
from tests.build.mutations import CANARY, Medium, item_starts, mutated
from tests.support.trees import FakeMedium

log = logging.getLogger("dicomfs.fuzz")

SEED: Final = 3
COUNT: Final = 20_000
MAX_SECONDS: Final = 4.0
MAX_MEMORY: Final = 256 * 2**20

_BLOCK: Final = 200
# Problems, after which nobody looks for more.
_ENOUGH: Final = 10
_MAX_RECORDS: Final = 50
# Links that lead together again make more folders than anybody looks into.
_MAX_FOLDERS: Final = 200
_MOST_ROUNDS: Final = 5
# Of so many inputs one is looked at twice.
_THOROUGH: Final = 4
_FOREIGN: Final = "HL7 STRUC DOC"
_ADDRESS_SPACE: Final = 2 * 2**30


class Broken(Exception):  # noqa: N818 - says what is
    """A promise that an input broke."""


class TooSlow(BaseException):
    """An input that takes longer than it may."""


class Seen(NamedTuple):
    """Of a node: its number, its size, -1 for folders, its error, and where it lies."""

    inode: int
    size: int
    error: int
    places: tuple[Place, ...]


Outline = dict[str, Seen]


# -- one input -------------------------------------------------------------------------


def exercise(medium: Medium, *, is_thorough: bool = True) -> None:
    """Read all of *medium* in every way there is; raises what must not be raised.

    If *is_thorough*, a second time, in another order, which must come to the same.
    """
    _read_records(medium.dicomdir)
    _read_index(medium.dicomdir)
    tree = _tree(medium)
    if tree is None:
        return
    before = tree.revision
    found = _walk(tree, medium)
    tree.check_links()
    has_changed = tree.revision != before
    if has_changed:
        found = _settled(tree, medium)
    _see_that_nothing_is_missing(tree, medium, found)
    other = _tree(medium) if is_thorough else None
    if other is not None:
        other.check_links()
        settled = _settled(other, medium)
        if has_changed:  # a file that was listed by then keeps its inode
            found, settled = _without_inodes(found), _without_inodes(settled)
        differing = sorted(found.items() ^ settled.items())[:4]
        if differing:
            raise Broken(f"the tree depends on what was looked at first: {differing}")


def _tree(medium: Medium) -> Tree | None:
    fake = FakeMedium(medium.files | {"DICOMDIR": medium.dicomdir})
    try:
        return Tree(open_file_sets(fake), read_headers=True)
    except Failure:
        return None


def _settled(tree: Tree, medium: Medium) -> Outline:
    """Walk until nothing more is found out that changes the tree; return its outline."""
    for _ in range(_MOST_ROUNDS):
        before = tree.revision
        found = _walk(tree, medium)
        if tree.revision == before:
            return found
    raise Broken("the tree changes each time that one looks at it")


def _without_inodes(outline: Outline) -> Outline:
    return {path: seen._replace(inode=0) for path, seen in outline.items()}


def _read_records(data: bytes) -> None:
    """Read records wherever an item seems to begin, linked or not."""
    window = Window(BytesSource(data))
    try:
        syntax = read_meta(window).syntax(window)
    except DicomfsError:
        syntax = sniff(data[:8])
    models = Models(syntax, len(data))
    for offset in item_starts(data)[:_MAX_RECORDS]:
        try:
            record = models.read(window, offset)
        except DirectoryError:
            continue
        if record.offset != offset:
            raise Broken("a record is not where it was read")


def _read_index(data: bytes) -> None:
    """Pass over all records, as looking for what no link leads to does."""
    try:
        index = read_index(Directory(BytesSource(data)))
    except (DirectoryError, NotDicomError):
        return
    offsets = list(index.offsets)
    if offsets != sorted(set(offsets)) or (offsets and offsets[-1] >= len(data)):
        raise Broken("the index has a record twice, or one that is not there")
    if {len(offsets)} != {len(index.nexts), len(index.lowers), len(index.kinds)}:
        raise Broken("the index has gaps in it")


def _walk(tree: Tree, medium: Medium) -> Outline:
    """Look into all folders and check what is in them; return what was seen."""
    places = {tuple(os.fsencode(name).split(b"/")): name for name in medium.files}
    sizes = {place: len(medium.files[name]) for place, name in places.items()}
    found: Outline = {}
    waiting = [("", tree.root)]
    for _ in range(_MAX_FOLDERS):
        if not waiting:
            break
        above, folder = waiting.pop()
        listing = folder.children()
        _check(listing)
        for name, node in listing.items():
            path = f"{above}/{name}"
            if isinstance(node, Selection):
                waiting.append((path, node))
                found[path] = Seen(node.inode, -1, 0, ())
            elif isinstance(node, Instance):
                there = (node.place, *(copy.place for copy in node.copies))
                found[path] = Seen(node.inode, node.size, node.error, there)
                _check_file(node, sizes)
    return found


def _check(listing: Listing) -> None:
    if faults := faults_of(listing):
        raise Broken(f"names have faults: {faults}")
    if [name for name, node in listing.items() if node.name != name]:
        raise Broken("a node does not know its name")
    inodes = [node.inode for node in listing.values()]
    if len(set(inodes)) < len(inodes) or not all(1 < each < 2**64 for each in inodes):
        raise Broken("inode numbers are not distinct, or taken")


def _check_file(file: Instance, sizes: dict[Place, int]) -> None:
    if file.error:
        return
    if file.place not in sizes:
        raise Broken("a file is listed that the medium does not have")
    if file.size != sizes[file.place]:
        raise Broken("a file does not have the size that it has on the medium")


def _see_that_nothing_is_missing(tree: Tree, medium: Medium, found: Outline) -> None:
    """See that every file that a record references is somewhere in the tree."""
    directory = Directory(BytesSource(medium.dicomdir))
    index = read_index(directory)
    is_cut = sum(each.size < 0 for each in found.values()) >= _MAX_FOLDERS
    # What is below an inactive record is not in use either.
    if is_cut or any(kind & INACTIVE for kind in index.kinds):
        return
    shown = {place for each in found.values() for place in each.places}
    [file_set] = tree.file_sets
    for offset, kind in zip(index.offsets, index.kinds, strict=True):
        record = directory.written(offset)
        if kind == Level.INSTANCE and record.type != _FOREIGN:
            [where] = file_set.locate_all([record.file_id])
            if isinstance(where, Exception):
                continue
            if where[0] not in shown | {file_set.place}:
                raise Broken(f"an instance is missing: record at {offset}")


# -- many inputs -----------------------------------------------------------------------


class Problem(NamedTuple):
    """An input that broke a promise, and how."""

    number: int
    what: str


@dataclass
class Report:
    """What came out of so many inputs."""

    inputs: int = 0
    problems: list[Problem] = field(default_factory=list)
    slowest: float = 0.0
    memory: int = 0

    def add(self, other: "Report") -> None:
        """Take *other* in."""
        self.inputs += other.inputs
        self.problems += other.problems
        self.slowest = max(self.slowest, other.slowest)
        self.memory = max(self.memory, other.memory)

    @property
    def is_good(self) -> bool:
        """Whether all promises were kept."""
        return not self.problems and self.memory < MAX_MEMORY


class _Listener(logging.Handler):
    """Formats all that is logged, and remembers whether a name was in it."""

    said: str = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Look at one line."""
        line = logging.Formatter().format(record)
        if CANARY.lower() in line.lower():
            self.said = line


def run_block(seed: int, numbers: Sequence[int]) -> Report:
    """Try the inputs with these *numbers*."""
    report = Report()
    with listening() as listener:
        for number in numbers:
            medium = mutated(seed, number)
            start = time.process_time()
            if what := problem_with(medium, is_thorough=number % _THOROUGH == 0):
                report.problems.append(Problem(number, what))
            if listener.said:
                report.problems.append(Problem(number, "a name was logged"))
                listener.said = ""
            report.slowest = max(report.slowest, time.process_time() - start)
            report.inputs += 1
            if len(report.problems) >= _ENOUGH:
                break
    report.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return report


def problem_with(medium: Medium, *, is_thorough: bool) -> str:
    """Return which promise *medium* breaks, empty if it breaks none."""
    try:
        with limited():
            exercise(medium, is_thorough=is_thorough)
    except TooSlow:
        where = traceback.format_exc(limit=-4)
        return f"it took longer than {MAX_SECONDS:g} s\n{where}"
    except Exception:  # noqa: BLE001 - finding these is what fuzzing is for
        return traceback.format_exc(limit=-4)
    return ""


@contextmanager
def limited(seconds: float | None = None) -> Iterator[None]:
    """End what is done inside when it has taken too much processor time."""
    before = signal.signal(signal.SIGPROF, _give_up)
    signal.setitimer(signal.ITIMER_PROF, seconds or MAX_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _give_up(_signal: int, _frame: FrameType | None) -> None:
    raise TooSlow


@contextmanager
def listening() -> Iterator[_Listener]:
    """Listen to all that is logged inside."""
    listener = _Listener()
    logger = logging.getLogger("dicomfs")
    before = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield listener
    finally:
        logger.removeHandler(listener)
        logger.setLevel(before)
        logger.propagate = True


def _bound_memory() -> None:
    """Let an input that takes all memory fail by itself."""
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))


# -- the command line ------------------------------------------------------------------


def main() -> int:
    """Try as many inputs as asked for; return the exit code."""
    given = _parser().parse_args()
    if given.only is not None:
        return _repeat(given.seed, given.only, given.save)
    report = _run(given.seed, _blocks(given), given.jobs)
    if given.json:
        _say(json.dumps(vars(report)))
    else:
        _tell(given.seed, report)
    return 0 if report.is_good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz",
        description="Read thousands of broken DICOMDIRs; each has a number.",
        epilog="--guided MINUTES is another fuzzer, which learns: see its own --help.",
    )
    add = parser.add_argument
    add("--seed", type=int, default=SEED, help="another seed makes other inputs")
    add("--first", type=int, default=0, metavar="N", help="begin with number N")
    add("--count", type=int, default=COUNT, metavar="N", help=f"so many ({COUNT:,})")
    add("--minutes", type=float, help="go on for so long instead")
    add("--jobs", type=int, default=os.cpu_count() or 1, help="processes to use")
    add("--json", action="store_true", help="tell the result as JSON")
    add("--only", type=int, metavar="N", help="number N alone, with its traceback")
    add("--save", type=Path, metavar="FILE", help="with --only: write its DICOMDIR")
    return parser


def _repeat(seed: int, number: int, save: Path | None) -> int:
    medium = mutated(seed, number)
    if save is not None:
        save.write_bytes(medium.dicomdir)
    _bound_memory()
    report = run_block(seed, [number])
    _tell(seed, report)
    return 0 if report.is_good else 1


def _blocks(given: argparse.Namespace) -> Iterator[range]:
    if given.minutes is None:
        end = given.first + given.count
        for first in range(given.first, end, _BLOCK):
            yield range(first, min(first + _BLOCK, end))
        return
    end_time = time.monotonic() + given.minutes * 60
    starts = count(given.first, _BLOCK)
    for first in takewhile(lambda _: time.monotonic() < end_time, starts):
        yield range(first, first + _BLOCK)


def _run(seed: int, blocks: Iterator[range], jobs: int) -> Report:
    """Try *blocks* of inputs in several processes."""
    report = Report()
    with ProcessPoolExecutor(jobs, initializer=_bound_memory) as pool:
        # Not all at once: there may be no end of them.
        waiting = [
            pool.submit(run_block, seed, block) for block in islice(blocks, 2 * jobs)
        ]
        while waiting:
            report.add(waiting.pop(0).result())
            if len(report.problems) >= _ENOUGH:
                pool.shutdown(cancel_futures=True)
                break
            if (block := next(blocks, None)) is not None:
                waiting.append(pool.submit(run_block, seed, block))
    return report


def _tell(seed: int, report: Report) -> None:
    for number, what in report.problems:
        _say(f"{what}\nto repeat it: scripts/fuzz --seed {seed} --only {number}\n")
    _say(
        f"{report.inputs:,} inputs, {len(report.problems)} problems, "
        f"the slowest {report.slowest:.2f} s, memory {report.memory / 2**20:.0f} MiB"
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
