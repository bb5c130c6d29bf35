"""Small reads out of large ones."""

from typing import Final

from dicomfs.source.source import SECTOR, Source

BLOCK: Final = 64 * 1024

# This much tells what begins at the start of a window: the header of an item and that of
# its first element, or the longest header of an element.
_LEAST: Final = 16


class Window:
    """A source seen through one block of it that is kept in memory.

    Records are small and mostly lie next to each other: one read of the medium serves
    hundreds of them. A window belongs to one thread; make one for each walk.
    """

    def __init__(self, source: Source, block: int = BLOCK) -> None:
        self.source = source
        self.size = source.size
        self.start = 0
        self.data = b""
        # Whether a block could not be read as a whole.
        self.is_worn = False
        self._block = block

    def load(self, offset: int, least: int = _LEAST) -> None:
        """Move the window so that it begins at *offset* and shows *least* bytes.

        Next to a bad sector it shows no more than the sectors that hold those: so it
        costs the records on it, not all others in the block. Raises OSError if they
        cannot be read, and shows what it showed.
        """
        try:
            data = self.source.read_at(offset, self._block)
        except OSError:
            self.is_worn = True
            data = self._sectors(offset, least)
        self.data, self.start = data, offset

    def _sectors(self, offset: int, least: int) -> bytes:
        """Return what is at *offset*, to the end of the sector that has the last byte."""
        data = b""
        while len(data) < least:
            at = offset + len(data)
            sector = self.source.read_at(at, SECTOR - at % SECTOR)
            if not sector:
                break
            data += sector
        return data

    def read(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*, fewer only where the source ends."""
        at = offset - self.start
        if at >= 0 and at + size <= len(self.data):
            return self.data[at : at + size]
        if size > self._block:
            return self.source.read_at(offset, size)
        self.load(offset, size)
        return self.data[:size]
