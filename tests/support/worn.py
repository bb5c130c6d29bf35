"""A medium in memory whose DICOMDIR lies on bad sectors."""

import errno
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Unpack

from dicomfs.media.medium import Place
from dicomfs.source.source import BytesSource, Source
from tests.build.medium import Options, Record, write_medium
from tests.support.trees import FakeMedium

SECTOR: Final = 2048

# Ranges of bytes that cannot be read.
Bad = Sequence[tuple[int, int]]


class WornBytes(BytesSource):
    """Bytes in memory of which some cannot be read."""

    def __init__(self, data: bytes, bad: Bad) -> None:
        super().__init__(data)
        self._bad = bad

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the bytes; OSError (EIO) if a bad one is among them."""
        end = min(offset + size, self.size)
        if any(offset < stop and start < end for start, stop in self._bad):
            raise OSError(errno.EIO, "a bad sector")
        return super().read_at(offset, size)

    def read_cached(self, offset: int, buffer: memoryview) -> None:  # noqa: ARG002 - Source's
        """Have nothing in memory."""
        return


def rescued(data: bytes, bad: Bad) -> bytes:
    """Return *data* as programs write it that rescue a disc: zeros for what is bad."""
    made = bytearray(data)
    for start, stop in bad:
        made[start:stop] = bytes(min(stop, len(data)) - start)
    return bytes(made)


class WornMedium(FakeMedium):
    """A medium in memory whose DICOMDIR has *bad* ranges, or has zeros there."""

    def __init__(
        self, files: dict[str, bytes], bad: Bad = (), *, as_zeros: bool = False
    ) -> None:
        super().__init__(files)
        self.bad = bad
        self.as_zeros = as_zeros
        self.dicomdir = files["DICOMDIR"]

    def open(self, path: Place) -> Source:
        """Open a file."""
        if path == (b"DICOMDIR",):
            if self.as_zeros:
                return BytesSource(rescued(self.dicomdir, self.bad))
            return WornBytes(self.dicomdir, self.bad)
        return super().open(path)


def files_of(roots: Iterable[Record], **options: Unpack[Options]) -> dict[str, bytes]:
    """Return all files of a medium with these root records, by their paths."""
    with TemporaryDirectory() as name:
        root = Path(name)
        write_medium(root, roots, **options)
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file()
        }
