"""What a mounted tree is: its files, their attributes, and what it refuses."""

import ctypes
import errno
import hashlib
import os
import random
import signal
import stat
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import pydicom
import pytest
from pydicom import Dataset

from tests.build.medium import (
    Record,
    image,
    large_dicomdir,
    leaf,
    patient,
    series,
    study,
    write_medium,
)
from tests.support import mounting
from tests.support.mounting import Mount, Mounter, User, need_root, python, run

pytestmark = pytest.mark.mount

# Each with its DICOMDIR below pydicom's samples, and how many instances it has.
MEDIA: Final = {
    "sample": (".", 31),
    "TINY_ALPHA": ("TINY_ALPHA", 50),
    "implicit": ("DICOMDIR-implicit", 31),
    "big endian": ("DICOMDIR-bigEnd", 31),
    "reordered": ("DICOMDIR-reordered", 31),
}
VARIANTS: Final = ["implicit", "big endian", "reordered"]


@pytest.fixture(scope="module")
def media(mount_once: Mounter, samples: Path) -> Callable[[str], Mount]:
    """Return what mounts one of MEDIA, once."""
    mounted: dict[str, Mount] = {}

    def medium(name: str) -> Mount:
        if name not in mounted:
            mounted[name] = mount_once(samples / MEDIA[name][0])
        return mounted[name]

    return medium


@pytest.fixture
def sample(media: Callable[[str], Mount]) -> Mount:
    return media("sample")


@pytest.fixture
def some_file(sample: Mount) -> Path:
    """Return a mounted file of some size."""
    return max(sample.files(), key=lambda path: path.stat().st_size)


@pytest.fixture
def some_folder(some_file: Path) -> Path:
    return some_file.parent


def referenced(source: Path) -> dict[str, Path]:
    """Return what the DICOMDIR references, by SOP Instance UID; as pydicom reads it."""
    dicomdir = source / "DICOMDIR" if source.is_dir() else source
    records = read(dicomdir).DirectoryRecordSequence
    return {
        each.ReferencedSOPInstanceUIDInFile: dicomdir.parent.joinpath(
            *each.ReferencedFileID
        )
        for each in records
        if "ReferencedFileID" in each
    }


def read(path: Path) -> Dataset:
    """Read a DICOM file without its pixels; old samples make pydicom warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path, stop_before_pixels=True)


def a_patient(instances: list[Record], patient_id: str = "1") -> Record:
    """Return a patient with one study of one series."""
    of_series = series(f"1.2.3.{patient_id[-1]}", instances)
    return patient(
        "Doe^Jane", patient_id, [study(f"1.2.{patient_id[-1]}", [of_series])]
    )


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def contents(mount: Mount) -> dict[str, str]:
    """Return the files of a mount by their paths, each as a digest."""
    return {str(p.relative_to(mount.place)): digest(p) for p in mount.files()}


# -- the files -------------------------------------------------------------------------


@pytest.mark.parametrize("name", MEDIA)
def test_every_file_is_the_one_that_its_record_references(
    media: Callable[[str], Mount], name: str
) -> None:
    mount = media(name)
    expected = referenced(Path(mount.source))
    mounted = {read(path).SOPInstanceUID: path for path in mount.files()}

    assert len(mount.files()) == MEDIA[name][1]
    assert mounted.keys() == expected.keys()
    for uid, path in mounted.items():
        assert path.read_bytes() == expected[uid].read_bytes()
        assert path.stat().st_size == expected[uid].stat().st_size


@pytest.mark.parametrize("name", ["sample", "TINY_ALPHA"])
def test_every_file_lies_with_its_patient_study_and_series(
    media: Callable[[str], Mount], name: str
) -> None:
    mount = media(name)

    for path in mount.files():
        header = read(path)
        of_patient, of_study, of_series, _ = path.relative_to(mount.place).parts
        assert of_patient.endswith(f"({header.PatientID})")
        date = datetime.strptime(header.StudyDate, "%Y%m%d")
        assert of_study.startswith(f"{date:%Y-%m-%d} ")
        assert of_series.startswith(f"{header.SeriesNumber:03d} {header.Modality}")


@pytest.mark.parametrize("name", VARIANTS)
def test_the_variants_of_the_sample_show_the_identical_tree(
    media: Callable[[str], Mount], sample: Mount, name: str
) -> None:
    variant = media(name)

    assert variant.structure() == sample.structure()
    assert contents(variant) == contents(sample)


def test_a_second_mount_shows_the_same_inodes(
    mount: Mounter, sample: Mount, samples: Path
) -> None:
    second = mount(samples)

    assert inodes(second) == inodes(sample)


def inodes(mount: Mount) -> dict[str, int]:
    return {path: (mount.place / path).stat().st_ino for path in mount.structure()}


def test_no_two_nodes_share_an_inode(sample: Mount) -> None:
    numbers = list(inodes(sample).values())

    assert len(set(numbers)) == len(numbers)
    assert not {0, 1} & set(numbers)
    assert sample.place.stat().st_ino == 1


def test_only_dicom_files_are_shown(mount: Mounter, tmp_path: Path) -> None:
    medium = tmp_path / "medium"
    cda = leaf("HL7 STRUC DOC", "1.2.3.5", content=b"<ClinicalDocument/>")
    write_medium(medium, [a_patient([image("1.2.3.4"), cda])])
    (medium / "AUTORUN.INF").write_text("[autorun]")
    (medium / "IMAGES" / "INDEX.HTM").write_text("<html>")

    shown = mount(medium)

    assert [path.name for path in shown.files()] == ["0001.dcm"]
    assert shown.files()[0].read_bytes()[128:132] == b"DICM"


# -- attributes ------------------------------------------------------------------------


def test_files_and_folders_are_private_and_can_be_deleted_once_copied(
    sample: Mount,
) -> None:
    modes = {oct((sample.place / p).stat().st_mode) for p in sample.structure()}

    assert modes == {oct(stat.S_IFDIR | 0o700), oct(stat.S_IFREG | 0o600)}
    assert stat.S_IMODE(sample.place.stat().st_mode) == 0o700


def test_the_owner_is_who_mounted(sample: Mount, some_file: Path) -> None:
    for path in (sample.place, some_file.parent, some_file):
        status = path.stat()
        assert (status.st_uid, status.st_gid) == (os.getuid(), os.getgid())


@pytest.mark.parametrize(
    "options",
    [
        ("--umask", "027", "--uid", "1234", "--gid", "4321"),
        ("-o", "umask=027,uid=1234,gid=4321"),
        ("-o", "ro,umask=027", "-o", "uid=1234", "-o", "gid=4321,nofail,x-gvfs-show"),
    ],
    ids=["options", "as mount gives them", "as fstab has them"],
)
def test_owner_and_modes_can_be_chosen(
    mount: Mounter, samples: Path, options: tuple[str, ...]
) -> None:
    # Of others' files even root sees nothing but the attributes.
    need_root()
    shown = mount(samples, *options)

    folder, file = shown.place, shown.files()[0]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    for path in (folder, file):
        assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


def test_files_have_the_time_of_the_medium(sample: Mount) -> None:
    expected = referenced(Path(sample.source))

    for path in sample.files():
        on_medium = expected[read(path).SOPInstanceUID].stat()
        assert path.stat().st_mtime_ns == on_medium.st_mtime_ns


def test_studies_have_their_own_dates_and_patients_that_of_the_newest(
    sample: Mount, samples: Path
) -> None:
    of_the_dicomdir = (samples / "DICOMDIR").stat().st_mtime_ns
    patients = {
        folder: list(folder.iterdir()) for folder in sorted(sample.place.iterdir())
    }

    assert sample.place.stat().st_mtime_ns == of_the_dicomdir
    for folder, studies in patients.items():
        assert folder.stat().st_mtime == max(each.stat().st_mtime for each in studies)
        for each in studies:
            day = time.strftime("%Y-%m-%d", time.localtime(each.stat().st_mtime))
            assert each.name.startswith(day)


def test_blocks_and_links_are_what_tools_expect(some_file: Path) -> None:
    status = some_file.stat()

    assert status.st_blocks == -(-status.st_size // 512)
    assert status.st_nlink == 1
    assert some_file.parent.stat().st_nlink >= 1


def test_the_file_system_says_that_nothing_is_free(sample: Mount) -> None:
    status = os.statvfs(sample.place)

    assert (status.f_bfree, status.f_bavail, status.f_ffree) == (0, 0, 0)
    assert status.f_blocks > 0
    assert status.f_namemax == 255


def test_the_mount_is_read_only_and_runs_nothing(sample: Mount) -> None:
    (line,) = [
        line.split(" ")
        for line in Path("/proc/mounts").read_text().splitlines()
        if line.split(" ")[1] == str(sample.place)
    ]

    assert line[0] == "dicomfs"
    assert line[2] == "fuse.dicomfs"
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(line[3].split(","))
    assert "allow_other" not in line[3]


def test_the_list_of_mounts_names_neither_medium_nor_patient(
    mount: Mounter, samples: Path
) -> None:
    shown = mount(samples)
    shown.files()

    lines = Path("/proc/self/mountinfo").read_text().splitlines()

    (ours,) = [line for line in lines if f" {shown.place} " in line]
    assert str(samples) not in ours
    assert "Doe" not in ours


# -- folders ---------------------------------------------------------------------------


class _Dirent(ctypes.Structure):
    _fields_ = (
        ("d_ino", ctypes.c_uint64),
        ("d_off", ctypes.c_int64),
        ("d_reclen", ctypes.c_uint16),
        ("d_type", ctypes.c_uint8),
        ("d_name", ctypes.c_char * 256),
    )


def dirents(folder: Path) -> dict[str, tuple[int, int]]:
    """Return the inode and the type that readdir(3) gives for each name."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
    libc.readdir.argtypes = libc.closedir.argtypes = [ctypes.c_void_p]
    stream = libc.opendir(os.fsencode(folder))
    found = {}
    while entry := libc.readdir(stream):
        got = _Dirent.from_address(entry)
        found[os.fsdecode(got.d_name)] = (got.d_ino, got.d_type)
    libc.closedir(stream)
    return found


DT_DIR: Final = 4
DT_REG: Final = 8


def test_a_listing_has_the_inodes_and_types_that_stat_has(sample: Mount) -> None:
    for folder, _, _ in os.walk(sample.place):
        for name, (inode, kind) in dirents(Path(folder)).items():
            if name == ".." and Path(folder) == sample.place:
                continue  # the kernel's own affair
            status = Path(folder, name).lstat()
            assert inode == status.st_ino
            assert kind == (DT_DIR if stat.S_ISDIR(status.st_mode) else DT_REG)


def test_every_folder_lists_itself_and_its_parent(sample: Mount) -> None:
    for folder, folders, files in os.walk(sample.place):
        assert {".", "..", *folders, *files} == dirents(Path(folder)).keys()


def test_dots_lead_where_they_should(sample: Mount, some_folder: Path) -> None:
    patient = some_folder.parent.parent

    assert (some_folder / ".").stat().st_ino == some_folder.stat().st_ino
    assert (some_folder / ".." / "..").stat().st_ino == patient.stat().st_ino
    assert (patient / "..").stat().st_ino == sample.place.stat().st_ino


def test_a_large_folder_is_listed_whole(mount: Mounter, tmp_path: Path) -> None:
    images = [image(f"1.2.3.{n}", number=n, size=None) for n in range(1, 3001)]
    write_medium(tmp_path / "medium", [a_patient(images)])

    shown = mount(tmp_path / "medium")

    names = [path.name for path in shown.files()]
    assert names == [f"{n:04d}.dcm" for n in range(1, 3001)]


def test_a_listing_can_be_begun_again(some_folder: Path) -> None:
    descriptor = os.open(some_folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        first = os.listdir(descriptor)  # noqa: PTH208 - a descriptor
        os.lseek(descriptor, 0, os.SEEK_SET)
        second = os.listdir(descriptor)  # noqa: PTH208
    finally:
        os.close(descriptor)

    assert first == second != []


# -- reading ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(
    mount_once: Mounter, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, bytes]:
    """Return a mounted file of some megabytes, and what should be in it."""
    medium = tmp_path_factory.mktemp("large")
    only = image("1.2.3.4", size=5_000_001)
    written = write_medium(medium, [a_patient([only])])
    (mounted,) = mount_once(medium).files()
    return mounted, written.files[only].read_bytes()


def test_reads_at_random_places_return_the_bytes_there(
    large: tuple[Path, bytes],
) -> None:
    path, data = large
    chance = random.Random(5)
    with path.open("rb", buffering=0) as file:
        for _ in range(300):
            offset = chance.randrange(len(data) + 1_000)
            size = chance.choice([1, 511, 4096, 131_072, 1_000_000])
            read_there = os.pread(file.fileno(), size, offset)
            assert read_there == data[offset : offset + size]


@pytest.mark.parametrize("size", [997, 65_537, 1_000_003], ids=str)
def test_a_large_file_is_read_in_odd_pieces(
    large: tuple[Path, bytes], size: int
) -> None:
    path, data = large

    with path.open("rb", buffering=0) as file:
        pieces = list(iter(lambda: file.read(size), b""))

    assert b"".join(pieces) == data
    assert {len(piece) for piece in pieces[:-1]} == {size}


def test_a_file_is_read_from_wherever_one_seeks(large: tuple[Path, bytes]) -> None:
    path, data = large
    with path.open("rb", buffering=0) as file:
        file.seek(-1000, os.SEEK_END)
        end = file.read()
        file.seek(12_345)
        file.seek(1, os.SEEK_CUR)
        middle = file.read(10)
        behind = file.seek(len(data) + 5)
        nothing = file.read(10)

    assert end == data[-1000:]
    assert middle == data[12_346:12_356]
    assert behind == len(data) + 5
    assert nothing == b""


def test_a_file_has_no_holes(large: tuple[Path, bytes]) -> None:
    path, data = large
    with path.open("rb") as file:
        assert os.lseek(file.fileno(), 0, os.SEEK_DATA) == 0
        assert os.lseek(file.fileno(), 0, os.SEEK_HOLE) == len(data)


@pytest.mark.parametrize("kind", ["MAP_PRIVATE", "MAP_SHARED"])
def test_a_file_can_be_mapped_into_memory(large: tuple[Path, bytes], kind: str) -> None:
    path, data = large

    told = python(
        "import hashlib, mmap, sys\n"
        "with open(sys.argv[1], 'rb') as file:\n"
        f"    view = mmap.mmap(file.fileno(), 0, mmap.{kind}, mmap.PROT_READ)\n"
        "    print(len(view), hashlib.sha256(view).hexdigest())",
        path,
    )

    assert told.split() == [str(len(data)), hashlib.sha256(data).hexdigest()]


def test_a_file_can_be_read_by_many_at_once(large: tuple[Path, bytes]) -> None:
    path, data = large
    readers = [
        subprocess.Popen(
            ["sha256sum", path],
            stdout=subprocess.PIPE,
            text=True,
            env=mounting.environment(mounting.new_mark()),
        )
        for _ in range(8)
    ]
    told = {reader.communicate(timeout=mounting.PATIENCE)[0] for reader in readers}

    assert told == {f"{hashlib.sha256(data).hexdigest()}  {path}\n"}


# -- what it refuses -------------------------------------------------------------------

CREATE: Final = os.O_CREAT | os.O_WRONLY


class Target(NamedTuple):
    """A mounted folder, and a file in it."""

    folder: Path
    file: Path


Attempt = Callable[[Target], object]
REFUSED: Final[dict[str, tuple[Attempt, str]]] = {
    "chmod of a file": (lambda at: at.file.chmod(0o644), "EROFS"),
    "chmod of a folder": (lambda at: at.folder.chmod(0o755), "EROFS"),
    "chown": (lambda at: os.chown(at.file, os.getuid(), os.getgid()), "EROFS"),
    "lchown": (lambda at: os.lchown(at.file, os.getuid(), os.getgid()), "EROFS"),
    "truncate": (lambda at: os.truncate(at.file, 0), "EROFS"),
    "utime": (lambda at: os.utime(at.file), "EROFS"),
    "setxattr": (lambda at: os.setxattr(at.file, "user.x", b"1"), "EROFS"),
    "removexattr": (lambda at: os.removexattr(at.file, "user.x"), "EROFS"),
    "link": (lambda at: (at.folder / "new").hardlink_to(at.file), "EROFS"),
    "symlink": (lambda at: (at.folder / "new").symlink_to("x"), "EROFS"),
    "mkdir": (lambda at: (at.folder / "new").mkdir(), "EROFS"),
    "mkfifo": (lambda at: os.mkfifo(at.folder / "new"), "EROFS"),
    "mknod": (lambda at: os.mknod(at.folder / "new", stat.S_IFREG | 0o600), "EROFS"),
    "open to write": (lambda at: os.open(at.file, os.O_WRONLY), "EROFS"),
    "open to read and write": (lambda at: os.open(at.file, os.O_RDWR), "EROFS"),
    "open to append": (lambda at: os.open(at.file, os.O_WRONLY | os.O_APPEND), "EROFS"),
    "open to truncate": (
        lambda at: os.open(at.file, os.O_RDONLY | os.O_TRUNC),
        "EROFS",
    ),
    "open to create": (lambda at: os.open(at.folder / "new", CREATE), "EROFS"),
    "open without a name": (
        lambda at: os.open(at.folder, os.O_TMPFILE | os.O_RDWR),
        "EROFS",
    ),
    "rename of a file": (lambda at: at.file.rename(at.folder / "new"), "EROFS"),
    "rename of a folder": (
        lambda at: at.folder.rename(at.folder.parent / "new"),
        "EROFS",
    ),
    "rmdir": (lambda at: at.folder.rmdir(), "EROFS"),
    "unlink": (lambda at: at.file.unlink(), "EROFS"),
    # names that are there
    "mkdir over a file": (lambda at: at.file.mkdir(), "EEXIST"),
    "mkdir over a folder": (lambda at: at.folder.mkdir(), "EEXIST"),
    "symlink over a file": (lambda at: at.file.symlink_to("x"), "EEXIST"),
    "mkfifo over a file": (lambda at: os.mkfifo(at.file), "EEXIST"),
    "create over a file": (lambda at: os.open(at.file, CREATE | os.O_EXCL), "EEXIST"),
    # names that are not
    "open of nothing": (lambda at: os.open(at.folder / "no", os.O_RDONLY), "ENOENT"),
    "chmod of nothing": (lambda at: (at.folder / "no").chmod(0o600), "ENOENT"),
    "255 bytes": (lambda at: (at.folder / ("n" * 255)).stat(), "ENOENT"),
    "256 bytes": (lambda at: (at.folder / ("n" * 256)).stat(), "ENAMETOOLONG"),
    "5000 bytes": (lambda at: (at.folder / ("n" * 5000)).stat(), "ENAMETOOLONG"),
    "not UTF-8": (
        lambda at: Path(os.fsdecode(bytes(at.folder) + b"/\xff")).stat(),
        "ENOENT",
    ),
    # the wrong kind
    "below a file": (lambda at: (at.file / "x").stat(), "ENOTDIR"),
    "mkdir below a file": (lambda at: (at.file / "x").mkdir(), "ENOTDIR"),
    "listing of a file": (lambda at: list(at.file.iterdir()), "ENOTDIR"),
    "rmdir of a file": (lambda at: at.file.rmdir(), "ENOTDIR"),
    "reading of a folder": (lambda at: at.folder.read_bytes(), "EISDIR"),
    "writing of a folder": (lambda at: os.open(at.folder, os.O_WRONLY), "EISDIR"),
    "readlink": (lambda at: at.file.readlink(), "EINVAL"),
    "running of a file": (lambda at: os.execv(at.file, [str(at.file)]), "EACCES"),
    "attribute of another kind": (
        lambda at: os.getxattr(at.file, "security.capability"),
        "ENOTSUP",
    ),
    "attribute that is not there": (
        lambda at: os.getxattr(at.file, "user.x"),
        "ENODATA",
    ),
}
# Linux refuses on some occasions before it looks at what is mounted.
ALSO: Final = {
    "rmdir": {"ENOTEMPTY"},
    "rmdir of a file": {"EROFS"},
    "mkdir below a file": {"EROFS"},
}


@pytest.fixture
def target(some_file: Path) -> Target:
    return Target(some_file.parent, some_file)


@pytest.mark.parametrize("attempt", REFUSED)
def test_what_cannot_be_is_refused_with_the_right_error(
    target: Target, attempt: str
) -> None:
    act, expected = REFUSED[attempt]

    with pytest.raises(OSError) as caught:  # noqa: PT011 - its number is looked at
        act(target)

    assert caught.value.errno is not None
    answer = errno.errorcode[caught.value.errno]
    assert answer in {expected} | ALSO.get(attempt, set())


def test_a_refusal_leaves_everything_as_it_was(
    sample: Mount, samples: Path, target: Target
) -> None:
    before, on_medium = sample.structure(), medium_state(samples)
    for act, _ in REFUSED.values():
        with pytest.raises(OSError):  # noqa: PT011
            act(target)

    assert sample.structure() == before
    assert medium_state(samples) == on_medium


def medium_state(root: Path) -> dict[Path, tuple[int, int]]:
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
    }


# -- missing files ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def gaps(
    mount_once: Mounter, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Return the mounted files, by name, of a medium on which one is missing."""
    medium = tmp_path_factory.mktemp("gaps")
    lost = image("1.2.3.9", number=2, file="IMAGES/LOST", path=None)
    write_medium(medium, [a_patient([image("1.2.3.4"), lost])])
    return {path.name: path for path in mount_once(medium).files()}


def test_a_missing_file_stays_visible(gaps: dict[str, Path]) -> None:
    assert sorted(gaps) == ["0001.dcm", "0002 (missing).dcm"]
    assert gaps["0002 (missing).dcm"].stat().st_size == 0


def test_a_missing_file_cannot_be_opened_and_says_why(gaps: dict[str, Path]) -> None:
    with pytest.raises(FileNotFoundError):
        gaps["0002 (missing).dcm"].read_bytes()

    reason = os.getxattr(gaps["0002 (missing).dcm"], "user.dicomfs.error")

    assert reason == b"No such file or directory"


def test_a_file_beside_a_missing_one_is_in_order(gaps: dict[str, Path]) -> None:
    assert gaps["0001.dcm"].read_bytes()[128:132] == b"DICM"
    with pytest.raises(OSError, match="No data available"):
        os.getxattr(gaps["0001.dcm"], "user.dicomfs.error")


def test_copies_do_not_ask_each_file_for_its_attributes(gaps: dict[str, Path]) -> None:
    for path in gaps.values():
        with pytest.raises(OSError, match="not supported"):
            os.listxattr(path)

    # Once the kernel knows that, it is the one by its name that still is there.
    assert os.getxattr(gaps["0002 (missing).dcm"], "user.dicomfs.error")


def test_a_tool_can_ask_why_a_file_is_missing(gaps: dict[str, Path]) -> None:
    mounting.need("getfattr")

    told = run(
        ["getfattr", "-n", "user.dicomfs.error", str(gaps["0002 (missing).dcm"])],
        env={"LC_ALL": "C"},
    )

    assert 'user.dicomfs.error="No such file or directory"' in told.stdout


def test_a_file_that_becomes_shorter_gives_an_error_and_no_short_read(
    mount: Mounter, tmp_path: Path
) -> None:
    only = image("1.2.3.4", size=1_000_000)
    written = write_medium(tmp_path / "medium", [a_patient([only])])
    (mounted,) = mount(tmp_path / "medium").files()
    with mounted.open("rb", buffering=0) as file:
        os.truncate(written.files[only], 500_000)

        with pytest.raises(OSError, match="Input/output") as caught:
            list(iter(lambda: file.read(128 * 1024), b""))

        assert file.tell() <= 500_000
    assert caught.value.errno == errno.EIO


# -- what the kernel keeps -------------------------------------------------------------


@pytest.mark.parametrize("name", ["autorun.inf", "known"], ids=["absent", "present"])
def test_a_name_that_was_asked_for_is_not_asked_for_again(
    mount: Mounter, samples: Path, name: str
) -> None:
    shown = mount(samples)
    known = next(shown.place.iterdir()).name
    path = shown.place / name.replace("known", known)
    before = run(["stat", "--", str(path)])

    os.kill(shown.worker, signal.SIGSTOP)
    try:
        after = run(["stat", "--", str(path)], seconds=10)
    finally:
        os.kill(shown.worker, signal.SIGCONT)

    assert after.returncode == before.returncode == (name != "known")
    assert after.stdout == before.stdout


# -- very large media ------------------------------------------------------------------


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a medium of a million records, of which no file exists."""
    root = tmp_path_factory.mktemp("million")
    large_dicomdir(root, records=1_000_000, patients=100)
    yield root
    (root / "DICOMDIR").unlink()


def test_a_million_records_are_mounted_without_reading_them(
    mount: Mounter, million: Path
) -> None:
    shown = mount(million)

    patients = list(shown.place.iterdir())

    assert len(patients) == 100
    assert (million / "DICOMDIR").stat().st_size > 200_000_000
    assert bytes_read(shown.worker) < 30_000_000


def test_a_study_among_a_million_records_is_opened_alone(
    mount: Mounter, million: Path
) -> None:
    shown = mount(million, "--index-only")
    before = bytes_read(shown.worker)

    study_folder = next(next(shown.place.iterdir()).iterdir())
    names = [path.name for path in study_folder.iterdir()]

    assert len(names) == 20
    assert bytes_read(shown.worker) - before < 30_000_000


def bytes_read(pid: int) -> int:
    """Return how many bytes a process has read in all its life."""
    told = dict(
        line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines()
    )
    return int(told["rchar"])


# -- users -----------------------------------------------------------------------------


def test_an_ordinary_user_copies_the_tree_and_deletes_the_copy(
    mount: Mounter, ordinary_user: User
) -> None:
    medium = ordinary_user.home / "medium"
    write_medium(medium, [a_patient([image(f"1.2.3.{n}", number=n) for n in (1, 2)])])
    ordinary_user.owns(medium)
    shown = mount(medium, user=ordinary_user)
    copy = ordinary_user.home / "copy"

    copied = run(ordinary_user.command(["cp", "-r", str(shown.place), str(copy)]))
    same = run(ordinary_user.command(["diff", "-r", str(shown.place), str(copy)]))
    number = len(list(copy.rglob("*.dcm")))
    removed = run(ordinary_user.command(["rm", "-r", str(copy)]))

    assert (copied.returncode, copied.stderr) == (0, "")
    assert (same.returncode, same.stdout) == (0, "")
    assert number == 2
    assert (removed.returncode, removed.stderr) == (0, "")
    assert not copy.exists()


def test_nobody_else_can_enter_a_mount_not_even_root(
    mount: Mounter, ordinary_user: User
) -> None:
    need_root()
    medium = ordinary_user.home / "medium"
    write_medium(medium, [a_patient([image("1.2.3.4")])])
    shown = mount(ordinary_user.owns(medium), user=ordinary_user)

    with pytest.raises(PermissionError):
        shown.place.stat()


def test_others_are_let_in_within_the_modes(
    mount: Mounter, ordinary_user: User
) -> None:
    need_root()
    medium = ordinary_user.home / "medium"
    write_medium(medium, [a_patient([image("1.2.3.4")])])
    closed = mount(medium, "--allow-other", place=ordinary_user.home / "closed")
    options = ("--allow-other", "--umask", "022")
    opened = mount(medium, *options, place=ordinary_user.home / "open")

    refused = run(ordinary_user.command(["ls", str(closed.place)]))
    seen = run(ordinary_user.command(["find", str(opened.place), "-name", "*.dcm"]))
    data = run(ordinary_user.command(["wc", "-c", seen.stdout.strip()]))

    assert "Permission denied" in refused.stderr
    assert seen.stdout.strip() == str(opened.files()[0])
    assert data.stdout.split()[0] == str(opened.files()[0].stat().st_size)


# -- names -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "env",
    [
        {"LC_ALL": "C.UTF-8"},
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=["UTF-8", "C", "POSIX", "ASCII, without Python's help"],
)
def test_names_are_unicode_whatever_the_locale(
    mount: Mounter, tmp_path: Path, env: dict[str, str]
) -> None:
    who = patient(
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
        "7",
        [study("1.2", [series("1.2.3", [image("1.2.3.4")])], description="Schädel")],
        SpecificCharacterSet="ISO_IR 192",
    )
    who.children[0]["SpecificCharacterSet"] = "ISO_IR 192"
    write_medium(tmp_path / "medium", [who])

    shown = mount(tmp_path / "medium", env=env)

    (file,) = [path.relative_to(shown.place) for path in shown.files()]
    assert file.parts[:2] == ("Yamada, Tarou 山田 太郎 (7)", "2023-07-05 Schädel")


@pytest.mark.parametrize("name", ["dicomdir", "Dicomdir", "DICOMDIR.", "DICOMDIR;1"])
def test_the_dicomdir_is_found_whatever_the_medium_makes_of_its_name(
    mount: Mounter, tmp_path: Path, name: str
) -> None:
    write_medium(
        tmp_path / "medium",
        [a_patient([image("1.2.3.4", file="IMAGES/ONE")])],
        dicomdir=name,
        rename=str.lower,
    )

    shown = mount(tmp_path / "medium")

    (file,) = shown.files()
    assert file.read_bytes() == (tmp_path / "medium/images/one").read_bytes()


def test_dicomdirs_below_the_root_are_shown_together(
    mount: Mounter, tmp_path: Path
) -> None:
    medium = tmp_path / "medium"
    for name in ("CD1", "CD2"):
        one = image(f"1.2.3.{name[-1]}", file="IMAGES/ONE")
        write_medium(medium / name, [a_patient([one], name)])

    shown = mount(medium)

    assert sorted(path.name for path in shown.place.iterdir()) == [
        "Doe, Jane (CD1)",
        "Doe, Jane (CD2)",
    ]
    assert len(shown.files()) == 2
