"""Bad sectors: each page of a file is right or an error, and all others are right.

A naive passthrough gives half an image here without a word: the kernel takes a short
answer for the end of the file.
"""

import contextlib
import errno
import os
import random
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from dicomfs.source.source import PAGE
from tests.build.medium import image, patient, series, study, write_medium
from tests.support import mounting
from tests.support.hanging import SECTOR, Drive, drive
from tests.support.mounting import Mount, Mounter, need, need_root, run

pytestmark = pytest.mark.mount

MAPS: Final = 50
FILES: Final = 3  # of one map
SIZE: Final = 600_000
# Next to a bad sector a loop device loses up to one read-ahead: read without dicomfs
# there are 48 to 79 for 54 to 78.
AROUND: Final = 128 * 1024 // PAGE

BadSectors = Mapping[str, Sequence[tuple[int, int]]]
Compare = Callable[[Path, Path], set[int]]


def write_disc(folder: Path, files: int) -> None:
    """Write a medium with so many instances whose every page is another one."""
    images = [
        image(f"1.2.3.1.{n}", number=n, file=f"IMAGES/I{n:03}", content=content(n))
        for n in range(1, files + 1)
    ]
    # With descriptions nothing is opened for a name.
    of_series = series("1.2.3.1", images, description="Thorax")
    of_study = study("1.2.3", [of_series], description="CT")
    write_medium(folder, [patient("Doe^Jane", "1", [of_study])])


def content(number: int) -> bytes:
    return random.Random(number).randbytes(SIZE + number)


def bad_sectors(seed: int, files: Sequence[Path]) -> dict[str, list[tuple[int, int]]]:
    """Return a map of one to three bad runs of 1 to 64 sectors, most in one file."""
    rng = random.Random(seed)
    bad: dict[str, list[tuple[int, int]]] = {}
    for _ in range(rng.randint(1, 3)):
        path = rng.choice(files[1:])
        first = rng.randrange(-(-path.stat().st_size // SECTOR))
        run = (first, first + rng.randint(1, 64))
        bad.setdefault(f"IMAGES/{path.name}", []).append(run)
    return bad


def bad_pages(runs: Sequence[tuple[int, int]]) -> set[int]:
    """Return the pages that hold one of the bad sectors."""
    share = PAGE // SECTOR
    return {page // share for run in runs for page in range(*run)}


# -- comparing -------------------------------------------------------------------------


def compare_pages(shown: Path, true: Path) -> set[int]:
    """Compare page by page, in order; return the pages that gave an error."""
    return compare(shown, true, range(-(-true.stat().st_size // PAGE)))


def compare_at_random(shown: Path, true: Path) -> set[int]:
    """Compare page by page, in any order; return the pages that gave an error."""
    pages = list(range(-(-true.stat().st_size // PAGE)))
    random.Random(true.name).shuffle(pages)
    return compare(shown, true, pages)


def compare_far(shown: Path, true: Path) -> set[int]:
    """Read all of it at once first, as cp(1) does, then compare page by page."""
    with contextlib.suppress(OSError):
        assert shown.read_bytes() == true.read_bytes()
    return compare_pages(shown, true)


def compare(shown: Path, true: Path, pages: Sequence[int]) -> set[int]:
    data = true.read_bytes()
    fd = os.open(shown, os.O_RDONLY)
    try:
        got = {page: read(fd, page * PAGE) for page in pages}
        assert read(fd, len(data)) == b""
    finally:
        os.close(fd)
    for page, some in got.items():
        assert some in {None, data[page * PAGE : (page + 1) * PAGE]}, page
    return {page for page, some in got.items() if some is None}


def read(fd: int, offset: int) -> bytes | None:
    """Return the page at *offset*, None for one that cannot be read."""
    try:
        return os.pread(fd, PAGE, offset)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
    return None


COMPARISONS: Final[Sequence[Compare]] = (compare_pages, compare_at_random, compare_far)


def instances(mount: Mount) -> list[Path]:
    """Return the mounted instances by their numbers."""
    return sorted(mount.place.glob("*/*/*/*.dcm"))


# -- a drive that knows its bad sectors ------------------------------------------------


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a medium with files of its own for each map: a page that failed rests."""
    folder = tmp_path_factory.mktemp("disc") / "medium"
    write_disc(folder, MAPS * FILES)
    return folder


@pytest.fixture(scope="module")
def worn(
    disc: Path, tmp_path_factory: pytest.TempPathFactory, mount_once: Mounter
) -> Iterator[tuple[Drive, list[Path]]]:
    """Return a drive that reads the disc, and the mounted instances."""
    with drive(disc, tmp_path_factory.mktemp("drive") / "drive") as made:
        yield made, instances(mount_once(made.place))


@pytest.mark.parametrize("seed", range(MAPS))
def test_bad_sectors_cost_their_own_pages_and_nothing_else(
    worn: tuple[Drive, list[Path]], disc: Path, seed: int
) -> None:
    made, shown = worn
    true = sorted((disc / "IMAGES").iterdir())[seed * FILES : (seed + 1) * FILES]
    bad = bad_sectors(seed, true)
    made.tell(bad=bad)

    for ours, file in zip(shown[seed * FILES :], true, strict=False):
        failed = COMPARISONS[seed % 3](ours, file)
        lost = bad_pages(bad.get(f"IMAGES/{file.name}", ()))
        assert failed == {page for page in lost if page * PAGE < file.stat().st_size}


def test_a_page_that_failed_is_not_asked_for_again_in_the_same_minute(
    tmp_path: Path, mount: Mounter
) -> None:
    write_disc(tmp_path / "medium", 1)
    with drive(tmp_path / "medium", tmp_path / "drive") as made:
        (shown,) = instances(mount(made.place))
        true = tmp_path / "medium/IMAGES/I001"
        made.tell(bad={"IMAGES/I001": [(100, 108)]})
        first = compare_pages(shown, true)
        made.tell()

        later = [compare(shown, true, range(40, 60)) for _ in range(20)]
        asked = made.tell()["asked"]

    assert [first, *later] == [{50, 51, 52, 53}] * 21
    assert [at for _, at, _ in asked if at >= 0] == []


# -- the real thing: a block device with bad sectors -----------------------------------


@contextlib.contextmanager
def worn_device(folder: Path, bad: Sequence[tuple[int, int]]) -> Iterator[Path]:
    """Serve *folder* from a block device with *bad* runs of bytes, as erofs; yield where."""
    need("nbdkit", "nbdfuse", "mkfs.erofs", "losetup")
    work = folder.parent
    (work / "map").write_text(rescue_map(bad, (work / "image").stat().st_size))
    for name in ("device", "disc"):
        (work / name).mkdir(exist_ok=True)
    nbdkit = (
        f"nbdkit -s --filter=ddrescue file {work}/image ddrescue-mapfile={work}/map"
    )
    process = subprocess.Popen(
        ["nbdfuse", f"{work}/device/all", "--command", *nbdkit.split()],
        env=mounting.environment(mounting.new_mark()),
        stderr=subprocess.DEVNULL,
    )
    loop = ""
    try:
        assert mounting.until((work / "device/all").exists)
        loop = run(["losetup", "-r", "-f", "--show", f"{work}/device/all"]).stdout
        options = ["-t", "erofs", "-o", "ro,nosuid,nodev,noexec"]
        done = run(["mount", *options, loop.strip(), str(work / "disc")])
        assert done.returncode == 0, done.stderr
        yield work / "disc"
    finally:
        run(["umount", "-l", str(work / "disc")])
        run(["losetup", "-d", loop.strip()])
        mounting.force_off(work / "device")
        process.wait(mounting.PATIENCE)


def rescue_map(bad: Sequence[tuple[int, int]], size: int) -> str:
    """Return a map as ddrescue(1) writes it, of a device of *size* bytes."""
    lines = ["0x0 ? 1"]
    at = 0
    for first, end in sorted(bad):
        lines += [f"{at:#x} {first - at:#x} +", f"{first:#x} {end - first:#x} -"]
        at = end
    return "\n".join([*lines, f"{at:#x} {size - at:#x} +", ""])


@pytest.mark.parametrize("seed", range(3))
def test_bad_sectors_of_a_block_device_cost_no_other_page(
    tmp_path: Path, mount: Mounter, seed: int
) -> None:
    need_root()
    folder = tmp_path / "medium"
    write_disc(folder, 6)
    assert run(["mkfs.erofs", "-T0", f"{tmp_path}/image", str(folder)]).returncode == 0
    true = sorted((folder / "IMAGES").iterdir())
    worst = random.Random(seed).choice(true)
    first = (tmp_path / "image").read_bytes().find(worst.read_bytes()[:PAGE])
    # In the middle of that file: from a sector on, for 1 to 64 sectors.
    start = random.Random(seed).randrange(10, 200) * SECTOR
    end = start + random.Random(seed).randint(1, 64) * SECTOR
    lost = bad_pages([(start // SECTOR, end // SECTOR)])

    with worn_device(folder, [(first + start, first + end)]) as disc:
        mounted = mount(disc)
        pairs = zip(instances(mounted), true, strict=True)
        failed = {file: COMPARISONS[seed % 3](ours, file) for ours, file in pairs}
        # As long as it is mounted the device cannot be taken away.
        mounted.unmount()

    assert lost <= failed.pop(worst) <= around(lost)
    assert set().union(*failed.values()) == set()


def around(pages: set[int]) -> set[int]:
    """Return *pages*, and as many next to them as the device may lose."""
    steps = range(-AROUND, AROUND + 1)
    return {page + step for page in pages for step in steps}
