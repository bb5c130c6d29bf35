"""A File-set rebuilt: a DICOMDIR that is right, and where the file of each record lies.

The records are those of the tree, in their places there. What belongs nowhere is left out,
and so is what may not be opened.
"""

import errno
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicomdir.content import Content, raw
from dicomfs.dicomdir.rewriter import Rewriter, Top, put
from dicomfs.errors import DirectoryError, FileIdError
from dicomfs.fileset.fileset import FileSet
from dicomfs.media.medium import Place
from dicomfs.original.contents import Contents, is_nobody
from dicomfs.original.fileids import FileIds, file_id
from dicomfs.tree.once import recorded_once
from dicomfs.tree.selection import Instance, Selection
from dicomfs.tree.tree import Tree

# What is made in memory must not fill it: this is a million records.
MOST_BYTES: Final = 512 * 1024 * 1024

# Where a record was written; what the tree adds comes last.
_Order = tuple[bool, bytes, int, str]
_UID: Final = re.compile(rb"[0-9.]{1,64}")


class Reason(Enum):
    """Why an instance is left out."""

    UNLINKED = "nobody knows where they belong"
    REFUSED = "their File IDs lead to nothing that may be opened"
    UNREADABLE = "their records cannot be read any more"


class Listed(NamedTuple):
    """A file in the tree: the *folder* that it is in, and its *name* there."""

    folder: Selection
    name: str


@dataclass(slots=True)
class Rebuilt:
    """A File-set in good order: its *dicomdir*, and its *files* by their File IDs.

    Files that are *missing* on the medium are listed all the same. *elsewhere* are those
    that have another name on the medium, or lie in another folder, than their File ID
    says. File IDs that are *irregular* are none that the standard allows. Where it
    *is_scanned* nobody had written records, and all are made of headers; else some of the
    records were *made* anew, and others *completed*.
    """

    dicomdir: bytes = b""
    files: dict[Place, Listed] = field(default_factory=dict)
    instances: int = 0
    missing: int = 0
    elsewhere: int = 0
    changed: int = 0
    irregular: int = 0
    made: int = 0
    completed: int = 0
    is_scanned: bool = False
    left_out: Counter[Reason] = field(default_factory=Counter)


# What is written as the File ID of an instance, and what was written before.
Naming = Callable[[Instance, bytes], bytes]


def as_written(_: Instance, written: bytes) -> bytes:
    """Return a File ID as it was *written*."""
    return written


def rebuilt(tree: Tree, file_ids: FileIds, name: Naming = as_written) -> Rebuilt:
    """Return the File-set of *tree*, which has one, in good order.

    Each instance gets one of *file_ids*, of what *name* says. The links are to be checked
    before. Raises OSError from the medium, and where there is too much (EFBIG).
    """
    return _Rebuilder(tree, file_ids, name).run()


class _Rebuilder:
    def __init__(self, tree: Tree, file_ids: FileIds, name: Naming) -> None:
        self._tree = tree
        self._file_set = tree.file_sets[0]
        self._file_ids = file_ids
        self._name = name
        self._contents = Contents(tree.headers)
        self._writer = Rewriter(_top(self._file_set))
        self._made = Rebuilt()

    def run(self) -> Rebuilt:
        """Rebuild it; raises OSError."""
        self._add_below(self._tree.root, 0)
        made = self._made
        made.dicomdir = self._writer.written()
        made.changed = self._file_ids.changed
        made.irregular = self._file_ids.irregular
        made.is_scanned = not self._file_set.place
        made.made, made.completed = self._contents.made, self._contents.completed
        return made

    def _add_below(self, folder: Selection, depth: int) -> None:
        """Add all that is in *folder*, whose records are so *depth*."""
        for file, below in _records(folder):
            if below is None:
                self._add_file(file, depth)
            elif below.unlinked:
                self._made.left_out[Reason.UNLINKED] += _count(below)
            elif _has_record(below):
                self._add_folder(file, below, depth)
            else:
                self._add_below(below, depth)

    def _add_file(self, file: Instance | None, depth: int) -> None:
        if file is None or (path := self._path(file)) is None:
            return
        try:
            content = self._contents.of_file(file)
        except DirectoryError:
            self._made.left_out[Reason.UNREADABLE] += 1
            return
        self._add_record(content, depth, file, path)

    def _add_folder(self, file: Instance | None, folder: Selection, depth: int) -> None:
        """Add the record of *folder*, which may have a *file*, and what is below it."""
        path = None if file is None else self._path(file)
        try:
            content = self._contents.of_folder(folder, has_file=path is not None)
        except DirectoryError:
            self._made.left_out[Reason.UNREADABLE] += _count(folder)
            return
        # Of one that was cut off nothing may be left.
        if path is None and is_nobody(content, folder.level) and not _count(folder):
            return
        self._add_record(content, depth, file, path)
        self._add_below(folder, depth + 1)

    def _add_record(
        self, content: Content, depth: int, file: Instance | None, path: Place | None
    ) -> None:
        if file is not None and path is not None:
            if raw(content, tags.REFERENCED_FILE_ID) != file_id(path):
                put(content, {tags.REFERENCED_FILE_ID: file_id(path)})
            self._note_file(file, path)
        self._writer.add(content, depth)
        if self._writer.size > MOST_BYTES:
            raise OSError(errno.EFBIG, "the DICOMDIR would be too large")

    def _note_file(self, file: Instance, path: Place) -> None:
        made = self._made
        made.instances += 1
        if file.error == errno.ENOENT:
            made.missing += 1
            return
        made.files[path] = Listed(file.parent, file.name)
        root = file.file_set.place[:-1]
        made.elsewhere += file.place != (*root, *path)

    def _path(self, file: Instance) -> Place | None:
        """Return the components of the File ID that *file* gets, None if it has no file."""
        try:
            record = self._contents.record(file.file_set, file.offset)
            written = file.file_set.file_id(record)
        except DirectoryError:
            self._made.left_out[Reason.UNREADABLE] += 1
            return None
        if file.error != errno.EACCES:
            with suppress(FileIdError):
                return self._file_ids.given(self._name(file, written))
        self._made.left_out[Reason.REFUSED] += 1
        return None


def _top(file_set: FileSet) -> Top:
    """Return what is said of *file_set* as a whole, as far as it was said before."""
    header = file_set.directory.header
    uid = header.file_set_uid
    if not _UID.fullmatch(uid):
        digest = sha256(file_set.identity).digest()
        uid = b"2.25.%d" % int.from_bytes(digest[:16], "big")
    return Top(uid, header.file_set_id, file_set.directory.character_set())


def _records(
    folder: Selection,
) -> Iterator[tuple[Instance | None, Selection | None]]:
    """Yield what is in *folder*, record by record: the file that it has, and its folder.

    They come in the order in which the records were written.
    """
    files: dict[_Order, Instance] = {}
    folders: dict[_Order, Selection] = {}
    for node in recorded_once(folder):
        if isinstance(node, Instance):
            files[_order(node.file_set, node.offset)] = node
        elif node.origin is None or not _has_record(node):
            folders[True, b"", node.inode, node.name] = node
        else:
            folders[_order(node.origin.file_set, node.origin.offset)] = node
    for key in sorted({*files, *folders}):
        yield files.get(key), folders.get(key)


def _order(file_set: FileSet, offset: int) -> _Order:
    return file_set.is_nested, file_set.identity, offset, ""


def _has_record(folder: Selection) -> bool:
    """Whether *folder* stands for a record, and is not one that the tree adds."""
    above = folder.parent
    is_of_type = above is not None and above.by_type
    return not (folder.by_type or folder.unlinked or is_of_type)


def _count(folder: Selection) -> int:
    """Return how many files are below *folder*."""
    nodes = recorded_once(folder)
    return sum(1 if isinstance(node, Instance) else _count(node) for node in nodes)
