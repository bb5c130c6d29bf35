"""What reads a medium for a copy: it walks the tree, and says what is in it.

The files of a folder come in the order of their inode numbers, in which a drive has
them. One thread reads ahead while what was read before is sent.
"""

import errno
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

from dicomfs.copying.wire import COMPARED, FOLDER, Answer, Entry, Speaker
from dicomfs.errors import DicomfsError
from dicomfs.fileset.patience import Task, Workers
from dicomfs.source.source import Source
from dicomfs.tree.node import FileNode, FolderNode

# A file up to this is read as a whole, a longer one in pieces of it.
_PIECE: Final = 4 * 1024 * 1024
# Bytes that are read ahead, and files.
_AHEAD: Final = 16 * 1024 * 1024
_MOST_AHEAD: Final = 32
# Bytes that may be sent before it is known whether they could be written.
_UNSETTLED: Final = 64 * 1024 * 1024
# What is not copied is named, up to so much.
_MOST_NAMED: Final = 10_000
# Once one of these is met, nothing more can be written.
_HOPELESS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENODEV})

OTHER_THERE: Final = "another file of this name is there"


class StoppedError(Exception):
    """The place of the copy takes no more, for the reason that is told."""


class _Listed(NamedTuple):
    """A file, and what it is called where it is listed: it may be in several folders."""

    name: str
    file: FileNode


@dataclass
class Outcome:
    """What a copy came to: numbers of files, bytes, and what was *left* out and why.

    Of those *there* already some were *compared*, and are the same. *doubtful* are files that were copied as they are, and what is said of them.
    """

    copied: int = 0
    there: int = 0
    compared: int = 0
    size: int = 0
    left: int = 0
    named: list[tuple[str, str]] = field(default_factory=list)
    doubtful: list[tuple[str, str]] = field(default_factory=list)

    def leave(self, path: str, reason: str) -> None:
        """Note that the file at *path* was not copied."""
        self.left += 1
        if len(self.named) < _MOST_NAMED:
            self.named.append((path, reason))

    def doubt(self, path: str, reason: str) -> None:
        """Note what is said of a file that was copied."""
        if len(self.doubtful) < _MOST_NAMED:
            self.doubtful.append((path, reason))


class Reader:
    """Copies nodes by a *speaker*; *workers*, one thread, read them.

    *tell* hears of how many more files and bytes nothing is left to do.
    """

    def __init__(
        self, speaker: Speaker, workers: Workers, tell: Callable[[int, int], None]
    ) -> None:
        self.outcome = Outcome()
        self._speaker = speaker
        self._workers = workers
        self._tell = tell
        self._unsettled = 0
        # Those that were sent and may not have been written, by their numbers.
        self._sent: dict[int, _Listed] = {}
        # Numbers of those that are only compared.
        self._there: frozenset[int] = frozenset()

    def copy(self, node: FolderNode | FileNode) -> None:
        """Copy *node*: a folder with all that is in it, under its name if it has one.

        Raises StoppedError where nothing more can be written.
        """
        if not node.is_folder:
            self._files([_Listed(node.name, node)], path_of(node)[:-1])
        elif node.name:
            self._folder(node)
        else:
            self._content(node)
        # Out of all folders everything is brought to the disk.
        self._settle(())

    def _folder(self, folder: FolderNode) -> None:
        self._speaker.enter(_entry(folder.name, folder, 0))
        self._content(folder)
        self._speaker.leave()

    def _content(self, folder: FolderNode) -> None:
        where = path_of(folder)
        try:
            nodes = self._workers.ask(lambda: _children_once(folder))
        except (OSError, DicomfsError) as error:
            self.outcome.leave("/".join(where) or ".", _reason(error))
            return
        self._files(
            [_Listed(name, each) for name, each in nodes.items() if not each.is_folder],
            where,
        )
        for node in nodes.values():
            if node.is_folder:
                self._folder(node)

    # -- the files of a folder ---------------------------------------------------------

    def _files(self, files: Sequence[_Listed], where: Sequence[str]) -> None:
        for each in files:
            if each.file.error:
                self._leave(each, where, each.file.reason)
        there = [each for each in files if not each.file.error]
        wanted = sorted(there, key=lambda each: each.file.inode)
        answers = self._speaker.offer(
            _entry(name, file, file.size) for name, file in wanted
        )
        self._there = frozenset(e.number for e in answers if e.error == COMPARED)
        refused = {e.number: e for e in answers if e.error != COMPARED}
        for number, answer in refused.items():
            self._pass_over(wanted[number], where, answer)
        numbers = [n for n in range(len(wanted)) if n not in refused]
        for number, read in self._read_ahead(wanted, numbers):
            self._send(number, wanted[number], where, read)
        self._settle(where)

    def _pass_over(self, listed: _Listed, where: Sequence[str], answer: Answer) -> None:
        if answer.error:
            self._leave(listed, where, _why(answer.error))
        else:
            self.outcome.there += 1
            self._tell(1, listed.file.size)

    def _leave(self, listed: _Listed, where: Sequence[str], reason: str) -> None:
        self.outcome.leave("/".join((*where, listed.name)), reason)
        self._tell(1, listed.file.size)

    def _read_ahead(
        self, files: Sequence[_Listed], numbers: Sequence[int]
    ) -> Iterator[tuple[int, "Task[_Begun]"]]:
        """Yield the *files* with these *numbers* as they are read, one after the other."""
        begun: deque[tuple[int, Task[_Begun]]] = deque()
        ahead = 0
        for number in numbers:
            file = files[number].file
            begun.append((number, self._workers.begin(partial(_begin, file))))
            ahead += min(file.size, _PIECE)
            while ahead > _AHEAD or len(begun) > _MOST_AHEAD:
                first, task = begun.popleft()
                ahead -= min(files[first].file.size, _PIECE)
                yield first, task
        yield from begun

    def _send(
        self,
        number: int,
        listed: _Listed,
        where: Sequence[str],
        read: "Task[_Begun]",
    ) -> None:
        """Send a file that was *read*, or at least begun."""
        name, file = listed
        self._speaker.begin(number)
        try:
            checksum = self._pieces(read, file.size)
        except (OSError, DicomfsError) as error:
            self._speaker.give_up()
            self._leave(listed, where, _reason(error))
            return
        self._speaker.end(checksum)
        self._sent[number] = listed
        self._unsettled += file.size
        self._tell(1, 0)
        if file.reason:
            self.outcome.doubt("/".join((*where, name)), file.reason)
        if self._unsettled > _UNSETTLED:
            self._settle(where)

    def _pieces(self, read: "Task[_Begun]", size: int) -> int:
        """Send the *size* bytes of a file; return their CRC-32. Raises OSError."""
        source, data = self._workers.answer(read)
        checksum = zlib.crc32(data)
        self._pass_on(data)
        if source is None:
            return checksum
        with closing(source):
            for at in range(_PIECE, size, _PIECE):
                piece = partial(_read, source, at, min(_PIECE, size - at))
                data = self._workers.ask(piece)
                checksum = zlib.crc32(data, checksum)
                self._pass_on(data)
        return checksum

    def _pass_on(self, data: bytes) -> None:
        self._speaker.send(data)
        self._tell(0, len(data))

    def _settle(self, where: Sequence[str]) -> None:
        """Find out what could not be written; raises StoppedError if nothing can."""
        answers = self._speaker.settle()
        sent, self._sent = self._sent, {}
        self._unsettled = 0
        failed = {answer.number for answer in answers}
        done = sent.keys() - failed
        self.outcome.size += sum(sent[each].file.size for each in done - self._there)
        self.outcome.copied += len(done - self._there)
        self.outcome.there += len(done & self._there)
        self.outcome.compared += len(done & self._there)
        for number, error, _ in answers:
            if number == FOLDER:
                self.outcome.leave("/".join(where) or ".", _why(error))
            elif number in sent:
                name = sent[number].name
                self.outcome.leave("/".join((*where, name)), _why(error))
        for answer in answers:
            if answer.error in _HOPELESS:
                raise StoppedError(os.strerror(answer.error))


# What was read of a file, and the file if there is more of it.
_Begun = tuple[Source | None, bytes]


def _begin(file: FileNode) -> _Begun:
    """Read the first piece of *file*; raises OSError."""
    source = file.open()
    try:
        data = _read(source, 0, min(file.size, _PIECE))
    except BaseException:
        source.close()
        raise
    if file.size > _PIECE:
        return source, data
    source.close()
    return None, data


def _read(source: Source, offset: int, size: int) -> bytes:
    data = source.read_at(offset, size)
    if len(data) != size:
        raise OSError(errno.EIO, "the file ended before its size")
    return data


def amount_of(node: FolderNode | FileNode, workers: Workers) -> tuple[int, int]:
    """Return how many files there are in *node*, and how many bytes they have.

    A folder that cannot be read counts for nothing: it is met again.
    """
    if not node.is_folder:
        return 1, node.size
    try:
        nodes = workers.ask(lambda: _children_once(node))
    except (OSError, DicomfsError):
        return 0, 0
    below = [amount_of(each, workers) for each in nodes.values()]
    return sum(count for count, _ in below), sum(size for _, size in below)


def _children_once(folder: FolderNode) -> Mapping[str, FolderNode | FileNode]:
    """Return what is in *folder*, by name, and keep it no longer than it was kept."""
    is_kept = folder.children_cached() is not None
    children = folder.children()
    if not is_kept:
        folder.forget()
    return children


def path_of(node: FolderNode | FileNode) -> tuple[str, ...]:
    """Return the names from the root to *node*."""
    above = path_of(node.parent) if node.parent is not None else ()
    return (*above, node.name) if node.name else above


def _entry(name: str, node: FolderNode | FileNode, size: int) -> Entry:
    return Entry(os.fsencode(name), size, node.mtime_ns)


def _why(error: int) -> str:
    return OTHER_THERE if error == errno.EEXIST else os.strerror(error)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
