"""Mounts for which nobody gave a folder."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomfs.cli import places
from dicomfs.cli.codes import Exit
from tests.build.medium import image, patient, series, study, write_medium
from tests.support import mounting
from tests.support.mounting import (
    Finished,
    dicomfs,
    is_mounted,
    kill,
    marked,
    need,
    need_root,
    new_mark,
    run,
    until,
)


def a_medium(folder: Path) -> Path:
    one = [study("1.2", [series("1", [image("1.2.3.4")])])]
    write_medium(folder, [patient("Doe^Jane", "1", one)])
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the home of whoever mounts."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


def names_in(folder: Path) -> list[str]:
    """Return what is in *folder*."""
    return sorted(path.name for path in folder.iterdir())


# -- names -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("/media/jane/CD 1", "CD 1"),
        ("/media/jane/CD 1/", "CD 1"),
        ("/media/jane/CD 1/DICOMDIR", "CD 1"),
        ("/data/disc.iso", "disc"),
        ("/data/v1.2", "v1.2"),
        ("/data/.hidden", "hidden"),
        ("/data/a:b?.zip", "a_b_"),
        ("/", "Medium"),
        ("https://host/a/disc.iso?signature=1", "disc"),
        ("s3://bucket/disc/DICOMDIR", "disc"),
        ("s3://bucket", "bucket"),
    ],
)
def test_a_folder_is_named_after_the_medium(home: Path, source: str, name: str) -> None:
    made = places.made_for(source)

    assert made == home / "Patients" / name
    assert made.is_dir()
    assert made.stat().st_mode & 0o777 == 0o700


def test_a_folder_for_a_drive_is_named_by_the_label_of_the_disc(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_root()
    for number, name in enumerate(("sr7", "sr8")):
        os.mknod(tmp_path / name, stat.S_IFBLK | 0o600, os.makedev(7, 200 + number))
    (tmp_path / "labels").mkdir()
    (tmp_path / r"labels/CT\x20Müller\x2f1").symlink_to("../sr7")
    monkeypatch.setattr(places, "_LABELS", tmp_path / "labels")

    assert places.made_for(str(tmp_path / "sr7")).name == "CT Müller_1"
    assert places.made_for(str(tmp_path / "sr8")).name == "sr8"
    assert home in places.made_for(str(tmp_path / "sr8")).parents


def test_a_folder_that_is_in_use_is_left_alone(home: Path) -> None:
    (home / "Patients/cd/1").mkdir(parents=True)
    (home / "Patients/cd (2)").touch()

    assert places.made_for("/media/cd").name == "cd (3)"


def test_an_empty_folder_that_was_left_behind_is_taken_again(home: Path) -> None:
    assert places.made_for("/media/cd") == places.made_for("/media/cd")
    assert names_in(home / "Patients") == ["cd"]


@pytest.mark.slow
def test_what_cannot_be_made_is_told(home: Path, tmp_path: Path) -> None:
    (home / "Patients").touch()

    done = dicomfs("mount", a_medium(tmp_path / "cd"))

    assert done.returncode == Exit.MOUNTPOINT_MISSING
    assert "Patients cannot be made: File exists" in done.stderr


# -- mounts ----------------------------------------------------------------------------


class Session:
    """Somebody who mounts without a mountpoint."""

    def __init__(self, home: Path) -> None:
        need("fusermount3", "/dev/fuse")
        self.home = home
        self.mark = new_mark()

    def mount(self, *arguments: str | Path) -> Finished:
        """Mount what is given."""
        return dicomfs("mount", *arguments, mark=self.mark)

    def places(self) -> list[Path]:
        """Return what lies in the folder of all mounts."""
        above = self.home / "Patients"
        return sorted(above.iterdir()) if above.exists() else []

    def has_ended(self) -> bool:
        """Whether nobody serves anything any more."""
        return until(lambda: not marked(self.mark))


@pytest.fixture
def session(home: Path) -> Iterator[Session]:
    made = Session(home)
    yield made
    for place in made.places():
        mounting.force_off(place)
    kill(*marked(made.mark))


@pytest.fixture
def medium(tmp_path: Path) -> Path:
    return a_medium(tmp_path / "my cd")


@pytest.mark.mount
def test_a_medium_is_mounted_on_a_folder_of_its_name_until_the_end(
    session: Session, medium: Path
) -> None:
    done = session.mount(medium)

    (place,) = session.places()
    assert (done.returncode, place.name) == (0, "my cd")
    assert f"mounted on {place}; to end it: " in done.stderr
    assert names_in(place) == ["Doe, Jane (1)"]
    run(["fusermount3", "-u", "--", str(place)])
    assert session.has_ended()
    assert session.places() == []


@pytest.mark.mount
def test_a_medium_that_is_mounted_twice_has_two_folders(
    session: Session, medium: Path
) -> None:
    session.mount(medium)
    session.mount(medium)

    assert [place.name for place in session.places()] == ["my cd", "my cd (2)"]
    for place in session.places():
        assert is_mounted(place)
        run(["fusermount3", "-u", "--", str(place)])
    assert session.has_ended()
    assert session.places() == []


@pytest.mark.mount
def test_a_folder_that_a_killed_mount_left_behind_is_taken_again(
    session: Session, medium: Path
) -> None:
    session.mount(medium)
    kill(*marked(session.mark))
    assert session.has_ended()

    assert session.mount(medium).returncode == 0

    (place,) = session.places()
    assert names_in(place) == ["Doe, Jane (1)"]
    run(["fusermount3", "-u", "--", str(place)])
    assert session.has_ended()
    assert session.places() == []


@pytest.mark.mount
def test_where_nothing_can_be_mounted_no_folder_is_left(
    session: Session, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()

    assert session.mount(tmp_path / "empty").returncode == Exit.NO_DICOMDIR
    assert session.mount(session.home).returncode == Exit.MOUNTPOINT_OVERLAPS
    assert session.has_ended()
    assert session.places() == []


# -- who may look ----------------------------------------------------------------------

CLOSED = "--allow-other lets nobody in"


@pytest.mark.mount
@pytest.mark.parametrize(
    ("options", "is_closed"),
    [
        ([], True),
        (["--umask", "077"], True),
        (["--umask", "066"], True),
        (["--umask", "022"], False),
        (["--umask", "027"], False),
        (["--uid", "12345"], False),
    ],
)
def test_modes_that_let_nobody_in_are_told_to_who_wants_others_to_look(
    session: Session, tmp_path: Path, options: list[str], is_closed: bool
) -> None:
    # Told before anything is mounted.
    (tmp_path / "empty").mkdir()

    done = session.mount("--allow-other", *options, tmp_path / "empty")

    assert (CLOSED in done.stderr) is is_closed
