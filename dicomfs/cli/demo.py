"""The demonstration: pydicom's sample medium, mounted on a private folder."""

import os
import stat
import tempfile
from importlib.util import find_spec
from pathlib import Path

from dicomfs.errors import Exit, Failure
from dicomfs.mount import mountpoint


def sample() -> Path:
    """Return the DICOMDIR of the sample medium; raises Failure if it is not there."""
    spec = find_spec("pydicom")
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        found = package / "data/test_files/dicomdirtests/DICOMDIR"
        if found.is_file():
            return found
    raise Failure(
        Exit.SOURCE_MISSING,
        "the sample medium of pydicom is not installed",
        "install pydicom with its data: pip install --force-reinstall pydicom",
    )


def private_folder() -> Path:
    """Return a folder that only this user can enter, made if it is missing."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if not runtime or not os.access(runtime, os.W_OK | os.X_OK):
        runtime = tempfile.gettempdir()
    base = Path(runtime)
    folder = base / f"dicomfs-demo-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat() if not mountpoint.is_stale(folder) else None
    if status and (not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid()):
        raise Failure(
            Exit.MOUNTPOINT_NOT_FOLDER,
            f"{folder} belongs to somebody else",
            "set XDG_RUNTIME_DIR to a folder of your own",
        )
    return mountpoint.resolve(folder)


def is_mounted(folder: Path) -> bool:
    """Whether the demonstration runs already."""
    mount = mountpoint.find_mount(folder)
    return (
        mount is not None
        and mountpoint.is_ours(mount)
        and not mountpoint.is_stale(folder)
    )
