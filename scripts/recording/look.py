"""Look at all that is mounted on a folder, and print it as one JSON object.

    python -P look.py FOLDER

A program of its own, as a mount can hang; and without any of ours, so that it needs
nothing but Python.
"""

import errno
import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

_REPORTS: Final = ".dicomfs"
_REPORT: Final = "report.json"
# How long a mount may take to look through its index, and then to show what it found.
_PATIENCE: Final = 30.0
_SHOWING: Final = 1.0
_ERROR: Final = "user.dicomfs.error"


def parts(root: Path) -> dict[str, str]:
    """Return names and attributes, then the bytes, then the reports on all that."""
    _settle(root)
    paths = [root, *_below(root)]
    files = [path for path in paths if stat.S_ISREG(path.lstat().st_mode)]
    shown = {
        "files": _lines(root, paths, _status),
        "sums": _lines(root, files, _sum),
        "errors": _lines(root, paths, _error),
        "file system": _file_system(root),
    }
    for name in ("report.txt", _REPORT):
        shown[name] = _tried(lambda path: _text(path.read_bytes()), root, name)
    # What nobody is shown unless they ask for it by name.
    hidden = [root / _REPORTS, *_below(root / _REPORTS)]
    shown["reports"] = _lines(root, hidden, _status)
    return shown


def _settle(root: Path) -> None:
    """Wait until the mount has looked through the index of what is in the root.

    It begins with that after a second, and what it finds changes what is shown: who
    looks earlier sees the one or the other.
    """
    os.listdir(root)  # noqa: PTH208 - only to be asked for
    deadline = time.monotonic() + _PATIENCE
    while not _is_settled(root) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(_SHOWING)


def _is_settled(root: Path) -> bool:
    try:
        report = json.loads((root / _REPORTS / _REPORT).read_bytes())
    except (OSError, ValueError):
        return False
    return any(each["complete"] for each in report["looked_at"])


def _below(folder: Path) -> Iterator[Path]:
    """Yield all below *folder*, in the order in which it is listed."""
    for name in os.listdir(folder):  # noqa: PTH208 - in the order of readdir
        path = folder / name
        yield path
        if stat.S_ISDIR(path.lstat().st_mode):
            yield from _below(path)


def _lines(root: Path, paths: list[Path], tell: Callable[[Path], str]) -> str:
    told = ((tell(path), path.relative_to(root)) for path in paths)
    return "".join(f"{each} {path}\n" for each, path in told if each)


def _tried(tell: Callable[[Path], str], root: Path, name: str) -> str:
    try:
        return tell(root / _REPORTS / name)
    except OSError as error:
        return _name_of(error)


def _status(path: Path) -> str:
    found = path.lstat()
    owner = f"{found.st_nlink} {found.st_uid} {found.st_gid}"
    size = f"{found.st_size} {found.st_blocks} {found.st_ino} {found.st_mtime_ns}"
    return f"{stat.filemode(found.st_mode)} {owner} {size}"


def _sum(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return _name_of(error)


def _error(path: Path) -> str:
    """Return why *path* cannot be read; nothing if it can."""
    try:
        return f"{_text(os.getxattr(path, _ERROR))}:"
    except OSError as error:
        return "" if error.errno == errno.ENODATA else f"{_name_of(error)}:"


def _file_system(root: Path) -> str:
    """Return its measures, but for its number, which is another for each mount."""
    found = os.statvfs(root)
    named = [each for each in dir(found) if each[:2] == "f_" and each != "f_fsid"]
    return "".join(f"{each} {getattr(found, each)}\n" for each in named)


def _name_of(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "?")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(parts(Path(sys.argv[1]))))
