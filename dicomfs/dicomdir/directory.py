"""A DICOMDIR, read lazily: its header, and directory entities by their offsets.

Offsets count from the first byte of the file and name the first byte of an item
(PS3.3 F.2.2.2). Only the links make the tree: the order in which records lie in the
file means nothing.
"""

import errno
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final, Protocol

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.element import SEQUENCE_DELIMITATION, read_values
from dicomfs.dicom.layout import Alike
from dicomfs.dicomdir.beginning import (
    Header,
    first_readable,
    guess_beginning,
    read_beginning,
)
from dicomfs.dicomdir.models import Models
from dicomfs.dicomdir.record import NO_RECORD, UNREADABLE, DirectoryRecord, more_of
from dicomfs.errors import DirectoryError, ElementError, NotDicomError
from dicomfs.source.source import SECTOR, Source
from dicomfs.source.window import Window
from dicomfs.source.worn import Holed, Range, is_zero

_MAX_VALUE: Final = 256
_BEGINNING: Final = 1024
# What is looked at behind the records, and the length of a delimiter there.
_END: Final = 4096
_DELIMITER: Final = 8


class Links(Protocol):
    """Links between records as they should have been written."""

    def of(self, offset: int) -> tuple[int, int]:
        """Return the next and the first lower record of the one at *offset*."""
        ...


class Directory:
    """The records of one DICOMDIR.

    Safe to use from several threads: each walk reads through a window of its own.
    """

    def __init__(self, source: Source) -> None:
        """Read the header of the DICOMDIR in *source*.

        Raises NotDicomError or DirectoryError, and OSError from the medium.
        """
        self.source = self._whole = source
        # Set where the links as written are wrong.
        self.links: Links | None = None
        # Records that others say more about than can be read of them, by their offsets.
        self.known: dict[int, DirectoryRecord] = {}
        # Records that overlap could make a small file take for ever to be read.
        self.most_read = 2 * source.size
        # Whether what comes in front of the records cannot be read.
        self.is_worn = False
        self._begins = 0
        window = Window(source)
        try:
            window.load(0)
            beginning = window.data
            self.header = read_beginning(window)
        except ElementError as error:
            raise DirectoryError(f"the header is damaged: {error}") from error
        except (OSError, NotDicomError) as error:
            self.header = _guessed(source, error)
            self.is_worn = True
            self._begins, beginning = first_readable(source, SECTOR)
        # The File-set UID is not enough: some writers give all their discs the same.
        mark = b"%d %b" % (source.size, beginning)
        self.identity: bytes = hashlib.sha256(mark).digest()
        self._beginning = beginning[:_BEGINNING]
        self._models = Models(self.header.syntax, source.size)

    def is_unchanged(self) -> bool:
        """Whether the DICOMDIR still begins as it did; raises OSError."""
        data = self._whole.read_at(self._begins, len(self._beginning))
        return data == self._beginning

    def leave_out(self, zeros: Sequence[Range]) -> None:
        """Let *zeros* be unreadable, as they stand for what a medium did not give."""
        self.source = Holed(self.source, zeros)

    def character_set(self) -> bytes:
        """Return the Specific Character Set of the data set, empty if it has none.

        An item without one of its own takes that of the data set around it (PS3.3
        C.12.1.1.2). It stands behind the sequence, as tags ascend. What cannot be read
        is none.
        """
        try:
            return self._character_set()
        except (OSError, ElementError):
            return b""

    def _character_set(self) -> bytes:
        size, syntax = self.source.size, self.header.syntax
        start = self.header.behind
        if not start:
            # Of undefined length: it ends with a delimiter, and little follows.
            start = max(size - _END, 0)
            tail = self.source.read_at(start, _END)
            found = tail.rfind(syntax.tag(SEQUENCE_DELIMITATION))
            if found < 0:
                return b""
            start += found + _DELIMITER
        values: dict[int, bytes] = {}
        wanted = {tags.SPECIFIC_CHARACTER_SET: _MAX_VALUE}
        end = min(start + _END, size)
        read_values(Window(self.source, _END), start, end, syntax, wanted, values)
        return Attributes(values).raw(tags.SPECIFIC_CHARACTER_SET)

    def written(self, offset: int, window: Window | None = None) -> DirectoryRecord:
        """Return the record at *offset* as it is written; DirectoryError if none is."""
        if self.known and (known := self.known.get(offset)) is not None:
            return known
        return self._models.read(window or Window(self.source), offset)

    def alike(self, window: Window, offset: int, most: int) -> Alike | None:
        """Return the record at *offset* and those behind it, as far as they are alike.

        There are *most* in all. They are as they are written, and told by their places in what the *window* shows;
        None if it does not show any such.
        """
        return self._models.run(window, offset, most)

    @property
    def made_anew(self) -> list[int]:
        """The offsets of records that are not in the file, and were found out otherwise."""
        return sorted(offset for offset in self.known if offset > self.source.size)

    def record(self, offset: int, window: Window | None = None) -> DirectoryRecord:
        """Return the record at *offset*, with the links that it should have."""
        record = self.written(offset, window)
        if self.links is None:
            return record
        next_, lower = self.links.of(offset)
        return record._replace(next=next_, lower=lower)

    def detailed(
        self, offset: int, window: Window, more: Mapping[int, str]
    ) -> DirectoryRecord:
        """Return the same with the attributes *more*, by their tags and VRs."""
        record = self.record(offset, window)
        if not more:
            return record
        found = more_of(window, record, self.header.syntax, more)
        attributes = record.attributes
        values = {**found, **attributes.values}
        return record._replace(attributes=attributes._replace(values=values))

    def entity(self, first: int) -> Iterator[DirectoryRecord]:
        """Yield the records of the directory entity whose first record is at *first*.

        Inactive records are passed over: of them only the link to the next one counts
        (PS3.3 F.3.2.2). Raises DirectoryError where the chain breaks or closes a loop,
        behind the records that came before, and OSError from the medium.
        """
        window = Window(self.source)
        seen: set[int] = set()
        length = 0
        offset = first
        while offset != NO_RECORD:
            if offset in seen:
                raise DirectoryError("a chain of records loops back", offset)
            seen.add(offset)
            record = self.record(offset, window)
            if record.damage == UNREADABLE and self.links is None:
                # Nobody asked yet what else there is to be known of it.
                raise OSError(errno.EIO, UNREADABLE)
            length += record.length
            if length > self.most_read:
                raise DirectoryError("records overlap", offset)
            if record.in_use:
                yield record
            offset = record.next


def _guessed(source: Source, error: OSError | NotDicomError) -> Header:
    """Return a guess at the header in *source*, which could not be read.

    Raises *error* if that is not a bad sector, nor the zeros that stand for one.
    """
    if isinstance(error, OSError):
        if error.errno != errno.EIO:
            raise error
        return guess_beginning(source)
    if is_zero(source, 0):
        with suppress(DirectoryError):
            return guess_beginning(source)
    raise error
