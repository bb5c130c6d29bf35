"""The files that the records of one DICOMDIR reference."""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.header import read_header
from dicomfs.dicom.types import Level
from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.index import INACTIVE, read_index
from dicomfs.dicomdir.record import NO_RECORD, DirectoryRecord
from dicomfs.errors import DicomfsError, DirectoryError, FileIdError
from dicomfs.fileset import fileid
from dicomfs.fileset.locate import Located, Locator
from dicomfs.fileset.moved import Move, MovedLocator, Sample
from dicomfs.findings import Finding, Kind
from dicomfs.media.medium import Medium, Place
from dicomfs.source.window import Window

log = logging.getLogger(__name__)

# Instances that are asked where a File-set was moved to, and out of how many records.
_SAMPLES: Final = 8
_SAMPLED: Final = 4096


class References:
    """The files on *medium* that the records of *directory* reference.

    File IDs count from the folder *root*, and are found by a *locator* of that folder
    if there is one already. *note* hears what is wrong.
    """

    def __init__(
        self,
        directory: Directory,
        medium: Medium,
        root: Place,
        note: Callable[[Finding], None],
        locator: Locator | None = None,
    ) -> None:
        self._directory = directory
        self._medium = medium
        self._note = note
        self.locator = locator or MovedLocator(
            medium, root, self._samples, self._note_move
        )

    def file_id(self, record: DirectoryRecord) -> bytes:
        """Return the Referenced File ID of *record*, empty if it has no file.

        The retired Multi-Referenced Directory Record lends its own.
        """
        file_id = record.file_id
        if file_id or record.mrdr == NO_RECORD:
            return file_id
        try:
            return self._directory.written(record.mrdr).file_id
        except DirectoryError:
            self._note(Finding(Kind.BROKEN_REFERENCE, record.offset, record.type))
            return b""

    def locate_all(
        self, file_ids: Iterable[bytes]
    ) -> list[Located | OSError | FileIdError]:
        """Return where the files of *file_ids* lie, and their statuses, or why not."""
        paths = [_components(file_id) for file_id in file_ids]
        usable = [path for path in paths if not isinstance(path, FileIdError)]
        found = iter(self.locator.locate_all(usable))
        return [
            path if isinstance(path, FileIdError) else next(found) for path in paths
        ]

    def place(self, file_id: bytes) -> Place:
        """Return where the file of *file_id* lies.

        Raises FileIdError for one that leads nowhere, OSError from the medium.
        """
        return self.locator.locate(fileid.components(file_id))[0]

    def header(self, file_id: bytes) -> Attributes | None:
        """Return the header of the instance of *file_id*, None if it is unreadable."""
        try:
            source = self._medium.open(self.place(file_id))
        except (OSError, DicomfsError) as error:
            log.info("a header cannot be opened: %s", type(error).__name__)
            return None
        try:
            return read_header(source)
        except (OSError, DicomfsError) as error:
            log.info("a header cannot be read: %s", type(error).__name__)
            return None
        finally:
            source.close()

    def _samples(self) -> list[Sample]:
        """Return a few of the first instances, to find out where the files are.

        They are taken in the order of the file, which no broken link can change.
        """
        samples: list[Sample] = []
        window = Window(self._directory.source)
        with suppress(OSError):
            for offset in self._sampled():
                with suppress(DirectoryError, FileIdError):
                    record = self._directory.written(offset, window)
                    path = fileid.components(self.file_id(record))
                    if uid := record.sop_instance_uid:
                        samples.append(Sample(path, uid))
        return samples

    def _sampled(self) -> Sequence[int]:
        """Return the offsets of the records that are samples; raises OSError."""
        index = read_index(self._directory, _SAMPLED)
        records = zip(index.offsets, index.kinds, strict=True)
        active = [(at, kind) for at, kind in records if not kind & INACTIVE]
        instances = [at for at, kind in active if kind == Level.INSTANCE]
        offsets = instances or [at for at, _ in active]
        count = min(_SAMPLES, len(offsets))
        return [offsets[number * len(offsets) // count] for number in range(count)]

    def _note_move(self, move: Move) -> None:
        self._note(Finding(Kind.FILES_MOVED, done="found there", detail=str(move)))


def _components(file_id: bytes) -> Place | FileIdError:
    try:
        return fileid.components(file_id)
    except FileIdError as error:
        return error
