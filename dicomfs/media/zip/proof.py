"""Stored members, proved by their CRC-32 when they are read from beginning to end.

They are read in place, and given before anything is known of their CRC: once the last
byte was read, it is. If it is wrong, that read fails, and all that come later.
"""

import threading
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from dicomfs.errors import DamagedError
from dicomfs.source.source import Source, Wrapper

# Reads that follow each other are answered by several threads: so far ahead of the others
# one may come, and so many of them.
_AHEAD: Final = 4 * 1024 * 1024
_MOST_AHEAD: Final = 64
# The polynomial of CRC-32 (APPNOTE.TXT 4.4.7), its bits in reverse; and the number 1.
_POLYNOMIAL: Final = 0xEDB88320
_ONE: Final = 1 << 31


class Proof:
    """The CRC-32 of a member of *size* bytes, as far as it was read; it should be *crc*.

    *on_end* hears whether it was right, once.
    """

    def __init__(self, size: int, crc: int, on_end: Callable[[bool], None]) -> None:
        self._size = size
        self._wanted = crc
        self._on_end = on_end
        self._lock = threading.Lock()
        if not size:
            on_end(not crc)
        # So many bytes from the beginning were read, and this is their CRC; what lies
        # behind them: where it ends, and its CRC, by where it begins.
        self._read = 0
        self._crc = 0
        self._ahead: dict[int, tuple[int, int]] = {}

    def saw(self, offset: int, data: bytes | memoryview) -> None:
        """Take note of *data*, which was read at *offset*."""
        with self._lock:
            before, end = self._read, offset + len(data)
            if self._read == self._size:
                return
            if offset <= before < end:
                self._crc = zlib.crc32(data[before - offset :], self._crc)
                self._read = end
                self._catch_up()
            elif before < offset <= before + _AHEAD and len(self._ahead) < _MOST_AHEAD:
                self._ahead[offset] = end, zlib.crc32(data)
            is_end = self._read == self._size
        if is_end:
            self._on_end(self._crc == self._wanted)

    def _catch_up(self) -> None:
        """Add what was read before it was its turn."""
        while self._ahead:
            begin = min(self._ahead)
            if begin > self._read:
                return
            end, crc = self._ahead.pop(begin)
            if begin == self._read:
                self._crc = combined(self._crc, crc, end - begin)
                self._read = end


class Proved(Wrapper):
    """A stored member in *source* that *proof* is taken of.

    *fault* says what is wrong with it, as far as that is known: empty, if nothing is,
    and None as long as nobody knows.
    """

    def __init__(
        self, source: Source, proof: Proof, fault: Callable[[], str | None]
    ) -> None:
        super().__init__(source)
        self._proof = proof
        self._fault = fault

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*; raises DamagedError, too."""
        fault = self._fault()
        if fault is None:
            data = super().read_at(offset, size)
            self._proof.saw(offset, data)
            if not (fault := self._fault()):
                return data
        elif not fault:
            return super().read_at(offset, size)
        raise DamagedError(fault)

    def read_cached(self, offset: int, buffer: memoryview) -> int | None:
        """Fill *buffer* with what ``read_at`` would give, if memory holds it all."""
        if fault := self._fault():
            return None
        count = super().read_cached(offset, buffer)
        if count and fault is None:
            self._proof.saw(offset, buffer[:count])
            return None if self._fault() else count
        return count


def combined(first: int, second: int, size: int) -> int:
    """Return the CRC-32 of bytes with that of *first* and *size* more with *second*."""
    return _product(_zeros(size), first) ^ second


@lru_cache(maxsize=256)
def _zeros(size: int) -> int:
    """Return what a CRC is multiplied with for *size* zeros that follow: x to 8 times that."""
    result, square = _ONE, _ONE >> 8
    while size:
        if size & 1:
            result = _product(result, square)
        square = _product(square, square)
        size >>= 1
    return result


def _product(a: int, b: int) -> int:
    """Return the product of two polynomials modulo that of CRC-32."""
    result = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            result ^= b
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return result
