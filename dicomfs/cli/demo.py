"""``dicomfs demo``: pydicom's sample medium, mounted on a private folder."""

import argparse
import os
import shlex
import stat
import tempfile
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from dicomfs.cli import mount, tree
from dicomfs.cli.codes import Exit
from dicomfs.cli.parser import parsed
from dicomfs.cli.terminal import say
from dicomfs.errors import Failure, Problem
from dicomfs.mount import mountpoint
from dicomfs.mount.options import Options


def run(_: argparse.Namespace) -> Exit:
    """Mount the sample medium unless that was done, and show it; raises Failure."""
    source, place = _sample(), _private_folder()
    if not _is_mounted(place):
        mount.mount([str(source)], place, replace(Options.default(), made=place))
    tree.run(parsed(["tree", str(source)]))
    say(f"this is mounted on {place}")
    say(f"look at it:  ls -R {shlex.quote(str(place))}    or open it in a file manager")
    say(f"end it:      fusermount3 -u {shlex.quote(str(place))}")
    return Exit.OK


def _sample() -> Path:
    """Return the DICOMDIR of the sample medium; raises Failure if it is not there."""
    spec = find_spec("pydicom")
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        found = package / "data/test_files/dicomdirtests/DICOMDIR"
        if found.is_file():
            return found
    raise Failure(Problem.NO_SAMPLE)


def _private_folder() -> Path:
    """Return a folder of this user's, made if it is missing; raises Failure."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if not runtime or not os.access(runtime, os.W_OK | os.X_OK):
        runtime = tempfile.gettempdir()
    base = Path(runtime)
    folder = base / f"dicomfs-demo-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat() if not mountpoint.is_stale(folder) else None
    if status and (not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid()):
        raise Failure(Problem.DEMO_FOLDER, name=folder)
    return mountpoint.resolve(folder)


def _is_mounted(folder: Path) -> bool:
    """Whether the demonstration runs already."""
    found = mountpoint.find_mount(folder)
    return (
        found is not None
        and mountpoint.is_ours(found)
        and not mountpoint.is_stale(folder)
    )
