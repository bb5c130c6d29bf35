"""What the process that reads a medium says to the one that writes the copy, over pipes.

    reader   ENTER             a folder begins, and what follows is in it, unless the
                               answer says why it cannot be
             LEAVE             it ends
             OFFER ..., ASK    the files of a folder; the answer says which are wanted
             BEGIN, DATA ...   the bytes of one of them
             END or BROKEN     they were all of it, or it cannot be read
             SETTLE            the answer says which could not be written
    writer   answers           numbers of files, with an errno each

A piece is a header of fixed size and as many bytes as it says. The reader may be in the
hands of a medium: nothing that it says leads the writer out of the folder of the copy.
"""

import errno
import os
import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import BinaryIO, Final, NamedTuple

# The longest piece; a pipe holds no more either.
MOST: Final = 1024 * 1024
# The kernel has no longer names.
_MOST_NAME: Final = 255

# FAT has times of two seconds, and none before 1980; a time zone may move that.
_WINDOW_NS: Final = 2 * 10**9
_FIRST_OF_FAT_NS: Final = 315_532_800 * 10**9
_DAY_NS: Final = 86_400 * 10**9

_HEAD: Final = struct.Struct("=BI")
_ENTRY: Final = struct.Struct("=QqQ")
_NUMBER: Final = struct.Struct("=I")
_ANSWER: Final = struct.Struct("=IiQ")


class Verb(IntEnum):
    """What a piece is about."""

    ENTER = 1
    LEAVE = 2
    OFFER = 3
    ASK = 4
    BEGIN = 5
    DATA = 6
    END = 7
    BROKEN = 8
    SETTLE = 9


class Entry(NamedTuple):
    """A file or folder: its name, how many bytes it has, and its time.

    Files that are one in several folders have the same *link*, a number; others have 0.
    """

    name: bytes
    size: int
    mtime_ns: int
    link: int = 0

    def has_time(self, mtime_ns: int) -> bool:
        """Whether *mtime_ns*, of a file that is there, is its time as far as FAT knows it."""
        if abs(mtime_ns - self.mtime_ns) < _WINDOW_NS:
            return True
        is_earlier = self.mtime_ns < _FIRST_OF_FAT_NS
        return is_earlier and abs(mtime_ns - _FIRST_OF_FAT_NS) <= _DAY_NS


# In the place of a file's number: the folder itself, or the half of a file that a copy
# left in it which was killed, and which is gone by now. In that of an errno: the file is
# there, and wanted to be compared; or it was linked to the one that it is.
FOLDER: Final = 0xFFFFFFFF
LEFTOVER: Final = 0xFFFFFFFE
COMPARED: Final = -1
LINKED: Final = -2

# Errors after which nothing more is written: the place is full, or has gone.
HOPELESS: Final = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO),
        *(errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ESHUTDOWN),
    }
)


class Answer(NamedTuple):
    """What became of the file with this *number*; *error* is an errno, 0 for none.

    *size* are the bytes of it that are there already.
    """

    number: int
    error: int
    size: int = 0


class BrokenWireError(Exception):
    """What was said is nothing that can be said, or the other side has ended."""


# -- the reader ------------------------------------------------------------------------


class Speaker:
    """The reader's ends of the pipes: it speaks, and hears answers."""

    def __init__(self, to: int, answers: int) -> None:
        self._to = to
        self._answers = answers

    def say(self, verb: Verb, data: bytes | memoryview = b"") -> None:
        """Say a piece; raises BrokenPipeError if nobody hears it."""
        head = _HEAD.pack(verb, len(data))
        done = os.writev(self._to, [head, data])
        whole = len(head) + len(data)
        # A signal may have come in between.
        while done < whole:
            rest = memoryview(head + bytes(data))[done:]
            done += os.write(self._to, rest)

    def enter(self, folder: Entry) -> int:
        """Say that *folder* begins; return an errno if it cannot, 0 if it does."""
        self.say(Verb.ENTER, _packed(folder))
        return next((answer.error for answer in self._hear()), 0)

    def leave(self) -> None:
        """Say that it ends."""
        self.say(Verb.LEAVE)

    def offer(self, files: Iterable[Entry]) -> list[Answer]:
        """Offer *files*; return those that are there already, or refused."""
        for file in files:
            self.say(Verb.OFFER, _packed(file))
        self.say(Verb.ASK)
        return self._hear()

    def begin(self, number: int) -> None:
        """Say that the bytes of that file follow."""
        self.say(Verb.BEGIN, _NUMBER.pack(number))

    def send(self, data: bytes) -> None:
        """Send *data*, in pieces."""
        view = memoryview(data)
        for begin in range(0, len(view), MOST):
            self.say(Verb.DATA, view[begin : begin + MOST])

    def end(self) -> None:
        """Say that all bytes of the file were sent."""
        self.say(Verb.END)

    def give_up(self) -> None:
        """Say that the file cannot be read."""
        self.say(Verb.BROKEN)

    def settle(self) -> list[Answer]:
        """Return which files were not written since that was asked last, and why."""
        self.say(Verb.SETTLE)
        return self._hear()

    def _hear(self) -> list[Answer]:
        [count] = _NUMBER.unpack(self._receive(_NUMBER.size))
        data = self._receive(count * _ANSWER.size)
        return [Answer(*each) for each in _ANSWER.iter_unpack(data)]

    def _receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = os.read(self._answers, size - len(data))
            if not more:
                raise BrokenWireError("the process that writes has ended")
            data += more
        return data


def _packed(entry: Entry) -> bytes:
    return _ENTRY.pack(entry.size, entry.mtime_ns, entry.link) + entry.name


# -- the writer ------------------------------------------------------------------------


def pieces(pipe: BinaryIO) -> Iterator[tuple[Verb, memoryview]]:
    """Yield what is said in *pipe*, each piece until the next; raises BrokenWireError."""
    buffer = memoryview(bytearray(MOST))
    while head := pipe.read(_HEAD.size):
        if len(head) < _HEAD.size:
            raise BrokenWireError("a piece is cut off")
        verb, size = _HEAD.unpack(head)
        if verb not in tuple(Verb) or size > MOST:
            raise BrokenWireError("there is no such piece")
        data = buffer[:size]
        if _read_into(pipe, data) < size:
            raise BrokenWireError("a piece is cut off")
        yield Verb(verb), data


def _read_into(pipe: BinaryIO, data: memoryview) -> int:
    done = 0
    while done < len(data):
        more: int = pipe.readinto(data[done:])  # type: ignore[attr-defined]
        if not more:
            break
        done += more
    return done


def entry_of(data: memoryview) -> Entry:
    """Return the entry in a piece; raises BrokenWireError for a name that is none."""
    if len(data) <= _ENTRY.size:
        raise BrokenWireError("an entry without a name")
    size, mtime_ns, link = _ENTRY.unpack(data[: _ENTRY.size])
    name = bytes(data[_ENTRY.size :])
    if name in (b".", b"..") or b"/" in name or b"\0" in name:
        raise BrokenWireError("a name that leads elsewhere")
    if len(name) > _MOST_NAME:
        raise BrokenWireError("a name that is too long")
    return Entry(name, size, mtime_ns, link)


def number_of(data: memoryview) -> int:
    """Return the number in a piece; raises BrokenWireError."""
    if len(data) != _NUMBER.size:
        raise BrokenWireError("that is not a number")
    [number] = _NUMBER.unpack(data)
    return int(number)


def encoded(answers: list[Answer]) -> bytes:
    """Return *answers* as they are sent."""
    packed = b"".join(_ANSWER.pack(*each) for each in answers)
    return _NUMBER.pack(len(answers)) + packed
