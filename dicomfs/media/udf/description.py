"""Where a UDF volume is described: recognition, anchors, descriptor sequences.

An anchor lies in one of a few places and leads to two copies of the description.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from dicomfs.media.udf.descriptor import (
    EXTENT,
    Tag,
    damaged,
    nanoseconds,
    number_at,
    short_at,
    tag_of,
)
from dicomfs.source.source import SECTOR, Extent, Source
from dicomfs.source.window import Window

# The sizes that a block can have, the most likely first.
_BLOCKS: Final = (2048, 512, 4096, 1024)
# The volume recognition sequence (2/8.3): where it begins, how it is cut up whatever the
# size of a block, and by which identifiers it says that ECMA-167 was used.
_RECOGNITION: Final = 32_768
_SECTORS: Final = 32
_IDENTIFIER: Final = slice(1, 6)
_NSR: Final = frozenset({b"NSR02", b"NSR03"})
# At least so much of each descriptor of a volume is used.
_LEAST: Final = 512

# More of any of these is not a disc but an attack.
_MOST_DESCRIPTORS: Final = 256
_MOST_POINTERS: Final = 8
_MOST_MAPS: Final = 8
# Of a partition descriptor (3/10.5): how it may be written, where it starts, its length.
_ACCESS: Final = 184
_START: Final = 188
_LENGTH: Final = 192
_WRITE_ONCE: Final = 2
# Where partition maps begin in a logical volume descriptor (3/10.6), and how long the
# shortest is (3/10.7.2).
_MAPS: Final = 440
_LEAST_MAP: Final = 6


class Description(NamedTuple):
    """The prevailing descriptors of a volume: where each partition starts, by number.

    *end* is the block behind the last that is in one of them, as far as all of it has to
    be there. *made_ns* is when the volume was made, 0 if nobody knows.
    """

    block: int
    starts: dict[int, int]
    end: int
    logical_volume: bytes
    made_ns: int

    def maps(self) -> list[bytes]:
        """Return the partition maps of the logical volume (3/10.7); raises OSError."""
        data, at = self.logical_volume, _MAPS
        maps = []
        for _ in range(min(number_at(data, 268), _MOST_MAPS)):
            end = at + data[at + 1] if at + 1 < len(data) else 0
            if not at + _LEAST_MAP <= end <= len(data):
                raise damaged("a partition map is cut off")
            maps.append(data[at:end])
            at = end
        return maps


class _Anchor(NamedTuple):
    """Where both descriptor sequences lie, in a volume of blocks of *block* bytes."""

    block: int
    sequences: tuple[Extent, Extent]


def is_recorded(source: Source) -> bool:
    """Whether *source* says that it is a volume of ECMA-167; raises OSError."""
    window = Window(source)
    for number in range(_SECTORS):
        with suppress(OSError):
            head = window.read(_RECOGNITION + number * SECTOR, _IDENTIFIER.stop)
            if head[_IDENTIFIER] in _NSR:
                return True
    if next(_anchors(source, 0), None) is not None:
        return True
    # If there is none because it cannot be read, nobody knows what it is.
    source.read_at(_RECOGNITION, 1)
    return False


def describe(source: Source, session: int) -> Description:
    """Return the description of the volume in *source*, of the *session* that begins so.

    The main sequence goes before the reserve, but one in which something is broken
    behind both: what is broken may be what prevails. Where a volume with blocks of
    another size was on the disc before, its description may still be there: the volume
    that was made last counts. Raises OSError if there is none.
    """
    for strict in (True, False):
        found: dict[int, Description] = {}
        for anchor in _anchors(source, session):
            for sequence in anchor.sequences:
                if anchor.block not in found:
                    with suppress(OSError):
                        found[anchor.block] = _description(
                            source, anchor.block, sequence, strict=strict
                        )
        if found:
            return max(found.values(), key=lambda each: each.made_ns)
    raise damaged("no volume is described")


def _anchors(source: Source, session: int) -> Iterator[_Anchor]:
    """Yield the anchors of a volume from where they may be (3/8.4.2.1, UDF 2.2.3).

    The size of a block is not known before; an anchor that says the number of the
    block in which it lies gives it away.
    """
    for block in _BLOCKS:
        last = source.size // block - 1
        for number in dict.fromkeys((session + 256, 256, last - 256, last, 512)):
            with suppress(OSError):
                data = source.read_at(max(number, 0) * block, _LEAST)
                if tag_of(data, number) == Tag.ANCHOR:
                    main, reserve = (_extent(data, at, block) for at in (16, 24))
                    yield _Anchor(block, (main, reserve))


def _extent(data: bytes, at: int, block: int) -> Extent:
    """Return the extent that *data* has *at* (3/7.1)."""
    size, number = EXTENT.unpack_from(data, at)
    return Extent(number * block, size)


def _description(
    source: Source, block: int, sequence: Extent, *, strict: bool
) -> Description:
    """Return what *sequence* says: of descriptors of the same the latest (3/8.4.3).

    Raises OSError if it says too little, and if *strict* also if some of it is broken.
    """
    latest: dict[tuple[int, int], bytes] = {}
    for tag, data in _descriptors(Window(source), block, sequence, strict=strict):
        about = short_at(data, 22) if tag == Tag.PARTITION else 0
        before = latest.get((tag, about))
        if before is None or number_at(data, 16) >= number_at(before, 16):
            latest[tag, about] = data
    volume = latest.get((Tag.LOGICAL_VOLUME, 0))
    if volume is None or number_at(volume, 212) != block:
        raise damaged("there is no logical volume with blocks of that size")
    partitions = {
        about: data for (tag, about), data in latest.items() if tag == Tag.PARTITION
    }
    starts = {about: number_at(data, _START) for about, data in partitions.items()}
    ends = (
        number_at(data, _START) + number_at(data, _LENGTH)
        for data in partitions.values()
        # What can be written once has room behind what was written, and no image has it.
        if number_at(data, _ACCESS) != _WRITE_ONCE
    )
    primary = latest.get((Tag.PRIMARY, 0), bytes(_LEAST))
    made_ns = nanoseconds(primary[376:388])
    return Description(block, starts, max(ends, default=0), volume, made_ns)


def _descriptors(
    window: Window, block: int, sequence: Extent, *, strict: bool
) -> Iterator[tuple[int, bytes]]:
    """Yield the descriptors of a volume from the extent *sequence* on (3/8.4.2)."""
    for _ in range(_MOST_POINTERS):
        following = None
        first = sequence.offset // block
        count = min(sequence.size // block, _MOST_DESCRIPTORS)
        for number in range(first, first + count):
            try:
                data = window.read(number * block, block)
                tag = tag_of(data, number)
            except OSError:
                if strict:
                    raise
                continue
            if tag in {Tag.TERMINATING, Tag.UNRECORDED}:
                break
            if tag == Tag.POINTER:
                following = _extent(data, 20, block)
            yield tag, data
        if following is None:
            return
        sequence = following
