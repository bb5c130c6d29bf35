"""The process that writes a copy: it parses nothing, and has the right to write.

A file gets its name when all of it is written, and was read back and compared. Until then
it has the name ``PART``, so that one that was interrupted is never taken for a whole one.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from ctypes import CDLL, addressof, c_char, c_size_t, c_void_p, get_errno
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from dicomfs.copying.links import Links
from dicomfs.copying.wire import (
    COMPARED,
    FOLDER,
    HOPELESS,
    LEFTOVER,
    LINKED,
    MOST,
    Answer,
    BrokenWireError,
    Entry,
    Verb,
    encoded,
    entry_of,
    number_of,
    pieces,
)

PART: Final = b".dicomfs-part"

# As in a mount: what is copied is as private.
_FOLDER: Final = 0o700
_FILE: Final = 0o600
_DEEPEST: Final = 100
_MOST_FILES: Final = 10_000_000

# What may follow until a file that has begun ends.
_OF_A_FILE: Final = frozenset({Verb.DATA, Verb.END, Verb.BROKEN})

_libc: Final = CDLL(None, use_errno=True)


@dataclass
class _Open:
    """The file that is written: its number, and what is wrong with it so far.

    If it was there already, it is *compared* with what comes.
    """

    number: int
    entry: Entry
    fd: int
    compared: bool
    done: int = 0
    error: int = 0


@dataclass
class _Folder:
    """A folder that was entered, and what was offered in it."""

    fd: int
    mtime_ns: int
    name: bytes = b""
    offered: list[Entry] = field(default_factory=list)
    # Numbers of those that are there already.
    there: set[int] = field(default_factory=set)


class Writer:
    """Writes below the folder *root*, a descriptor, what is said to it.

    Files that are there with the same size and time are passed over, unless it *compares*
    all of them. Those of another time are compared with what comes.
    """

    def __init__(self, root: int, *, compares: bool) -> None:
        self._folders = [_Folder(root, 0)]
        self._compares = compares
        self._open: _Open | None = None
        self._failed: list[Answer] = []
        # Why nothing more can be written: an errno, 0 as long as it can.
        self._hopeless = 0
        self._buffer = memoryview(bytearray(MOST))
        self._links = Links()

    def serve(self, pipe: BinaryIO, answers: int) -> None:
        """Do what is said in *pipe*, and answer; raises BrokenWireError."""
        steps: dict[Verb, Callable[[memoryview], None]] = {
            Verb.LEAVE: self._leave,
            Verb.OFFER: self._offer,
            Verb.BEGIN: self._begin,
            Verb.DATA: self._data,
            Verb.END: self._end,
            Verb.BROKEN: self._broken,
        }
        try:
            for verb, data in pieces(pipe):
                if self._open is not None and verb not in _OF_A_FILE:
                    raise BrokenWireError("a file is not at its end")
                if verb is Verb.ENTER:
                    _write_all(answers, encoded(self._entered(entry_of(data))))
                elif verb is Verb.ASK:
                    _write_all(answers, encoded(self._looked_at()))
                elif verb is Verb.SETTLE:
                    _write_all(answers, encoded(self._settled()))
                else:
                    steps[verb](data)
        finally:
            self._drop()

    # -- folders -----------------------------------------------------------------------

    @property
    def _here(self) -> _Folder:
        return self._folders[-1]

    def _entered(self, entry: Entry) -> list[Answer]:
        """Enter the folder *entry*, made if it is not there; return why that fails."""
        if len(self._folders) > _DEEPEST:
            raise BrokenWireError("folders that are too deep")
        try:
            fd = _made(self._here.fd, entry.name)
        except OSError as error:
            return [Answer(FOLDER, self._met(error))]
        self._folders.append(_Folder(fd, entry.mtime_ns, entry.name))
        return []

    def _met(self, error: OSError) -> int:
        """Return the errno of an *error* that was met in writing, which may be the last."""
        number = error.errno or errno.EIO
        if number == errno.ENOENT and not os.fstat(self._here.fd).st_nlink:
            # Nothing is missing but the folder that it was to be in.
            number = errno.ESTALE if len(self._folders) > 1 else errno.ENODEV
        if number in HOPELESS:
            self._hopeless = number
        return number

    def _leave(self, data: memoryview) -> None:
        del data
        if len(self._folders) == 1:
            raise BrokenWireError("nothing is above")
        folder = self._folders.pop()
        with suppress(OSError):  # a stick may not know such times
            os.utime(folder.fd, ns=(folder.mtime_ns, folder.mtime_ns))
        os.close(folder.fd)

    # -- what is wanted ----------------------------------------------------------------

    def _offer(self, data: memoryview) -> None:
        entry = entry_of(data)
        if len(self._here.offered) == _MOST_FILES:
            raise BrokenWireError("too many files in a folder")
        self._here.offered.append(entry)

    def _looked_at(self) -> list[Answer]:
        """Return which of the offered files are not wanted, and why."""
        answers = [
            Answer(number, error, entry.size)
            for number, entry in enumerate(self._here.offered)
            if (error := self._refusal(number, entry)) is not None
        ]
        if (size := self._cleared()) is not None:
            answers.append(Answer(LEFTOVER, 0, size))
        return answers

    def _cleared(self) -> int | None:
        """Take away what a copy left here that was killed; return its size, if any."""
        here = self._here.fd
        try:
            found = os.stat(PART, dir_fd=here, follow_symlinks=False)
            os.unlink(PART, dir_fd=here)
        except OSError:
            return None  # if it is in the way, the next file says so
        return found.st_size

    def _refusal(self, number: int, entry: Entry) -> int | None:
        """Return why a file is not wanted: an errno, 0 if it is there; None if it is.

        COMPARED is for one that is there, and wanted all the same.
        """
        try:
            found = os.stat(entry.name, dir_fd=self._here.fd, follow_symlinks=False)
        except FileNotFoundError:
            root, here = self._folders[0].fd, self._here.fd
            return LINKED if self._links.make(entry, root, here) else None
        except OSError as error:
            return error.errno or errno.EIO
        if not stat.S_ISREG(found.st_mode) or found.st_size != entry.size:
            return errno.EEXIST
        if entry.has_time(found.st_mtime_ns) and not self._compares:
            self._remember(entry)
            return 0
        self._here.there.add(number)
        return COMPARED

    def _remember(self, entry: Entry) -> None:
        """Note that the file *entry* is here, and whole."""
        self._links.remember(entry, [folder.name for folder in self._folders[1:]])

    # -- one file ----------------------------------------------------------------------

    def _begin(self, data: memoryview) -> None:
        number = number_of(data)
        if number >= len(self._here.offered):
            raise BrokenWireError("a file begins where none can")
        entry = self._here.offered[number]
        compared = number in self._here.there
        self._open = _Open(number, entry, -1, compared)
        if self._hopeless:
            self._open.error = self._hopeless
            return
        try:
            self._open.fd = self._opened(entry.name) if compared else self._new()
        except OSError as error:
            self._open.error = self._met(error)

    def _opened(self, name: bytes) -> int:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        return os.open(name, flags, dir_fd=self._here.fd)

    def _new(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(PART, flags, _FILE, dir_fd=self._here.fd)

    def _data(self, data: memoryview) -> None:
        now = self._current()
        if now.error:
            return
        if now.done + len(data) > now.entry.size:
            raise BrokenWireError("a file is longer than was said")
        try:
            if not now.compared:
                _write_all(now.fd, data)
            if not self._reads_as(data):
                now.error = errno.EEXIST if now.compared else errno.EBADMSG
        except OSError as error:
            # One that is there may lie on a bad sector: others can be written all the same.
            now.error = errno.EREMOTEIO if now.compared else self._met(error)
        now.done += len(data)

    def _reads_as(self, data: memoryview) -> bool:
        """Whether the file has *data* where it comes to now; raises OSError."""
        now = self._current()
        done = 0
        while done < len(data):
            # Room that is taken once: taking it anew for each piece is what costs time.
            room = self._buffer[: len(data) - done]
            more = os.preadv(now.fd, [room], now.done + done)
            if not more or not _are_equal(room[:more], data[done : done + more]):
                return False
            done += more
        return True

    def _end(self, data: memoryview) -> None:
        del data
        now = self._current()
        if now.done != now.entry.size and not now.error:
            raise BrokenWireError("a file is shorter than was said")
        if not now.error and not now.compared:
            try:
                self._finish(now)
            except OSError as error:
                now.error = self._met(error)
        if now.error:
            self._failed.append(Answer(now.number, now.error))
        else:
            self._remember(now.entry)
        self._drop()

    def _finish(self, now: _Open) -> None:
        """Give the file its time and its name; raises OSError."""
        with suppress(OSError):
            os.utime(now.fd, ns=(now.entry.mtime_ns, now.entry.mtime_ns))
        here = self._here.fd
        os.rename(PART, now.entry.name, src_dir_fd=here, dst_dir_fd=here)
        os.close(now.fd)
        now.fd = -1

    def _broken(self, data: memoryview) -> None:
        del data
        self._current()
        self._drop()

    def _current(self) -> _Open:
        if self._open is None:
            raise BrokenWireError("no file has begun")
        return self._open

    def _drop(self) -> None:
        """Leave nothing of a file that is not whole."""
        now, self._open = self._open, None
        if now is None or now.fd < 0:
            return
        os.close(now.fd)
        if not now.compared:
            with suppress(OSError):
                os.unlink(PART, dir_fd=self._here.fd)

    # -- settling ----------------------------------------------------------------------

    def _settled(self) -> list[Answer]:
        """Return what could not be written since that was asked last.

        Between folders all of it is brought to the disk.
        """
        failed, self._failed = self._failed, []
        if len(self._folders) == 1 and (error := self._synced()):
            failed.append(Answer(FOLDER, error))
        return failed

    def _synced(self) -> int:
        """Bring all to the disk; return an errno, 0 if it is there."""
        return get_errno() if _libc.syncfs(self._folders[0].fd) else 0


def hold(folder: int) -> None:
    """Keep others from copying into *folder* as long as it is open.

    They would write into the file that is not whole yet. Raises OSError (EBUSY) if
    somebody is at it; where the file system knows no locks, nobody is kept from it.
    """
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OSError(errno.EBUSY, "another copy writes into it") from error
    except OSError:
        pass


def _made(above: int, name: bytes) -> int:
    """Return the folder *name*, held, and made if it is not there; raises OSError."""
    with suppress(FileExistsError):
        os.mkdir(name, _FOLDER, dir_fd=above)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(name, flags, dir_fd=above)
    try:
        hold(fd)
    except OSError:
        os.close(fd)
        raise
    return fd


def _are_equal(one: memoryview, other: memoryview) -> bool:
    """Whether two pieces of the same size, which can be written to, are the same.

    Views are compared item by item, which takes forty times as long.
    """
    return not _libc.memcmp(_place(one), _place(other), c_size_t(len(one)))


def _place(piece: memoryview) -> c_void_p:
    return c_void_p(addressof(c_char.from_buffer(piece)))


def _write_all(fd: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
