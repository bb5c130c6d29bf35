"""What the heads of files say otherwise than the records that list them.

A File ID may lead to a file that is another instance, or that names another patient:
two discs were copied over each other, or a writer gave files away. Such a file is served
as what it is. That is said as soon as anything reads its head.
"""

import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from itertools import islice
from typing import Final, NamedTuple

from dicomfs.dicom import patient, tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.header import read_header, sop_instance_uid
from dicomfs.errors import DicomfsError
from dicomfs.fileset.fileset import Item
from dicomfs.findings import Finding, Findings, Kind
from dicomfs.source.cache import Cache
from dicomfs.source.digests import Budget, Digests
from dicomfs.source.source import Source, Wrapper

# Files of which it is known what was read of them, and which are said to be others.
_MOST_FILES: Final = 20_000
_MOST_SAID: Final = 100_000
# Where the attributes lie that are looked for at once, in most files.
_HEAD: Final = 8192
_FEW: Final = 5
_REASONS: Final = {
    Kind.UID_DISAGREES: "the file says itself that it is another instance than is listed",
    Kind.PATIENT_DISAGREES: "the file itself names another patient than is listed",
}
# PS3.5 7.1.2: tag and VR, little endian, and a length of two bytes.
_UID: Final = b"\x08\x00\x18\x00UI"
_ID: Final = b"\x10\x00\x20\x00LO"
_NAME: Final = b"\x10\x00\x10\x00PN"


class Listed(NamedTuple):
    """A file as its record has it: who it is, which instance, and by which name."""

    identity: Hashable
    offset: int
    uid: bytes
    file: str


class _Alike(NamedTuple):
    """The files of a folder of which the same is to be said."""

    files: dict[Hashable, str]
    offset: int


class Heads:
    """What is known of the heads of files, on all media of a tree."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._lock = threading.Lock()
        self._kinds: dict[Hashable, Kind] = {}
        self._alike: dict[Hashable, _Alike] = {}
        self._read = Cache[Hashable, Digests](_MOST_FILES)
        self._budget = Budget()

    def reason(self, identity: Hashable) -> str:
        """Return what is said of a file, empty if nothing is."""
        kind = self._kinds.get(identity)
        return "" if kind is None else _REASONS[kind]

    def say(self, kind: Kind, folder: "Claims", listed: Listed, source: str) -> None:
        """Say of a file in *folder* what is wrong with it."""
        with self._lock:
            if len(self._kinds) >= _MOST_SAID:
                return
            self._kinds[listed.identity] = kind
            new = _Alike({}, listed.offset)
            alike = self._alike.setdefault((folder.key, kind, source), new)
            alike.files[listed.identity] = listed.file
            files = tuple(islice(alike.files.values(), _FEW))
            finding = Finding(
                kind,
                alike.offset,
                where=folder.where,
                count=len(alike.files),
                done="shown as it is",
                detail=_REASONS[kind],
                files=files,
                source=source,
            )
        self._findings.add(finding, key=(folder.key, kind))

    def digests(self, identity: Hashable) -> Digests:
        """Return the digests of what was read of a file, new ones if there are none."""
        digests = self._read.get(identity)
        if digests is None:
            digests = Digests(self._budget)
            self._read.put(identity, digests)
        return digests

    def known_digests(self, identity: Hashable) -> Digests | None:
        """Return the digests of what was read of a file, None if nothing was read.

        Where that is forgotten, nobody knows: raises LookupError.
        """
        digests = self._read.get(identity)
        if digests is None and len(self._read) >= _MOST_FILES:
            raise LookupError
        return digests


class Claims(NamedTuple):
    """What the records of a folder claim of its files: that they are of a *patient*.

    *key* tells the folder from others, *where* is its path.
    """

    heads: Heads
    key: Hashable
    where: tuple[str, ...]
    patient: Attributes | None

    def fit(self, uid: bytes, head: bytes) -> bool:
        """Whether what a file begins with says the same at first sight.

        If not, its header has to be read.
        """
        if uid and _value(head, _UID) != uid:
            return False
        who = self.patient
        return who is None or (
            _value(head, _ID) == who.raw(tags.PATIENT_ID)
            and _value(head, _NAME) == who.raw(tags.PATIENT_NAME)
        )

    def contradiction(self, uid: bytes, header: Attributes) -> Kind | None:
        """Return what a *header* says otherwise; the patient counts more than the UID."""
        who = self.patient
        if who is not None:
            header = header.under((), who.preferred)
            if patient.ids_contradict(who, header) or patient.names_contradict(
                who, header
            ):
                return Kind.PATIENT_DISAGREES
        found = sop_instance_uid(header)
        return Kind.UID_DISAGREES if uid and found and uid != found else None

    def look(self, listed: Listed, header: Attributes, source: str) -> str:
        """Look at the *header* of a file; return what is to be said of it, if anything."""
        kind = self.contradiction(listed.uid, header)
        if kind is not None:
            self.heads.say(kind, self, listed, source)
        return "" if kind is None else _REASONS[kind]

    def describes(self, item: Item, header: Attributes, series_uid: bytes) -> bool:
        """Whether a *header* can say what the records of its series lack; look at it.

        That of another patient cannot, nor one of another instance and series.
        """
        record = item.record
        file = item.file_id.decode("utf-8", "replace").replace("\\", "/")
        identity = item.file_set.identity, record.offset
        listed = Listed(identity, record.offset, record.sop_instance_uid, file)
        kind = self.contradiction(listed.uid, header)
        if kind is not None:
            self.heads.say(kind, self, listed, item.file_set.findings.source)
        said = header.raw(tags.SERIES_INSTANCE_UID)
        is_of_series = not said or not series_uid or said == series_uid
        return kind is None or (kind is Kind.UID_DISAGREES and is_of_series)


# Those of a folder without files.
NO_CLAIMS: Final = Claims(Heads(Findings()), None, (), None)


def header_of(source: Source) -> Attributes | None:
    """Return the header of the file in *source*, None if it cannot be read."""
    with suppress(OSError, DicomfsError):
        return read_header(source)
    return None


class Watched(Wrapper):
    """A file whose head is looked at when it is read, which takes no other bytes.

    *fits* says whether the bytes at its beginning are what was listed; if they are not,
    *look* looks at the file.
    """

    def __init__(
        self,
        source: Source,
        fits: Callable[[bytes], bool],
        look: Callable[[Source], None],
    ) -> None:
        super().__init__(source)
        self._fits = fits
        self._look = look
        self._is_new = True

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*, fewer only where the source ends."""
        data = self._source.read_at(offset, size)
        if offset == 0 and self._is_new:
            if not self._fits(data[:_HEAD]):
                self._look(self._source)
            self._is_new = False
        return data

    def read_cached(self, offset: int, buffer: memoryview) -> int | None:
        """Fill *buffer* with what ``read_at`` would give, if memory holds it all."""
        count = self._source.read_cached(offset, buffer)
        if offset == 0 and self._is_new and count:
            if not self._fits(bytes(buffer[: min(count, _HEAD)])):
                return None
            self._is_new = False
        return count


class StandIn(Wrapper):
    """A copy that is read in place of the file that is listed."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.is_stand_in = True


def _value(head: bytes, element: bytes) -> bytes:
    at = head.find(element)
    if at < 0:
        return b""
    start = at + len(element) + 2
    size = int.from_bytes(head[start - 2 : start], "little")
    return head[start : start + size].strip(b" \0")
