"""What a mount was asked for: made by the command line, obeyed by the mount."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dicomfs.source.pulse import DEADLINE

if TYPE_CHECKING:
    from dicomfs.media.zip.passwords import PasswordFile

DEFAULT_UMASK: Final = 0o077


@dataclass(frozen=True, slots=True)
class Options:
    """The options of ``dicomfs mount``."""

    uid: int
    gid: int
    umask: int = DEFAULT_UMASK
    allow_other: bool = False
    index_only: bool = False
    extras: bool = False
    pictures: bool = True
    original: bool = False
    scan: bool = False
    foreground: bool = False
    deadline: float = DEADLINE
    log_file: Path | None = None
    verbose: bool = False
    log_names: bool = False
    # What the list of mounts, which is for all to read, calls it.
    shown_as: str = "dicomfs"
    # What people call the media, as side bars show it; empty if they have no name.
    title: str = ""
    # What all text is in, as a term of Specific Character Set; empty if nobody said it.
    charset: bytes = b""
    # The mountpoint, if it was made for this mount, and is to go with it.
    made: Path | None = None
    # Read by the worker alone.
    password_file: "PasswordFile | None" = None

    @staticmethod
    def default() -> "Options":
        """Return the options of a mount for the user who runs this."""
        return Options(uid=os.getuid(), gid=os.getgid())
