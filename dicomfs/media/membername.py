"""What the names of members of archives mean: paths from the root of the archive."""

import re
from typing import Final

from dicomfs.errors import DicomfsError
from dicomfs.media.medium import Place

# Between the names of folders, on other systems than Windows.
SLASH: Final = re.compile(rb"/")
# What a member is left out for that has no name but is a file.
NO_NAME: Final = "a name that is none"
# What a root or a share begins with; what Windows puts before a long path.
_ROOTS: Final = frozenset({b"/", b"\\"})
_LONG: Final = re.compile(rb"\A[\\/]{2}[?.][\\/]")
_DRIVE: Final = re.compile(rb"\A[A-Za-z]:(?=[\\/])")
# No name on Linux is longer, and no scan goes deeper.
_MAX_COMPONENT: Final = 255
_MAX_DEPTH: Final = 32


class UnsafeNameError(DicomfsError):
    """A member whose name leads nowhere within the archive."""


def is_rooted(name: bytes) -> bool:
    """Whether *name* begins at a root, a drive or a share."""
    # Asked of each member of large archives: an expression would take longer.
    return name[:1] in _ROOTS or (name[1:2] == b":" and name[:1].isalpha())


def path_of(name: bytes, separator: re.Pattern[bytes]) -> Place:
    """Return the path that *name* means, empty for that of the root.

    What is rooted means the same below the root of the archive, as other programs have
    it. Raises UnsafeNameError for names that lead out of the archive, as no honest
    writer makes them, and for those that no folder could hold.
    """
    if is_rooted(name):
        name = _below_root(name)
    path = tuple(part for part in separator.split(name) if part not in {b"", b"."})
    if b".." in path:
        raise UnsafeNameError("a name that leads out of the archive")
    if b"\0" in name:
        raise UnsafeNameError(NO_NAME)
    if len(path) > _MAX_DEPTH or max(map(len, path), default=0) > _MAX_COMPONENT:
        raise UnsafeNameError("a name that is too long or too deep")
    return path


def _below_root(name: bytes) -> bytes:
    """Return *name* without the root or drive that it begins with."""
    if name[:1] not in _ROOTS:
        return name[2:]
    name = _LONG.sub(b"", name).lstrip(b"\\/")
    return _DRIVE.sub(b"", name)
