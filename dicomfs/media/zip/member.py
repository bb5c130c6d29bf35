"""A member of an archive, and why it is refused for what its record says."""

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dicomfs.errors import LibraryError, PasswordError
from dicomfs.media.zip import decrypt
from dicomfs.media.zip import record as ziprecord
from dicomfs.media.zip.codec import Codec, Inflater, Stored, bzip2, lzma1
from dicomfs.media.zip.decrypt import Aes
from dicomfs.media.zip.record import ENCRYPTED, Record
from dicomfs.source.source import Status

STORED: Final = 0
AES: Final = 99
# Takes the size of what comes out.
CODECS: Final[Mapping[int, Callable[[int], Codec]]] = {
    STORED: lambda _: Stored(),
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
NOT_WITHIN: Final = "it does not lie within the archive"
# Strong encryption, and a directory that is encrypted itself (7.2 and 7.3).
_STRONG: Final = 1 << 6 | 1 << 13

# Deflate can pack a thousand-fold, and masks and blank images of that kind are real.
# Whatever the ratio, up to this size it costs half a second and bounded memory.
_LARGEST_BOMB: Final = 256 * 1024**2
_MOST_RATIO: Final = 200
# What compression may make of bytes that it cannot compress, and what ciphers add.
_MOST_GROWTH: Final = 2
_MOST_OVERHEAD: Final = 64 * 1024


def refused(what: str) -> OSError:
    """Return the error for a member that cannot be opened because of *what*."""
    return OSError(errno.EIO, what)


@dataclass(slots=True)
class Member:
    """A file, a folder, or what is neither.

    *refusal* is why it cannot be opened, as far as its record tells, and *cause* makes
    the error of that.
    """

    number: int
    size: int = 0
    mtime_ns: int = 0
    refusal: str = ""
    cause: Callable[[str], OSError] = refused
    is_folder: bool = False
    is_file: bool = False

    @property
    def status(self) -> Status:
        """Length and time; raises OSError where it is known that it cannot be opened."""
        self.check()
        return Status(self.size, self.mtime_ns)

    def check(self) -> None:
        """Raise OSError where it is known that it cannot be opened."""
        if self.refusal:
            raise self.cause(self.refusal)


def unknown_method(record: Record) -> str:
    """Return why a member cannot be unpacked by anything that is here, empty if it can."""
    method = method_of(record)
    if record.flags & _STRONG or method == AES:
        return "it is encrypted in a way that is not supported"
    if method not in CODECS:
        name = _UNSUPPORTED.get(method, f"method {method}")
        return f"it is compressed in a way that is not supported: {name}"
    return ""


def refusal_of(record: Record, shift: int, end: int) -> str:
    """Return why a member is refused for what its record says, empty if it is not.

    The members lie before *end*, and to their offsets *shift* has to be added.
    """
    begin = record.offset + shift + len(record.name)
    if record.disk or begin + record.packed > end:
        return NOT_WITHIN
    return _forgery(record, method_of(record))


def lack(
    record: Record, passwords: Sequence[bytes]
) -> tuple[str, Callable[[str], OSError]]:
    """Return what is lacking to decipher a member, empty if nothing is, and its error."""
    if not passwords:
        return "it is encrypted, and no password was given", PasswordError
    if record.method == AES and not decrypt.knows_aes():
        what = "it is encrypted with AES, which needs the extra dicomfs[aes]"
        return what, LibraryError
    return "", refused


def aes_of(record: Record) -> Aes:
    """Return what the extra field of a member under AES says."""
    return Aes(ziprecord.extra_field(record.extra, ziprecord.AES_FIELD))


def method_of(record: Record) -> int:
    """Return the method of compression; ``AES`` if its strength is not known."""
    if record.method != AES:
        return record.method
    aes = aes_of(record)
    return aes.method if aes.key_size and record.flags & ENCRYPTED else AES


def _overhead(record: Record) -> int:
    """Return how many bytes encryption adds to a member."""
    if not record.flags & ENCRYPTED:
        return 0
    if record.method == AES:
        return decrypt.aes_overhead(aes_of(record).key_size)
    return decrypt.ZipCrypto.head


def _forgery(record: Record, method: int) -> str:
    """Return what is wrong with the sizes of a member, empty if nothing is."""
    packed = record.packed - _overhead(record)
    if packed < 0 or (method == STORED and packed != record.size):
        return "its sizes contradict each other"
    if packed > record.size * _MOST_GROWTH + _MOST_OVERHEAD:
        return "its sizes contradict each other"
    if method in _SEQUENTIAL and record.size > _LARGEST_SEQUENTIAL:
        return "it is too large for its method of compression"
    if record.size > _LARGEST_BOMB and record.size > packed * _MOST_RATIO:
        return f"it would grow more than {_MOST_RATIO}-fold: it is refused as a bomb"
    return ""
