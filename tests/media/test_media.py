"""The same medium in everything that it may lie in, mounted: one tree, the same bytes."""

import os
import shutil
import signal
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from dicomfs.cli.codes import Exit
from dicomfs.media.opening import OpenedFile, open_source
from tests.build.images import ISO_FLAVOURS, make_plain_iso, without_iso9660
from tests.build.medium import image, patient, series, study, write_medium
from tests.support.hanging import Drive, drive
from tests.support.mounting import (
    COMMAND,
    PATIENCE,
    Mount,
    Mounter,
    dicomfs,
    environment,
    is_mounted,
    loop_device,
    marked,
    need,
    run,
    until,
)
from tests.support.servers import leave_machine, s3_server, web_server

pytestmark = pytest.mark.mount

# What every kind of medium can tell: whole, even seconds.
TIME: Final = 1_600_000_000

Source = Callable[[Path, Path], Path]


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory, samples: Path) -> Path:
    """Return a patient CD: pydicom's sample, with all that is on one beside it."""
    root = tmp_path_factory.mktemp("disc")
    for name in ("77654033", "98892001", "98892003"):
        shutil.copytree(samples / name, root / name)
    shutil.copy(samples / "DICOMDIR", root)
    (root / "README.TXT").write_text("Open INDEX.HTM")
    (root / "INDEX.HTM").write_text("<html></html>")
    (root / "IHE_PDI").mkdir()
    (root / "IHE_PDI/IM1.JPG").write_bytes(b"\xff\xd8\xff\xe0")
    (root / "autorun.inf").write_text("[autorun]\nopen=VIEWER.EXE\n")
    (root / "VIEWER.EXE").write_bytes(b"MZ" + bytes(100))
    for path in [*root.rglob("*"), root]:
        os.utime(path, (TIME, TIME))
    return root


@pytest.fixture(scope="module")
def as_a_folder(disc: Path, mount_once: Mounter) -> list[str]:
    return listing(mount_once(disc))


def listing(mount: Mount) -> list[str]:
    """Return path, mode, size, inode, time and bytes' checksum of all that is shown."""
    at = ["find", str(mount.place), "-mindepth", "1"]
    seen = run([*at, "-printf", "%P %M %s %i %T@\n"]).stdout.splitlines()
    sums = run([*at, "-type", "f", "-exec", "sha256sum", "{}", "+"]).stdout
    assert len(sums.splitlines()) == len(mount.files())
    return sorted([*seen, *sums.replace(str(mount.place), "").splitlines()])


def zipped(disc: Path, to: Path, method: int, wrapper: str = "") -> Path:
    with zipfile.ZipFile(to / "disc.zip", "w", method) as archive:
        for path in sorted(disc.rglob("*")):
            archive.write(path, Path(wrapper) / path.relative_to(disc))
    return to / "disc.zip"


def tarred(disc: Path, to: Path) -> Path:
    with tarfile.open(to / "disc.tar", "w") as archive:
        archive.add(disc, ".")
    return to / "disc.tar"


def iso(disc: Path, to: Path, flavour: str) -> Path:
    return ISO_FLAVOURS[flavour](disc, to / "disc.iso")


def udf(disc: Path, to: Path) -> Path:
    return without_iso9660(make_plain_iso(disc, to / "disc.udf", "-udf"))


def iso_in_zip(disc: Path, to: Path, method: int) -> Path:
    (to / "inner").mkdir()
    iso(disc, to / "inner", "Joliet")
    return zipped(to / "inner", to, method)


KINDS: Final[dict[str, Source]] = {
    **{
        f"ISO 9660, {flavour}": partial(iso, flavour=flavour)
        for flavour in ISO_FLAVOURS
    },
    "UDF": udf,
    "ZIP, stored": lambda disc, to: zipped(disc, to, zipfile.ZIP_STORED),
    "ZIP, deflated": lambda disc, to: zipped(disc, to, zipfile.ZIP_DEFLATED),
    "ZIP with a wrapper": lambda disc, to: zipped(
        disc, to, zipfile.ZIP_DEFLATED, "portal/download 7"
    ),
    "tar": tarred,
    "ISO in a stored ZIP": lambda disc, to: iso_in_zip(disc, to, zipfile.ZIP_STORED),
    "ISO in a deflated ZIP": lambda disc, to: iso_in_zip(
        disc, to, zipfile.ZIP_DEFLATED
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_medium_shows_the_same_whatever_it_lies_in(
    kind: str, disc: Path, as_a_folder: list[str], mount: Mounter, tmp_path: Path
) -> None:
    shown = mount(KINDS[kind](disc, tmp_path))

    assert listing(shown) == as_a_folder
    assert len(shown.files()) == 31


@pytest.fixture(scope="module")
def image_bytes(disc: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return iso(disc, tmp_path_factory.mktemp("image"), "Joliet").read_bytes()


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    leave_machine(monkeypatch, tmp_path)


@pytest.mark.usefixtures("nobody")
def test_an_image_on_a_web_server_shows_the_same(
    image_bytes: bytes, as_a_folder: list[str], mount: Mounter
) -> None:
    with web_server({"discs/1.iso": image_bytes}) as web:
        shown = mount(web.url("discs/1.iso"))
        assert listing(shown) == as_a_folder
        assert web.bytes_sent <= len(image_bytes)
        shown.unmount()


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(
    "path", ["2024-0117.iso", "2024-0118.zip", "cd", "cd/DICOMDIR"]
)
def test_a_medium_in_an_object_store_shows_the_same(
    path: str,
    disc: Path,
    image_bytes: bytes,
    as_a_folder: list[str],
    mount: Mounter,
    tmp_path: Path,
) -> None:
    with s3_server() as s3:
        s3.make("archive")
        s3.put("archive", "discs/2024-0117.iso", image_bytes)
        archive = zipped(disc, tmp_path, zipfile.ZIP_DEFLATED)
        s3.put("archive", "discs/2024-0118.zip", archive.read_bytes())
        s3.put_folder("archive", "discs/cd", disc)
        shown = mount(f"s3://archive/discs/{path}", env=s3.environment)

        found = listing(shown)
        shown.unmount()

    if path.startswith("cd"):  # whose files have the times at which they were put there
        found, as_a_folder = without_times(found), without_times(as_a_folder)
    assert found == as_a_folder


def without_times(lines: list[str]) -> list[str]:
    return [line.rpartition(" ")[0] if line[-1].isdigit() else line for line in lines]


@pytest.mark.usefixtures("nobody")
def test_a_network_that_is_lost_during_a_copy_is_an_error_until_it_is_back(
    mount: Mounter, tmp_path: Path
) -> None:
    size = 24 * 2**20
    large = image("1.1.1.1", size=size)
    write_medium(
        tmp_path / "cd",
        [patient("Doe", "1", [study("1.1", [series("1.1.1", [large])])])],
    )
    made = iso(tmp_path / "cd", tmp_path, "Joliet")
    with web_server({"disc.iso": made.read_bytes()}) as web:
        shown = mount(web.url("disc.iso"), "--deadline", "3")
        shown.expect_log("a request over the network failed")
        [file] = shown.files()
        begun = run(["dd", f"if={file}", "of=/dev/null", "bs=1M", "count=2"])
        assert begun.returncode == 0

        web.close()
        started = time.monotonic()
        lost = run(["cp", str(file), str(tmp_path / "lost")])
        took = time.monotonic() - started
        web.open()
        # What was asked for in vain a moment ago may rest for another one.
        copy = ["cp", str(file), str(tmp_path / "back")]
        assert until(lambda: run(copy).returncode == 0)
        shown.expect_log("requests over the network are answered again")
        shown.unmount()

    assert "Input/output error" in lost.stderr
    assert took < 3 + PATIENCE / 3
    [original] = (tmp_path / "cd/IMAGES").iterdir()
    assert (tmp_path / "back").read_bytes() == original.read_bytes()


@pytest.mark.usefixtures("nobody")
def test_a_local_and_a_remote_medium_are_one_tree(
    three_discs: list[Path], mount: Mounter
) -> None:
    one, two, three = three_discs
    local = mount(one, two, three)
    with web_server({"two.iso": two.read_bytes()}) as web:
        shown = mount(one, web.url("two.iso"), three)

        assert listing(shown) == listing(local)
        shown.unmount()


def test_a_disc_in_a_drive_shows_the_same(
    disc: Path, as_a_folder: list[str], mount: Mounter, tmp_path: Path
) -> None:
    with loop_device(iso(disc, tmp_path, "Rock Ridge and Joliet")) as device:
        shown = mount(device)
        assert listing(shown) == as_a_folder
        shown.unmount()


def test_nothing_but_instances_is_shown_of_a_disc_with_a_viewer(
    disc: Path, mount: Mounter
) -> None:
    shown = mount(disc)

    assert all(path.suffix == ".dcm" for path in shown.files())
    assert not (shown.place / "README.TXT").exists()


@pytest.mark.parametrize("method", ["ZipCrypto", "AES256"])
def test_an_encrypted_archive_shows_the_same_with_its_password(
    method: str, disc: Path, as_a_folder: list[str], mount: Mounter, tmp_path: Path
) -> None:
    need("7z")
    archive, passwords = tmp_path / "locked.zip", tmp_path / "passwords"
    run(["7z", "a", "-tzip", f"-mem={method}", "-psesame", str(archive), "."], cwd=disc)
    passwords.write_text("open\nsesame\n")

    refused = dicomfs("tree", archive)
    shown = mount(archive, "--password-file", passwords)

    assert refused.returncode == Exit.PASSWORD_NEEDED
    assert without_times(listing(shown)) == without_times(as_a_folder)
    assert "sesame" not in shown.log + shown.said


# -- several ---------------------------------------------------------------------------


@pytest.fixture
def three_discs(tmp_path: Path) -> list[Path]:
    """Return three sources with a study each of one patient."""
    folders = []
    for number in (1, 2, 3):
        made = study(
            f"1.{number}",
            [series(f"1.{number}.1", [image(f"1.{number}.1.1")])],
            description=f"Disc {number}",
        )
        folders.append(tmp_path / f"cd{number}")
        write_medium(folders[-1], [patient("Doe^Jane", "1", [made])])
    return [
        folders[0],
        ISO_FLAVOURS["Joliet"](folders[1], tmp_path / "disc2.iso"),
        zipped(folders[2], tmp_path, zipfile.ZIP_DEFLATED),
    ]


def test_several_media_are_one_tree_in_any_order(
    three_discs: list[Path], mount: Mounter
) -> None:
    one, two, three = three_discs

    shown = mount(one, two, three)
    again = mount(three, one, two)

    assert [len(Path(path).parts) for path in shown.structure()].count(2) == 3
    assert shown.structure()[0] == "Doe, Jane (1)/"
    assert [path.stat().st_ino for path in shown.files()] == [
        path.stat().st_ino for path in again.files()
    ]
    assert shown.structure() == again.structure()


def test_an_option_may_stand_between_sources(
    three_discs: list[Path], mount: Mounter, tmp_path: Path
) -> None:
    one, two, _ = three_discs
    mine = mount.adopt(one, tmp_path / "mnt")
    mine.place.mkdir()

    done = dicomfs(
        "mount",
        one,
        "--log-file",
        mine.log_file,
        two,
        "--umask",
        "027",
        mine.place,
        mark=mine.mark,
    )

    assert done.returncode == 0, done.stderr
    assert len(mine.files()) == 2


def test_tree_and_check_take_several_media(three_discs: list[Path]) -> None:
    shown = dicomfs("tree", *three_discs)
    checked = dicomfs("check", *three_discs)

    assert shown.stdout.count("0001.dcm") == 3
    assert (checked.returncode, "all 3" in checked.stdout) == (Exit.OK, True)


def test_a_source_that_is_of_no_use_is_said_to_be_left_out(
    three_discs: list[Path], mount: Mounter, tmp_path: Path
) -> None:
    broken = tmp_path / "Doe Jane.iso"
    broken.write_bytes(bytes(100))

    shown = mount(three_discs[0], broken)
    shown.expect_log("one of several media is unusable; source 1 of 2 is left out")

    assert len(shown.files()) == 1
    assert "source 1 of 2 is left out" in shown.said
    [told] = [line for line in shown.said.splitlines() if str(broken) in line]
    assert told.startswith("dicomfs: left out: ")
    assert "Doe" not in shown.log
    report = (shown.place / ".dicomfs/report.txt").read_text()
    assert str(broken) in report


def test_an_image_may_be_moved_and_removed_while_it_is_mounted(
    three_discs: list[Path], mount: Mounter
) -> None:
    image_file = three_discs[1]
    shown = mount(image_file)
    image_file.chmod(0o400)
    image_file.rename(image_file.with_name("moved.iso")).unlink()

    [file] = shown.files()

    assert file.read_bytes()[128:132] == b"DICM"


def test_a_drive_that_hangs_costs_only_what_is_in_it(
    three_discs: list[Path], mount: Mounter, tmp_path: Path
) -> None:
    (tmp_path / "discs").mkdir()
    hung = three_discs[1].rename(tmp_path / "discs/b.iso")
    with drive(tmp_path / "discs", tmp_path / "drive") as trouble:
        trouble.tell(hang=[hung.name])

        place = trouble.place / hung.name
        shown = mount(three_discs[0], place, "--deadline", "2")

        shown.expect_log("source 1 of 2 is left out")
        assert len(shown.files()) == 1
        assert f"left out: {place}: the medium does not answer" in shown.said
        shown.unmount()


def test_in_front_nothing_is_said_by_name_as_it_may_go_to_a_log(
    three_discs: list[Path], mount: Mounter, tmp_path: Path
) -> None:
    broken = tmp_path / "Doe Jane.iso"
    broken.touch()

    shown = mount(three_discs[0], broken, foreground=True)

    shown.expect_log("source 1 of 2 is left out")
    assert "Doe" not in shown.log + (tmp_path / "said1").read_text()


@pytest.mark.parametrize("command", ["tree", "mount"])
@pytest.mark.parametrize("others", [0, 1], ids=["one source", "one of two"])
def test_a_drive_that_hangs_holds_nobody_who_has_had_enough(
    three_discs: list[Path], mount: Mounter, tmp_path: Path, command: str, others: int
) -> None:
    (tmp_path / "discs").mkdir()
    hung = three_discs[1].rename(tmp_path / "discs/b.iso")
    mine = mount.adopt(three_discs[0], tmp_path / "mnt")
    mine.place.mkdir()
    with drive(tmp_path / "discs", tmp_path / "drive") as trouble:
        trouble.tell(hang=[hung.name])
        places = [*three_discs[:others], trouble.place / hung.name]
        process = subprocess.Popen(
            [*COMMAND, command, *places, *([mine.place] if command == "mount" else [])],
            env=environment(mine.mark),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert until(lambda: is_asked(trouble, hung.name))
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)

        assert process.returncode == Exit.INTERRUPTED
        assert b"interrupted" in said
        assert until(lambda: not marked(mine.mark))
    assert not is_mounted(mine.place)


@pytest.mark.parametrize(("name", "reads"), [("b.iso", 0), ("b", 1)])
def test_before_a_worker_is_there_an_image_is_not_read_and_nobody_waits_for_it(
    three_discs: list[Path], tmp_path: Path, name: str, reads: int
) -> None:
    (tmp_path / "discs").mkdir()
    three_discs[1].rename(tmp_path / "discs" / name)
    with drive(tmp_path / "discs", tmp_path / "drive") as trouble:
        trouble.tell(hang=[name])

        source = open_source(trouble.place / name)

        asked = [offset for _, offset, _ in trouble.tell()["asked"] if offset >= 0]
        assert isinstance(source, OpenedFile)
        assert len(asked) == reads
        source.leave()


def is_asked(trouble: Drive, name: str) -> bool:
    """Whether somebody waits for bytes of a file."""
    asked = trouble.tell()["asked"]
    return any(path == name and offset >= 0 for path, offset, _ in asked)


def test_a_mountpoint_may_lie_beside_an_image(
    three_discs: list[Path], mount: Mounter
) -> None:
    image_file = three_discs[1]
    place = image_file.parent / "beside"
    place.mkdir()

    assert len(mount(image_file, place=place).files()) == 1
