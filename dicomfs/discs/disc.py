"""A disc that was opened: one medium, or several that are joined."""

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from dicomfs.catalogue import columns as catalogue_columns
from dicomfs.catalogue.byuid import Uids
from dicomfs.catalogue.columns import Column
from dicomfs.catalogue.rows import rows
from dicomfs.counting import counted
from dicomfs.dicom.keywords import Value
from dicomfs.dicom.types import Level
from dicomfs.discs.given import Kept
from dicomfs.discs.kinds import check_text, listed
from dicomfs.discs.nodes import File, Folder, Keeper
from dicomfs.fileset.patience import Workers
from dicomfs.findings import Finding
from dicomfs.tree.tree import Tree

# Headers that are read at a time.
_AT_A_TIME = 4


class Disc:
    """What is on media, in the folders and under the names that a mount shows.

    Made by ``dicomfs.open``. Any number of threads may use it; only ``close`` wants it
    for itself. It does not pass to another process: let each open its own.

    >>> import dicomfs
    >>> with dicomfs.open(sample) as disc:
    ...     found = disc.find("1.3.6.1.4.1.5962.1.1.0.0.0.1196530851.28319.0.93")
    ...     print(found.path)
    ...     for row in disc.catalogue("patient", ["PatientID", "bytes"]):
    ...         print(row)
    Doe, Archibald (77654033)/1995-09-03 CT, HEAD_BRAIN WO CONTRAST/002 CT Routine Brain/0018.dcm
    {'PatientID': '77654033', 'bytes': 22142}
    {'PatientID': '98890234', 'bytes': 67404}
    """

    def __init__(self, tree: Tree, sources: Sequence[Kept], deadline: float) -> None:
        self._tree = tree
        self._sources = sources
        self._deadline = deadline
        self._keeper = Keeper()
        self._uids = Uids(tree)
        self.root = Folder(tree.root, self._keeper)

    @property
    def patients(self) -> list[Folder]:
        """The folders of patients; raises OSError if the medium cannot be read."""
        return [each for each in self.root.folders if each.kind == "patient"]

    def __iter__(self) -> Iterator[Folder | File]:
        """Iterate over what is in the root, also what belongs to no patient."""
        return iter(self.root)

    def walk(self) -> Iterator[Folder | File]:
        """Yield all folders and files, each folder before what is in it.

        Raises OSError if the medium cannot be read.
        """
        return self.root.walk()

    def files(self) -> Iterator[File]:
        """Yield all files; raises OSError if the medium cannot be read."""
        return (each for each in self.walk() if isinstance(each, File))

    def __getitem__(self, path: str) -> Folder | File:
        """Return what is at a *path*, as ``Folder.path`` has it; raises KeyError.

        There may be a ``/`` in front of it.
        """
        check_text(path, "a path")
        return self.root[path.lstrip("/")]

    def find(self, uid: str) -> Folder | File | None:
        """Return the study, series or instance with that *uid*, None if there is none.

        Of several the first. The first time, all records are looked at. Raises OSError
        if the medium cannot be read.
        """
        self._keeper.check()
        check_text(uid, "a UID")
        path = self._uids.path(uid.encode("ascii", "replace"))
        return None if path is None else self.root[path]

    @property
    def findings(self) -> list[Finding]:
        """What is known by now to be wrong; more, the more of it was looked at.

        They may name patients.
        """
        self._keeper.check()
        return self._tree.findings.all()

    def catalogue(
        self,
        level: str = "series",
        columns: Sequence[str] = (),
        *,
        headers: bool = False,
    ) -> Iterator[dict[str, Value | None]]:
        """Yield what ``dicomfs catalogue`` prints: a row by its columns.

        A row is about each "patient", "study", "series" or "instance"; *columns* are
        DICOM keywords and what is counted, by default those of the command. With
        *headers* those of instances are read for what records lack. Raises Failure for a
        level or column that does not exist, OSError if the medium cannot be read.
        """
        self._keeper.check()
        check_text(level, "level")
        if level not in catalogue_columns.LEVELS:
            raise ValueError(
                f"level is {level!r}, and not one of "
                f"{', '.join(catalogue_columns.LEVELS)}"
            )
        listed(columns, "columns", (str,))
        about = catalogue_columns.LEVELS[level]
        asked = catalogue_columns.default(about)
        if columns:
            asked = catalogue_columns.asked_for(
                columns, about, catalogue_columns.AllKeywords()
            )
        return self._rows(about, asked, headers=headers)

    def _rows(
        self, level: Level, columns: Sequence[Column], *, headers: bool
    ) -> Iterator[dict[str, Value | None]]:
        # Nothing is done before somebody wants a row.
        self._keeper.check()
        names = [each.name for each in columns]
        workers = Workers(_AT_A_TIME, self._deadline, "headers") if headers else None
        for group in rows(self._tree.root, level, columns, workers=workers):
            for row in group:
                self._keeper.check()
                yield dict(zip(names, row, strict=True))

    def close(self) -> None:
        """Close all that the disc holds open; files that are open belong to it, too."""
        if self._keeper.is_closed:
            return
        self._keeper.is_closed = True
        for file_set in self._tree.file_sets:
            file_set.close()
        for source in self._sources:
            source.leave()

    def __enter__(self) -> Self:
        self._keeper.check()
        return self

    def __exit__(
        self,
        type_: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Disc of {counted(len(self._sources), 'source')}>"
