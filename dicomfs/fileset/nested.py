"""Directories in directories: File-sets that the records of another one reference.

Only a DICOMDIR may be a directory (PS3.10 8.6), but there are writers that give each
study and series a file of its own for the records below it. The File IDs in it count
from the same root.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from dicomfs.dicom import tags
from dicomfs.dicom.types import Level
from dicomfs.dicom.uids import DIRECTORY
from dicomfs.dicomdir.record import DirectoryRecord
from dicomfs.errors import DirectoryError, FileIdError, NotDicomError
from dicomfs.fileset.locate import Locator
from dicomfs.fileset.references import References
from dicomfs.findings import Finding, Kind
from dicomfs.media.medium import Medium, Place
from dicomfs.media.reopened import Reopened

_F = TypeVar("_F")

# Directories that lead to others: how many in a row, and of one DICOMDIR how much, of
# which each counts as so many bytes at least.
_MOST_ABOVE: Final = 4
_MOST_NESTED: Final = 64 * 1024 * 1024
_LEAST_NESTED: Final = 16 * 1024


class Family:
    """A DICOMDIR and the directories in it share this.

    It is the *locator* of their files, and how many bytes of directories may be read.
    In *charset* text is read wherever the bytes do not prove something else, if somebody
    asked for one. *source* is what people call the medium that they lie on.
    """

    def __init__(self, locator: Locator) -> None:
        self.locator = locator
        self.charset = b""
        self.source = ""
        self._left = _MOST_NESTED
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Count one more directory of *size* bytes; DirectoryError if it is too much."""
        with self._lock:
            self._left -= max(size, _LEAST_NESTED)
            if self._left < 0:
                raise DirectoryError("there are too many directories")


class NestedSets(Generic[_F]):
    """The File-sets whose directories the records of one File-set reference.

    *line* are the places of its directory and of those above it, from the top down;
    *references* those of its records. *make* turns the bytes of a directory, its place
    and its File ID into a File-set of the *family*; *note* hears what is wrong.
    """

    def __init__(
        self,
        medium: Medium,
        line: Sequence[Place],
        family: Family,
        references: References,
        make: Callable[[Reopened, Place, bytes], _F],
        note: Callable[[Finding], None],
    ) -> None:
        self._medium = medium
        self._line = line
        self._family = family
        self._references = references
        self._make = make
        self._note = note
        # By the offset of the record; None where what it references is not a directory.
        self._met: dict[int, _F | None] = {}
        self._lock = threading.Lock()

    @property
    def met(self) -> list[_F]:
        """Those that were opened so far."""
        if not self._met:
            return []
        # A copy, as other threads add to them.
        return [each for each in [*self._met.values()] if each is not None]

    def of(self, record: DirectoryRecord) -> _F | None:
        """Return the File-set whose directory *record* references, None if it does not."""
        if record.level > Level.SERIES or not record.file_id:
            return None
        sop_class = record.attributes.raw(tags.REFERENCED_SOP_CLASS_UID)
        if sop_class not in {b"", DIRECTORY}:
            return None
        with self._lock:
            if record.offset not in self._met:
                self._met[record.offset] = self._opened(record, is_said=bool(sop_class))
            return self._met[record.offset]

    def _opened(self, record: DirectoryRecord, *, is_said: bool) -> _F | None:
        """Open what *record* references; *is_said* if it says that it is a directory."""
        try:
            place = self._references.place(record)
        except (FileIdError, OSError):
            # It is listed as a file, and so is what is wrong with it.
            return None
        if place in self._line:
            self._note(Finding(Kind.REFERENCES_ITSELF, record.offset, record.type))
            return None
        try:
            return self._opened_at(place, record.file_id)
        except NotDicomError as error:
            what = str(error) if is_said else ""
        except DirectoryError as error:
            what = str(error)
        except OSError as error:
            what = error.strerror or ""
        if what:
            offset, type_ = record.offset, record.type
            self._note(Finding(Kind.INDEX_LEFT_OUT, offset, type_, detail=what))
        return None

    def _opened_at(self, place: Place, file_id: bytes) -> _F:
        """Open the directory at *place*; raises as *make* does."""
        if len(self._line) > _MOST_ABOVE:
            raise DirectoryError("directories lead to each other too deeply")
        source = Reopened(self._medium, place)
        self._family.take(source.size)
        return self._make(source, place, file_id)
