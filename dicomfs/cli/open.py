"""``dicomfs open``: a medium in the file manager, for who clicks on it.

What a desktop calls has no terminal. What people should know they get as a notification,
and logs, which may have what is said on stderr, get nothing of it.
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from dicomfs.cli import desktop, faults, mount, sources
from dicomfs.cli.codes import Exit
from dicomfs.cli.exits import complaint
from dicomfs.cli.terminal import Audience, say
from dicomfs.errors import Failure, Problem
from dicomfs.mount.options import Options

# The medium has no index that is of use. Who clicks cannot say that files be read instead.
_NO_INDEX: Final = frozenset(
    {
        Problem.NO_DICOMDIR,
        Problem.DICOMDIR_EMPTY,
        Problem.NOT_DICOM,
        Problem.DICOMDIR_BROKEN,
    }
)
_NO_INDEX_TOLD: Final = "The index of the medium is of no use"
_SCANNING: Final = "All files are read instead. That may take some minutes."
_FAILED: Final = "The medium cannot be opened"
_FAULTS: Final = "The medium is not whole"
_NOT_SHOWN: Final = "The file manager cannot be opened"
_NO_MANAGER: Final = "The patients are in the folder Patients, in your home folder."
# What notifications say in the place of a path, and for which fact of a failure.
_WORDS: Final[Mapping[str, str]] = {
    "name": "the medium",
    "within": "on the medium",
    "file": "the file",
    "mountpoint": "its folder",
}
_WORDS_OF: Final = {
    Problem.SOURCE_MISSING: {"name": "such medium"},
    Problem.NO_PLACE: {"name": "a folder for it"},
}
# What lies here belongs to no patient.
_SYSTEM: Final = ("/dev/", "/usr/", "/etc/")
# So long folders are looked into for what is missing.
_SECONDS: Final = 60.0


def run(given: argparse.Namespace) -> Exit:
    """Mount what was *given*, and show it in the file manager; raises Failure."""
    has_terminal = sys.stderr is not None and sys.stderr.isatty()
    has_desktop = desktop.is_there()
    try:
        place = _mount(given, has_terminal=has_terminal, has_desktop=has_desktop)
    except Failure as failure:
        told = complaint(_nameless(failure, given.source))
        is_told = has_desktop and desktop.notify(_FAILED, f"{told.what}\n{told.mend}")
        if has_terminal or not is_told:
            raise
        return told.exit_code
    if has_terminal:
        say(f"mounted on {place}")
    if not has_desktop:
        return Exit.OK
    if not desktop.show(place):
        desktop.notify(_NOT_SHOWN, _NO_MANAGER)
    _look_into(place)
    if found := faults.told(place):
        desktop.notify(_FAULTS, found)
    return Exit.OK


def _mount(given: argparse.Namespace, *, has_terminal: bool, has_desktop: bool) -> Path:
    """Return where the medium is mounted, by an index or without; raises Failure."""
    options = replace(
        Options.default(),
        extras=True,
        index_only=given.index_only,
        scan=given.scan,
        deadline=given.deadline,
        charset=given.charset,
        password_file=sources.passwords(given),
    )
    audience = Audience(tells_names=has_terminal)
    try:
        return mount.mount([given.source], None, options, audience)
    except Failure as failure:
        if failure.problem not in _NO_INDEX or given.scan or given.index_only:
            raise
        what = complaint(failure).what
        if has_terminal:
            say(f"{what}: all files are read instead")
        if has_desktop:
            desktop.notify(_NO_INDEX_TOLD, _SCANNING)
    # The first attempt has read the passwords.
    again = replace(options, scan=True, password_file=sources.passwords(given))
    return mount.mount([given.source], None, again, audience)


def _nameless(failure: Failure, source: str) -> Failure:
    """Return the same failure without paths: archives are called after patients."""
    words = {**_WORDS, **_WORDS_OF.get(failure.problem, {})}
    facts = {
        key: words[key] if key in words and _is_private(fact, source) else fact
        for key, fact in failure.facts.items()
    }
    return Failure(failure.problem, **facts)


def _is_private(fact: str, source: str) -> bool:
    return fact == source or ("/" in fact and not fact.startswith(_SYSTEM))


def _look_into(place: Path) -> None:
    """Look into all folders on *place*, as long as it is there and there is time.

    A folder that is listed knows which of its files are missing.
    """
    end = time.monotonic() + _SECONDS
    with suppress(OSError):
        for _ in os.walk(place):
            if time.monotonic() > end:
                break
