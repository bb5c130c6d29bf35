"""dicomfs with somebody inside: each of its processes tries what it is told to.

    python -P -m tests.support.inside FILE PORT ARGUMENT...

It is dicomfs with these arguments. A process that gets SIGUSR2 tries to do four things,
as an intruder would, and writes what became of them into its name, which all can read:
whether it read FILE, wrote beside it, spoke to PORT on this machine, and started a
program. The commands that read media themselves wait for ever before they do, so that
there is time for that. So does who is to paint a picture.
"""

import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn

from dicomfs.cli.main import main
from dicomfs.fileset import open as opening
from dicomfs.pictures import wire

PROBED: Final = "probed:"
WAITS: Final = "waits"
WRITTEN: Final = ".written"

_PR_SET_NAME: Final = 15
READERS: Final = ("tree", "check", "catalogue", "copy", "repair")

_libc = ctypes.CDLL(None)


def _read(file: str, _: int) -> None:
    os.close(os.open(file, os.O_RDONLY))


def _write(file: str, _: int) -> None:
    os.close(os.open(file + WRITTEN, os.O_WRONLY | os.O_CREAT))


def _connect(_: str, port: int) -> None:
    # Not by a function that loads codecs first: it could fail for another reason.
    with socket.socket() as made:
        made.connect(("127.0.0.1", port))


def _start(_: str, __: int) -> None:
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)


TRIED: Final[tuple[Callable[[str, int], None], ...]] = (_read, _write, _connect, _start)


def _run() -> int:
    file, port, *arguments = sys.argv[1:]

    def probe(number: int, frame: FrameType | None) -> None:
        del number, frame
        name = PROBED + "".join(_try(each, file, int(port)) for each in TRIED)
        _libc.prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)

    signal.signal(signal.SIGUSR2, probe)
    wire.receive_request = _wait
    if arguments[0] in READERS:
        opening.file_sets_of = _wait
    return main(arguments)


def _try(what: Callable[[str, int], None], file: str, port: int) -> str:
    try:
        what(file, port)
    except OSError:
        return "-"
    return "+"


def _wait(*_: object, **__: object) -> NoReturn:
    _libc.prctl(_PR_SET_NAME, WAITS.encode(), 0, 0, 0)
    while True:
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(_run())
