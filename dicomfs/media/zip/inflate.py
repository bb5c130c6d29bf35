"""Compressed members as sources: inflated once, piece by piece, and kept within bounds.

A member of up to 16 MiB is inflated to its end and compared with its CRC-32 before the
first byte of it is given. A larger one is inflated as far as somebody asks; its CRC is
known once its end was reached, and if it is wrong, nothing is given from then on. The
pieces are in one cache of the process, and so is the state of the inflater every so
often, so that a piece that was given up is reached from the one before. If several
read a member, one inflates it and the others wait.
"""

import errno
import threading
import zlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from dicomfs.errors import DamagedError
from dicomfs.media.zip.codec import Codec
from dicomfs.media.zip.decrypt import Cipher
from dicomfs.source.cache import Cache
from dicomfs.source.source import Source, Status

# Up to this many bytes a member is proved before it is given: an instance, as good as
# always, and not a tenth of a second.
WHOLE: Final = 16 * 1024**2
# What is inflated and kept at a time.
PIECE: Final = 256 * 1024
# What is asked of the archive at a time; each state that is kept holds the rest of it.
_TAKEN: Final = 32 * 1024
# A state is what deflate looks back at, its tables, and the rest of what was taken.
_STATE: Final = 96 * 1024
_MOST_STATES: Final = 128
_LEAST_STRIDE: Final = 4

# How much is kept of what was inflated, and of states.
_KEPT: Final = 64 * 1024**2
_KEPT_STATES: Final = 16 * 1024**2

# In place of a number: where the one who inflated last stopped.
_LAST: Final = -1


class Stream:
    """A member from its first byte on, deciphered and decompressed.

    It lies in *packed* without its first *head* and its last *tail* bytes, and the last
    of them prove the cipher's. *crc* is the CRC-32 of all that was read.
    """

    def __init__(
        self,
        packed: Source,
        codec: Codec,
        cipher: Cipher | None = None,
        head: int = 0,
        tail: int = 0,
    ) -> None:
        self._packed = packed
        self._codec = codec
        self._cipher = cipher
        self._at = head
        self._tail = tail
        self.crc = 0

    def read(self, size: int) -> bytearray:
        """Return the next *size* bytes, fewer only where the member ends."""
        data = bytearray()
        while len(data) < size and (more := self._next(size - len(data))):
            data += more
        self.crc = zlib.crc32(data, self.crc)
        return data

    def _next(self, most: int) -> bytes:
        data = self._codec.decompress(b"", most)
        end = self._packed.size - self._tail
        while not data and self._at < end:
            taken = self._packed.read_at(self._at, min(_TAKEN, end - self._at))
            self._at += len(taken)
            if self._cipher is not None:
                taken = self._cipher.decrypt(taken)
            data = self._codec.decompress(taken, most)
        return data

    def copy(self) -> "Stream | None":
        """Return one that goes on from here, None if the method has no such thing."""
        codec = self._codec.copy()
        if codec is None:
            return None
        cipher = None if self._cipher is None else self._cipher.copy()
        other = Stream(self._packed, codec, cipher, self._at, self._tail)
        other.crc = self.crc
        return other

    def check_end(self, crc: int | None) -> None:
        """Raise DamagedError unless this is the end and all was as it should be.

        *crc* is None if the cipher alone proves it.
        """
        if self._next(1):
            raise DamagedError("it is larger than it says")
        if crc is not None and self.crc != crc:
            raise DamagedError("its CRC is wrong")
        code = self._packed.read_at(self._packed.size - self._tail, self._tail)
        if self._cipher is not None and not self._cipher.is_authentic(code):
            raise DamagedError("its authentication code is wrong")


class Verdict(NamedTuple):
    """What is known of a member: its *fault*, if any, and the number of its stream.

    The latter is which of those that it may be is the right one.
    """

    fault: str
    stream: int = 0


class Verdicts(dict[Hashable, Verdict]):
    """What is known of members, by their keys; *on_fault* hears what is wrong with one."""

    def __init__(self, on_fault: Callable[[Hashable, str], None]) -> None:
        super().__init__()
        self._on_fault = on_fault

    def __setitem__(self, key: Hashable, verdict: Verdict) -> None:
        """Know it, and tell."""
        super().__setitem__(key, verdict)
        if verdict.fault:
            self._on_fault(key, verdict.fault)


# The pieces of a member by their numbers, and states by the number of the piece that
# comes next, which is kept with them. The member is told by its key.
_Part = tuple[Hashable, int]
_PIECES: Final = Cache[_Part, bytearray](_KEPT, len)
_STATES: Final = Cache[_Part, tuple[int, Stream]](_KEPT_STATES // _STATE)


class Inflated(Source):
    """A compressed or encrypted member; one for all who have it open.

    *begin* returns a stream of it, or several where several passwords seem to fit.
    *key* tells it from all others in the process. *verdicts* is where it is kept, by
    that key, what it turned out to be.
    """

    def __init__(
        self,
        status: Status,
        crc: int | None,
        begin: Callable[[], Sequence[Stream]],
        key: Hashable,
        verdicts: Verdicts,
    ) -> None:
        self.status = status
        self.size = status.size
        self._crc = crc
        self._begin = begin
        self._key = key
        self._verdicts = verdicts
        self._pieces = -(-self.size // PIECE)
        # The state is kept before each piece whose number is a multiple of this.
        self._stride = max(_LEAST_STRIDE, -(-self._pieces // _MOST_STATES))
        self._turn = threading.Condition()
        self._is_busy = False
        self._hanging = 0

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset*, fewer only where the member ends.

        Raises OSError (EIO) if it is damaged, and while reading it hangs.
        """
        end = min(offset + size, self.size)
        parts = []
        while offset < end:
            number, skipped = divmod(offset, PIECE)
            piece = memoryview(self._piece(number))[skipped : skipped + end - offset]
            parts.append(piece)
            offset += len(piece)
        return b"".join(parts)

    def read_cached(self, offset: int, buffer: memoryview) -> int | None:
        """Fill *buffer* with what ``read_at`` would give, if memory holds it all."""
        size = min(len(buffer), self.size - offset)
        done = 0
        while done < size:
            number, skipped = divmod(offset + done, PIECE)
            piece = self._kept(number)
            if piece is None:
                return None
            part = memoryview(piece)[skipped : skipped + size - done]
            buffer[done : done + len(part)] = part
            done += len(part)
        return done

    def hangs(self, offset: int, size: int) -> None:  # noqa: ARG002 - all of it does
        """Let those fail at once who wait for the one that inflates."""
        with self._turn:
            self._hanging += 1
            self._turn.notify_all()

    def hangs_no_more(self, offset: int, size: int) -> None:  # noqa: ARG002 - as above
        """Let it be inflated again."""
        with self._turn:
            self._hanging -= 1

    def _kept(self, number: int) -> bytearray | None:
        """Return a piece that is in memory, and that may be given."""
        verdict = self._verdicts.get(self._key)
        is_proved = self.size > WHOLE if verdict is None else not verdict.fault
        return _PIECES.get((self._key, number)) if is_proved else None

    def _piece(self, number: int) -> bytearray:
        if (piece := self._kept(number)) is not None:
            return piece
        with self._one_at_a_time():
            # Whoever had the turn before may have come by.
            if (piece := self._kept(number)) is not None:
                return piece
            try:
                fault = self._verdict().fault
                if not fault:
                    return self._kept(number) or self._inflate(number)
            except DamagedError as error:
                self._verdicts[self._key] = Verdict(error.what)
                raise
            raise DamagedError(fault)

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        with self._turn:
            self._turn.wait_for(lambda: not self._is_busy or self._hanging)
            if self._hanging:
                raise OSError(errno.EIO, "reading it hangs")
            self._is_busy = True
        try:
            yield
        finally:
            with self._turn:
                self._is_busy = False
                self._turn.notify_all()

    def _verdict(self) -> Verdict:
        """Return what the member is, as far as that has to be known to give any of it."""
        if (known := self._verdicts.get(self._key)) is not None:
            return known
        last = self._pieces - 1 if self.size <= WHOLE else 0
        fault = DamagedError("it cannot be deciphered")
        for number, stream in enumerate(self._begin()):
            try:
                self._run(0, stream, last)
            except DamagedError as error:
                fault = error
                continue
            verdict = Verdict("", number)
            # A large one may still turn out to be damaged.
            self._verdicts[self._key] = verdict
            return verdict
        raise fault

    def _inflate(self, number: int) -> bytearray:
        """Return piece *number*, inflated from the nearest state that is kept."""
        at, stream = self._nearest(number)
        return self._run(at, stream, number)

    def _run(self, at: int, stream: Stream, number: int) -> bytearray:
        """Return piece *number*, inflated by *stream*, in which piece *at* comes next."""
        while True:
            if at and at % self._stride == 0 and (state := stream.copy()) is not None:
                _STATES.put((self._key, at), (at, state))
            size = min(PIECE, self.size - at * PIECE)
            piece = stream.read(size)
            if len(piece) < size:
                raise DamagedError("it is shorter than it says")
            if at + 1 == self._pieces:
                stream.check_end(self._crc)
            _PIECES.put((self._key, at), piece)
            at += 1
            if at > number:
                break
        if at < self._pieces:
            # Most likely the next piece is what is asked for next.
            _STATES.put((self._key, _LAST), (at, stream))
        return piece

    def _nearest(self, number: int) -> tuple[int, Stream]:
        """Return the nearest state before piece *number*, and which piece comes next."""
        at, stream = _STATES.take((self._key, _LAST)) or (0, None)
        if at > number:
            at, stream = 0, None
        for kept in range(number - number % self._stride, at, -self._stride):
            state = _STATES.get((self._key, kept))
            copy = None if state is None else state[1].copy()
            if copy is not None:
                return kept, copy
        return at, stream or self._begin()[self._verdict().stream]
