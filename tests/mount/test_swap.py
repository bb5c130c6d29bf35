"""A medium that is swapped or changed while it is mounted is never taken for the old one.

Another patient's medium has the same files, of the same sizes and times, in the same
places: only what is in them tells them apart. A read gives the old bytes or an error.
"""

import contextlib
import json
import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from dicomfs.cli.codes import Exit
from tests.build.medium import (
    Record,
    build_dicomdir,
    image,
    patient,
    series,
    study,
    write_medium,
)
from tests.support.mounting import COMMAND, Mounter, need, need_root, run
from tests.support.readers import Reader, reading, write_truth

pytestmark = pytest.mark.mount

TIMES: Final = int(os.environ.get("DICOMFS_ENDURANCE", "1"))
ROUNDS: Final = range(TIMES)
SERIES: Final = 3
IMAGES: Final = 6
SIZE: Final = 150_000
# The time of all files of both media.
WHEN: Final = 1_700_000_000

Swap = Callable[[random.Random], None]


@pytest.fixture(autouse=True)
def fuse() -> None:
    need("fusermount3", "/dev/fuse")


def records(who: int) -> list[Record]:
    """Return the records of the medium of patient *who*, alike but for the digit."""
    return [
        patient(
            f"Name{who}^Jane",
            f"{who}",
            [
                study(
                    f"1.2.{who}",
                    [
                        series(
                            f"1.2.{who}.{number}", images(who, number), number=number
                        )
                        for number in range(1, SERIES + 1)
                    ],
                )
            ],
        )
    ]


def images(who: int, number: int) -> list[Record]:
    return [
        image(
            f"1.2.{who}.{number}.{each}",
            number=each,
            file=f"IMAGES/S{number}/I{each}",
            size=SIZE,
        )
        for each in range(1, IMAGES + 1)
    ]


def a_medium(folder: Path, who: int) -> Path:
    """Write the medium of patient *who* to *folder*."""
    write_medium(folder, records(who))
    for path in folder.rglob("*"):
        os.utime(path, (WHEN, WHEN))
    return folder


class Discs:
    """Two media beside each other, and what mounts of them have to show."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.media = [a_medium(folder / f"disc{who}", who) for who in (1, 2)]
        self.truths = [
            write_truth(medium, folder / f"truth{who}")
            for who, medium in enumerate(self.media, 1)
        ]

    @property
    def truth(self) -> Path:
        """What the first one has to show."""
        return self.truths[0]


@pytest.fixture
def discs(tmp_path: Path) -> Discs:
    return Discs(tmp_path)


def swap_under_load(
    mount: Mounter, discs: Discs, source: Path, swap: Swap, swaps: int, seed: str
) -> None:
    """Mount *source*, read it, and *swap* at random moments: 0 bytes are foreign."""
    chance = random.Random(seed)
    shown = mount(source)
    with reading(shown.place, discs.truth, seed, discs.folder, 2) as readers:
        for _ in range(swaps):
            wait_a_moment(readers, chance)
            swap(chance)
        wait_a_moment(readers, chance)
        counts = [reader.end() for reader in readers]

    assert sum(each.wrong for each in counts) == 0, counts
    assert sum(each.right for each in counts) >= swaps
    assert shown.processes != []


def wait_a_moment(readers: list[Reader], chance: random.Random) -> None:
    for reader in readers:
        reader.after(chance.randrange(1, 20))


# -- the whole medium ------------------------------------------------------------------


class Drive:
    """A folder that one medium after the other is mounted on."""

    def __init__(self, discs: Discs) -> None:
        self.place = discs.folder / "drive"
        self.place.mkdir()
        self.discs: list[Path] = []
        for medium in discs.media:
            disc = medium.with_suffix(".mounted")
            disc.mkdir()
            # A file system of its own each, as discs are.
            self._run("mount", "-t", "tmpfs", "-o", "size=32m", "none", disc)
            self.discs.append(disc)
            shutil.copytree(medium, disc, dirs_exist_ok=True)
        self.inserted = 0
        self._insert()

    def swap(self, _: random.Random | None = None) -> None:
        """Take one disc out, though it is in use, and insert the other."""
        self._run("umount", "-l", self.place)
        self.inserted = 1 - self.inserted
        self._insert()

    def _insert(self) -> None:
        self._run("mount", "--bind", self.discs[self.inserted], self.place)

    def clear(self) -> None:
        """Leave nothing mounted."""
        for place in (self.place, *self.discs):
            with contextlib.suppress(AssertionError):
                self._run("umount", "-l", place)

    def _run(self, *command: str | Path) -> None:
        done = run(list(map(str, command)))
        assert done.returncode == 0, done.stderr


@pytest.fixture
def drive(discs: Discs) -> Iterator[Drive]:
    """Return a drive with the first disc in it."""
    need_root()
    need("mount", "umount")
    made = Drive(discs)
    yield made
    made.clear()


@pytest.mark.parametrize("seed", ROUNDS)
def test_a_disc_that_is_swapped_is_never_read_in_place_of_the_old_one(
    mount: Mounter, discs: Discs, drive: Drive, seed: int
) -> None:
    swap_under_load(mount, discs, drive.place, drive.swap, 50, f"drive {seed}")


@pytest.mark.parametrize("seed", ROUNDS)
def test_a_folder_that_takes_the_place_of_a_medium_is_never_read(
    mount: Mounter, discs: Discs, seed: int
) -> None:
    first, second = discs.media

    def swap(_: random.Random) -> None:
        first.rename(discs.folder / "aside")
        second.rename(first)
        (discs.folder / "aside").rename(second)

    swap_under_load(mount, discs, first, swap, 20, f"folder {seed}")


@contextlib.contextmanager
def swapping(drive: Drive) -> Iterator[None]:
    """Swap the discs all the time, whatever else is done."""
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            drive.swap()

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        yield
    finally:
        over.set()
        swapper.join()


@pytest.mark.parametrize("attempt", range(5 * TIMES))
def test_a_mount_made_while_discs_are_swapped_shows_one_of_them_whole(
    mount: Mounter, discs: Discs, drive: Drive, attempt: int
) -> None:
    del attempt
    place = discs.folder / "mnt"
    place.mkdir()
    shown = mount.adopt(drive.place, place)
    command = [*COMMAND, "mount", "--log-file", str(shown.log_file)]

    with swapping(drive):
        done = run([*command, str(drive.place), str(place)], mark=shown.mark)

    # Between two discs there is none in the drive.
    assert done.returncode in {Exit.OK, Exit.NO_DICOMDIR}, done.stderr
    if done.returncode == Exit.OK:
        assert contents_of(place) in [contents_of(truth) for truth in discs.truths]


def contents_of(folder: Path) -> dict[Path, bytes]:
    """Return what is in the files below *folder*; raises OSError where it cannot be read.

    Not by rglob: from Python 3.13 on that passes over folders that cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise error

    return {
        (Path(above) / name).relative_to(folder): (Path(above) / name).read_bytes()
        for above, _, names in os.walk(folder, onerror=refuse)
        for name in names
    }


# -- single files ----------------------------------------------------------------------


def error_of(path: Path) -> bytes:
    """Return why *path* cannot be read, or is not what it should be; empty if it can."""
    with contextlib.suppress(OSError):
        return os.getxattr(path, "user.dicomfs.error")
    return b""


def replace(old: Path, new: Path) -> None:
    """Let a copy of *new* take the place of *old* at once."""
    beside = old.with_name("NEW")
    shutil.copyfile(new, beside)
    beside.rename(old)


def overwrite(old: Path, new: Path) -> None:
    """Write what is in *new* over what is in *old*."""
    with old.open("r+b") as file:
        file.write(new.read_bytes())


WAYS: Final = {"replaced": replace, "overwritten": overwrite}


@pytest.mark.parametrize("seed", ROUNDS)
@pytest.mark.parametrize("time", ["now", "as it was"])
@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_is_changed_is_never_read_in_place_of_the_old_one(
    mount: Mounter, discs: Discs, way: str, time: str, seed: int
) -> None:
    first, second = discs.media
    paths = [each.relative_to(first) for each in first.glob("IMAGES/*/*")]

    def swap(chance: random.Random) -> None:
        path = paths.pop(chance.randrange(len(paths)))
        WAYS[way](first / path, second / path)
        if time == "as it was":
            os.utime(first / path, (WHEN, WHEN))

    swap_under_load(mount, discs, first, swap, 8, f"{way} {time} {seed}")


@pytest.mark.parametrize("read", [False, True], ids=["unread", "read"])
def test_rights_and_links_on_the_medium_are_no_changes(
    mount: Mounter, discs: Discs, *, read: bool
) -> None:
    medium = discs.media[0]
    shown = mount(medium)
    if read:
        assert contents_of(shown.place) == contents_of(discs.truth)
    with next(shown.place.rglob("*.dcm")).open("rb", buffering=0) as file:
        before = file.read(4096)
        for number, path in enumerate([*medium.rglob("I?"), medium / "DICOMDIR"]):
            path.chmod(0o444)
            (discs.folder / f"link{number}").hardlink_to(path)

        assert contents_of(shown.place) == contents_of(discs.truth)
        file.seek(0)
        assert file.read(4096) == before
        assert len(file.read()) > 4096


def test_a_copy_on_another_medium_is_read_where_a_file_is_gone(
    mount: Mounter, discs: Discs
) -> None:
    copy = discs.folder / "copy"
    shutil.copytree(discs.media[0], copy)
    shown = mount(discs.media[0], copy)
    names = [*shown.place.rglob("*.dcm")]
    for path in [*discs.media[0].rglob("I?")][::2]:
        path.unlink()
    for path in [*copy.rglob("I?")][1::2]:
        path.unlink()

    assert len(names) == SERIES * IMAGES
    assert contents_of(shown.place) == contents_of(discs.truth)


def test_a_file_of_another_patient_says_so_once_it_was_read(
    mount: Mounter, discs: Discs
) -> None:
    first, second = discs.media
    shutil.copyfile(second / "IMAGES/S2/I3", first / "IMAGES/S2/I3")
    shown = mount(first)
    before = [path for path in shown.place.rglob("*.dcm") if error_of(path)]

    contents_of(shown.place)

    [said] = [path for path in shown.place.rglob("*.dcm") if error_of(path)]
    assert before == []
    assert said.read_bytes() == (second / "IMAGES/S2/I3").read_bytes()
    assert b"another patient" in error_of(said)
    report = json.loads((shown.place / ".dicomfs/report.json").read_text())
    found = [each["files"] for each in report["findings"]]
    assert found == [["IMAGES/S2/I3"]]


# -- the index -------------------------------------------------------------------------


def _overwrite(dicomdir: Path, other: bytes) -> None:
    with dicomdir.open("r+b") as file:
        file.write(other)


def _overwrite_and_set_time(dicomdir: Path, other: bytes) -> None:
    _overwrite(dicomdir, other)
    os.utime(dicomdir, (WHEN, WHEN))


def _truncate(dicomdir: Path, other: bytes) -> None:
    os.truncate(dicomdir, len(other) // 2)


def _append(dicomdir: Path, other: bytes) -> None:
    with dicomdir.open("ab") as file:
        file.write(other)


CHANGES: Final[dict[str, Callable[[Path, bytes], None]]] = {
    "overwritten": _overwrite,
    "overwritten, its time set back": _overwrite_and_set_time,
    "cut off": _truncate,
    "longer": _append,
}


@pytest.mark.parametrize("change", CHANGES)
def test_of_a_dicomdir_that_is_changed_nothing_more_is_read(
    mount: Mounter, discs: Discs, change: str
) -> None:
    medium = discs.media[0]
    shown = mount(medium)
    shown.expect_log("the DICOMDIR was changed")
    (opened,) = shown.place.iterdir()
    before = os.listdir(opened)  # noqa: PTH208 - names are compared

    CHANGES[change](medium / "DICOMDIR", build_dicomdir(records(2)))

    with pytest.raises(OSError, match="Input/output error"):
        os.listdir(opened / before[0])  # noqa: PTH208 - it fails
    assert os.listdir(opened) == before  # noqa: PTH208 - names are compared
    report = json.loads((shown.place / ".dicomfs/report.json").read_text())
    assert "index-changed" in json.dumps(report)


@pytest.mark.parametrize("time", ["now", "as it was"])
def test_of_a_dicomdir_that_takes_the_place_of_the_old_one_nothing_is_read(
    mount: Mounter, discs: Discs, time: str
) -> None:
    first, second = discs.media
    shown = mount(first)

    replace(first / "DICOMDIR", second / "DICOMDIR")
    if time == "as it was":
        os.utime(first / "DICOMDIR", (WHEN, WHEN))

    # What was opened is still the old one: it may be read on, or given up.
    shown.allow_log("the DICOMDIR was changed")
    with contextlib.suppress(OSError):
        assert contents_of(shown.place) == contents_of(discs.truth)
