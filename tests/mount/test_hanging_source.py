"""Commands that do not mount, over a drive that hangs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomfs.cli.exits import complaint
from dicomfs.errors import Failure, Problem
from tests.build.medium import image, patient, series, study, write_medium
from tests.support.hanging import Drive, drive
from tests.support.mounting import dicomfs

pytestmark = pytest.mark.mount


@pytest.fixture
def troubled(tmp_path: Path) -> Iterator[Drive]:
    """Return a drive with a disc of five images."""
    images = [
        image(f"1.2.3.1.{number}", number=number, file=f"CT/I{number}")
        for number in range(1, 6)
    ]
    lung = series("1.2.3.1", images, description="Lung")
    person = patient("Doe^Jane", "1", [study("1.2.3", [lung], description="CT")])
    write_medium(tmp_path / "disc", [person])
    with drive(tmp_path / "disc", tmp_path / "drive") as made:
        yield made


@pytest.mark.parametrize("how", ["hang", "hang_open"])
def test_a_check_ends_though_a_file_hangs(troubled: Drive, how: str) -> None:
    troubled.tell(**{how: ["CT/I3"]})

    done = dicomfs("check", "--deadline", "1", troubled.place)

    assert done.stdout.startswith("4 of 5 listed images are whole\n")
    assert "[silent-file]" in done.stdout
    assert "    CT/I3\n" in done.stdout


def test_a_scan_leaves_out_a_file_that_hangs(troubled: Drive) -> None:
    troubled.tell(hang=["CT/I3"])

    done = dicomfs("tree", "--scan", "--deadline", "1", troubled.place)

    assert done.returncode == 0
    assert done.stdout.count(".dcm") == 4


@pytest.mark.parametrize("command", ["tree", "check"])
def test_the_only_source_may_hang_and_the_command_ends(
    troubled: Drive, command: str
) -> None:
    troubled.tell(hang=["DICOMDIR"])

    done = dicomfs(command, "--deadline", "1", troubled.place)

    told = complaint(Failure(Problem.SOURCE_SILENT))
    assert done.stderr.splitlines()[0] == f"dicomfs: {told.what}"
    assert done.returncode == {"tree": told.exit_code, "check": 8}[command]


@pytest.mark.parametrize("mode", [(), ("--foreground",)], ids=["background", "front"])
def test_a_source_that_cannot_even_be_opened_ends_a_mount(
    troubled: Drive, tmp_path: Path, mode: tuple[str, ...]
) -> None:
    place = tmp_path / "mnt"
    place.mkdir()
    troubled.tell(hang_open=["CT/I3"])

    done = dicomfs("mount", *mode, "--deadline", "1", troubled.place / "CT/I3", place)

    told = complaint(Failure(Problem.SOURCE_SILENT))
    assert done.stderr.splitlines()[0] == f"dicomfs: {told.what}"


def test_one_of_several_sources_that_cannot_even_be_opened_costs_itself(
    troubled: Drive, tmp_path: Path
) -> None:
    troubled.tell(hang_open=["CT/I3"])

    done = dicomfs(
        "tree", "--deadline", "1", troubled.place / "CT/I3", tmp_path / "disc"
    )

    assert done.returncode == 0
    assert done.stdout.count(".dcm") == 5
