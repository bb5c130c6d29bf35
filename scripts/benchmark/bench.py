"""What every comparison has at hand."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmark.media import Media
from scripts.benchmark.mounts import Mounts
from scripts.benchmark.result import Result
from scripts.benchmark.sizes import NOMINAL, Sizes


@dataclass(frozen=True, slots=True)
class Bench:
    """Sizes, media and mounts, all in one *folder*."""

    sizes: Sizes
    folder: Path
    media: Media
    mounts: Mounts

    @property
    def runs(self) -> int:
        """How often each comparison is made."""
        return self.sizes.runs

    def is_nominal(self, name: str) -> bool:
        """Whether the size called *name* is the one that the targets are meant for."""
        return bool(getattr(self.sizes, name) == getattr(NOMINAL, name))


Row = Callable[[Bench], Iterator[Result]]
