"""Starting the process that writes a copy, and the pipes to it."""

import fcntl
import os
import signal
from contextlib import suppress
from typing import Final, NoReturn

from dicomfs.copying.wire import MOST, BrokenWireError, Speaker
from dicomfs.copying.writer import Writer
from dicomfs.sandbox import confine, environment, inheritance, process

NAME: Final = "dicomfs-writer"
"""What it is called where processes are listed."""

_F_SETPIPE_SZ: Final = 1031
# Heads of pieces are read with what follows them. Of the bytes of a file not more: they
# would be copied once more.
_READ_ON: Final = 64 * 1024


class Writing:
    """A process that writes below the folder *root*, a descriptor.

    Forked before anybody reads the medium. It ends when nobody holds the other ends of
    its pipes, and leaves nothing half written.
    """

    def __init__(self, root: int, *, compares: bool) -> None:
        heard, self._to = os.pipe()
        self._answers, answered = os.pipe()
        with suppress(OSError):  # then more turns are taken
            fcntl.fcntl(heard, _F_SETPIPE_SZ, MOST)
        self._pid = os.fork()
        if self._pid == 0:
            _serve(root, heard, answered, compares=compares)
        os.close(heard)
        os.close(answered)

    @property
    def descriptors(self) -> tuple[int, int]:
        """Our ends of the pipes, for whoever speaks to it."""
        return self._to, self._answers

    def speaker(self) -> Speaker:
        """Return what speaks to it."""
        return Speaker(self._to, self._answers)

    def end(self) -> None:
        """Let go of it, and wait until it has ended."""
        for each in self.descriptors:
            os.close(each)
        os.waitpid(self._pid, 0)


def _serve(root: int, heard: int, answered: int, *, compares: bool) -> NoReturn:
    try:
        # Ctrl-C ends who speaks; then nothing half written stays.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # If that is killed, neither.
        signal.signal(signal.SIGTERM, _end)
        process.end_with_parent(signal.SIGTERM)
        process.call(NAME)
        inheritance.keep_descriptors([root, heard, answered])
        environment.leave()
        process.silence(process.open_null())
        # What is lacking of that, who reads says: it gives up more.
        confine.restrict(confine.Rights((), writable=[root]))
        writer = Writer(root, compares=compares)
        with suppress(BrokenWireError, OSError), open(heard, "rb", _READ_ON) as pipe:
            writer.serve(pipe, answered)
    finally:
        os._exit(os.EX_OK)


def _end(number: int, frame: object) -> NoReturn:
    """Let go of what is half written."""
    del number, frame
    raise BrokenWireError("nobody speaks any more")
