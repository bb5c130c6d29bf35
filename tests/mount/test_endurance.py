"""Mounts end cleanly and leak nothing, however often they are made, used and killed.

DICOMFS_ENDURANCE says how many times as much is done as usual: see scripts/endurance.
"""

import contextlib
import os
import random
import re
import resource
import signal
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from pydicom import uid

from tests.build.medium import (
    UNDEFINED_LENGTH,
    Raw,
    Value,
    element_bytes,
    image,
    instance_bytes,
    large_dicomdir,
    patient,
    series,
    study,
    write_medium,
)
from tests.support import mounting
from tests.support.amounts import part_of, tries_all
from tests.support.mounting import (
    OF_A_MOUNT,
    Mount,
    Mounter,
    dicomfs,
    is_mounted,
    need,
    run,
    until,
)
from tests.support.readers import reading, write_truth

pytestmark = [pytest.mark.mount, pytest.mark.alone]

TIMES: Final = int(os.environ.get("DICOMFS_ENDURANCE", "1"))
KILLS: Final = (3 if tries_all() else 1) * TIMES
CYCLES: Final = 25
OPENS: Final = 25_000
ROUNDS: Final = max(part_of(4 * OPENS) // OPENS, 1) * TIMES
IMAGES: Final = 8
SIZE: Final = 200_000
MIB: Final = 2**20
MOST_GROWTH: Final = 5 * MIB
# What a daemon holds is measured without what measures its lines.
UNMEASURED: Final = {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""}


@pytest.fixture(autouse=True)
def fuse() -> None:
    need("fusermount3", "/dev/fuse")


@pytest.fixture(scope="module")
def medium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a medium with a few images, the last of which is missing."""
    folder = tmp_path_factory.mktemp("medium")
    images = [
        image(f"1.2.3.{number}", number=number, size=SIZE)
        for number in range(1, IMAGES + 1)
    ]
    images[-1].path = None
    write_medium(
        folder, [patient("Doe^Jane", "1", [study("1.2", [series("1", images)])])]
    )
    return folder


@pytest.fixture(scope="module")
def truth(medium: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what a mount of the medium has to show."""
    return write_truth(medium, tmp_path_factory.mktemp("truth"))


def show(figure: str) -> None:
    """Show a figure to whoever watches (pytest -s)."""
    sys.stdout.write(f"\n  {figure}")


# -- killed ----------------------------------------------------------------------------


class End(NamedTuple):
    """A signal, the one of the processes that gets it, and what is logged then."""

    number: signal.Signals
    to: str
    logged: str = ""

    def send(self, mount: Mount) -> None:
        """Send it."""
        if self.logged:
            mount.expect_log(self.logged)
        os.kill(getattr(mount, self.to), self.number)


ENDS: Final = [
    End(signal.SIGKILL, "worker", r"the worker .*\b9$"),
    End(signal.SIGSEGV, "worker", r"the worker .*\b11$"),
    End(signal.SIGTERM, "worker"),
    End(signal.SIGTERM, "supervisor"),
    End(signal.SIGINT, "supervisor"),
    End(signal.SIGHUP, "supervisor"),
]
# Of these they take no notice: what asks for the end is their supervisor's business.
IGNORED: Final = [
    End(signal.SIGINT, "worker"),
    End(signal.SIGHUP, "worker"),
    End(signal.SIGTERM, "watcher"),
]


def _name(end: End) -> str:
    return f"{end.number.name} to the {end.to}"


@contextlib.contextmanager
def load(
    shown: Mount, truth: Path, folder: Path, seed: str, *, busy: bool
) -> Iterator[Callable[[], None]]:
    """Let two processes read the mount if it is to be *busy*, to the end of the block.

    What they read is right to the last byte, or an error. Returns what waits for a
    random moment.
    """
    if not busy:
        yield lambda: None
        shown.allow_log("file is missing")
        return
    chance = random.Random(seed)
    with reading(shown.place, truth, seed, folder, 2) as readers:
        yield lambda: readers[0].after(chance.randrange(1, 200))
        counts = [reader.end() for reader in readers]
    shown.allow_log("file is missing")
    assert all(each.right and not each.wrong for each in counts), counts


@pytest.mark.counted
@pytest.mark.parametrize("attempt", range(KILLS))
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
@pytest.mark.parametrize("end", ENDS, ids=_name)
def test_whoever_is_killed_nothing_stays_mounted(
    mount: Mounter, medium: Path, truth: Path, end: End, busy: bool, attempt: int
) -> None:
    shown = mount(medium)
    folder = shown.log_file.parent

    with load(shown, truth, folder, f"{end} {attempt}", busy=busy) as wait_a_moment:
        wait_a_moment()
        end.send(shown)
        sent = time.monotonic()
        ended = shown.has_ended(2)
        show(f"{_name(end)}: over after {time.monotonic() - sent:.2f} s")

    assert ended, shown.processes


@pytest.mark.counted
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
@pytest.mark.parametrize("end", IGNORED, ids=_name)
def test_what_is_meant_for_the_supervisor_disturbs_nobody_else(
    mount: Mounter, medium: Path, truth: Path, end: End, busy: bool
) -> None:
    shown = mount(medium)
    processes = shown.processes
    folder = shown.log_file.parent

    with load(shown, truth, folder, f"{end}", busy=busy) as wait_a_moment:
        for _ in range(KILLS):
            wait_a_moment()
            end.send(shown)
        wait_a_moment()

    assert len(shown.files()) == IMAGES
    assert shown.processes == processes


@pytest.mark.parametrize("attempt", range(TIMES))
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_worker_whose_supervisor_is_killed_serves_on_until_it_is_unmounted(
    mount: Mounter, medium: Path, truth: Path, busy: bool, attempt: int
) -> None:
    shown = mount(medium)
    supervisor, watcher = shown.supervisor, shown.watcher
    shown.expect_log("the supervisor was killed")
    folder = shown.log_file.parent

    with load(shown, truth, folder, f"{attempt}", busy=busy) as wait_a_moment:
        wait_a_moment()
        mounting.kill(supervisor)
        assert until(lambda: mounting.name_of(watcher) != "dicomfs-watcher")
        assert until(lambda: len(shown.processes) == OF_A_MOUNT)
        wait_a_moment()

    assert len(shown.files()) == IMAGES
    assert dicomfs("umount", shown.place).returncode == 0
    assert shown.has_ended(2)


# -- again and again -------------------------------------------------------------------


def connection(place: Path) -> Path:
    """Return where the kernel shows the connection of the mount on *place*."""
    return Path(f"/sys/fs/fuse/connections/{os.minor(place.stat().st_dev)}")


@pytest.mark.parametrize("attempt", range(TIMES))
def test_a_medium_can_be_mounted_again_and_again(
    mount: Mounter, medium: Path, attempt: int
) -> None:
    del attempt
    place = None
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only how many
    for cycle in range(CYCLES):
        shown = mount(medium, place=place)
        place = shown.place
        assert len(shown.files()) == IMAGES
        known = connection(place)
        if cycle % 2:
            assert dicomfs("umount", place).returncode == 0
        else:
            assert run(["fusermount3", "-u", str(place)]).returncode == 0
        assert shown.has_ended(5)
        shown.allow_log("file is missing")
        assert until(lambda known=known: not known.exists())  # type: ignore[misc]

    assert place is not None
    assert list(place.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208 - only how many


class Held(NamedTuple):
    """What a process holds: bytes of memory, descriptors, threads."""

    memory: int
    descriptors: int
    threads: int

    @classmethod
    def by(cls, pid: int) -> "Held":
        """Return what process *pid* holds."""
        status = status_of(pid)
        return cls(
            int(status["VmRSS"].split()[0]) * 1024,
            len(os.listdir(f"/proc/{pid}/fd")),  # noqa: PTH208 - only how many
            int(status["Threads"]),
        )


def status_of(pid: int) -> dict[str, str]:
    """Return the fields of what the kernel says about process *pid*."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines)


OPENER: Final = """
import os, sys
place, times = sys.argv[1], int(sys.argv[2])
paths = [os.path.join(at, name) for at, _, names in os.walk(place) for name in names]
right = errors = 0
for number in range(times):
    path = paths[number % len(paths)]
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        errors += len(os.getxattr(path, "user.dicomfs.error")) > 0
        os.listdir(os.path.dirname(path))
        continue
    # What the kernel has in memory would not be asked for.
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    right += len(os.read(file, 4096)) == 4096
    os.close(file)
print(right, errors)
"""


def open_and_close(shown: Mount, times: int) -> None:
    """Open a file of *shown* so many times, the missing one like the others."""
    done = run([sys.executable, "-c", OPENER, str(shown.place), str(times)], seconds=55)
    assert done.returncode == 0, done.stderr
    right, errors = map(int, done.stdout.split())
    assert right + errors == times
    assert errors == times // IMAGES


@pytest.fixture(scope="module")
def in_long_use(mount_once: Mounter, medium: Path) -> tuple[Mount, list[Held]]:
    """Return a mount that has warmed up, and what its processes hold."""
    shown = mount_once(medium, env=UNMEASURED)
    open_and_close(shown, OPENS // 2)
    return shown, [Held.by(pid) for pid in shown.processes]


# All of them are 100,000, each compared with what was held before the first.
@pytest.mark.counted
@pytest.mark.parametrize("attempt", range(ROUNDS))
def test_files_can_be_opened_again_and_again(
    in_long_use: tuple[Mount, list[Held]], attempt: int
) -> None:
    del attempt
    shown, before = in_long_use
    open_and_close(shown, OPENS)
    shown.allow_log("file is missing")

    def holds_no_more() -> bool:
        now = [Held.by(pid) for pid in shown.processes]
        pairs = zip(before, now, strict=True)
        return all(each.descriptors <= then.descriptors for then, each in pairs)

    # The last file is closed when nobody waits for it any more, and so it was before.
    assert until(holds_no_more)
    after = [Held.by(pid) for pid in shown.processes]
    show(f"{OPENS} opens: before {before}, after {after}")
    for then, now in zip(before, after, strict=True):
        assert now.memory - then.memory <= MOST_GROWTH
        assert now.threads <= then.threads
    assert is_mounted(shown.place)


# -- hostile media ---------------------------------------------------------------------

# What a worker may take: an address space, and memory in it.
ADDRESSES: Final = 2 * 2**30
MOST_MEMORY: Final = 256 * MIB
RECORDS: Final = 120_000
ONE_FOLDER: Final = 100_000
DEEP: Final = 5_000
BOMB: Final = 2**32 - 2
BLOCK: Final = 16 * MIB
SPARSE: Final = 2**31 - 2


def one_name_for_all_images(folder: Path) -> None:
    """Write series of many images that all have one number."""
    large_dicomdir(folder, records=RECORDS, images_per_series=500)
    without_differences(folder, rb"(?<=\x20\x00\x13\x00IS\x08\x00)[\d ]{8}")


def one_folder_for_all_images(folder: Path) -> None:
    """Write one series of very many images that all have one number."""
    large_dicomdir(folder, records=ONE_FOLDER + 3, images_per_series=ONE_FOLDER)
    without_differences(folder, rb"(?<=\x20\x00\x13\x00IS\x08\x00)[\d ]{8}")


def one_name_for_all_patients(folder: Path) -> None:
    """Write many studies, each of a patient who is always the same."""
    large_dicomdir(folder, records=RECORDS, patients=RECORDS // 4)
    without_differences(folder, rb"(?<=Large\^Patient)\d{8}|(?<=ID)\d{8}")


def without_differences(folder: Path, pattern: bytes) -> None:
    """Make all alike that *pattern* finds in the DICOMDIR in *folder*."""
    data = (folder / "DICOMDIR").read_bytes()
    data, count = re.subn(pattern, b"00000001", data)
    assert count >= RECORDS // 4
    (folder / "DICOMDIR").write_bytes(data)


def one_image(
    folder: Path, content: bytes, attributes: dict[str | int, Value] | None = None
) -> Path:
    """Write a medium of one image, whose header is wanted; return its file."""
    only = image("1.2.3", content=content, attributes=attributes or {})
    # Without a PATIENT and a STUDY record both are sought in the header.
    written = write_medium(folder, [series("1.2", [only])])
    return written.files[only]


def meta(syntax: str = uid.ExplicitVRLittleEndian) -> bytes:
    """Return an instance that ends where its data set would begin."""
    whole = instance_bytes(syntax=syntax, size=None)
    return whole[: 144 + int.from_bytes(whole[140:144], "little")]


# What comes before the trouble is a name of the series.
DESCRIPTION: Final = "Topogram"
_DESCRIBED: Final = element_bytes("SeriesDescription", DESCRIPTION)
_PRIVATE: Final = 0x00090010
_SEQUENCE: Final = 0x00082112


def a_deflate_bomb(folder: Path) -> None:
    """Write an image whose few bytes inflate to thousands of times as many."""
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    data = _DESCRIBED + element_bytes(_PRIVATE, Raw("OB", b"", BOMB))
    start = deflate.compress(data) + deflate.flush(zlib.Z_FULL_FLUSH)
    # After a full flush a block stands for itself, and can be said again.
    block = deflate.compress(bytes(BLOCK)) + deflate.flush(zlib.Z_FULL_FLUSH)
    bomb = start + block * (BOMB // BLOCK + 1) + deflate.flush()
    one_image(folder, meta(uid.DeflatedExplicitVRLittleEndian) + bomb)


def a_sparse_element(folder: Path) -> None:
    """Write an image with a private element of 2 GiB in its header."""
    data = meta() + _DESCRIBED + element_bytes(_PRIVATE, Raw("OB", b"", SPARSE))
    path = one_image(folder, data)
    os.truncate(path, len(data) + SPARSE)


def nested(*, undefined: bool) -> Raw:
    """Return a value of sequences in sequences, very deep."""
    length = UNDEFINED_LENGTH if undefined else 0
    opened = element_bytes(_SEQUENCE, Raw("SQ", b"", length))
    item = struct.pack("<HHL", 0xFFFE, 0xE000, length)
    if undefined:
        # None of them ever ends.
        return Raw("SQ", (item + opened) * DEEP, length)
    data = b""
    for _ in range(DEEP):
        data = struct.pack("<HHL", 0xFFFE, 0xE000, len(data)) + data
        data = element_bytes(_SEQUENCE, Raw("SQ", data))
    return Raw("SQ", struct.pack("<HHL", 0xFFFE, 0xE000, len(data)) + data)


def deep_sequences(folder: Path, *, undefined: bool) -> None:
    """Write an image with deep sequences in its header and in its record."""
    sequence = nested(undefined=undefined)
    data = meta() + _DESCRIBED + element_bytes(_SEQUENCE, sequence)
    one_image(folder, data, attributes={_SEQUENCE: sequence})


def endless_sequences(folder: Path) -> None:
    """Write an image with deep sequences that do not end, in its header alone."""
    sequence = element_bytes(_SEQUENCE, nested(undefined=True))
    one_image(folder, meta() + _DESCRIBED + sequence)


class Hostile(NamedTuple):
    """A medium: how it is written, and what is to be seen of it all the same."""

    write: Callable[[Path], object]
    names: int
    series: str = ""
    depth: int = 4


HOSTILE: Final = {
    "one name for all images": Hostile(one_name_for_all_images, RECORDS),
    "one folder for all images": Hostile(one_folder_for_all_images, ONE_FOLDER),
    # Below the studies there is nothing that is not in the others.
    "one name for all patients": Hostile(
        one_name_for_all_patients, RECORDS // 4, depth=2
    ),
    "a deflate bomb": Hostile(a_deflate_bomb, 4, DESCRIPTION),
    "a sparse element": Hostile(a_sparse_element, 4, DESCRIPTION),
    "deep sequences": Hostile(partial(deep_sequences, undefined=False), 4, DESCRIPTION),
    "endless sequences in a header": Hostile(endless_sequences, 4, DESCRIPTION),
    # Where its record ends is not to be found out.
    "endless sequences in a record": Hostile(
        partial(deep_sequences, undefined=True), 0
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_medium_gets_no_more_memory_than_others(
    mount: Mounter, tmp_path: Path, kind: str
) -> None:
    hostile = HOSTILE[kind]
    hostile.write(tmp_path / "medium")
    shown = mount(tmp_path / "medium", env=UNMEASURED)
    for pid in shown.processes:
        resource.prlimit(pid, resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))

    limit = ["-maxdepth", str(hostile.depth), "-printf", "%f\\n"]
    found = run(["find", str(shown.place), *limit], seconds=55)

    shown.allow_log("file is missing|record|entity")
    peaks = [peak(pid) for pid in shown.processes]
    show(f"{kind}: supervisor and worker {[size // MIB for size in peaks]} MiB")
    assert found.stderr == ""
    assert len(found.stdout.splitlines()) >= hostile.names
    assert hostile.series in found.stdout
    assert max(peaks) <= MOST_MEMORY


def peak(pid: int) -> int:
    """Return the most memory that process *pid* ever held, in bytes."""
    return int(status_of(pid)["VmHWM"].split()[0]) * 1024
