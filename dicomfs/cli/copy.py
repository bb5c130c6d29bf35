"""``dicomfs copy``: what a mount would show, copied to a folder, without a mount.

One process reads the medium and may write nothing; another one writes, and hears from
the first one what.
"""

import argparse
import errno
import logging
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from dicomfs.check.meter import Amount
from dicomfs.cli import output, sources
from dicomfs.cli.apart import Child, apart
from dicomfs.cli.codes import Exit
from dicomfs.cli.exits import complaint
from dicomfs.cli.progress import MB, how_fast, so_far
from dicomfs.cli.terminal import Audience, Pace, complain, status_line, warnings_handler
from dicomfs.cli.tree import extras
from dicomfs.cli.usage import misunderstood
from dicomfs.copying.reader import Outcome, Reader, StoppedError, amount_of
from dicomfs.copying.wire import BrokenWireError, Speaker
from dicomfs.copying.writer import hold
from dicomfs.copying.writing import Writing
from dicomfs.errors import Failure, Problem
from dicomfs.fileset.patience import Workers
from dicomfs.findings import Kind
from dicomfs.media.opening import is_image, unreadable
from dicomfs.remote.urls import is_url
from dicomfs.tree.node import FileNode, FolderNode
from dicomfs.tree.tree import Tree

_FOLDER: Final = 0o700
# Of several sources one was not copied.
_LEFT_OUT: Final = {Kind.SOURCE_LEFT_OUT, Kind.SOURCE_FAILED}


class Asked(NamedTuple):
    """A source, and the names that lead to what is to be copied of it."""

    source: str
    path: tuple[str, ...] = ()


def run(given: argparse.Namespace) -> int:
    """Copy what was *given* to the last of the paths; raises Failure."""
    *paths, destination = given.paths
    if not paths:
        raise misunderstood("there is no DESTINATION", "copy")
    asked = [split(each) for each in paths]
    if len(asked) > 1 and any(each.path for each in asked):
        raise misunderstood("a PATH is for one SOURCE", "copy")
    given.paths = [each.source for each in asked]
    root = _opened(Path(destination), given.paths)
    writing = Writing(root, compares=given.compare)
    os.close(root)
    try:
        return apart(
            lambda child: _copy(given, asked[0], writing.speaker(), child),
            own=writing.descriptors,
        )
    finally:
        writing.end()


def split(text: str) -> Asked:
    """Return SOURCE and PATH in *text*: SOURCE is as much of it as there is.

    Of a URL that is all, up to the name of an image or archive.
    """
    if is_url(text):
        names = text.split("/")
        images = [place for place, name in enumerate(names) if is_image(name)]
        end = images[0] + 1 if images else len(names)
        return Asked("/".join(names[:end]), tuple(filter(None, names[end:])))
    source, path = Path(text), tuple[str, ...]()
    while not os.path.lexists(source):
        if source.parent == source:
            return Asked(text)
        source, path = source.parent, (source.name, *path)
    return Asked(str(source), path) if text else Asked(text)


def _opened(destination: Path, paths: list[str]) -> int:
    """Return the folder *destination*, made if it is not there; raises Failure."""
    place = destination.resolve()
    for each in paths:
        source = Path(each).resolve()
        if not is_url(each) and source.is_dir() and place.is_relative_to(source):
            raise Failure(Problem.DESTINATION_OVERLAPS, name=destination, source=source)
    try:
        if not destination.is_dir():
            destination.mkdir(_FOLDER)
        if not os.access(destination, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        fd = os.open(destination, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        hold(fd)
    except OSError as error:
        reason = error.strerror
        raise Failure(
            Problem.DESTINATION_UNUSABLE, name=destination, reason=reason
        ) from error
    return fd


# -- in the process that reads ---------------------------------------------------------


def _copy(
    given: argparse.Namespace, asked: Asked, speaker: Speaker, child: Child
) -> Exit:
    logging.getLogger().handlers[:] = [warnings_handler()]
    add_extras = extras(given, has_previews=False)
    try:
        file_sets = sources.file_sets(given, Audience(), child)
    except Failure as failure:
        if not asked.path or failure.problem is Problem.SOURCE_MISSING:
            raise
        # Most likely it is misspelt, and what is above it is no medium.
        name = "/".join((asked.source, *asked.path))
        raise Failure(Problem.SOURCE_MISSING, name=name) from failure
    tree = Tree(file_sets, read_headers=not given.index_only)
    add_extras(tree)
    # One thread: a drive is read in order.
    workers = Workers(1, given.deadline, "copy")
    node = workers.ask(partial(_found, tree, asked))
    code = _copied(node, speaker, workers)
    is_left_out = any(each.kind in _LEFT_OUT for each in tree.findings.all())
    return Exit.FAULTS if is_left_out and code is Exit.OK else code


def _found(tree: Tree, asked: Asked) -> FolderNode | FileNode:
    """Return what is to be copied; raises Failure."""
    try:
        # Names that are written cannot be taken back: first see that links are sound.
        tree.check_links()
        node: FolderNode | FileNode = tree.root
        for name in asked.path:
            below = node.children().get(name) if node.is_folder else None
            if below is None:
                path = "/".join(asked.path)
                raise Failure(Problem.PATH_MISSING, name=path, source=asked.source)
            node = below
    except OSError as error:
        raise unreadable(error) from error
    return node


def _copied(node: FolderNode | FileNode, speaker: Speaker, workers: Workers) -> Exit:
    """Copy *node*, say what that came to, and return the exit code."""
    failure: Failure | None = None
    with status_line() as line:
        tell = _Teller(line.show, *amount_of(node, workers)).tell
        reader = Reader(speaker, workers, tell)
        try:
            reader.copy(node)
        except StoppedError as stopped:
            failure = Failure(Problem.DESTINATION_FAILED, reason=stopped)
        except (BrokenWireError, BrokenPipeError) as error:
            reason = "the process that writes has ended"
            raise Failure(Problem.UNFORESEEN, reason=reason) from error
    output.say(_told(reader.outcome))
    if failure is not None:
        complain(complaint(failure))
        return Exit.DESTINATION
    return Exit.FAULTS if reader.outcome.left else Exit.OK


class _Teller:
    """Shows how far a copy is, out of so many files and bytes."""

    def __init__(self, show: Callable[[str], None], files: int, size: int) -> None:
        self._show = show
        self._pace = Pace()
        self._of, self._of_size = files, size
        self._files = self._size = 0

    def tell(self, files: int, size: int) -> None:
        """Hear of so many more files and bytes."""
        self._files += files
        self._size += size
        amount = Amount(self._files, self._of, self._size, self._of_size)
        self._show(f"files: {so_far(amount)}{how_fast(amount, self._pace)}")


def _told(outcome: Outcome) -> Iterator[str]:
    """Yield what a copy came to, line by line."""
    yield f"{_files(outcome.copied)} copied, {outcome.size / MB:,.1f} MB"
    if outcome.there:
        compared = (
            f", {outcome.compared:,} of them compared" if outcome.compared else ""
        )
        yield f"{_files(outcome.there)} there already{compared}"
    if outcome.doubtful:
        yield f"{_files(len(outcome.doubtful))} copied as they are:"
        yield from (f"  {path}: {reason}" for path, reason in outcome.doubtful)
    if outcome.left:
        yield f"{_files(outcome.left)} not copied:"
        yield from (f"  {path}: {reason}" for path, reason in outcome.named)
        if (more := outcome.left - len(outcome.named)) > 0:
            yield f"  and {more:,} more"


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"
