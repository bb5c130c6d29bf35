"""Pictures in a mount: who asks gets them, nobody else notices that they are there."""

import errno
import hashlib
import os
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import pytest
import trio
import trio.testing
from PIL import Image

from dicomfs.mount.pictures import Pictures
from dicomfs.pictures import thumbnail
from dicomfs.pictures.gallery import Gallery
from dicomfs.pictures.repository import FOLDER, Shelf, repository
from dicomfs.pictures.wire import Form
from dicomfs.tree.selection import Instance
from tests.build.archives import files_in, zipped
from tests.build.images import make_iso
from tests.build.pixels import corner, slope
from tests.pictures.discs import write_disc
from tests.support.mounting import Mounter, name_of, need, need_root, run, until
from tests.support.tracing import OPENS, Call, traced
from tests.support.trees import opened, walk

ATTRIBUTE: Final = "user.dicomfs.thumbnail"


def opened_png(data: bytes) -> Image.Image:
    made = Image.open(BytesIO(data))
    made.load()
    return made


def shared(file: Path, size: str = "normal") -> Path:
    """Return where Thunar looks for the picture of a file."""
    name = hashlib.md5(file.name.encode()).hexdigest()
    return file.parent / FOLDER / size / f"{name}.png"


# -- the queue -------------------------------------------------------------------------


class GivenGallery:
    """A gallery whose pictures wait until a test lets them be painted."""

    def __init__(self) -> None:
        self.painted: list[str] = []
        self.may_go_on = trio.Event()
        self.fails: type[Exception] | None = None

    def kept(self, file: Instance, form: Form) -> bytes | None:
        """Keep nothing."""
        del file, form
        return None

    def picture(self, file: Instance, form: Form) -> bytes:
        """Return the name and the form of the picture."""
        trio.from_thread.run(self.may_go_on.wait)
        self.painted.append(file.name)
        if self.fails is not None:
            raise self.fails
        return f"{file.name} {form.name}".encode()


class Asking:
    """Pictures of a series of six, with the order in which they are painted."""

    def __init__(self, folder: Path) -> None:
        self.gallery = GivenGallery()
        self.pictures = Pictures(cast(Gallery, self.gallery), 10)
        self._disc = opened(write_disc(folder, {n: corner(8) for n in range(1, 7)}))
        tree = self._disc.__enter__()
        self.files = [node for _, node in walk(tree.root) if isinstance(node, Instance)]
        self.got: dict[str, bytes | BaseException] = {}
        self.answered = trio.Event()

    async def ask(self, number: int) -> None:
        """Ask for the picture of a file, and remember what comes of it."""
        file = self.files[number]
        try:
            self.got[file.name] = await self.pictures._picture(file, Form.NORMAL)
        except OSError as error:
            self.got[file.name] = error
        self.answered.set()


async def test_who_asks_last_gets_the_first_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomfs.mount.pictures._AT_ONCE", 1)
    asking = Asking(tmp_path)
    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(asking.ask, number)
            await trio.testing.wait_all_tasks_blocked()
        asking.gallery.may_go_on.set()

    order = [int(name[:4]) for name in asking.gallery.painted]
    assert order == [1, 6, 5, 4, 3, 2]
    assert all(isinstance(each, bytes) for each in asking.got.values())


async def test_who_looks_up_last_gets_the_first_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Painting takes as long as it takes, and is not taken to hang.
    monkeypatch.setattr("dicomfs.mount.threads._PATIENCE", 1000.0)
    monkeypatch.setattr("dicomfs.mount.pictures._AT_ONCE", 1)
    monkeypatch.setattr("dicomfs.mount.pictures._THREADS", (1, 8))
    asking = Asking(tmp_path)
    series = asking.files[0].parent
    shelf = repository(series, asking.gallery.picture).entries["normal"]
    assert isinstance(shelf, Shelf)
    digests = [hashlib.md5(each.name.encode()).hexdigest() for each in asking.files]
    async with trio.open_nursery() as nursery:
        for number, digest in enumerate(digests):
            nursery.start_soon(asking.pictures.look_up, shelf, f"{digest}.png")
            with trio.fail_after(10):
                while len(asking.pictures._painting) <= number:  # noqa: ASYNC110 - nobody says so
                    await trio.sleep(0.001)
        asking.gallery.may_go_on.set()

    order = [int(name[:4]) for name in asking.gallery.painted]
    assert order == [1, 6, 5, 4, 3, 2]


async def test_a_picture_is_painted_once_for_all_who_ask(tmp_path: Path) -> None:
    asking = Asking(tmp_path)
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(asking.ask, 0)
        await trio.testing.wait_all_tasks_blocked()
        asking.gallery.may_go_on.set()

    assert asking.gallery.painted == ["0001.dcm"]


async def test_what_has_waited_too_long_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomfs.mount.pictures._PATIENCE", 0.1)
    asking = Asking(tmp_path)
    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(asking.ask, number)
            await trio.testing.wait_all_tasks_blocked()
        await asking.answered.wait()
        asking.gallery.may_go_on.set()

    dropped = asking.got["0003.dcm"]
    assert isinstance(dropped, OSError)
    assert dropped.errno == errno.EAGAIN
    assert asking.gallery.painted.count("0003.dcm") == 0
    # Its turn is not lost: another one is painted.
    await asking.ask(2)
    assert asking.got["0003.dcm"] == b"0003.dcm NORMAL"


async def test_a_failure_is_that_of_all_who_asked_and_costs_no_turn(
    tmp_path: Path,
) -> None:
    asking = Asking(tmp_path)
    asking.gallery.may_go_on.set()
    asking.gallery.fails = OSError
    for number in range(4):
        await asking.ask(number)

    asking.gallery.fails = None
    await asking.ask(5)
    assert asking.got["0006.dcm"] == b"0006.dcm NORMAL"
    assert isinstance(asking.got["0001.dcm"], OSError)


# -- real mounts -----------------------------------------------------------------------


@pytest.mark.mount
@pytest.mark.slow
def test_a_mount_has_pictures_for_who_asks_by_name(
    mount: Mounter, tmp_path: Path
) -> None:
    disc = write_disc(tmp_path / "disc", {1: corner(300), 2: slope(300)})
    shown = mount(disc)
    first, second = shown.files()

    value = os.getxattr(first, ATTRIBUTE)

    assert len(value) == thumbnail.SIZE
    pixels = np.asarray(opened_png(value))
    assert pixels.shape == (128, 128)
    assert pixels[10, 10] == 255
    assert pixels[-10, -10] == 0
    assert np.asarray(opened_png(os.getxattr(second, ATTRIBUTE)))[0, -1] > 250
    assert opened_png(shared(first).read_bytes()).tobytes() == pixels.tobytes()
    assert opened_png(shared(first, "large").read_bytes()).size == (256, 256)
    assert shared(first).stat().st_size == len(shared(first).read_bytes())
    assert FOLDER not in "".join(shown.structure())
    assert os.listdir(shared(first).parent) == []  # noqa: PTH208
    with pytest.raises(FileNotFoundError):
        (shared(first).parent / f"{'0' * 32}.png").stat()


_MAPPED: Final = """
import mmap, sys
with open(sys.argv[1], "rb") as file:
    with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
        sys.stdout.buffer.write(data[:])
"""
_READERS: Final = {
    "cat": ["cat", "{}"],
    "cp": ["sh", "-c", 'cp "$1" "$2" && cat "$2"', "sh", "{}", "{copy}"],
    "rsync": ["sh", "-c", 'rsync -a "$1" "$2" && cat "$2"', "sh", "{}", "{copy}"],
    "tar": ["sh", "-c", 'tar -cPf - "$1" | tar -xPOf -', "sh", "{}"],
    "mmap": [sys.executable, "-c", _MAPPED, "{}"],
}


@pytest.mark.mount
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "zip", "iso"])
def test_every_tool_reads_as_many_bytes_of_a_picture_as_stat_says(
    mount: Mounter, tmp_path: Path, kind: str
) -> None:
    need("rsync", "xorriso")
    disc = write_disc(tmp_path / "disc", {1: corner(300), 2: slope(300)})
    source = tmp_path / f"disc.{kind}"
    if kind == "zip":
        source.write_bytes(zipped(files_in(disc)))
    elif kind == "iso":
        make_iso(disc, source)
    shown = mount(disc if kind == "folder" else source)
    pictures = [
        shared(file, size) for file in shown.files() for size in ("normal", "large")
    ]

    for picture in pictures:
        size, data = picture.stat().st_size, picture.read_bytes()
        assert len(data) == size
        for name, words in _READERS.items():
            copy = str(tmp_path / f"copy-{name}")
            command = [word.format(picture, copy=copy) for word in words]
            read = subprocess.run(command, capture_output=True, check=True).stdout
            assert read == data, name


@pytest.mark.mount
@pytest.mark.slow
def test_a_listing_opens_no_image_and_a_picture_opens_its_own(
    mount: Mounter, tmp_path: Path
) -> None:
    need("strace")
    need_root()
    disc = write_disc(tmp_path / "disc", {n: corner(8) for n in range(1, 21)})
    shown = mount(disc)
    worker = shown.worker

    with traced(worker, OPENS, tmp_path / "listed") as listed:
        files = shown.files()
        for file in files:
            # As file managers do that look for what they know.
            assert not (file.parent / ".hidden").exists()
            assert (file.parent / FOLDER / "normal").is_dir()
    with traced(worker, OPENS, tmp_path / "seen") as seen:
        for file in files[:3]:
            assert shared(file).exists()

    assert opened_images(listed) == []
    assert len(opened_images(seen)) == 3


def opened_images(calls: list[Call]) -> list[Call]:
    """Return what opened an image; the folder is opened for the sizes of all."""
    return [
        call
        for call in calls
        if "IMAGES" in call.arguments and "O_PATH" not in call.arguments
    ]


@pytest.mark.mount
@pytest.mark.slow
def test_without_pictures_there_are_none(mount: Mounter, tmp_path: Path) -> None:
    shown = mount(write_disc(tmp_path / "disc"), "--no-pictures")
    [file] = shown.files()

    with pytest.raises(OSError, match="No data available"):
        os.getxattr(file, ATTRIBUTE)
    assert not shared(file).exists()
    assert "dicomfs-studio" not in map(name_of, shown.processes)


@pytest.mark.mount
@pytest.mark.slow
@pytest.mark.parametrize(
    "who",
    [
        {"name": "Anonymous", "number": "Anonymous"},
        {"name": "", "number": ""},
        {"date": ""},
    ],
    ids=["placeholders", "nobody", "no date"],
)
def test_who_could_be_taken_for_another_has_a_picture_only_where_nobody_keeps_it(
    mount: Mounter, tmp_path: Path, who: dict[str, Any]
) -> None:
    shown = mount(write_disc(tmp_path / "disc", **who))
    [file] = shown.files()

    with pytest.raises(OSError, match="No data available"):
        os.getxattr(file, ATTRIBUTE)
    # Those are read from the mount each time.
    assert shared(file).exists()


@pytest.mark.mount
@pytest.mark.slow
def test_two_anonymous_archives_without_times_never_show_each_others_pictures(
    mount: Mounter, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    seen = []
    for number, pixels in enumerate((corner(), slope()), start=1):
        disc = write_disc(
            tmp_path / f"disc{number}", {1: pixels}, name="Anonymous", number="0"
        )
        archive = tmp_path / f"disc{number}.zip"
        archive.write_bytes(_without_times(disc))
        shown = mount(archive, place=place)
        [file] = shown.files()
        seen.append((file, file.stat().st_mtime_ns, shared(file).read_bytes()))
        with pytest.raises(OSError, match="No data available"):
            os.getxattr(file, ATTRIBUTE)
        shown.unmount()

    [(first, time, picture), (second, other_time, other)] = seen
    assert first == second
    assert time == other_time
    assert picture != other


def _without_times(folder: Path) -> bytes:
    """Return an archive whose members have the time that stands for none."""
    data = BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files_in(folder).items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return data.getvalue()


@pytest.mark.mount
@pytest.mark.slow
def test_a_file_of_another_patient_than_is_listed_has_no_picture(
    mount: Mounter, tmp_path: Path
) -> None:
    disc = write_disc(tmp_path / "disc")
    [image] = (disc / "IMAGES").iterdir()
    image.write_bytes(image.read_bytes().replace(b"Doe^Jane", b"Roe^Rick"))
    shown = mount(disc)
    shown.allow_log("")
    [file] = shown.files()

    with pytest.raises(OSError, match="No data available"):
        os.getxattr(file, ATTRIBUTE)
    assert not shared(file).exists()


@pytest.mark.mount
@pytest.mark.slow
def test_the_thumbnailer_writes_whole_pictures_or_none(
    mount: Mounter, tmp_path: Path
) -> None:
    need("getfattr")
    shown = mount(write_disc(tmp_path / "disc"))
    [file] = shown.files()
    script = Path(__file__).parents[2] / "share/dicomfs/dicomfs-thumbnailer"
    made, other = tmp_path / "made.png", tmp_path / "other.png"

    done = run([str(script), str(file), str(made)])
    failed = run([str(script), str(script), str(other)])

    assert done.returncode == 0, done.stderr
    assert opened_png(made.read_bytes()).size == (64, 64)
    assert failed.returncode == 1
    assert sorted(tmp_path.glob("*.png*")) == [made]


@pytest.mark.mount
@pytest.mark.slow
def test_pictures_go_on_when_the_painter_is_killed_and_end_with_the_mount(
    mount: Mounter, tmp_path: Path
) -> None:
    shown = mount(write_disc(tmp_path / "disc", {n: corner(8) for n in range(1, 4)}))
    first, second, _ = shown.files()
    os.getxattr(first, ATTRIBUTE)
    [painter] = [pid for pid in shown.processes if name_of(pid) == "dicomfs-painter"]

    os.kill(painter, 9)

    assert until(lambda: painter not in shown.processes)
    assert os.getxattr(second, ATTRIBUTE)
