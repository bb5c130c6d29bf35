"""``dicomfs copy``: what a mount would show, copied to a folder, without a mount.

One process reads the medium and may write nothing; another one writes, and hears from
the first one what.
"""

import argparse
import errno
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
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
from dicomfs.cli.usage import misunderstood, most_like
from dicomfs.copying.reader import (
    Outcome,
    Reader,
    StoppedError,
    amount_of,
    path_of,
)
from dicomfs.copying.wire import BrokenWireError, Speaker
from dicomfs.copying.writer import hold
from dicomfs.copying.writing import Writing
from dicomfs.counting import agreed, counted
from dicomfs.errors import Failure, Problem
from dicomfs.fileset.patience import Workers
from dicomfs.findings import Kind
from dicomfs.media.opening import is_dicomdir, is_image, unreadable
from dicomfs.remote.urls import is_url
from dicomfs.tree.node import FileNode, FolderNode
from dicomfs.tree.tree import Tree

_FOLDER: Final = 0o700
# Of several sources one was not copied.
_LEFT_OUT: Final = {Kind.SOURCE_LEFT_OUT, Kind.SOURCE_FAILED}


class Asked(NamedTuple):
    """A source, and the names that lead to what is to be copied of it.

    *near* is what is there beside it and is called much like it: that may be meant.
    """

    source: str
    path: tuple[str, ...] = ()
    near: str = ""

    @property
    def whole(self) -> str:
        """Return it as it was given."""
        return "/".join((self.source.rstrip("/"), *self.path))

    def missing(self) -> Failure:
        """Return the failure that there is nothing of that name."""
        if self.near:
            return Failure(Problem.SOURCE_MISSPELT, name=self.whole, nearest=self.near)
        return Failure(Problem.SOURCE_MISSING, name=self.whole)


def run(given: argparse.Namespace) -> int:
    """Copy what was *given* to the last of the paths; raises Failure."""
    *paths, destination = given.paths
    if not paths:
        raise misunderstood("there is no DESTINATION", "copy")
    asked = [split(each) for each in paths]
    if len(asked) > 1:
        for each in filter(lambda each: each.path, asked):
            near = f"; the nearest is {each.near}" if each.near else ""
            what = f"there is no {each.whole}{near}, and a PATH is for one SOURCE"
            raise misunderstood(what, "copy")
    given.paths = [each.source for each in asked]
    root, is_new = _opened(Path(destination), asked)
    writing = Writing(root, compares=given.compare)
    os.close(root)
    try:
        return apart(
            lambda child: _copy(given, asked[0], writing.speaker(), child),
            own=writing.descriptors,
        )
    finally:
        writing.end()
        if is_new:
            _leave_no_empty(Path(destination))


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
    if not text:
        return Asked(text)
    return Asked(str(source), path, _near(source, path[0]) if path else "")


def _near(folder: Path, name: str) -> str:
    """Return the path in *folder* that is called much like *name*, if there is one."""
    try:
        found = most_like(name, [each.name for each in folder.iterdir()])
    except OSError:
        return ""
    return str(folder / found) if found else ""


def _opened(destination: Path, asked: list[Asked]) -> tuple[int, bool]:
    """Return the folder *destination*, and whether it had to be made; raises Failure."""
    place = destination.resolve()
    for each in asked:
        source = Path(each.source).resolve()
        if is_url(each.source) or not place.is_relative_to(source):
            continue
        if source.is_dir():
            if each.path and not _has_dicomdir(source):
                raise each.missing()
            raise Failure(Problem.DESTINATION_OVERLAPS, name=destination, source=source)
    try:
        is_new = not destination.is_dir()
        if is_new:
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
    return fd, is_new


def _has_dicomdir(folder: Path) -> bool:
    """Whether *folder* is likely meant as a medium, and not only above one."""
    with suppress(OSError):
        return any(is_dicomdir(each.name) for each in folder.iterdir())
    return False


def _leave_no_empty(folder: Path) -> None:
    """Take the *folder* away that was made for a copy of which nothing came."""
    with suppress(OSError):
        folder.rmdir()


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
        raise asked.missing() from failure
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
            names = node.children() if node.is_folder else {}
            if name not in names:
                raise _lacking(asked, node, name, names)
            node = names[name]
    except OSError as error:
        raise unreadable(error) from error
    return node


def _lacking(
    asked: Asked, node: FolderNode | FileNode, name: str, names: Iterable[str]
) -> Failure:
    """Return the failure that *node* has none of this *name* among its *names*.

    What was given is a path of the medium that has no such folder, or no path of it at
    all: then something beside it may be meant.
    """
    found = most_like(name, names)
    if not found and asked.near:
        return asked.missing()
    near = "/".join((*path_of(node), found)) if found else ""
    return Failure(
        Problem.PATH_MISSING,
        name="/".join(asked.path),
        source=asked.source,
        nearest=f"; the nearest is {near}" if near else "",
    )


def _copied(node: FolderNode | FileNode, speaker: Speaker, workers: Workers) -> Exit:
    """Copy *node*, say what that came to, and return the exit code."""
    failure: Failure | None = None
    with status_line() as line:
        files, size = amount_of(node, workers)
        tell = _Teller(line.show, files, size).tell
        reader = Reader(speaker, workers, tell)
        try:
            reader.copy(node)
        except StoppedError as stopped:
            failure = Failure(Problem.DESTINATION_FAILED, reason=stopped)
        except (BrokenWireError, BrokenPipeError):
            reason = "the process that writes has ended"
            failure = Failure(Problem.DESTINATION_FAILED, reason=reason)
    output.say(_told(reader.outcome, files if failure else 0))
    if failure is not None:
        complain(complaint(failure))
        return Exit.DESTINATION
    is_whole = not (reader.outcome.left or reader.outcome.folders)
    return Exit.OK if is_whole else Exit.FAULTS


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


def _told(outcome: Outcome, wanted: int) -> Iterator[str]:
    """Yield what a copy came to, line by line.

    One that was stopped did not come to all of the files that were *wanted*.
    """
    yield f"{_files(outcome.copied)} copied, {outcome.size / MB:,.1f} MB"
    if outcome.there:
        compared = (
            f", {outcome.compared:,} of them compared" if outcome.compared else ""
        )
        yield f"{_files(outcome.there)} there already{compared}"
    if count := outcome.cleared:
        yield f"{_files(count)} half written by a copy that was killed: removed"
    if count := len(outcome.doubtful):
        yield f"{_files(count)} copied as {agreed(count, 'it is', 'they are')}:"
        yield from (f"  {path}: {reason}" for path, reason in outcome.doubtful)
    if outcome.named:
        folders = [counted(outcome.folders, "folder")] if outcome.folders else []
        files = [_files(outcome.left)] if outcome.left else []
        yield f"{' and '.join(files + folders)} not copied:"
        yield from (f"  {path}: {reason}" for path, reason in outcome.named)
        if more := outcome.unnamed:
            yield f"  and {more:,} more"
    if (count := wanted - outcome.told) > 0:
        yield f"{_files(count)} not reached before the end"


def _files(count: int) -> str:
    return counted(count, "file")
