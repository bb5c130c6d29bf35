"""Files that lie on a medium and that no directory record lists."""

import os
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from dicomfs.check.inspection import is_directory, is_instance, program_in
from dicomfs.check.readability import GONE
from dicomfs.check.seen import Seen
from dicomfs.fileset.fileset import FileSet, Item
from dicomfs.findings import Finding, Kind
from dicomfs.media.foreign import Foreign, packed_instance
from dicomfs.media.medium import Medium, Place
from dicomfs.media.walk import Listed, Walk

# Files that are named of many alike.
MOST_NAMED: Final = 3
# Levels of folders in folders.
_MAX_DEPTH: Final = 64
# Pictures and documents by their extensions, and what they have at which offset.
_DOCUMENTS: Final = (
    ({b"pdf"}, 0, b"%PDF-"),
    ({b"jpg", b"jpeg", b"jpe", b"jfif"}, 0, b"\xff\xd8\xff"),
    ({b"png"}, 0, b"\x89PNG\r\n"),
    ({b"gif"}, 0, b"GIF8"),
    ({b"tif", b"tiff"}, 0, b"II*\0"),
    ({b"tif", b"tiff"}, 0, b"MM\0*"),
    ({b"webp"}, 8, b"WEBP"),
    ({b"jp2", b"j2k"}, 4, b"jP  "),
    ({b"heic", b"heif"}, 4, b"ftyphei"),
)
_HEAD: Final = 16


def add_listed(listed: Seen, file_set: FileSet, items: Sequence[Item]) -> None:
    """Add to *listed* where the files lie that *items* of *file_set* reference."""
    with_file = [(file_id, each) for each in items if (file_id := each.file_id)]
    file_ids = [file_id for file_id, _ in with_file]
    for found in file_set.locate_all(file_ids, lambda at: with_file[at][1].clue):
        if not isinstance(found, Exception):
            listed.add(found[0])


class Looked(NamedTuple):
    """The unlisted files in one *folder* of a medium.

    DICOM files are findings; *documents* are pictures and PDFs, *directories* DICOMDIRs
    and the like, and *others* all the rest.
    """

    folder: Place
    findings: Sequence[Finding]
    others: Sequence[Place] = ()
    documents: Sequence[Place] = ()
    directories: Sequence[Place] = ()


def walk(medium: Medium, listed: Seen) -> Iterator[Looked]:
    """Yield for each folder of *medium* what there is beside what is *listed*.

    Links, devices and the like are passed over. Raises OSError if the medium is gone.
    """
    for folder in Walk(medium, depth=_MAX_DEPTH):
        place = folder.place
        try:
            files = _files(medium, folder)
        except OSError as error:
            if error.errno in GONE or not place:
                raise
            detail = error.strerror or ""
            yield Looked(place, [_unreadable([place], detail)])
            continue
        files = [file for file in files if file not in listed]
        yield _look(medium, place, files)
        if len(place) == _MAX_DEPTH and folder.folders:
            detail = f"deeper than {_MAX_DEPTH} folders"
            yield Looked(place, [_unreadable(folder.folders, detail)])


def _files(medium: Medium, folder: Listed) -> list[Place]:
    """Return where the regular files in *folder* lie; raises OSError."""
    if folder.error is not None:
        raise folder.error
    names = folder.files
    statuses = medium.statuses(folder.place, names)
    return [
        (*folder.place, name)
        for name, status in zip(names, statuses, strict=True)
        if not isinstance(status, OSError)
    ]


class _Sorted(NamedTuple):
    """The unlisted files of a folder, by what they are."""

    instances: list[Place]
    others: list[Place]
    documents: list[Place]
    directories: list[Place]
    unreadable: list[Place]
    programs: list[Place]
    packed: dict[Foreign, list[Place]]


def _look(medium: Medium, folder: Place, files: Sequence[Place]) -> Looked:
    found = _Sorted([], [], [], [], [], [], {})
    for place in files:
        try:
            _sort(medium, place, found)
        except OSError as error:
            if error.errno in GONE:
                raise
            found.unreadable.append(place)
    findings = [
        _finding(kind, places)
        for kind, places in (
            (Kind.UNLISTED_INSTANCE, found.instances),
            (Kind.UNREADABLE_FILE, found.unreadable),
            (Kind.EXECUTABLE_PREAMBLE, found.programs),
        )
        if places
    ]
    findings += [
        _finding(Kind.PACKED_INSTANCE, places, how.value)
        for how, places in found.packed.items()
    ]
    return Looked(folder, findings, found.others, found.documents, found.directories)


def _sort(medium: Medium, place: Place, found: _Sorted) -> None:
    source = medium.open(place)
    try:
        if is_instance(source):
            found.instances.append(place)
            if program_in(source):
                found.programs.append(place)
        elif is_directory(source):
            found.directories.append(place)
        elif _is_document(place[-1], source.read_at(0, _HEAD)):
            found.documents.append(place)
        elif (how := packed_instance(source)) is not None:
            found.packed.setdefault(how, []).append(place)
        else:
            found.others.append(place)
    finally:
        source.close()


def _is_document(name: bytes, head: bytes) -> bool:
    """Whether a file is a picture or a PDF, by its name and by how it begins."""
    _, dot, extension = name.partition(b";")[0].lower().rpartition(b".")
    return any(
        head[start:].startswith(sign) and (not dot or extension in extensions)
        for extensions, start, sign in _DOCUMENTS
    )


def _finding(kind: Kind, places: Sequence[Place], detail: str = "") -> Finding:
    return Finding(kind, count=len(places), detail=detail, files=named(places))


def _unreadable(folders: Sequence[Place], detail: str) -> Finding:
    count, files = len(folders), named(folders)
    return Finding(Kind.UNREADABLE_FOLDER, count=count, detail=detail, files=files)


def named(places: Sequence[Place]) -> tuple[str, ...]:
    """Return the first few of *places*, as they are written on the medium."""
    return tuple(map(as_written, places[:MOST_NAMED]))


def as_written(place: Place) -> str:
    """Return *place* as the path that it is on the medium."""
    return os.fsdecode(b"/".join(place))
