"""UDF: images of all kinds of discs as media, sound, cut off, broken and forged.

Images are built after the standards by ``udf_builder``; that they are what the standards
mean is seen by what 7-Zip, udfclient and udfinfo find in them. Others are made by
genisoimage and mkudffs.
"""

import errno
import os
import random
import struct
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Final

import pycdlib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomfs.errors import MediumError
from dicomfs.media.medium import Place
from dicomfs.media.udf.image import Udf, recognises
from dicomfs.source.file import FileSource
from dicomfs.source.source import BytesSource, Source
from tests.build import udf as udf
from tests.build.images import make_iso, make_plain_iso, to_sectors
from tests.build.medium import image, patient, series, study, write_medium
from tests.build.udf import (
    EMBEDDED,
    EXTENDED,
    LONG,
    METADATA,
    PLAIN,
    SHORT,
    SPARED,
    VIRTUAL,
    Address,
    File,
    Form,
    Image,
    Tree,
)
from tests.support import trees
from tests.support.amounts import part_of
from tests.support.mounting import ROOT, need, run
from tests.support.trees import CountingSource, folders_in

_MUTANTS: Final = part_of(1_500)
_SEED: Final = 167
# More is a walk in circles, or a read without end: images of these tests are small.
_MOST_NODES: Final = 500
_MOST_READS: Final = 20_000
_BLOCK: Final = 2048

_CHANCE: Final = random.Random(_SEED)
FILES: Final[Tree] = {
    "DICOMDIR": _CHANCE.randbytes(5_000),
    "DICOM": {
        "A": {f"I{number}": _CHANCE.randbytes(number * 997) for number in range(6)},
        "E": {},
        "BIG": File(_CHANCE.randbytes(30_000), pieces=5),
    },
    "SMALL": b"abc",
    "EMPTY": b"",
}

KINDS = pytest.mark.parametrize("kind", [PLAIN, VIRTUAL, SPARED, METADATA])
REVISIONS: Final = (0x0102, 0x0150, 0x0201, 0x0250)
BLOCKS: Final = (512, 1024, 2048, 4096)
FORMS: Final = (SHORT, LONG, EXTENDED, EMBEDDED)


# -- looking at images -----------------------------------------------------------------


def opened(data: bytes | Path) -> Udf:
    if isinstance(data, bytes):
        return Udf(BytesSource(data))
    return Udf(BytesSource(data.read_bytes()))


def listed(medium: Udf) -> Iterator[tuple[Place, list[bytes]]]:
    """Yield the paths of all folders that can be listed, and the names in them."""
    waiting: list[Place] = [()]
    for count, folder in enumerate(waiting):
        assert count < _MOST_NODES, "the folders have no end"
        if error := errno_of(medium.names, folder):
            assert error == errno.EIO
            continue
        names, folders = medium.names(folder), folders_in(medium, folder)
        assert len(names) < _MOST_NODES
        assert not any(b"/" in name or b"\0" in name for name in names)
        waiting += [(*folder, name) for name in folders]
        yield folder, names


def content(medium: Udf, path: Place) -> bytes:
    source = medium.open(path)
    assert source.size == medium.status(path).size
    return source.read_at(0, source.size)


def contents(medium: Udf) -> dict[str, bytes]:
    """Return the bytes of all files by path; raises OSError."""
    found = {}
    for folder, names in listed(medium):
        folders = folders_in(medium, folder)
        for name in names:
            if name not in folders:
                path = (*folder, name)
                found[b"/".join(path).decode()] = content(medium, path)
    return found


def flat(tree: Tree, above: str = "") -> dict[str, bytes]:
    """Return the bytes of the files of a tree by path."""
    found = {}
    for name, child in tree.items():
        if isinstance(child, Mapping):
            found.update(flat(child, f"{above}{name}/"))
        else:
            found[above + name] = child.data if isinstance(child, File) else child
    return found


def files_below(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def errno_of(function: Callable[..., object], *arguments: object) -> int:
    """Return the errno of the OSError that a call raises, 0 if it raises none."""
    try:
        function(*arguments)
    except OSError as error:
        return error.errno or -1
    return 0


def patched(data: bytes, *changes: tuple[int, bytes]) -> bytes:
    """Return *data* with bytes in it changed at offsets."""
    changed = bytearray(data)
    for at, new in changes:
        changed[at : at + len(new)] = new
    return bytes(changed)


def resealed(data: bytes, offset: int, at: int, change: bytes) -> bytes:
    """Return *data*, in whose descriptor at *offset* bytes *at* are others."""
    new = udf.resealed(data[offset : offset + _BLOCK], at, change)
    return patched(data, (offset, new))


class Worn(BytesSource):
    """An image of which some blocks cannot be read."""

    def __init__(self, data: bytes, *bad: int) -> None:
        super().__init__(data)
        self._bad = set(bad)

    def read_at(self, offset: int, size: int) -> bytes:
        """Read, or fail."""
        size = max(min(size, self.size - offset), 0)
        blocks = range(offset // _BLOCK, -(-(offset + size) // _BLOCK))
        if not self._bad.isdisjoint(blocks):
            raise OSError(errno.EIO, "a bad sector")
        return super().read_at(offset, size)


# -- sound images ----------------------------------------------------------------------


@pytest.mark.slow
@KINDS
def test_an_image_of_any_make_has_its_files(kind: str) -> None:
    count = 0
    for revision in REVISIONS:
        for block in BLOCKS:
            for form in FORMS:
                for strategy_4096 in (False, True):
                    made = Form(kind, revision, block, form, strategy_4096)
                    data = Image(FILES, made).data
                    assert recognises(BytesSource(data))
                    assert contents(opened(data)) == flat(FILES), made
                    count += 1

    assert count == 128


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("form", [SHORT, LONG, EMBEDDED])
def test_7zip_finds_the_same(tmp_path: Path, revision: int, form: int) -> None:
    need("7z")
    path = tmp_path / "image"
    path.write_bytes(Image(FILES, Form(PLAIN, revision, form=form)).data)

    done = run(["7z", "x", f"-o{tmp_path / 'out'}", str(path)])

    assert done.returncode == 0, done.stdout
    assert files_below(tmp_path / "out") == contents(opened(path))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "revision"),
    [(VIRTUAL, 0x0150), (VIRTUAL, 0x0201), (SPARED, 0x0201), (METADATA, 0x0250)],
)
def test_udfclient_finds_the_same(tmp_path: Path, kind: str, revision: int) -> None:
    need("udfclient")
    made = Image(FILES, Form(kind, revision))
    (tmp_path / "image").write_bytes(made.data)
    (tmp_path / "out").mkdir()
    script = 'lcd out\ncd "0123456789:TEST:TEST:TEST"\nmget .\nquit\n'
    (tmp_path / "script").write_text(script)

    done = run(["sh", "-c", "udfclient -b 2048 image < script"], cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    found = files_below(tmp_path / "out")
    assert found == contents(opened(made.data)) == flat(FILES)


@pytest.mark.parametrize("kind", [PLAIN, VIRTUAL, METADATA])
@pytest.mark.parametrize("revision", [0x0150, 0x0250])
def test_udfinfo_has_nothing_against_an_image(
    tmp_path: Path, kind: str, revision: int
) -> None:
    need("udfinfo")
    path = tmp_path / "image"
    path.write_bytes(Image(FILES, Form(kind, revision)).data)

    done = run(["udfinfo", str(path)])

    assert (done.returncode, done.stderr) == (0, "")
    assert "integrity=closed" in done.stdout


def _mkudffs(path: Path, media: str, revision: str, *options: str) -> Path:
    need("mkudffs")
    command = ["mkudffs", "--new-file", "-m", media, "-r", revision, *options]
    done = run([*command, str(path), "8192"])
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.parametrize(
    ("media", "revision", "options"),
    [
        ("hd", "1.02", ("-b", "512")),
        ("hd", "2.01", ("-b", "4096")),
        ("hd", "2.01", ("-b", "1024", "--ad=long")),
        ("dvd", "1.02", ()),
        ("dvd", "1.02", ("--strategy=4096",)),
        ("dvdrw", "1.50", ()),
        ("cdrw", "2.01", ()),
        ("cdr", "1.50", ()),
        ("cdr", "2.01", ("--closed",)),
        ("cdr", "2.60", ()),
        ("bdr", "2.50", ()),
        ("bdr", "2.60", ()),
    ],
)
def test_what_mkudffs_makes_is_read(
    tmp_path: Path, media: str, revision: str, options: tuple[str, ...]
) -> None:
    path = _mkudffs(tmp_path / "image", media, revision, *options)
    source = FileSource(os.open(path, os.O_RDONLY))

    assert recognises(source)
    disc = Udf(source)
    names = disc.names(())
    disc.close()

    # Whatever space it does not use, that is no file.
    assert names == []


@pytest.mark.slow
def test_what_udfclient_writes_is_read(tmp_path: Path) -> None:
    need("udfclient")
    _mkudffs(tmp_path / "image", "cdrw", "2.01", "--vid=A", "--lvid=B", "--fsid=C")
    for name in ("ONE", "TWO"):
        (tmp_path / name).write_bytes(flat(FILES)["DICOM/BIG"] + name.encode())
    label = run(["udfinfo", "image"], cwd=tmp_path).stdout
    volume_set = label.partition("fullvsid=")[2].splitlines()[0]
    script = f'cd "{volume_set}:A:B:C"\nput ONE\nmkdir SUB\ncd SUB\nput TWO\nquit\n'
    (tmp_path / "script").write_text(script)

    done = run(["sh", "-c", "udfclient -b 2048 -W image < script"], cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    found = contents(opened(tmp_path / "image"))
    assert found["ONE"] == (tmp_path / "ONE").read_bytes()
    assert found["SUB/TWO"] == (tmp_path / "TWO").read_bytes()


# -- bridge discs, and whole media -----------------------------------------------------


@pytest.fixture(scope="module")
def medium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a DICOMDIR and what it references."""
    root = tmp_path_factory.mktemp("udf") / "medium"
    images = [image(f"1.2.{number}", InstanceNumber=number) for number in range(1, 9)]
    parts = [series("1.1.1", images[:5]), series("1.1.2", images[5:])]
    write_medium(root, [patient("Doe^Jane", "7", [study("1.1", parts)])])
    return root


@pytest.fixture(scope="module")
def bridge(medium: Path) -> Path:
    """Return an image of it with both ISO 9660 and UDF."""
    return make_plain_iso(medium, medium.with_name("bridge"), "-udf")


def without_iso(data: bytes) -> bytes:
    """Return *data* without its descriptors of ISO 9660."""
    places = [
        at for at in range(32_768, 65_536, _BLOCK) if data[at + 1 :][:5] == b"CD001"
    ]
    assert places
    return patched(data, *((at, bytes(_BLOCK)) for at in places))


def test_the_udf_half_of_a_bridge_disc_is_the_folder(
    medium: Path, bridge: Path
) -> None:
    disc = opened(without_iso(bridge.read_bytes()))

    assert contents(disc) == files_below(medium)
    for path in medium.rglob("*"):
        if path.is_file():
            place = tuple(part.encode() for part in path.relative_to(medium).parts)
            whole_second = int(path.stat().st_mtime) * 10**9
            assert disc.status(place).mtime_ns == whole_second


def test_pycdlib_finds_the_same_in_a_bridge_disc(bridge: Path) -> None:
    disc = pycdlib.PyCdlib()
    disc.open(str(bridge))
    expected = {}
    for folder, _, names in disc.walk(udf_path="/"):
        for name in names:
            into = BytesIO()
            path = f"{folder.rstrip('/')}/{name}"
            disc.get_file_from_iso_fp(into, udf_path=path)
            expected[path[1:]] = into.getvalue()
    disc.close()

    assert contents(opened(bridge)) == expected


def _tree_of(folder: Path) -> Tree:
    return {
        path.name: _tree_of(path) if path.is_dir() else path.read_bytes()
        for path in sorted(folder.iterdir())
    }


@KINDS
@pytest.mark.parametrize("form", [SHORT, EMBEDDED])
def test_the_tree_of_an_image_is_that_of_the_folder(
    medium: Path, kind: str, form: int
) -> None:
    of_folder = trees.look(medium)
    data = Image(_tree_of(medium), Form(kind, form=form)).data

    of_image = trees.look(opened(data))

    assert trees.files(of_image)
    assert trees.as_text(of_image) == trees.as_text(of_folder)
    assert [seen.data for seen in of_image.values()] == [
        seen.data for seen in of_folder.values()
    ]


def test_the_tree_of_a_bridge_disc_is_that_of_the_folder(
    medium: Path, bridge: Path
) -> None:
    disc = opened(without_iso(bridge.read_bytes()))

    assert trees.as_text(trees.look(disc)) == trees.as_text(trees.look(medium))


# -- recognising -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"", b"PK\3\4" * 20, bytes(600 * _BLOCK), b"\2" * (600 * _BLOCK)]
)
def test_what_is_no_image_is_not_recognised_and_not_opened(data: bytes) -> None:
    assert not recognises(BytesSource(data))
    with pytest.raises(MediumError):
        opened(data)


def test_an_iso_image_without_udf_is_not_recognised(
    medium: Path, tmp_path: Path
) -> None:
    path = make_iso(medium, tmp_path / "image")

    assert not recognises(BytesSource(path.read_bytes()))


def test_an_image_is_recognised_by_an_anchor_alone() -> None:
    made = Image(FILES)
    data = patched(made.data, (32_768, bytes(3 * _BLOCK)))

    assert recognises(BytesSource(data))
    assert contents(opened(data)) == flat(FILES)


def test_bad_sectors_do_not_hide_what_an_image_is() -> None:
    made = Image(FILES)

    # The middle one of the recognition sequence says it, and so do the anchors.
    assert recognises(Worn(made.data, 16, 18, *made.anchors))
    assert recognises(Worn(made.data, 16, 17, 18))
    with pytest.raises(OSError, match="bad sector"):
        recognises(Worn(made.data, 16, 17, 18, *made.anchors))


def test_whole_sectors_of_a_cd_are_read(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(Image(FILES, Form(SPARED)).data)
    path = to_sectors(tmp_path / "image", tmp_path / "whole")

    assert recognises(BytesSource(path.read_bytes()))
    assert contents(opened(path)) == flat(FILES)


def test_a_session_is_found_by_where_it_begins() -> None:
    made = Image(FILES)
    anchor = made.data[256 * _BLOCK : 257 * _BLOCK]
    at = 300 + 256
    data = made.data.ljust(700 * _BLOCK, b"\0")
    moved = udf.resealed(anchor, 0, b"", at)
    data = patched(data, *((n * _BLOCK, bytes(_BLOCK)) for n in made.anchors))
    data = patched(data, (at * _BLOCK, moved))

    with pytest.raises(MediumError):
        Udf(BytesSource(data))
    assert contents(Udf(BytesSource(data), 300)) == flat(FILES)


# -- what is in a folder ---------------------------------------------------------------


def with_identifiers(*identifiers: bytes) -> bytes:
    """Return an image whose folders have these file identifiers besides."""
    return Image({"A": b"a", "SUB": {"B": b"b"}}, Form(more=identifiers)).data


def test_a_deleted_file_is_not_there_and_a_hidden_one_is() -> None:
    tree: Tree = {
        "GONE": File(b"gone", kind=udf.DELETED),
        "HIDDEN": File(b"hidden", kind=udf.HIDDEN),
        "SEEN": b"seen",
    }

    assert contents(opened(Image(tree).data)) == {"HIDDEN": b"hidden", "SEEN": b"seen"}


def test_links_are_neither_files_nor_folders() -> None:
    disc = opened(Image({"LINK": File(b"x", file_type=udf.SYMLINK), "A": b"a"}).data)

    assert folders_in(disc, ()) == []
    assert errno_of(disc.status, (b"LINK",)) == errno.EINVAL
    assert errno_of(disc.open, (b"LINK",)) == errno.EINVAL
    [link, a] = disc.statuses((), [b"LINK", b"A"])
    assert isinstance(link, OSError)
    assert not isinstance(a, OSError)


def test_a_folder_is_no_file_and_a_file_no_folder() -> None:
    disc = opened(Image(FILES).data)

    assert errno_of(disc.open, (b"DICOM",)) == errno.EINVAL
    assert errno_of(disc.open, ()) == errno.EINVAL
    assert errno_of(disc.names, (b"SMALL",)) == errno.ENOTDIR
    assert errno_of(disc.names, (b"NONE",)) == errno.ENOENT
    assert errno_of(disc.status, (b"DICOM", b"NONE")) == errno.ENOENT


def test_a_file_that_looks_like_a_folder_is_none() -> None:
    identifiers = udf.file_identifier(b"\x08X", Address(0, 0))
    disc = opened(Image({"A": File(identifiers, kind=udf.IS_FOLDER)}).data)

    assert folders_in(disc, ()) == [b"A"]
    assert errno_of(disc.names, (b"A",)) == errno.EIO


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        (b"\x08I1", b"I1"),
        (b"\x08\xc4", "Ä".encode()),
        (b"\x10\0I\x65\xe5", "I日".encode()),
        (b"\x10\0I\x65", b"I"),
        (b"\x10\xd8\x00", b"\xed\xa0\x80"),
        (b"\x10\xd8\x3d\xde\x00", "\U0001f600".encode()),
        (b"\x08a/b\0", b"a_b_"),
        (b"\x08..", b"__"),
        (b"\x08.", b"_"),
        (b"\x08", b"_"),
    ],
)
def test_names_are_those_of_the_medium_in_utf_8(stored: bytes, shown: bytes) -> None:
    disc = opened(with_identifiers(udf.file_identifier(stored, Address(0, 0))))

    assert set(disc.names(())) == {b"A", b"SUB", shown}


@given(
    st.text(
        st.characters(codec="utf-8", exclude_characters="/\0"),
        min_size=1,
        max_size=100,
    )
)
def test_any_name_is_found(name: str) -> None:
    disc = opened(Image({name: b"x", "_other": b""}).data)

    shown = "_" * len(name) if name in {".", ".."} else name
    assert set(disc.names(())) == {shown.encode(), b"_other"}
    assert content(disc, (shown.encode(),)) == b"x"


def test_which_of_two_files_of_one_name_is_meant_is_not_guessed() -> None:
    made = Image({"A": b"a", "B": b"b"})
    twin = udf.file_identifier(b"\x08A", Address(0, made.root.block))
    disc = opened(with_identifiers(twin))

    assert errno_of(disc.open, (b"A",)) == errno.EIO
    assert content(disc, (b"SUB", b"B")) == b"b"


@pytest.mark.parametrize(
    ("stamp", "nanoseconds"),
    [
        (udf.STAMP, udf.STAMP_NS),
        # No zone, and no time of a zone: taken for UTC.
        (b"\x01\x18" + udf.STAMP[2:], udf.STAMP_NS + 2 * 3600 * 10**9),
        (b"\x78\x00" + udf.STAMP[2:], udf.STAMP_NS + 2 * 3600 * 10**9),
        # Five hours behind.
        (b"\xd4\x1e" + udf.STAMP[2:], udf.STAMP_NS + 7 * 3600 * 10**9),
        (bytes(12), 0),
        (b"\xff" * 12, 0),
        (struct.pack("<HhBBBBBBBB", 0x1000, 1960, 1, 1, 0, 0, 0, 0, 0, 0), 0),
        (struct.pack("<HhBBBBBBBB", 0x1000, 9999, 1, 1, 0, 0, 0, 0, 0, 0), 0),
        (struct.pack("<HhBBBBBBBB", 0x1000, 2023, 2, 30, 0, 0, 0, 0, 0, 0), 0),
    ],
)
@pytest.mark.parametrize("revision", [0x0102, 0x0201])
def test_times_are_those_of_the_files_in_every_zone(
    stamp: bytes, nanoseconds: int, revision: int
) -> None:
    tree = {"A": File(b"a", stamp=stamp)}
    disc = opened(Image(tree, Form(revision=revision)).data)

    assert disc.status((b"A",)) == (1, nanoseconds, 0)
    assert disc.open((b"A",)).status == disc.status((b"A",))


# -- what is in a file -----------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("most", [1, 3])
def test_allocation_descriptors_go_on_elsewhere(
    kind: str, form: int, most: int
) -> None:
    data = random.Random(form).randbytes(20 * _BLOCK + 5)
    described = LONG if form == EMBEDDED else form
    file = File(data, pieces=10, form=described, most=most)

    disc = opened(Image({"A": file}, Form(kind, form=form)).data)

    assert content(disc, (b"A",)) == data


@pytest.mark.parametrize("hole", [udf.ALLOCATED, udf.SPARSE])
@pytest.mark.parametrize("form", [SHORT, LONG, EXTENDED])
def test_what_was_not_recorded_reads_as_zeros(form: int, hole: int) -> None:
    chance = random.Random(form)
    parts = [chance.randbytes(2 * _BLOCK), bytes(2 * _BLOCK)] * 3
    file = File(
        b"".join(parts), pieces=6, form=form, holes=dict.fromkeys((1, 3, 5), hole)
    )
    disc = opened(Image({"A": file}).data)
    source = disc.open((b"A",))

    for at in range(0, source.size, 1000):
        assert source.read_at(at, 5000) == file.data[at : at + 5000]
    buffer = bytearray(source.size)
    assert source.read_cached(0, memoryview(buffer)) == source.size
    assert buffer == file.data


def test_extents_behind_the_end_of_a_file_are_not_of_it() -> None:
    made = Image({"A": File(b"x" * (3 * _BLOCK), pieces=3)})
    data = resealed(made.data, made.entries["A"], 56, struct.pack("<Q", _BLOCK + 7))

    assert content(opened(data), (b"A",)) == b"x" * (_BLOCK + 7)


@pytest.mark.parametrize("size", [3 * _BLOCK + 1, 2**40, 2**64 - 1])
@pytest.mark.parametrize("form", [LONG, EMBEDDED])
def test_a_file_longer_than_its_extents_cannot_be_read(size: int, form: int) -> None:
    made = Image({"A": File(b"x" * 1000, form=form), "B": b"b"})
    data = resealed(made.data, made.entries["A"], 56, struct.pack("<Q", size))
    disc = opened(data)

    assert errno_of(disc.status, (b"A",)) == errno.EIO
    assert errno_of(disc.open, (b"A",)) == errno.EIO
    assert content(disc, (b"B",)) == b"b"


def test_of_an_entry_that_was_replaced_the_newest_counts() -> None:
    tree: Tree = {"A": File(b"new", older=(b"oldest", b"older")), "B": b"b"}

    disc = opened(Image(tree, Form(strategy_4096=True)).data)

    assert contents(disc) == {"A": b"new", "B": b"b"}


def test_extended_attributes_are_passed_over() -> None:
    form = Form(attributes=b"\xaa" * 100, form=EMBEDDED)

    assert contents(opened(Image(FILES, form).data)) == flat(FILES)


def test_a_file_of_many_gibibytes_is_read_where_it_lies() -> None:
    made = Image({"A": File(bytes(_BLOCK))})
    # Each extent is as long as one can be, and not recorded but for the last.
    longest = (1 << 30) - _BLOCK
    holes = struct.pack("<LL", udf.SPARSE << 30 | longest, 0) * 20
    where = (made.contents["A"] // _BLOCK) - udf.START
    descriptors = holes + struct.pack("<LL", 5, where)
    entry = bytearray(made.data[made.entries["A"] :][:_BLOCK])
    struct.pack_into("<Q", entry, 56, 20 * longest + 5)
    struct.pack_into("<L", entry, 212, len(descriptors))
    entry[216 : 216 + len(descriptors)] = descriptors
    whole = udf.seal(266, struct.unpack_from("<L", entry, 12)[0], bytes(entry[16:500]))
    data = patched(
        made.data, (made.entries["A"], whole), (made.contents["A"], b"hello")
    )

    source = opened(data).open((b"A",))

    assert source.size == 20 * longest + 5
    assert source.read_at(20 * longest - 3, 8) == b"\0\0\0hello"


# -- what is read, and when ------------------------------------------------------------


@pytest.mark.slow
def test_only_what_is_asked_for_is_read() -> None:
    tree: Tree = {
        name: {f"I{number}": b"x" * 100 for number in range(200)} for name in "ABCDEFGH"
    }
    source = CountingSource(Image(tree).data)
    disc = Udf(source)
    at_opening = source.bytes_read
    names = disc.names((b"A",))
    after_listing = source.bytes_read
    statuses = disc.statuses((b"A",), names)
    reads = len(source.reads)
    disc.statuses((b"A",), names)

    assert at_opening < 150_000
    # A folder's ICB and bytes, and those of the root.
    assert after_listing - at_opening < 40_000
    assert len(statuses) == 200
    # What was read of files is kept.
    assert len(source.reads) == reads


def test_statuses_of_neighbours_take_few_reads() -> None:
    source = CountingSource(Image({f"I{number}": b"" for number in range(320)}).data)
    disc = Udf(source)
    names = disc.names(())
    before = len(source.reads)

    disc.statuses((), names)

    assert len(source.reads) - before <= 320 * _BLOCK // 65_536 + 2


def test_a_file_is_opened_from_memory_once_its_entry_was_read() -> None:
    source = CountingSource(Image(FILES).data)
    disc = Udf(source)
    disc.names(())
    unknown = disc.open_cached((b"DICOMDIR",))
    disc.status((b"DICOMDIR",))
    before = len(source.reads)
    known = disc.open_cached((b"DICOMDIR",))

    assert unknown is None
    assert known is not None
    assert len(source.reads) == before
    assert known.status == disc.status((b"DICOMDIR",))
    assert known.read_at(0, known.size) == flat(FILES)["DICOMDIR"]


class Hanging(BytesSource):
    """An image that notes which of its bytes are held to hang."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.held: list[tuple[int, int]] = []

    def hangs(self, offset: int, size: int) -> None:
        """Note it."""
        self.held.append((offset, size))

    def hangs_no_more(self, offset: int, size: int) -> None:
        """Take it back."""
        self.held.remove((offset, size))


def test_what_hangs_is_what_lies_on_the_disc() -> None:
    file = File(b"x" * _BLOCK + bytes(_BLOCK), pieces=2, holes={1: udf.SPARSE})
    made = Image({"A": file})
    source = Hanging(made.data)
    opened_file = Udf(source).open((b"A",))

    opened_file.hangs(10, 2 * _BLOCK)
    held = list(source.held)
    opened_file.hangs_no_more(10, 2 * _BLOCK)

    assert held == [(made.contents["A"] + 10, _BLOCK - 10)]
    assert source.held == []


_ALONE: Final = """
import sys
from dicomfs.media.udf.image import Udf, recognises
from dicomfs.source.source import BytesSource
source = BytesSource(open(sys.argv[1], "rb").read())
before = set(sys.modules)
sys.meta_path.clear()
assert recognises(source)
disc = Udf(source)
for name in disc.names(()):
    file = disc.open((name,))
    file.read_at(0, file.size)
assert set(sys.modules) == before
print(len(disc.names(())))
"""


@pytest.mark.slow
def test_nothing_is_imported_while_an_image_is_read(tmp_path: Path) -> None:
    """In the sandbox nothing can be."""
    tree = {"A": b"a", "ÄÖ": b"b", "日本": b"c"}
    (tmp_path / "image").write_bytes(Image(tree, Form(METADATA)).data)

    done = run([sys.executable, "-c", _ALONE, str(tmp_path / "image")], cwd=ROOT)

    assert (done.stdout, done.stderr) == ("3\n", "")


def test_many_threads_read_an_image_at_once() -> None:
    disc = opened(Image(FILES, Form(METADATA)).data)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: contents(disc), range(16)))

    assert found == [flat(FILES)] * 16


@pytest.mark.slow
def test_an_entry_takes_little_memory() -> None:
    data = Image({f"I{number}": b"" for number in range(5_000)}).data
    tracemalloc.start()

    disc = opened(data)
    disc.statuses((), disc.names(()))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # So many as one folder may have take less than 100 MiB.
    assert size < 5_000 * 500


# -- damaged volumes -------------------------------------------------------------------

_PARTITION: Final = 2
_LOGICAL_VOLUME: Final = 3


@pytest.mark.parametrize("which", [_PARTITION, _LOGICAL_VOLUME])
@pytest.mark.parametrize("fault", ["CRC", "checksum", "place", "zeros", "unreadable"])
def test_a_broken_main_sequence_is_replaced_by_its_reserve(
    which: int, fault: str
) -> None:
    main, reserve = (
        _broken(Image(FILES).data, [begin + which], fault)
        for begin in (udf.MAIN, udf.RESERVE)
    )
    both = [udf.MAIN + which, udf.RESERVE + which]

    assert contents(Udf(main)) == contents(Udf(reserve)) == flat(FILES)
    with pytest.raises(MediumError):
        Udf(_broken(Image(FILES).data, both, fault))


def _broken(data: bytes, blocks: list[int], fault: str) -> Source:
    """Return an image in which *blocks* have a *fault*."""
    if fault == "unreadable":
        return Worn(data, *blocks)
    for block in blocks:
        at = block * _BLOCK
        old = data[at : at + _BLOCK]
        new = {
            "CRC": old[:100] + bytes([old[100] ^ 1]) + old[101:],
            "checksum": old[:4] + bytes([old[4] ^ 1]) + old[5:],
            "place": udf.resealed(old, 0, b"", block + 1),
            "zeros": bytes(_BLOCK),
        }[fault]
        data = patched(data, (at, new))
    return BytesSource(data)


def test_what_is_broken_but_not_needed_does_no_harm() -> None:
    # The primary volume descriptor, in both sequences.
    data = _broken(Image(FILES).data, [udf.MAIN, udf.RESERVE], "CRC")

    assert contents(Udf(data)) == flat(FILES)


@pytest.mark.parametrize("is_newer", [False, True])
def test_a_volume_that_was_there_before_is_not_taken_for_the_newer(
    is_newer: bool,
) -> None:
    later = struct.pack("<HhBBBBBBBB", 0x1000, 2024, 1, 1, 0, 0, 0, 0, 0, 0)
    stamps = (udf.STAMP, later) if is_newer else (later, udf.STAMP)
    large, small = (
        Image({name: name.encode()}, Form(block=block, made=made)).data
        for name, block, made in zip(
            ("LARGE", "SMALL"), (2048, 512), stamps, strict=True
        )
    )
    # What describes the one with the larger blocks lies behind all that the other needs.
    small = small[: (udf.START + 20) * 512]
    assert len(small) < udf.MAIN * _BLOCK
    data = small + large[len(small) :]

    assert opened(data).names(()) == [b"SMALL" if is_newer else b"LARGE"]


def test_of_descriptors_of_the_same_the_latest_prevails() -> None:
    form = Form(older_starts=(udf.START + 7, udf.START + 9))

    assert contents(opened(Image(FILES, form).data)) == flat(FILES)


def test_a_sequence_goes_on_where_a_pointer_leads() -> None:
    made = Image(FILES)
    data = made.data
    # The second half of the main sequence, from the partition on, lies elsewhere.
    tail = data[(udf.MAIN + 2) * _BLOCK : (udf.MAIN + udf.SEQUENCE) * _BLOCK]
    moved = 200
    pointer = struct.pack("<LLL", 9, 14 * _BLOCK, moved).ljust(496, b"\0")
    data = patched(
        data,
        ((udf.MAIN + 2) * _BLOCK, udf.seal(3, udf.MAIN + 2, pointer)),
        ((udf.MAIN + 3) * _BLOCK, bytes(_BLOCK)),
        (udf.RESERVE * _BLOCK, bytes(udf.SEQUENCE * _BLOCK)),
        (moved * _BLOCK, b"".join(_placed(tail, moved))),
    )
    circle = struct.pack("<LLL", 9, 3 * _BLOCK, udf.MAIN).ljust(496, b"\0")
    endless = patched(
        data, ((udf.MAIN + 2) * _BLOCK, udf.seal(3, udf.MAIN + 2, circle))
    )

    assert contents(opened(data)) == flat(FILES)
    with pytest.raises(MediumError):
        opened(endless)


def _placed(data: bytes, first: int) -> Iterator[bytes]:
    """Yield the blocks of *data*, their descriptors as if written from *first* on."""
    for number, at in enumerate(range(0, len(data), _BLOCK)):
        block = data[at : at + _BLOCK]
        yield udf.resealed(block, 0, b"", first + number) if any(block) else block


def test_one_anchor_is_enough() -> None:
    made = Image(FILES)
    for left in made.anchors:
        lost = [(n * _BLOCK, bytes(_BLOCK)) for n in made.anchors if n != left]
        assert contents(opened(patched(made.data, *lost))) == flat(FILES)

    all_lost = [(n * _BLOCK, bytes(_BLOCK)) for n in made.anchors]
    with pytest.raises(MediumError, match="no volume"):
        opened(patched(made.data, *all_lost))


@pytest.mark.parametrize("at", [4, 6, 8, 20, 100, 400, 405, 410])
def test_a_broken_file_set_cannot_be_used(at: int) -> None:
    made = Image(FILES)
    place = (udf.START + made.file_set.block) * _BLOCK
    data = patched(made.data, (place + at, bytes([made.data[place + at] ^ 1])))

    with pytest.raises(MediumError):
        opened(data)


def _with_file_sets(*changes: bytes, behind: bytes = b"") -> bytes:
    """Return an image with a file set descriptor for each of *changes* of its number.

    All but the last have a root that is none.
    """
    made = Image(FILES)
    begin = len(made.data) // _BLOCK - udf.START
    at = (udf.START + made.file_set.block) * _BLOCK
    data = made.data
    for number, change in enumerate(changes):
        old = made.data[at : at + _BLOCK]
        new = udf.resealed(old, 44, change, begin + number)
        if number + 1 < len(changes):
            new = udf.resealed(new, 400, udf.long_ad(_BLOCK, Address(0, 9_999)))
        data += new
    leads = udf.long_ad((len(changes) + 1) * _BLOCK, Address(0, begin))
    for sequence in (udf.MAIN, udf.RESERVE):
        data = resealed(data, (sequence + _LOGICAL_VOLUME) * _BLOCK, 248, leads)
    return data + behind.ljust(_BLOCK, b"\0")


def test_of_file_sets_the_latest_counts() -> None:
    data = _with_file_sets(b"\1\0", b"\2\0", b"\3\0")

    assert contents(opened(data)) == flat(FILES)


def test_what_lies_behind_the_file_set_does_no_harm() -> None:
    data = _with_file_sets(b"\1\0", behind=b"\xee" * _BLOCK)

    assert contents(opened(data)) == flat(FILES)


@pytest.mark.parametrize("block", [0, 511, 513, 2**16, 2**32 - 1])
def test_blocks_of_an_unknown_size_are_no_blocks(block: int) -> None:
    data = Image(FILES).data
    for begin in (udf.MAIN, udf.RESERVE):
        at = (begin + _LOGICAL_VOLUME) * _BLOCK
        data = resealed(data, at, 212, struct.pack("<L", block))

    with pytest.raises(MediumError):
        opened(data)


# -- damaged partitions ----------------------------------------------------------------


def test_padding_and_run_out_may_lie_behind_the_table_of_a_write_once_disc() -> None:
    data = Image(FILES, Form(VIRTUAL)).data
    count = len(data) // _BLOCK
    padded = data + bytes(100 * _BLOCK)

    assert contents(opened(padded)) == flat(FILES)
    run_out = Worn(data + bytes(2 * _BLOCK), count, count + 1)
    assert contents(Udf(run_out)) == flat(FILES)
    # More than a track ends with may be anything, a newer table too.
    with pytest.raises(MediumError):
        Udf(Worn(data + bytes(5 * _BLOCK), *range(count, count + 5)))


@pytest.mark.parametrize("tail", [b"x" * _BLOCK, bytes(_BLOCK * 600)])
def test_an_older_table_is_not_taken_for_the_newest(tail: bytes) -> None:
    made = Image(FILES, Form(VIRTUAL))

    with pytest.raises(MediumError):
        opened(made.data + tail)
    broken = patched(made.data, (made.table + 60, b"\xff"))
    with pytest.raises(MediumError):
        opened(broken)
    with pytest.raises(MediumError):
        opened(made.data[:-_BLOCK])


def test_a_block_that_the_table_does_not_have_costs_its_file() -> None:
    more = udf.file_identifier(b"\x08LOST", Address(1, 5_000))
    disc = opened(Image({"A": b"a"}, Form(VIRTUAL, more=(more,))).data)

    assert errno_of(disc.status, (b"LOST",)) == errno.EIO
    assert content(disc, (b"A",)) == b"a"


def test_the_latest_sparing_table_counts() -> None:
    form = Form(SPARED, has_stale_table=True)
    data = Image(FILES, form).data
    lost = patched(data, (udf.SPARING[1] * _BLOCK, bytes(_BLOCK)))

    assert contents(opened(data)) == flat(FILES)
    # By the older one, which is sound, the file set is where it was.
    with pytest.raises(MediumError):
        opened(lost)


def test_one_sparing_table_is_enough() -> None:
    data = Image(FILES, Form(SPARED)).data
    for number in udf.SPARING:
        assert contents(Udf(Worn(data, number))) == flat(FILES)

    with pytest.raises(MediumError, match="sparing"):
        Udf(Worn(data, *udf.SPARING))


def test_metadata_that_cannot_be_read_is_read_from_the_mirror() -> None:
    made = Image(FILES, Form(METADATA))
    count = 0
    for path, at in made.entries.items():
        source = Worn(made.data, at // _BLOCK)
        assert contents(Udf(source)) == flat(FILES), path
        broken = patched(made.data, (at + 40, b"\xff\xff"))
        assert contents(opened(broken)) == flat(FILES), path
        count += 1

    assert count > 10


@pytest.mark.parametrize("which", [0, 1])
def test_one_metadata_file_is_enough(which: int) -> None:
    made = Image(FILES, Form(METADATA))
    places = [(udf.START + block) for block in made.files]

    assert contents(Udf(Worn(made.data, places[which]))) == flat(FILES)
    with pytest.raises(MediumError, match="metadata"):
        Udf(Worn(made.data, *places))


def test_metadata_that_is_broken_twice_costs_itself() -> None:
    made = Image(FILES, Form(METADATA))
    at = made.entries["DICOM/A/I3"] // _BLOCK
    mirror = at + (made.metadata[1][0] - made.metadata[0][0])
    second = at + (made.metadata[1][1] - made.metadata[0][1])
    disc = Udf(Worn(made.data, at, mirror, second))

    assert errno_of(disc.open, (b"DICOM", b"A", b"I3")) == errno.EIO
    found = {
        path: errno_of(content, disc, tuple(p.encode() for p in path.split("/")))
        for path in flat(FILES)
    }
    assert [path for path, error in found.items() if error] == ["DICOM/A/I3"]


_MAPS: Final = 440


@pytest.mark.parametrize(
    ("kind", "at", "change", "what"),
    [
        (PLAIN, 4, b"\7", "not on this disc"),
        (PLAIN, 0, b"\3", "unknown kind"),
        (PLAIN, 1, b"\0", "cut off"),
        (PLAIN, 1, b"\5", "cut off"),
        (VIRTUAL, 6 + 8, b"x", "unknown kind"),
        (VIRTUAL, 6 + 1, b"\xff", "unknown kind"),
        (SPARED, 40, b"\0\0", "no length"),
        (SPARED, 42, b"\0", "no sparing table"),
        (METADATA, 6 + 40, b"\xff" * 8, "metadata file"),
    ],
)
def test_a_partition_map_that_makes_no_sense_cannot_be_used(
    kind: str, at: int, change: bytes, what: str
) -> None:
    data = Image(FILES, Form(kind)).data
    for begin in (udf.MAIN, udf.RESERVE):
        place = (begin + _LOGICAL_VOLUME) * _BLOCK
        data = resealed(data, place, _MAPS + at, change)

    with pytest.raises(MediumError, match=what):
        opened(data)


def test_a_table_without_its_name_is_none() -> None:
    data = Image(FILES, Form(VIRTUAL, 0x0150)).data
    at = data.rindex(b"*UDF Virtual Alloc Tbl")

    with pytest.raises(MediumError, match="no VAT"):
        opened(patched(data, (at, b"-")))


def test_metadata_that_was_not_recorded_is_none() -> None:
    made = Image(FILES, Form(METADATA))
    entries = [(udf.START + block) * _BLOCK for block in made.files]
    one, both = made.data, made.data
    for entry in entries:
        length = struct.unpack_from("<L", made.data, entry + 216)[0]
        hole = struct.pack("<L", udf.SPARSE << 30 | length)
        both = resealed(both, entry, 216, hole)
        one = both if entry == entries[0] else one

    assert contents(opened(one)) == flat(FILES)
    with pytest.raises(MediumError, match="not recorded"):
        opened(both)


# -- damaged files and folders ---------------------------------------------------------


def paths_of(tree: Tree) -> list[Place]:
    return [tuple(part.encode() for part in path.split("/")) for path in flat(tree)]


@pytest.mark.parametrize("kind", [PLAIN, VIRTUAL, SPARED])
@pytest.mark.parametrize("fault", ["broken", "unreadable", "elsewhere"])
def test_a_broken_entry_costs_its_file(kind: str, fault: str) -> None:
    made = Image(FILES, Form(kind))
    at = made.entries["SMALL"]
    if made.data[at] == 0xEE:
        at = _spared_place(made, at)
    sources: dict[str, Callable[[], Source]] = {
        "broken": lambda: BytesSource(patched(made.data, (at + 30, b"\xff\xff"))),
        "unreadable": lambda: Worn(made.data, at // _BLOCK),
        "elsewhere": lambda: BytesSource(
            patched(made.data, (at, made.data[made.entries["EMPTY"] :][:_BLOCK]))
        ),
    }
    disc = Udf(sources[fault]())

    statuses = disc.statuses((), [b"SMALL", b"DICOMDIR", b"NONE", b"DICOM"])
    kinds = [each.errno if isinstance(each, OSError) else 0 for each in statuses]
    assert kinds == [errno.EIO, 0, errno.ENOENT, errno.EINVAL]
    for path in paths_of(FILES):
        assert errno_of(disc.open, path) == (errno.EIO if path == (b"SMALL",) else 0)


def _spared_place(made: Image, at: int) -> int:
    """Return where what should be at *at* was moved."""
    packet, within = divmod(at // _BLOCK - udf.START, udf.PACKET)
    return (made.spares[packet] + within) * _BLOCK


@pytest.mark.parametrize("fault", ["broken", "unreadable"])
def test_a_broken_folder_costs_itself_and_is_never_listed_in_part(fault: str) -> None:
    made = Image(FILES)
    at = made.contents["DICOM/A"]
    identifiers = made.data[at : at + _BLOCK]
    # Each byte of each identifier counts: those of the last are the most hidden.
    length = len(identifiers.rstrip(b"\0"))
    for where in range(0, length, 7):
        source: Source = (
            BytesSource(
                patched(made.data, (at + where, bytes([identifiers[where] ^ 4])))
            )
            if fault == "broken"
            else Worn(made.data, at // _BLOCK)
        )
        disc = Udf(source)
        assert errno_of(disc.names, (b"DICOM", b"A")) == errno.EIO
        assert errno_of(disc.status, (b"DICOM", b"A", b"I1")) == errno.EIO
        assert set(disc.names((b"DICOM",))) == {b"A", b"E", b"BIG"}
        assert content(disc, (b"DICOM", b"BIG")) == flat(FILES)["DICOM/BIG"]


@pytest.mark.parametrize("to", ["", "A", "A/B"])
def test_a_folder_that_lies_in_itself_is_an_error(to: str) -> None:
    tree: Tree = {"A": {"B": {"C": {}}}, "D": b"d"}
    places = Image(tree).entries
    leads_back = Address(0, places[to] // _BLOCK - udf.START)
    loop = udf.file_identifier(b"\x08LOOP", leads_back, udf.IS_FOLDER)
    disc = opened(Image(tree, Form(more=(loop,))).data)

    paths = [folder for folder, _ in listed(disc)]

    assert () in paths
    assert len(paths) < 40
    above = (*[part.encode() for part in to.split("/") if part], b"LOOP")
    assert errno_of(disc.names, above) == errno.EIO
    assert content(disc, (b"D",)) == b"d"


def test_a_path_that_is_too_deep_is_an_error() -> None:
    tree: Tree = {"F": b"f"}
    for _ in range(80):
        tree = {"D": tree}
    disc = opened(Image(tree).data)

    assert disc.names((b"D",) * 64) == [b"D"]
    assert errno_of(disc.names, (b"D",) * 65) == errno.EIO
    assert errno_of(disc.names, (b"D",) * 5_000) == errno.EIO


@pytest.mark.slow
def test_a_folder_of_too_many_entries_is_an_error() -> None:
    deleted = udf.file_identifier(b"\x08X", Address(0, 0), udf.DELETED)
    made = Image({"A": b"a"}, Form(more=(deleted * 200_001,)))
    disc = opened(made.data)

    assert errno_of(disc.names, ()) == errno.EIO


def test_allocation_descriptors_that_lead_back_have_an_end() -> None:
    made = Image({"A": File(b"x" * (4 * _BLOCK), pieces=4, most=1), "B": b"b"})
    # The first continuation goes on with itself.
    entry = made.entries["A"]
    descriptors = made.data[entry + 216 :]
    [_, _, length, block] = struct.unpack_from("<LLLL", descriptors)
    assert length >> 30 == udf.CONTINUED
    at = (udf.START + block) * _BLOCK
    empty = struct.pack("<LL", 0, 8) + struct.pack("<LL", length, block)
    data = patched(made.data, (at, udf.seal(258, block, empty)))
    source = CountingSource(data)
    disc = Udf(source)

    assert errno_of(disc.open, (b"A",)) == errno.EIO
    assert len(source.reads) < 100
    assert content(disc, (b"B",)) == b"b"


def test_an_icb_that_leads_back_has_an_end() -> None:
    tree: Tree = {"A": File(b"new", older=(b"old",)), "B": b"b"}
    made = Image(tree, Form(strategy_4096=True))
    first = made.data.index(udf.long_ad(4096, _newest(made)))
    at = first - 36
    back = struct.unpack_from("<L", made.data, at + 12)[0] - 1
    data = resealed(made.data, at, 36, udf.long_ad(4096, Address(0, back)))
    source = CountingSource(data)
    disc = Udf(source)

    assert errno_of(disc.open, (b"A",)) == errno.EIO
    assert len(source.reads) < 1_000
    assert content(disc, (b"B",)) == b"b"


def _newest(made: Image) -> Address:
    return Address(0, made.entries["A"] // _BLOCK - udf.START)


@pytest.mark.slow
def test_a_file_in_too_many_pieces_of_one_extent_is_an_error() -> None:
    """As with packets of one block, some of which were moved."""
    made = Image({"A": b"x" * _BLOCK}, Form(SPARED))
    data = made.data
    for begin in (udf.MAIN, udf.RESERVE):
        at = (begin + _LOGICAL_VOLUME) * _BLOCK
        data = resealed(data, at, 440 + 40, struct.pack("<H", 1))
    entry = _spared_place(made, made.entries["A"])
    # Packets of one block: of each that was moved only the first block counts now.
    first = data[entry - entry % _BLOCK :][:_BLOCK]
    assert _is_descriptor(first)
    size = 300_000 * _BLOCK
    described = struct.pack("<LL", size, 0)
    larger = udf.resealed(first, 56, struct.pack("<Q", size))
    larger = udf.resealed(larger, 216, described)
    data = patched(data, (made.entries["A"], larger))
    for block in range(udf.START, udf.START + udf.PACKET):
        if made.data[block * _BLOCK] == 0xEE and block * _BLOCK != made.entries["A"]:
            old = data[_spared_place(made, block * _BLOCK) :][:_BLOCK]
            data = patched(data, (block * _BLOCK, old))
    disc = opened(data)

    assert disc.names(()) == [b"A"]
    with pytest.raises(OSError, match="too many"):
        disc.status((b"A",))


@pytest.mark.slow
@pytest.mark.parametrize(("count", "is_sane"), [(64, True), (66, False)])
def test_a_file_in_too_many_extents_is_an_error(count: int, is_sane: bool) -> None:
    made = Image({"A": b"x"})
    data = bytearray(made.data)
    end = len(data) // _BLOCK - udf.START
    hole = struct.pack("<LL", udf.SPARSE << 30 | _BLOCK, 0)
    for block in range(end, end + count * 5):
        following = struct.pack("<LL", udf.CONTINUED << 30 | _BLOCK, block + 1)
        body = struct.pack("<LL", 0, 201 * len(hole)) + hole * 200 + following
        data += udf.seal(258, block, body).ljust(_BLOCK, b"\0")
    at = made.entries["A"]
    size = count * 1_000 * _BLOCK
    longer = resealed(bytes(data), at, 56, struct.pack("<Q", size))
    first = struct.pack("<LL", udf.CONTINUED << 30 | _BLOCK, end)
    disc = opened(resealed(longer, at, 216, first))

    if is_sane:
        assert disc.open((b"A",)).read_at(size - 10, 100) == bytes(10)
    else:
        with pytest.raises(OSError, match="too many"):
            disc.status((b"A",))


def test_an_extent_of_too_many_virtual_blocks_is_an_error() -> None:
    made = Image({"A": b"x" * _BLOCK}, Form(VIRTUAL))
    entry = made.entries["A"]
    length = struct.pack("<L", 70_000 * _BLOCK)
    data = resealed(made.data, entry, 56, struct.pack("<Q", 70_000 * _BLOCK))
    data = resealed(data, entry, 216, length + struct.pack("<LH", 0, 1))
    disc = opened(data)

    with pytest.raises(OSError, match="too long"):
        disc.open((b"A",))


@pytest.mark.slow
@KINDS
def test_of_a_truncated_image_all_that_is_there_is_found_and_the_rest_is_an_error(
    kind: str,
) -> None:
    made = Image(FILES, Form(kind))
    expected = flat(FILES)
    whole = 0
    for blocks in range(udf.START, len(made.data) // _BLOCK, 3):
        try:
            disc = opened(made.data[: blocks * _BLOCK + 100])
        except MediumError:
            continue
        errors = _compare(disc, expected)
        whole += errors == 0

    if kind == VIRTUAL:
        # Without its end nobody knows where anything is.
        assert whole == 0
    else:
        assert whole > 0


def _compare(disc: Udf, expected: Mapping[str, bytes]) -> int:
    """See that *disc* has files as *expected*; return how many cannot be read.

    A folder that can be listed has all its names, and a file that can be read all its
    bytes.
    """
    below: dict[Place, set[bytes]] = {(): set(), (b"DICOM", b"E"): set()}
    for path in expected:
        parts = tuple(part.encode() for part in path.split("/"))
        for depth, name in enumerate(parts):
            below.setdefault(parts[:depth], set()).add(name)
    below[b"DICOM",].add(b"E")
    for folder, names in listed(disc):
        assert set(names) == below[folder]
    errors = 0
    for path, data in expected.items():
        place = tuple(part.encode() for part in path.split("/"))
        if error := errno_of(content, disc, place):
            assert error == errno.EIO
            errors += 1
        else:
            assert content(disc, place) == data
    return errors


@pytest.mark.slow
@KINDS
def test_a_bad_sector_costs_what_lies_on_it(kind: str) -> None:
    data = Image(FILES, Form(kind)).data
    expected = flat(FILES)
    unusable = costs = 0
    for block in range(len(data) // _BLOCK):
        if not any(data[block * _BLOCK : (block + 1) * _BLOCK]):
            continue
        try:
            disc = Udf(Worn(data, block))
        except MediumError:
            unusable += 1
            continue
        costs = max(costs, _compare(disc, expected))

    # The file set, where there is one copy of it; of a disc that is not closed also
    # its one anchor, the VAT, and the ICB of that.
    assert unusable == {PLAIN: 1, SPARED: 1, METADATA: 0, VIRTUAL: 4}[kind]
    # The worst is the root directory, all that is there goes with it.
    assert costs <= (1 if kind == METADATA else len(expected))


# -- forged images ---------------------------------------------------------------------


@pytest.mark.slow
@KINDS
def test_no_fault_in_what_describes_an_image_makes_anything_silently_wrong(
    kind: str,
) -> None:
    """What a checksum covers is not changed unseen: it is right, or an error."""
    made = Image(FILES, Form(kind))
    expected = flat(FILES)
    covered = [
        at
        for at in range(0, len(made.data), _BLOCK)
        if _is_descriptor(made.data[at : at + _BLOCK])
    ]
    assert len(covered) > 20
    chance = random.Random(_SEED)
    for number in range(200):
        at = covered[number % len(covered)]
        tag = made.data[at : at + 16]
        where = at + chance.randrange(16 + struct.unpack_from("<H", tag, 10)[0])
        flipped = made.data[where] ^ (1 << chance.randrange(8))
        try:
            disc = opened(patched(made.data, (where, bytes([flipped]))))
        except MediumError:
            continue
        _compare(disc, expected)


def _is_descriptor(block: bytes | bytearray) -> bool:
    tag, version = struct.unpack_from("<HH", block)
    return tag in {*range(1, 10), *range(256, 267)} and version == 3


@pytest.mark.slow
@pytest.mark.counted
def test_of_any_forged_image_only_foreseen_errors_come() -> None:
    kinds = (PLAIN, VIRTUAL, SPARED, METADATA)
    made = [
        Image(FILES, Form(kind, form=form, block=block, strategy_4096=strategy))
        for kind in kinds
        for form, block, strategy in (
            (SHORT, 2048, False),
            (LONG, 512, True),
            (EMBEDDED, 2048, False),
        )
    ]
    chance = random.Random(_SEED)
    opened_count = 0
    for _ in range(_MUTANTS):
        which = chance.choice(made)
        source = CountingSource(_forged(which.data, which.block, chance))
        try:
            recognises(source)
            disc = Udf(source)
        except MediumError:
            continue
        opened_count += 1
        for folder, names in listed(disc):
            disc.statuses(folder, names)
            for name in names[:20]:
                assert errno_of(_read_some, disc, (*folder, name)) in _FORESEEN
        assert len(source.reads) < _MOST_READS

    assert opened_count > _MUTANTS // 2


_FORESEEN: Final = {0, errno.EIO, errno.EINVAL}


def _read_some(disc: Udf, path: Place) -> None:
    source = disc.open(path)
    for at in (0, source.size // 2, max(source.size - 100, 0)):
        data = source.read_at(at, 100)
        assert len(data) == min(100, source.size - at)


def _forged(data: bytes, block: int, chance: random.Random) -> bytes:
    """Return an image in whose descriptors a few fields are others, and sealed anew."""
    changed = bytearray(data)
    count = len(data) // block
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(udf.MAIN, count) * block
        while not _is_descriptor(changed[at : at + 4]):
            at = (at + block) % (count * block)
        _forge(changed, at, block, chance)
    return bytes(changed)


def _forge(image: bytearray, at: int, block: int, chance: random.Random) -> None:
    """Change the descriptor *at*, its identifiers' fields, or what it says of itself."""
    old = bytes(image[at : at + block])
    length = struct.unpack_from("<H", old, 10)[0]
    how = chance.randrange(8)
    if how == 0:
        image[at + chance.randrange(16 + length)] ^= 1 << chance.randrange(8)
        return
    if how == 1:
        other = chance.randrange(len(image) // block) * block
        image[at : at + block] = image[other : other + block]
        return
    place = 16 + chance.randrange(max(length - 8, 1))
    if how == 2:
        change = struct.pack("<L", chance.choice((0, 1, 2**30, 2**31, 2**32 - 1)))
    elif how == 3:
        change = struct.pack("<Q", chance.choice((0, 1, 2**40, 2**63, 2**64 - 1)))
    elif how == 4:
        change = chance.randbytes(chance.randint(1, 8))
    elif how == 5:
        change = struct.pack("<LL", chance.randrange(2**13), chance.randrange(300))
    else:
        value = chance.choice((0, 1, 3, 4, 5, 8, 12, 248, 250, 255))
        place, change = chance.choice((20, 27, 34, 18, 19)), bytes([value])
    if place + len(change) <= 16 + length:
        image[at : at + block] = udf.resealed(old, place, change)


@pytest.mark.slow
def test_forged_file_identifiers_lead_nowhere_else() -> None:
    chance = random.Random(_SEED)
    for _ in range(200):
        identifiers = [
            udf.file_identifier(
                bytes([chance.choice((8, 16, 8, 0, 254))])
                + chance.randbytes(chance.randrange(20)),
                Address(chance.choice((0, 0, 0, 1, 65_535)), chance.randrange(60)),
                chance.choice((0, 0, 1, 2, 2, 3, 10, 16, 255)),
                extra=chance.randbytes(chance.choice((0, 0, 4, 32))),
            )
            for _ in range(chance.randint(1, 5))
        ]
        source = CountingSource(with_identifiers(*identifiers))
        disc = Udf(source)
        for _, folder in zip(range(60), listed(disc), strict=False):
            for name in folder[1]:
                assert errno_of(_read_some, disc, (*folder[0], name)) in _FORESEEN


def test_every_file_of_an_image_that_is_hostile_to_size_is_bounded() -> None:
    hole = struct.pack("<LL", udf.SPARSE << 30 | ((1 << 30) - _BLOCK), 0)
    made = Image({"A": File(b"x" * _BLOCK), "B": b"b"})
    entry = bytearray(made.data[made.entries["A"] :][:_BLOCK])
    descriptors = hole * 200
    struct.pack_into("<Q", entry, 56, 200 * ((1 << 30) - _BLOCK))
    struct.pack_into("<L", entry, 212, len(descriptors))
    entry[216 : 216 + len(descriptors)] = descriptors
    location = struct.unpack_from("<L", entry, 12)[0]
    data = patched(
        made.data, (made.entries["A"], udf.seal(266, location, bytes(entry[16:1900])))
    )
    disc = opened(data)
    tracemalloc.start()

    source = disc.open((b"A",))
    assert source.size == 200 * ((1 << 30) - _BLOCK)
    assert source.read_at(source.size - 10, 100) == bytes(10)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 1_000_000
