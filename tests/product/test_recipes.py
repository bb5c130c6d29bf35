"""The recipes of the manual: those that are run are those that it says."""

import re
import sys
from typing import Final

import pytest

from scripts.cooking.__main__ import main as cook
from scripts.cooking.page import PAGE, recipes
from scripts.cooking.table import ROWS
from tests.product.test_manual import options_of_help
from tests.support.mounting import need, run

RECIPES: Final = recipes()
_SHOWN: Final = re.compile(r"dicomfs (\w+)((?: --?[a-z][a-z-]*)*)")


def test_the_page_says_which_recipes_are_run() -> None:
    assert {name for name, each in RECIPES.items() if each.is_run} == set(ROWS)


def test_what_is_not_run_says_so() -> None:
    text = PAGE.read_text("utf-8")

    for name, each in RECIPES.items():
        part = text.partition(f"## {name}\n")[2].partition("\n## ")[0]
        assert each.is_run or re.search(
            r"^(Not run\.|The viewer is not run)", part, re.MULTILINE
        )


@pytest.mark.parametrize("name", RECIPES)
def test_the_commands_of_a_recipe_are_ones_that_a_shell_takes(name: str) -> None:
    commands = RECIPES[name].commands

    assert commands
    assert run(["bash", "-n", "-c", commands]).returncode == 0
    for command, options in _SHOWN.findall(commands):
        assert set(options.split()) <= options_of_help(command)


@pytest.mark.mount
@pytest.mark.slow
@pytest.mark.late
@pytest.mark.parametrize("name", ["tar", "rsync", "dcm2niix"])
def test_recipes_for_what_every_system_has_come_out_well(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    need(*ROWS[name].programs)
    monkeypatch.setattr(sys, "argv", ["recipes", name])

    assert (cook(), capsys.readouterr().out) == (0, f"{name}: well\n")
