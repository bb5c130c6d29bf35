"""Makes the files in share/ out of the parsers of the command line.

argparse-manpage and shtab are needed here, and nowhere else: what they make lies in the
repository, so that neither an installation nor the TAB key loads anything.
"""

import argparse
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Final

from dicomfs import __version__
from dicomfs.cli.helper import helper_parser
from dicomfs.cli.parser import Parser, parsers

SHARE: Final = Path(__file__).resolve().parents[1] / "share"
COMPLETIONS: Final = {
    "bash": SHARE / "bash-completion/completions/dicomfs",
    "zsh": SHARE / "zsh/site-functions/_dicomfs",
    "fish": SHARE / "fish/vendor_completions.d/dicomfs.fish",
}
# What the shell is to offer for an argument, by what the help calls it.
_FILES: Final = frozenset({"SOURCE", "SOURCE ... MOUNTPOINT", "FILE"})
_FOLDERS: Final = frozenset({"MOUNTPOINT"})


def main() -> None:
    """Make all files anew."""
    parser, commands = parsers()
    make_man_page(parser, "1", "Mount DICOMDIR media as folders")
    make_man_page(helper_parser(), "8", "Mount DICOMDIR media by mount(8)")
    make_completions(parser, commands.values())


def make_man_page(parser: Parser, section: str, what: str) -> None:
    """Make the man page of a command, in a *section*; its first line says *what* it is."""
    data = {
        "project_name": "dicomfs",
        "version": __version__,
        "description": what,
        "manual_section": section,
        "manual_title": "dicomfs",
        "authors": ["The dicomfs authors"],
    }
    page = str(import_module("argparse_manpage.manpage").Manpage(parser, data))
    title, _, rest = page.partition("\n")
    # A date is one only without escapes (mandoc).
    page = title.replace("\\-", "-") + "\n" + rest
    _write(SHARE / f"man/man{section}/{parser.prog}.{section}", page)


def make_completions(parser: Parser, commands: Iterable[Parser]) -> None:
    """Make the completion for all shells."""
    shtab = import_module("shtab")
    for command in commands:
        for action in command._actions:
            _offer(action, shtab)
    for shell, path in COMPLETIONS.items():
        _write(path, shtab.complete(parser, shell=shell))


def _offer(action: argparse.Action, shtab: object) -> None:
    """Say what shells are to offer for the argument of *action*."""
    if action.metavar in _FILES:
        vars(action)["complete"] = vars(shtab)["FILE"]
    elif action.metavar in _FOLDERS:
        vars(action)["complete"] = vars(shtab)["DIRECTORY"]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (line.rstrip() for line in text.splitlines())
    path.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
