"""Man pages and completion have what the command line has: see scripts/share."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from dicomfs.cli.helper import helper_parser
from dicomfs.cli.parser import parsers
from scripts.sharing import COMPLETIONS, SHARE
from tests.support.mounting import need, run

PAGES: Final = sorted(SHARE.rglob("man/man?/*"))
STALE: Final = "run scripts/share"

_FISH_OPTION: Final = re.compile(
    r"^complete -c dicomfs .*?-l '?([a-z-]+)", re.MULTILINE
)

PARSER, COMMANDS = parsers()


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    return {option for each in parser._actions for option in each.option_strings}


def explained(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the explanations of all arguments of *parser*, as its help has them."""
    for action in parser._actions:
        if action.help and not isinstance(action, argparse._HelpAction):
            yield action.help % {"prog": parser.prog, "default": action.default}


def plain(page: Path) -> str:
    """Return the text of a man page, without its markup."""
    text = re.sub(r"\\f[BIRP]|\\,|\\/", "", page.read_text("utf-8"))
    return " ".join(text.replace("\\-", "-").replace("\\(aq", "'").split())


@pytest.mark.parametrize(
    ("page", "parser"),
    [
        *(("man1/dicomfs.1", each) for each in (PARSER, *COMMANDS.values())),
        ("man8/mount.dicomfs.8", helper_parser()),
    ],
    ids=["dicomfs", *COMMANDS, "mount.dicomfs"],
)
def test_a_man_page_explains_every_argument_of_a_command(
    page: str, parser: argparse.ArgumentParser
) -> None:
    text = plain(SHARE / "man" / page)

    assert {each for each in explained(parser) if each not in text} == set(), STALE
    missing = {each for each in options_of(parser) - {"-h"} if each not in text}
    assert missing - {"--help"} == set(), STALE
    for sentence in (parser.description or "").split(". "):
        assert " ".join(sentence.split()) in text, STALE


def test_a_man_page_has_every_exit_code() -> None:
    text = plain(SHARE / "man/man1/dicomfs.1")

    assert PARSER.epilog is not None
    for row in PARSER.epilog.splitlines():
        assert " ".join(row.split()) in text, STALE


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_man_page_has_no_option_that_does_not_exist(page: Path) -> None:
    known = options_of(PARSER).union(*map(options_of, COMMANDS.values()))

    told = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", plain(page)))

    assert told <= known, STALE


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_man_page_is_well_formed(page: Path) -> None:
    need("mandoc")

    done = run(["mandoc", "-T", "lint", "-W", "warning", str(page)])

    assert (done.returncode, done.stdout) == (0, "")
    assert "dicomfs" in run(["mandoc", "-T", "utf8", str(page)]).stdout


@pytest.mark.parametrize("shell", COMPLETIONS)
def test_completion_has_every_command_and_option_and_no_other(shell: str) -> None:
    text = COMPLETIONS[shell].read_text("utf-8")

    long = {
        option
        for each in (PARSER, *COMMANDS.values())
        for option in options_of(each)
        if option.startswith("--")
    }
    if shell == "fish":  # which has them without dashes
        told = {f"--{each}" for each in _FISH_OPTION.findall(text)}
    else:
        told = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    assert told == long, STALE
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", text), STALE


BASH: Final = """
source "$1"; COMP_WORDS=(dicomfs "${@:2}"); COMP_CWORD=$(( $# - 1 ))
COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}
_shtab_dicomfs; printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH: Final = 'source $argv[1]; complete -C "dicomfs $argv[2..-1]"'
# zsh completes in a terminal only: one is made, and read until it shows what is expected.
ZSH: Final = """
zmodload zsh/zpty
zpty shell zsh -f -i
folder=$1 expected=$2; shift 2
until_it_says() {
    local all= part
    repeat 400; do
        if zpty -r -t shell part; then all+=$part; else sleep 0.05; fi
        [[ $all == *$1* ]] && break
    done
    print -r -- $all
}
zpty -w shell "fpath=($folder \\$fpath); autoload -Uz compinit; compinit -u -D"
zpty -w shell "autoload -Uz _dicomfs; bindkey '^I' list-choices; print rea''dy"
until_it_says ready >/dev/null
zpty -w -n shell "dicomfs $*"$'\t'
until_it_says $expected
"""


def offered(shell: str, *words: str) -> set[str]:
    """Return what bash or fish offers behind *words*, the last one being typed."""
    need(shell)
    path = COMPLETIONS[shell]
    command = {
        "bash": ["bash", "-c", BASH, "-", str(path), *words],
        "fish": ["fish", "--no-config", "-c", FISH, str(path), *words],
    }[shell]
    done = run(command)
    assert done.returncode == 0, done.stderr
    found = {line.split()[0] for line in done.stdout.splitlines() if line.split()}
    # Newer ones of fish offer what has the letters anywhere, too, behind the others.
    return {each for each in found if each.startswith(words[-1])}


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_shells_complete_commands_and_options(shell: str) -> None:
    assert offered(shell, "mo") == {"mount"}
    assert offered(shell, "mount", "--in") == {"--index-only"}
    assert offered(shell, "do") == {"doctor"}
    assert offered(shell, "open", "--sc") == {"--scan"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "expected"), [("d", "doctor"), ("mount --i", "--index-only")]
)
def test_zsh_completes_commands_and_options(words: str, expected: str) -> None:
    need("zsh")
    folder = str(COMPLETIONS["zsh"].parent)

    command = ["zsh", "-f", "-c", ZSH, "-", folder, expected, *words.split()]
    done = run(command, seconds=50)

    assert expected in done.stdout, done.stderr
