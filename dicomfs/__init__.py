"""Show DICOMDIR media as Patient/Study/Series folders: mounted, or to a program.

The names of this package are the library; the modules below it may change any day.

    open      opens media, and returns a Disc
    Disc      what is on them
    Folder    a patient, a study, a series
    File      an instance, or a document
    Failure   why media cannot be opened: which Problem
    Finding   one thing that is wrong with a medium: which Kind

They are loaded when somebody asks for them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicomfs.discs.disc import Disc
    from dicomfs.discs.nodes import File, Folder
    from dicomfs.discs.opening import open_disc as open  # noqa: A004 - as gzip.open
    from dicomfs.errors import DicomfsError, Failure, Problem
    from dicomfs.findings import Finding, Kind

__version__ = "0.2.0"

__all__ = [
    "DicomfsError",
    "Disc",
    "Failure",
    "File",
    "Finding",
    "Folder",
    "Kind",
    "Problem",
    "open",
]

# Where each name is, and what it is called there.
_PLACES = {
    "DicomfsError": ("dicomfs.errors", "DicomfsError"),
    "Disc": ("dicomfs.discs.disc", "Disc"),
    "Failure": ("dicomfs.errors", "Failure"),
    "File": ("dicomfs.discs.nodes", "File"),
    "Finding": ("dicomfs.findings", "Finding"),
    "Folder": ("dicomfs.discs.nodes", "Folder"),
    "Kind": ("dicomfs.findings", "Kind"),
    "Problem": ("dicomfs.errors", "Problem"),
    "open": ("dicomfs.discs.opening", "open_disc"),
}


def __getattr__(name: str) -> object:
    """Load what is called *name*, once somebody asks for it."""
    if name not in _PLACES:
        raise AttributeError(f"module 'dicomfs' has no attribute {name!r}")
    module, there = _PLACES[name]
    found = globals()[name] = getattr(import_module(module), there)
    return found


def __dir__() -> list[str]:
    """Return the names that others may use."""
    return [*__all__, "__version__"]
