"""A ZIP archive as a medium.

Its central directory is read once, within bounds, and kept as it is: some 100 bytes for
each member. When a member is opened for the first time, its own header is compared with
what the directory says of it. A member that is stored is then read in place, and proved
when all of it was read (``proof``); others are inflated by ``inflate``.

A member that cannot be shown as it is, such as one that is forged, costs itself: it is
listed, but has no status and cannot be opened, and the OSError says why.
"""

import stat
import threading
from array import array
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Final, cast
from weakref import WeakValueDictionary

from dicomfs.errors import CutOffError, MediumError, MethodError, PasswordError
from dicomfs.findings import Finding, Kind
from dicomfs.media.archive import Archive
from dicomfs.media.medium import Place, shown
from dicomfs.media.members import Folder, Tree, findings_of, folder_at
from dicomfs.media.zip import central, decrypt
from dicomfs.media.zip.central import CentralDirectory
from dicomfs.media.zip.decrypt import AesLock, Deciphered, Lock
from dicomfs.media.zip.header import recover
from dicomfs.media.zip.inflate import WHOLE, Inflated, Stream, Verdict, Verdicts
from dicomfs.media.zip.member import (
    AES,
    CODECS,
    NOT_WITHIN,
    STORED,
    Member,
    aes_of,
    lack,
    method_of,
    refusal_of,
    refused,
    unknown_method,
)
from dicomfs.media.zip.proof import Proof, Proved
from dicomfs.media.zip.record import (
    ENCRYPTED,
    HAS_DESCRIPTOR,
    Record,
    read_record,
    record_places,
)
from dicomfs.media.zip.starts import Starts
from dicomfs.source.cache import Cache
from dicomfs.source.source import AtHand, Extent, ExtentSource, Source

_MOST_MEMBERS: Final = 200_000
# Of so many members it is known how far they were read.
_MOST_PROOFS: Final = 1000


def recognises(source: Source) -> bool:
    """Return whether *source* is a ZIP archive; also one behind a program."""
    if central.begins_like_one(source):
        return True
    try:
        return central.find(source) is not None
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
        self._passwords: Sequence[bytes] = ()
        self.left_out: Counter[str] = Counter()
        self.is_cut_off = False
        directory, self._raw = self._read_directory()
        self._end = directory.start
        self._shift = directory.shift
        self._has_encrypted = False
        # Where the record of each member is.
        self._places = array("I")
        self._root, self._starts = self._make_tree(directory)
        if self._has_encrypted:
            self._passwords = passwords
        self._opening = threading.Lock()
        self._inflated: WeakValueDictionary[int, Inflated] = WeakValueDictionary()
        # Tells the members from those of other archives; what they turned out to be.
        self._id = object()
        self._verdicts = Verdicts(self._note_fault)
        self._proofs = Cache[int, Proof](_MOST_PROOFS)

    def _read_directory(self) -> tuple[CentralDirectory, bytes]:
        """Return the directory; one that is made where it is missing or unreadable."""
        failure: Exception = MediumError("it has no directory")
        try:
            directory = central.find(self._source)
            if directory is not None:
                return directory, central.read(self._source, directory)
        except OSError as error:
            failure = error
        self.is_cut_off = True
        raw, count = recover(self._source, _MOST_MEMBERS)
        if not raw:
            raise failure
        return CentralDirectory(self._source.size, len(raw), 0, count), raw

    # -- the tree ----------------------------------------------------------------------

    def _make_tree(self, directory: CentralDirectory) -> tuple[Folder, Starts]:
        tree = Tree(self.left_out, self._name_of)
        offsets = array("Q")
        found = 0
        for found, at in enumerate(record_places(self._raw), start=1):
            if found > _MOST_MEMBERS:
                raise MediumError(f"it has more than {_MOST_MEMBERS} members")
            record = read_record(self._raw, at)
            self._has_encrypted |= bool(record.flags & ENCRYPTED)
            if tree.add(record, len(self._places)):
                self._places.append(at)
                offsets.append(record.offset)
        # Old writers let the number overflow.
        if damaged := (directory.records - found) % (1 << 16):
            self.left_out["a record of the directory that is damaged"] += damaged
        shown = tree.finish()
        self._rooted = tree.rooted
        starts = Starts(offsets, shown, self._record, self._shift, self._end)
        return tree.root, starts

    def read_folder(self, folder: Place) -> Mapping[bytes, Member]:
        """Return the members in *folder*."""
        found = folder_at(self._root, folder, self._name_of)
        entries = {name: Member(0, is_folder=True) for name in found.folders}
        for number in found.numbers:
            record = self._record(number)
            entries[record.path()[-1]] = self._member(number, record)
        return entries

    def _name_of(self, number: int) -> bytes:
        return self._record(number).path()[-1]

    def _record(self, number: int) -> Record:
        return read_record(self._raw, self._places[number])

    def _member(self, number: int, record: Record) -> Member:
        size, mtime_ns = record.size, record.mtime_ns
        # A link or a device is not a file, whichever system is said to have made it.
        if stat.S_IFMT(record.mode) not in {0, stat.S_IFREG}:
            return Member(number, size, mtime_ns)
        refusal, cause = self._refusal(record)
        return Member(number, size, mtime_ns, refusal, cause, is_file=True)

    def _refusal(self, record: Record) -> tuple[str, Callable[[str], OSError]]:
        """Return why a member cannot be opened, empty if it can, and the error of that."""
        if refusal := unknown_method(record):
            return refusal, MethodError
        refusal = refusal_of(record, self._shift, self._end)
        if refusal == NOT_WITHIN and self.is_cut_off:
            return refusal, lambda _: CutOffError()
        if not refusal and record.flags & ENCRYPTED:
            return lack(record, self._passwords)
        return refusal, refused

    # -- opening -----------------------------------------------------------------------

    def findings(self) -> Iterator[Finding]:
        """Return that it is cut off, and what it shows nothing of."""
        return findings_of(self.left_out, self._rooted, is_cut_off=self.is_cut_off)

    def open_entry(self, entry: Member) -> Source:
        """Open a member; its own header is read, and its first bytes if it is locked.

        Raises PasswordError (EACCES) if no password fits, and OSError (EIO) if it is
        forged.
        """
        entry.check()
        if (source := self._known(entry.number)) is not None:
            return source
        record = self._record(entry.number)
        packed = self._packed(entry.number, record, self._source)
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
        except OSError:
            # It is not at hand; or ``open_entry`` says what is wrong with it.
            return None
        return self._unpacked(entry, record, packed)

    def _packed(self, number: int, record: Record, headers: Source) -> ExtentSource:
        """Return the bytes of a member as they lie in the archive; raises OSError.

        Its own header is read from *headers*.
        """
        extents = [Extent(self._starts.find(number, record, headers), record.packed)]
        return ExtentSource(self._source, extents, record.mtime_ns)

    def _known(self, number: int) -> Inflated | None:
        with self._opening:
            return self._inflated.get(number)

    def _unpacked(self, entry: Member, record: Record, packed: Source) -> Source:
        """Return the source of a member that lies in *packed*."""
        method = method_of(record)
        if not record.flags & ENCRYPTED:
            if method == STORED:
                return self._proved(entry.number, record, packed)
            return self._shared(entry, record, packed, ())
        locks = self._locks(record, packed)
        lock = locks[0]
        if method == STORED and record.size > WHOLE and isinstance(lock, AesLock):
            start = self._starts.find(entry.number, record, self._source) + lock.head
            extents = [Extent(start, record.size)]
            data = ExtentSource(self._source, extents, record.mtime_ns)
            return Deciphered(data, lock)
        return self._shared(entry, record, packed, locks)

    def _proved(self, number: int, record: Record, packed: Source) -> Source:
        """Return a stored member that is proved when all of it is read."""
        key = self._id, number
        verdict = self._verdicts.get(key)
        if verdict is not None and not verdict.fault:
            return packed

        def end(is_right: bool) -> None:
            self._verdicts[key] = Verdict("" if is_right else "its CRC is wrong")

        def fault() -> str | None:
            known = self._verdicts.get(key)
            return None if known is None else known.fault

        with self._opening:
            proof = self._proofs.get(number)
            if proof is None:
                proof = Proof(record.size, record.crc, end)
                self._proofs.put(number, proof)
        return Proved(packed, proof, fault)

    def _note_fault(self, key: Hashable, what: str) -> None:
        """Say that the member of this *key* is not what it says."""
        _, number = cast(tuple[object, int], key)
        name = shown(self._record(number).path())
        self.note(Finding(Kind.MEMBER_DAMAGED, detail=what, files=(name,)))

    def _locks(self, record: Record, packed: Source) -> Sequence[Lock]:
        """Return the locks that passwords seem to open; raises PasswordError."""
        locks: Sequence[Lock]
        if record.method == AES:
            key_size = aes_of(record).key_size
            locks = decrypt.unlock_aes(packed, self._passwords, key_size)
        else:
            # A writer that could not know the CRC beforehand took the time.
            checks = [record.crc >> 24]
            if record.flags & HAS_DESCRIPTOR:
                checks.append(record.dos_time >> 8)
            locks = decrypt.unlock_traditional(packed, self._passwords, checks)
        if not locks:
            raise PasswordError("it is encrypted, and no password that was given fits")
        return locks

    def _shared(
        self, entry: Member, record: Record, packed: Source, locks: Sequence[Lock]
    ) -> Inflated:
        """Return the one source of a member for all who have it open."""
        codec = CODECS[method_of(record)]

        def begin() -> list[Stream]:
            if not locks:
                return [Stream(packed, codec(record.size))]
            return [
                Stream(packed, codec(record.size), lock.cipher(), lock.head, lock.tail)
                for lock in locks
            ]

        # AE-2 has none: it would tell what is in a short file.
        is_proved = record.method == AES and aes_of(record).version > 1
        crc = None if is_proved else record.crc
        key = self._id, entry.number
        made = Inflated(entry.status, crc, begin, key, self._verdicts)
        with self._opening:
            return self._inflated.setdefault(entry.number, made)
