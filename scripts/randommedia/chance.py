"""Chance, as it falls for one disc."""

from dataclasses import dataclass
from random import Random
from typing import Final

_RARE: Final = 0.04


@dataclass(slots=True)
class Chance:
    """What is left to chance on the disc of this number, and the numbers given out."""

    rng: Random
    disc: int
    _serial: int = 0

    def rarely(self, much: float = 1) -> bool:
        """Whether something rare is the case; it is *much* more likely than others."""
        return self.rng.random() < _RARE * much

    def number(self) -> int:
        """Return a number that nothing else on the disc has."""
        self._serial += 1
        return self._serial

    def mark(self) -> str:
        """Return a UID that nothing else on any disc has."""
        return f"2.25.{self.disc}.{self.number()}"
