"""The folder of a mount for which nobody gave one: below ~/Patients, named as its medium.

The side bars of file managers show what is mounted there. They show nothing in a folder
whose path has a dot in front of a name, nor in one of the system.
"""

import os
import re
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import Final

from dicomfs.errors import Failure, Problem
from dicomfs.media import opening
from dicomfs.mount import mountpoint
from dicomfs.remote import urls
from dicomfs.tree import naming

_ABOVE: Final = "Patients"
_NAMELESS: Final = "Medium"
# What udev has read of discs and sticks, as links to their devices.
_LABELS: Final = Path("/dev/disk/by-label")
# How udev writes blanks and what else it does not like.
_ESCAPED: Final = re.compile(rb"\\x([0-9a-f]{2})")


def made_for(source: str) -> Path:
    """Return a folder for the medium *source*, made if there is none; raises Failure.

    One that a mount has left behind is taken again.
    """
    above = Path.home() / _ABOVE
    name = title_of(source) or _NAMELESS
    try:
        above.mkdir(mode=0o700, exist_ok=True)
        names = chain([name], (f"{name} ({number})" for number in count(2)))
        return next(place for each in names if _is_free(place := above / each))
    except OSError as error:
        raise Failure(
            Problem.NO_PLACE, name=error.filename, reason=error.strerror
        ) from error


def _is_free(place: Path) -> bool:
    """Whether nothing is in the folder *place*, and nothing on it; it is made if missing."""
    try:
        place.mkdir(mode=0o700)
    except FileExistsError:
        found = mountpoint.find_mount(mountpoint.resolve(place))
        if found is not None:
            return mountpoint.is_ours(found) and mountpoint.is_stale(place)
        return place.is_dir() and not any(place.iterdir())
    return True


def title_of(source: str) -> str:
    """Return what people call the medium *source*, fit for a name; it may be empty."""
    return naming.clean(_name(source))


def _name(source: str) -> str:
    """Return what people call the medium *source*, a path or URL."""
    if urls.is_url(source):
        path = Path(urls.shown(source).partition("://")[2])
    else:
        path = Path(os.path.abspath(source))  # noqa: PTH100 - resolve() would ask it
        if path.is_block_device():
            return _label(path)
    if opening.is_dicomdir(path.name):
        path = path.parent
    return path.stem if opening.is_image(path.name) else path.name


def _label(device: Path) -> str:
    """Return the label of a disc, and without one what the *device* is called."""
    with suppress(OSError):
        for link in _LABELS.iterdir():
            if link.samefile(device):
                return _ESCAPED.sub(_unescaped, os.fsencode(link.name)).decode(
                    "utf-8", "replace"
                )
    return device.name


def _unescaped(escaped: re.Match[bytes]) -> bytes:
    return bytes([int(escaped[1], 16)])
