"""A folder as a medium."""

import errno
import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from dicomfs.media.folder import FolderMedium
from dicomfs.media.medium import EntryType, Status
from dicomfs.media.mountinfo import fstype


@pytest.fixture
def path(tmp_path: Path) -> Path:
    root = tmp_path / "medium"
    (root / "DICOM").mkdir(parents=True)
    (root / "DICOM/I1").write_bytes(b"image")
    (root / "DICOMDIR").write_bytes(b"index")
    (root / "link").symlink_to("DICOM")
    os.mkfifo(root / "fifo")
    return root


@pytest.fixture
def folder(path: Path) -> Iterator[FolderMedium]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    folder = FolderMedium(fd, fstype(fd))
    yield folder
    folder.close()


def test_names_are_listed(folder: FolderMedium) -> None:
    assert sorted(folder.names(())) == [b"DICOM", b"DICOMDIR", b"fifo", b"link"]
    assert folder.names((b"DICOM",)) == [b"I1"]


def test_a_name_that_is_no_text_is_listed_and_opened(
    folder: FolderMedium, path: Path
) -> None:
    (path / os.fsdecode(b"BILD\xc4")).write_bytes(b"data")

    assert b"BILD\xc4" in folder.names(())
    source = folder.open((b"BILD\xc4",))
    data = source.read_at(0, 10)
    source.close()
    assert data == b"data"


def test_links_and_pipes_are_neither_folders_nor_files(folder: FolderMedium) -> None:
    assert folder.entries(()) == {
        b"DICOM": EntryType.FOLDER,
        b"DICOMDIR": EntryType.FILE,
        b"fifo": EntryType.OTHER,
        b"link": EntryType.OTHER,
    }


def test_a_name_that_cannot_be_looked_at_is_listed_as_a_file(
    folder: FolderMedium, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Worn:
        name = "I1"

        def is_dir(self, *, follow_symlinks: bool) -> bool:
            assert not follow_symlinks
            raise OSError(errno.EIO, "a bad sector")

    monkeypatch.setattr(os, "scandir", lambda _: nullcontext([Worn()]))

    assert folder.entries(()) == {b"I1": EntryType.FILE}


def test_the_status_of_a_file_is_its_size_and_times(
    folder: FolderMedium, path: Path
) -> None:
    found = folder.status((b"DICOM", b"I1"))

    real = (path / "DICOM/I1").stat()
    assert found == Status(5, real.st_mtime_ns, real.st_ctime_ns)


@pytest.mark.parametrize("name", [b"DICOM", b"fifo", b"link"])
def test_what_is_no_file_has_no_status_and_is_not_opened(
    folder: FolderMedium, name: bytes
) -> None:
    with pytest.raises(OSError, match=r"."):
        folder.status((name,))
    with pytest.raises(OSError, match=r"."):
        folder.open((name,))


def test_a_missing_file_is_missing(folder: FolderMedium) -> None:
    with pytest.raises(FileNotFoundError):
        folder.status((b"DICOM", b"I2"))


def test_files_are_read(folder: FolderMedium) -> None:
    source = folder.open((b"DICOM", b"I1"))

    data = source.read_at(1, 3)
    source.close()
    assert data == b"mag"


def test_files_are_opened_at_once_only_where_that_is_the_same(
    folder: FolderMedium,
) -> None:
    source = folder.open_cached((b"DICOM", b"I1"))

    if source is not None:
        data = source.read_at(0, 10)
        source.close()
        assert data == b"image"


def test_the_room_is_that_of_the_file_system(folder: FolderMedium, path: Path) -> None:
    room = folder.capacity()

    found = os.statvfs(path)
    assert room.block * room.blocks == found.f_frsize * found.f_blocks


def test_a_folder_that_is_moved_is_still_the_same_medium(
    folder: FolderMedium, path: Path
) -> None:
    path.rename(path.with_name("ejected"))
    path.mkdir()
    (path / "DICOMDIR").write_bytes(b"another disc's index")

    assert folder.status((b"DICOMDIR",)).size == 5
