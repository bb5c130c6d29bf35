"""``dicomfs open``: what a double click does, with stand-ins for the desktop's programs."""

import os
import pty
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomfs.cli.codes import Exit
from dicomfs.extras.readme import EXTENSION, STEM
from tests.build.medium import image, patient, series, study, write_medium
from tests.support import mounting
from tests.support.mounting import COMMAND, Finished, dicomfs, kill, marked, need, until

pytestmark = pytest.mark.mount

README = STEM + EXTENSION
# Says what it was called with, a line an argument, with an empty line behind.
STAND_IN = """#!/bin/sh
for each; do printf '%s\\n' "$each"; done >>"$0.said"
echo >>"$0.said"
exit {code}
"""


def a_medium(folder: Path, *, missing: int = 0) -> Path:
    """Make a medium of four images in *folder*, of which some are *missing*."""
    images = [image(f"1.2.3.{n}", number=n, file=f"I{n}") for n in range(1, 5)]
    write_medium(
        folder, [patient("Doe^Jane", "1", [study("1.2", [series("1", images)])])]
    )
    for number in range(1, missing + 1):
        (folder / f"I{number}").unlink()
    return folder


class Desk:
    """Somebody at a desktop whose programs are stand-ins."""

    def __init__(self, folder: Path) -> None:
        need("fusermount3", "/dev/fuse")
        self.programs = folder / "programs"
        self.home = folder / "home"
        self.mark = mounting.new_mark()
        for each in (self.programs, self.home):
            each.mkdir()
        self.has("xdg-open")
        self.has("notify-send")

    @property
    def environment(self) -> dict[str, str]:
        """What dicomfs finds in its environment."""
        path = f"{self.programs}:{mounting.tool_path()}"
        return {"HOME": str(self.home), "PATH": path, "DISPLAY": ":99"}

    def has(self, program: str, code: int = 0) -> None:
        """Have a stand-in for *program* that ends with *code*."""
        (self.programs / program).write_text(STAND_IN.format(code=code))
        (self.programs / program).chmod(0o755)

    def said(self, program: str) -> list[list[str]]:
        """Return what *program* was called with, each time."""
        said = self.programs / f"{program}.said"
        if not said.exists():
            return []
        return [each.splitlines() for each in said.read_text().split("\n\n")[:-1]]

    @property
    def notes(self) -> list[tuple[str, str]]:
        """All notifications: title and text."""
        called = self.said("notify-send")
        return [(title, "\n".join(text)) for title, *text in map(_behind, called)]

    def opens(self, *arguments: str | Path, **env: str) -> Finished:
        """Open what is given, as a desktop does."""
        # tool_path comes first in env otherwise.
        return dicomfs("open", *arguments, mark=self.mark, env=self.environment | env)

    def places(self) -> list[Path]:
        """Return what lies in the folder of all mounts."""
        above = self.home / "Patients"
        return sorted(above.iterdir()) if above.exists() else []

    def ends(self) -> None:
        """End the only mount, and see that nothing of it stays."""
        (place,) = self.places()
        assert dicomfs("umount", place).returncode == 0
        assert until(lambda: not marked(self.mark))
        assert self.places() == []


def names_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def _behind(arguments: list[str]) -> list[str]:
    return arguments[arguments.index("--") + 1 :]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    for place in made.places():
        mounting.force_off(place)
    kill(*marked(made.mark))


@pytest.mark.parametrize("path", ["", ".", ":{tools}", ".:{tools}", "../{here}"])
def test_no_program_is_taken_from_the_folder_that_somebody_is_in(
    desk: Desk, tmp_path: Path, path: str
) -> None:
    medium = a_medium(tmp_path / "cd")
    for program in ("xdg-open", "notify-send"):
        (medium / program).write_text(STAND_IN.format(code=0))
        (medium / program).chmod(0o755)

    path = path.format(tools=mounting.tool_path(), here=medium.name)

    env = desk.environment | {"PATH": path}
    dicomfs("open", medium, mark=desk.mark, env=env, cwd=medium)

    assert not list(medium.glob("*.said"))
    desk.ends()


def test_a_medium_is_shown_in_the_file_manager_with_extras(
    desk: Desk, tmp_path: Path
) -> None:
    done = desk.opens(a_medium(tmp_path / "CD 1"))

    place = desk.home / "Patients/CD 1"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert desk.said("xdg-open") == [[str(place)]]
    assert names_in(place) == ["Doe, Jane (1)", README]
    info = (place / ".xdg-volume-info").read_text("utf-8")
    assert "\nName=Patients: CD 1\n" in info
    assert ".xdg-volume-info" not in names_in(place)
    assert desk.notes == []
    desk.ends()


@pytest.mark.parametrize("kind", ["DICOMDIR", "archive"])
def test_an_index_and_an_archive_are_opened_as_well(
    desk: Desk, tmp_path: Path, kind: str
) -> None:
    medium = a_medium(tmp_path / "cd")
    source = medium / "DICOMDIR"
    if kind == "archive":
        source = Path(shutil.make_archive(str(tmp_path / "cd"), "zip", medium))

    assert desk.opens(source).returncode == 0

    assert desk.said("xdg-open") == [[str(desk.home / "Patients/cd")]]
    desk.ends()


def test_a_notification_says_what_is_missing_and_of_nobody(
    desk: Desk, tmp_path: Path
) -> None:
    desk.opens(a_medium(tmp_path / "Doe Jane", missing=3))

    ((title, text),) = desk.notes
    assert title == "The medium is not whole"
    assert text == f"a file is missing: 3\n{README} has more."
    desk.ends()


def test_a_medium_without_an_index_is_read_as_a_whole(
    desk: Desk, tmp_path: Path
) -> None:
    medium = a_medium(tmp_path / "cd")
    (medium / "DICOMDIR").unlink()

    assert desk.opens(medium).returncode == 0

    assert [title for title, _ in desk.notes] == [
        "The index of the medium is of no use"
    ]
    assert names_in(desk.places()[0])[0] == "Doe, Jane (1)"
    desk.ends()


def test_a_failure_is_a_notification_without_the_name_of_a_file(
    desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "Doe Jane.rar").write_bytes(b"Rar!\x1a\x07\x01\x00" + bytes(100))

    done = desk.opens(tmp_path / "Doe Jane.rar")

    assert (done.returncode, done.stderr) == (Exit.SOURCE_UNSUPPORTED, "")
    ((title, text),) = desk.notes
    assert title == "The medium cannot be opened"
    assert text.startswith("the medium is a RAR archive, which is not read\nunpack it")
    assert "Doe" not in text
    assert desk.said("xdg-open") == []
    assert desk.places() == []


def test_what_is_not_there_is_told_in_a_sentence(desk: Desk, tmp_path: Path) -> None:
    desk.opens(tmp_path / "Doe.iso")

    ((_, text),) = desk.notes
    assert text.startswith("there is no such medium\n")


def test_a_home_that_takes_no_folder_is_told_without_its_path(
    desk: Desk, tmp_path: Path
) -> None:
    (desk.home / "Patients").touch()

    desk.opens(a_medium(tmp_path / "Doe Jane"))

    ((_, text),) = desk.notes
    expected = "there is no MOUNTPOINT, and a folder for it cannot be made: File exists"
    assert text.startswith(f"{expected}\n")
    (desk.home / "Patients").unlink()


def test_who_has_no_notifications_finds_a_failure_where_others_do(
    desk: Desk, tmp_path: Path
) -> None:
    desk.has("notify-send", code=1)

    done = desk.opens(tmp_path / "nothing")

    assert done.returncode == Exit.SOURCE_MISSING
    assert "there is no " in done.stderr


@pytest.mark.parametrize("lacks", ["a file manager", "a desktop"])
def test_a_medium_is_mounted_all_the_same_where_nothing_shows_it(
    desk: Desk, tmp_path: Path, lacks: str
) -> None:
    desk.has("xdg-open", code=3)
    display = (
        {} if lacks == "a file manager" else {"DISPLAY": "", "WAYLAND_DISPLAY": ""}
    )

    done = desk.opens(a_medium(tmp_path / "cd"), **display)

    assert done.returncode == 0
    titles = [title for title, _ in desk.notes]
    assert titles == ([] if display else ["The file manager cannot be opened"])
    desk.ends()


def test_who_calls_it_in_a_terminal_reads_where_it_is(
    desk: Desk, tmp_path: Path
) -> None:
    medium = a_medium(tmp_path / "cd")
    (medium / "DICOMDIR").write_bytes(b"")
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [*COMMAND, "open", str(medium)],
            env=mounting.environment(desk.mark, desk.environment),
            stderr=theirs,
            timeout=mounting.PATIENCE,
            check=False,
        )
        said = os.read(ours, 4096).decode()
    finally:
        os.close(ours)
        os.close(theirs)

    assert done.returncode == 0
    assert "the DICOMDIR is empty: it has no bytes: all files are read instead" in said
    assert f"dicomfs: mounted on {desk.places()[0]}" in said
    desk.ends()


def test_it_opens_one_medium_at_a_time(desk: Desk) -> None:
    done = desk.opens("/a", "/b")

    assert done.returncode == Exit.USAGE
    assert "unrecognized arguments: /b" in done.stderr
