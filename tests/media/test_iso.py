"""ISO 9660: images of discs as media, sound, cut off, broken and forged.

Images are made by xorriso and genisoimage, and read by pycdlib for comparison. Where one
is to be wrong, bytes of its directory records are changed, at the offsets of ECMA-119 9.1.
"""

import errno
import os
import random
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple

import pycdlib
import pytest

from dicomfs.errors import MediumError
from dicomfs.findings import Kind
from dicomfs.media.iso.image import Iso, recognises
from dicomfs.media.iso.rockridge import Attributes, RockRidge
from dicomfs.media.medium import Place
from dicomfs.source.file import FileSource
from dicomfs.source.source import BytesSource, Source
from tests.build import images
from tests.build.images import ISO_FLAVOURS, SECTOR, make_iso, make_plain_iso
from tests.build.medium import image, patient, series, study, write_medium
from tests.support import trees
from tests.support.amounts import part_of
from tests.support.mounting import SAMPLES, need, need_root, run
from tests.support.trees import CountingSource, folders_in

_MUTANTS: Final = part_of(2_000)
_SEED: Final = 9660
# More is a walk in circles: images of these tests are small.
_MOST_NODES: Final = 400
_MOST_READS: Final = 5_000

FLAVOURS = pytest.mark.parametrize("flavour", ISO_FLAVOURS)
# Those that have the names of the folder, and those that may not be touched by one.
KEPT: Final = [name for name in ISO_FLAVOURS if "Rock" in name or "Joliet" in name]
BY_TREE = pytest.mark.parametrize("flavour", ["plain", "Joliet", "Rock Ridge"])


# -- images ----------------------------------------------------------------------------


class Images(NamedTuple):
    """A folder, and images of it by flavour."""

    folder: Path
    paths: dict[str, Path]

    def data(self, flavour: str) -> bytes:
        """Return the bytes of an image."""
        return self.paths[flavour].read_bytes()


def _make_all(folder: Path, to: Path) -> Images:
    paths = {
        name: make(folder, to / f"{number}.iso")
        for number, (name, make) in enumerate(ISO_FLAVOURS.items())
    }
    return Images(folder, paths)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """Return pydicom's sample medium."""
    root = tmp_path_factory.mktemp("samples")
    medium = root / "medium"
    medium.mkdir()
    (medium / "DICOMDIR").write_bytes((SAMPLES / "DICOMDIR").read_bytes())
    for path in SAMPLES.rglob("*"):
        # Of the samples, what has names that any disc may have.
        if path.is_file() and path.relative_to(SAMPLES).parts[0].isdigit():
            copy = medium / path.relative_to(SAMPLES)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return _make_all(medium, root)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """Return a small folder with a folder in it."""
    root = tmp_path_factory.mktemp("small")
    folder = root / "folder"
    (folder / "SUB" / "BELOW").mkdir(parents=True)
    for name in ("DICOMDIR", "A", "B", "C", "SUB/D", "SUB/BELOW/E"):
        (folder / name).write_bytes(f"content of {name}".encode() * 300)
    return _make_all(folder, root)


# -- looking ---------------------------------------------------------------------------


def opened(path: Path, session: int = 0) -> Iso:
    return Iso(FileSource(os.open(path, os.O_RDONLY)), session)


def walk(medium: Iso, folder: Place = ()) -> Iterator[Place]:
    """Yield the paths of all files."""
    folders = set(folders_in(medium, folder))
    for name in medium.names(folder):
        if name in folders:
            yield from walk(medium, (*folder, name))
        else:
            yield (*folder, name)


def content(medium: Iso, path: Place) -> bytes:
    source = medium.open(path)
    assert source.size == medium.status(path).size
    return source.read_at(0, source.size)


def contents(medium: Iso) -> dict[str, bytes]:
    """Return the bytes of all files, by their paths."""
    return {os.fsdecode(b"/".join(p)): content(medium, p) for p in walk(medium)}


def as_file_id(path: str) -> str:
    """Return a path as its File ID would be."""
    return "/".join(name.split(";")[0].rstrip(".") for name in path.split("/")).upper()


def real(folder: Path) -> dict[str, bytes]:
    """Return what ``contents`` is to give."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def errno_of(action: Callable[..., object], *arguments: object) -> int | None:
    """Return the errno of the OSError that *action* ends with, 0 if it does not."""
    try:
        action(*arguments)
    except OSError as error:
        return error.errno
    return 0


# -- all flavours ----------------------------------------------------------------------


@FLAVOURS
def test_an_image_has_the_files_of_the_folder(samples: Images, flavour: str) -> None:
    medium = opened(samples.paths[flavour])

    found = contents(medium)
    medium.close()

    expected = real(samples.folder)
    assert len(expected) == 32
    if flavour in KEPT:
        assert found == expected
    else:
        assert {as_file_id(path): data for path, data in found.items()} == expected


@FLAVOURS
def test_the_tree_of_an_image_is_that_of_the_folder(
    samples: Images, flavour: str
) -> None:
    expected = trees.look(samples.folder)

    found = trees.look(opened(samples.paths[flavour]))

    assert len(trees.files(expected)) == 31
    # An image has times in seconds, and in the zone that it was made in.
    assert [(path, each._replace(mtime_ns=0)) for path, each in found.items()] == [
        (path, each._replace(mtime_ns=0)) for path, each in expected.items()
    ]


@FLAVOURS
def test_a_medium_as_the_standard_wants_it_has_its_tree(
    tmp_path: Path, flavour: str
) -> None:
    instances = [image(f"2.25.{n}", number=n) for n in range(1, 41)]
    below = [study("2.25.100", [series("2.25.200", instances, description="Lung")])]
    write_medium(tmp_path / "disc", [patient("Doe^Jane", "12345", below)])
    made = ISO_FLAVOURS[flavour](tmp_path / "disc", tmp_path / "disc.iso")

    found = trees.look(opened(made))

    expected = trees.look(tmp_path / "disc")
    assert len(trees.files(expected)) == 40
    assert {path: (each.data, each.error) for path, each in found.items()} == {
        path: (each.data, each.error) for path, each in expected.items()
    }


@FLAVOURS
def test_an_image_is_recognised_by_a_few_bytes(small: Images, flavour: str) -> None:
    source = CountingSource(small.data(flavour))

    assert recognises(source)
    assert source.bytes_read < 10_000


@pytest.mark.parametrize(
    "data", [b"", b"PK\3\4", bytes(100_000), bytes(32769) + b"CD001"[:4]]
)
def test_what_is_no_image_is_not_recognised_and_not_opened(data: bytes) -> None:
    assert not recognises(BytesSource(data))
    with pytest.raises(MediumError):
        Iso(BytesSource(data))


def test_names_are_those_of_the_medium(small: Images) -> None:
    plain, joliet, rock = (
        opened(small.paths[name]) for name in ("plain", "Joliet", "Rock Ridge")
    )

    names = [sorted(medium.names(())) for medium in (plain, joliet, rock)]
    for medium in (plain, joliet, rock):
        medium.close()

    assert names[0] == [b"A.;1", b"B.;1", b"C.;1", b"DICOMDIR.;1", b"SUB"]
    assert names[1] == names[2] == [b"A", b"B", b"C", b"DICOMDIR", b"SUB"]


@pytest.mark.parametrize("flavour", KEPT)
def test_names_that_are_no_file_ids_are_kept(tmp_path: Path, flavour: str) -> None:
    names = {"Bild Ä.dcm", "読影 レポート", "a b.c", "x" * 60, "\N{EM DASH}", "UPPER"}
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in names:
        (folder / name).write_text(name)

    medium = opened(ISO_FLAVOURS[flavour](folder, tmp_path / "image"))

    found = contents(medium)
    medium.close()
    assert found == {name: name.encode() for name in names}


def test_a_folder_is_no_file_and_a_file_no_folder(small: Images) -> None:
    medium = Iso(BytesSource(small.data("Rock Ridge")))

    assert errno_of(medium.open, (b"SUB",)) == errno.EINVAL
    with pytest.raises(NotADirectoryError):
        medium.names((b"A",))
    with pytest.raises(FileNotFoundError):
        medium.names((b"NONE",))
    with pytest.raises(FileNotFoundError):
        medium.open((b"SUB", b"NONE"))


def test_the_room_is_the_image(small: Images) -> None:
    data = small.data("plain")

    assert Iso(BytesSource(data)).capacity() == (SECTOR, len(data) // SECTOR)


def test_a_file_of_no_bytes_is_read(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/EMPTY").touch()
    medium = opened(make_plain_iso(tmp_path / "folder", tmp_path / "image"))

    found = contents(medium)
    medium.close()
    assert found == {"EMPTY.;1": b""}


def test_a_folder_of_no_files_is_empty(tmp_path: Path) -> None:
    (tmp_path / "folder/EMPTY").mkdir(parents=True)
    medium = opened(make_iso(tmp_path / "folder", tmp_path / "image"))

    names = medium.names((b"EMPTY",))
    medium.close()
    assert names == []


@BY_TREE
def test_many_threads_read_an_image_at_once(samples: Images, flavour: str) -> None:
    expected = contents(opened(samples.paths[flavour]))
    medium = opened(samples.paths[flavour])

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: contents(medium), range(16)))
    medium.close()

    assert found == [expected] * 16


# -- compared with pycdlib -------------------------------------------------------------


@pytest.mark.parametrize(
    ("flavour", "way"),
    [
        ("plain", "iso_path"),
        ("level 2", "iso_path"),
        ("level 3", "iso_path"),
        ("Joliet", "joliet_path"),
        ("Joliet of genisoimage", "joliet_path"),
        ("Rock Ridge", "rr_path"),
        ("Rock Ridge of genisoimage", "rr_path"),
        ("Rock Ridge and Joliet", "rr_path"),
        ("UDF bridge", "iso_path"),
    ],
)
def test_pycdlib_finds_the_same(samples: Images, flavour: str, way: str) -> None:
    medium = opened(samples.paths[flavour])
    found = contents(medium)
    medium.close()

    disc = pycdlib.PyCdlib()
    disc.open(str(samples.paths[flavour]))
    expected = {}
    for folder, _, names in disc.walk(**{way: "/"}):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            into = BytesIO()
            disc.get_file_from_iso_fp(into, **{way: path})
            expected[path[1:]] = into.getvalue()
    disc.close()

    assert found == expected


# -- Rock Ridge ------------------------------------------------------------------------


@pytest.mark.slow
def test_links_pipes_and_devices_are_neither_files_nor_folders(tmp_path: Path) -> None:
    need_root()
    folder = tmp_path / "folder"
    (folder / "real").mkdir(parents=True)
    (folder / "real/file").write_bytes(b"data")
    (folder / "to-file").symlink_to("real/file")
    (folder / "to-folder").symlink_to("real")
    (folder / "out").symlink_to("/etc/passwd")
    (folder / "long").symlink_to("component/" * 12)
    os.mkfifo(folder / "pipe")
    os.mknod(folder / "null", 0o20666, os.makedev(1, 3))
    os.mknod(folder / "disk", 0o60666, os.makedev(7, 0))
    special = [b"to-file", b"to-folder", b"out", b"long", b"pipe", b"null", b"disk"]

    for make in (make_iso, lambda *at: make_plain_iso(*at, "-R")):
        medium = opened(make(folder, tmp_path / "image"))
        assert sorted(medium.names(())) == sorted([*special, b"real"])
        assert folders_in(medium, ()) == [b"real"]
        for name in special:
            assert errno_of(medium.status, (name,)) == errno.EINVAL
            assert errno_of(medium.open, (name,)) == errno.EINVAL
            with pytest.raises(NotADirectoryError):
                medium.names((name,))
        assert content(medium, (b"real", b"file")) == b"data"
        medium.close()


@pytest.mark.parametrize("make", [make_iso, make_plain_iso])
def test_folders_that_were_moved_because_they_are_deep_are_in_their_place(
    tmp_path: Path, make: Callable[..., Path]
) -> None:
    folder = tmp_path / "folder"
    deep = Path(*"ABCDEFGHIJKLMNOPQRST")
    (folder / deep).mkdir(parents=True)
    for place in (deep, *deep.parents):
        (folder / place / "file").write_text(str(place))

    medium = opened(make(folder, tmp_path / "image", "-R"))

    found = contents(medium)
    in_moved = medium.names((b"rr_moved",)) if b"rr_moved" in medium.names(()) else []
    medium.close()
    assert found == real(folder)
    assert in_moved == []


@pytest.mark.slow
def test_names_and_times_are_found_in_continuation_areas(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(300):
        path = folder / f"{number:03}{'n' * 240}"
        path.touch()
        os.utime(path, (0, 1_000_000_000 + number))

    medium = opened(make_plain_iso(folder, tmp_path / "image", "-R"))

    names = sorted(medium.names(()))
    times = [medium.status((name,)).mtime_ns for name in names]
    medium.close()
    assert [os.fsdecode(name) for name in names] == sorted(real(folder))
    assert times == [(1_000_000_000 + n) * 10**9 for n in range(300)]


@pytest.mark.parametrize("zone", ["UTC", "XXX+12", "XXX-13:45"])
@pytest.mark.parametrize("flavour", ["plain", "Joliet of genisoimage", "Rock Ridge"])
def test_times_are_those_of_the_files_in_every_zone(
    tmp_path: Path, flavour: str, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/FILE").touch()
    os.utime(tmp_path / "folder/FILE", (0, 1_688_565_601))
    monkeypatch.setenv("TZ", zone)

    medium = opened(ISO_FLAVOURS[flavour](tmp_path / "folder", tmp_path / "image"))

    [name] = medium.names(())
    time = medium.status((name,)).mtime_ns
    medium.close()
    assert time == 1_688_565_601 * 10**9


def test_a_compressed_file_is_listed_and_cannot_be_read(tmp_path: Path) -> None:
    need("xorriso")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "PACKED").write_bytes(bytes(100_000))
    made = ("-outdev", str(tmp_path / "image"), "-map", str(folder), "/")
    run(["xorriso", *made, "-set_filter_r", "--zisofs", "/", "--", "-commit"])

    medium = opened(tmp_path / "image")

    assert medium.names(()) == [b"PACKED"]
    assert errno_of(medium.open, (b"PACKED",)) == errno.EIO
    medium.close()


def entry(signature: bytes, data: bytes) -> bytes:
    """Return a system use entry (SUSP 4.1)."""
    return signature + bytes([4 + len(data), 1]) + data


def number(value: int) -> bytes:
    """Return a number in both orders."""
    return struct.pack("<I", value) + struct.pack(">I", value)


_MODIFIED: Final = 946_782_245  # 2000-01-02 03:04:05
_SHORT: Final = bytes((100, 1, 2, 3, 4, 5, 0))
_OTHER: Final = bytes((99, 1, 1, 1, 1, 1, 0))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x02" + _SHORT, _MODIFIED * 10**9),
        (b"\x0e" + _SHORT + _OTHER * 2, _MODIFIED * 10**9),
        (b"\x0f" + _OTHER + _SHORT + _OTHER * 2, _MODIFIED * 10**9),
        (b"\x02" + _SHORT[:6] + b"\x04", (_MODIFIED - 3600) * 10**9),
        (b"\x02" + _SHORT[:6] + b"\xfc", (_MODIFIED + 3600) * 10**9),
        (b"\x82" + b"2000010203040550\0", _MODIFIED * 10**9 + 500_000_000),
        (b"\x83" + b"1" * 17 + b"2000010203040500\0", _MODIFIED * 10**9),
        (b"\x82" + b"0" * 16 + b"\0", 0),
        (b"\x82" + b"2000ab0203040500\0", 0),
        (b"\x02" + bytes(7), 0),
        (b"\x02" + b"\xff" * 7, 0),
        (b"\x02" + bytes((1, 1, 1, 1, 1, 1, 0)), 0),
        (b"\x01" + _OTHER, None),
        (b"\x02" + _SHORT[:5], None),
        (b"\x03" + _OTHER, None),
        (b"", None),
    ],
)
def test_the_time_of_a_file_is_that_of_its_last_change(
    data: bytes, expected: int | None
) -> None:
    rock = RockRidge(BytesSource(b""), SECTOR, 0)

    assert rock.attributes(entry(b"TF", data)).mtime_ns == expected


@pytest.mark.parametrize(
    ("area", "expected"),
    [
        (b"", Attributes()),
        (entry(b"NM", b"\0name"), Attributes(name=b"name")),
        (entry(b"NM", b"\1na") + entry(b"NM", b"\0me"), Attributes(name=b"name")),
        (entry(b"NM", b"\2") + entry(b"NM", b"\4"), Attributes()),
        (entry(b"NM", b""), Attributes()),
        (entry(b"NM", b"\0" + b"n" * 200) * 2, Attributes(name=b"n" * 255)),
        (entry(b"PX", number(0o100644)), Attributes()),
        (entry(b"PX", number(0o120777)), Attributes(is_special=True)),
        (entry(b"PX", number(0o060660)), Attributes(is_special=True)),
        (entry(b"PX", number(0o140660)), Attributes(is_special=True)),
        (entry(b"PX", b"\xff\xff"), Attributes()),
        (entry(b"PN", number(1) + number(3)), Attributes(is_special=True)),
        (entry(b"SL", b"\0\x08\0"), Attributes(is_special=True)),
        (entry(b"CL", number(77)), Attributes(child=77)),
        (entry(b"CL", b"\1"), Attributes()),
        (entry(b"RE", b""), Attributes(is_relocated=True)),
        (entry(b"SF", number(0)), Attributes(fault="the file is sparse")),
        (entry(b"XX", b"data") + entry(b"RE", b""), Attributes(is_relocated=True)),
        (entry(b"ST", b"") + entry(b"RE", b""), Attributes()),
        (b"RE\x00\x01" + entry(b"RE", b""), Attributes()),
        (b"NM\xff\x01\0name", Attributes()),
        (b"RE\x04", Attributes()),
        (entry(b"CE", b"\1\2\3"), Attributes()),
    ],
)
def test_entries_of_rock_ridge_are_understood(
    area: bytes, expected: Attributes
) -> None:
    rock = RockRidge(BytesSource(b""), SECTOR, 0)

    assert rock.attributes(area) == expected


def test_entries_of_rock_ridge_go_on_elsewhere() -> None:
    more = entry(b"NM", b"\0me") + entry(b"RE", b"")
    image_of_it = bytes(2 * SECTOR + 100) + more + bytes(SECTOR)
    rock = RockRidge(BytesSource(image_of_it), SECTOR, 7)
    there = number(2) + number(100) + number(len(more))

    area = b"7 bytes" + entry(b"CE", there) + entry(b"NM", b"\1na")

    assert rock.attributes(area) == Attributes(name=b"name", is_relocated=True)


@pytest.mark.parametrize(
    "there",
    [
        number(2) + number(0) + number(10),
        number(2**32 - 1) + number(2**32 - 1) + number(100),
        number(0) + number(0) + number(SECTOR + 1),
        number(0) + number(SECTOR - 10) + number(20),
    ],
)
def test_entries_that_cannot_be_read_are_an_error(there: bytes) -> None:
    rock = RockRidge(BytesSource(bytes(SECTOR)), SECTOR, 0)

    assert errno_of(rock.attributes, entry(b"CE", there)) == errno.EIO


# -- one image, several trees and sessions ---------------------------------------------


def test_rock_ridge_is_shown_before_joliet_and_that_before_plain_names(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    name = "n" * 150
    (folder / name).touch()

    def names(*options: str) -> list[bytes]:
        made = make_plain_iso(folder, tmp_path / "image", *options)
        medium = opened(made)
        found = medium.names(())
        medium.close()
        return found

    assert names("-R", "-J") == [b"n" * 150]
    assert names("-J") == [b"n" * 64]
    assert names() == [b"NNNNNNNN.;1"]


@pytest.mark.parametrize("hidden", ["-hide", "-hide-joliet"])
def test_a_tree_without_the_dicomdir_is_shown_only_if_none_has_it(
    samples: Images, tmp_path: Path, hidden: str
) -> None:
    options = ("-J", "-R", hidden, "DICOMDIR")
    made = make_plain_iso(samples.folder, tmp_path / "image", *options)

    assert len(trees.files(trees.look(opened(made)))) == 31


def test_boot_descriptors_are_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "BOOT").write_bytes(bytes(2048))
    (folder / "DICOMDIR").write_bytes(b"index")
    boot = ("-b", "BOOT", "-no-emul-boot", "-c", "CATALOG", "-J")

    medium = opened(make_plain_iso(folder, tmp_path / "image", *boot))

    names = sorted(medium.names(()))
    data = content(medium, (b"DICOMDIR",))
    medium.close()
    assert names == [b"BOOT", b"CATALOG", b"DICOMDIR"]
    assert data == b"index"


def _numbered(root: Path, number: int) -> Path:
    """Return a folder with the files of the session *number*."""
    folder = root / f"session {number}"
    folder.mkdir()
    (folder / f"FILE{number}").write_bytes(b"%d" % number * 5_000)
    (folder / "SAME").write_bytes(b"of session %d" % number * number)
    return folder


_OF_THREE: Final = {
    "FILE1": b"1" * 5_000,
    "FILE2": b"2" * 5_000,
    "FILE3": b"3" * 5_000,
    "SAME": b"of session 3" * 3,
}


def test_the_last_session_that_xorriso_wrote_is_shown(tmp_path: Path) -> None:
    made = images.start_sessions(_numbered(tmp_path, 1), tmp_path / "image")
    for number in (2, 3):
        images.add_session(made, _numbered(tmp_path, number))

    medium = opened(made)

    found = contents(medium)
    medium.close()
    assert found == _OF_THREE


@pytest.mark.parametrize("options", [(), ("-J",), ("-R",)], ids=str)
@pytest.mark.parametrize("gaps", [(0, 0), (11_408, 6_912)], ids=str)
def test_the_last_session_of_a_cd_is_shown(
    tmp_path: Path, options: tuple[str, ...], gaps: tuple[int, int]
) -> None:
    made = make_plain_iso(_numbered(tmp_path, 1), tmp_path / "image", *options)
    last = 0
    for number, gap in zip((2, 3), gaps, strict=True):
        folder = _numbered(tmp_path, number)
        last = images.add_track(made, folder, *options, last=last, gap=gap)

    for session in (0, last):
        medium = opened(made, session)
        found = contents(medium)
        medium.close()
        assert set(found.values()) >= set(_OF_THREE.values())
        # Without Rock Ridge genisoimage gives what it finds in the older ones new names.
        assert found == _OF_THREE or "-R" not in options


def _kinds(medium: Iso) -> list[Kind]:
    return [each.kind for each in medium.findings()]


def test_sessions_that_the_last_one_links_to_need_no_words(tmp_path: Path) -> None:
    made = make_plain_iso(_numbered(tmp_path, 1), tmp_path / "image", "-R")
    last = 0
    for number in (2, 3):
        last = images.add_track(made, _numbered(tmp_path, number), "-R", last=last)

    for session in (0, last):
        medium = opened(made, session)
        assert _kinds(medium) == []
        medium.close()


@pytest.mark.parametrize("options", [(), ("-J",), ("-R",)], ids=str)
@pytest.mark.parametrize("is_known", [False, True], ids=["image", "drive"])
def test_a_session_that_the_last_one_does_not_link_to_is_said(
    tmp_path: Path, options: tuple[str, ...], is_known: bool
) -> None:
    made = make_plain_iso(_numbered(tmp_path, 1), tmp_path / "image", *options)
    start = images.add_alone(made, _numbered(tmp_path, 2), *options)

    medium = opened(made, start if is_known else 0)
    [found] = medium.findings()
    shown = contents(medium)
    medium.close()

    assert b"2" * 5_000 in shown.values()
    assert b"1" * 5_000 not in shown.values()
    assert found.kind is Kind.OLDER_SESSION
    # What it says shows the other.
    assert f"count={start}," in found.done
    older = Iso(BytesSource(made.read_bytes()[: start * 2048]))
    assert b"1" * 5_000 in contents(older).values()


def test_of_three_sessions_only_the_one_is_said_that_nothing_links_to(
    tmp_path: Path,
) -> None:
    made = make_plain_iso(_numbered(tmp_path, 1), tmp_path / "image", "-R")
    start = images.add_alone(made, _numbered(tmp_path, 2), "-R")
    images.add_track(made, _numbered(tmp_path, 3), "-R", last=start)

    medium = opened(made)
    found = [each.detail for each in medium.findings()]
    medium.close()

    assert found == ["sector 0"]


def test_later_sessions_are_sought_with_few_reads(tmp_path: Path) -> None:
    made = make_plain_iso(_numbered(tmp_path, 1), tmp_path / "image")
    os.truncate(made, 100_000_000)
    source = CountingSource(FileSource(os.open(made, os.O_RDONLY)))

    medium = Iso(source)

    assert medium.names(()) == [b"FILE1.;1", b"SAME.;1"]
    assert len(source.reads) <= 50
    assert source.bytes_read <= 4_000_000
    medium.close()


def test_an_image_that_was_put_behind_another_is_none_of_its_sessions(
    tmp_path: Path,
) -> None:
    one, two = (
        make_plain_iso(_numbered(tmp_path, n), tmp_path / f"image{n}").read_bytes()
        for n in (1, 2)
    )

    assert Iso(BytesSource(one + two)).names(()) == [b"FILE1.;1", b"SAME.;1"]


def test_a_session_that_is_not_there_is_not_missed(small: Images) -> None:
    source = BytesSource(small.data("plain"))

    assert Iso(source, 100_000).names(()) == Iso(source).names(())


@pytest.mark.parametrize("subchannel", [0, 96])
@pytest.mark.parametrize("mode", [1, 2])
def test_whole_sectors_of_a_cd_are_read(
    samples: Images, tmp_path: Path, mode: int, subchannel: int
) -> None:
    for flavour in ("plain", "Rock Ridge"):
        iso = samples.paths[flavour]
        made = images.to_sectors(iso, tmp_path / "image.bin", mode, subchannel)
        source = FileSource(os.open(made, os.O_RDONLY))
        assert recognises(source)
        raw, cooked = Iso(source), opened(iso)

        assert contents(raw) == contents(cooked)
        path = next(path for path in walk(raw) if raw.status(path).size > 5_000)
        whole, part = content(raw, path), raw.open(path)
        for offset, size in ((0, 1), (1, 2047), (2047, 2), (2048, 2048), (100, 4_500)):
            assert part.read_at(offset, size) == whole[offset : offset + size]
        raw.close()
        cooked.close()


def test_whole_sectors_that_a_drive_hangs_on_are_not_asked_for(
    samples: Images, tmp_path: Path
) -> None:
    made = images.to_sectors(samples.paths["plain"], tmp_path / "image.bin")
    medium = opened(made)
    file = medium.open((b"DICOMDIR.;1",))
    whole = file.read_at(0, file.size)

    file.hangs(9_000, 10)
    assert errno_of(file.read_at, 8_500, 1_000) == errno.EIO
    assert file.read_at(0, 2_048) == whole[:2_048]
    file.hangs_no_more(9_000, 10)

    data = file.read_at(0, file.size)
    medium.close()
    assert data == whole


@pytest.mark.parametrize("cut", [0, 8, 100, 2_352, 20 * 2_352 + 500])
def test_whole_sectors_that_are_cut_off_are_no_more_than_they_are(
    small: Images, tmp_path: Path, cut: int
) -> None:
    made = images.to_sectors(small.paths["plain"], tmp_path / "image.bin")
    source = BytesSource(made.read_bytes()[:cut])

    assert recognises(source) == (cut > 20 * 2_352)


# -- as little as possible is read -----------------------------------------------------


@pytest.mark.slow
def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for number in range(1_500):
        path = folder / f"F{number // 50}" / f"I{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"image")
    (folder / "DICOMDIR").write_bytes(b"index")
    made = make_plain_iso(folder, tmp_path / "image")
    source = CountingSource(FileSource(os.open(made, os.O_RDONLY)))

    medium = Iso(source)
    opening = len(source.reads)
    medium.names((b"F7",))
    listing = len(source.reads) - opening
    file = medium.open((b"F7", b"I350.;1"))
    medium.statuses((b"F7",), medium.names((b"F7",)))
    looking = len(source.reads) - opening - listing
    file.read_at(2, 2)
    medium.close()

    # Whether it is made of whole sectors, its descriptors, the first record of its root,
    # and the root.
    assert opening <= 4
    assert (listing, looking) == (1, 0)
    assert source.reads[-1][1] == 2
    assert source.bytes_read < 300_000


def test_a_file_larger_than_its_folder_is_read_where_it_lies(small: Images) -> None:
    medium = Iso(source := CountingSource(small.data("plain")))
    file = medium.open((b"SUB", b"D.;1"))
    before = len(source.reads)

    assert file.read_at(1_000, 500) == (b"content of SUB/D" * 300)[1_000:1_500]

    assert len(source.reads) == before + 1
    assert source.reads[-1][1] == 500


# -- directory records -----------------------------------------------------------------


# Offsets in a record.
_ATTRIBUTES, _BLOCK, _SIZE, _FLAGS, _UNIT, _GAP = 1, 2, 10, 25, 26, 27
_HIDDEN, _FOLDER, _ASSOCIATED, _MORE = 0x01, 0x02, 0x04, 0x80


def place(data: bytes | bytearray, name: bytes) -> int:
    """Return where the directory record with *name* is."""
    at = data.index(bytes([len(name)]) + name, 16 * SECTOR) - 32
    assert data[at] >= 33 + len(name)
    return at


def block_of(data: bytes | bytearray, name: bytes) -> int:
    return int(struct.unpack_from("<I", data, place(data, name) + _BLOCK)[0])


class Patch:
    """An image of which records are changed."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)

    def byte(self, name: bytes, field: int, value: int) -> "Patch":
        """Change one byte of a record."""
        self.data[place(self.data, name) + field] = value
        return self

    def number(self, name: bytes, field: int, value: int) -> "Patch":
        """Change a number of a record, in both orders."""
        at = place(self.data, name) + field
        self.data[at : at + 8] = struct.pack("<I", value) + struct.pack(">I", value)
        return self

    def rename(self, name: bytes, to: bytes) -> "Patch":
        """Give a record another name of the same length."""
        assert len(name) == len(to)
        at = place(self.data, name) + 33
        self.data[at : at + len(to)] = to
        return self

    def sector(self, number: int, data: bytes = bytes(SECTOR)) -> "Patch":
        """Change a whole sector."""
        self.data[number * SECTOR : (number + 1) * SECTOR] = data
        return self

    def open(self) -> Iso:
        """Open the changed image."""
        return Iso(BytesSource(bytes(self.data)))


@pytest.fixture
def plain(small: Images) -> Patch:
    return Patch(small.data("plain"))


@pytest.fixture
def rock(small: Images) -> Patch:
    return Patch(small.data("Rock Ridge of genisoimage"))


A: Final = b"content of A" * 300
B: Final = b"content of B" * 300


def test_the_extents_of_a_file_are_read_as_one(plain: Patch) -> None:
    # They need not lie next to each other; all of an extent but the last is data.
    plain.byte(b"A.;1", _FLAGS, _MORE).number(b"A.;1", _SIZE, SECTOR)
    medium = plain.rename(b"B.;1", b"A.;1").open()

    assert sorted(medium.names(())) == [b"A.;1", b"C.;1", b"DICOMDIR.;1", b"SUB"]
    assert content(medium, (b"A.;1",)) == A[:SECTOR] + B


def test_a_file_of_more_than_four_gibibytes_is_read(
    small: Images, tmp_path: Path
) -> None:
    most = 0xFFFFF800
    patch = Patch(small.data("plain"))
    patch.byte(b"A.;1", _FLAGS, _MORE).number(b"A.;1", _SIZE, most)
    patch.number(b"A.;1", _BLOCK, 1000).rename(b"B.;1", b"A.;1")
    patch.number(b"A.;1", _SIZE, most)
    at = place(patch.data, b"A.;1")
    second = at + patch.data[at]
    struct.pack_into("<I", patch.data, second + _BLOCK, 1000 + most // SECTOR)
    struct.pack_into("<I", patch.data, second + _SIZE, 1_000_000)
    made = tmp_path / "image"
    made.write_bytes(patch.data)
    with made.open("r+b") as file:
        file.truncate(1000 * SECTOR + most + 1_000_000)
        file.seek(1000 * SECTOR + 0xFFFFFFFF - 10_000)
        file.write(bytes(range(250)) * 80)

    medium = opened(made)

    source = medium.open((b"A.;1",))
    assert source.size == most + 1_000_000
    around = source.read_at(0xFFFFFFFF - 10_000, 20_000)
    end = source.read_at(source.size - 10, 100)
    medium.close()
    assert around == bytes(range(250)) * 80
    assert end == bytes(10)


def test_a_file_whose_last_extent_is_missing_cannot_be_read(plain: Patch) -> None:
    medium = plain.byte(b"A.;1", _FLAGS, _MORE).open()

    assert sorted(medium.names(()))[:2] == [b"A.;1", b"B.;1"]
    assert errno_of(medium.open, (b"A.;1",)) == errno.EIO
    assert content(medium, (b"B.;1",)) == B


@pytest.mark.parametrize("field", [_UNIT, _GAP])
def test_an_interleaved_file_cannot_be_read(plain: Patch, field: int) -> None:
    medium = plain.byte(b"A.;1", field, 1).open()

    assert errno_of(medium.status, (b"A.;1",)) == errno.EIO
    assert errno_of(medium.open, (b"A.;1",)) == errno.EIO
    assert content(medium, (b"B.;1",)) == B


def test_data_begins_behind_the_extended_attributes(plain: Patch) -> None:
    block = block_of(plain.data, b"A.;1")
    plain.byte(b"A.;1", _ATTRIBUTES, 2).number(b"A.;1", _BLOCK, block - 2)

    assert content(plain.open(), (b"A.;1",)) == A


def test_a_resource_fork_is_not_taken_for_its_file(plain: Patch) -> None:
    plain.byte(b"A.;1", _FLAGS, _ASSOCIATED)
    medium = plain.rename(b"B.;1", b"A.;1").open()

    assert content(medium, (b"A.;1",)) == B
    assert len(medium.names(())) == 4


def test_a_hidden_file_is_there(plain: Patch) -> None:
    assert content(plain.byte(b"A.;1", _FLAGS, _HIDDEN).open(), (b"A.;1",)) == A


def test_of_two_numbers_that_disagree_the_little_endian_one_counts(
    plain: Patch,
) -> None:
    at = place(plain.data, b"A.;1")
    struct.pack_into(">I", plain.data, at + _BLOCK + 4, 3)
    struct.pack_into(">I", plain.data, at + _SIZE + 4, 5)

    assert content(plain.open(), (b"A.;1",)) == A


def test_two_files_of_one_name_are_both_there(plain: Patch) -> None:
    medium = plain.rename(b"B.;1", b"A.;1").rename(b"C.;1", b"A.;1").open()

    assert content(medium, (b"A.;1",)) == A
    assert content(medium, (b"A.;1~1",)) == B
    assert content(medium, (b"A.;1~2",)) == b"content of C" * 300


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"/.;1", b"_.;1"),
        (b"\0.;1", b"_.;1"),
        (b"../x", b".._x"),
        (b"\xc4\xff.;", b"\xc4\xff.;"),
    ],
)
def test_what_no_name_can_have_is_replaced(
    plain: Patch, name: bytes, shown: bytes
) -> None:
    medium = plain.rename(b"A.;1", name).open()

    assert shown in medium.names(())
    assert content(medium, (shown,)) == A


@pytest.mark.parametrize("name", [b"..", b"./", b"\0\0", b"."])
def test_no_file_has_the_name_of_a_folder_above(rock: Patch, name: bytes) -> None:
    # In the NM entry of Rock Ridge: length 5 + name, version, flags.
    at = rock.data.index(b"NM\x06\x01\x00A")
    rock.data[at : at + 6] = b"NM" + bytes([5 + len(name), 1, 0]) + name[:1]
    rock.data[at + 5 : at + 5 + len(name)] = name
    names = rock.open().names(())

    assert len(names) == 5
    assert not {b".", b"..", b""} & set(names)
    assert not any(b"/" in name or b"\0" in name for name in names)


def test_attributes_of_cd_rom_xa_are_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "FILE").write_bytes(b"data")

    medium = opened(make_plain_iso(folder, tmp_path / "image", "-XA"))
    both = opened(make_plain_iso(folder, tmp_path / "both", "-XA", "-R"))

    found = contents(medium), contents(both)
    medium.close()
    both.close()
    assert found == ({"FILE.;1": b"data"}, {"FILE": b"data"})


def test_a_record_may_reach_into_the_next_sector(small: Images) -> None:
    patch = Patch(small.data("plain"))
    records = {name: _record(patch, name) for name in (b"\0", b"\1", b"A.;1", b"SUB")}
    long = records[b"A.;1"][:38].ljust(250, b"\0")
    body = records[b"\0"] + records[b"\1"]
    body += b"".join(_renamed(long, b"%04d" % n) for n in range(8)) + records[b"SUB"]

    medium = Iso(BytesSource(_with_root(patch, body)))

    assert len(medium.names(())) == 9
    assert content(medium, (b"0007",)) == A


def _record(patch: Patch, name: bytes) -> bytes:
    """Return a record of the root."""
    at = block_of_root(patch.data) * SECTOR
    while patch.data[at + 33 : at + 33 + patch.data[at + 32]] != name:
        at += patch.data[at]
    return bytes(patch.data[at : at + patch.data[at]])


def _renamed(record: bytes, name: bytes) -> bytes:
    return (
        bytes([len(record)])
        + record[1:32]
        + bytes([len(name)])
        + name
        + record[33 + len(name) :]
    )


def block_of_root(data: bytes | bytearray) -> int:
    return int(struct.unpack_from("<I", data, 16 * SECTOR + 156 + _BLOCK)[0])


def _with_root(patch: Patch, body: bytes) -> bytes:
    """Return the image with another root folder, at its end."""
    return _with_folder(patch, 16 * SECTOR + 156, body)


def _with_folder(patch: Patch, at: int, body: bytes) -> bytes:
    """Return the image with another folder at its end, whose record is *at* a place."""
    block = len(patch.data) // SECTOR
    size = -(-len(body) // SECTOR) * SECTOR
    struct.pack_into("<I", patch.data, at + _BLOCK, block)
    struct.pack_into("<I", patch.data, at + _SIZE, size)
    struct.pack_into("<I", patch.data, 16 * SECTOR + 80, block + size // SECTOR)
    return bytes(patch.data) + body.ljust(size, b"\0")


# -- damage ----------------------------------------------------------------------------


class BadSource(Source):
    """An image with bad sectors."""

    def __init__(self, data: bytes, *bad: int) -> None:
        self._source = BytesSource(data)
        self._bad = bad
        self.size = len(data)
        self.status = self._source.status

    def read_at(self, offset: int, size: int) -> bytes:
        """Read, or fail where a sector is bad."""
        sectors = range(offset // SECTOR, -(-(offset + size) // SECTOR))
        if any(number in sectors for number in self._bad):
            raise OSError(errno.EIO, "a bad sector")
        return self._source.read_at(offset, size)


Whole = dict[Place, bytes]
Lists = dict[Place, set[bytes]]


def truth(medium: Iso) -> tuple[Whole, Lists]:
    """Return the bytes of all files and the names in all folders of a sound image."""
    whole = {path: content(medium, path) for path in walk(medium)}
    folders = {path[:n] for path in whole for n in range(len(path))}
    return whole, {folder: set(medium.names(folder)) for folder in folders}


def survey(medium: Iso, whole: Whole, lists: Lists) -> set[Place]:
    """Hold what is found against the truth; return the files that can be read.

    A folder is listed whole or not at all, and a file has its bytes or an error.
    """
    for folder, names in lists.items():
        if not (error := errno_of(medium.names, folder)):
            assert set(medium.names(folder)) == names
        assert error in {0, errno.EIO}
    good = set()
    for path, data in whole.items():
        if not (error := errno_of(content, medium, path)):
            assert content(medium, path) == data
            good.add(path)
        assert error in {0, errno.EIO}
    return good


def sectors_of(medium: Iso, path: Place) -> set[int]:
    """Return the sectors of a file and of the folders it is in, but of the root."""
    found: set[int] = set()
    for depth in range(1, len(path) + 1):
        for extent in medium.entry(path[:depth]).extents:
            last = (extent.offset + extent.size - 1) // SECTOR
            found |= set(range(extent.offset // SECTOR, last + 1))
    return found


@pytest.mark.slow
@FLAVOURS
def test_of_a_truncated_image_all_that_is_there_is_found_and_the_rest_is_an_error(
    samples: Images, flavour: str
) -> None:
    data = samples.data(flavour)
    medium = Iso(BytesSource(data))
    whole, lists = truth(medium)
    needed = {path: max(sectors_of(medium, path)) for path in whole}
    counts = []

    for cut in range(24 * SECTOR, len(data), 2 * SECTOR + 100):
        found = Iso(BytesSource(data[:cut]))
        # Of a disc with two trees the other one may be whole.
        if not _can_list(found) or set(found.names(())) != lists[()]:
            continue
        good = survey(found, whole, lists)
        # The last sector of a file may be cut within what is behind its end.
        assert good >= {path for path in whole if (needed[path] + 1) * SECTOR <= cut}
        counts.append(len(good))

    assert counts == sorted(counts)
    assert counts[-1] >= len(whole) - 1
    assert counts[0] <= 1


def _can_list(medium: Iso) -> bool:
    return errno_of(medium.names, ()) == 0


@pytest.mark.slow
@pytest.mark.parametrize("flavour", ["plain", "Rock Ridge", "Rock Ridge and Joliet"])
def test_a_bad_sector_costs_what_lies_on_it(samples: Images, flavour: str) -> None:
    data = samples.data(flavour)
    medium = Iso(BytesSource(data))
    whole, lists = truth(medium)
    sectors = {path: sectors_of(medium, path) for path in whole}
    fatal = []

    for number in range(len(data) // SECTOR):
        source = BadSource(data, number)
        if not recognises_or_fails(source) or not _can_list(Iso(source)):
            fatal.append(number)
            continue
        good = survey(Iso(source), whole, lists)
        assert good == {path for path in whole if number not in sectors[path]}

    # The descriptor and the root, of which a disc with Joliet has two.
    assert len(fatal) == (0 if "Joliet" in flavour else 2)


def recognises_or_fails(source: Source) -> bool:
    """Whether there is something to open, of which at least the sectors are known."""
    try:
        return recognises(source)
    except OSError:
        with pytest.raises(MediumError):
            Iso(source)
        return False


def test_an_image_without_its_primary_descriptor_is_shown_by_joliet(
    small: Images,
) -> None:
    whole = contents(Iso(BytesSource(small.data("Joliet"))))

    patch = Patch(small.data("Rock Ridge and Joliet")).sector(16)

    assert recognises(BytesSource(bytes(patch.data)))
    assert contents(patch.open()) == whole


def test_an_image_whose_root_cannot_be_read_is_shown_by_its_other_tree(
    small: Images,
) -> None:
    data = small.data("Rock Ridge and Joliet")

    medium = Iso(BadSource(data, block_of_root(data)))

    assert contents(medium) == contents(Iso(BytesSource(data)))


def test_an_image_without_a_terminator_is_read(plain: Patch) -> None:
    expected = contents(plain.open())

    assert contents(plain.sector(17).open()) == expected


@pytest.mark.parametrize("blocks", [0, 1, 17, 2**32 - 1])
def test_a_wrong_length_of_the_volume_does_no_harm(plain: Patch, blocks: int) -> None:
    expected = contents(plain.open())
    struct.pack_into("<I", plain.data, 16 * SECTOR + 80, blocks)
    source = CountingSource(bytes(plain.data))

    assert contents(Iso(source)) == expected
    assert len(source.reads) < 40


def test_an_image_without_descriptors_cannot_be_used(plain: Patch) -> None:
    with pytest.raises(MediumError, match="at offset 32768"):
        plain.sector(16).open()


@pytest.mark.parametrize("size", [0, 1, 513, 4096, 65535])
def test_blocks_of_another_length_are_no_blocks(plain: Patch, size: int) -> None:
    struct.pack_into("<H", plain.data, 16 * SECTOR + 128, size)

    with pytest.raises(MediumError):
        plain.open()


def test_blocks_may_be_shorter_than_sectors(plain: Patch) -> None:
    expected = contents(plain.open())
    data = plain.data
    struct.pack_into("<H", data, 16 * SECTOR + 128, 512)
    struct.pack_into("<I", data, 16 * SECTOR + 80, len(data) // 512)
    places = [16 * SECTOR + 156, *_records_of(plain)]
    for at in places:
        [block] = struct.unpack_from("<I", data, at + _BLOCK)
        struct.pack_into("<I", data, at + _BLOCK, block * 4)

    assert contents(plain.open()) == expected


def _records_of(patch: Patch) -> list[int]:
    """Return where all directory records of a small plain image are."""
    names = (b"A.;1", b"B.;1", b"C.;1", b"DICOMDIR.;1", b"SUB", b"D.;1", b"BELOW")
    return [place(patch.data, name) for name in (*names, b"E.;1")]


@pytest.mark.slow
def test_a_sector_of_a_folder_that_was_not_copied_is_not_passed_over(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(200):
        (folder / f"FILE{number}").touch()
    patch = Patch(make_plain_iso(folder, tmp_path / "image").read_bytes())
    assert len(patch.open().names(())) == 200

    # What a program that copies a damaged disc writes for a sector it cannot read.
    medium = patch.sector(block_of_root(patch.data) + 1).open()

    assert errno_of(medium.names, ()) == errno.EIO
    assert errno_of(medium.open, (b"FILE1.;1",)) == errno.EIO


def test_room_behind_the_last_record_of_a_folder_is_no_damage(plain: Patch) -> None:
    body = b"".join(_record(plain, name) for name in (b"\0", b"\1", b"A.;1"))

    medium = Iso(BytesSource(_with_root(plain, body.ljust(3 * SECTOR, b"\0"))))

    assert medium.names(()) == [b"A.;1"]


@pytest.mark.parametrize(
    "sector",
    [bytes(SECTOR), b"\xff" * SECTOR, b"x" * SECTOR, b"\x22" + bytes(2047)],
    ids=["zeros", "ones", "text", "a record without a name"],
)
def test_a_folder_that_is_none_costs_only_itself(plain: Patch, sector: bytes) -> None:
    medium = plain.sector(block_of(plain.data, b"SUB"), sector).open()

    assert errno_of(medium.names, (b"SUB",)) == errno.EIO
    assert errno_of(medium.open, (b"SUB", b"D.;1")) == errno.EIO
    assert content(medium, (b"A.;1",)) == A


@pytest.mark.parametrize("length", [1, 33, 37])
def test_a_folder_with_a_record_of_a_wrong_length_is_not_listed_in_part(
    plain: Patch, length: int
) -> None:
    medium = plain.byte(b"BELOW", 0, length).open()

    assert errno_of(medium.names, (b"SUB",)) == errno.EIO
    assert len(medium.names(())) == 5


# -- forgeries -------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["the root", "the folder it is in", "itself"])
def test_a_folder_that_lies_in_itself_is_an_error(plain: Patch, to: str) -> None:
    blocks = {
        "the root": block_of_root(plain.data),
        "the folder it is in": block_of(plain.data, b"SUB"),
        "itself": block_of(plain.data, b"BELOW"),
    }
    plain.number(b"BELOW", _BLOCK, blocks[to])
    if to == "itself":
        patch_own = place(plain.data, b"E.;1")
        plain.data[patch_own + 25] = _FOLDER
        struct.pack_into("<I", plain.data, patch_own + _BLOCK, blocks[to])
        path: Place = (b"SUB", b"BELOW", b"E.;1")
    else:
        path = (b"SUB", b"BELOW")
    medium = plain.open()

    assert errno_of(medium.names, path) == errno.EIO
    assert content(medium, (b"SUB", b"D.;1")) == b"content of SUB/D" * 300


def test_a_moved_folder_that_leads_back_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    deep = Path(*"ABCDEFGHIJ")
    (folder / deep).mkdir(parents=True)
    (folder / "FILE").write_bytes(b"data")
    data = bytearray(make_plain_iso(folder, tmp_path / "image", "-R").read_bytes())
    at = data.index(b"CL\x0c\x01", 16 * SECTOR)
    struct.pack_into("<I", data, at + 4, block_of_root(data))

    medium = Iso(BytesSource(bytes(data)))

    assert 5 < _first_bad(medium, deep) <= 10
    assert content(medium, (b"FILE",)) == b"data"


def _first_bad(medium: Iso, deep: Path) -> int:
    """Return how deep the first folder lies that cannot be listed."""
    path = tuple(part.encode() for part in deep.parts)
    for depth in range(len(path) + 1):
        if errno_of(medium.names, path[:depth]):
            return depth
    return 0


def test_continuation_areas_that_lead_back_have_an_end(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(50):
        (folder / f"{number:03}{'n' * 240}").touch()
    data = bytearray(make_iso(folder, tmp_path / "image").read_bytes())
    # The first area of each record leads to itself.
    at = data.index(b"CE\x1c\x01", 16 * SECTOR)
    while (at := data.find(b"CE\x1c\x01", at + 1)) >= 0:
        block, offset, size = struct.unpack_from("<I4xI4xI4x", data, at + 4)
        if size >= 28:
            area = block * SECTOR + offset
            data[area : area + 28] = data[at : at + 28]
    source = CountingSource(bytes(data))

    medium = Iso(source)

    assert len(medium.names(())) == 50
    assert len(source.reads) < 50


@pytest.mark.parametrize("depth", [65, 1_000, 100_000])
def test_a_path_that_is_too_deep_is_an_error(small: Images, depth: int) -> None:
    medium = Iso(BytesSource(small.data("plain")))

    assert errno_of(medium.names, (b"SUB",) * depth) == errno.EIO


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0xFFFFF800, 65 * 1024 * 1024])
def test_a_folder_larger_than_can_be_is_not_read(plain: Patch, size: int) -> None:
    patched = plain.number(b"SUB", _SIZE, size)
    source = CountingSource(bytes(patched.data))
    medium = Iso(source)
    before = len(source.reads)

    assert errno_of(medium.names, (b"SUB",)) == errno.EIO
    assert len(source.reads) == before


def _flat(patch: Patch, count: int, length: int = 42, flags: int = 0) -> bytes:
    """Return an image with so many records of one length in one of its folders."""
    record = _renamed(_record(patch, b"A.;1").ljust(length, b"\0"), b"NNNNNN")
    record = record[:_FLAGS] + bytes([flags]) + record[_FLAGS + 1 :]
    own = _record(patch, b"\0") + _record(patch, b"\1")
    names = (b"%06x" % number for number in range(count))
    body = own + b"".join(record[:33] + name + record[39:] for name in names)
    return _with_folder(patch, place(patch.data, b"SUB"), body)


@pytest.mark.slow
def test_a_folder_of_too_many_records_is_an_error(plain: Patch) -> None:
    at_most = Iso(BytesSource(_flat(plain, 200_000, flags=_ASSOCIATED)))
    too_many = Iso(BytesSource(_flat(plain, 200_001, flags=_ASSOCIATED)))

    assert at_most.names((b"SUB",)) == []
    assert errno_of(too_many.names, (b"SUB",)) == errno.EIO
    assert content(too_many, (b"A.;1",)) == A


@pytest.mark.slow
def test_a_file_of_too_many_extents_is_an_error(plain: Patch) -> None:
    plain.byte(b"A.;1", _FLAGS, _MORE)
    body = _record(plain, b"\0") + _record(plain, b"\1")
    body += _record(plain, b"A.;1") * 10_001

    medium = Iso(BytesSource(_with_root(plain, body)))

    assert errno_of(medium.names, ()) == errno.EIO


@pytest.mark.slow
def test_large_folders_are_read_by_many_threads_one_after_the_other(
    plain: Patch,
) -> None:
    # More than 4 MiB.
    medium = Iso(BytesSource(_flat(plain, 17_000, length=254)))

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda _: len(medium.names((b"SUB",))), range(4)))

    assert counts == [17_000] * 4


@pytest.mark.slow
def test_an_entry_takes_little_memory(plain: Patch) -> None:
    data = _flat(plain, 5_000)
    tracemalloc.start()

    medium = Iso(BytesSource(data))
    assert len(medium.names((b"SUB",))) == 5_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # So many as one folder may have take less than 100 MiB.
    assert peak < 5_000 * 500


@pytest.mark.slow
@pytest.mark.counted
def test_of_any_mutated_image_only_foreseen_errors_come(samples: Images) -> None:
    sound = [samples.data(name) for name in ISO_FLAVOURS]
    chance = random.Random(_SEED)
    opened_count = 0

    for _ in range(_MUTANTS):
        source = CountingSource(_mutated(chance.choice(sound), chance))
        try:
            recognises(source)
            medium = Iso(source)
        except MediumError:
            continue
        opened_count += 1
        for path in _some(medium):
            errno_of(_read_some, medium, path)
        assert len(source.reads) < _MOST_READS

    assert opened_count > _MUTANTS // 2


def _mutated(data: bytes, chance: random.Random) -> bytes:
    """Return an image with a few faults in its descriptors, folders and attributes."""
    changed = bytearray(data)
    # Folders, path tables and continuation areas lie in front of the files.
    last = 80 * SECTOR
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(16 * SECTOR, last)
        if not any(changed[at : at + 4]):
            at = 16 * SECTOR + chance.randrange(200)
        how = chance.randrange(5)
        if how == 0:
            changed[at] = chance.randrange(256)
        elif how == 1:
            changed[at] ^= 1 << chance.randrange(8)
        elif how == 2:
            number = chance.choice((0, 1, 16, 25, 2**31, 2**32 - 1))
            struct.pack_into("<I", changed, at, number)
        elif how == 3:
            sector, other = (chance.randrange(16, 80) * SECTOR for _ in range(2))
            changed[sector : sector + SECTOR] = changed[other : other + SECTOR]
        else:
            length = chance.randrange(1, 64)
            changed[at : at + length] = bytes(length)
    return bytes(changed)


def _some(medium: Iso) -> Iterator[Place]:
    """Yield paths of what is in the image, as many as a sound one would have."""
    waiting: list[Place] = [()]
    count = 0
    while waiting and count < _MOST_NODES:
        folder = waiting.pop(0)
        try:
            names, folders = medium.names(folder), folders_in(medium, folder)
        except OSError:
            continue
        count += len(names) + 1
        assert not {b"", b".", b".."} & set(names)
        assert not any(b"/" in name or b"\0" in name for name in names)
        waiting += [(*folder, name) for name in folders]
        yield from ((*folder, name) for name in names)


def _read_some(medium: Iso, path: Place) -> None:
    size = medium.status(path).size
    source = medium.open(path)
    assert source.status == medium.status(path)
    assert len(source.read_at(0, 64)) == min(size, 64)
    assert len(source.read_at(max(0, size - 64), 100)) == min(size, 64)
