"""A tree of files inside a source of bytes: what images and archives have in common.

An image or archive only has to say what is in a folder and where a file's bytes are; it
is asked once for each folder, and what it said is kept within bounds.
"""

import errno
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Generic, Protocol, TypeVar

from dicomfs.counting import counted
from dicomfs.findings import Finding, Kind
from dicomfs.media.medium import Capacity, EntryType, Place
from dicomfs.source.cache import Cache
from dicomfs.source.source import SECTOR, Source, Status

# Entries of folders that are kept.
_MOST_KEPT: Final = 200_000


class Entry(Protocol):
    """What an archive has under one name; a symbolic link or a device is neither."""

    @property
    def is_folder(self) -> bool:
        """Whether there may be more below."""
        ...

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        ...

    @property
    def status(self) -> Status:
        """Length and time, of a file.

        Raises OSError where it is known that not all of the file can be read:
        CutOffError where it does not lie within the source.
        """
        ...


_E = TypeVar("_E", bound=Entry)


class Archive(ABC, Generic[_E]):
    """A medium (see ``Medium``) by the entries of its folders."""

    def __init__(self, source: Source, most_kept: int = _MOST_KEPT) -> None:
        """Make one of *source*, which it owns from here on."""
        self._source = source
        # Hears of what is found out later.
        self.note: Callable[[Finding], None] = _to_nobody
        self._listings = Cache[Place, Mapping[bytes, _E]](most_kept, _room)
        # Who reads a folder has its lock; this one is that of the locks.
        self._lock = threading.Lock()
        self._readers: dict[Place, threading.Lock] = {}

    @property
    def in_turn(self) -> bool:
        """Whether files had better be read one after the other."""
        return self._source.in_turn

    @abstractmethod
    def read_folder(self, folder: Place) -> Mapping[bytes, _E]:
        """Read the entries of *folder* from the source, without ``.`` and ``..``.

        Raises OSError: FileNotFoundError and NotADirectoryError where there is no such
        folder, EIO where the source is damaged.
        """

    @abstractmethod
    def open_entry(self, entry: _E) -> Source:
        """Open the file that *entry* is; raises OSError."""

    def open_entry_cached(self, entry: _E) -> Source | None:
        """Open the file if that takes no reading of the source, else None."""
        return self.open_entry(entry)

    def findings(self) -> Iterable[Finding]:
        """Return what is wrong with the image or archive as a whole, yet not in the way."""
        return ()

    def listing(self, folder: Place) -> Mapping[bytes, _E]:
        """Return the entries of *folder*, read once and then kept; raises OSError.

        If several ask at the same time, one reads it, and the others wait for that.
        """
        if (kept := self._listings.get(folder)) is not None:
            return kept
        with self._lock:
            reader = self._readers.setdefault(folder, threading.Lock())
        try:
            # A folder may ask for the one above it: locks are taken upwards only.
            with reader:
                if (kept := self._listings.get(folder)) is not None:
                    return kept
                read = self.read_folder(folder)
                self._listings.put(folder, read)
                return read
        finally:
            with self._lock:
                # Who comes after one that failed may read it anew already.
                if self._readers.get(folder) is reader:
                    del self._readers[folder]

    def entry(self, path: Place) -> _E:
        """Return the entry at *path*; raises OSError."""
        if not path:
            raise _is_no_file()
        found = self.listing(path[:-1]).get(path[-1])
        if found is None:
            raise _is_not_there()
        return found

    def names(self, folder: Place) -> list[bytes]:
        """Return the names in *folder*."""
        return list(self.listing(folder))

    def entries(self, folder: Place) -> dict[bytes, EntryType]:
        """Return the names in *folder* and what they are."""
        return {name: _type(entry) for name, entry in self.listing(folder).items()}

    def status(self, path: Place) -> Status:
        """Return the status of the regular file at *path*."""
        entry = self.entry(path)
        if not entry.is_file:
            raise _is_no_file()
        return entry.status

    def statuses(self, folder: Place, names: Sequence[bytes]) -> list[Status | OSError]:
        """Return the status of each of *names* in *folder*, or why it has none."""
        entries = self.listing(folder)
        return [_status(entries.get(name)) for name in names]

    def open(self, path: Place) -> Source:
        """Open the regular file at *path*."""
        entry = self.entry(path)
        if not entry.is_file:
            raise _is_no_file()
        return self.open_entry(entry)

    def open_cached(self, path: Place) -> Source | None:
        """Open the file at *path* if that takes no reading of the source, else None."""
        listing = self._listings.get(path[:-1])
        entry = None if listing is None else listing.get(path[-1])
        if entry is None or not entry.is_file:
            return None
        return self.open_entry_cached(entry)

    def capacity(self) -> Capacity:
        """Return how large the source is, in sectors of a disc."""
        return Capacity(SECTOR, -(-self._source.size // SECTOR))

    def close(self) -> None:
        """Close the source."""
        self._source.close()


def _to_nobody(_: Finding) -> None:
    """Let nobody hear of it."""


def shorter(size: int, wanted: int) -> Iterator[Finding]:
    """Yield the finding that an image has only *size* of the *wanted* bytes, if so."""
    if size < wanted:
        there = f"{size:,} of its {counted(wanted, 'byte')} are there"
        done = f"{there}, and what lies in them is shown"
        yield Finding(Kind.IMAGE_CUT_OFF, done=done)


def _room(listing: Mapping[bytes, Entry]) -> int:
    """Return what a folder counts for; an empty one takes room, too."""
    return len(listing) + 1


def _type(entry: Entry) -> EntryType:
    if entry.is_folder:
        return EntryType.FOLDER
    return EntryType.FILE if entry.is_file else EntryType.OTHER


def _status(entry: Entry | None) -> Status | OSError:
    if entry is None:
        return _is_not_there()
    if not entry.is_file:
        return _is_no_file()
    try:
        return entry.status
    except OSError as error:
        return error


def _is_not_there() -> OSError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def _is_no_file() -> OSError:
    return OSError(errno.EINVAL, "not a regular file")
