"""Several sources in one tree, and what a source may be."""

import errno
import logging
import os
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from dicomfs.cli.codes import Exit
from dicomfs.cli.exits import complaint
from dicomfs.cli.terminal import Audience
from dicomfs.errors import Failure, Problem
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.fileset.fileset import FileSet
from dicomfs.fileset.open import capacity_of, file_sets_of
from dicomfs.findings import Finding, Findings, Kind
from dicomfs.media.medium import Capacity
from dicomfs.media.opening import (
    Files,
    OpenedFile,
    OpenedFolder,
    open_source,
    open_sources,
)
from dicomfs.media.zip import decrypt
from dicomfs.tree.selection import Instance, Selection
from dicomfs.tree.tree import Tree
from tests.build.images import make_iso, make_plain_iso
from tests.build.medium import (
    Record,
    image,
    instance_bytes,
    patient,
    series,
    study,
    write_medium,
)
from tests.conftest import ExpectLog
from tests.support import mounting
from tests.support.trees import CountingMedium, FakeMedium, opened, walk

# A time that every kind of medium can tell: whole, even seconds.
MTIME_NS = 1_600_000_000 * 10**9


@contextmanager
def tree_of(*paths: Path, scan: bool = False) -> Iterator[Tree]:
    """Open the tree of sources, as the commands do."""
    file_sets = file_sets_of(
        open_sources(paths), Findings(), scan=scan, listener=Audience()
    )
    try:
        yield Tree(file_sets, read_headers=True)
    finally:
        close(file_sets)


def close(file_sets: Sequence[FileSet]) -> None:
    for medium in {id(each.medium): each.medium for each in file_sets}.values():
        medium.close()


def shown(*paths: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return path, inode number, time and bytes of all files of a tree."""
    with tree_of(*paths) as tree:
        nodes = sorted(walk(tree.root), key=lambda each: each[0])
        return {
            path: (node.inode, node.mtime_ns, content(node))
            for path, node in nodes
            if isinstance(node, Instance)
        }


def content(file: Instance) -> bytes:
    source = file.open()
    try:
        return source.read_at(0, source.size)
    finally:
        source.close()


def disc(root: Path, study_uid: str = "1.1", **of_patient: str) -> Path:
    """Write a disc with one study of Jane Doe, of two images."""
    images = [image(f"{study_uid}.1.{n}", number=n) for n in (1, 2)]
    made = study(study_uid, [series(f"{study_uid}.1", images)], description=study_uid)
    return written(root, [patient("Doe^Jane", "1", [made], **of_patient)])


def written(root: Path, medium: Sequence[Record]) -> Path:
    write_medium(root, medium)
    for path in [*root.rglob("*"), root]:
        os.utime(path, ns=(MTIME_NS, MTIME_NS))
    return root


def zipped(root: Path, to: Path) -> Path:
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*")):
            archive.write(path, path.relative_to(root))
    return to


# -- what a source may be --------------------------------------------------------------


def the_folder(tmp_path: Path) -> Path:
    return disc(tmp_path / "disc")


def its_dicomdir(tmp_path: Path) -> Path:
    return the_folder(tmp_path) / "DICOMDIR"


def its_dicomdir_by_another_name(tmp_path: Path) -> Path:
    return its_dicomdir(tmp_path).rename(tmp_path / "disc/INDEX.OLD")


def an_image(tmp_path: Path) -> Path:
    return make_iso(the_folder(tmp_path), tmp_path / "disc.iso")


def an_archive(tmp_path: Path) -> Path:
    return zipped(the_folder(tmp_path), tmp_path / "disc.zip")


def an_archive_with_a_wrapper(tmp_path: Path) -> Path:
    disc(tmp_path / "all/portal/disc")
    return zipped(tmp_path / "all", tmp_path / "disc.zip")


def an_image_in_an_archive(tmp_path: Path) -> Path:
    (tmp_path / "inner").mkdir()
    make_iso(the_folder(tmp_path), tmp_path / "inner/disc.ISO")
    return zipped(tmp_path / "inner", tmp_path / "disc.zip")


def an_archive_in_an_image(tmp_path: Path) -> Path:
    (tmp_path / "inner").mkdir()
    zipped(the_folder(tmp_path), tmp_path / "inner/portal.zip")
    return make_iso(tmp_path / "inner", tmp_path / "disc.iso")


def an_image_for_new_machines(tmp_path: Path) -> Path:
    """Return a bridge disc that shows old machines no DICOMDIR."""
    hidden = ("-udf", "-hide", "DICOMDIR")
    return make_plain_iso(the_folder(tmp_path), tmp_path / "disc.iso", *hidden)


SOURCES = [
    the_folder,
    its_dicomdir,
    its_dicomdir_by_another_name,
    an_image,
    an_archive,
    an_archive_with_a_wrapper,
    an_image_in_an_archive,
    an_archive_in_an_image,
    an_image_for_new_machines,
]


@pytest.mark.parametrize("source", SOURCES)
def test_whatever_a_medium_lies_in_it_shows_the_same(
    tmp_path: Path, source: Callable[[Path], Path]
) -> None:
    reference = shown(disc(tmp_path / "reference"))

    assert shown(source(tmp_path)) == reference
    assert len(reference) == 2


def test_a_drive_is_read_by_its_device(tmp_path: Path) -> None:
    image_file = an_image(tmp_path)

    with mounting.loop_device(image_file) as device:
        assert shown(device) == shown(image_file)


def test_an_image_without_a_dicomdir_can_be_scanned(tmp_path: Path) -> None:
    the_folder(tmp_path).joinpath("DICOMDIR").unlink()

    with tree_of(zipped(tmp_path / "disc", tmp_path / "disc.zip"), scan=True) as tree:
        found = [node for _, node in walk(tree.root) if isinstance(node, Instance)]
        assert len(found) == 2


def test_archives_in_archives_end_somewhere(
    tmp_path: Path,
) -> None:
    inner = an_archive(tmp_path)
    for number in range(4):
        (tmp_path / f"{number}").mkdir()
        inner = inner.rename(tmp_path / f"{number}/inner.zip")
        inner = zipped(inner.parent, tmp_path / f"{number}.zip")

    with pytest.raises(Failure) as raised:
        file_sets_of(open_sources([inner]), Findings())

    assert raised.value.problem is Problem.NO_DICOMDIR


def nothing_there(tmp_path: Path) -> Path:
    return tmp_path / "nothing"


def a_text(tmp_path: Path) -> Path:
    (tmp_path / "README.TXT").write_text("Double-click on the viewer.")
    return tmp_path / "README.TXT"


def an_empty_file(tmp_path: Path) -> Path:
    (tmp_path / "empty.iso").touch()
    return tmp_path / "empty.iso"


def an_image_without_a_medium(tmp_path: Path) -> Path:
    (tmp_path / "music").mkdir()
    (tmp_path / "music/01.ogg").write_bytes(b"OggS")
    return make_iso(tmp_path / "music", tmp_path / "music.iso")


def a_pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


USELESS = [
    (nothing_there, Exit.SOURCE_MISSING),
    (a_text, Exit.SOURCE_UNSUPPORTED),
    (an_empty_file, Exit.SOURCE_UNSUPPORTED),
    (a_pipe, Exit.SOURCE_UNSUPPORTED),
    (an_image_without_a_medium, Exit.NO_DICOMDIR),
]


@pytest.mark.parametrize(("source", "exit_code"), USELESS)
def test_a_source_of_no_use_ends_with_a_code_of_its_own(
    tmp_path: Path, source: Callable[[Path], Path], exit_code: Exit
) -> None:
    with pytest.raises(Failure) as raised:
        file_sets_of(open_sources([source(tmp_path)]), Findings())

    assert complaint(raised.value).exit_code is exit_code


def test_an_archive_that_is_cut_off_is_shown_as_far_as_it_goes_and_said_to_be(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("the archive is cut off; what is left of it is shown")
    archive = an_archive(tmp_path)
    archive.write_bytes(archive.read_bytes()[:-60])

    with tree_of(archive) as tree:
        found = [node for _, node in walk(tree.root) if isinstance(node, Instance)]
        kinds = [each.kind for each in tree.findings.all()]

    assert len(found) == 2
    assert kinds == [Kind.ARCHIVE_CUT_OFF]


def test_what_an_archive_does_not_show_is_told(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log(r"members of the archive are left out \(2\)")
    archive = an_archive(tmp_path)
    with zipfile.ZipFile(archive, "a") as more:
        more.writestr("../evil", b"")
        more.writestr("../worse", b"")

    with tree_of(archive) as tree:
        assert [each.count for each in tree.findings.all()] == [2]


def encrypted(tmp_path: Path, method: str) -> Path:
    mounting.need("7z")
    archive = tmp_path / "locked.zip"
    folder = the_folder(tmp_path)
    done = mounting.run(
        ["7z", "a", "-tzip", f"-mem={method}", "-psesame", str(archive), "."],
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout
    return archive


METHODS = pytest.mark.parametrize("method", ["ZipCrypto", "AES256"])


@METHODS
def test_an_encrypted_archive_opens_with_one_of_the_passwords(
    tmp_path: Path, method: str
) -> None:
    assert decrypt.load()
    sources = open_sources([encrypted(tmp_path, method)])

    file_sets = file_sets_of(sources, Findings(), passwords=(b"wrong", b"sesame"))

    tree = Tree(file_sets, read_headers=True)
    found = [node for _, node in walk(tree.root) if isinstance(node, Instance)]
    assert {content(file)[128:132] for file in found} == {b"DICM"}
    assert len(found) == 2
    close(file_sets)


@METHODS
@pytest.mark.parametrize("passwords", [(), (b"wrong",)], ids=["none", "wrong"])
def test_without_its_password_an_archive_is_said_to_need_one(
    tmp_path: Path, method: str, passwords: tuple[bytes, ...]
) -> None:
    sources = open_sources([encrypted(tmp_path, method)])

    with pytest.raises(Failure) as raised:
        file_sets_of(sources, Findings(), passwords=passwords)

    assert raised.value.problem is Problem.PASSWORD_NEEDED
    assert "--password-file" in complaint(raised.value).mend


# -- several ---------------------------------------------------------------------------


def test_the_studies_of_a_patient_on_several_media_are_in_one_folder(
    tmp_path: Path,
) -> None:
    folder = disc(tmp_path / "one", "1.1")
    image_file = make_iso(disc(tmp_path / "two", "1.2"), tmp_path / "two.iso")
    archive = zipped(disc(tmp_path / "three", "1.3"), tmp_path / "three.zip")

    found = shown(folder, image_file, archive)

    assert {path.split("/")[0] for path in found} == {"Doe, Jane (1)"}
    assert {path.split("/")[1][11:] for path in found} == {"1.1", "1.2", "1.3"}
    assert shown(archive, folder, image_file) == found


def test_one_disc_twice_is_shown_once_and_its_files_have_copies(tmp_path: Path) -> None:
    folder = the_folder(tmp_path)
    copy = make_iso(folder, tmp_path / "copy.iso")

    assert shown(folder, copy) == shown(copy, folder)
    assert len(shown(folder, copy)) == 2
    with tree_of(folder, copy) as tree:
        found = [node for _, node in walk(tree.root) if isinstance(node, Instance)]
        assert [len(file.copies) for file in found] == [1, 1]
        [again] = tree.findings.all()
        assert (again.kind, again.count, again.of) == (Kind.ASSUMED_COPIES, 2, 2)


def test_one_instance_of_two_sizes_on_two_discs_is_shown_twice(tmp_path: Path) -> None:
    discs = [
        written(
            tmp_path / name,
            [
                patient(
                    "Doe",
                    "1",
                    [study("1.1", [series("1.1.1", [image("1.1.1.1", size=size)])])],
                )
            ],
        )
        for name, size in (("one", 100), ("two", 300))
    ]

    assert len(shown(*discs)) == 2
    with tree_of(*discs) as tree:
        assert len(list(walk(tree.root))) == 5
        found = tree.findings.all()

    assert {each.kind for each in found} == {Kind.DUPLICATE_INSTANCE}
    assert [each.source for each in found] == [str(each) for each in discs]


def test_another_birth_date_is_another_patient(tmp_path: Path) -> None:
    one = disc(tmp_path / "one", "1.1", PatientBirthDate="19700101")
    two = disc(tmp_path / "two", "1.2", PatientBirthDate="19710101")

    assert len({path.split("/")[0] for path in shown(one, two)}) == 2


def test_one_source_of_no_use_costs_only_itself(
    tmp_path: Path, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    expect_log("source 1 of 2 is left out")
    folder = the_folder(tmp_path)
    findings = Findings()

    with caplog.at_level(logging.INFO):
        file_sets = file_sets_of(
            open_sources([a_text(tmp_path), folder]), findings, scan=False
        )

    assert len(file_sets) == 1
    close(file_sets)
    [left_out] = findings.all()
    assert left_out.kind is Kind.SOURCE_LEFT_OUT
    assert left_out.source == str(tmp_path / "README.TXT")
    assert left_out.done == "source 1 of 2 is left out"
    assert "README" not in caplog.text


def test_a_fault_is_told_of_the_source_that_has_it(tmp_path: Path) -> None:
    one, two = disc(tmp_path / "one", "1.1"), disc(tmp_path / "two", "1.2")
    for path in sorted(two.rglob("*")):
        if path.is_file() and path.name != "DICOMDIR":
            path.unlink()
            break

    with tree_of(one, two) as tree:
        list(walk(tree.root))
        [missing] = tree.findings.all()

    assert (missing.kind, missing.source) == (Kind.MISSING_FILE, str(two))


def test_the_room_of_several_media_is_added_up(tmp_path: Path) -> None:
    one = an_image(tmp_path)
    two = make_iso(disc(tmp_path / "two", "1.2"), tmp_path / "two.iso")

    file_sets = file_sets_of(open_sources([one, two]), Findings())

    room = capacity_of(file_sets)
    close(file_sets)
    sizes = one.stat().st_size + two.stat().st_size
    assert room.block * room.blocks == sizes


def test_looking_at_one_patient_asks_only_the_discs_with_that_patient(
    tmp_path: Path,
) -> None:
    for number in range(20):
        made = study(
            f"1.{number}", [series(f"1.{number}.1", [image(f"1.{number}.1.1")])]
        )
        who = ("Doe^Jane", "1") if number in {3, 17} else ("Roe", f"{number}")
        write_medium(tmp_path / f"{number}", [patient(*who, [made])])
    media = [CountingMedium(tmp_path / f"{number}") for number in range(20)]

    with opened(*media) as tree:
        root = tree.expand(tree.root)
        before = [medium.bytes_read for medium in media]
        found = [
            node
            for _, node in walk(folder(root["Doe, Jane (1)"]))
            if isinstance(node, Instance)
        ]
        asked = [
            number
            for number, medium in enumerate(media)
            if medium.bytes_read > before[number]
        ]

    assert asked == [3, 17]
    assert len(found) == 2


def folder(node: object) -> Selection:
    assert isinstance(node, Selection)
    return node


# -- images in an archive --------------------------------------------------------------


def stored(to: Path, **members: Path) -> Path:
    """Write an archive of these files, by names that end in ``.iso``."""
    with zipfile.ZipFile(to, "w") as archive:
        for name, path in members.items():
            archive.write(path, f"{name}.iso")
    return to


def image_of(tmp_path: Path, name: str, study_uid: str) -> Path:
    return make_iso(disc(tmp_path / name, study_uid), tmp_path / f"{name}.iso")


def test_images_in_an_archive_that_are_none_are_told_one_by_one(
    tmp_path: Path, expect_log: ExpectLog, capsys: pytest.CaptureFixture[str]
) -> None:
    expect_log("one of several media is unusable; an image is left out")
    (tmp_path / "junk").write_bytes(bytes(5000))
    archive = stored(
        tmp_path / "q.zip",
        a=image_of(tmp_path, "one", "1.1"),
        junk=tmp_path / "junk",
        empty=an_empty_file(tmp_path),
    )

    with tree_of(archive) as tree:
        found = tree.findings.all()
        assert [node for path, node in walk(tree.root) if path.endswith("1.dcm")]

    assert {each.kind for each in found} == {Kind.SOURCE_LEFT_OUT}
    assert [each.source for each in found] == ["empty.iso", "junk.iso"]
    told = capsys.readouterr().err.splitlines()
    assert [line.split()[:4] for line in told] == [
        ["dicomfs:", "left", "out:", name] for name in ("empty.iso", "junk.iso")
    ]


def test_images_beside_a_dicomdir_in_an_archive_are_shown_too(tmp_path: Path) -> None:
    disc(tmp_path / "all/disc0", "1.1")
    image_of(tmp_path, "all/disc1", "1.2")
    for path in sorted((tmp_path / "all/disc1").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()

    found = shown(zipped(tmp_path / "all", tmp_path / "all.zip"))

    assert {path.split("/")[1][11:] for path in found} == {"1.1", "1.2"}


def test_an_archive_with_a_viewer_beside_a_dicomdir_is_no_fault(tmp_path: Path) -> None:
    folder = the_folder(tmp_path)
    (tmp_path / "viewer").mkdir()
    (tmp_path / "viewer/viewer.exe").write_bytes(b"MZ")
    zipped(tmp_path / "viewer", folder / "viewer.zip")

    with tree_of(zipped(folder, tmp_path / "portal.zip")) as tree:
        assert len(list(walk(tree.root))) == 5
        assert tree.findings.all() == []


def test_images_show_beside_a_dicomdir_that_is_broken_and_it_is_told(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("one of several DICOMDIRs is unusable")
    archive = stored(tmp_path / "q.zip", a=image_of(tmp_path, "one", "1.1"))
    with zipfile.ZipFile(archive, "a") as more:
        more.writestr("DICOMDIR", b"")

    with tree_of(archive) as tree:
        assert len(list(walk(tree.root))) == 5
        assert [each.kind for each in tree.findings.all()] == [Kind.INDEX_LEFT_OUT]


@pytest.mark.slow
def test_more_images_in_an_archive_than_are_opened_are_counted(
    tmp_path: Path, expect_log: ExpectLog, capsys: pytest.CaptureFixture[str]
) -> None:
    expect_log("is left out")
    expect_log(r"unusable \(2\); those behind the first 1000 images are left out")
    archive = stored(tmp_path / "q.zip", a=image_of(tmp_path, "one", "1.1"))
    with zipfile.ZipFile(archive, "a") as more:
        for number in range(1001):
            more.writestr(f"b{number:04}.iso", b"")

    with tree_of(archive) as tree:
        found = tree.findings.all()

    assert [each.count for each in found].count(1) == 999
    assert [each.count for each in found if not each.source] == [2]
    assert len(capsys.readouterr().err.splitlines()) == 21


def test_a_locked_archive_in_an_archive_is_said_to_need_a_password(
    tmp_path: Path,
) -> None:
    (tmp_path / "outer").mkdir()
    encrypted(tmp_path, "ZipCrypto").rename(tmp_path / "outer/inner.zip")

    with pytest.raises(Failure, match=r"inner\.zip: the archive cannot") as raised:
        file_sets_of(
            open_sources([zipped(tmp_path / "outer", tmp_path / "q.zip")]), Findings()
        )

    assert raised.value.problem is Problem.PASSWORD_NEEDED
    assert "--password-file" in complaint(raised.value).mend


@pytest.mark.parametrize("passwords", [(), (b"wrong",)], ids=["none", "wrong"])
def test_a_scan_of_a_locked_archive_is_said_to_need_a_password(
    tmp_path: Path, expect_log: ExpectLog, passwords: tuple[bytes, ...]
) -> None:
    expect_log("files or folders of the medium cannot be read")
    sources = open_sources([encrypted(tmp_path, "ZipCrypto")])

    with pytest.raises(Failure) as raised:
        file_sets_of(sources, Findings(), scan=True, passwords=passwords)

    assert raised.value.problem is Problem.PASSWORD_NEEDED


def test_a_folder_full_of_images_says_to_give_those(tmp_path: Path) -> None:
    an_image(tmp_path).rename(tmp_path / "disc/disc.iso")
    (tmp_path / "disc/DICOMDIR").unlink()

    with pytest.raises(Failure) as raised:
        file_sets_of(open_sources([tmp_path / "disc"]), Findings())

    assert raised.value.problem is Problem.ONLY_IMAGES
    assert "give those themselves" in complaint(raised.value).mend


# -- opening ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dicomdir.zip", "DICOMDIR-CT.zip", "DICOMDIR CT"])
def test_an_archive_may_be_called_almost_like_a_dicomdir(
    tmp_path: Path, name: str
) -> None:
    assert len(shown(an_archive(tmp_path).rename(tmp_path / name))) == 2


@pytest.mark.parametrize("name", ["DICOMDIR", "dicomdir.", "DICOMDIR;1", "Dicomdir.;1"])
def test_a_dicomdir_is_known_by_its_name_whatever_it_holds(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(b"")

    opened_as = open_source(tmp_path / name)

    assert isinstance(opened_as, OpenedFolder)
    assert opened_as.dicomdir == name.encode()
    opened_as.leave()


def test_one_of_several_that_cannot_be_opened_costs_only_itself(
    tmp_path: Path, expect_log: ExpectLog, capsys: pytest.CaptureFixture[str]
) -> None:
    expect_log("source 2 of 2 is left out")
    mounting.need_root()
    # Not even root can open a device that nothing is behind.
    dead = tmp_path / "dead.iso"
    os.mknod(dead, stat.S_IFBLK | 0o600, os.makedev(240, 77))
    folder = the_folder(tmp_path)

    with tree_of(folder, dead) as tree:
        assert len(list(walk(tree.root))) == 5
        [left_out] = tree.findings.all()

    assert left_out.source == str(dead)
    assert f"left out: {dead} cannot be read: " in capsys.readouterr().err
    with pytest.raises(Failure, match=r"dead\.iso cannot be read") as raised:
        open_sources([dead])
    assert raised.value.problem is Problem.SOURCE_UNREADABLE


def test_one_of_several_that_is_not_there_ends_the_command(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="nothing") as raised:
        open_sources([the_folder(tmp_path), nothing_there(tmp_path)])

    assert raised.value.problem is Problem.SOURCE_MISSING


def descriptors() -> list[Path]:
    return list(Path("/proc/self/fd").iterdir())


def test_a_source_of_no_use_holds_no_descriptor(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("is left out")
    sources = [
        a_text(tmp_path),
        an_image_without_a_medium(tmp_path),
        make_plain_iso(tmp_path / "music", tmp_path / "udf.iso", "-udf"),
        stored(tmp_path / "q.zip", junk=an_empty_file(tmp_path)),
        tmp_path / "music",
    ]
    folder = the_folder(tmp_path)
    before = len(descriptors())

    with tree_of(*sources, folder):
        # The folder and its DICOMDIR.
        assert len(descriptors()) == before + 2


class SilentSource:
    """A source that says nothing until it is let go."""

    name = "silent"
    descriptors = ()

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def open(self) -> Files:
        """Wait, and have nothing in the end."""
        self.let_go.wait(mounting.PATIENCE)
        raise Failure(Problem.UNFORESEEN, reason="it was let go")

    def leave(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("silent", [1, 17])
def test_sources_that_say_nothing_cost_only_themselves(
    tmp_path: Path, expect_log: ExpectLog, silent: int
) -> None:
    expect_log("is left out")
    [folder] = open_sources([the_folder(tmp_path)])
    findings = Findings()
    hung = [SilentSource() for _ in range(silent)]

    file_sets = file_sets_of([*hung, folder], findings, deadline=0.2)

    for each in hung:
        each.let_go.set()
    assert len(file_sets) == 1
    close(file_sets)
    details = [each.detail for each in findings.all()]
    assert details == ["the medium does not answer"] * silent


@pytest.mark.parametrize("scan", [False, True])
def test_the_only_source_that_says_nothing_is_a_failure(scan: bool) -> None:
    hung = SilentSource()

    with pytest.raises(Failure) as caught:
        file_sets_of([hung], Findings(), deadline=0.1, scan=scan)
    hung.let_go.set()

    assert caught.value.problem is Problem.SOURCE_SILENT
    assert "--deadline" in complaint(caught.value).mend


def test_the_room_of_a_medium_that_is_gone_does_not_count(tmp_path: Path) -> None:
    class Gone(FakeMedium):
        def capacity(self) -> Capacity:
            raise OSError(errno.ENODEV, "gone")

    dicomdir = the_folder(tmp_path).joinpath("DICOMDIR").read_bytes()
    [gone] = open_file_sets(Gone({"DICOMDIR": dicomdir}))
    [sound] = open_file_sets(FakeMedium({"DICOMDIR": dicomdir}))

    assert capacity_of([gone, sound]) == Capacity(2048, 1)
    assert capacity_of([gone]) == Capacity(1, 0)


@pytest.mark.slow
def test_more_sources_than_may_be_open_are_refused_and_said_to_be(
    tmp_path: Path,
) -> None:
    folders = [str(disc(tmp_path / f"{number}")) for number in range(20)]

    done = mounting.run(
        ["sh", "-c", 'ulimit -n 50; "$@"', "sh", *mounting.COMMAND, "tree", *folders]
    )

    assert done.returncode == Exit.SOURCE_UNREADABLE
    assert "20 sources are more than 50 open files allow" in done.stderr


# -- a scan ----------------------------------------------------------------------------


def test_a_scan_of_several_says_of_which_it_cannot_read_all(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("^[0-9] files or folders of source 2 of 2 cannot be read")
    folder, locked = disc(tmp_path / "sound"), encrypted(tmp_path, "ZipCrypto")
    expect_log("source 2 of 2 is left out")

    with tree_of(folder, locked, scan=True) as tree:
        assert len(list(walk(tree.root))) == 5


# -- findings --------------------------------------------------------------------------


def test_a_dicomdir_of_no_use_beside_another_is_told_by_its_place(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("one of several DICOMDIRs is unusable")
    disc(tmp_path / "all/h1")
    for name in ("h2", "h3"):
        (tmp_path / "all" / name).mkdir()
        (tmp_path / "all" / name / "DICOMDIR").touch()

    with tree_of(tmp_path / "all") as tree:
        found = [e for e in tree.findings.all() if e.kind is Kind.INDEX_LEFT_OUT]

    assert [each.files for each in found] == [("h2/DICOMDIR",), ("h3/DICOMDIR",)]


def test_a_fault_of_one_of_several_dicomdirs_is_told_of_that(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("the DICOMDIR is cut off")
    for name in ("h1", "h2", "h3"):
        dicomdir = disc(tmp_path / "all" / name) / "DICOMDIR"
        if name != "h1":
            dicomdir.write_bytes(dicomdir.read_bytes()[:-10])

    with tree_of(tmp_path / "all") as tree:
        cut_off = [e for e in tree.findings.all() if e.kind is Kind.INDEX_CUT_OFF]

    assert [each.source for each in cut_off] == ["h2/DICOMDIR", "h3/DICOMDIR"]


def test_findings_about_a_source_in_a_source_name_both() -> None:
    findings = Findings()

    findings.about("discs.zip").about("CD1.iso").add(Finding(Kind.PRIVATE_RECORD, 7))

    assert findings.all() == [
        Finding(Kind.PRIVATE_RECORD, 7, source="discs.zip/CD1.iso")
    ]


def test_the_same_finding_about_two_sources_is_two() -> None:
    findings = Findings()

    for source in ("one", "two", "one"):
        findings.about(source).add(Finding(Kind.PRIVATE_RECORD, 7), key=7)

    assert [each.source for each in findings.all()] == ["one", "two"]


def test_a_source_is_told_apart_from_a_dicomdir_by_its_content(tmp_path: Path) -> None:
    image_file = an_image(tmp_path)
    assert isinstance(open_source(image_file), OpenedFile)
    (tmp_path / "other").write_bytes(instance_bytes())
    beside = open_source(tmp_path / "other")
    assert isinstance(beside, OpenedFolder)
    assert beside.dicomdir == b"other"
