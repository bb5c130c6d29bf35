"""The README says what the command line does, and nothing else."""

import re
from typing import Final

import pytest

from dicomfs.errors import MEANINGS
from tests.support.mounting import ROOT, dicomfs

COMMANDS: Final = ("mount", "umount", "tree", "check", "demo")
# Every command has it.
_HELP: Final = "--help"


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def options_of(text: str) -> set[str]:
    """Return the long options that *text* names, without those of other programs."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {_HELP}


@pytest.fixture(scope="module")
def helped() -> str:
    """Return what --help says, of all commands together."""
    texts = [dicomfs(_HELP).stdout]
    texts += [dicomfs(command, _HELP).stdout for command in COMMANDS]
    return "\n".join(texts)


def section(readme: str, title: str) -> str:
    """Return the section of the README with this title."""
    found = re.search(
        rf"^## {title}$(.*?)(?=^## |\Z)", readme, re.MULTILINE | re.DOTALL
    )
    assert found is not None, f"the README has no section {title}"
    return found[1]


def test_the_readme_has_every_exit_code_with_its_meaning(readme: str) -> None:
    rows = re.findall(r"^\| (\d+) \| (.*?) \|$", readme, re.MULTILINE)

    assert rows == [(str(code.value), meaning) for code, meaning in MEANINGS.items()]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_names_every_command(readme: str, command: str) -> None:
    assert f"dicomfs {command}" in readme


def test_the_readme_names_every_option(readme: str, helped: str) -> None:
    assert options_of(helped) - options_of(readme) == set()


def test_every_option_that_the_readme_names_exists(readme: str, helped: str) -> None:
    told = options_of(section(readme, "Options"))

    assert told - options_of(helped) == set()


def test_every_short_option_of_the_table_exists(readme: str, helped: str) -> None:
    table = re.findall(r"^\| (.*?) \|", section(readme, "Options"), re.MULTILINE)
    told = set(re.findall(r"`(-[a-zA-Z])`", " ".join(table)))

    assert told
    assert told - set(re.findall(r"(?<![\w-])-[a-zA-Z]\b", helped)) == set()


def test_the_readme_says_what_dicomfs_is_not(readme: str) -> None:
    assert "not a medical device" in readme.replace("*", "").replace("\n", " ")


def test_the_first_screen_has_the_two_commands(readme: str) -> None:
    first_screen = "\n".join(readme.splitlines()[:45])

    assert "scripts/dicomfs demo" in first_screen
    assert "scripts/test" in first_screen


def test_the_map_of_the_code_names_every_module(readme: str) -> None:
    modules = {path.stem for path in (ROOT / "dicomfs").glob("*.py")}
    told = set(re.findall(r"\w+", section(readme, "The code, for the next developer")))

    # What holds constants and names only, and what everybody uses, needs no place.
    assert modules - {"__init__", "errors", "tags", "node"} - told == set()
