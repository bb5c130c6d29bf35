"""A second process that looks at files, so that a medium is read on two cores.

It is forked before this one gives up its rights, and gives up the same. It reads files one
after the other, in the order in which it is asked, and says of each what it found, in JSON:
whoever takes it over can say what they like, and nothing else. While it looks at one batch
of files, the next ones wait for it, so it never waits for us; and it has the kernel read
ahead in that order, as a drive has one head.

Only folders are read in this way. Whatever is not plain is left to the asker: a file that
is not the one that was listed, and all files once the process does not answer.
"""

import json
import os
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from itertools import islice
from typing import Final, NamedTuple, NoReturn

from dicomfs.errors import DicomfsError, FileIdError
from dicomfs.fileset.confinement import confine_to
from dicomfs.media.folder import FolderMedium
from dicomfs.media.medium import Medium, Place, Status
from dicomfs.media.opening import OpenedFolder, OpenedSource
from dicomfs.sandbox import process
from dicomfs.source.file import FileSource
from dicomfs.source.pulse import Pulse, resting
from dicomfs.source.source import Source

NAME: Final = "dicomfs-reader"
# What a job may say of a file, in JSON.
Told = object


class Job(NamedTuple):
    """How to *look* at one file, whose status is as it was listed.

    For that no more than its first *ahead* bytes are read ahead.
    """

    look: Callable[[Source], Told]
    ahead: int = sys.maxsize


# What waits for the process, so that it never waits: less than a pipe holds.
_BATCHES_AHEAD: Final = 8
_BATCH: Final = 16
# So much of a batch is read ahead of the file that is looked at.
_AHEAD: Final = 8 * 1024 * 1024
# The kernel reads no more of a file that it is asked to read ahead, whatever it is asked.
_AT_A_TIME: Final = 128 * 1024
_PIECE: Final = 1024 * 1024
_BEAT_EVERY: Final = 0.5
_SECONDS_TO_END: Final = 1.0
_GLANCE: Final = 0.005
_LONGEST: Final = 16 * 1024 * 1024
# What an answer begins with.
_TOLD: Final = "told"
_ERROR: Final = "error"
_REDO: Final = "redo"


class Redo(Exception):  # noqa: N818 - it is not an error
    """Somebody has to look at a file who knows more of it."""


class Asked(NamedTuple):
    """A file, and its status as it was listed."""

    place: Place
    status: tuple[int, int, int]


class Aside:
    """The process, as its asker has it; it answers by lines, each for one file."""

    def __init__(
        self, pid: int, requests: int, answers: int, folders: frozenset[int]
    ) -> None:
        self.pid = pid
        self._requests = requests
        self._answers = answers
        self._folders = folders
        self._heard = b""
        self._lines: deque[bytes] = deque()
        self._is_usable = True

    def serves(self, medium: Medium) -> bool:
        """Whether it can look at files of *medium*."""
        return (
            self._is_usable
            and isinstance(medium, FolderMedium)
            and medium.fd in self._folders
        )

    def looks(
        self, job: str, medium: Medium, files: Iterable[Asked], deadline: float
    ) -> Iterator[Told | OSError | Redo]:
        """Yield what *job* says of each of *files*, in their order.

        An OSError that the medium has for it; Redo where the asker has to look, as where
        the process is silent for *deadline* seconds. That may be for another file.
        """
        waiting: deque[int] = deque()
        coming = iter(files)
        while some := list(islice(coming, _BATCH)):
            self._ask(job, medium, some)
            waiting.append(len(some))
            if len(waiting) > _BATCHES_AHEAD:
                yield from self._answered(waiting.popleft(), deadline)
        while waiting:
            yield from self._answered(waiting.popleft(), deadline)

    def end(self, patience: float = 0.0) -> None:
        """Ask it nothing more, and wait so many seconds for its end: it may hang."""
        if self._is_usable:
            self._is_usable = False
            os.close(self._requests)
            os.close(self._answers)
        until = time.monotonic() + patience
        while patience and time.monotonic() < until:
            with suppress(ChildProcessError):
                if os.waitpid(self.pid, os.WNOHANG) == (0, 0):
                    time.sleep(_GLANCE)
                    continue
            return

    def _ask(self, job: str, medium: Medium, files: Sequence[Asked]) -> None:
        if not (self._is_usable and isinstance(medium, FolderMedium)):
            return
        places = [[each.decode("latin-1") for each in file.place] for file in files]
        request = [job, medium.fd, places, [file.status for file in files]]
        data = json.dumps(request).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._requests, data) :]
        except OSError:
            self.end()

    def _answered(self, count: int, deadline: float) -> Iterator[Told | OSError | Redo]:
        for _ in range(count):
            yield _understood(self._line(deadline) if self._is_usable else b"")

    def _line(self, deadline: float) -> bytes:
        """Return the next line, none if the process has ended or is silent too long."""
        while True:
            while self._lines:
                if line := self._lines.popleft():
                    return line
            with resting():
                ready, _, _ = select.select([self._answers], [], [], deadline)
            data = os.read(self._answers, _PIECE) if ready else b""
            *lines, rest = (self._heard + data).split(b"\n")
            self._lines += lines
            self._heard = rest
            if not data or len(rest) > _LONGEST:
                self.end()
                return b""


def _understood(line: bytes) -> Told | OSError | Redo:
    """Return what a *line* says of a file."""
    try:
        kind, *told = json.loads(line)
        if kind == _TOLD:
            found: Told = told[0]
            return found
        if kind == _ERROR:
            return OSError(int(told[0]), str(told[1]))
    except (ValueError, TypeError, IndexError, RecursionError):
        pass
    return Redo()


# The one of this process, if it has one.
_beside: list[Aside] = []


def end() -> None:
    """End the process beside this one, if there is one."""
    while _beside:
        _beside.pop().end(_SECONDS_TO_END)


def beside(medium: Medium) -> Aside | None:
    """Return the process that looks at files of *medium*, None if there is none."""
    return next((each for each in _beside if each.serves(medium)), None)


def start(
    sources: Sequence[OpenedSource], jobs: Mapping[str, Job], *, scan: bool
) -> Sequence[int]:
    """Have a second process do *jobs* on files of *sources*, if it is of use.

    It is when there are two cores, and nothing but folders. To be called before rights are
    given up, and before any thread is started. Returns the descriptors by which it is asked.
    """
    folders = [source.fd for source in sources if isinstance(source, OpenedFolder)]
    if len(folders) < len(sources) or len(os.sched_getaffinity(0)) < 2:
        return ()
    asked, requests = os.pipe()
    answers, told = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _serve(sources, jobs, asked, told, parent, scan=scan)
    os.close(asked)
    os.close(told)
    _beside[:] = [Aside(pid, requests, answers, frozenset(folders))]
    return requests, answers


# -- in the process ----------------------------------------------------------------------


def _serve(
    sources: Sequence[OpenedSource],
    jobs: Mapping[str, Job],
    asked: int,
    told: int,
    parent: int,
    *,
    scan: bool,
) -> NoReturn:
    """Answer what is *asked*, until nobody asks any more."""
    try:
        process.call(NAME)
        process.end_with_parent(signal.SIGKILL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if os.getppid() == parent:
            confine_to(sources, [asked, told], scan=scan)
            os.write(told, b"\n")
            folders = [each for each in sources if isinstance(each, OpenedFolder)]
            media = {
                each.fd: FolderMedium(each.fd, each.file_system) for each in folders
            }
            _Reader(media, jobs, told).answer(asked)
    finally:
        os._exit(0)


class _Pulse(Pulse):
    """Says now and then that a file is being read."""

    def __init__(self, told: int) -> None:
        super().__init__()
        self._told = told
        self._said = time.monotonic()

    def beat(self) -> None:
        """Say it, if nothing was said for a moment."""
        now = time.monotonic()
        if now - self._said > _BEAT_EVERY:
            self._said = now
            os.write(self._told, b"\n")


class _Reader:
    """Does *jobs* on files of *media*, and says in the pipe *told* what it found."""

    def __init__(
        self, media: Mapping[int, FolderMedium], jobs: Mapping[str, Job], told: int
    ) -> None:
        self._media = media
        self._jobs = jobs
        self._told = told

    def answer(self, asked: int) -> None:
        """Answer all that is *asked*."""
        with open(asked, "rb") as requests, _Pulse(self._told).felt():
            for line in requests:
                job, fd, places, listed = json.loads(line)
                self._look(
                    self._jobs[job],
                    self._media[fd],
                    [tuple(name.encode("latin-1") for name in each) for each in places],
                    [Status(*each) for each in listed],
                )

    def _look(
        self,
        job: Job,
        medium: FolderMedium,
        places: Sequence[Place],
        listed: Sequence[Status],
    ) -> None:
        """Look at some files: all are opened first, and read ahead in their order."""
        sources = [_opened(medium, place) for place in places]
        wanted = [min(_size_of(source), job.ahead) for source in sources]
        turns = turns_of(wanted)
        for source, status in zip(sources, listed, strict=True):
            for number in next(turns):
                self._read_ahead(sources[number], wanted[number])
            self._say(self._answer_of(job, source, status))

    def _read_ahead(self, source: FileSource | Exception, size: int) -> None:
        # A drive that fails is not asked for what nobody may want, nor once more.
        if isinstance(source, Exception) or source.is_worn:
            return
        for start in range(0, size, _AT_A_TIME):
            count = min(_AT_A_TIME, size - start)
            with suppress(OSError):
                os.posix_fadvise(source.fd, start, count, os.POSIX_FADV_WILLNEED)

    def _answer_of(
        self, job: Job, source: Source | Exception, listed: Status
    ) -> tuple[object, ...]:
        if isinstance(source, Exception):
            return _error_of(source)
        try:
            with closing(source):
                if source.status != listed:
                    return (_REDO,)
                return _TOLD, job.look(source)
        except (OSError, DicomfsError) as error:
            return _error_of(error)

    def _say(self, answer: tuple[object, ...]) -> None:
        data = json.dumps(answer).encode() + b"\n"
        while data:
            data = data[os.write(self._told, data) :]


def _opened(medium: FolderMedium, place: Place) -> FileSource | Exception:
    try:
        return medium.open(place)
    except (OSError, FileIdError) as error:
        return error


def _size_of(source: Source | Exception) -> int:
    return 0 if isinstance(source, Exception) else source.size


def turns_of(sizes: Sequence[int]) -> Iterator[range]:
    """Yield for each of some files of these *sizes* which to read ahead before that one.

    Each comes at most once, whole and in its turn, as a drive seeks for what does not; and
    never behind its own look. One for which there is never room does not come at all.
    """
    begun, room = 0, _AHEAD
    for number, size in enumerate(sizes):
        first = max(begun, number)
        begun = first
        while begun < len(sizes) and sizes[begun] <= room:
            room -= sizes[begun]
            begun += 1
        yield range(first, begun)
        # What is looked at makes room, if it was read ahead.
        room += size if begun > number else 0


def _error_of(error: Exception) -> tuple[object, ...]:
    """Return what is said of an *error*; what is not the medium's is left to the asker."""
    if type(error) is OSError or type(error).__module__ == "builtins":
        return _ERROR, getattr(error, "errno", None), getattr(error, "strerror", "")
    return (_REDO,)
