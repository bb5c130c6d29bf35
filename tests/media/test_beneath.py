"""Opening files below a folder and nowhere else, both ways."""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomfs.errors import FileIdError
from dicomfs.media import beneath

SECRET = b"not of this medium"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a medium with a secret beside it."""
    root = tmp_path / "medium"
    (root / "DICOM").mkdir(parents=True)
    (root / "DICOM/I1").write_bytes(b"image")
    (root / "I0").write_bytes(b"first")
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside/I1").write_bytes(SECRET)
    (root / "up").symlink_to("../secret")
    (root / "absolute").symlink_to(tmp_path / "secret")
    (root / "in-tree").symlink_to("DICOM/I1")
    (root / "out-folder").symlink_to("../beside")
    (root / "in-folder").symlink_to("DICOM")
    (root / "proc").symlink_to("/proc/self/root")
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(root / "socket"))
    return root


@pytest.fixture
def root(folder: Path) -> Iterator[int]:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.fixture(
    params=[None, errno.ENOSYS, errno.EPERM], ids=["openat2", "ENOSYS", "EPERM"]
)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use openat2, or have the kernel or a sandbox refuse it."""
    if request.param is None:
        return

    def refuse(*_: object) -> int:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(beneath, "_openat2", refuse)


pytestmark = pytest.mark.usefixtures("way")

HOSTILE = [
    ("symlink-up", (b"up",)),
    ("symlink-absolute", (b"absolute",)),
    ("symlink-in-tree", (b"in-tree",)),
    ("symlink-folder-out", (b"out-folder", b"I1")),
    ("symlink-folder-in", (b"in-folder", b"I1")),
    ("symlink-magic", (b"proc", b"etc", b"passwd")),
    ("fifo", (b"fifo",)),
    ("socket", (b"socket",)),
    ("folder", (b"DICOM",)),
    ("root", ()),
    ("missing", (b"DICOM", b"I2")),
    ("below-a-file", (b"I0", b"I1")),
]
NO_NAMES = [
    (b"..",),
    (b"..", b"secret"),
    (b"DICOM", b"..", b"..", b"secret"),
    (b".",),
    (b"",),
    (b"DICOM/I1",),
    (b"../secret",),
    (b"/etc/passwd",),
    (b"", b"etc", b"passwd"),
    (b"I0\0",),
    (b"DICOM", b"I1\0.dcm"),
    (b"x" * 256,),
]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def read(fd: int) -> bytes:
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("path", "data"),
    [((b"I0",), b"first"), ((b"DICOM", b"I1"), b"image")],
    ids=["root", "folder"],
)
def test_a_file_is_opened(root: int, path: beneath.Place, data: bytes) -> None:
    assert read(beneath.open_file(root, path)) == data


def test_the_status_of_a_file_is_told_without_opening_it(root: int) -> None:
    assert beneath.status(root, (b"DICOM", b"I1")).st_size == 5


@pytest.mark.parametrize("path", [(), (b"DICOM",)], ids=["root", "below"])
def test_a_folder_is_opened(root: int, path: beneath.Place) -> None:
    fd = beneath.open_folder(root, path)

    names = os.listdir(fd)  # noqa: PTH208 - a descriptor
    os.close(fd)
    assert "I1" in names or "DICOM" in names


@pytest.mark.parametrize(
    "path", [path for _, path in HOSTILE], ids=[name for name, _ in HOSTILE]
)
def test_what_is_no_file_of_the_medium_is_refused(
    root: int, path: beneath.Place
) -> None:
    before = descriptors()

    with pytest.raises(OSError, match=r"."):
        beneath.open_file(root, path)

    assert descriptors() == before


@pytest.mark.parametrize("path", [path for name, path in HOSTILE if "symlink" in name])
def test_no_status_is_told_through_a_link(root: int, path: beneath.Place) -> None:
    before = descriptors()

    with pytest.raises(OSError, match=r"."):
        beneath.status(root, path)

    assert descriptors() == before


@pytest.mark.parametrize("path", [(b"out-folder",), (b"in-folder",), (b"proc",)])
def test_no_folder_is_opened_through_a_link(root: int, path: beneath.Place) -> None:
    with pytest.raises(OSError, match=r"."):
        beneath.open_folder(root, path)


@pytest.mark.parametrize("path", NO_NAMES, ids=repr)
def test_what_is_no_path_of_names_is_refused(root: int, path: beneath.Place) -> None:
    for look in (beneath.open_file, beneath.open_folder, beneath.status):
        with pytest.raises(FileIdError):
            look(root, path)


def test_a_fifo_has_a_status_and_blocks_nobody(root: int) -> None:
    assert stat.S_ISFIFO(beneath.status(root, (b"fifo",)).st_mode)


def test_another_file_system_is_not_entered() -> None:
    fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(OSError, match=r".") as caught:
            beneath.open_file(fd, (b"proc", b"self", b"status"))
    finally:
        os.close(fd)

    assert caught.value.errno == errno.EXDEV


def test_both_a_missing_file_and_a_file_for_a_folder_say_so(root: int) -> None:
    with pytest.raises(FileNotFoundError):
        beneath.open_file(root, (b"DICOM", b"I2"))
    with pytest.raises(NotADirectoryError):
        beneath.open_file(root, (b"I0", b"I1"))


def test_no_descriptor_outlives_a_program_that_is_started(root: int) -> None:
    fd = beneath.open_file(root, (b"I0",))

    inheritable = os.get_inheritable(fd)
    os.close(fd)
    assert not inheritable
