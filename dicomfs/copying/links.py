"""Files that are in several folders: they are written once, and linked from then on."""

import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from dicomfs.copying.wire import Entry

# Files that are remembered; more are copied.
_MOST: Final = 100_000

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Links:
    """Knows where files lie that may be in other folders, too."""

    def __init__(self) -> None:
        # By what they have in common, their names from the root.
        self._places: dict[int, tuple[bytes, ...]] = {}

    def remember(self, entry: Entry, folders: Sequence[bytes]) -> None:
        """Note that the file *entry* is whole in the last of *folders*, from the root."""
        if entry.link and len(self._places) < _MOST:
            self._places.setdefault(entry.link, (*folders, entry.name))

    def make(self, entry: Entry, root: int, here: int) -> bool:
        """Link the file that *entry* is, below *root*, into *here*; both are descriptors.

        Return whether that could be done: else it has to be copied, as on file systems
        that have no links.
        """
        *folders, name = self._places.get(entry.link, (b"",))
        if not name:
            return False
        try:
            with ExitStack() as held:
                there = root
                for each in folders:
                    there = os.open(each, _FOLDER, dir_fd=there)
                    held.callback(os.close, there)
                found = os.stat(name, dir_fd=there, follow_symlinks=False)
                is_it = stat.S_ISREG(found.st_mode) and found.st_size == entry.size
                if not is_it or not entry.has_time(found.st_mtime_ns):
                    return False
                os.link(
                    name,
                    entry.name,
                    src_dir_fd=there,
                    dst_dir_fd=here,
                    follow_symlinks=False,
                )
        except OSError:
            return False
        return True
