"""The disc in good order on a real mount, read by the tools that it is for."""

import os
import subprocess
from pathlib import Path

import pydicom
import pytest

from scripts.catalogue import readers
from tests.build.breakage import CASES
from tests.build.images import make_iso
from tests.support.mounting import Mount, Mounter, dicomfs, need, run

pytestmark = [pytest.mark.mount, pytest.mark.slow]

_ORIGINAL = ".dicomfs/original"


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an image of a disc whose links are all off."""
    root = tmp_path_factory.mktemp("disc")
    CASES["shifted-22-too-large"].write(root)
    return make_iso(root, root.with_suffix(".iso"))


@pytest.fixture(scope="module")
def beside(mount_once: Mounter, disc: Path) -> Mount:
    """Mount the disc as ever."""
    mount = mount_once(disc)
    mount.allow_log("all links are off")
    return mount


@pytest.fixture(scope="module")
def alone(mount_once: Mounter, disc: Path) -> Mount:
    """Mount the disc in good order, and nothing else."""
    mount = mount_once(disc, "--original")
    mount.allow_log("all links are off")
    return mount


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_nobody_meets_it_who_does_not_ask_for_it(beside: Mount) -> None:
    listed = {path.name for path in (beside.place / ".dicomfs").iterdir()}
    assert "original" not in listed
    assert (beside.place / _ORIGINAL).is_dir()


def test_both_ways_show_the_same(beside: Mount, alone: Mount) -> None:
    files = files_in(beside.place / _ORIGINAL)

    assert files == files_in(alone.place)
    assert len(files) == 11


def test_the_size_is_right_before_the_bytes_are_asked_for(beside: Mount) -> None:
    dicomdir = beside.place / _ORIGINAL / "DICOMDIR"

    size = dicomdir.stat().st_size

    assert size == len(dicomdir.read_bytes())


def test_cp_and_pydicom_take_it_for_a_sound_disc(alone: Mount, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", alone.place, copy], check=True)

    found = readers.read(readers.pydicom, copy, copy / "DICOMDIR", 60)

    assert len(found.shown) == 10
    assert {each.path for each in found.shown} == set(copy.glob("DICOM/*/*"))


def test_dcmtk_finds_a_file_for_each_record(alone: Mount) -> None:
    need("dcmdump")
    done = run(["dcmdump", "-q", "+P", "0004,1500", str(alone.place / "DICOMDIR")])

    found = [line.split("[")[1].split("]")[0] for line in done.stdout.splitlines()]

    assert len(found) == 10
    assert all((alone.place / each.replace("\\", "/")).is_file() for each in found)


def test_check_calls_it_sound(alone: Mount) -> None:
    done = dicomfs("check", alone.place)

    assert done.returncode == 0, done.stdout


def test_a_page_says_what_is_in_it(alone: Mount, beside: Mount) -> None:
    for mount in (alone, beside):
        page = (mount.place / ".dicomfs/original.txt").read_text()
        assert page == "the DICOMDIR lists 10 instances\n"


def test_files_have_the_attributes_of_their_instances(
    alone: Mount, beside: Mount
) -> None:
    for root in (alone.place, beside.place / _ORIGINAL):
        file = next(path for path in sorted(root.rglob("*/*/*")) if path.is_file())
        read = pydicom.dcmread(file)
        told = {
            name: os.getxattr(file, f"user.{name}").decode()
            for name in ("dicom.PatientID", "dicom.SOPInstanceUID", "dicomfs.uid")
        }
        assert told == {
            "dicom.PatientID": read.PatientID,
            "dicom.SOPInstanceUID": read.SOPInstanceUID,
            "dicomfs.uid": read.SOPInstanceUID,
        }
        file_id = os.getxattr(file, "user.dicomfs.file_id").decode()
        assert file_id == "\\".join(file.relative_to(root).parts)


def test_repair_writes_the_same_dicomdir(
    alone: Mount, disc: Path, tmp_path: Path
) -> None:
    done = dicomfs("repair", disc, "-o", tmp_path / "DICOMDIR")

    assert done.returncode == 0, done.stderr
    made = (tmp_path / "DICOMDIR").read_bytes()
    assert made == (alone.place / "DICOMDIR").read_bytes()


def test_nobody_writes_to_it(alone: Mount) -> None:
    with pytest.raises(OSError, match="Read-only"):
        (alone.place / "DICOMDIR").write_bytes(b"")
