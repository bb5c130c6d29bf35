"""Mountpoints: what is mounted where, and whose it is."""

import os
from pathlib import Path

import pytest

from dicomfs.cli.exits import complaint
from dicomfs.errors import Failure, Problem
from dicomfs.media.mountinfo import Mount
from dicomfs.mount import attachment
from dicomfs.mount.mountpoint import find_mount, is_ours
from tests.support.mounting import need


@pytest.fixture
def mountinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that stands for /proc/self/mountinfo."""
    path = tmp_path / "mountinfo"
    monkeypatch.setattr("dicomfs.media.mountinfo._MOUNTINFO", path)
    return path


def line(
    place: str, fstype: str, options: str = "rw", optional: str = "shared:1 "
) -> str:
    return f"36 35 98:0 / {place} ro,nosuid {optional}- {fstype} dicomfs {options}\n"


OURS = "ro,user_id=1000,group_id=1000,default_permissions"


# -- what is mounted -------------------------------------------------------------------


def test_what_is_mounted_is_found_with_its_kind(mountinfo: Path) -> None:
    mountinfo.write_text(line("/", "ext4") + line("/mnt/cd", "fuse.dicomfs", OURS))

    found = find_mount(Path("/mnt/cd"))

    assert found is not None
    assert found.fstype == "fuse.dicomfs"


def test_a_folder_on_a_mount_is_no_mountpoint(mountinfo: Path) -> None:
    mountinfo.write_text(line("/", "ext4") + line("/mnt/cd", "fuse.dicomfs", OURS))

    assert find_mount(Path("/mnt")) is None
    assert find_mount(Path("/mnt/cd/below")) is None
    assert find_mount(Path("/mnt/cd2")) is None


def test_of_several_mounts_the_uppermost_counts(mountinfo: Path) -> None:
    mountinfo.write_text(line("/mnt", "tmpfs") + line("/mnt", "fuse.dicomfs", OURS))

    found = find_mount(Path("/mnt"))

    assert found is not None
    assert found.fstype == "fuse.dicomfs"


@pytest.mark.parametrize(
    ("written", "place"),
    [
        (rb"/mnt/my\040cd", b"/mnt/my cd"),
        (rb"/mnt/a\011b\012c", b"/mnt/a\tb\nc"),
        (rb"/mnt/back\134slash", b"/mnt/back\\slash"),
        (rb"/mnt/back\134040", b"/mnt/back\\040"),
        (rb"/mnt/a#b", b"/mnt/a#b"),
        (b"/mnt/\xff\xfe", b"/mnt/\xff\xfe"),
        ("/mnt/Müller".encode(), "/mnt/Müller".encode()),
        (rb"/mnt/a\040-\040b", b"/mnt/a - b"),
    ],
    ids=[
        "blank",
        "tab and newline",
        "backslash",
        "backslash and digits",
        "hash",
        "no UTF-8",
        "umlaut",
        "dash between blanks",
    ],
)
def test_a_mountpoint_of_any_name_is_found(
    mountinfo: Path, written: bytes, place: bytes
) -> None:
    mountinfo.write_bytes(
        line("PLACE", "fuse.dicomfs").encode().replace(b"PLACE", written)
    )

    assert find_mount(Path(os.fsdecode(place))) is not None


@pytest.mark.parametrize("optional", ["", "shared:1 ", "shared:1 master:2 "])
def test_optional_fields_are_passed_over(mountinfo: Path, optional: str) -> None:
    mountinfo.write_text(line("/mnt", "fuse.dicomfs", OURS, optional))

    found = find_mount(Path("/mnt"))

    assert found is not None
    assert found.fstype == "fuse.dicomfs"


def test_the_mounts_of_this_machine_can_be_read() -> None:
    assert find_mount(Path("/proc")) is not None


# -- whose it is -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mount", "ours"),
    [
        (
            Mount(
                b"/mnt", "0:45", "fuse.dicomfs", "dicomfs ro,user_id=100,group_id=100"
            ),
            True,
        ),
        (
            Mount(b"/mnt", "0:45", "fuse.dicomfs", "dicomfs ro,group_id=5,user_id=100"),
            True,
        ),
        (
            Mount(
                b"/mnt", "0:45", "fuse.dicomfs", "dicomfs ro,user_id=1000,group_id=100"
            ),
            False,
        ),
        (
            Mount(
                b"/mnt", "0:45", "fuse.dicomfs", "dicomfs ro,user_id=10,group_id=100"
            ),
            False,
        ),
        (
            Mount(b"/mnt", "0:45", "fuse.dicomfs", "dicomfs ro,user_id=0,group_id=0"),
            False,
        ),
        (
            Mount(b"/mnt", "0:45", "fuse.sshfs", "host: ro,user_id=100,group_id=100"),
            False,
        ),
        (
            Mount(b"/mnt", "0:45", "fuse", "dicomfs ro,user_id=100,group_id=100"),
            False,
        ),
        (Mount(b"/mnt", "0:45", "ext4", "/dev/sda1 rw"), False),
    ],
    ids=[
        "ours",
        "ours, at the end",
        "of a user whose number begins like ours",
        "of a user whose number ours begins like",
        "of root",
        "another file system of ours",
        "one without a kind",
        "no FUSE",
    ],
)
def test_ours_is_what_this_user_mounted_with_dicomfs(
    monkeypatch: pytest.MonkeyPatch, mount: Mount, ours: bool
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 100)

    assert is_ours(mount) is ours


# -- what the machine needs ------------------------------------------------------------


def test_without_fusermount3_there_is_a_failure_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(attachment, "_PLACES", str(tmp_path))

    with pytest.raises(Failure) as caught:
        attachment.fusermount()

    assert caught.value.problem is Problem.NO_FUSERMOUNT
    assert "apt install fuse3" in complaint(caught.value).mend


@pytest.mark.parametrize("path", ["", ".", "/nowhere"])
def test_fusermount3_is_not_taken_from_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str
) -> None:
    need("fusermount3")
    (tmp_path / "fusermount3").touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", path)

    found = Path(attachment.fusermount())

    assert found.is_absolute()
    assert not found.is_relative_to(tmp_path)


def test_without_the_device_there_is_a_failure_that_says_what_to_load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(attachment, "FUSE_DEVICE", tmp_path / "fuse")

    with pytest.raises(Failure) as caught:
        attachment.check_fuse()

    assert caught.value.problem is Problem.NO_FUSE_DEVICE
    assert "modprobe fuse" in complaint(caught.value).mend
