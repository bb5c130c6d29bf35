"""What the page about performance says, printed: the machine, the table and its notes.

The page keeps what is written by hand around it. Each line has the day on which it was
measured, so that a row can be measured anew without all the others.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from scripts.benchmark.processes import BenchError
from scripts.benchmark.result import HEAD, Comparison, Result, remarks

BEGIN: Final = "<!-- What follows is printed by scripts/bench --page. -->"
END: Final = "<!-- The end of what is printed. -->"
_HEAD: Final = [*HEAD, "measured"]
_RIGHT: Final = frozenset({"A", "B", "A/B", "CPU", "target"})
_NOTE: Final = "- row "


def written(page: str, results: Sequence[Result], facts: Mapping[str, Any]) -> str:
    """Return *page* with *results* in the place of those of the same rows.

    *facts* are those of ``machine``. Raises BenchError if the page has no such place.
    """
    before, begin, rest = page.partition(BEGIN)
    printed, end, after = rest.partition(END)
    if not (begin and end):
        raise BenchError("the page has no place for what is printed")
    rows = {str(each.row) for each in results}
    day = str(facts["date"])[:10]
    lines = [each for each in _kept(printed, "| ", rows) if each[2:3].isdigit()]
    lines += [_line([*each.cells(), day]) for each in results if _is_told(each)]
    notes = [*_kept(printed, _NOTE, rows), *(f"- {each}" for each in remarks(results))]
    table = [_line(_HEAD), _line([_rule(each) for each in _HEAD])]
    told = [_machine(facts), "", *table, *sorted(lines, key=_row), ""]
    told += sorted((each for each in notes if each.startswith(_NOTE)), key=_row)
    return "\n".join([before + begin, "", *told, "", end + after])


def _is_told(result: Result) -> bool:
    return isinstance(result, Comparison) or result.failed


def _kept(printed: str, start: str, rows: set[str]) -> list[str]:
    """Return the lines that begin so and are about none of *rows*."""
    return [
        line
        for line in printed.splitlines()
        if line.startswith(start) and str(_row(line)) not in rows
    ]


def _row(line: str) -> int:
    """Return which row a line is about, 0 if that is none."""
    number = line.removeprefix("| ").removeprefix(_NOTE).partition(" ")[0].strip(":")
    return int(number) if number.isdecimal() else 0


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(head: str) -> str:
    return "---:" if head in _RIGHT else "---"


def _machine(facts: Mapping[str, Any]) -> str:
    machine, versions = facts["machine"], facts["versions"]
    return (
        f"{machine['cpus']} cores ({machine['cpu']}), {machine['memory_gib']:.0f} GiB, "
        f"Linux {machine['kernel']}, {machine['file_system']}, "
        f"Python {machine['python']}, pyfuse3 {versions['pyfuse3']}, "
        f"bindfs {versions['bindfs']}, DCMTK {versions['dcmtk']}, "
        f"pydicom {versions['pydicom']}; load {machine['load_at_start']:.1f} at the start."
    )
