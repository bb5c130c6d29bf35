"""The desktop of whoever called: it shows folders, and says things in notifications.

Both are done by programs that all desktops have. All users can see the arguments of a
program, and notifications are shown on locked screens: no patient is named in either. A
folder is handed to the file manager by its path all the same, as there is no other way.
"""

import html
import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

_DISPLAYS: Final = ("WAYLAND_DISPLAY", "DISPLAY")
_OPEN: Final = ("xdg-open",)
_NOTIFY: Final = ("notify-send", "--app-name=dicomfs", "--icon=media-optical")
# xdg-open becomes the file manager itself where nothing else starts programs.
_SECONDS: Final = 5.0


def is_there() -> bool:
    """Whether there is one: somebody may call from a terminal far away."""
    return any(os.environ.get(name) for name in _DISPLAYS)


def show(folder: Path) -> bool:
    """Open *folder* in the file manager; return whether that goes well."""
    return _started([*_OPEN, str(folder)])


def notify(title: str, text: str) -> bool:
    """Say *text* in a notification; return whether there is somebody to show it."""
    # Some desktops take markup in it.
    return _started([*_NOTIFY, "--", title, html.escape(text, quote=False)])


def _started(command: Sequence[str]) -> bool:
    """Whether a program can be started, and does not fail at once."""
    null = subprocess.DEVNULL
    name, *arguments = command
    found = shutil.which(name, path=_path())
    if found is None:
        return False
    try:
        program = subprocess.Popen(
            [found, *arguments],
            stdin=null,
            stdout=null,
            stderr=null,
            start_new_session=True,
        )
    except OSError:
        return False
    with suppress(subprocess.TimeoutExpired):
        return program.wait(_SECONDS) == 0
    return True


def _path() -> str:
    """Return $PATH without what leads to the current folder, which may be the medium."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(each for each in folders if Path(each).is_absolute())
