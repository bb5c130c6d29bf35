"""``dicomfs list``: what is mounted, and where."""

import json
from pathlib import Path

import pytest

from dicomfs.cli import list as command
from dicomfs.cli.parser import parsed
from tests.support import mounting
from tests.support.mounting import SAMPLES, Mount, Mounter, dicomfs, until


@pytest.mark.mount
def test_a_mount_is_listed_with_who_made_it_and_where(sample_mount: Mount) -> None:
    done = dicomfs("list")

    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["USER", "SOURCE", "MOUNTPOINT"]
    (row,) = (row for row in rows if row.endswith(str(sample_mount.place)))
    assert row.split()[:2] == [sample_mount.place.owner(), "dicomfs"]


@pytest.mark.mount
def test_mounts_are_listed_as_json(sample_mount: Mount) -> None:
    told = json.loads(dicomfs("list", "--json").stdout)

    assert told["schema"] == 1
    assert {
        "user": sample_mount.place.owner(),
        "source": "dicomfs",
        "mountpoint": str(sample_mount.place),
        "dead": False,
    } in told["mounts"]


# Whoever ends a mount clears dead ones of the same number, which the kernel gives again.
@pytest.mark.mount
@pytest.mark.alone
def test_a_dead_mount_is_listed_as_that(mount: Mounter, tmp_path: Path) -> None:
    (tmp_path / "a b\n").mkdir()
    shown = mount(SAMPLES, place=tmp_path / "a b\n")
    mounting.kill_together(*shown.processes)
    assert until(lambda: not shown.processes)

    done = dicomfs("list")

    (row,) = (row for row in done.stdout.splitlines() if str(tmp_path) in row)
    assert row.endswith(rf"{tmp_path}/a b\n  [dead; fusermount3 -u ends it]")


def test_where_nothing_is_mounted_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "mounts", lambda: iter(()))

    assert command.run(parsed(["list"])) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "dicomfs: nothing of dicomfs is mounted\n")
