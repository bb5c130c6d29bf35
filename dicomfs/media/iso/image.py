"""ISO 9660: the image of a CD or DVD as a medium, read in place and as far as needed.

Opening an image takes its volume descriptors and the records of its root; each folder is
read when somebody looks into it, and a file's bytes when they are read. Nothing is
copied. Clauses are those of ECMA-119 (second edition), which is the same standard.
"""

import errno
import os
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from itertools import pairwise
from typing import Final

from dicomfs.errors import MediumError
from dicomfs.findings import Finding, Kind
from dicomfs.media.archive import Archive, shorter
from dicomfs.media.iso import record as isorecord
from dicomfs.media.iso.record import damaged
from dicomfs.media.iso.tree import IsoEntry, Tree, entries, trees
from dicomfs.media.iso.volume import FIRST, descriptors, end_of, sessions
from dicomfs.media.medium import Place
from dicomfs.media.sectors import unpacked
from dicomfs.source.source import SECTOR, Extent, ExtentSource, Source, clipped

# To know that it is an image, so many descriptors will do.
_FEW: Final = 4

# The standard allows 8 levels of folders, and Rock Ridge more; a loop has no end.
_DEEPEST: Final = 64
# How many bytes the extent of a folder may have, and from how many on no other folder is
# read meanwhile.
_LARGEST: Final = 64 * 1024 * 1024
_LARGE: Final = 4 * 1024 * 1024

# Folders that are read to find out whether older sessions are linked to.
_FOLDERS_ASKED: Final = 64
_HOW: Final = "to see it: dd if=IMAGE of=OLDER.iso bs=2048 count={}, and mount that"

_DICOMDIR: Final = b"DICOMDIR"

_Shown = tuple[Tree, Mapping[bytes, IsoEntry] | None]


def recognises(source: Source) -> bool:
    """Whether *source* is an image with ISO 9660 on it; raises OSError."""
    source = unpacked(source)
    if any(True for _ in descriptors(source, 0, _FEW)):
        return True
    # If there is none because it cannot be read, nobody knows what it is.
    source.read_at(FIRST * SECTOR, 1)
    return False


class Iso(Archive[IsoEntry]):
    """The last session of a disc, of which *source* is the image or the drive.

    *session* is the sector at which it begins, 0 if that is not known: then it is
    sought behind the end of the first. A disc may have several trees: that of Rock
    Ridge is shown, else that of Joliet, else the plain one; but one without a DICOMDIR
    in its root only if none has it.
    """

    def __init__(self, source: Source, session: int = 0) -> None:
        """Open the image. Raises MediumError if it is none, and OSError."""
        super().__init__(unpacked(source))
        self._reads_large = threading.Lock()
        self._sessions = sessions(self._source, session)
        start, volumes = self._sessions[-1]
        if not volumes:
            what = "there is no volume descriptor of ISO 9660"
            raise MediumError(what, FIRST * SECTOR)
        self._end = end_of(start, volumes)
        self._tree, self._in_root = self._choose(trees(self._source, volumes))

    def _choose(self, trees: Iterable[Tree]) -> _Shown:
        """Return the tree that is shown and what is in its root, if that can be read."""
        found: list[_Shown] = []
        unread: list[_Shown] = []
        for tree in trees:
            try:
                listing = self._read(tree, tree.root)
            except OSError:
                unread.append((tree, None))
                continue
            if any(_is_dicomdir(name) for name in listing):
                return tree, listing
            found.append((tree, listing))
        return (found + unread)[0]

    def findings(self) -> Iterator[Finding]:
        """Yield that the image is shorter than its volume, and what it does not show."""
        yield from shorter(self._source.size, self._end)
        if len(self._sessions) > 1:
            yield from self._unlinked_sessions()

    def _unlinked_sessions(self) -> Iterator[Finding]:
        """Yield which sessions no file of the last one lies in.

        Each session should list what is in those before, too. Nothing where it would
        take long to find out.
        """
        starts = [each.start for each in self._sessions]
        unlinked = {
            each.start: following.start
            for each, following in pairwise(self._sessions)
            if each.volumes
        }
        for entry in self._files_of_few_folders():
            if entry is None or not unlinked:
                return
            at = bisect_right(starts, entry.begin // SECTOR) - 1
            unlinked.pop(starts[at], None)
        for start, end in unlinked.items():
            done = _HOW.format(end)
            yield Finding(Kind.OLDER_SESSION, detail=f"sector {start}", done=done)

    def _files_of_few_folders(self) -> Iterator[IsoEntry | None]:
        """Yield files that have bytes, and None if there are more than are looked at."""
        waiting: deque[Place] = deque([()])
        for _ in range(_FOLDERS_ASKED):
            if not waiting:
                return
            place = waiting.popleft()
            with suppress(OSError):
                for name, entry in self.read_folder(place).items():
                    if entry.is_folder:
                        waiting.append((*place, name))
                    elif entry.size:
                        yield entry
        if waiting:
            yield None

    def read_folder(self, folder: Place) -> Mapping[bytes, IsoEntry]:
        """Read the entries of *folder*; raises OSError."""
        if not folder:
            if self._in_root is not None:
                return self._in_root
            return self._read(self._tree, self._tree.root)
        if len(folder) > _DEEPEST:
            raise damaged("folders are nested too deep")
        entry = self.entry(folder)
        if not entry.is_folder:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return self._read(self._tree, entry)

    def open_entry(self, entry: IsoEntry) -> Source:
        """Open a file, what is left of one that was cut off; raises OSError."""
        if entry.fault:
            raise damaged(entry.fault)
        extents: Sequence[Extent] = entry.extents
        if entry.is_cut_off:
            extents = clipped(extents, self._source.size)
        return ExtentSource(self._source, extents, entry.mtime_ns)

    def _read(self, tree: Tree, folder: IsoEntry) -> Mapping[bytes, IsoEntry]:
        """Return what is in *folder*; raises OSError if anything may be missing."""
        source = self._extent(folder)
        # What many threads read at once is in memory at once.
        with self._reads_large if source.size > _LARGE else nullcontext():
            records = isorecord.records(source)
            return entries(self._source, tree, folder, records)

    def _extent(self, folder: IsoEntry) -> Source:
        """Return the bytes of a folder that does not lie in itself; raises OSError."""
        above = folder.above
        while above is not None:
            if above.begin == folder.begin:
                raise damaged("a folder lies in itself")
            above = above.above
        extents = folder.extents
        if not folder.size:
            own = ExtentSource(self._source, [Extent(folder.begin, SECTOR)])
            extents = (Extent(folder.begin, isorecord.itself(own).size),)
        source = ExtentSource(self._source, extents)
        if not 0 < source.size <= min(_LARGEST, self._source.size):
            raise damaged("a folder is larger than can be")
        return source


def _is_dicomdir(name: bytes) -> bool:
    return name.partition(b";")[0].rstrip(b".").upper() == _DICOMDIR
