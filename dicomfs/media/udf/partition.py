"""Partitions of a UDF volume: where on the disc the blocks of each lie.

UDF puts up to one layer between a partition and the disc: sparing of bad packets
(CD-RW), a table that redirects the blocks of write-once discs, or a file that holds all
metadata, in two copies (Blu-ray).
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from dicomfs.media.udf.descriptor import NUMBER, damaged
from dicomfs.source.source import Extent, Source

# Zeros of extents that were not recorded lie here, behind the end of any disc.
ZEROS: Final = 1 << 62
# A file in more pieces is not a disc's but an attack.
MOST_EXTENTS: Final = 65_536


class Partition(ABC):
    """Says where the blocks of a partition lie on the disc."""

    @abstractmethod
    def places(self, block: int, size: int, copy: int) -> Iterator[Extent]:
        """Yield where the *size* bytes from *block* on lie, in their order.

        If they are there twice, *copy* says which are meant. Raises OSError (EIO) where
        they lie nowhere.
        """


class OnDisc(Partition):
    """A partition that begins at block *start* of the disc (3/10.7.2)."""

    def __init__(self, start: int, block: int) -> None:
        self.start = start
        self.block = block

    def places(self, block: int, size: int, copy: int) -> Iterator[Extent]:  # noqa: ARG002 - has one
        """Yield the one extent that they are."""
        yield Extent((self.start + block) * self.block, size)


class Spared(OnDisc):
    """A partition some packets of which were moved because their place went bad (UDF 2.2.9)."""

    def __init__(self, start: int, block: int, length: int, moved: dict[int, int]):
        super().__init__(start, block)
        self._length = length
        # The block on the disc, for the first block of each packet that was moved.
        self._moved = moved

    def places(self, block: int, size: int, copy: int) -> Iterator[Extent]:
        """Yield where they lie, packet by packet."""
        if not self._moved:
            yield from super().places(block, size, copy)
            return
        while size > 0:
            within = block % self._length
            first = self._moved.get(block - within, self.start + block - within)
            count = self._length - within
            run = min(size, count * self.block)
            yield Extent((first + within) * self.block, run)
            block, size = block + count, size - run


class Virtual(Partition):
    """Blocks by number in a table, which is the file *table* (UDF 2.2.8).

    It is read where it is needed: that of a disc of small files is large.
    """

    def __init__(self, below: OnDisc, table: Source) -> None:
        self._below = below
        self._table = table

    def places(self, block: int, size: int, copy: int) -> Iterator[Extent]:
        """Yield where they lie, block by block."""
        count = -(-size // self._below.block)
        if count > MOST_EXTENTS:
            raise damaged("an extent of a virtual partition is too long")
        entries = self._table.read_at(block * NUMBER.size, count * NUMBER.size)
        if len(entries) < count * NUMBER.size:
            raise damaged("the VAT has no such entry")
        for (number,) in NUMBER.iter_unpack(entries):
            run = min(size, self._below.block)
            yield from self._below.places(number, run, copy)
            size -= run


class InFiles(Partition):
    """Blocks that lie in a file, and again in its mirror (UDF 2.50, 2.2.10)."""

    def __init__(self, block: int, files: Sequence[Sequence[Extent]]) -> None:
        self._block = block
        self._files = files
        self._begins = [[0, *accumulate(each.size for each in file)] for file in files]

    def places(self, block: int, size: int, copy: int) -> Iterator[Extent]:
        """Yield where they lie in the file, or in its mirror."""
        copy = min(copy, len(self._files) - 1)
        extents, begins = self._files[copy], self._begins[copy]
        offset = block * self._block
        if offset + size > begins[-1]:
            raise damaged("the metadata file ends before")
        number = bisect_right(begins, offset) - 1
        while size > 0:
            skipped = offset - begins[number]
            run = min(size, extents[number].size - skipped)
            if extents[number].offset >= ZEROS:
                raise damaged("a part of the metadata file was not recorded")
            yield Extent(extents[number].offset + skipped, run)
            offset, size, number = offset + run, size - run, number + 1
