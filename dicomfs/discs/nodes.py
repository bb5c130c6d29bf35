"""What is on a disc, as a program sees it: folders, and the files in them."""

import datetime
import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Final, TypeAlias, TypeVar

from dicomfs.counting import counted
from dicomfs.dicom.keywords import BY_NAME, Value
from dicomfs.dicom.types import Level
from dicomfs.discs.kinds import check_text
from dicomfs.discs.stream import Stream
from dicomfs.errors import DicomfsError
from dicomfs.tree.node import FileNode, FolderNode
from dicomfs.tree.selection import Instance, Selection
from dicomfs.tree.told import told_of

Attributes: TypeAlias = Mapping[str, Value]

_N = TypeVar("_N", bound=FileNode | FolderNode)

_KINDS: Final = {
    Level.PATIENT: "patient",
    Level.STUDY: "study",
    Level.SERIES: "series",
}
_NOTHING: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@contextmanager
def _as_errors_of_files() -> Iterator[None]:
    """Raise OSError for what a damaged medium makes go wrong."""
    try:
        yield
    except DicomfsError as error:
        raise OSError(errno.EIO, str(error)) from error


class Keeper:
    """Sees that nothing is asked of a disc that was closed."""

    is_closed = False

    def check(self) -> None:
        """Raise ValueError if it was."""
        if self.is_closed:
            raise ValueError("the disc is closed")

    def node(self, node: _N) -> _N:
        """Return *node*, of which something is asked; raises ValueError."""
        self.check()
        return node


class _Entry:
    """What folders and files have in common; each is equal to itself, found anew."""

    _node: FolderNode | FileNode
    _disc: Keeper

    def __init__(self, name: str, above: "Folder | None") -> None:
        # A file may lie in two folders, under another name in each.
        self.name: Final = name
        """The name in its folder, as a mount shows it; empty for the root."""
        self.parent: Final = above
        """The folder that it is in; None for the root."""

    @property
    def path(self) -> str:
        """The names from the root to it, with ``/`` between them; empty for the root."""
        above = self.parent.path if self.parent is not None else ""
        return f"{above}/{self.name}" if above else self.name

    @property
    def modified(self) -> datetime.datetime:
        """The time that a mount shows, in UTC."""
        return _NOTHING + datetime.timedelta(microseconds=self.mtime_ns // 1000)

    @property
    def mtime_ns(self) -> int:
        """The same in nanoseconds since 1970."""
        return self._disc.node(self._node).mtime_ns

    @property
    def attributes(self) -> Attributes:
        """What the records say, by DICOM keyword: of it, and of what it is in.

        Those of ``dicomfs catalogue``, such as ``PatientID``, ``StudyDate`` or
        ``SOPInstanceUID``; an attribute without a value is left out. The records are
        read anew each time.
        """
        self._disc.check()
        told = told_of(self._node)
        found = ((name, told.value(keyword)) for name, keyword in BY_NAME.items())
        return {name: value for name, value in found if value is not None}

    @property
    def sources(self) -> list[str]:
        """The sources that it lies on, each once."""
        node = self._disc.node(self._node)
        return node.sources if isinstance(node, Instance | Selection) else []

    @property
    def uid(self) -> str:
        """The Study, Series or SOP Instance UID; empty if there is none."""
        node = self._disc.node(self._node)
        if not isinstance(node, Instance | Selection):
            return ""
        return node.uid.decode("ascii", "replace")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Entry) and (
            other._disc is self._disc and other.path == self.path
        )

    def __hash__(self) -> int:
        return hash(self.path)


class File(_Entry):
    """A file: an instance, or a document that is listed beside it.

    >>> import dicomfs, pydicom
    >>> disc = dicomfs.open(sample)
    >>> file = next(disc.files())
    >>> file.name, file.size
    ('0018.dcm', 3810)
    >>> file.attributes["Modality"], file.attributes["SeriesNumber"]
    ('CT', 2)
    >>> with file.open() as stream:
    ...     pydicom.dcmread(stream).Rows
    16
    >>> disc.close()
    """

    def __init__(
        self, node: FileNode, disc: Keeper, name: str, above: "Folder | None"
    ) -> None:
        super().__init__(name, above)
        self._node: FileNode = node
        self._disc = disc

    @property
    def size(self) -> int:
        """How many bytes it has; 0 for one that cannot be opened."""
        return self._disc.node(self._node).size

    @property
    def error(self) -> str:
        """Why it cannot be opened, or what is doubtful about it; empty if nothing is."""
        return self._disc.node(self._node).reason

    @property
    def source_path(self) -> str:
        """Where it lies on its medium; empty for what is not there."""
        node = self._disc.node(self._node)
        return node.source_path if isinstance(node, Instance) else ""

    def open(self) -> Stream:
        """Open it: a raw binary file, which can be read at any place.

        Raises OSError if it is missing, cannot be read, or is not the one that was
        listed; so does reading where the medium cannot be read.
        """
        self._disc.check()
        with _as_errors_of_files():
            return Stream(self._node.open(), self.path, self._disc.check)

    def __repr__(self) -> str:
        # No name: what is shown of an error may get into a log.
        return f"<File of {counted(self._node.size, 'byte')}>"


class Folder(_Entry):
    """A folder: a patient, a study, a series, or what is none of these.

    >>> import dicomfs
    >>> disc = dicomfs.open(sample)
    >>> study = disc.patients[0].folders[0]
    >>> study.kind, study.name
    ('study', '1995-09-03 CT, HEAD_BRAIN WO CONTRAST')
    >>> [series.name for series in study]
    ['002 CT Routine Brain']
    >>> len(study["002 CT Routine Brain"].files)
    4
    >>> disc.close()
    """

    def __init__(
        self,
        node: FolderNode,
        disc: Keeper,
        name: str = "",
        above: "Folder | None" = None,
    ) -> None:
        super().__init__(name, above)
        self._node: FolderNode = node
        self._disc = disc

    @property
    def kind(self) -> str:
        """``patient``, ``study`` or ``series``; empty for another one."""
        node = self._disc.node(self._node)
        return _KINDS.get(node.level, "") if isinstance(node, Selection) else ""

    def __iter__(self) -> Iterator["Folder | File"]:
        """Iterate over what is in it, in the order of names.

        Raises OSError if the medium cannot be read.
        """
        self._disc.check()
        with _as_errors_of_files():
            nodes = [*self._node.children().items()]
        for name, node in nodes:
            yield self._entry(name, node)

    @property
    def folders(self) -> list["Folder"]:
        """The folders in it; raises OSError as iterating does."""
        return [each for each in self if isinstance(each, Folder)]

    @property
    def files(self) -> list[File]:
        """The files in it; raises OSError as iterating does."""
        return [each for each in self if isinstance(each, File)]

    def walk(self) -> Iterator["Folder | File"]:
        """Yield all that is below it, each folder before what is in it.

        Folders are read when their turn comes, and not kept afterwards. Raises OSError
        if the medium cannot be read.
        """
        is_kept = self._disc.node(self._node).children_cached() is not None
        entries = [*self]
        if not is_kept:
            self._node.forget()
        for each in entries:
            yield each
            if isinstance(each, Folder):
                yield from each.walk()

    def __getitem__(self, path: str) -> "Folder | File":
        """Return what is at *path*, which counts from here; raises KeyError."""
        self._disc.check()
        check_text(path, "a path")
        found: Folder | File = self
        for name in PurePosixPath(path).parts:
            node = found._lookup(name) if isinstance(found, Folder) else None
            if node is None:
                raise KeyError(path)
            found = node
        return found

    def _lookup(self, name: str) -> "Folder | File | None":
        self._disc.check()
        with _as_errors_of_files():
            node = self._node.children().get(name)
        return None if node is None else self._entry(name, node)

    def _entry(self, name: str, node: FolderNode | FileNode) -> "Folder | File":
        if node.is_folder:
            return Folder(node, self._disc, name, self)
        return File(node, self._disc, name, self)

    def __repr__(self) -> str:
        level = getattr(self._node, "level", None)
        return f"<Folder: {_KINDS.get(level, 'other') if level else 'other'}>"
