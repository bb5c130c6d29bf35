"""Every command on every medium, some media mounted, and what is refused."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from scripts.benchmark.mounts import mountpoints, unmount
from scripts.recording import mounted, refusals
from scripts.recording.command import Dicomfs
from scripts.recording.entries import Entry, Recording, recording
from scripts.recording.medium import Medium

_COMMANDS: Final = (
    ("tree",),
    ("tree", "--json"),
    ("tree", "--scan", "--json"),
    ("check",),
    ("check", "--json"),
)
# Commands at a time. Each is a process of its own, and others want a core as well.
_AT_ONCE: Final = 2
# What is mounted to be disturbed.
_SAMPLE: Final = "sample"

_Task = Callable[[], Iterable[Entry]]


def run(program: Path, folder: Path, media: Sequence[Medium]) -> Recording:
    """Return what *program* makes of the *media* in *folder*."""
    with _work_folder(folder) as work, ThreadPoolExecutor(_AT_ONCE) as pool:
        dicomfs = Dicomfs(program, folder, work)
        done = pool.map(lambda task: list(task()), _tasks(dicomfs, media))
        return recording(each for entries in done for each in entries)


def _tasks(dicomfs: Dicomfs, media: Sequence[Medium]) -> Iterator[_Task]:
    for medium in media:
        for command in _COMMANDS:
            yield partial(_entries, dicomfs, command, medium)
        if medium.mount is not None:
            yield partial(mounted.entries, dicomfs, medium)
    yield partial(mounted.of_one_in_use, dicomfs, _SAMPLE)
    for name, line in refusals.lines().items():
        yield partial(_refused, dicomfs, name, line)


def _entries(
    dicomfs: Dicomfs, command: tuple[str, ...], medium: Medium
) -> Iterator[Entry]:
    parts = dicomfs.run(*command, *medium.arguments)
    yield Entry(" ".join(command), medium.name, parts)


def _refused(dicomfs: Dicomfs, name: str, line: tuple[str, ...]) -> Iterator[Entry]:
    yield refusals.entry(dicomfs, name, line)


@contextlib.contextmanager
def _work_folder(media: Path) -> Iterator[Path]:
    """Make a folder to mount in; remove it, and all mounts in it or among the *media*."""
    before = mountpoints()
    folder = Path(tempfile.mkdtemp(prefix="dicomfs-behaviour-")).resolve()
    try:
        yield folder
    finally:
        for place in reversed(mountpoints()):
            is_ours = not {folder, media}.isdisjoint([place, *place.parents])
            if is_ours and place not in before:
                unmount(place)
        shutil.rmtree(folder, ignore_errors=True)
