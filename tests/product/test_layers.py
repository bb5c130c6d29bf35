"""Imports point down, and whoever lets one point up is told so."""

import re
import shutil
import tomllib
from pathlib import Path
from typing import Final

import pytest

from tests.support.mounting import ROOT, Finished, need, run

_PYPROJECT: Final = "pyproject.toml"
# It stands beside source, for which the map has no room.
_BESIDE: Final = "sandbox"


def layers() -> list[str]:
    """Return the rooms from the top down, as the contract has them."""
    settings = tomllib.loads((ROOT / _PYPROJECT).read_text(encoding="utf-8"))
    [contract] = settings["tool"]["importlinter"]["contracts"]
    return [room for layer in contract["layers"] for room in re.findall(r"\w+", layer)]


def lint(root: Path) -> Finished:
    """Return what lint-imports says of the package in *root*."""
    need("lint-imports")
    command = ["lint-imports", "--no-logo", "--no-cache"]
    return run(command, cwd=root, env={"PYTHONPATH": str(root)})


@pytest.mark.slow
@pytest.mark.late
def test_an_import_that_points_up_is_noticed(tmp_path: Path) -> None:
    shutil.copy(ROOT / _PYPROJECT, tmp_path)
    shutil.copytree(ROOT / "dicomfs", tmp_path / "dicomfs")
    sound = lint(tmp_path)
    assert sound.returncode == 0, sound.stdout + sound.stderr

    with (tmp_path / "dicomfs/dicom/tags.py").open("a") as tags:
        tags.write("from dicomfs.tree.naming import clean\n")

    broken = lint(tmp_path)
    assert broken.returncode != 0
    assert "dicomfs.dicom.tags -> dicomfs.tree.naming" in broken.stdout


def test_the_map_of_the_house_has_the_rooms_in_the_order_of_the_contract() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    shown = re.findall(r"^    ([a-z]+)  ", text, re.MULTILINE)

    packages = {path.parent.name for path in ROOT.glob("dicomfs/*/__init__.py")}
    expected = [room for room in layers() if room in packages - {_BESIDE}]
    assert shown == expected
