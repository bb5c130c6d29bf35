"""Recordings of what dicomfs says: what differs is found, and named."""

import json
import sys
from pathlib import Path
from typing import Final

import pytest

from scripts.benchmark.mounts import mountpoints
from scripts.recording import entries, medium, mounted
from scripts.recording.command import Dicomfs
from scripts.recording.compare import differences
from scripts.recording.entries import Entry, Parts, Recording
from scripts.recording.medium import Medium
from tests.support.mounting import COMMAND, SAMPLES, Finished, need, run

SOUND: Final[Parts] = {"exit": "0", "stdout": '{"files": [1, 2]}\n', "stderr": ""}
WARNED: Final[Parts] = {**SOUND, "stderr": "dicomfs: repaired\n"}
FAILED: Final[Parts] = {**SOUND, "exit": "13"}
SHORTER: Final[Parts] = {**SOUND, "stdout": '{"files": [1]}\n'}


def recorded(**parts: Parts) -> Recording:
    """Return what one command made of media."""
    return {"tree --json": {"sample": SOUND, **parts}}


def behaviour(*arguments: str | Path) -> Finished:
    command = [sys.executable, "-P", "-m", "scripts.recording"]
    return run([*command, *map(str, arguments)])


def compared(folder: Path, a: Recording, b: Recording, *options: str) -> Finished:
    """Compare two recordings by the command line."""
    paths = folder / "a.json", folder / "b.json"
    for made, path in zip((a, b), paths, strict=True):
        entries.save(made, path)
    return behaviour("compare", *paths, *options)


def test_equal_recordings_are_the_same(tmp_path: Path) -> None:
    done = compared(tmp_path, recorded(disc=WARNED), recorded(disc=WARNED))

    assert (done.returncode, done.stdout) == (0, "the same: 2 entries\n")


@pytest.mark.parametrize("changed", [FAILED, SHORTER, WARNED], ids=str)
def test_an_entry_that_differs_is_named(tmp_path: Path, changed: Parts) -> None:
    done = compared(tmp_path, recorded(disc=SOUND), recorded(disc=changed))

    assert done.returncode == 1, done.stderr
    assert "== tree --json: 1 of 2 differ" in done.stdout
    assert [line for line in done.stdout.splitlines() if line[:3] == "-- "] == [
        "-- disc"
    ]


def test_an_entry_that_only_one_has_differs() -> None:
    lines = differences(recorded(), recorded(disc=SOUND))

    assert "only in B" in lines
    assert differences(recorded(disc=SOUND), recorded()) != []


def test_json_is_compared_line_by_line() -> None:
    lines = differences(recorded(disc=SOUND), recorded(disc=SHORTER))

    assert "-  2" in lines


@pytest.mark.parametrize(("changed", "code"), [(WARNED, 0), (FAILED, 1), (SHORTER, 1)])
def test_other_words_may_be_no_matter(
    tmp_path: Path, changed: Parts, code: int
) -> None:
    a, b = recorded(disc=SOUND), recorded(disc=changed)

    assert compared(tmp_path, a, b, "--only-exit-and-data").returncode == code


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"schema": 0}))

    done = behaviour("compare", tmp_path / "a.json", tmp_path / "nowhere.json")

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_names_of_any_bytes_are_kept(tmp_path: Path) -> None:
    made = entries.recording([Entry("tree", "disc", {"stdout": "M\udcfcller\n"})])

    entries.save(made, tmp_path / "a.json")

    assert entries.load(tmp_path / "a.json") == made


def test_media_are_listed_as_they_are(tmp_path: Path) -> None:
    media = [
        Medium("a", ("--scan", "a")),
        Medium("b", ("b",), ()),
        Medium("c", (), ("-v",)),
    ]

    medium.save(media, tmp_path)

    assert medium.load(tmp_path) == media


def test_what_is_recorded_of_a_command_is_what_it_says(tmp_path: Path) -> None:
    dicomfs = Dicomfs(Path(COMMAND[0]), tmp_path, tmp_path)

    parts = dicomfs.run("tree", "nowhere")

    assert (parts["exit"], parts["stdout"]) == ("10", "")
    assert "there is no WORK/nowhere" in parts["stderr"]


@pytest.mark.mount
def test_what_a_mount_shows_is_recorded(tmp_path: Path) -> None:
    need("fusermount3", "/dev/fuse")
    dicomfs = Dicomfs(Path(COMMAND[0]), SAMPLES, tmp_path)

    made = entries.recording(mounted.entries(dicomfs, Medium("sample", (".",), ())))

    said = {command: of["sample"].get("exit", "") for command, of in made.items()}
    assert said == {"mount": "0", "mounted": "", "umount": "0", "log": ""}
    seen = made["mounted"]["sample"]
    assert len(seen["sums"].splitlines()) == 31
    assert seen["files"].count("\n-r") == 31
    assert "looked at:" in seen["report.txt"]


@pytest.mark.mount
def test_a_mount_in_use_is_recorded_and_does_not_stay(tmp_path: Path) -> None:
    need("fusermount3", "/dev/fuse")
    dicomfs = Dicomfs(Path(COMMAND[0]), SAMPLES, tmp_path)

    said = {
        each.command: each.parts["exit"] for each in mounted.of_one_in_use(dicomfs, ".")
    }

    assert said["mount once more"] == "19"
    assert (said["umount"], said["umount --lazy"]) == ("28", "0")
    assert not any(tmp_path in place.parents for place in mountpoints())
