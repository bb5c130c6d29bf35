"""A medium put in good order, as files: what `.dicomfs/original` of a mount shows."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.fileset.fileset import FileSet
from dicomfs.media.folder import FolderMedium
from dicomfs.original.fileids import FileIds
from dicomfs.original.rebuilt import rebuilt
from dicomfs.tree.selection import Instance
from dicomfs.tree.tree import Tree


class Written(NamedTuple):
    """The *folders* that were written, and what each of the *files* is on the medium."""

    folders: list[Path]
    files: dict[Path, Path]


def write(root: Path, to: Path) -> Written:
    """Write the File-sets of the medium *root* to *to*.

    Files are links to those of the medium. Raises Failure if there is no File-set.
    """
    files: dict[Path, Path] = {}
    with _opened(root) as file_sets:
        folders = [to]
        if len(file_sets) > 1:
            folders = [to / str(number) for number, _ in enumerate(file_sets, start=1)]
        for file_set, folder in zip(file_sets, folders, strict=True):
            folder.mkdir(exist_ok=True)
            files |= _write(root, file_set, folder)
    return Written(folders, files)


@contextmanager
def _opened(root: Path) -> Iterator[list[FileSet]]:
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield open_file_sets(FolderMedium(folder))
    finally:
        os.close(folder)


def _write(root: Path, file_set: FileSet, to: Path) -> dict[Path, Path]:
    files: dict[Path, Path] = {}
    tree = Tree([file_set], read_headers=True)
    tree.check_links()
    made = rebuilt(tree, FileIds())
    (to / "DICOMDIR").write_bytes(made.dicomdir)
    for path, listed in made.files.items():
        instance = listed.folder.children()[listed.name]
        assert isinstance(instance, Instance)
        place = to / os.fsdecode(b"/".join(path))
        place.parent.mkdir(parents=True, exist_ok=True)
        files[place] = root / os.fsdecode(b"/".join(instance.place))
        os.link(files[place], place)
    return files
