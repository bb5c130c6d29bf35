"""Methods of compression, undone with bounded output."""

import bz2
import lzma
import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, Protocol

from dicomfs.errors import DamagedError

_LZMA_HEAD: Final = struct.Struct("<2xHBI")
_LZMA_PROPERTIES: Final = 5
_LEAST_DICTIONARY: Final = 4096


class Codec(ABC):
    """Undoes a method of compression, with bounded output."""

    @abstractmethod
    def decompress(self, data: bytes, most: int) -> bytes:
        """Take *data*, return up to *most* bytes: none once more has to be given.

        Raises DamagedError.
        """

    def copy(self) -> "Codec | None":
        """Return one in the same state, None if the method has no such thing."""
        return None


class Stored(Codec):
    """Bytes that are not compressed, but encrypted."""

    def __init__(self, rest: bytes = b"") -> None:
        self._rest = rest

    def decompress(self, data: bytes, most: int) -> bytes:
        """Return the bytes as they are."""
        data = self._rest + data
        self._rest = data[most:]
        return data[:most]

    def copy(self) -> "Stored":
        """Return one with the same rest."""
        return Stored(self._rest)


class Inflater(Codec):
    """Undoes deflate (RFC 1951)."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(-zlib.MAX_WBITS)

    def decompress(self, data: bytes, most: int) -> bytes:
        """Inflate on."""
        if self._inner.eof:
            return b""
        try:
            return self._inner.decompress(self._inner.unconsumed_tail + data, most)
        except zlib.error as error:
            raise DamagedError("it does not inflate") from error

    def copy(self) -> "Inflater":
        """Return one in the same state."""
        other = Inflater()
        other._inner = self._inner.copy()
        return other


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Sequential(Codec):
    """Undoes a method that can only be gone through from start to end.

    *begin* returns what does it, given the first *head* bytes of the member.
    """

    def __init__(self, begin: Callable[[bytes], _Decompressor], head: int = 0) -> None:
        self._begin = begin
        self._head = head
        self._taken = b""
        self._inner: _Decompressor | None = None

    def decompress(self, data: bytes, most: int) -> bytes:
        """Decompress on."""
        if self._inner is None:
            self._taken += data
            if len(self._taken) < self._head:
                return b""
            data = self._taken[self._head :]
        try:
            if self._inner is None:
                self._inner = self._begin(self._taken[: self._head])
            return b"" if self._inner.eof else self._inner.decompress(data, most)
        except (OSError, ValueError, lzma.LZMAError) as error:
            raise DamagedError("it does not decompress") from error


def bzip2() -> Codec:
    """Return what undoes bzip2."""
    return Sequential(lambda _: bz2.BZ2Decompressor())


def lzma1(size: int) -> Codec:
    """Return what undoes LZMA as ZIP has it (APPNOTE.TXT 5.8), for *size* bytes."""

    def begin(head: bytes) -> _Decompressor:
        length, properties, dictionary = _LZMA_HEAD.unpack(head)
        if length != _LZMA_PROPERTIES:
            raise ValueError("no properties of LZMA")
        form = {
            "id": lzma.FILTER_LZMA1,
            # It takes as much memory as it is told to look back, at most to the start.
            "dict_size": max(_LEAST_DICTIONARY, min(dictionary, size)),
            "lc": properties % 9,
            "lp": properties // 9 % 5,
            "pb": properties // 45,
        }
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[form])

    return Sequential(begin, _LZMA_HEAD.size)
