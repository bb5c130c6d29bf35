"""What a reader makes of a medium, found out in a process of its own."""

import multiprocessing
import os
import resource
import warnings
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, NamedTuple

from pydicom.fileset import FileSet

from dicomfs.cli.exits import complaint
from dicomfs.errors import Failure
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.media.folder import FolderMedium as FolderMedium
from dicomfs.tree.selection import Instance, Selection
from dicomfs.tree.tree import Tree

HANGS: Final = "hangs"
CRASHES: Final = "crashes"

_ORIGIN: Final = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
_MOST_MEMORY: Final = 4 * 2**30
_FORK: Final = multiprocessing.get_context("fork")


class Shown(NamedTuple):
    """A file that a reader shows, and where: in which folders, or of which origin.

    That is Patient ID, Study and Series Instance UID, empty where it is not known.
    """

    path: Path
    folder: tuple[str, ...]


class Reading(NamedTuple):
    """What a reader shows of a medium; and what went wrong, if it ended early."""

    shown: list[Shown]
    failure: str = ""


# The folder of the medium, and its DICOMDIR.
Reader = Callable[[Path, Path], Reading]


def read(reader: Reader, root: Path, dicomdir: Path, limit: float) -> Reading:
    """Return what *reader* makes of a medium within *limit* seconds."""
    here, there = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_read, args=(there, reader, root, dicomdir))
    process.start()
    there.close()
    try:
        if not here.poll(limit):
            return Reading([], HANGS)
        reading: Reading = here.recv()
    except EOFError:
        return Reading([], CRASHES)
    finally:
        process.kill()
        process.join()
    return reading


def _read(answer: Connection, reader: Reader, root: Path, dicomdir: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    warnings.simplefilter("ignore")
    try:
        answer.send(reader(root, dicomdir))
    except Exception as error:  # noqa: BLE001 - which one is what is to be found out
        answer.send(Reading([], type(error).__name__))


def dicomfs(root: Path, _dicomdir: Path) -> Reading:
    """Return what dicomfs shows: every file that can be opened, and its folders."""
    medium = FolderMedium(os.open(root, os.O_RDONLY | os.O_DIRECTORY))
    try:
        tree = Tree(open_file_sets(medium), read_headers=True)
    except Failure as failure:
        return Reading([], f"exit code {int(complaint(failure).exit_code)}")
    tree.check_links()
    shown: list[Shown] = []
    waiting: list[tuple[Selection, tuple[str, ...]]] = [(tree.root, ())]
    while waiting:
        folder, names = waiting.pop()
        for name, node in tree.expand(folder).items():
            if isinstance(node, Instance):
                shown += [Shown(_path(root, node), names)] * (not node.error)
            elif isinstance(node, Selection):
                waiting.append((node, (*names, name)))
    return Reading(shown)


def _path(root: Path, file: Instance) -> Path:
    return root / os.fsdecode(b"/".join(file.place))


def pydicom(_root: Path, dicomdir: Path) -> Reading:
    """Return the instances of pydicom's File-set."""
    file_set = FileSet(dicomdir)
    file_set._stage["t"].cleanup()  # else a ResourceWarning, some time later
    instances: Iterable[object] = file_set
    return Reading(
        [
            Shown(
                Path(str(getattr(each, "path", ""))),
                tuple(_said(each, keyword) for keyword in _ORIGIN),
            )
            for each in instances
        ]
    )


def _said(instance: object, keyword: str) -> str:
    return str(getattr(instance, keyword, None) or "")
