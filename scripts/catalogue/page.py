"""The table of readers in the manual: docs/original.md, between two marks."""

from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[2] / "docs/original.md"

_BEGIN: Final = "<!-- scripts/breakage --rebuilt --write -->\n"
_END: Final = "<!-- end -->\n"


def put(table: str, page: Path = PAGE) -> None:
    """Put *table* into the *page* in place of the last one."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, behind = rest.partition(_END)
    page.write_text(f"{before}{_BEGIN}\n{table}\n\n{_END}{behind}", encoding="utf-8")


def shown(page: Path = PAGE) -> list[list[str]]:
    """Return the cells of the table that is there, row by row."""
    text = page.read_text(encoding="utf-8")
    table = text.partition(_BEGIN)[2].partition(_END)[0].strip()
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
    ]
