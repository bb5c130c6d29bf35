"""``dicomfs repair``: what it writes, what it says, and what it leaves alone."""

import stat
from pathlib import Path

import pydicom
import pytest

from dicomfs.cli.codes import Exit
from dicomfs.cli.repair import _Writer
from dicomfs.errors import Failure, Problem
from scripts.catalogue import readers
from tests.build.breakage import CASES, Usual
from tests.build.medium import image, patient, series, study, write_medium
from tests.support.mounting import COMMAND, dicomfs, run

pytestmark = pytest.mark.slow


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    """Return a medium whose links are all off."""
    root = tmp_path / "disc"
    root.mkdir()
    CASES["shifted-and-headers-unreadable"].write(root)
    return root


def repaired(disc: Path, *options: str | Path) -> Path:
    """Return the file that was written for *disc*."""
    to = disc.parent / "NEW"
    done = dicomfs("repair", *options, disc, "-o", to)
    assert done.returncode == Exit.OK, done.stderr
    return to


def files_of(data: Path) -> list[str]:
    records = pydicom.dcmread(data).DirectoryRecordSequence
    return sorted(
        "/".join(r.ReferencedFileID) for r in records if "ReferencedFileID" in r
    )


def test_a_copy_with_the_new_dicomdir_is_read_by_others(disc: Path) -> None:
    before = readers.read(readers.pydicom, disc, disc / "DICOMDIR", 20)

    repaired(disc).replace(disc / "DICOMDIR")

    after = readers.read(readers.pydicom, disc, disc / "DICOMDIR", 20)
    assert not before.shown
    assert len(after.shown) == 10


def test_nothing_but_the_output_is_written_and_that_is_for_its_owner_alone(
    disc: Path,
) -> None:
    before = {path: path.stat().st_mtime_ns for path in disc.rglob("*")}

    made = repaired(disc)

    assert {path: path.stat().st_mtime_ns for path in disc.rglob("*")} == before
    assert sorted(path.name for path in disc.parent.iterdir()) == ["NEW", "disc"]
    assert stat.S_IMODE(made.stat().st_mode) == 0o600


def test_a_pipe_gets_the_same_bytes(disc: Path) -> None:
    made = repaired(disc).read_bytes()
    to = disc.parent / "pipe"

    done = run(["sh", "-c", '"$@" > "$0"', str(to), *COMMAND, "repair", str(disc)])

    assert done.returncode == Exit.OK
    assert to.read_bytes() == made


def test_a_file_that_is_there_stays(disc: Path) -> None:
    taken = disc.parent / "taken"
    taken.write_text("mine")

    done = dicomfs("repair", disc, "-o", taken)

    assert done.returncode == Exit.USAGE
    assert "there is a file" in done.stderr
    assert taken.read_text() == "mine"


def test_what_cannot_be_read_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    done = dicomfs("repair", tmp_path / "empty", "-o", tmp_path / "NEW")

    assert done.returncode == Exit.NO_DICOMDIR
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_full_disk_is_said(disc: Path) -> None:
    done = run(["sh", "-c", '"$@" > /dev/full', "sh", *COMMAND, "repair", str(disc)])

    assert done.returncode == Exit.DESTINATION
    assert "the output cannot be written" in done.stderr
    assert "see that there is room" in done.stderr


@pytest.mark.parametrize(
    ("place", "what", "mend"),
    [
        (
            "none/NEW",
            "{place} cannot be written: there is no folder {folder}",
            "make it: mkdir -p {folder}",
        ),
        (
            "disc/DICOMDIR/NEW",
            "{place} cannot be written: there is no folder {folder}",
            "make it: mkdir -p {folder}",
        ),
        (
            "a" * 256,
            "{place} cannot be written: File name too long",
            "give a FILE in a folder of your own",
        ),
    ],
)
def test_a_place_that_cannot_be_written_is_told_in_two_lines(
    disc: Path, place: str, what: str, mend: str
) -> None:
    whole = disc.parent / place
    done = dicomfs("repair", disc, "-o", whole)

    assert done.returncode == Exit.DESTINATION
    told = [line for line in done.stderr.splitlines() if "DICOMDIR lists" not in line]
    facts = {"place": whole, "folder": whole.parent}
    assert told == [
        f"dicomfs: {what.format(**facts)}",
        f"dicomfs: to mend it: {mend.format(**facts)}",
    ]
    assert [path.name for path in disc.parent.iterdir()] == ["disc"]


def test_a_folder_that_takes_no_file_is_told_in_two_lines(disc: Path) -> None:
    done = dicomfs("repair", disc, "-o", "/proc/self/NEW")

    assert done.returncode == Exit.DESTINATION
    [what, mend] = done.stderr.splitlines()
    assert what.startswith("dicomfs: /proc/self/NEW cannot be written: ")
    assert mend == "dicomfs: to mend it: give a FILE in a folder of your own"


def test_a_name_may_be_as_long_as_any(disc: Path) -> None:
    to = disc.parent / ("a" * 255)

    assert dicomfs("repair", disc, "-o", to).returncode == Exit.OK
    assert to.exists()


def test_the_help_names_one_source() -> None:
    said = dicomfs("repair", "--help").stdout

    assert "SOURCE ..." not in said
    assert "several" not in said


@pytest.mark.parametrize("closed", [">&- 2>&-", "<&- >&- 2>&-"])
def test_the_file_is_whole_though_standard_streams_are_closed(
    disc: Path, tmp_path: Path, closed: str
) -> None:
    made = tmp_path / "made"
    command = ["sh", "-c", f'"$@" {closed}', "sh", *COMMAND]

    done = run([*command, "repair", str(disc), "-o", str(made)])

    assert done.returncode == 0
    assert made.read_bytes() == repaired(disc).read_bytes()


def test_one_source_is_repaired_at_a_time(disc: Path) -> None:
    done = dicomfs("repair", disc, disc)

    assert done.returncode == Exit.USAGE
    assert "more than one SOURCE" in done.stderr


def test_several_dicomdirs_on_one_medium_are_refused(tmp_path: Path) -> None:
    disc = tmp_path / "disc"
    for name in ("A", "B"):
        write_medium(disc / name, Usual().roots)

    done = dicomfs("repair", disc, "-o", tmp_path / "NEW")

    assert done.returncode == Exit.USAGE
    assert "there are 2 DICOMDIRs" in done.stderr


def test_what_is_left_out_is_said_and_in_the_exit_code(tmp_path: Path) -> None:
    out = image("1.2.3.4", file=b"..\\..\\ETC\\PASSWD", path=None)
    one = study("1.2", [series("1.2.3", [out, image("1.2.3.5", number=2)])])
    write_medium(tmp_path / "disc", [patient("Doe^Jane", "4711", [one])])

    done = dicomfs("repair", tmp_path / "disc", "-o", tmp_path / "NEW")

    assert done.returncode == Exit.FAULTS
    assert "1 instance left out" in done.stderr
    assert "Doe" not in done.stderr
    assert len(files_of(tmp_path / "NEW")) == 1


def test_a_scan_names_the_files_as_they_lie(tmp_path: Path) -> None:
    disc = tmp_path / "disc"
    write_medium(disc, Usual().roots)
    (disc / "DICOMDIR").unlink()

    made = repaired(disc, "--scan")

    files = [path for path in disc.rglob("*") if path.is_file()]
    assert files_of(made) == sorted(str(path.relative_to(disc)) for path in files)


def test_file_ids_that_are_not_as_the_standard_wants_them_are_told(
    tmp_path: Path,
) -> None:
    disc = tmp_path / "disc"
    files = [b"DICOM\\IM_1", b"dicom\\im2", b"DICOM\\IMAGE.DCM", b"DICOM\\IMAGE0001"]
    images = [
        image(f"1.2.3.{number}", number=number, file=file)
        for number, file in enumerate(files)
    ]
    one = study("1.2", [series("1.2.3", images)])
    write_medium(disc, [patient("Doe^Jane", "4711", [one])])

    for options in ([], ["--scan"]):
        done = dicomfs("repair", *options, disc, "-o", tmp_path / f"NEW{options}")

        assert done.returncode == Exit.OK
        assert (
            "3 instances with File IDs that the standard does not allow" in done.stderr
        )


def test_whoever_says_what_is_not_bytes_is_not_believed(tmp_path: Path) -> None:
    place = tmp_path / "NEW"
    place.touch()
    writer = _Writer(-1, place)

    with pytest.raises(Failure) as raised:
        writer.write("\u2603")

    assert raised.value.problem is Problem.UNFORESEEN
    assert not place.read_bytes()
