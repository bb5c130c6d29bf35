"""What is told of files: by their records, and by their own headers where those lack it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.keywords import Keyword
from dicomfs.dicom.types import Level
from dicomfs.fileset.patience import Workers
from dicomfs.tree.selection import Instance
from dicomfs.tree.told import Teller, Told

# Files that are looked at together.
_BATCH: Final = 256
_OF_FILES: Final = frozenset({Level.INSTANCE, Level.ROOT})


class Files:
    """Tells of files, by the records that *teller* reads.

    *workers* read their headers; none is read without. One that cannot be read, or that
    hangs, tells nothing.
    """

    def __init__(self, teller: Teller, workers: Workers | None) -> None:
        self.reads_headers = workers is not None
        self._teller = teller
        self._workers = workers

    def told(
        self, files: Sequence[Instance], above: Told, keywords: Sequence[Keyword]
    ) -> Iterator[tuple[Instance, Told]]:
        """Yield *files*, each with what is told of it, and *above* it, of *keywords*."""
        needs_records = any(each.level in _OF_FILES for each in keywords)
        for begin in range(0, len(files), _BATCH):
            some = files[begin : begin + _BATCH]
            told = [
                self._teller.of_file(file, above) if needs_records else above
                for file in some
            ]
            yield from zip(some, self._completed(some, told, keywords), strict=True)

    def _completed(
        self, files: Sequence[Instance], told: list[Told], keywords: Sequence[Keyword]
    ) -> list[Told]:
        """Return what is *told* of *files*, with their headers where it is not all."""
        if self._workers is None:
            return told
        lacking = [
            place
            for place, each in enumerate(told)
            if any(each.value(keyword) is None for keyword in keywords)
        ]
        headers = self._headers(self._workers, [files[place] for place in lacking])
        for place, header in zip(lacking, headers, strict=True):
            if header is not None:
                told[place] = told[place].and_by(header)
        return told

    def _headers(
        self, workers: Workers, files: Iterable[Instance]
    ) -> Iterator[Attributes | None]:
        for header in workers.map(lambda file: file.header(self._teller.vrs), files):
            yield None if isinstance(header, OSError) else header
