"""Imports point down, and whoever lets one point up is told so."""

import re
import shutil
import tomllib
from pathlib import Path
from typing import Final

import pytest

from tests.support.mounting import ROOT, Finished, need, run

_PYPROJECT: Final = "pyproject.toml"


def layers() -> list[list[str]]:
    """Return the rooms of each layer, from the top down, as the contract has them."""
    settings = tomllib.loads((ROOT / _PYPROJECT).read_text(encoding="utf-8"))
    [contract] = settings["tool"]["importlinter"]["contracts"]
    return [re.findall(r"\w+", layer) for layer in contract["layers"]]


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


def test_the_map_of_the_house_is_that_of_the_contract() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    shown = re.search(r"(?<=\n\n)(    .*\n)+", text)

    assert shown is not None
    told = [re.findall(r"\w+", line) for line in shown[0].splitlines()]
    assert told == layers()


def test_no_module_is_longer_than_one_noun_takes() -> None:
    modules = [*(ROOT / "dicomfs").rglob("*.py")]
    lines = {each: each.read_text(encoding="utf-8").count("\n") for each in modules}

    assert lines
    assert {path: count for path, count in lines.items() if count > 400} == {}
