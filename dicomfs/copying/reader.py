"""What reads a medium for a copy: it walks the tree, and says what is in it.

The files of a folder come in the order of their inode numbers, in which a drive has
them. One thread reads ahead while what was read before is sent.
"""

import errno
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

from dicomfs.copying.wire import (
    COMPARED,
    FOLDER,
    HOPELESS,
    LEFTOVER,
    LINKED,
    Answer,
    Entry,
    Speaker,
)
from dicomfs.counting import counted
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
# What is said of errors in the place of the copy, where it is more than their text.
_OF_THE_COPY: Final = {
    errno.EEXIST: "another file of this name is there",
    errno.ENOTDIR: "another file of this name is there",
    errno.ELOOP: "a symbolic link of this name is there",
    errno.EBUSY: "another copy writes into it",
    errno.ESTALE: "its folder in the copy was removed meanwhile",
    errno.EBADMSG: "what was read back is not what was written",
    errno.EREMOTEIO: "the file of this name that is there cannot be read",
    errno.ENODEV: "its folder is not there any more",
}


class StoppedError(Exception):
    """The place of the copy takes no more, for the reason that is told."""


class _Listed(NamedTuple):
    """A file, and what it is called where it is listed: it may be in several folders."""

    name: str
    file: FileNode


@dataclass
class Outcome:
    """What a copy came to: numbers of files, bytes, and what was *left* out and why.

    Of those *there* already some were *compared*, and are the same. *doubtful* are files
    that were copied as they are, and what is said of them. *folders* are those that could
    not be made, of which the files count as left out, and those that could not be read,
    of which nobody knows how many files they have. Half-written files of a copy that was
    killed are *cleared*.
    """

    copied: int = 0
    there: int = 0
    compared: int = 0
    size: int = 0
    left: int = 0
    folders: int = 0
    cleared: int = 0
    unnamed: int = 0
    named: list[tuple[str, str]] = field(default_factory=list)
    doubtful: list[tuple[str, str]] = field(default_factory=list)

    @property
    def told(self) -> int:
        """Of how many files it is known what became of them."""
        return self.copied + self.there + self.left

    def leave(self, path: str, reason: str) -> None:
        """Note that the file at *path* was not copied."""
        self.left += 1
        self._name(path, reason)

    def leave_folder(self, path: str, reason: str, files: int | None) -> None:
        """Note that the folder at *path* was not copied, and how many *files* with it."""
        self.folders += 1
        self.left += files or 0
        what = (
            "nobody knows how many files" if files is None else counted(files, "file")
        )
        self._name(f"{path or '.'} ({what})", reason)

    def _name(self, path: str, reason: str) -> None:
        if len(self.named) < _MOST_NAMED:
            self.named.append((path, reason))
        else:
            self.unnamed += 1

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
        if error := self._speaker.enter(_entry(folder.name, folder, 0)):
            self._stop_if(error)
            files, size = amount_of(folder, self._workers)
            path = "/".join(path_of(folder))
            self.outcome.leave_folder(path, _why(error), files)
            self._tell(files, size)
            return
        self._content(folder)
        self._speaker.leave()

    def _content(self, folder: FolderNode) -> None:
        where = path_of(folder)
        try:
            nodes = self._workers.ask(lambda: _children_once(folder))
        except (OSError, DicomfsError) as error:
            self.outcome.leave_folder("/".join(where), _reason(error), None)
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
            _entry(name, file, file.size, file.inode * (file.links > 1))
            for name, file in wanted
        )
        self.outcome.cleared += sum(e.number == LEFTOVER for e in answers)
        self._there = frozenset(e.number for e in answers if e.error == COMPARED)
        refused = {
            e.number: e
            for e in answers
            if e.error != COMPARED and e.number < len(wanted)
        }
        for number, answer in refused.items():
            self._pass_over(wanted[number], where, answer)
        numbers = [n for n in range(len(wanted)) if n not in refused]
        for number, read in self._read_ahead(wanted, numbers):
            self._send(number, wanted[number], where, read)
        self._settle(where)

    def _pass_over(self, listed: _Listed, where: Sequence[str], answer: Answer) -> None:
        if answer.error == LINKED:
            self.outcome.copied += 1
            self._tell(1, listed.file.size)
        elif answer.error:
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
            self._pieces(read, file.size)
        except (OSError, DicomfsError) as error:
            self._speaker.give_up()
            self._leave(listed, where, _reason(error))
            return
        self._speaker.end()
        self._sent[number] = listed
        self._unsettled += file.size
        self._tell(1, 0)
        if file.reason:
            self.outcome.doubt("/".join((*where, name)), file.reason)
        if self._unsettled > _UNSETTLED:
            self._settle(where)

    def _pieces(self, read: "Task[_Begun]", size: int) -> None:
        """Send the *size* bytes of a file; raises OSError."""
        source, data = self._workers.answer(read)
        self._pass_on(data)
        if source is None:
            return
        with closing(source):
            for at in range(_PIECE, size, _PIECE):
                piece = partial(_read, source, at, min(_PIECE, size - at))
                self._pass_on(self._workers.ask(piece))

    def _pass_on(self, data: bytes) -> None:
        self._speaker.send(data)
        self._tell(0, len(data))

    def _settle(self, where: Sequence[str]) -> None:
        """Find out what could not be written; raises StoppedError if nothing can."""
        answers = self._speaker.settle()
        sent, self._sent = self._sent, {}
        self._unsettled = 0
        failed = {answer.number: answer.error for answer in answers}
        done = sent.keys() - failed.keys()
        self.outcome.size += sum(sent[each].file.size for each in done - self._there)
        self.outcome.copied += len(done - self._there)
        self.outcome.there += len(done & self._there)
        self.outcome.compared += len(done & self._there)
        for number, error in failed.items():
            # Where nothing can be written any more, it is no matter of the file.
            if number in sent and error not in HOPELESS:
                name = sent[number].name
                self.outcome.leave("/".join((*where, name)), _why(error))
        if (error := failed.get(FOLDER, 0)) and error not in HOPELESS:
            raise StoppedError(_why(error))
        for error in failed.values():
            self._stop_if(error)

    def _stop_if(self, error: int) -> None:
        """Raise StoppedError if that *error* of the copy is one after which nothing is."""
        if error in HOPELESS:
            raise StoppedError(_why(error))


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


def _entry(name: str, node: FolderNode | FileNode, size: int, link: int = 0) -> Entry:
    return Entry(os.fsencode(name), size, node.mtime_ns, link)


def _why(error: int) -> str:
    return _OF_THE_COPY.get(error) or os.strerror(error)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
