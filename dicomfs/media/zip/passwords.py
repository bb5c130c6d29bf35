"""A file with passwords: opened by the process that was asked, read by who needs them.

The others hold a descriptor of it for a while, and never a password.
"""

import os
from pathlib import Path
from typing import NamedTuple

from dicomfs.errors import Failure, Problem


class PasswordFile(NamedTuple):
    """A file with a password on each line, by its descriptor."""

    path: Path
    fd: int

    def read(self) -> tuple[bytes, ...]:
        """Return the passwords, close the file, and load what is needed to use them.

        Raises Failure if it cannot be read.
        """
        from dicomfs.media.zip import decrypt  # noqa: PLC0415 - slow, and mostly not needed

        # In the sandbox nothing can be imported any more.
        decrypt.load()
        try:
            with os.fdopen(self.fd, "rb") as file:
                return tuple(file.read().splitlines())
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def leave(self) -> None:
        """Close what this process has of it; others have it still."""
        os.close(self.fd)


def open_passwords(path: Path) -> PasswordFile:
    """Open the file at *path*; raises Failure."""
    try:
        return PasswordFile(path, os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> Failure:
    return Failure(Problem.PASSWORD_FILE, file=str(path), reason=error.strerror)
