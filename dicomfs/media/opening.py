"""Opening SOURCE: the one moment at which a path leads to a medium.

Done by the process that was asked, with the rights of its user. From here on there are
only descriptors, so what comes to lie at the path later is nobody's business.
"""

import os
import stat
from pathlib import Path
from typing import NamedTuple

from dicomfs.errors import Exit, Failure


class OpenedSource(NamedTuple):
    """The descriptor of a medium's folder, and the DICOMDIR in it if one was named."""

    fd: int
    dicomdir: bytes


def open_source(path: Path) -> OpenedSource:
    """Open the folder *path*, or the folder that the DICOMDIR *path* lies in.

    Raises Failure with the exit code that says what is wrong.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return OpenedSource(_open_folder(path), b"")
        if stat.S_ISREG(mode):
            return OpenedSource(_open_folder(path.parent), os.fsencode(path.name))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Failure(
            Exit.SOURCE_MISSING,
            f"there is no {path}",
            "look whether the medium is inserted and mounted, and how the path is spelt",
        ) from error
    except OSError as error:
        raise unreadable(error) from error
    raise Failure(
        Exit.SOURCE_UNSUPPORTED,
        f"{path} is neither a folder nor a DICOMDIR",
        "give the folder that the medium is mounted on",
    )


def unreadable(error: OSError) -> Failure:
    """Return the Failure for a medium that answers with *error*."""
    return Failure(
        Exit.SOURCE_UNREADABLE,
        f"the medium cannot be read: {error.strerror}",
        "see that you may read it (ls -l), clean the disc, or try another drive",
    )


def _open_folder(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
