"""The catalogue of a tree as the text of a file: made when it is asked for, then kept."""

import errno
import threading
import zlib
from collections.abc import Iterator
from typing import Final

from dicomfs.catalogue.columns import default
from dicomfs.catalogue.rows import rows
from dicomfs.catalogue.text import Csv
from dicomfs.dicom.types import Level
from dicomfs.tree.tree import Tree

NAME: Final = "catalogue.csv"

# A quarter of a million series.
MOST_BYTES: Final = 100_000_000
_LEVEL: Final = Level.SERIES


class Catalogue:
    """The series of *tree* as CSV, as ``dicomfs catalogue`` prints them.

    Every folder has to be looked into for that, so the text is kept, packed, until links
    turn out to be wrong. Safe to use from several threads.
    """

    def __init__(self, tree: Tree, most: int = MOST_BYTES) -> None:
        self._tree = tree
        self._most = most
        self._lock = threading.Lock()
        self._packed = b""
        self._revision = -1

    def __call__(self) -> bytes:
        """Return the text; OSError if the medium cannot be read, EFBIG if it is too long."""
        self._tree.completeness.settle()
        with self._lock:
            if self._revision != self._tree.revision:
                revision = self._tree.revision
                self._packed = b"".join(self._pieces())
                self._revision = revision
            return zlib.decompress(self._packed)

    def _pieces(self) -> Iterator[bytes]:
        packer = zlib.compressobj()
        size = 0
        for text in self._text():
            data = text.encode("utf-8", "replace")
            if (size := size + len(data)) > self._most:
                raise OSError(errno.EFBIG, "the catalogue is too long for a file")
            yield packer.compress(data)
        yield packer.flush()

    def _text(self) -> Iterator[str]:
        columns = default(_LEVEL)
        form = Csv([each.name for each in columns])
        yield form.head()
        for group in rows(self._tree.root, _LEVEL, columns):
            yield form.text(group)
