"""A mount changes nothing and runs nothing, whoever tries; all readers read the same.

What pjdfstest expects of a read-only file system is tried one by one by root in
``test_mount.py``; here by an ordinary user too, and the medium is held against what it
was before.
"""

import ctypes
import errno
import hashlib
import json
import mmap
import os
import re
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.build.medium import image, patient, series, study, write_medium
from tests.mount.test_mount import ALSO, REFUSED
from tests.support import mounting
from tests.support.mounting import Mount, Mounter, User, need, need_root, run
from tests.support.tracing import OPENS, traced

pytestmark = pytest.mark.mount

_BLOCK: Final = 4096
_BLOCKS: Final = 512
_NO_IO_URING: Final = frozenset({errno.ENOSYS, errno.EPERM})
_IO_URING_SETUP: Final = 425


@pytest.fixture
def medium(public_folder: Path) -> Path:
    """Return a small medium that anybody can read."""
    root = public_folder / "medium"
    slices = [image(f"1.2.3.{n}", number=n, file=f"DICOM/I{n}") for n in range(1, 9)]
    lost = image("1.2.3.9", number=9, file="DICOM/I9", path=None)
    write_medium(
        root,
        [patient("Doe^Jane", "1", [study("1.2", [series("1.2.3", [*slices, lost])])])],
    )
    return root


@pytest.fixture(params=["as root", "as an ordinary user"])
def mounted(
    request: pytest.FixtureRequest, mount: Mounter, medium: Path, ordinary_user: User
) -> Iterator[tuple[Mount, User | None]]:
    """Return the medium, mounted by somebody, and who that is; None for root."""
    user = None
    if request.param == "as root":
        need_root()
    else:
        user = ordinary_user
    made = mount(medium, user=user)
    yield made, user
    _tolerate_warnings(made)


def _tolerate_warnings(made: Mount) -> None:
    """Let it say that a file is missing."""
    if ": WARNING: " in made.log:
        made.expect_log(": WARNING: ")


def _command(user: User | None) -> list[str]:
    """Return a Python as *user* would run it."""
    python = [sys.executable, "-P"]
    if user is None:
        return python
    # The interpreter may lie where the user may not look.
    return [*user.dicomfs()[: -len(mounting.COMMAND)], *python]


def test_all_that_changes_or_runs_something_is_refused_to_everybody(
    mounted: tuple[Mount, User | None],
) -> None:
    made, user = mounted
    file = _file_in(made, user)
    done = run(
        [*_command(user), "-m", "tests.support.refusals", str(file.parent), str(file)]
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told) == set(REFUSED)
    wrong = {
        name: (answer, REFUSED[name][1])
        for name, answer in told.items()
        if answer not in {REFUSED[name][1]} | ALSO.get(name, set())
    }
    assert wrong == {}


_FIRST_FILE: Final = """
import os, sys
print(min(os.path.join(at, name) for at, _, names in os.walk(sys.argv[1]) for name in names))
"""


def _file_in(made: Mount, user: User | None) -> Path:
    """Return a file of the mount, found by who mounted it: others may not look."""
    done = run([*_command(user), "-c", _FIRST_FILE, str(made.place)])
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


class State(NamedTuple):
    """What a session must not change of a file or folder."""

    mode: int
    owner: tuple[int, int]
    links: int
    mtime_ns: int
    ctime_ns: int
    digest: str
    attributes: tuple[str, ...]


def state_of(root: Path) -> dict[Path, State]:
    return {path: _state(path) for path in [root, *sorted(root.rglob("*"))]}


def _state(path: Path) -> State:
    status = path.stat()
    data = path.read_bytes() if path.is_file() else b""
    return State(
        status.st_mode,
        (status.st_uid, status.st_gid),
        status.st_nlink,
        status.st_mtime_ns,
        status.st_ctime_ns,
        hashlib.sha256(data).hexdigest(),
        tuple(os.listxattr(path)),
    )


def test_a_whole_session_leaves_the_medium_as_it_was(
    mount: Mounter, medium: Path
) -> None:
    before = state_of(medium)
    made = mount(medium)
    for path in made.files():
        with suppress(FileNotFoundError):
            path.read_bytes()
    file = made.files()[0]
    run([*_command(None), "-m", "tests.support.refusals", str(file.parent), str(file)])
    _tolerate_warnings(made)
    made.unmount()

    assert state_of(medium) == before


# -- what the worker does to the medium ------------------------------------------------

_WRITES: Final = (
    *("write", "pwrite64", "writev", "pwritev", "pwritev2", "truncate", "ftruncate"),
    *("fallocate", "sendfile", "copy_file_range", "utimensat", "fchmod", "fchmodat"),
    *("fchown", "fchownat", "setxattr", "fsetxattr", "lsetxattr", "removexattr"),
    *("fremovexattr", "mkdir", "mkdirat", "mknodat", "unlink", "unlinkat", "rename"),
    *("renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "ftruncate"),
)
_TO_WRITE: Final = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_TMPFILE|O_APPEND")


def test_the_worker_asks_for_no_change_of_any_file(
    mount: Mounter, medium: Path, tmp_path: Path
) -> None:
    need("strace")
    need_root()
    made = mount(medium)
    with traced(made.worker, (*_WRITES, *OPENS), tmp_path / "trace") as calls:
        for path in made.files():
            with suppress(FileNotFoundError):
                path.read_bytes()
    _tolerate_warnings(made)

    opens = [call for call in calls if call.name in OPENS]
    assert len(opens) >= len(made.files()) - 1
    assert [call for call in opens if _TO_WRITE.search(call.arguments)] == []
    writes = [call for call in calls if call.name in _WRITES]
    assert [call for call in writes if str(medium) in call.arguments] == []


# -- mapping, and reading in all ways --------------------------------------------------


@pytest.fixture(scope="module")
def patterned(mount_once: Mounter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a mounted file in which each block consists of its own offset."""
    root = tmp_path_factory.mktemp("patterned")
    pattern = b"".join(
        struct.pack("<Q", block * _BLOCK) * (_BLOCK // 8) for block in range(_BLOCKS)
    )
    one = image("1.8.1", number=1, file="PATTERN", content=pattern)
    in_series = series("1.8", [one], description="Pattern")
    write_medium(root, [patient("Doe^Jane", "8", [study("1.80", [in_series])])])
    [file] = mount_once(root).files()
    return file


@pytest.mark.parametrize(
    ("protection", "error"),
    [
        (mmap.PROT_READ | mmap.PROT_WRITE, errno.EACCES),
        (mmap.PROT_READ | mmap.PROT_EXEC, errno.EPERM),
    ],
    ids=["to write", "to run"],
)
def test_no_file_can_be_mapped(patterned: Path, protection: int, error: int) -> None:
    fd = os.open(patterned, os.O_RDONLY)
    try:
        with pytest.raises(OSError) as caught:  # noqa: PT011 - its number is looked at
            mmap.mmap(fd, _BLOCK, flags=mmap.MAP_SHARED, prot=protection)
    finally:
        os.close(fd)

    assert caught.value.errno == error


def test_statvfs_says_that_nothing_can_be_changed_or_run(patterned: Path) -> None:
    flags = os.statvfs(patterned).f_flag

    wanted = os.ST_RDONLY | os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC
    assert flags & wanted == wanted


def _has_io_uring() -> bool:
    """Whether the kernel lets us use io_uring; asked with a request that is wrong."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(_IO_URING_SETUP, 0, None)
    return ctypes.get_errno() not in _NO_IO_URING


# The other ways of fio are in test_clients.py.
@pytest.mark.parametrize(
    ("engine", "more"),
    [
        ("io_uring", ["--iodepth=8"]),
        ("io_uring", ["--iodepth=8", "--direct=1"]),
        ("io_uring", ["--iodepth=8", "--fixedbufs=1", "--registerfiles=1"]),
        ("libaio", ["--iodepth=16", "--direct=1", "--bs=512"]),
        ("splice", []),
        ("vsync", []),
        ("sync", ["--invalidate=1"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_random_reads_find_what_is_there(
    patterned: Path, engine: str, more: list[str]
) -> None:
    need("fio")
    if engine == "io_uring" and not _has_io_uring():
        pytest.skip("the kernel or a sandbox allows no io_uring")
    # A block of 512 bytes does not begin with its own offset.
    verify = (
        ["--verify=pattern", "--verify_pattern=%o"] if "--bs=512" not in more else []
    )
    done = run(
        [
            *("fio", "--readonly", "--name=reads", f"--filename={patterned}"),
            *("--rw=randread", f"--bs={_BLOCK}", f"--size={_BLOCK * _BLOCKS}"),
            *(f"--ioengine={engine}", "--numjobs=4", "--output-format=json"),
            *("--invalidate=0", *verify, *more),
        ]
    )

    assert done.returncode == 0, done.stderr
    jobs = json.loads(done.stdout[done.stdout.index("{") :])["jobs"]
    assert [job["error"] for job in jobs] == [0] * 4
    block = 512 if "--bs=512" in more else _BLOCK
    assert [job["read"]["total_ios"] for job in jobs] == [_BLOCK * _BLOCKS // block] * 4


_READER: Final = """
import hashlib, os, random, sys
from concurrent.futures import ThreadPoolExecutor
files = [os.path.join(at, name) for at, _, names in os.walk(sys.argv[1]) for name in names]
def read_all(seed):
    order = random.Random(seed).sample(files, len(files))
    found = {}
    for path in order:
        try:
            with open(path, "rb") as file:
                found[path] = hashlib.sha256(file.read()).hexdigest()
        except FileNotFoundError:
            found[path] = ""
    return found
with ThreadPoolExecutor(15) as pool:
    results = list(pool.map(read_all, range(150)))
print(len(results), all(each == results[0] for each in results))
print(*sorted(filter(None, results[0].values())))
"""


def test_fifteen_readers_of_everything_agree_ten_times_over(
    mounted: tuple[Mount, User | None], medium: Path
) -> None:
    made, user = mounted
    done = run([*_command(user), "-c", _READER, str(made.place)])

    assert done.returncode == 0, done.stderr
    count, digests = done.stdout.splitlines()
    assert count == "150 True"
    assert digests.split() == sorted(
        hashlib.sha256(path.read_bytes()).hexdigest() for path in medium.glob("DICOM/*")
    )
