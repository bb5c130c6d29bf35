"""The recipes of ``docs/recipes.md``: their commands, and what is said of having run them."""

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

PAGE: Final = Path(__file__).resolve().parents[2] / "docs/recipes.md"
# What stands in the commands for a medium.
MEDIUM: Final = "/media/cd"


class Recipe(NamedTuple):
    """A recipe: its *commands* for a shell, and whether it *is_run*, as the page says."""

    commands: str
    is_run: bool


def recipes() -> Mapping[str, Recipe]:
    """Return the recipes of the page, by their titles."""
    _, *parts = re.split(r"^## (.*)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    return {
        title: Recipe(
            _commands(text), bool(re.search("^Run with ", text, re.MULTILINE))
        )
        for title, text in zip(parts[::2], parts[1::2], strict=True)
    }


def _commands(text: str) -> str:
    """Return what is shown as code in *text*, but not below a point of a list."""
    lines = (line for line in text.splitlines() if line.startswith("    "))
    return textwrap.dedent("\n".join(lines))
