"""The inputs that are kept: of each harness few, which lead everywhere it was led.

A minimised corpus has no input that leads nowhere others do not. It does not take
Atheris to make one: where an input leads is traced line by line.
"""

import io
import sys
import tarfile
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

import dicomfs
from tests.guided.harness import Harness, problem_with

FOLDER: Final = Path(__file__).parent / "corpus"
_PACKAGE: Final = str(Path(dicomfs.__file__).parent)

# A step from one line of a piece of code to another.
Step = tuple[CodeType, int, int]
# A step, and how often it is taken, to the power of two.
Taken = tuple[Step, int]


def kept(name: str) -> dict[str, bytes]:
    """Return the inputs of a harness that are kept, by their names."""
    path = FOLDER / f"{name}.tar.xz"
    if not path.exists():
        return {}
    with tarfile.open(path) as archive:
        files = ((each.name, archive.extractfile(each)) for each in archive)
        return {name: file.read() for name, file in files if file is not None}


def keep(name: str, inputs: Iterable[bytes]) -> int:
    """Let *inputs* be those that are kept of a harness; return how many bytes it takes."""
    named = {sha256(data).hexdigest()[:12]: data for data in inputs}
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        for file, data in sorted(named.items()):
            info = tarfile.TarInfo(file)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path.stat().st_size


def minimised(harness: Harness, inputs: Iterable[bytes]) -> list[bytes]:
    """Return few of *inputs*, short ones, that lead everywhere that all of them do.

    Inputs that break a promise are left out.
    """
    steps = {
        data: found
        for data in sorted(set(inputs), key=lambda data: (len(data), data))
        if (found := steps_of(harness, data)) is not None
    }
    chosen: dict[bytes, set[Taken]] = {}
    known: set[Taken] = set()
    # The shortest first: it is the one that anybody understands.
    for data, found in steps.items():
        if new := found - known:
            chosen[data] = new
            known |= found
    # Longer ones may lead everywhere that an earlier one does.
    for data in list(chosen):
        others = set().union(*(steps[each] for each in chosen if each != data))
        if steps[data] <= others:
            del chosen[data]
    return list(chosen)


def steps_of(harness: Harness, data: bytes) -> set[Taken] | None:
    """Return the steps that dicomfs takes with *data*; None if that breaks a promise."""
    found: Counter[Step] = Counter()

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        del event, argument
        code = frame.f_code
        if not code.co_filename.startswith(_PACKAGE):
            return None
        line = 0

        def step(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal line
            del event, argument
            found[code, line, frame.f_lineno] += 1
            line = frame.f_lineno
            return step

        return step(frame, "", None)

    sys.settrace(enter)
    try:
        problem = problem_with(harness, data)
    finally:
        sys.settrace(None)
    if problem:
        return None
    return {(step, count.bit_length()) for step, count in found.items()}
