"""What people call dicomfs by, so that they can repeat what a message says."""

import os
import shlex
from typing import Final

_INSTALLED: Final = "dicomfs"
# A launcher says by it how it was called itself (see scripts/dicomfs).
_LAUNCHER: Final = "DICOMFS_COMMAND"


def command() -> str:
    """Return the command as it was called, in the way that a shell takes it."""
    return shlex.quote(os.environ.get(_LAUNCHER) or _INSTALLED)
