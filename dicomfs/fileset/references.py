"""The files that the records of one DICOMDIR reference."""

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final, Protocol

from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.header import read_header, sop_class_uid
from dicomfs.dicom.types import IMAGE, Level, type_of_class
from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.index import INACTIVE
from dicomfs.dicomdir.indexing import read_index
from dicomfs.dicomdir.record import NO_RECORD, DirectoryRecord
from dicomfs.dicomdir.writer import TITLES
from dicomfs.errors import DicomfsError, DirectoryError, FileIdError
from dicomfs.fileset import fileid
from dicomfs.fileset.beside import Neighbourhood
from dicomfs.fileset.guesses import Clue, Guesses
from dicomfs.fileset.locate import Located, Locator, Together, is_missing
from dicomfs.fileset.moved import Move, MovedLocator, Sample
from dicomfs.findings import Finding, Kind
from dicomfs.media.medium import Medium, Place, shown
from dicomfs.source.window import Window

log = logging.getLogger(__name__)

# Instances that are asked where a File-set was moved to, and out of how many records.
_SAMPLES: Final = 8
_SAMPLED: Final = 4096
_EXAMPLES: Final = 3
_SHOWN: Final = "shown, as their headers confirm what they are"
_NOT_FOUND: Final = "what lies elsewhere or has another name may not be found"

Found = Located | OSError | FileIdError


class Note(Protocol):
    """Hears a finding; one with the same *key* as an earlier one takes its place."""

    def __call__(self, finding: Finding, key: Hashable = None) -> None:
        """Add *finding*."""
        ...


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
        note: Note,
        locator: Locator | None = None,
    ) -> None:
        self._directory = directory
        self._medium = medium
        self._note = note
        self.locator = locator or MovedLocator(
            medium,
            root,
            self._samples,
            self._note_move,
            self._note_end,
            self._is_near,
        )
        self._guesses = Guesses(
            medium, self.locator, self._note_renamed, self._note_end
        )
        self._renamed: set[Place] = set()

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
        self, file_ids: Iterable[bytes], clue: Callable[[int], Clue] | None = None
    ) -> list[Found]:
        """Return where the files of *file_ids* lie, and their statuses, or why not.

        *clue* says what is known of each by its number: by that it is found under
        another name, too. One that has an extension more or less has to confirm it.
        """
        file_ids = list(file_ids)
        paths = [_components(file_id) for file_id in file_ids]
        usable = [path for path in paths if not isinstance(path, FileIdError)]
        there = iter(self.locator.locate_all(usable))
        found: list[Found] = [
            path if isinstance(path, FileIdError) else next(there) for path in paths
        ]
        return self._sure(file_ids, paths, found, clue)

    def find_all(
        self, file_ids: Sequence[bytes], clue: Callable[[int], Clue]
    ) -> Together | list[Found]:
        """Return the same as ``locate_all``; in short if all lie in one folder."""
        parts = fileid.in_one_folder(file_ids)
        if parts is None:
            return self.locate_all(file_ids, clue)
        folder, names = parts
        found = self.locator.locate_in(folder, names)
        if isinstance(found, Together):
            return found
        paths = [(*folder, name) for name in names]
        return self._sure(file_ids, paths, [*found], clue)

    def _sure(
        self,
        file_ids: Sequence[bytes],
        paths: Sequence[Place | FileIdError],
        found: list[Found],
        clue: Callable[[int], Clue] | None,
    ) -> list[Found]:
        """Return what was *found* of *paths*, guesses confirmed by a *clue* to each."""
        if clue is None or not self.locator.by_name:
            return found
        for number, (path, where) in enumerate(zip(paths, found, strict=True)):
            if isinstance(where, tuple) and _is_guess(path, where[0]):
                found[number] = self._guesses.confirmed(where, clue(number))
        if any(map(is_missing, found)):
            for number, file_id in enumerate(file_ids):
                if is_missing(found[number]):
                    guess = self._guesses.find(file_id, clue(number))
                    found[number] = guess or found[number]
        return found

    def place(self, record: DirectoryRecord) -> Place:
        """Return where the file of *record* lies.

        Raises FileIdError for a File ID that leads nowhere, OSError from the medium.
        """
        file_id, clue = self.file_id(record), clue_of(record)
        [found] = self.locate_all([file_id], lambda _: clue)
        if isinstance(found, Exception):
            raise found
        return found[0]

    def is_missing(self, record: DirectoryRecord) -> bool:
        """Whether the file of *record* is not where its File ID says."""
        [found] = self.locate_all([self.file_id(record)])
        return is_missing(found)

    def header(self, record: DirectoryRecord) -> Attributes | None:
        """Return the header of the instance of *record*, None if it is unreadable."""
        try:
            source = self._medium.open(self.place(record))
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

    def header_at(self, place: Place) -> Attributes | None:
        """Return the header of the file at *place*, and what it is titled.

        None if it is not an instance, or unreadable.
        """
        try:
            source = self._medium.open(place)
        except (OSError, DicomfsError):
            return None
        try:
            header = read_header(source)
            if type_of_class(sop_class_uid(header)) == IMAGE:
                return header
            return read_header(source, TITLES)
        except (OSError, DicomfsError):
            return None
        finally:
            source.close()

    def neighbourhood(self, listed: Mapping[Place, Sequence[bytes]]) -> Neighbourhood:
        """Return the folders of the files that are *listed*, by folder (see there)."""
        return Neighbourhood(self._medium, self.locator, listed)

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

    def _is_near(self, sample: Sample) -> bool:
        file_id = b"\\".join(sample.path)
        return self._guesses.find(file_id, Clue(sample.uid)) is not None

    def _note_move(self, move: Move) -> None:
        self._note(Finding(Kind.FILES_MOVED, done="found there", detail=str(move)))

    def _note_renamed(self, place: Place) -> None:
        self._renamed.add(place)
        some = sorted(self._renamed)[:_EXAMPLES]
        files = tuple(shown(each) for each in some)
        count = len(self._renamed)
        finding = Finding(Kind.FILES_RENAMED, count=count, done=_SHOWN, files=files)
        self._note(finding, key=Kind.FILES_RENAMED)

    def _note_end(self) -> None:
        self._note(Finding(Kind.SEARCH_ENDED, done=_NOT_FOUND))


def _is_guess(path: Place | FileIdError, place: Place) -> bool:
    """Whether a file has another name than its File ID says, in more than its case."""
    if isinstance(path, tuple) and path[-1] != place[-1]:
        return not fileid.is_same(path[-1], place[-1])
    return False


def clue_of(
    record: DirectoryRecord, character_sets: tuple[bytes, ...] | None = None
) -> Clue:
    """Return what *record* says of its file; *character_sets* are its own without them."""
    if character_sets is None:
        character_sets = record.attributes.character_sets
    return Clue(record.sop_instance_uid, character_sets)


def _components(file_id: bytes) -> Place | FileIdError:
    try:
        return fileid.components(file_id)
    except FileIdError as error:
        return error
