"""The contents of records, as they are to be written into a DICOMDIR that is right.

A record is copied as it is. What its type must have and it lacks, the header of an
instance says, if that does not contradict it. One that is damaged, or was never there, is
made of what is known of it.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.types import PRIVATE, REQUIRED, Level, is_known, type_of_class
from dicomfs.dicomdir.content import Content, content_from, content_of, raw
from dicomfs.dicomdir.origin import Origin
from dicomfs.dicomdir.record import DirectoryRecord
from dicomfs.dicomdir.rewriter import put
from dicomfs.dicomdir.writer import COPIED
from dicomfs.errors import ElementError
from dicomfs.fileset.fileset import FileSet
from dicomfs.fileset.partial import copied
from dicomfs.source.window import Window
from dicomfs.tree.headers import Headers
from dicomfs.tree.selection import FOLDERS, Instance, Selection

_TYPES: Final = {
    Level.PATIENT: "PATIENT",
    Level.STUDY: "STUDY",
    Level.SERIES: "SERIES",
}
# By these a record of each level is told from others, and these have to be there even if
# they are empty (PS3.3 F.5.1 and F.5.2).
_SIGNS: Final = {
    Level.PATIENT: (tags.PATIENT_ID, tags.PATIENT_NAME),
    Level.STUDY: (tags.STUDY_INSTANCE_UID,),
    Level.SERIES: (tags.SERIES_INSTANCE_UID,),
}
_MAY_BE_EMPTY: Final = {
    Level.PATIENT: (tags.PATIENT_NAME,),
    Level.STUDY: (tags.ACCESSION_NUMBER, tags.STUDY_DESCRIPTION),
}
_UIDS: Final = {
    Level.STUDY: tags.STUDY_INSTANCE_UID,
    Level.SERIES: tags.SERIES_INSTANCE_UID,
}
_CLASS_AND_INSTANCE: Final = (
    tags.REFERENCED_SOP_CLASS_UID,
    tags.REFERENCED_SOP_INSTANCE_UID,
    tags.REFERENCED_TRANSFER_SYNTAX_UID,
)
# What says which file a record has.
_REFERENCE: Final = (
    tags.REFERENCED_FILE_ID,
    *_CLASS_AND_INSTANCE,
    tags.REFERENCED_RELATED_GENERAL_SOP_CLASS_UID,
)
# PS3.3 F.6.1: PRIVATE has a UID that says what it is; this one says that nobody knows.
_UNDEFINED: Final = b"2.25.91720583648211400561873265094107346215"
# Retired: a record lends its file to others.
_LENT: Final = (tags.MRDR_OFFSET, tags.NUMBER_OF_REFERENCES)


class Contents:
    """Makes contents; *headers* says whether headers may be read, and has those that were.

    Counts the records that were *made* anew, and those that were *completed*.
    """

    def __init__(self, headers: Headers) -> None:
        self.made = 0
        self.completed = 0
        self._headers = headers
        self._windows: dict[FileSet, Window] = {}
        self._readers: dict[FileSet, Callable[[int], DirectoryRecord]] = {}

    def record(self, file_set: FileSet, offset: int) -> DirectoryRecord:
        """Return the record of *file_set* at *offset*; raises as ``FileSet.record`` does.

        It is read along with those that lie near it.
        """
        reader = self._readers.get(file_set)
        if reader is None:
            reader = self._readers[file_set] = file_set.reader({})
        return reader(offset)

    def of_folder(self, folder: Selection, *, has_file: bool) -> Content:
        """Return the content of the record of a patient, study or series, or of another.

        Unless it *has_file* it does not reference any: a directory that it led to is a part of
        this one now. Raises DirectoryError and OSError.
        """
        assert folder.origin is not None
        file_set, offset = folder.origin.file_set, folder.origin.offset
        record = self.record(file_set, offset)
        if folder.level in FOLDERS and record.level != folder.level:
            content = self._filled_in(folder, record)
        else:
            content = self._of(file_set, record)
        if not has_file:
            for tag in _REFERENCE:
                content.pop(tag, None)
        _put_type(content, _TYPES.get(folder.level, record.type))
        if folder.level in FOLDERS:
            self._complete(content, folder, record)
        self._declare(content, folder.own_attributes)
        return content

    def of_file(self, file: Instance) -> Content:
        """Return the content of the record of *file*; raises DirectoryError and OSError."""
        record = self.record(file.file_set, file.offset)
        content = self._of(file.file_set, record)
        if not all(raw(content, tag) for tag in _CLASS_AND_INSTANCE):
            self._reference(content, file)
        type_ = record.type
        if not is_known(type_):
            type_ = type_of_class(raw(content, tags.REFERENCED_SOP_CLASS_UID))
        _put_type(content, type_)
        if not _is_plain(content):
            self._declare(content, file.own_attributes)
        return content

    # -- records -----------------------------------------------------------------------

    def _of(self, file_set: FileSet, record: DirectoryRecord) -> Content:
        content = self._copied(file_set, record)
        if content is None:
            self.made += 1
            content = content_from(record.attributes)
        for tag in _LENT:
            content.pop(tag, None)
        return content

    def _copied(self, file_set: FileSet, record: DirectoryRecord) -> Content | None:
        """Return what a record consists of, None if that is not all to be had."""
        directory = file_set.directory
        if record.damage or record.offset in directory.known:
            return None
        window = self._windows.get(file_set)
        if window is None:
            window = self._windows[file_set] = Window(directory.source)
        try:
            data = window.read(record.offset, record.length)
            return content_of(data, directory.header.syntax)
        except (ElementError, OSError):
            return None

    def _filled_in(self, folder: Selection, record: DirectoryRecord) -> Content:
        """Return a record for a *folder* that none was written for.

        It has what the *record* below says, or the header of an instance.
        """
        self.made += 1
        level = folder.level
        source = next(
            (
                each
                for each in self._known(folder, record)
                if any(map(each.raw, _SIGNS[level]))
            ),
            Attributes({}),
        )
        values = dict.fromkeys(_MAY_BE_EMPTY.get(level, ()), b"")
        values |= {
            tag: source.values[tag] for tag in COPIED[level] if tag in source.values
        }
        return content_from(Attributes(values))

    def _known(
        self, folder: Selection, record: DirectoryRecord
    ) -> Iterable[Attributes]:
        """Yield what is said of *folder*, by its *record* first."""
        assert folder.origin is not None
        yield record.attributes
        if folder.header is not None:
            yield folder.header
        header = self._headers.below(folder.origin.file_set, record)
        if header is not None:
            yield header

    # -- what they lack ----------------------------------------------------------------

    def _complete(
        self, content: Content, folder: Selection, record: DirectoryRecord
    ) -> None:
        """Give the record of *folder* the keys that it must have and lacks, if known."""
        lacking = _lacking(content, REQUIRED[_TYPES[folder.level]])
        if not lacking:
            return
        found = {_UIDS[folder.level]: folder.uid} if folder.uid else {}
        found = {tag: value for tag, value in found.items() if tag in lacking}
        own = Origin.of(record.attributes)
        for header in self._known(folder, record):
            if own.agrees(Origin.of(header), folder.level) is not False:
                values = _fitting(header, lacking, content)
                found = {**values, **found}
        if found:
            self.completed += 1
            put(content, found)

    def _reference(self, content: Content, file: Instance) -> None:
        """Say of which class and which instance *file* is, where its record does not."""
        header = file.header({}) if self._headers.may_be_read else None
        if header is None:
            return
        said = copied(header, Level.INSTANCE)
        lacking = _lacking(content, _CLASS_AND_INSTANCE)
        if found := {tag: said[tag] for tag in lacking if said.get(tag)}:
            self.completed += 1
            put(content, found)

    def _declare(self, content: Content, attributes: Attributes | None) -> None:
        """Say in *content* which character set its text is in, where others said it."""
        if attributes is None or raw(content, tags.SPECIFIC_CHARACTER_SET):
            return
        sets = attributes.character_sets
        if sets and not _is_plain(content):
            put(content, {tags.SPECIFIC_CHARACTER_SET: sets[0]})


def _put_type(content: Content, type_: str) -> None:
    if type_ == PRIVATE and _lacking(content, [tags.PRIVATE_RECORD_UID]):
        put(content, {tags.PRIVATE_RECORD_UID: _UNDEFINED})
    put(content, {tags.DIRECTORY_RECORD_TYPE: type_.encode("latin-1", "replace")})


def is_nobody(content: Content, level: Level) -> bool:
    """Whether nothing in *content* tells a patient, study or series from others."""
    signs = _SIGNS.get(level, ())
    return bool(signs) and len(_lacking(content, signs)) == len(signs)


def _lacking(content: Content, wanted: Sequence[int]) -> list[int]:
    return [tag for tag in wanted if not raw(content, tag)]


def _fitting(
    header: Attributes, wanted: Iterable[int], content: Content
) -> dict[int, bytes]:
    """Return the values of *header* that mean the same in a record with this *content*."""
    character_set = raw(content, tags.SPECIFIC_CHARACTER_SET)
    is_same = character_set == header.raw(tags.SPECIFIC_CHARACTER_SET)
    values = {tag: header.raw(tag) for tag in wanted}
    return {
        tag: value
        for tag, value in values.items()
        if value and (is_same or value.isascii())
    }


def _is_plain(content: Content) -> bool:
    """Whether all text in *content* is ASCII."""
    return all(raw(content, tag).isascii() for tag in tags.NAMING if tag in content)
