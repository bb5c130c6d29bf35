"""Files that lie on a medium and that no directory record lists."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

from dicomfs.check.inspection import is_directory, is_instance, program_in
from dicomfs.check.readability import GONE
from dicomfs.check.seen import Seen
from dicomfs.fileset.fileset import FileSet, Item
from dicomfs.fileset.patience import PatientLister, Workers
from dicomfs.findings import Finding, Kind
from dicomfs.media.foreign import packed_instance
from dicomfs.media.medium import Medium, Place, shown
from dicomfs.media.walk import Listed, Walk

# Files that are named of many alike.
MOST_NAMED: Final = 3
# What is told of the medium as a whole, in the order of ``Looked``.
_TOLD_TOGETHER: Final = (
    Kind.UNLISTED_FILE,
    Kind.UNLISTED_DOCUMENT,
    Kind.INDEX_BESIDE,
)
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


def add_listed(
    listed: Seen, file_set: FileSet, items: Sequence[Item]
) -> tuple[int, int]:
    """Add to *listed* where the files lie that *items* of *file_set* reference.

    Return how many files there are of records in use, and how many bytes they have.
    """
    count = size = 0
    with_file = [(file_id, each) for each in items if (file_id := each.file_id)]
    file_ids = [file_id for file_id, _ in with_file]
    places = file_set.locate_all(file_ids, lambda at: with_file[at][1].clue)
    for (_, item), found in zip(with_file, places, strict=True):
        if not isinstance(found, Exception):
            place, status = found
            listed.add(place)
            if item.record.in_use:
                count, size = count + 1, size + status.size
    return count, size


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


def walk(medium: Medium, listed: Seen, workers: Workers) -> Iterator[Looked]:
    """Yield for each folder of *medium* what there is beside what is *listed*.

    Links, devices and the like are passed over. The *workers* ask, so that what hangs
    costs itself. Raises OSError if the medium is gone.
    """
    for folder in Walk(PatientLister(medium, workers), depth=_MAX_DEPTH):
        place = folder.place
        try:
            files = workers.ask(partial(_files, medium, folder))
        except OSError as error:
            if error.errno in GONE or not place:
                raise
            detail = error.strerror or ""
            yield Looked(place, [_unreadable([place], detail)])
            continue
        files = [file for file in files if file not in listed]
        yield _look(medium, place, files, workers)
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


# What a file is found to be, and what else is known of that.
_What = tuple[Kind, str]


def _look(
    medium: Medium, folder: Place, files: Sequence[Place], workers: Workers
) -> Looked:
    found = defaultdict[_What, list[Place]](list)
    kinds = workers.map(partial(_kinds, medium), files)
    for place, what in zip(files, kinds, strict=True):
        for each in _kinds_of(what) if isinstance(what, OSError) else what:
            found[each].append(place)
    findings = [
        _finding(kind, places, detail)
        for (kind, detail), places in found.items()
        if kind not in _TOLD_TOGETHER
    ]
    return Looked(folder, findings, *(found[kind, ""] for kind in _TOLD_TOGETHER))


def _kinds_of(error: OSError) -> list[_What]:
    """Return what a file is that cannot be read; raises *error* if none can."""
    if error.errno in GONE:
        raise error
    is_silent = isinstance(error, TimeoutError)
    return [(Kind.SILENT_FILE if is_silent else Kind.UNREADABLE_FILE, "")]


def _kinds(medium: Medium, place: Place) -> list[_What]:
    """Return what the file at *place* is found to be; raises OSError."""
    source = medium.open(place)
    try:
        if is_instance(source):
            program = [Kind.EXECUTABLE_PREAMBLE] if program_in(source) else []
            return [(kind, "") for kind in (Kind.UNLISTED_INSTANCE, *program)]
        if is_directory(source):
            return [(Kind.INDEX_BESIDE, "")]
        if _is_document(place[-1], source.read_at(0, _HEAD)):
            return [(Kind.UNLISTED_DOCUMENT, "")]
        if (how := packed_instance(source)) is not None:
            return [(Kind.PACKED_INSTANCE, how.value)]
        return [(Kind.UNLISTED_FILE, "")]
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
    return tuple(map(shown, places[:MOST_NAMED]))
