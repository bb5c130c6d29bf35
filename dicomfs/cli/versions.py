"""Versions of dicomfs and of what it stands on."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

from dicomfs import __version__
from dicomfs.errors import Failure
from dicomfs.mount import attachment


def versions() -> str:
    """Return a line for dicomfs and one for each thing that it stands on."""
    rows = [
        ("dicomfs", __version__),
        ("Python", platform.python_version()),
        *((package, _package(package)) for package in ("pyfuse3", "trio", "pydicom")),
        ("libfuse", _libfuse()),
    ]
    return "\n".join(f"{name} {number}" for name, number in rows)


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "is not installed"


def _libfuse() -> str:
    """Return libfuse's version, as its fusermount3 tells it."""
    try:
        command = [attachment.fusermount(), "--version"]
    except Failure:
        return "is not installed"
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return told.rpartition(" ")[2].strip() or "does not tell its version"
