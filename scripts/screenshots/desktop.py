"""A desktop that nobody sees: a screen, somebody with a home, and a file manager."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.benchmark.mounts import User

ROOT: Final = Path(__file__).resolve().parents[2]

_PATIENCE: Final = 60.0
# If nothing has changed on the screen for so long, all is there that will be there.
_QUIET: Final = 4.0
_EVERY: Final = 0.5
_WHO_IS_ASKED: Final = 10.0
# Bytes of a screenshot that are looked at, and how many differ on an empty screen.
_SAMPLE: Final = 101
_FEW_COLOURS: Final = 16


class DesktopError(Exception):
    """A screen or a window did not come."""


@dataclass(frozen=True, slots=True)
class FileManager:
    """A file manager: its name, and the command that starts it on a folder."""

    name: str
    command: tuple[str, ...]


# Thunar with buttons for the folders above, and with icons a bit larger than usual.
_THUNAR: Final = """<?xml version="1.0" encoding="UTF-8"?>
<channel name="thunar" version="1.0">
  <property name="last-location-bar" type="string" value="ThunarLocationButtons"/>
  <property name="last-icon-view-zoom-level" type="string"
    value="THUNAR_ZOOM_LEVEL_150_PERCENT"/>
  <property name="last-separator-position" type="int" value="130"/>
</channel>
"""
FILE_MANAGERS: Final = (
    FileManager("thunar", ("thunar",)),
    FileManager("pcmanfm", ("pcmanfm",)),
    FileManager("caja", ("caja", "--no-desktop", "--browser")),
)


@dataclass(frozen=True, slots=True)
class Size:
    """Pixels of a screen, which a file manager fills: there is no window manager."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Screen:
    """A screen that nobody sees, and the *environment* of the *user* who sits there."""

    environment: Mapping[str, str]
    user: User
    size: Size

    def show(self, manager: FileManager, folder: Path, picture: Path) -> float:
        """Let *manager* show *folder*, and write to *picture* what is on the screen then.

        Returns the seconds until nothing changed any more. Raises DesktopError.
        """
        session = [*self.user.prefix, "dbus-run-session", "--"]
        with _running([*session, *manager.command, str(folder)], self.environment):
            begun = changed = time.monotonic()
            last = b""
            while time.monotonic() < begun + _PATIENCE:
                self._fill()
                now = self._shot()
                if now != last:
                    last, changed = now, time.monotonic()
                elif _is_drawn(last) and time.monotonic() > changed + _QUIET:
                    break
                time.sleep(_EVERY)
        if not _is_drawn(last):
            raise DesktopError("no window has come")
        _convert(last, picture)
        return changed - begun

    def _fill(self) -> None:
        """Let the window fill the screen, if it is there."""
        found = self._ask("xdotool", "search", "--onlyvisible", "--name", ".+")
        windows = found.decode().split()
        for window in windows:
            size = (str(self.size.width), str(self.size.height))
            self._ask("xdotool", "windowsize", window, *size)
            self._ask("xdotool", "windowmove", window, "0", "0")

    def _shot(self) -> bytes:
        return self._ask("import", "-window", "root", "ppm:-")

    def _ask(self, *command: str) -> bytes:
        return subprocess.run(
            command,
            env=self.environment,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_WHO_IS_ASKED,
        ).stdout


def _is_drawn(shot: bytes) -> bool:
    """Whether there is more on the screen than its background, or an empty window."""
    return len({*shot[::_SAMPLE]}) > _FEW_COLOURS


def _convert(shot: bytes, picture: Path) -> None:
    """Write *shot* as a small PNG without a time in it."""
    how = ["-strip", "-colors", "255", "-define", "png:compression-level=9"]
    command = ["convert", "ppm:-", *how, f"png8:{picture}"]
    subprocess.run(command, input=shot, check=True)


@contextlib.contextmanager
def screen(home: Path, state: Path, user: User, size: Size) -> Iterator[Screen]:
    """Yield a screen for *user*, who lives in *home* and has used no program before.

    What programs keep goes to the empty folder *state*.
    """
    with contextlib.ExitStack() as stack:
        read, write = os.pipe()
        said = stack.enter_context(os.fdopen(read))
        geometry = f"{size.width}x{size.height}x24"
        command = ["Xvfb", "-displayfd", str(write), "-screen", "0", geometry]
        # On a screen of one's own nobody else is to be kept out.
        command += ["-nolisten", "tcp", "-ac"]
        with os.fdopen(write, "w"):
            stack.enter_context(_running(command, dict(os.environ), [write]))
        number = said.readline().strip()
        if not number:
            raise DesktopError("Xvfb has not come up")
        yield Screen(_environment(home, state, user, number), user, size)


def _environment(home: Path, state: Path, user: User, display: str) -> dict[str, str]:
    thunar = state / "config/xfce4/xfconf/xfce-perchannel-xml/thunar.xml"
    thunar.parent.mkdir(parents=True)
    thunar.write_text(_THUNAR, encoding="utf-8")
    for name in ("cache", "data", "runtime"):
        (state / name).mkdir(mode=0o700)
    for each in (state, *state.rglob("*")):
        user.owns(each)
    data = [ROOT / "share", Path("/usr/local/share"), Path("/usr/share")]
    return {
        "DISPLAY": f":{display}",
        "GIO_USE_VFS": "local",
        "GIO_USE_VOLUME_MONITOR": "unix",
        "GSETTINGS_BACKEND": "memory",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "NO_AT_BRIDGE": "1",
        # The thumbnailer is taken from here, as if it were installed.
        "PATH": f"{ROOT / 'share/dicomfs'}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(state / "cache"),
        "XDG_CONFIG_HOME": str(state / "config"),
        "XDG_DATA_DIRS": ":".join(map(str, data)),
        "XDG_DATA_HOME": str(state / "data"),
        "XDG_RUNTIME_DIR": str(state / "runtime"),
    }


@contextlib.contextmanager
def _running(
    command: Sequence[str], environment: Mapping[str, str], keeps: Sequence[int] = ()
) -> Iterator[None]:
    """Run *command* as long as the context lasts, and end all that it has started.

    Of our descriptors it has those that it *keeps*.
    """
    process = subprocess.Popen(
        command,
        env=environment,
        pass_fds=keeps,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
