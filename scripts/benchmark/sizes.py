"""How much is measured."""

from dataclasses import dataclass, replace
from typing import Final, Self

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Study:
    """A study of *images* instances of *size* bytes each."""

    images: int
    size: int

    def __str__(self) -> str:
        return f"{self.images:,} x {self.size // KIB} KiB"


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of all media, and how often each comparison is made."""

    runs: int = 5
    records: int = 100_000  # of the middle index; the others have 1/100 and 10 times
    listed: int = 100_000  # of the medium that is listed whole
    file_set: int = 100_000  # of the medium that FileSet reads: about 1 ms a record
    instance: int = GIB
    studies: tuple[Study, ...] = (Study(2_000, 512 * KIB), Study(10_000, 20 * KIB))
    checked: tuple[Study, ...] = (Study(2_000, 512 * KIB), Study(20_000, 20 * KIB))
    folder: int = 200_000  # images in one folder
    remote: int = 100_000  # records of a disc behind a URL
    slow_series: Study = Study(200, 512 * KIB)
    slow_large: Study = Study(8, 4 * MIB)  # several requests of the kernel for each
    discs: int = 200
    shelf: int = 1_000  # small images
    pictured: int = 2_000  # images of the series whose pictures are looked at

    @classmethod
    def quick(cls) -> Self:
        """Return sizes that take a minute or two; rows that need less say so."""
        return cls(
            runs=3,
            listed=20_000,
            file_set=4_000,
            instance=256 * MIB,
            studies=(Study(200, 512 * KIB), Study(1_000, 20 * KIB)),
            checked=(Study(200, 512 * KIB), Study(1_000, 20 * KIB)),
            folder=20_000,
            remote=5_000,
            slow_series=Study(40, 512 * KIB),
            slow_large=Study(4, 4 * MIB),
            discs=40,
            shelf=100,
            pictured=200,
        )

    def with_records(self, records: int) -> Self:
        """Return the same with indexes of so many records; small studies with few."""
        most = max(records // 10, 1)
        return replace(
            self,
            records=records,
            listed=records,
            file_set=records,
            folder=min(self.folder, records),
            remote=min(self.remote, records),
            checked=tuple(
                replace(study, images=min(study.images, most)) for study in self.checked
            ),
            studies=tuple(
                replace(study, images=min(study.images, most)) for study in self.studies
            ),
            slow_series=replace(
                self.slow_series, images=min(self.slow_series.images, most)
            ),
            slow_large=replace(
                self.slow_large, images=min(self.slow_large.images, most)
            ),
        )

    @property
    def indexes(self) -> tuple[int, int, int]:
        """How many records the small, the middle and the large index have."""
        return max(self.records // 100, 100), self.records, self.records * 10


NOMINAL: Final = Sizes()
