"""What was read of a file, by its digests: to know later whether it still is the same.

Of a file about which only the time of its last change tells (``chmod``, a new link, or
a copy of another one over it, with its times set back) what was read is read again.
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Final

# A hundred thousand reads are some 12 GB, and 17 MB of memory.
_MOST: Final = 100_000
_HEAD: Final = 16 * 1024
_PAGE: Final = 4096
_SAMPLE: Final = 64
_STEP: Final = 1657

# How long a read was, its digest, and whether that is of all of it.
_Noted = tuple[int, int, bool]


class Budget:
    """How many digests may be kept of all files that have one *budget* in common."""

    def __init__(self, most: int = _MOST) -> None:
        self._left = most

    def take(self) -> bool:
        """Whether one more may be kept."""
        self._left -= 1
        return self._left >= 0


class Digests:
    """The digests of what was read of one file, for all threads."""

    __slots__ = ("_budget", "_is_lost", "_reads")

    def __init__(self, budget: Budget | None = None) -> None:
        self._budget = budget or Budget()
        # By where each read began.
        self._reads: dict[int, _Noted] = {}
        # More was read than is kept.
        self._is_lost = False

    def note(
        self, offset: int, data: bytes | memoryview, *, whole: bool = True
    ) -> None:
        """Note that *data* was read at *offset*.

        Not *whole*, of what lies behind the first 16 KiB of the file every page counts,
        and of each page 64 bytes: for data that took no time to be read.
        """
        size = len(data)
        before = self._reads.get(offset)
        if before is not None and (before[0], before[2]) >= (size, whole):
            return
        if before is None and not self._budget.take():
            self._is_lost = True
            return
        digest = _whole(data) if whole else _sampled(offset, data)
        self._reads[offset] = size, digest, whole

    @property
    def has_head(self) -> bool:
        """Whether the beginning of the file was read."""
        return 0 in self._reads

    def hold(self, read: Callable[[int, int], bytes]) -> bool:
        """Whether *read* gives the same, for an offset and a size, as was read before.

        It does not if nobody can know. Raises what *read* does.
        """
        return not self._is_lost and all(
            _holds(offset, read(offset, noted[0]), noted)
            for offset, noted in [*self._reads.items()]
        )


def _holds(offset: int, data: bytes, noted: _Noted) -> bool:
    size, digest, whole = noted
    if len(data) != size:
        return False
    return digest == (_whole(data) if whole else _sampled(offset, data))


def _whole(data: bytes | memoryview) -> int:
    # Keyed anew in each process, and faster than any other that Python has.
    return hash(bytes(data))


def _sampled(offset: int, data: bytes | memoryview) -> int:
    pages = len(data) // _PAGE
    head = bytes(data[:_HEAD]) if offset == 0 else b""
    return hash((head, _samples(pages).unpack_from(data), bytes(data[pages * _PAGE :])))


@lru_cache(maxsize=512)
def _samples(pages: int) -> struct.Struct:
    """Return what takes a sample of each of so many pages.

    It lies elsewhere in each, as the same place may be the black edge of an image.
    """
    places = [page * _STEP % (_PAGE - _SAMPLE) for page in range(pages)]
    return struct.Struct(
        "".join(f"{at}x{_SAMPLE}s{_PAGE - _SAMPLE - at}x" for at in places)
    )
