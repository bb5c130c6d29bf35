"""Media made to be used against their user: nothing outside of them is ever read.

The medium of these tests references 280 evil File IDs, and beside it, above it and on
other file systems below it lies a secret: an instance whose bytes and description must
never be seen.
"""

import errno
import logging
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Final, NamedTuple

import pytest

from dicomfs.fileset.open import file_sets_of
from dicomfs.findings import Findings
from dicomfs.media import beneath
from dicomfs.media.opening import open_sources
from dicomfs.tree.tree import Tree
from tests.build.images import make_iso, make_plain_iso, without_iso9660
from tests.build.medium import (
    Record,
    image,
    instance_bytes,
    patient,
    series,
    study,
    write_medium,
)
from tests.support import mounting, trees
from tests.support.amounts import tries_all
from tests.support.mounting import Mount, Mounter, need, need_root, run
from tests.support.tracing import OPENS, traced

_LONGEST: Final = 30.0
_SWAPPING: Final = 60.0 if tries_all() else 4.0

_REFUSED: Final = errno.EACCES
_MISSING: Final = errno.ENOENT
_GOOD: Final = 0
_WORD: Final = b"SECRETWORD"
SECRET: Final = instance_bytes(SeriesDescription=_WORD.decode(), PatientName="Secret")


class Evil(NamedTuple):
    """A Referenced File ID, and the error that its file is to have; 0 if it has none."""

    file_id: bytes
    error: int


# -- the evil File IDs -----------------------------------------------------------------

# What lies on the medium and is no file of it; those of the second row need root.
_SPECIAL: Final = (
    *(b"UP", b"ABSOLUTE", b"INTREE", b"TODIR", b"LOOP", b"CIRCLE", b"DANGLING"),
    *(b"TOOTHER\\SECRET", b"TODIR\\I1", b"MAGIC\\etc\\passwd", b"CWD\\SECRET", b"FD0"),
    *(b"TODICOM\\I1", b"LOOP\\I1", b"FIFO", b"SOCKET", b"DICOM", b"DICOM\\SUB"),
)
_SPECIAL_OF_ROOT: Final = (b"NULL", b"ZERO", b"BLOCK", b"MOUNTED\\SECRET")

# How writers, and attackers, spell one and the same name.
_SPELLINGS: Final[tuple[Callable[[bytes], bytes], ...]] = (
    lambda name: name,
    lambda name: name.lower(),
    lambda name: name + b".dcm",
    lambda name: name + b";1",
    lambda name: name + b".",
    lambda name: b"\\" + name,
    lambda name: b"C:\\" + name,
    lambda name: name.replace(b"\\", b"/"),
    lambda name: b".\\\\./" + name + b" \0",
    lambda name: b"DICOM\\..\\" + name,
)

# In words: above the root, not a name, too much of it.
_WRITTEN: Final = {
    _REFUSED: (
        *(
            b"..",
            b"..\\SECRET",
            b"..\\..\\..\\etc\\passwd",
            b"../SECRET",
            b"/../SECRET",
        ),
        *(b"DICOM\\..\\..\\SECRET", b"DICOM/../../SECRET", b"DICOM\\../..\\SECRET"),
        *(b"C:..\\SECRET\\..", b"C:\\..\\SECRET", b"\\\\..\\SECRET", b" .. \\SECRET"),
        *(b"..\0\\SECRET", b"DICOM\\I1\0.dcm", b"A\0B", b"DICOM\0\\I1\\..", b".\\.."),
        *(b"\\".join([b"A"] * n) for n in (17, 18, 200, 2000)),
        *(b"A" * n for n in (256, 257, 4000)),
        *(b"A" * 256 + b"\\I1", b"DICOM\\" + b"A" * 300, b"\xe4" * 256 + b"\\B"),
        *(
            b"DICOM\\" * 16 + b"I1",
            b"\\",
            b"\\\\\\",
            b"/",
            b".",
            b".\\.",
            b"C:",
            b"C:\\",
        ),
    ),
    _MISSING: (
        *(b"\\etc\\passwd", b"/etc/passwd", b"C:\\etc\\passwd", b"c:/etc/passwd"),
        *(b"\\\\SERVER\\SHARE\\X", b"//etc//passwd", b"C:\\D:\\X", b"C:UP", b"NUL"),
        *(
            b"%2e%2e\\SECRET",
            b"..%2fSECRET",
            b"..;1\\SECRET",
            b"..dcm",
            b"...",
            b"....",
        ),
        *(b"....\\\\SECRET", b". .\\SECRET", b".. .\\SECRET", b"~", b"~root", b"$HOME"),
        *(
            b"\xc0\xae\xc0\xae\\SECRET",
            b"\xef\xbc\x8e\xef\xbc\x8e\\SECRET",
            b"\xff\xfe",
        ),
        *("\u2025\\SECRET".encode(), "..\u2215SECRET".encode(), b"file:///etc/passwd"),
        *(
            b"*",
            b"?",
            b"[I]1",
            b"DICOM\\*",
            b"-rf",
            b"|id",
            b"`id`",
            b"\x1b[2J",
            b"\r\n",
        ),
        *(b"\t", b"DICOM\\I1\\X", b"DICOM\\I1\\..dcm", b"SECRET", b"DICOM\\SECRET"),
        *(b"\\".join([b"A"] * n) for n in (8, 9, 15, 16)),
        *(b"A" * 255, b"DICOM\\" + b"B" * 255, b"\xe4" * 255, b"proc\\self\\root\\etc"),
        # Without an extension there is one, but its header does not say that it is meant.
        b"D:\\DICOM\\I1.dcm",
        *(b"CON", b"DICOMDIR\\X", b"I1", b"DICOM\\I", b"DICOM\\I11", b"dev\\null"),
    ),
    _GOOD: (
        *(
            b"DICOM\\I1",
            b"\\DICOM\\I1",
            b"dicom\\i1",
            b"D:\\DICOM\\I1",
            b"DICOM/I1",
        ),
        *(b".\\DICOM\\.\\I1", b"DICOM\\\\I1;1", b"DICOM\\I1.", b" DICOM \\ I1 \0\0"),
    ),
}
# The records of these are no instances, and not shown.
_ITSELF: Final = (
    b"DICOMDIR",
    b"dicomdir",
    b"\\DICOMDIR;1",
    b"DICOMDIR.",
    b"C:\\DICOMDIR",
)


def _evil() -> list[Evil]:
    """Return all that can be tried with our rights."""
    special = _SPECIAL + (_SPECIAL_OF_ROOT if os.getuid() == 0 else ())
    found = [Evil(spell(name), _REFUSED) for name in special for spell in _SPELLINGS]
    found += [
        Evil(file_id, error)
        for error, file_ids in _WRITTEN.items()
        for file_id in file_ids
    ]
    return found


EVIL: Final = _evil()


# -- the medium ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def medium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a medium with all kinds of traps on it, and the secret around it."""
    around = tmp_path_factory.mktemp("hostile")
    root = around / "medium"
    for secret in ("SECRET", "other/SECRET", "other/I1"):
        (around / secret).parent.mkdir(exist_ok=True)
        (around / secret).write_bytes(SECRET)
    write_medium(root, _records())
    (root / "DICOM/SUB").mkdir()
    _lay_traps(root, around)
    with _mounted_below(root):
        yield root


def _records() -> list[Record]:
    """Return a series for each File ID; a header is sought in it for its description."""
    ids = [each.file_id for each in EVIL] + list(_ITSELF)
    hostile = [
        series(
            f"1.2.{number}",
            [
                image(f"1.2.{number}.1", number=1, file=file_id, path=None),
                # The next one is sought where the first one fails.
                image(f"1.2.{number}.2", number=2, file=file_id, path=None),
            ],
            number=number,
        )
        for number, file_id in enumerate(ids, 1)
    ]
    good = image("1.1.1", number=1, file="DICOM/I1")
    sound = series("1.1", [good], number=0, description="Sound")
    return [patient("Doe^Jane", "1", [study("1", [sound, *hostile])])]


def _lay_traps(root: Path, around: Path) -> None:
    links: dict[str, str | Path] = {
        "UP": "../SECRET",
        "ABSOLUTE": around / "SECRET",
        "INTREE": "DICOM/I1",
        "TODIR": "../other",
        "TODICOM": "DICOM",
        "TOOTHER": around / "other",
        "LOOP": "LOOP",
        "CIRCLE": "CIRCLE2",
        "CIRCLE2": "CIRCLE",
        "DANGLING": "../nothing",
        "MAGIC": "/proc/self/root",
        "CWD": "/proc/self/cwd",
        "FD0": "/proc/self/fd/0",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "FIFO")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(root / "SOCKET"))
    if os.getuid() == 0:
        os.mknod(root / "NULL", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(root / "ZERO", stat.S_IFCHR | 0o666, os.makedev(1, 5))
        os.mknod(root / "BLOCK", stat.S_IFBLK | 0o666, os.makedev(7, 0))


@contextmanager
def _mounted_below(root: Path) -> Iterator[None]:
    """Have another file system on a folder of the medium, if we may."""
    place = root / "MOUNTED"
    place.mkdir()
    if os.getuid() != 0:
        yield
        return
    done = run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)])
    assert done.returncode == 0, done.stderr
    try:
        (place / "SECRET").write_bytes(SECRET)
        yield
    finally:
        run(["umount", "-l", str(place)])


@contextmanager
def in_time() -> Iterator[None]:
    """Stop what is done inside where it hangs, as an open of a FIFO does for ever."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        pytest.fail("something blocked")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, _LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def number_of(path: str) -> int:
    """Return which File ID the series has that *path* leads through; 0 is the sound one."""
    return int(Path(path).parent.name[:3])


_WALK: Final = "component by component"


@pytest.fixture(params=["openat2", _WALK])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Open files by openat2, and as on kernels that have none."""

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSYS, "no openat2")

    if request.param == _WALK:
        monkeypatch.setattr(beneath, "_openat2", refuse)
    return str(request.param)


@pytest.fixture
def unheard(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Leave aside what is logged of faults: that is looked at elsewhere."""
    with caplog.at_level(logging.CRITICAL, "dicomfs"):
        yield


# -- through the tree ------------------------------------------------------------------


def test_there_are_more_than_two_hundred_evil_file_ids() -> None:
    assert len({each.file_id for each in EVIL if each.error}) >= 200


@pytest.mark.slow
@pytest.mark.usefixtures("unheard")
def test_each_evil_file_id_is_listed_with_its_error(medium: Path, way: str) -> None:
    with in_time():
        seen = trees.look(medium)

    found: dict[int, list[int]] = {}
    for path in trees.files(seen):
        found.setdefault(number_of(path), []).append(seen[path].error)
    wrong = {
        number: (each.file_id, found.get(number))
        for number, each in enumerate(EVIL, 1)
        if found.get(number) != [each.error] * 2
        # Without openat2 a folder that is a link is told from no folder by nobody.
        and not (way == _WALK and each.error and found.get(number) == [_MISSING] * 2)
    }
    assert wrong == {}
    assert set(found) == {*range(len(EVIL) + 1)}  # the DICOMDIR is no instance


@pytest.mark.slow
@pytest.mark.usefixtures("way", "unheard")
def test_nothing_of_the_secret_gets_into_the_tree(medium: Path) -> None:
    good = (medium / "DICOM/I1").read_bytes()
    with in_time():
        seen = trees.look(medium)

    assert not [path for path in seen if _WORD.decode() in path]
    read = {each.data for each in seen.values() if not each.is_folder}
    assert read == {good, b""}


# -- in images and archives ------------------------------------------------------------


def rock_ridge(medium: Path, to: Path) -> Path:
    """Return an image of the medium with its links, pipes and devices on it."""
    return make_iso(medium, to / "disc.iso", "-m", "MOUNTED")


def level_4(medium: Path, to: Path) -> Path:
    return make_plain_iso(medium, to / "disc.iso", "-iso-level", "4", "-m", "MOUNTED")


def udf(medium: Path, to: Path) -> Path:
    return without_iso9660(
        make_plain_iso(medium, to / "disc.udf", "-udf", "-m", "MOUNTED")
    )


def archive(medium: Path, to: Path) -> Path:
    """Return an archive of the medium, with its links as links."""
    need("zip")
    left_out = ["MOUNTED/*", "FIFO", "SOCKET", "NULL", "ZERO", "BLOCK"]
    command = ["zip", "-q", "-y", "-r", str(to / "disc.zip"), ".", "-x", *left_out]
    done = run(command, cwd=medium)
    assert done.returncode in {0, 18}, done.stdout + done.stderr
    return to / "disc.zip"


@pytest.mark.slow
@pytest.mark.usefixtures("unheard")
@pytest.mark.parametrize("made", [rock_ridge, level_4, udf, archive])
def test_each_evil_file_id_is_refused_on_an_image_or_archive(
    made: Callable[[Path, Path], Path], medium: Path, tmp_path: Path
) -> None:
    good = (medium / "DICOM/I1").read_bytes()
    source = made(medium, tmp_path)
    with in_time():
        file_sets = file_sets_of(open_sources([source]), Findings())
        seen = trees.look_into(Tree(file_sets, read_headers=True))
        file_sets[0].medium.close()

    # Without Rock Ridge pipes and devices become empty files.
    wrong = {
        path: EVIL[number_of(path) - 1].file_id
        for path in trees.files(seen)
        if number_of(path)
        and EVIL[number_of(path) - 1].error
        and seen[path].error not in {_REFUSED, _MISSING}
        and seen[path].size
    }
    assert wrong == {}
    assert not [path for path in seen if _WORD.decode() in path]
    read = {each.data for each in seen.values() if not each.is_folder}
    assert read == {good, b""}


# -- through a mount -------------------------------------------------------------------


@pytest.fixture
def mounted(mount: Mounter, medium: Path) -> Iterator[Mount]:
    """Return the medium, mounted; warnings about it are in order."""
    made = mount(medium)
    yield made
    if ": WARNING: " in made.log:
        made.expect_log(": WARNING: ")


@pytest.mark.mount
def test_each_evil_file_id_is_refused_by_a_mount(mounted: Mount, medium: Path) -> None:
    good = (medium / "DICOM/I1").read_bytes()
    wrong = []
    with in_time():
        for path in mounted.files():
            error, data = _read(path)
            number = number_of(str(path))
            expected = EVIL[number - 1].error if number else _GOOD
            if error != expected or data != (b"" if expected else good):
                wrong.append((number, error))
            elif error:
                assert os.getxattr(path, "user.dicomfs.error"), number

    assert wrong == []
    assert not [path for path in mounted.structure() if _WORD.decode() in path]


def _read(path: Path) -> tuple[int, bytes]:
    try:
        return 0, path.read_bytes()
    except OSError as error:
        return error.errno or -1, b""


_BENEATH: Final = (
    "resolve=RESOLVE_NO_XDEV|RESOLVE_NO_MAGICLINKS|RESOLVE_NO_SYMLINKS|RESOLVE_BENEATH"
)
_OF_LIBFUSE: Final = '"/proc/sys/fs/pipe-max-size"'
_OPEN_BENEATH: Final = re.compile(r'^\d+<(?P<folder>[^>]*)>, "(?P<path>[^"]*)"')


@pytest.mark.mount
def test_the_worker_opens_nothing_but_beneath_the_descriptor_of_the_medium(
    mounted: Mount, medium: Path, tmp_path: Path
) -> None:
    need("strace")
    need_root()
    with in_time(), traced(mounted.worker, OPENS, tmp_path / "trace") as calls:
        for path in mounted.files():
            _read(path)

    assert len(calls) > len(EVIL)
    others = [each for _, each in calls if not _is_beneath(each, medium)]
    assert [each for each in others if _OF_LIBFUSE not in each] == []


def _is_beneath(arguments: str, medium: Path) -> bool:
    found = _OPEN_BENEATH.match(arguments)
    if found is None:
        return False
    is_of_medium = Path(found["folder"]) == medium and _BENEATH in arguments
    return is_of_medium and ".." not in found["path"].split("/")


# -- while somebody swaps what is there ------------------------------------------------

# Exchanges two names over and over, for a link and a file, and a link and a folder.
_SWAPPER: Final = """
import ctypes, os, sys
os.chdir(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
pairs = [(b"FILE", b"FILE.link"), (b"FOLDER", b"FOLDER.link")]
print("swapping", flush=True)
while os.getppid() == int(sys.argv[2]):
    for one, other in pairs:
        if libc.renameat2(-100, one, -100, other, 2):
            sys.exit(os.strerror(ctypes.get_errno()))
"""
GOOD: Final = b"of this medium"


@pytest.fixture
def swapped(tmp_path: Path) -> Iterator[Path]:
    """Return a medium on which files and folders are links outside every other moment."""
    root = tmp_path / "medium"
    (root / "FOLDER").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    for path in (root / "FILE", root / "FOLDER/FILE"):
        path.write_bytes(GOOD)
    for path in (tmp_path / "SECRET", tmp_path / "outside/FILE"):
        path.write_bytes(SECRET)
    (root / "FILE.link").symlink_to(tmp_path / "SECRET")
    (root / "FOLDER.link").symlink_to("../outside")
    swapper = subprocess.Popen(
        [sys.executable, "-P", "-c", _SWAPPER, str(root), str(os.getpid())],
        stdout=subprocess.PIPE,
        env=mounting.environment(mounting.new_mark()),
    )
    assert swapper.stdout is not None
    try:
        assert swapper.stdout.readline() == b"swapping\n"
        yield root
        assert swapper.poll() is None, "nothing was swapped"
    finally:
        swapper.kill()
        swapper.communicate()


def opened(root: int, path: beneath.Place) -> bytes:
    """Read a file as the worker does."""
    return _content(beneath.open_file(root, path))


def walked(root: int, path: beneath.Place) -> bytes:
    """Read a file as on a kernel without openat2."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    return _content(beneath._walk(root, path, flags))


def _content(fd: int) -> bytes:
    try:
        return os.read(fd, len(SECRET))
    finally:
        os.close(fd)


def looked_at(root: int, path: beneath.Place) -> bytes:
    """Return as many bytes as the status of a file says that it has."""
    [found] = beneath.statuses(root, path[:-1], path[-1:])
    if isinstance(found, OSError):
        raise found
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, "a link")
    return GOOD if found.st_size == len(GOOD) else SECRET


@pytest.mark.slow
@pytest.mark.counted
@pytest.mark.parametrize("look", [opened, walked, looked_at])
@pytest.mark.parametrize(
    "path", [(b"FILE",), (b"FOLDER", b"FILE")], ids=["file", "folder"]
)
def test_a_link_that_is_swapped_in_during_the_look_up_leads_nowhere(
    swapped: Path, look: Callable[[int, beneath.Place], bytes], path: beneath.Place
) -> None:
    root = os.open(swapped, os.O_RDONLY | os.O_DIRECTORY)
    end = monotonic() + _SWAPPING / 6
    outcomes: Counter[object] = Counter()
    try:
        while monotonic() < end or len(outcomes) < 2:
            try:
                outcomes[look(root, path)] += 1
            except OSError as error:
                outcomes[error.errno] += 1
    finally:
        os.close(root)

    # Both were met, often: the file, and the link in its place.
    assert set(outcomes) <= {GOOD, errno.ELOOP, errno.ENOTDIR, errno.EAGAIN}
    assert outcomes[GOOD] > 100
    assert outcomes.total() - outcomes[GOOD] > 100
