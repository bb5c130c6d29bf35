"""Mount media and look at what is shown; whatever happens, nothing stays mounted."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.benchmark.mounts import is_mounted, unmount
from scripts.benchmark.processes import end, marked
from scripts.recording.command import HANGS, LIMIT, Dicomfs, environment
from scripts.recording.entries import Entry, Parts
from scripts.recording.medium import Medium

_LOOK: Final = Path(__file__).with_name("look.py")
_BUSY: Final = "a mount in use"


def entries(dicomfs: Dicomfs, medium: Medium) -> Iterator[Entry]:
    """Yield what is said of mounting *medium*, what is shown, and what of its end."""
    options = medium.mount or ()
    with _mount(dicomfs, medium.name, *options, *medium.arguments) as mount:
        yield Entry("mount", medium.name, mount.said)
        if is_mounted(mount.place):
            yield Entry("mounted", medium.name, _seen(mount))
            said = dicomfs.run("umount", mount.place)
            yield Entry("umount", medium.name, said)
        yield Entry("log", medium.name, {"log": mount.log(dicomfs)})


def of_one_in_use(dicomfs: Dicomfs, *arguments: str) -> Iterator[Entry]:
    """Yield what is said to those who disturb a mount that somebody uses."""
    with _mount(dicomfs, _BUSY, *arguments) as mount:
        again = dicomfs.run("mount", *arguments, mount.place)
        yield Entry("mount once more", _BUSY, again)
        with _user_of(mount.place):
            yield Entry("umount", _BUSY, dicomfs.run("umount", mount.place))
            lazy = dicomfs.run("umount", "--lazy", mount.place)
            yield Entry("umount --lazy", _BUSY, lazy)
        yield Entry("umount once more", _BUSY, dicomfs.run("umount", mount.place))


@dataclass(frozen=True, slots=True)
class _Mount:
    """What is mounted on *place*, if mounting went well, and what was *said*."""

    place: Path
    mark: str
    log_file: Path
    said: Parts

    def log(self, dicomfs: Dicomfs) -> str:
        """Return what was logged so far."""
        return dicomfs.plain(self.log_file.read_bytes())


@contextlib.contextmanager
def _mount(dicomfs: Dicomfs, name: str, *arguments: str) -> Iterator[_Mount]:
    # It is in what is said, so it is named after the medium, and not by chance.
    folder = dicomfs.work / name.replace("/", "_")
    folder.mkdir()
    place, log_file = folder / "mnt", folder / "log"
    place.mkdir()
    log_file.touch()
    mark = uuid.uuid4().hex
    try:
        options = ("--verbose", "--log-file", log_file)
        said = dicomfs.run("mount", *options, *arguments, place, mark=mark)
        yield _Mount(place, mark, log_file, said)
    finally:
        unmount(place)
        end(mark)


def _seen(mount: _Mount) -> Parts:
    """Return what a program of its own sees there."""
    # A reader who waits for a mount that hangs cannot always be killed: those who
    # serve it can.
    watchdog = threading.Timer(LIMIT, _kill, [mount.mark])
    watchdog.daemon = True
    watchdog.start()
    try:
        done = subprocess.run(
            [sys.executable, "-P", _LOOK, mount.place],
            env=environment(""),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=2 * LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"exit": HANGS}
    finally:
        watchdog.cancel()
    if done.returncode:
        return {"exit": str(done.returncode), "stderr": os.fsdecode(done.stderr)}
    parts: Parts = json.loads(done.stdout)
    return parts


def _kill(mark: str) -> None:
    for pid in marked(mark):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def _user_of(place: Path) -> Iterator[None]:
    """Let a process have *place* as its current folder."""
    process = subprocess.Popen(["sleep", str(LIMIT)], cwd=place)
    try:
        yield
    finally:
        process.kill()
        process.wait()
