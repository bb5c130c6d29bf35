"""What is made beside the instances of a folder: the documents that they hold."""

import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import partial
from typing import Final

from dicomfs import logs
from dicomfs.dicom import tags
from dicomfs.dicom.types import Level
from dicomfs.documents.reading import Reader, reader_of
from dicomfs.errors import DicomfsError
from dicomfs.extras import readme
from dicomfs.extras.document import Document, documents_in
from dicomfs.fileset.patience import Workers
from dicomfs.findings import Finding, Kind
from dicomfs.tree import naming
from dicomfs.tree.draft import Leaf
from dicomfs.tree.identity import Position, inode
from dicomfs.tree.naming import Name
from dicomfs.tree.node import Frozen, Once
from dicomfs.tree.selection import Extra, Instance, Selection
from dicomfs.tree.whose import says_who_and_when

log = logging.getLogger(__name__)

# Files of a folder that are opened, and that may fail: a drive takes long to say so.
_MOST_OPENED: Final = 1000
_MOST_FAILED: Final = 8
# Computing for one folder; a thousand reports take five.
_MOST_SECONDS: Final = 10.0
# Where the file comes from that no record is the reason for.
_OWN: Final = Position(b"extras", 0)
# Folders that are listed at a time.
_THREADS: Final = 4


class Extras:
    """Makes what lies beside what records list; see ``tree.Beside``.

    All files that hang together take about *deadline* seconds of a listing. In the root
    lies a file with the text that *welcome* makes.
    """

    def __init__(self, deadline: float, welcome: Once) -> None:
        self._welcome = welcome
        # What it says may be another thing on the next mount.
        self._time_ns = time.time_ns()
        self._workers = Workers(_THREADS, deadline / _MOST_FAILED, "extras")

    def made(
        self,
        folder: Selection,
        files: Iterable[tuple[Leaf, Instance]],
        names: Iterable[str],
    ) -> Iterable[Extra]:
        """Yield the documents in *files*, which are opened for that."""
        taken: set[str] = set()
        if folder.level is Level.ROOT:
            taken.update(map(naming.folded, names))
            yield self._readme_in(folder, taken)
        holders = [(*each, reader) for each in files if (reader := _reader(*each))]
        if not holders:
            return
        taken.update(map(naming.folded, names))
        depth = 0 if says_who_and_when(folder) else 1
        allowance = _Allowance()
        for leaf, instance, reader in holders:
            if allowance.is_spent:
                _note(leaf, instance, "no more files of the folder are looked into")
                return
            for extension, size in self._sizes(leaf, instance, reader, allowance):
                name = naming.beside(_name(leaf, instance, extension), taken, depth)
                number = inode(leaf.position, extension, folder.inode)
                when = instance.mtime_ns
                yield Document(
                    number, name, folder, when, instance, reader, extension, size
                )

    def _readme_in(self, root: Selection, taken: set[str]) -> Frozen:
        """Return the file that says what is in *root*, under a name not yet *taken*."""
        name = Name(readme.STEM, readme.EXTENSION, (_OWN.file_set,))
        return Frozen(
            inode(_OWN, "readme", root.inode),
            naming.beside(name, taken),
            root,
            self._time_ns,
            readme.SIZE,
            self._welcome,
        )

    def _sizes(
        self, leaf: Leaf, instance: Instance, reader: Reader, allowance: "_Allowance"
    ) -> Sequence[tuple[str, int]]:
        """Return extensions and sizes of the documents in a file; note why not."""
        allowance.opened += 1
        try:
            return self._workers.ask(partial(_look, instance, reader, allowance))
        except OSError as error:
            allowance.failed += 1
            _note(leaf, instance, error.strerror or "it cannot be read")
        except DicomfsError as error:
            _note(leaf, instance, str(error))
        except Exception as error:  # noqa: BLE001 - all other files are shown
            logs.unforeseen(log, "looking for documents", error)
            _note(leaf, instance, "it is not understood")
        return ()


class _Allowance:
    """What looking for documents may cost in one folder, and what it has cost."""

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


def _look(
    instance: Instance, reader: Reader, allowance: _Allowance
) -> Sequence[tuple[str, int]]:
    """Return extensions and sizes of the documents in a file; raises what readers do."""
    begun = time.thread_time()
    try:
        with closing(instance.open()) as file:
            found = documents_in(file, instance, reader)
            return [(extension, each.size) for extension, each in found.items()]
    finally:
        allowance.seconds += time.thread_time() - begun


def _reader(leaf: Leaf, instance: Instance) -> Reader | None:
    """Return who reads the documents of a file, None if it is not to be opened."""
    if instance.error or not instance.size:
        return None
    syntax = leaf.record.attributes.raw(tags.REFERENCED_TRANSFER_SYNTAX_UID)
    return reader_of(leaf.record.shown_type, syntax)


def _name(leaf: Leaf, instance: Instance, extension: str) -> Name:
    """Return the name of a document before it is told from others."""
    stem = instance.name.removesuffix(naming.EXTENSION)
    return Name(stem, extension, leaf.keys)


def _note(leaf: Leaf, instance: Instance, reason: str) -> None:
    """Note why a document is not shown."""
    offset, type_, where = leaf.record.offset, leaf.record.type, instance.parent.path
    files = (b"/".join(leaf.place).decode("utf-8", "replace"),)
    leaf.file_set.note(
        Finding(Kind.NO_DOCUMENT, offset, type_, where, detail=reason, files=files)
    )
