"""A ZIP archive as a medium.

Its central directory is read once, within bounds, and kept as it is: some 100 bytes for
each member. What it says of a member is compared with the member's own header when that
is opened for the first time. A member that is stored is then read in place; others are
inflated by ``inflate``.

A member that cannot be shown as it is, such as one that is forged, costs itself: it is
listed, but has no status and cannot be opened, and the OSError says why.
"""

import errno
import os
import stat
import threading
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

from dicomfs.errors import LibraryError, MediumError, PasswordError
from dicomfs.findings import Finding, Kind
from dicomfs.media.archive import Archive
from dicomfs.media.medium import Place
from dicomfs.media.zip import decrypt
from dicomfs.media.zip import directory as zipdirectory
from dicomfs.media.zip.decrypt import (
    Aes,
    AesLock,
    Deciphered,
    Lock,
)
from dicomfs.media.zip.directory import ENCRYPTED, Directory, Record, UnsafeNameError
from dicomfs.media.zip.inflate import (
    WHOLE,
    Codec,
    Inflated,
    Inflater,
    Stored,
    Stream,
    Verdict,
    bzip2,
    lzma1,
)
from dicomfs.source.source import AtHand, Extent, ExtentSource, Source, Status

_MOST_MEMBERS: Final = 200_000
_MOST_FOLDERS: Final = 100_000

_STORED: Final = 0
_AES: Final = 99
# Takes the size of what comes out.
_CODECS: Final[Mapping[int, Callable[[int], Codec]]] = {
    _STORED: lambda _: Stored(),
    8: lambda _: Inflater(),
    12: lambda _: bzip2(),
    14: lzma1,
}
# Those that cannot be begun in the middle: the rest has to be gone through again.
_SEQUENTIAL: Final = frozenset({12, 14})
_LARGEST_SEQUENTIAL: Final = 64 * 1024**2
# APPNOTE.TXT 4.4.5
_UNSUPPORTED: Final = {
    1: "Shrink",
    6: "Implode",
    9: "Deflate64",
    93: "Zstandard",
    95: "XZ",
    98: "PPMd",
}
# Strong encryption, and a directory that is encrypted itself (7.2 and 7.3).
_STRONG: Final = 1 << 6 | 1 << 13
_HAS_DESCRIPTOR: Final = 1 << 3

# Deflate can pack a thousand-fold, and masks and blank images of that kind are real.
# Whatever the ratio, up to this size it costs half a second and bounded memory.
_LARGEST_BOMB: Final = 256 * 1024**2
_MOST_RATIO: Final = 200
# What compression may make of bytes that it cannot compress, and what ciphers add.
_MOST_GROWTH: Final = 2
_MOST_OVERHEAD: Final = 64 * 1024

# No archive reaches there; ZIP64 can say more than that.
_END_OF_ALL: Final = 1 << 63

# How many members that seem to lie within another one are looked at.
_MOST_RIVALS: Final = 8


def _refused(what: str) -> OSError:
    return OSError(errno.EIO, what)


@dataclass(slots=True)
class Member:
    """A file, a folder, or what is neither.

    *refusal* is why it cannot be opened, as far as its record tells, and *cause* makes
    the error of that.
    """

    number: int
    status: Status
    refusal: str = ""
    cause: Callable[[str], OSError] = _refused
    is_folder: bool = False
    is_file: bool = False

    def error(self) -> OSError | None:
        """Return why it cannot be opened, None if that is not known."""
        return self.cause(self.refusal) if self.refusal else None


_NO_FOLDERS: Final[dict[bytes, "_Folder"]] = {}


class _Folder:
    """The folders in a folder by their names, and the numbers of its members."""

    __slots__ = ("folders", "numbers")

    def __init__(self) -> None:
        # Most have none: of hostile archives there may be many.
        self.folders = _NO_FOLDERS
        self.numbers = array("I")


def recognises(source: Source) -> bool:
    """Return whether *source* is a ZIP archive; also one behind a program."""
    if zipdirectory.begins_like_one(source):
        return True
    try:
        return zipdirectory.find_directory(source) is not None
    except MediumError:
        return True


class Zip(Archive[Member]):
    """A ZIP archive in a source, which it owns; *passwords* are tried in their order.

    *left_out* says of how many members it shows nothing, by the reason in words.
    *is_cut_off* is whether it lacks its directory, as a download that broke off does:
    then it has what lies before the first member whose header does not say its size.
    """

    def __init__(self, source: Source, passwords: Sequence[bytes] = ()) -> None:
        """Read the directory; raises MediumError if there is none, and OSError."""
        super().__init__(source)
        self._passwords = passwords
        self.left_out: Counter[str] = Counter()
        self.is_cut_off = False
        directory, self._raw = self._read_directory()
        self._end = directory.start
        self._shift = directory.shift
        # Of each member: where its record is, and where its data begins once known.
        self._places = array("I")
        self._starts = array("Q")
        # Where the members begin, and their numbers, in the order in which they lie.
        self._offsets = array("Q")
        self._order = array("I")
        self._root = self._make_tree(directory)
        self._opening = threading.Lock()
        self._inflated: WeakValueDictionary[int, Inflated] = WeakValueDictionary()
        # Tells the members from those of other archives; what they turned out to be.
        self._id = object()
        self._verdicts: dict[Hashable, Verdict] = {}

    def _read_directory(self) -> tuple[Directory, bytes]:
        """Return the directory; one that is made where it is missing or unreadable."""
        failure: Exception = MediumError("it has no directory")
        try:
            directory = zipdirectory.find_directory(self._source)
            if directory is not None:
                return directory, zipdirectory.read_directory(self._source, directory)
        except OSError as error:
            failure = error
        self.is_cut_off = True
        raw, count = zipdirectory.recover(self._source, _MOST_MEMBERS)
        if not raw:
            raise failure
        return Directory(self._source.size, len(raw), 0, count), raw

    # -- the tree ----------------------------------------------------------------------

    def _make_tree(self, directory: Directory) -> _Folder:
        tree = _Tree(self.left_out, self._name_of)
        begins = array("Q")
        found = 0
        for found, at in enumerate(zipdirectory.record_places(self._raw), start=1):
            if found > _MOST_MEMBERS:
                raise MediumError(f"it has more than {_MOST_MEMBERS} members")
            record = zipdirectory.read_record(self._raw, at)
            if tree.add(record, len(self._places)):
                self._places.append(at)
                self._starts.append(0)
                begins.append(min(record.offset + self._shift, _END_OF_ALL))
        # Old writers let the number overflow.
        if damaged := (directory.records - found) % (1 << 16):
            self.left_out["a record of the directory that is damaged"] += damaged
        self._order.extend(sorted(tree.finish(), key=begins.__getitem__))
        self._offsets.extend(begins[number] for number in self._order)
        return tree.root

    def read_folder(self, folder: Place) -> Mapping[bytes, Member]:
        """Return the members in *folder*."""
        found = self._root
        for depth, name in enumerate(folder):
            if name not in found.folders:
                is_there = name in self.listing(folder[:depth])
                number = errno.ENOTDIR if is_there else errno.ENOENT
                raise OSError(number, os.strerror(number))
            found = found.folders[name]
        nothing = Status(0, 0)
        entries = {name: Member(0, nothing, is_folder=True) for name in found.folders}
        for number in found.numbers:
            record = self._record(number)
            entries[record.path()[-1]] = self._member(number, record)
        return entries

    def _name_of(self, number: int) -> bytes:
        return self._record(number).path()[-1]

    def _record(self, number: int) -> Record:
        return zipdirectory.read_record(self._raw, self._places[number])

    def _member(self, number: int, record: Record) -> Member:
        status = Status(record.size, record.mtime_ns)
        # Whichever system is said to have made it: a link or a device is no file.
        if stat.S_IFMT(record.mode) not in {0, stat.S_IFREG}:
            return Member(number, status)
        refusal = self._refusal(record)
        cause: Callable[[str], OSError] = _refused
        if not refusal and record.flags & ENCRYPTED:
            refusal, cause = self._lack(record)
        return Member(number, status, refusal, cause, is_file=True)

    def _lack(self, record: Record) -> tuple[str, Callable[[str], OSError]]:
        """Return what is lacking to decipher a member, if anything is."""
        if not self._passwords:
            return "it is encrypted, and no password was given", PasswordError
        if record.method == _AES and not decrypt.knows_aes():
            what = "it is encrypted with AES, which needs the extra dicomfs[aes]"
            return what, LibraryError
        return "", _refused

    def _refusal(self, record: Record) -> str:
        """Return why a member is refused for what its record says, empty if it is not."""
        method = _method(record)
        if record.flags & _STRONG or method == _AES:
            return "it is encrypted in a way that is not supported"
        if method not in _CODECS:
            name = _UNSUPPORTED.get(method, f"method {method}")
            return f"it is compressed in a way that is not supported: {name}"
        begin = record.offset + self._shift + len(record.name)
        if record.disk or begin + record.packed > self._end:
            return "it does not lie within the archive"
        return _forgery(record, method)

    # -- what is known of members without being asked ----------------------------------

    def status(self, path: Place) -> Status:
        """Return the status of the regular file at *path*."""
        status = super().status(path)
        if (error := self.entry(path).error()) is not None:
            raise error
        return status

    def statuses(self, folder: Place, names: Sequence[bytes]) -> list[Status | OSError]:
        """Return the status of each of *names* in *folder*, or why it has none."""
        entries = self.listing(folder)
        return [
            (name in entries and entries[name].error()) or status
            for name, status in zip(names, super().statuses(folder, names), strict=True)
        ]

    # -- opening -----------------------------------------------------------------------

    def findings(self) -> Iterator[Finding]:
        """Yield that it is cut off, and what it shows nothing of."""
        if self.is_cut_off:
            yield Finding(Kind.ARCHIVE_CUT_OFF, done="what is left of it is shown")
        for reason, count in self.left_out.items():
            yield Finding(Kind.MEMBER_LEFT_OUT, count=count, detail=reason)

    def open_entry(self, entry: Member) -> Source:
        """Open a member; its own header is read, and its first bytes if it is locked.

        Raises PasswordError (EACCES) if no password fits, and OSError (EIO) if it is
        forged.
        """
        if (error := entry.error()) is not None:
            raise error
        if (source := self._known(entry.number)) is not None:
            return source
        record = self._record(entry.number)
        packed = self._packed(entry.number, record)
        return self._unpacked(entry, record, packed)

    def open_entry_cached(self, entry: Member) -> Source | None:
        """Open a member if that takes no reading of the source, else None."""
        if entry.refusal:
            return None
        if (source := self._known(entry.number)) is not None:
            return source
        record = self._record(entry.number)
        if record.flags & ENCRYPTED:
            return None
        try:
            packed = self._packed(entry.number, record, AtHand(self._source))
        except (
            OSError
        ):  # not at hand, or what is wrong with it is said by ``open_entry``
            return None
        return self._unpacked(entry, record, packed)

    def _known(self, number: int) -> Inflated | None:
        with self._opening:
            return self._inflated.get(number)

    def _unpacked(self, entry: Member, record: Record, packed: Source) -> Source:
        """Return the source of a member that lies in *packed*."""
        method = _method(record)
        if not record.flags & ENCRYPTED:
            if method == _STORED:
                return packed
            return self._shared(entry, record, packed, ())
        locks = self._locks(record, packed)
        lock = locks[0]
        if method == _STORED and record.size > WHOLE and isinstance(lock, AesLock):
            start = self._starts[entry.number] + lock.head
            extents = [Extent(start, record.size)]
            data = ExtentSource(self._source, extents, record.mtime_ns)
            return Deciphered(data, lock)
        return self._shared(entry, record, packed, locks)

    def _locks(self, record: Record, packed: Source) -> Sequence[Lock]:
        """Return the locks that passwords seem to open; raises PasswordError."""
        locks: Sequence[Lock]
        if record.method == _AES:
            key_size = _aes(record).key_size
            locks = decrypt.unlock_aes(packed, self._passwords, key_size)
        else:
            # Who could not know the CRC beforehand took the time.
            checks = [record.crc >> 24]
            if record.flags & _HAS_DESCRIPTOR:
                checks.append(record.dos_time >> 8)
            locks = decrypt.unlock_traditional(packed, self._passwords, checks)
        if not locks:
            raise PasswordError("it is encrypted, and no password that was given fits")
        return locks

    def _shared(
        self, entry: Member, record: Record, packed: Source, locks: Sequence[Lock]
    ) -> Inflated:
        """Return the one source of a member for all who have it open."""
        codec = _CODECS[_method(record)]

        def begin() -> list[Stream]:
            if not locks:
                return [Stream(packed, codec(record.size))]
            return [
                Stream(packed, codec(record.size), lock.cipher(), lock.head, lock.tail)
                for lock in locks
            ]

        # AE-2 has none: it would tell what is in a short file.
        is_proved = record.method == _AES and _aes(record).version > 1
        crc = None if is_proved else record.crc
        key = self._id, entry.number
        made = Inflated(entry.status, crc, begin, key, self._verdicts)
        with self._opening:
            return self._inflated.setdefault(entry.number, made)

    # -- where the members lie ---------------------------------------------------------

    def _packed(
        self, number: int, record: Record, headers: Source | None = None
    ) -> Source:
        """Return the bytes of a member as they lie in the archive.

        Its own header is read from the archive, or from *headers* instead. Raises OSError (EIO) if its own header contradicts its record, or if it lies
        over other members: each byte of the archive is given once.
        """
        start = self._starts[number] or self._find(
            number, record, headers or self._source
        )
        extents = [Extent(start, record.packed)]
        return ExtentSource(self._source, extents, record.mtime_ns)

    def _find(self, number: int, record: Record, headers: Source) -> int:
        at = record.offset + self._shift
        start = zipdirectory.find_data(headers, record, at)
        if start is None:
            raise OSError(
                errno.EIO, "its header and the directory contradict each other"
            )
        end = start + record.packed
        if end > self._end or self._has_rivals(number, at, end, headers):
            raise OSError(errno.EIO, "it lies over other parts of the archive")
        self._starts[number] = start
        return start

    def _has_rivals(self, number: int, at: int, end: int, headers: Source) -> bool:
        """Return whether other members begin from *at* to *end*.

        Those count that are there: a wrong offset of one must not cost another.
        """
        first, last = bisect_left(self._offsets, at), bisect_left(self._offsets, end)
        if last - first > 1 + _MOST_RIVALS:
            return True
        return any(
            self._is_there(other, headers)
            for other in self._order[first:last]
            if other != number
        )

    def _is_there(self, number: int, headers: Source) -> bool:
        record = self._record(number)
        at = record.offset + self._shift
        return zipdirectory.find_data(headers, record, at) is not None


class _Tree:
    """Members put into folders, of which *left_out* counts those that belong nowhere.

    *name_of* returns the name of a member by its number.
    """

    def __init__(self, left_out: Counter[str], name_of: Callable[[int], bytes]) -> None:
        self.root = _Folder()
        self._left_out = left_out
        self._name_of = name_of
        self._folders = [self.root]
        # Of each name in a folder; those folders in which two seem to be the same.
        self._hashes: set[int] = set()
        self._doubtful: set[_Folder] = set()

    def add(self, record: Record, number: int) -> bool:
        """Add the member *number*; return whether it is one that has a place."""
        try:
            path = record.path()
        except UnsafeNameError as error:
            self._left_out[str(error)] += 1
            return False
        if record.is_folder:
            self._folder(path)
            return False
        folder = self._folder(path[:-1])
        folder.numbers.append(number)
        self._note(folder, path[-1])
        return True

    def _folder(self, path: Place) -> _Folder:
        folder = self.root
        for name in path:
            below = folder.folders.get(name)
            if below is None:
                if len(self._folders) > _MOST_FOLDERS:
                    raise MediumError(f"it has more than {_MOST_FOLDERS} folders")
                below = _Folder()
                self._folders.append(below)
                self._note(folder, name)
                folder.folders = folder.folders or {}
                folder.folders[name] = below
            folder = below
        return folder

    def _note(self, folder: _Folder, name: bytes) -> None:
        key = hash((id(folder), name))
        if key in self._hashes:
            self._doubtful.add(folder)
        self._hashes.add(key)

    def finish(self) -> list[int]:
        """Let each name be one thing, and return the numbers of the members."""
        for folder in self._doubtful:
            self._resolve(folder)
        return [number for folder in self._folders for number in folder.numbers]

    def _resolve(self, folder: _Folder) -> None:
        """Leave one of those that have the same name.

        Of members the last: what was written last is what an archive was changed to.
        Of a member and a folder the folder, which may hold more.
        """
        last = {self._name_of(number): number for number in folder.numbers}
        if repeated := len(folder.numbers) - len(last):
            self._left_out["a name that a later member has, too"] += repeated
        for name in last.keys() & folder.folders.keys():
            self._left_out["a name that a folder has, too"] += 1
            del last[name]
        folder.numbers = array("I", last.values())


# -- what a record says ----------------------------------------------------------------


def _aes(record: Record) -> Aes:
    return Aes(zipdirectory.extra_field(record.extra, zipdirectory.AES))


def _method(record: Record) -> int:
    """Return the method of compression; ``_AES`` for what is none of known strength."""
    if record.method != _AES:
        return record.method
    aes = _aes(record)
    return aes.method if aes.key_size and record.flags & ENCRYPTED else _AES


def _overhead(record: Record) -> int:
    """Return how many bytes encryption adds to a member."""
    if not record.flags & ENCRYPTED:
        return 0
    if record.method == _AES:
        return decrypt.aes_overhead(_aes(record).key_size)
    return decrypt.ZipCrypto.head


def _forgery(record: Record, method: int) -> str:
    """Return what is wrong with the sizes of a member, empty if nothing is."""
    packed = record.packed - _overhead(record)
    if packed < 0 or (method == _STORED and packed != record.size):
        return "its sizes contradict each other"
    if packed > record.size * _MOST_GROWTH + _MOST_OVERHEAD:
        return "its sizes contradict each other"
    if method in _SEQUENTIAL and record.size > _LARGEST_SEQUENTIAL:
        return "it is too large for its method of compression"
    if record.size > _LARGEST_BOMB and record.size > packed * _MOST_RATIO:
        return f"it would grow more than {_MOST_RATIO}-fold: it is refused as a bomb"
    return ""
