"""A file of a medium that is only open while it is read: for those of many."""

import errno

from dicomfs.media.medium import Medium, Place
from dicomfs.source.source import Source


class Reopened(Source):
    """The file at *path* of *medium*, opened anew for each read."""

    def __init__(self, medium: Medium, path: Place) -> None:
        """See what is there; raises OSError."""
        self._medium = medium
        self._path = path
        self.status = medium.status(path)
        self.size = self.status.size

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*, fewer only where the file ends.

        Raises OSError (EIO), too, where it is not the file that it was.
        """
        source = self._medium.open(self._path)
        try:
            if source.status != self.status:
                raise OSError(errno.EIO, "the file was changed since it was opened")
            return source.read_at(offset, size)
        finally:
            source.close()
