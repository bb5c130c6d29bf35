"""Encrypted members of a ZIP: the traditional cipher of PKWARE, and AES of WinZip.

The first (APPNOTE.TXT 6.1) is weak, and slow in Python (some 2 MB/s), but what most tools
write. The second (WinZip's AE-1 and AE-2; APPNOTE.TXT 7.2 lists its method as 99) needs
a library for AES itself, which is an extra: ``load`` imports it while that can still be
done. A password shows to be wrong by one byte of the first and by two of the second.
"""

import hashlib
import hmac
import struct
import sys
import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol

from dicomfs.source.source import Source, Wrapper

if TYPE_CHECKING:
    from Cryptodome.Cipher._mode_ctr import CtrMode

_AES: Final = "Cryptodome.Cipher.AES"
_COUNTER: Final = "Cryptodome.Util.Counter"

_ZIPCRYPTO_HEAD: Final = 12
_KEYS: Final = (0x12345678, 0x23456789, 0x34567890)
_CRC_TABLE: Final = tuple(
    zlib.crc32(bytes([number ^ 0xFF])) ^ 0xFF000000 for number in range(256)
)

# The extra field 0x9901: version, vendor, strength, and the method of compression.
_AES_FORM: Final = struct.Struct("<H2sBH")
_AES_VENDOR: Final = b"AE"
_KEY_SIZES: Final = {1: 16, 2: 24, 3: 32}
_ROUNDS: Final = 1000
_VERIFIER: Final = 2
_CODE: Final = 10
_AES_BLOCK: Final = 16


class Cipher(ABC):
    """Deciphers a member from a place in it on."""

    @abstractmethod
    def decrypt(self, data: bytes) -> bytes:
        """Return what the next bytes mean."""

    @abstractmethod
    def copy(self) -> "Cipher":
        """Return one in the same state."""

    def is_authentic(self, code: bytes) -> bool:  # noqa: ARG002 - not all have one
        """Return whether all that was deciphered has this authentication *code*."""
        return True


class Lock(Protocol):
    """A member's cipher with a password that seems to fit.

    *head* and *tail* are how many bytes of the member are not data.
    """

    head: int
    tail: int

    def cipher(self) -> Cipher:
        """Return a cipher for the first byte of the data."""
        ...


# -- the traditional cipher ------------------------------------------------------------


class ZipCrypto(Cipher):
    """The three keys of the traditional cipher, and what they become."""

    head = _ZIPCRYPTO_HEAD
    tail = 0

    def __init__(self, keys: tuple[int, int, int]) -> None:
        self._keys = keys

    def decrypt(self, data: bytes) -> bytes:
        """Return what the next bytes mean; 6.1.5 to 6.1.7."""
        key0, key1, key2 = self._keys
        table = _CRC_TABLE
        plain = bytearray(data)
        for number, byte in enumerate(data):
            word = key2 | 2
            byte ^= word * (word ^ 1) >> 8 & 0xFF
            plain[number] = byte
            key0 = key0 >> 8 ^ table[(key0 ^ byte) & 0xFF]
            key1 = (key1 + (key0 & 0xFF)) * 0x08088405 + 1 & 0xFFFFFFFF
            key2 = key2 >> 8 ^ table[key2 & 0xFF ^ key1 >> 24]
        self._keys = key0, key1, key2
        return bytes(plain)

    def copy(self) -> "ZipCrypto":
        """Return one with the same keys."""
        return ZipCrypto(self._keys)

    cipher = copy


def _with_password(password: bytes) -> ZipCrypto:
    """Return the cipher that *password* begins: it is enciphered and thrown away."""
    key0, key1, key2 = _KEYS
    for byte in password:
        key0 = key0 >> 8 ^ _CRC_TABLE[(key0 ^ byte) & 0xFF]
        key1 = (key1 + (key0 & 0xFF)) * 0x08088405 + 1 & 0xFFFFFFFF
        key2 = key2 >> 8 ^ _CRC_TABLE[key2 & 0xFF ^ key1 >> 24]
    return ZipCrypto((key0, key1, key2))


def unlock_traditional(
    packed: Source, passwords: Sequence[bytes], checks: Sequence[int]
) -> list[Lock]:
    """Return a lock for each of *passwords* that seems to fit the member in *packed*.

    The last byte of its head is one of *checks*. Raises OSError from the medium.
    """
    head = packed.read_at(0, _ZIPCRYPTO_HEAD)
    locks: list[Lock] = []
    for password in passwords:
        cipher = _with_password(password)
        if cipher.decrypt(head)[-1:] in [bytes([check]) for check in checks]:
            locks.append(cipher)
    return locks


# -- AES -------------------------------------------------------------------------------


class Aes:
    """What the extra field 0x9901 says: which AES, and what is inside."""

    def __init__(self, field: bytes) -> None:
        """Read *field*; *key_size* is 0 if that is none that is known."""
        self.version = self.method = self.key_size = 0
        if len(field) >= _AES_FORM.size:
            self.version, vendor, strength, self.method = _AES_FORM.unpack_from(field)
            if vendor == _AES_VENDOR and self.version in {1, 2}:
                self.key_size = _KEY_SIZES.get(strength, 0)


def load() -> bool:
    """Import the library for AES, and what that imports; return whether it is there.

    To be called before rights are given up, if there is a password: it takes 60 ms.
    """
    try:
        import_module(_AES)
        import_module(_COUNTER)
        AesLock(b"", bytes(8), 16).cipher()
    except (ImportError, OSError):
        return False
    return True


def knows_aes() -> bool:
    """Return whether ``load`` found the library."""
    return _AES in sys.modules and _COUNTER in sys.modules


class AesLock:
    """The keys of a member that were made of a password (PBKDF2, 1000 rounds)."""

    tail = _CODE

    def __init__(self, password: bytes, salt: bytes, key_size: int) -> None:
        keys = hashlib.pbkdf2_hmac(
            "sha1", password, salt, _ROUNDS, 2 * key_size + _VERIFIER
        )
        self._key = keys[:key_size]
        self._signing = keys[key_size:-_VERIFIER]
        self.verifier = keys[-_VERIFIER:]
        self.head = len(salt) + _VERIFIER

    def cipher(self) -> "AesCipher":
        """Return a cipher for the first byte of the data."""
        return AesCipher(self._key, 0, hmac.new(self._signing, digestmod="sha1"))

    def decrypt_at(self, offset: int, data: bytes) -> bytes:
        """Return what *data* means, which lies at *offset* of the member's data."""
        return AesCipher(self._key, offset, None).decrypt(data)


def aes_overhead(key_size: int) -> int:
    """Return how many bytes a member has besides its data."""
    return key_size // 2 + _VERIFIER + _CODE


class AesCipher(Cipher):
    """AES in counter mode, and the code over what it deciphered."""

    def __init__(self, key: bytes, at: int, signed: hmac.HMAC | None) -> None:
        self._key = key
        self._at = at
        self._signed = signed
        self._inner = _counter_mode(key, at)

    def decrypt(self, data: bytes) -> bytes:
        """Return what the next bytes mean."""
        self._at += len(data)
        if self._signed is not None:
            self._signed.update(data)
        return self._inner.decrypt(data)

    def copy(self) -> "AesCipher":
        """Return one in the same state."""
        signed = self._signed and self._signed.copy()
        return AesCipher(self._key, self._at, signed)

    def is_authentic(self, code: bytes) -> bool:
        """Return whether the code over all that was deciphered begins with *code*."""
        return self._signed is None or hmac.compare_digest(
            self._signed.digest()[:_CODE], code
        )


def _counter_mode(key: bytes, at: int) -> "CtrMode":
    """Return what deciphers from byte *at* on: the counter begins at 1, low byte first."""
    aes, counter = sys.modules[_AES], sys.modules[_COUNTER]
    block, skipped = divmod(at, _AES_BLOCK)
    numbers = counter.new(128, initial_value=1 + block, little_endian=True)
    inner: CtrMode = aes.new(key, aes.MODE_CTR, counter=numbers)
    inner.decrypt(bytes(skipped))
    return inner


def unlock_aes(
    packed: Source, passwords: Sequence[bytes], key_size: int
) -> list[AesLock]:
    """Return a lock for each of *passwords* that seems to fit the member in *packed*.

    Raises OSError from the medium.
    """
    salt = packed.read_at(0, key_size // 2)
    verifier = packed.read_at(len(salt), _VERIFIER)
    locks = [AesLock(password, salt, key_size) for password in passwords]
    return [lock for lock in locks if lock.verifier == verifier]


class Deciphered(Wrapper):
    """A stored member under AES, deciphered where it is asked for.

    Nothing proves that its bytes are right, as with a stored one that is not encrypted.
    """

    def __init__(self, data: Source, lock: AesLock) -> None:
        super().__init__(data)
        self._lock = lock

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*, fewer only where the member ends."""
        return self._lock.decrypt_at(offset, super().read_at(offset, size))

    def read_cached(self, offset: int, buffer: memoryview) -> int | None:
        """Fill *buffer* with what ``read_at`` would give, if memory holds it all."""
        count = super().read_cached(offset, buffer)
        if count:
            buffer[:count] = self._lock.decrypt_at(offset, bytes(buffer[:count]))
        return count
