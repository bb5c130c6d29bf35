"""``dicomfs copy``: the tree of a mount, written to another place."""

import os
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from dicomfs.cli.codes import Exit
from dicomfs.cli.copy import Asked, split
from dicomfs.copying.writer import hold
from tests.build.archives import files_in, zipped
from tests.build.images import make_iso
from tests.build.medium import image, patient, series, study, write_medium
from tests.extras import test_keyimages as keyimages
from tests.support.mounting import (
    COMMAND,
    PATIENCE,
    SAMPLES,
    Finished,
    Mount,
    Mounter,
    dicomfs,
    environment,
    marked,
    need,
    need_root,
    new_mark,
    run,
    until,
)
from tests.support.servers import web_server

THORAX: Final = "Doe, Jane (12345)/2023-07-05 CT Thorax"


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    """Return a disc of two patients."""
    return write_disc(tmp_path / "disc")


def write_disc(root: Path, images: int = 3, size: int = 256, lacks: int = 0) -> Path:
    listed = [image(f"1.2.3.{n}", number=n, size=size) for n in range(1, images + 1)]
    for each in listed[:lacks]:
        each.path = None
    thorax = study("1.2", [series("1.2.3", listed)], description="CT Thorax")
    head = study("1.3", [series("1.3.1", [image("1.3.1.1")])], description="MR Head")
    jane = patient("Doe^Jane", "12345", [thorax])
    write_medium(root, [jane, patient("Roe^Richard", "7", [head])])
    return root


def copy(*arguments: str | Path) -> Finished:
    return dicomfs("copy", *arguments)


def listing(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return what is below *root*: mode, time and bytes by path."""
    return {
        str(path.relative_to(root)): (
            path.stat().st_mode,
            path.stat().st_mtime_ns,
            b"" if path.is_dir() else path.read_bytes(),
        )
        for path in root.rglob("*")
    }


# -- what is copied --------------------------------------------------------------------


def test_two_copies_into_one_folder_do_not_mix(disc: Path, tmp_path: Path) -> None:
    held = tmp_path / "copy"
    held.mkdir()
    other = os.open(held, os.O_RDONLY)
    try:
        hold(other)
        done = copy(disc, held)
    finally:
        os.close(other)

    assert done.returncode == Exit.DESTINATION
    assert "another copy writes into it" in done.stderr
    assert list(held.iterdir()) == []
    assert copy(disc, held).returncode == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_copy_needs_no_standard_stream(
    disc: Path, tmp_path: Path, closed: str
) -> None:
    command = ["sh", "-c", f'"$@" {closed}', "sh", *COMMAND]

    done = run([*command, "copy", str(disc), str(tmp_path / "copy")])

    assert done.returncode == 0
    assert len(list((tmp_path / "copy").rglob("*.dcm"))) == 4


def test_a_source_that_is_left_out_shows_in_the_exit_code(
    disc: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()

    done = copy(disc, tmp_path / "empty", tmp_path / "copy")

    assert done.returncode == Exit.FAULTS
    assert len(list((tmp_path / "copy").rglob("*.dcm"))) == 4


@pytest.mark.mount
def test_a_copy_is_what_a_mount_shows(sample_mount: Mount, tmp_path: Path) -> None:
    done = copy(SAMPLES, tmp_path / "copy")

    assert done.returncode == 0, done.stderr
    assert listing(tmp_path / "copy") == listing(sample_mount.place)


@pytest.mark.mount
def test_a_copy_of_an_image_with_extras_is_what_a_mount_shows(
    mount: Mounter, disc: Path, tmp_path: Path
) -> None:
    iso = make_iso(disc, tmp_path / "disc.iso")
    mounted = mount(iso, "--extras", "--no-pictures")

    done = copy("--extras", iso, tmp_path / "copy")
    again = copy("--extras", iso, tmp_path / "copy")

    assert (done.returncode, again.returncode) == (0, 0), done.stderr + again.stdout
    assert listing(tmp_path / "copy") == listing(mounted.place)


@pytest.mark.slow
def test_key_images_are_called_as_in_their_folder(tmp_path: Path) -> None:
    medium = tmp_path / "medium"
    medium.mkdir()
    chosen = keyimages.choices(keyimages.choice("1.2.4.17", "1.2.3.2", "1.2.3.1"))
    keyimages.disc(medium, keyimages.lung(), keyimages.bone(), chosen)

    done = copy("--extras", medium, tmp_path / "copy")

    folder = tmp_path / "copy" / keyimages.FOLDER
    assert done.returncode == 0, done.stderr
    copied = {each.name: each.read_bytes() for each in folder.iterdir()}
    assert copied == {
        "01 002-0017.dcm": (medium / "B17").read_bytes(),
        "02 001-0002.dcm": (medium / "L2").read_bytes(),
        "03 001-0001.dcm": (medium / "L1").read_bytes(),
    }
    linked = {each.stat().st_ino for each in folder.iterdir()}
    files = (tmp_path / "copy" / keyimages.STUDY).rglob("*.dcm")
    assert [each.stat().st_ino in linked for each in files].count(True) == 6
    assert done.stdout.startswith("11 files copied")


def test_several_sources_become_one_tree(disc: Path, tmp_path: Path) -> None:
    done = copy(disc, SAMPLES, tmp_path / "copy")

    assert done.returncode == 0
    names = {path.name for path in (tmp_path / "copy").iterdir()}
    assert {"Doe, Jane (12345)", "Doe, Peter (98890234)"} <= names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "copied"),
    [
        ("Roe, Richard (7)", "Roe, Richard (7)/2023-07-05 MR Head/001 CT/0001.dcm"),
        (THORAX, "2023-07-05 CT Thorax/001 CT/0001.dcm"),
        (f"{THORAX}/001 CT/0002.dcm", "0002.dcm"),
    ],
)
def test_a_path_of_the_tree_is_copied_alone(
    disc: Path, tmp_path: Path, path: str, copied: str
) -> None:
    done = copy(f"{disc}/{path}", tmp_path / "copy")

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "copy" / copied).exists()
    assert len([*(tmp_path / "copy").iterdir()]) == 1


@pytest.mark.slow
def test_a_path_that_is_not_there_is_named(disc: Path, tmp_path: Path) -> None:
    done = copy(f"{disc}/Doe, John", tmp_path / "copy")

    assert done.returncode == 10
    assert "there is no Doe, John on the medium" in done.stderr
    assert f"tree {disc}" in done.stderr
    assert not (tmp_path / "copy").exists()


@pytest.mark.slow
def test_what_is_nearest_to_a_misspelt_path_is_named(
    disc: Path, tmp_path: Path
) -> None:
    there = f"{disc}/Doe, Jane (12345)"
    patient_, study_, above, many = (
        copy(*sources, tmp_path / "copy").stderr.splitlines()[0]
        for sources in (
            [f"{disc}/Doe, Jame (12345)"],
            [f"{there}/2023-07-05 CT Torax/001 CT"],
            [f"{tmp_path}/dics"],
            [disc, f"{tmp_path}/dics"],
        )
    )

    assert patient_ == (
        f"dicomfs: there is no Doe, Jame (12345) on the medium {disc}; "
        "the nearest is Doe, Jane (12345)"
    )
    assert study_.endswith(f"; the nearest is {THORAX}")
    # There is a medium below the folder that is there, but not of that name.
    assert above == f"dicomfs: there is no {tmp_path}/dics; the nearest is {disc}"
    assert many == (
        f"dicomfs: there is no {tmp_path}/dics; the nearest is {disc}, "
        "and a PATH is for one SOURCE"
    )


@pytest.mark.slow
def test_a_folder_that_cannot_be_made_costs_its_files_for_that_reason(
    disc: Path, tmp_path: Path
) -> None:
    (tmp_path / "copy/Doe, Jane (12345)").mkdir(parents=True)
    (tmp_path / "copy" / THORAX).write_bytes(b"mine")

    done = copy(disc, tmp_path / "copy")

    assert done.returncode == Exit.FAULTS
    assert done.stdout.splitlines()[1:] == [
        "3 files and 1 folder not copied:",
        f"  {THORAX} (3 files): another file of this name is there",
    ]


@pytest.mark.slow
def test_what_a_killed_copy_left_is_removed_by_the_next_and_told(
    disc: Path, tmp_path: Path
) -> None:
    copy(disc, tmp_path / "copy")
    half = tmp_path / "copy" / THORAX / ".dicomfs-part"
    half.write_bytes(b"half")

    done = copy(disc, tmp_path / "copy")

    assert done.returncode == 0
    assert "1 file half written by a copy that was killed: removed" in done.stdout
    assert not half.exists()


@pytest.mark.slow
@pytest.mark.alone
def test_a_copy_that_is_killed_leaves_nothing_half_written(tmp_path: Path) -> None:
    disc = write_disc(tmp_path / "disc", images=40, size=2_000_000)
    target = tmp_path / "copy"
    mark = new_mark()
    process = subprocess.Popen(
        [*COMMAND, "copy", str(disc), str(target)],
        env=environment(mark),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert until(lambda: any(target.rglob("*.dcm")))
    process.kill()
    process.wait(timeout=PATIENCE)

    assert until(lambda: not marked(mark))
    assert not any(target.rglob(".dicomfs-part"))


@pytest.mark.slow
def test_a_source_that_is_misspelt_is_named_as_it_was_given(tmp_path: Path) -> None:
    done = copy(tmp_path / "dics", tmp_path.parent / "copy")

    assert done.returncode == 10
    assert f"there is no {tmp_path}/dics" in done.stderr


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("https://host/a/disc.iso", Asked("https://host/a/disc.iso")),
        ("s3://shelf/a.zip/Doe/1", Asked("s3://shelf/a.zip", ("Doe", "1"))),
        ("s3://shelf/folder", Asked("s3://shelf/folder")),
        ("/dev/null", Asked("/dev/null")),
        ("/dev/Doe/", Asked("/dev", ("Doe",))),
        ("", Asked("")),
    ],
)
def test_a_source_is_as_much_as_there_is(text: str, asked: Asked) -> None:
    assert split(text) == asked


@pytest.mark.slow
def test_an_image_behind_a_url_is_copied(disc: Path, tmp_path: Path) -> None:
    with web_server({"disc.zip": zipped(files_in(disc))}) as server:
        done = copy(server.url("disc.zip") + f"/{THORAX}", tmp_path / "copy")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 files copied")


# -- what is not copied ----------------------------------------------------------------


@pytest.mark.slow
def test_what_is_missing_is_listed_at_the_end(tmp_path: Path) -> None:
    disc = write_disc(tmp_path / "disc", lacks=2)

    done = copy(disc, tmp_path / "copy")

    assert done.returncode == 4
    lines = done.stdout.splitlines()
    assert lines[0].startswith("2 files copied, ")
    assert lines[1] == "2 files not copied:"
    for line, name in zip(lines[2:], ("0001", "0002"), strict=True):
        assert line.startswith(f"  {THORAX}/001 CT/{name} (missing).dcm: ")


@pytest.mark.slow
def test_a_copy_goes_on_where_it_was_interrupted(disc: Path, tmp_path: Path) -> None:
    copy(disc, tmp_path / "copy")
    series_folder = tmp_path / "copy" / THORAX / "001 CT"
    (series_folder / "0002.dcm").unlink()
    before = (series_folder / "0001.dcm").stat().st_ctime_ns

    done = copy(disc, tmp_path / "copy")

    assert done.returncode == 0
    assert done.stdout.splitlines()[0].startswith("1 file copied")
    assert done.stdout.splitlines()[1] == "3 files there already"
    assert (series_folder / "0001.dcm").stat().st_ctime_ns == before


@pytest.mark.slow
def test_another_file_of_the_same_name_is_never_written_over(
    disc: Path, tmp_path: Path
) -> None:
    own = tmp_path / "copy" / THORAX / "001 CT/0001.dcm"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")

    done = copy(disc, tmp_path / "copy")

    assert done.returncode == 4
    assert "0001.dcm: another file of this name is there" in done.stdout
    assert own.read_bytes() == b"mine"


@pytest.mark.slow
def test_a_copy_that_has_changed_is_found_by_comparing(
    disc: Path, tmp_path: Path
) -> None:
    copy(disc, tmp_path / "copy")
    rotten = tmp_path / "copy" / THORAX / "001 CT/0002.dcm"
    status = rotten.stat()
    rotten.write_bytes(rotten.read_bytes()[:-1] + b"?")
    os.utime(rotten, ns=(status.st_mtime_ns, status.st_mtime_ns))

    plain = copy(disc, tmp_path / "copy")
    compared = copy("--compare", disc, tmp_path / "copy")

    assert (plain.returncode, compared.returncode) == (0, 4)
    assert "3 files there already, 3 of them compared" in compared.stdout
    assert "0002.dcm: another file of this name is there" in compared.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("destination", "says"),
    [
        ("none/copy", "No such file"),
        ("file", "File exists"),
        ("disc/copy", "lies inside"),
    ],
)
def test_a_destination_that_is_of_no_use_is_refused(
    disc: Path, tmp_path: Path, destination: str, says: str
) -> None:
    (tmp_path / "file").touch()

    done = copy(disc, tmp_path / destination)

    assert done.returncode == 31
    assert says in done.stderr


@pytest.mark.parametrize("arguments", [["disc"], ["/dev/null/Doe", "disc", "copy"]])
def test_a_command_line_that_says_too_little_or_too_much_is_not_understood(
    arguments: list[str],
) -> None:
    done = dicomfs("copy", *arguments)

    assert done.returncode == 2


@pytest.mark.slow
@pytest.mark.alone
def test_ctrl_c_leaves_nothing_half_written(tmp_path: Path) -> None:
    disc = write_disc(tmp_path / "disc", images=40, size=2_000_000)
    target = tmp_path / "copy"
    process = subprocess.Popen(
        [*COMMAND, "copy", str(disc), str(target)],
        env=environment(new_mark()),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert until(lambda: any(target.rglob("*.dcm")))
    process.send_signal(2)
    _, said = process.communicate(timeout=PATIENCE)

    assert process.returncode == 130, said
    assert not any(target.rglob(".dicomfs-part"))
    for path in target.rglob("*.dcm"):
        assert path.stat().st_size > 2_000_000
    again = copy(disc, target)
    assert again.returncode == 0
    assert "there already" in again.stdout


@pytest.mark.alone
@pytest.mark.slow
def test_a_full_stick_is_said_and_the_copy_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    need_root()
    disc = write_disc(tmp_path / "disc", images=20, size=100_000)
    stick = tmp_path / "stick"
    stick.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(stick)])
    try:
        full = copy(disc, stick)
        run(["mount", "-o", "remount,size=10m", str(stick)])
        done = copy(disc, stick)
    finally:
        run(["umount", str(stick)])

    assert full.returncode == 31
    # None is blamed on its own: nobody tried the others.
    counts = [line.partition(" ") for line in full.stdout.splitlines()]
    assert [rest for _, _, rest in counts][1:] == ["files not reached before the end"]
    assert sum(int(count) for count, _, _ in counts) == 21
    assert "No space left on device" in full.stderr
    assert "the same command again" in full.stderr
    assert done.returncode == 0
    assert "there already" in done.stdout


@pytest.mark.slow
def test_names_are_such_that_a_stick_with_fat_takes_them(tmp_path: Path) -> None:
    write_odd_names(tmp_path / "disc")

    done = copy(tmp_path / "disc", tmp_path / "copy")

    assert done.stdout.startswith("4 files copied")
    for path in (tmp_path / "copy").rglob("*"):
        assert not re.search(r'[\x00-\x1f"*/:<>?\\|]', path.name)
        assert not path.name.endswith((".", " "))
        assert path.stem.upper() not in {"CON", "NUL", "AUX", "PRN"}
        assert len(path.name.encode("utf-16-le")) <= 2 * 255


def write_odd_names(root: Path) -> None:
    odd = ['Doe^Jane: "the" <one>|*?', "CON", "Doe ^Trailing. ", "M\u00fcller^\u5c71"]
    people = [
        patient(
            name.encode(),
            f"{number}",
            [study(f"1.{number}", [series(f"1.{number}.1", [image(f"1.{number}.2")])])],
            SpecificCharacterSet="ISO_IR 192",
        )
        for number, name in enumerate(odd)
    ]
    write_medium(root, people)


@pytest.mark.alone
@pytest.mark.slow
def test_a_stick_with_fat_takes_all_names_and_is_not_copied_twice(
    tmp_path: Path,
) -> None:
    need_root()
    need("mkfs.fat")
    write_odd_names(tmp_path / "disc")
    stick, volume = tmp_path / "stick", tmp_path / "stick.img"
    stick.mkdir()
    with volume.open("wb") as file:
        file.truncate(40_000_000)
    run(["mkfs.fat", "-F", "32", str(volume)])
    made = run(["mount", "-t", "vfat", "-o", "loop,utf8", str(volume), str(stick)])
    if made.returncode:
        pytest.skip(f"no stick can be made: {made.stderr}")
    try:
        first = copy(tmp_path / "disc", stick)
        second = copy("--compare", tmp_path / "disc", stick)
        there = sorted(path.name for path in stick.rglob("*.dcm"))
    finally:
        run(["umount", str(stick)])

    assert first.returncode == 0, first.stdout
    assert second.stdout.splitlines()[0].startswith("0 files copied")
    assert there == ["0001.dcm"] * 4
