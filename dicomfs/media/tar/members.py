"""The members of a tar archive, one after the other as their headers have them.

Only headers are read, and what belongs to them: long names and the records of pax.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from dicomfs.media.tar.header import BLOCK, Header, parse
from dicomfs.source.source import PAGE, Source

# Type flags (POSIX.1-2001, and GNU's).
_FILES: Final = frozenset({b"0", b"\0", b"7"})
_FOLDERS: Final = frozenset({b"5", b"D"})
_HARD_LINK: Final = b"1"
# Symbolic links, devices and pipes.
_OTHERS: Final = frozenset({b"2", b"3", b"4", b"6"})
_LONG_NAME, _LONG_LINK = b"L", b"K"
_PAX: Final = frozenset({b"x", b"X"})
# Global records, and the label of a volume.
_PASSED_OVER: Final = frozenset({b"g", b"V"})
_SPARSE: Final = b"S"
_CONTINUED: Final = b"M"
# Those that pax may say the size of; and those that have no bytes whatever they say.
_WITH_BYTES: Final = _FILES | {b"D", _SPARSE, _CONTINUED}
_WITHOUT_BYTES: Final = _OTHERS | {_HARD_LINK, b"5"}

# No name is longer, and no honest header has more records.
_LONGEST_NAME: Final = 64 * 1024
_LARGEST_PAX: Final = 1024 * 1024
# How far the next header is sought behind one that is damaged, and how often a medium may
# fail meanwhile.
_FARTHEST: Final = 64 * 1024 * 1024
_MOST_FAILURES: Final = 16
_SEARCHED: Final = 64 * 1024
_SPARSE_PAX: Final = b"GNU.sparse."
_SECOND: Final = 1_000_000_000


class Member(NamedTuple):
    """A member: its *name*, and where its bytes are; *link* is what a hard link names.

    *refusal* is why it cannot be read. One that is no file and no folder is a link, a
    device or the like.
    """

    name: bytes
    offset: int
    size: int
    mtime_ns: int
    is_folder: bool = False
    is_file: bool = True
    link: bytes | None = None
    refusal: str = ""


class Members:
    """Goes through the members of the archive in *source*.

    Afterwards *damaged* says how many headers could not be understood, *unknown* how
    many members are of kinds that nobody knows, and *is_cut_off* whether it lacks its
    end.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._searched = 0
        self._failures = 0
        self.damaged = 0
        self.unknown = 0
        self.is_cut_off = False

    def __iter__(self) -> Iterator[Member]:
        """Yield the members in their order; raises OSError if none can be read."""
        at = 0
        pax: Mapping[bytes, bytes] = {}
        long: dict[bytes, bytes] = {}
        while (found := self._next(at)) is not None:
            at, header = found
            begin = at + BLOCK
            size = _size(header, pax)
            at = begin + (0 if header.kind in _WITHOUT_BYTES else _padded(size))
            if header.kind in {_LONG_NAME, _LONG_LINK}:
                long[header.kind] = self._read(begin, size, _LONGEST_NAME).rstrip(b"\0")
            elif header.kind in _PAX:
                pax = _records(self._read(begin, size, _LARGEST_PAX))
            elif header.kind not in _PASSED_OVER:
                if header.is_continued:
                    begin = self._behind_map(begin)
                    at = begin + _padded(size)
                member = _member(header, begin, size, pax, long)
                pax, long = {}, {}
                if member is None:
                    self.unknown += 1
                    continue
                yield member

    def _next(self, at: int) -> tuple[int, Header] | None:
        """Return the header at this place, or the next one behind it, and where it is."""
        block = self._block(at)
        if block is not None and (header := parse(block)) is not None:
            return at, header
        if block is not None and len(block) == BLOCK and not any(block):
            # A block of zeros ends it; one alone may be between two archives.
            following = self._block(at + BLOCK)
            header = None if following is None else parse(following)
            return None if header is None else (at + BLOCK, header)
        if block is not None and len(block) < BLOCK:
            self.is_cut_off = True
            return None
        self.damaged += 1
        return self._search(at + BLOCK)

    def _search(self, at: int) -> tuple[int, Header] | None:
        """Return the first header behind one that is damaged, None if there is none."""
        while at < self._source.size and self._searched < _FARTHEST:
            blocks = self._read_or_fail(at, _SEARCHED)
            if blocks is None:
                at += PAGE
                continue
            if not blocks:
                break
            self._searched += len(blocks)
            for within in range(0, len(blocks), BLOCK):
                block = blocks[within : within + BLOCK]
                if (header := parse(block)) is not None:
                    return at + within, header
            at += _SEARCHED
        self.is_cut_off = True
        return None

    def _block(self, at: int) -> bytes | None:
        return self._read_or_fail(at, BLOCK)

    def _read_or_fail(self, at: int, size: int) -> bytes | None:
        """Return bytes of the source, None where a sector is bad, few at its end.

        What fails too often has its end there. Raises OSError at the first block.
        """
        if self._failures > _MOST_FAILURES:
            return b""
        try:
            return self._source.read_at(at, max(0, min(size, self._source.size - at)))
        except OSError:
            self._failures += 1
            if not at:
                raise
            return None

    def _read(self, at: int, size: int, most: int) -> bytes:
        """Return what belongs to a header, nothing if it is too much or unreadable."""
        if size <= most:
            with suppress(OSError):
                return self._source.read_at(at, size)
        self.damaged += 1
        return b""

    def _behind_map(self, at: int) -> int:
        """Return where the map of a sparse file ends that begins *at* a place."""
        while at < self._source.size:
            block = self._block(at)
            at += BLOCK
            if block is None or block[504:505] in {b"", b"\0"}:
                break
        return at


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _size(header: Header, pax: Mapping[bytes, bytes]) -> int:
    """Return how many bytes a member has; pax says those that octal digits cannot."""
    digits = pax.get(b"size", b"")
    is_own = header.kind in _WITH_BYTES
    return (
        int(digits) if is_own and digits.isdigit() and len(digits) < 19 else header.size
    )


def _member(
    header: Header,
    begin: int,
    size: int,
    pax: Mapping[bytes, bytes],
    long: Mapping[bytes, bytes],
) -> Member | None:
    """Return the member of *header*, None if it is of a kind that nobody knows.

    *pax* and *long* are what came before it: they say what does not fit into it.
    """
    kind = header.kind
    name = pax.get(b"path") or long.get(_LONG_NAME) or header.name
    mtime_ns = _time(pax.get(b"mtime", b""), header.mtime)
    if kind in _FOLDERS or (kind in _FILES and name.endswith(b"/")):
        return Member(name, begin, 0, mtime_ns, is_folder=True, is_file=False)
    if kind in _OTHERS:
        return Member(name, begin, 0, mtime_ns, is_file=False)
    if kind == _HARD_LINK:
        link = pax.get(b"linkpath") or long.get(_LONG_LINK) or header.link
        return Member(name, begin, 0, mtime_ns, link=link)
    if kind == _CONTINUED:
        refusal = "its beginning lies in another volume of the archive"
        return Member(name, begin, size, mtime_ns, refusal=refusal)
    if kind == _SPARSE or any(key.startswith(_SPARSE_PAX) for key in pax):
        name = pax.get(b"GNU.sparse.name") or name
        refusal = "it is a sparse file, which is not read in tar archives"
        return Member(name, begin, size, mtime_ns, refusal=refusal)
    return Member(name, begin, size, mtime_ns) if kind in _FILES else None


def _time(said: bytes, seconds: int) -> int:
    """Return a time in nanoseconds since 1970: what pax *said*, else *seconds*."""
    whole, _, fraction = said.partition(b".")
    if whole.isdigit() and len(whole) < 11 and (not fraction or fraction.isdigit()):
        return int(whole) * _SECOND + int(fraction[:9].ljust(9, b"0"))
    return seconds * _SECOND if 0 <= seconds < 10**10 else 0


def _records(data: bytes) -> dict[bytes, bytes]:
    """Return the records of a pax header: ``length key=value`` with a line feed."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        digits, blank, _ = data[at : at + 20].partition(b" ")
        length = int(digits) if blank and digits.isdigit() else 0
        record = data[at + len(digits) + 1 : at + length]
        key, equals, value = record.partition(b"=")
        if not equals or not value.endswith(b"\n") or at + length > len(data):
            break
        found[key] = value[:-1]
        at += length
    return found
