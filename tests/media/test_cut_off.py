"""Images that were cut off: said at once, and each file that reaches beyond the end."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from dicomfs.errors import CutOffError
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.fileset.open import file_sets_of
from dicomfs.fileset.scan import scanned
from dicomfs.findings import LOUD, Findings, Kind
from dicomfs.media.archive import Archive
from dicomfs.media.formats import Ways, formats_of
from dicomfs.media.medium import Place
from dicomfs.media.opening import open_sources
from dicomfs.source.source import BytesSource
from dicomfs.tree.selection import Instance, Selection
from dicomfs.tree.tree import Tree
from tests.build import archives, tars, udf
from tests.build.images import (
    ISO_FLAVOURS,
    SECTOR,
    add_session,
    add_track,
    make_plain_iso,
    start_sessions,
    to_sectors,
    without_iso9660,
)
from tests.build.medium import image, patient, series, study, write_medium
from tests.conftest import ExpectLog
from tests.support.trees import folders_in

_FILES: Final = 12


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a File-set, of which each file takes a few sectors."""
    root = tmp_path_factory.mktemp("disc")
    images = [
        image(f"1.2.3.4.{number}", number=number, size=3 * SECTOR)
        for number in range(1, _FILES + 1)
    ]
    above = study("1.2.3", [series("1.2.3.4", images)])
    write_medium(root, [patient("Doe^Jane", "1", [above])])
    return root


@pytest.fixture(scope="module")
def images_of(disc: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return images of the disc, by what they are."""
    to = tmp_path_factory.mktemp("images")
    made = {
        name: ISO_FLAVOURS[name](disc, to / f"{number}.iso")
        for number, name in enumerate(("plain", "Joliet", "Rock Ridge", "UDF bridge"))
    }
    found = {name: path.read_bytes() for name, path in made.items()}
    for mode in (1, 2):
        raw = to_sectors(made["plain"], to / f"{mode}.bin", mode)
        found[f"sectors, mode {mode}"] = raw.read_bytes()
    found["UDF of genisoimage"] = without_iso9660(made["UDF bridge"]).read_bytes()
    raw = to_sectors(made["UDF bridge"], to / "udf.bin")
    found["sectors of UDF"] = raw.read_bytes()
    return found


KINDS = pytest.mark.parametrize(
    "kind",
    [
        *("plain", "Joliet", "Rock Ridge", "UDF bridge", "sectors, mode 1"),
        *("sectors, mode 2", "UDF of genisoimage", "sectors of UDF"),
    ],
)


def opened(data: bytes) -> Archive[Any]:
    source = BytesSource(data)
    return next(formats_of(source)).medium(source, Ways())


def files_in(medium: Archive[Any], folder: Place = ()) -> Iterator[Place]:
    """Yield where the files lie."""
    below = folders_in(medium, folder)
    for name in medium.names(folder):
        if name in below:
            yield from files_in(medium, (*folder, name))
        else:
            yield (*folder, name)


def half(data: bytes) -> bytes:
    """Return an image that ends within the file that is the seventh on it."""
    medium = opened(data)
    # The first bytes lie in one sector, and no two files have the same.
    begins = [
        data.index(medium.open(path).read_at(0, 1_500)) for path in files_in(medium)
    ]
    return data[: sorted(begins)[6] + 3_000]


def kinds_of(medium: Archive[Any]) -> list[Kind]:
    return [finding.kind for finding in medium.findings()]


@KINDS
def test_a_whole_image_is_not_said_to_be_cut_off(
    images_of: dict[str, bytes], kind: str
) -> None:
    medium = opened(images_of[kind])

    assert kinds_of(medium) == []
    assert all(medium.status(path).size for path in files_in(medium))


@KINDS
def test_a_cut_off_image_says_so_and_marks_the_files_that_end_beyond(
    images_of: dict[str, bytes], kind: str
) -> None:
    data = images_of[kind]
    whole = opened(data)
    contents = {}
    for path in files_in(whole):
        source = whole.open(path)
        contents[path] = source.read_at(0, source.size)

    medium = opened(half(data))

    assert kinds_of(medium) == [Kind.IMAGE_CUT_OFF]
    assert Kind.IMAGE_CUT_OFF in LOUD
    there, gone = set(), set()
    for path, content in contents.items():
        [status] = medium.statuses(path[:-1], [path[-1]])
        source = medium.open(path)
        if isinstance(status, CutOffError):
            assert status.errno == errno.EIO
            with pytest.raises(CutOffError):
                medium.status(path)
            # What is left of it is that of a file that was cut off itself.
            assert source.size < len(content)
            assert source.read_at(0, len(content)) == content[: source.size]
            gone.add(path)
        else:
            assert source.read_at(0, source.size) == content
            there.add(path)
    assert min(len(there), len(gone)) >= 3


@pytest.mark.parametrize("scan", [False, True], ids=["by index", "by scan"])
@pytest.mark.parametrize("kind", ["plain", "sectors, mode 1", "UDF of genisoimage"])
def test_the_tree_has_what_was_cut_off_as_that(
    images_of: dict[str, bytes], kind: str, scan: bool
) -> None:
    medium = opened(half(images_of[kind]))
    findings = Findings()
    file_sets = (
        scanned(medium, findings) if scan else open_file_sets(medium, b"", findings)
    )
    files = list(instances(Tree(file_sets, read_headers=True).root))
    cut = [each for each in files if each.error]
    said = [each for each in findings.all() if each.kind is Kind.FILE_CUT_OFF]

    # A scan can show only those whose header is there, and says how many others are cut.
    assert len(files) + sum(each.count for each in said if not each.of) == _FILES
    assert len(files) == _FILES or (scan and len(cut) == 1)
    assert {(each.size, each.error) for each in cut} == {(0, errno.EIO)}
    assert {each.reason for each in cut} == {"the medium ends before the file does"}
    assert len(cut) in [each.count for each in said if each.of == len(files)]


def instances(folder: Selection) -> Iterator[Instance]:
    """Yield the files below *folder*."""
    for node in folder.children().values():
        if isinstance(node, Selection):
            yield from instances(node)
        elif isinstance(node, Instance):
            yield node


def test_a_dicomdir_that_was_cut_off_itself_still_shows_its_beginning(
    disc: Path, tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("the DICOMDIR is cut off")
    folder = tmp_path / "folder"
    (folder / "A").mkdir(parents=True)
    (folder / "DICOMDIR").write_bytes((disc / "DICOMDIR").read_bytes())
    data = ISO_FLAVOURS["plain"](folder, tmp_path / "image.iso").read_bytes()
    index = (disc / "DICOMDIR").read_bytes()
    cut = data[: data.index(index[:2_000]) + len(index) * 2 // 3]

    medium = opened(cut)

    [file_set] = open_file_sets(medium)
    assert kinds_of(medium) == [Kind.IMAGE_CUT_OFF]
    assert file_set.roots


@pytest.mark.parametrize("blocks", [0, 1, 17])
def test_a_volume_that_says_less_than_there_is_is_not_cut_off(
    images_of: dict[str, bytes], blocks: int
) -> None:
    data = bytearray(images_of["plain"])
    data[16 * SECTOR + 80 : 16 * SECTOR + 84] = blocks.to_bytes(4, "little")

    assert kinds_of(opened(bytes(data))) == []


# -- the record of the root ------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 33, 36, 40, 255])
@pytest.mark.parametrize("flavour", ["plain", "Joliet", "Rock Ridge"])
def test_the_length_of_the_record_of_the_root_does_not_matter(
    images_of: dict[str, bytes], flavour: str, length: int
) -> None:
    data = bytearray(images_of[flavour])
    expected = set(files_in(opened(bytes(data))))
    for sector in range(16, 20):
        if data[sector * SECTOR] in {1, 2}:
            data[sector * SECTOR + 156] = length

    assert set(files_in(opened(bytes(data)))) == expected


@pytest.mark.parametrize("length", [0, 2, 255])
def test_the_length_of_the_name_of_the_root_does_not_matter(
    images_of: dict[str, bytes], length: int
) -> None:
    data = bytearray(images_of["plain"])
    expected = set(files_in(opened(bytes(data))))
    data[16 * SECTOR + 156 + 32] = length

    assert set(files_in(opened(bytes(data)))) == expected


# -- one of several sources ------------------------------------------------------------


def test_of_several_sources_each_finding_says_which_it_is_about(
    images_of: dict[str, bytes], disc: Path, tmp_path: Path, expect_log: ExpectLog
) -> None:
    members = [tars.Member(b"DICOMDIR", (disc / "DICOMDIR").read_bytes())]
    sparse = tars.Member(b"IMAGES/" + b"X", b"", kind=b"S", magic=tars.GNU)
    rooted = {f"/{name}": data for name, data in archives.files_in(disc).items()}
    (tmp_path / "1.iso").write_bytes(half(images_of["plain"]))
    (tmp_path / "2.tar").write_bytes(tars.archive([*members, sparse], end=b""))
    (tmp_path / "3.zip").write_bytes(archives.zipped(rooted))
    expect_log(r"the image is cut off; .* bytes are there, .* \(source 1 of 3\)$")
    expect_log(
        r"the archive is cut off; what is left of it is shown \(source 2 of 3\)$"
    )
    findings = Findings()
    paths = sorted(tmp_path.iterdir())

    file_sets_of(open_sources(paths), findings)

    said = {(each.kind, each.source) for each in findings.all()}
    assert said >= {
        (Kind.IMAGE_CUT_OFF, str(paths[0])),
        (Kind.ARCHIVE_CUT_OFF, str(paths[1])),
        (Kind.ROOTED_NAME, str(paths[2])),
    }
    assert "" not in {source for _, source in said}


def test_files_of_a_folder_that_cannot_be_opened_for_other_reasons_are_told_apart(
    disc: Path,
) -> None:
    files = archives.files_in(disc)
    members: list[tars.Member] = []
    for number, (name, data) in enumerate(sorted(files.items())):
        kind = {1: b"S", 2: b"M", 3: b"M"}.get(number - 1, b"0")
        members.append(tars.Member(name.encode(), data, kind=kind, magic=tars.GNU))
    findings = Findings()
    medium = opened(tars.archive(members))

    list(instances(Tree(open_file_sets(medium, b"", findings), read_headers=True).root))

    said = [each for each in findings.all() if each.kind is Kind.UNREADABLE_FILE]
    assert sorted((each.count, each.detail.split()[1]) for each in said) == [
        (1, "is"),
        (2, "beginning"),
    ]


# -- discs of several sessions, and of other makes -------------------------------------


@pytest.mark.parametrize("gap", [0, 11_400])
def test_a_whole_disc_of_several_sessions_is_not_cut_off_and_half_of_one_is(
    gap: int, disc: Path, tmp_path: Path
) -> None:
    path = make_plain_iso(disc, tmp_path / "disc.iso")
    later = tmp_path / "later"
    later.mkdir()
    (later / "README").write_bytes(bytes(50_000))
    start = add_track(path, later, gap=gap)
    data = path.read_bytes()

    assert kinds_of(opened(data)) == []
    # Of the second session the descriptors and the folders are there.
    assert kinds_of(opened(data[: (start + 30) * SECTOR])) == [Kind.IMAGE_CUT_OFF]


def test_a_disc_that_was_grown_is_not_cut_off(disc: Path, tmp_path: Path) -> None:
    path = start_sessions(disc, tmp_path / "disc.iso")
    later = tmp_path / "later"
    later.mkdir()
    (later / "README").write_bytes(bytes(50_000))

    for _ in range(2):
        assert kinds_of(opened(add_session(path, later).read_bytes())) == []


@pytest.mark.parametrize("flavour", ISO_FLAVOURS)
@pytest.mark.slow
def test_no_image_that_programs_make_is_said_to_be_cut_off(
    flavour: str, disc: Path, tmp_path: Path
) -> None:
    data = ISO_FLAVOURS[flavour](disc, tmp_path / "disc.iso").read_bytes()

    assert kinds_of(opened(data)) == []
    assert kinds_of(opened(data + bytes(300 * SECTOR))) == []


@pytest.mark.parametrize("kind", [udf.PLAIN, udf.SPARED, udf.VIRTUAL, udf.METADATA])
@pytest.mark.parametrize("block", [512, 2048])
def test_a_whole_udf_volume_is_not_said_to_be_cut_off(kind: str, block: int) -> None:
    form = udf.Form(kind=kind, block=block, revision=0x0250)

    medium = opened(udf.Image({"A": bytes(9_000)}, form).data)

    assert kinds_of(medium) == []


@pytest.mark.parametrize("block", [512, 2048])
def test_a_udf_volume_whose_partition_ends_beyond_the_image_is_cut_off(
    block: int,
) -> None:
    data = udf.Image({"A": bytes(9_000)}, udf.Form(block=block)).data
    blocks = len(data) // block
    for number in (udf.MAIN, udf.RESERVE):
        for at in range(number * block, (number + udf.SEQUENCE) * block, block):
            if data[at : at + 2] == b"\5\0":
                length = blocks.to_bytes(4, "little")
                changed = udf.resealed(data[at : at + block], 192, length)
                data = data[:at] + changed + data[at + block :]

    assert kinds_of(opened(data)) == [Kind.IMAGE_CUT_OFF]
    assert opened(data).open((b"A",)).read_at(0, 9_000) == bytes(9_000)
