"""Settling a File-set: its links are checked once, then what belongs nowhere is found.

The first is what each of its folders waits for, the second what ``Unlinked`` does.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.record import DirectoryRecord
from dicomfs.errors import DirectoryError
from dicomfs.fileset.links import LinkCheck, LinkedRecords
from dicomfs.source.window import Window


class Settled(Protocol):
    """The slice of a nested File-set that is needed here."""

    @property
    def settling(self) -> "Settling":
        """Its own check."""
        ...


class Nested(Protocol):
    """The slice of all nested File-sets that is needed here."""

    @property
    def met(self) -> Sequence[Settled]:
        """Those that were opened so far."""
        ...

    def of(self, record: DirectoryRecord) -> object:
        """Open what *record* references, if that is a directory."""
        ...


class Settling:
    """The check of *links* between the records of *directory*, and what comes after it.

    *nested* are the File-sets that records lead to. *check_unchanged* raises OSError if
    the directory is not what it was. Safe to use from several threads: who comes while
    another is at it, waits.
    """

    def __init__(
        self,
        directory: Directory,
        links: LinkedRecords,
        nested: Nested,
        check_unchanged: Callable[[], None],
    ) -> None:
        self._directory = directory
        self._links = links
        self._nested = nested
        self._check_unchanged = check_unchanged
        self._lock = threading.Lock()
        self._is_searched = False

    @property
    def size(self) -> int:
        """How many bytes have to be read for it."""
        return self._directory.source.size

    @property
    def is_done(self) -> bool:
        """Whether all that belongs nowhere is known, or nobody will look for it."""
        is_searched = self._is_searched or self._links.state is not LinkCheck.WHOLE
        return self._links.is_settled and is_searched

    def leave_alone(self, most: int) -> None:
        """See whether the records are so many, clearly more than *most*, as to be left.

        Nobody waits for that. An error of the medium is one of the check, too.
        """
        with suppress(OSError):
            self._links.leave_alone(most)

    def check(self, most: int) -> None:
        """Look at all records, up to *most*, unless that was done or has failed.

        Raises OSError if the medium fails, and DirectoryError if no record is left. A
        directory that was changed is left alone: whoever lists its folders says so.
        """
        if self._links.state is not LinkCheck.NOT_YET:
            return
        try:
            self._check_unchanged()
        except OSError:
            self._links.give_up()
        self._links.check_once(most)

    def finish(self) -> None:
        """Ask the headers that have to be; the same of the nested File-sets."""
        self._links.ask_headers()
        with self._lock:
            if not self._is_searched:
                self._meet_nested()
                for nested in self._nested.met:
                    nested.settling.finish()
            self._is_searched = True

    def _meet_nested(self) -> None:
        window = Window(self._directory.source)
        for offset in self._links.upper:
            with suppress(DirectoryError, OSError):
                record = self._directory.written(offset, window)
                if record.file_id:
                    self._nested.of(record)
