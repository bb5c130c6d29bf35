"""What was read of a file, by its digests: to know later whether it still is the same.

Of a file about which only the time of its last change tells (``chmod``, a new link, or
a copy of another one over it, with its times set back) what was read is read again.
"""

from collections.abc import Callable
from typing import Final

# A hundred thousand reads are some 12 GB, and 17 MB of memory.
_MOST: Final = 100_000


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
        # Where each read began, how long it was, and the digest.
        self._reads: dict[int, tuple[int, int]] = {}
        # More was read than is kept.
        self._is_lost = False

    def note(self, offset: int, data: bytes | memoryview) -> None:
        """Note that *data* was read at *offset*."""
        size = len(data)
        before = self._reads.get(offset)
        if before is not None and before[0] >= size:
            return
        if before is None and not self._budget.take():
            self._is_lost = True
            return
        # Keyed anew in each process, and faster than any other that Python has.
        self._reads[offset] = size, hash(bytes(data))

    @property
    def has_head(self) -> bool:
        """Whether the beginning of the file was read."""
        return 0 in self._reads

    def hold(self, read: Callable[[int, int], bytes]) -> bool:
        """Whether *read* gives the same, for an offset and a size, as was read before.

        It does not if nobody can know. Raises what *read* does.
        """
        return not self._is_lost and all(
            hash(read(offset, size)) == digest
            for offset, (size, digest) in [*self._reads.items()]
        )
