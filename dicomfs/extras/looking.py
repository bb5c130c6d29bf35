"""Looking into files for what may be in them: bounded, and none of them costs another."""

import logging
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Final, TypeVar

from dicomfs import logs
from dicomfs.errors import DicomfsError, DocumentError
from dicomfs.fileset.patience import Workers
from dicomfs.findings import Finding, Kind
from dicomfs.source.source import Source
from dicomfs.tree.selection import Instance

log = logging.getLogger(__name__)

_T = TypeVar("_T")

# Where it shows that a file is another instance than is listed, or of another patient.
HEAD: Final = 8192
# Files of a folder that are opened, and that may fail: a drive takes long to say so.
_MOST_OPENED: Final = 1000
_MOST_FAILED: Final = 8
# Computing for one folder; a thousand reports take five.
_MOST_SECONDS: Final = 10.0
# Folders that are listed at a time.
_THREADS: Final = 4


class Allowance:
    """What looking into files may cost in one folder, and what it has cost."""

    def __init__(self) -> None:
        self.opened = 0
        self.failed = 0
        self.seconds = 0.0

    @property
    def is_spent(self) -> bool:
        """Whether no more files are to be opened."""
        return (
            self.opened >= _MOST_OPENED
            or self.failed >= _MOST_FAILED
            or self.seconds >= _MOST_SECONDS
        )


class Looker:
    """Opens files, of which all that hang take about *deadline* seconds of a listing."""

    def __init__(self, deadline: float) -> None:
        self._workers = Workers(_THREADS, deadline / _MOST_FAILED, "extras")

    def look(
        self,
        instance: Instance,
        type_: str,
        read: Callable[[Source], _T],
        allowance: Allowance,
    ) -> _T | None:
        """Return what *read* finds in the file of *instance*, None if it finds nothing.

        The reason is noted then: *type_* is the type of its record.
        """
        if allowance.is_spent:
            note(instance, type_, "no more files of the folder are looked into")
            return None
        allowance.opened += 1
        try:
            return self._workers.ask(partial(_timed, instance, read, allowance))
        except OSError as error:
            allowance.failed += 1
            note(instance, type_, error.strerror or "it cannot be read")
        except DicomfsError as error:
            note(instance, type_, str(error))
        except Exception as error:  # noqa: BLE001 - all other files are shown
            logs.unforeseen(log, "looking for documents", error)
            note(instance, type_, "it is not understood")
        return None


def _timed(
    instance: Instance, read: Callable[[Source], _T], allowance: Allowance
) -> _T:
    begun = time.thread_time()
    try:
        with closing(instance.open()) as file:
            return read_in(file, instance, read)
    finally:
        allowance.seconds += time.thread_time() - begun


def read_in(file: Source, instance: Instance, read: Callable[[Source], _T]) -> _T:
    """Return what *read* finds in the open *file* of *instance*; raises what it does.

    If the file itself says that it is another instance or of another patient, there is
    nothing of use in it: DocumentError.
    """
    # Who reads the beginning lets it be compared with what is listed.
    file.read_at(0, HEAD)
    if instance.reason:
        raise DocumentError(instance.reason)
    return read(file)


def note(instance: Instance, type_: str, reason: str) -> None:
    """Note why what is in the file of *instance* is not shown."""
    where = instance.parent.path
    files = (b"/".join(instance.place).decode("utf-8", "replace"),)
    instance.file_set.note(
        Finding(
            Kind.NO_DOCUMENT, instance.offset, type_, where, detail=reason, files=files
        )
    )
