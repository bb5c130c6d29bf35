"""A witness for the repair of links: records and headers say where they belong."""

from collections.abc import Sequence
from contextlib import suppress

from dicomfs.dicom.types import Level
from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.origin import Origin
from dicomfs.errors import DirectoryError
from dicomfs.fileset.references import References


class Witness:
    """Tells where records of *directory* belong; see ``dicomdir.recovery``."""

    def __init__(self, directory: Directory, references: References) -> None:
        self._directory = directory
        self._references = references

    def said_by_records(self, offsets: Sequence[int]) -> Origin:
        """Return what a chain of records, from the top down, says of those below."""
        origin = Origin.unknown()
        for offset in offsets:
            with suppress(DirectoryError, OSError):
                record = self._directory.written(offset)
                origin = Origin.of(record.attributes).below(origin)
                if record.level is Level.STUDY and not origin.study_uid:
                    # PS3.3 F.5.2: a STUDY that references a file may have it there.
                    origin = origin._replace(study_uid=record.sop_instance_uid)
        return origin

    def said_by_header(self, offsets: Sequence[int]) -> Origin | None:
        """Return what the header of the first readable of these instances says."""
        for offset in offsets:
            with suppress(DirectoryError, OSError):
                record = self._directory.written(offset)
                is_file = self._references.file_id(record)
                if is_file and (header := self._references.header(record)):
                    return Origin.of(header)
        return None
