"""How far a check is: what was looked at, and out of how much."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from dicomfs.tree.report import Stage


class Amount(NamedTuple):
    """How many were looked at, and how many bytes that were; 0 *of* is not known."""

    number: int
    of: int = 0
    size: int = 0
    of_size: int = 0

    @property
    def part(self) -> float:
        """How much of all was looked at, from 0 to 1; 0 if that is not known."""
        if self.of_size:
            return min(self.size / self.of_size, 1)
        return min(self.number / self.of, 1) if self.of else 0


Tell = Callable[[Stage, Amount], None]


class Meter:
    """Counts for all threads, and tells."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._counts = Counter[Stage]()
        self._sizes = Counter[Stage]()
        self._of = Counter[Stage]()
        self._of_size = Counter[Stage]()

    def count(self, stage: Stage) -> int:
        """Return how many were looked at in *stage*."""
        return self._counts[stage]

    def expect(self, stage: Stage, number: int, size: int = 0) -> None:
        """Know of so many more in *stage*, and so many more bytes."""
        self._of[stage] += number
        self._of_size[stage] += size

    def add(self, stage: Stage, number: int = 1, size: int = 0) -> None:
        """Count what was looked at in *stage*."""
        with self._lock:
            self._counts[stage] += number
            self._sizes[stage] += size
            count, of = self._counts[stage], self._of[stage]
            amount = Amount(
                count,
                of if count <= of else 0,
                self._sizes[stage],
                self._of_size[stage],
            )
            self._tell(stage, amount)
