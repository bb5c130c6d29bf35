"""What a comparison found, and how it is shown."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from statistics import median
from typing import Final, Self

from scripts.benchmark.processes import Taken

# Raised when a field changes its meaning or goes; new fields do not raise it.
SCHEMA: Final = 2

Samples = Sequence[float]


class Rule(Enum):
    """How A and B are compared, and what the target bounds."""

    RATIO = "A/B at most"
    MORE = "A-B at most"
    COUNT = "A equals B"
    BOUND = "A at most B"
    ALONE = "A at most"  # there is no B


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One line of the table: all that was measured of A and B, run by run.

    *a_cpu* and *b_cpu* are what it took of a processor, if that is known, too.
    """

    row: int
    what: str
    against: str
    a: Samples = ()
    b: Samples = ()
    a_cpu: Samples = ()
    b_cpu: Samples = ()
    rule: Rule = Rule.RATIO
    target: float = 0.0
    unit: str = "s"
    nominal: bool = True  # whether these are the sizes that the target is meant for
    cache: str = ""
    note: str = ""

    def timed(self, a: Sequence[Taken], b: Sequence[Taken] = ()) -> Self:
        """Return it with what the runs of A and B took."""
        return replace(
            self,
            a=[each.wall for each in a],
            b=[each.wall for each in b],
            a_cpu=[each.cpu for each in a],
            b_cpu=[each.cpu for each in b],
        )

    def computed(self, a: Sequence[Taken], b: Sequence[Taken]) -> Self:
        """Return it with what the runs of A and B took of a processor, and that alone."""
        mine, theirs = [each.cpu for each in a], [each.cpu for each in b]
        return replace(self, a=mine, b=theirs, unit="CPU s")

    @property
    def value(self) -> float:
        """What the target bounds."""
        match self.rule:
            case Rule.RATIO:
                return ratio(self.a, self.b)
            case Rule.ALONE:
                return median(self.a)
            case _:
                return median(self.a) - median(self.b)

    @property
    def cpu_ratio(self) -> float | None:
        """How much of a processor A takes, by B; None if nobody looked."""
        return ratio(self.a_cpu, self.b_cpu) if self.a_cpu and self.b_cpu else None

    @property
    def passed(self) -> bool:
        """Whether the target is reached."""
        if self.rule is Rule.COUNT:
            return self.value == 0
        return self.value <= self.target

    @property
    def verdict(self) -> str:
        """Say *passed*; in brackets where other sizes than the target's were used."""
        word = "pass" if self.passed else "missed"
        return word if self.nominal else f"({word})"

    def as_json(self) -> dict[str, object]:
        """Return it for a machine."""
        return {
            "row": self.row,
            "what": self.what,
            "against": self.against,
            "unit": self.unit,
            "a": list(self.a),
            "b": list(self.b),
            "a_cpu": list(self.a_cpu),
            "b_cpu": list(self.b_cpu),
            "a_median": median(self.a),
            "b_median": median(self.b) if self.b else None,
            "rule": self.rule.value,
            "value": self.value,
            "target": self.target,
            "passed": self.passed,
            "nominal": self.nominal,
            "cache": self.cache,
            "note": self.note,
        }

    def cells(self) -> list[str]:
        """Return its line of the table."""
        return [
            str(self.row),
            _plain(self.what),
            _plain(self.against),
            self._amount(median(self.a)),
            self._amount(median(self.b)) if self.b else "",
            self._value(),
            "" if self.cpu_ratio is None else f"{self.cpu_ratio:.2f}",
            self._target(),
            self.verdict,
        ]

    def _amount(self, amount: float) -> str:
        if self.unit.endswith("s") and self.unit[:-1] in {"", "CPU "}:
            return f"{amount:.3f} {self.unit}"
        return f"{amount:.0f}" if self.unit == "" else f"{amount:.1f} {self.unit}"

    def _value(self) -> str:
        match self.rule:
            case Rule.RATIO:
                return f"{self.value:.2f}"
            case Rule.ALONE:
                return ""
            case _:
                return self._amount(self.value)

    def _target(self) -> str:
        match self.rule:
            case Rule.RATIO:
                return f"{self.target:g}"
            case Rule.MORE | Rule.ALONE:
                return f"{self.target:g} {self.unit}".strip()
            case Rule.COUNT:
                return "A = B"
            case Rule.BOUND:
                return "A <= B"


def ratio(a: Samples, b: Samples) -> float:
    """Return how A compares with B: the median over pairs, if they are pairs."""
    if len(a) == len(b):
        return median(mine / theirs for mine, theirs in zip(a, b, strict=True))
    return median(a) / median(b)


@dataclass(frozen=True, slots=True)
class Missing:
    """A comparison that was not made, and why; *failed* if it should have been."""

    row: int
    what: str
    reason: str
    failed: bool = False

    def as_json(self) -> dict[str, object]:
        """Return it for a machine."""
        return {
            "row": self.row,
            "what": self.what,
            "reason": self.reason,
            "failed": self.failed,
        }

    def cells(self) -> list[str]:
        """Return its line of the table."""
        word = "ERROR" if self.failed else "skipped"
        return [str(self.row), _plain(self.what), *[""] * (len(HEAD) - 3), word]


def _plain(text: str) -> str:
    """Return *text* so that it does not end a cell in Markdown."""
    return text.replace("|", "\\|")


Result = Comparison | Missing

HEAD: Final = ["row", "what", "compared with", "A", "B", "A/B", "CPU", "target", ""]
_RIGHT: Final = frozenset({"A", "B", "A/B", "CPU", "target"})


def table(results: Sequence[Result]) -> str:
    """Return a table that is readable as text and as Markdown, and the notes below."""
    rows = [HEAD, *(each.cells() for each in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = [
        "-" * (width - 1) + (":" if head in _RIGHT else "-")
        for head, width in zip(HEAD, widths, strict=True)
    ]
    aligned = [
        [
            cell.rjust(width) if head in _RIGHT else cell.ljust(width)
            for head, cell, width in zip(HEAD, row, widths, strict=True)
        ]
        for row in rows
    ]
    lines = [aligned[0], rule, *aligned[1:]]
    return "\n".join(
        [*(f"| {' | '.join(line)} |" for line in lines), "", *remarks(results)]
    )


def remarks(results: Sequence[Result]) -> list[str]:
    """Return what else is to be known of *results*, each thing once."""
    lines: dict[str, None] = {}
    for each in results:
        if isinstance(each, Missing):
            lines[f"row {each.row}: {each.what}: {each.reason}"] = None
            continue
        if each.cache:
            lines[f"row {each.row}: page cache: {each.cache}"] = None
        if each.note:
            lines[f"row {each.row}: {each.what}: {each.note}"] = None
    if any(isinstance(each, Comparison) and not each.nominal for each in results):
        lines["in brackets: other sizes than those that the target is meant for"] = None
    return list(lines)


def as_json(results: Sequence[Result], facts: Mapping[str, object]) -> str:
    """Return everything for a machine."""
    document = {
        "schema": SCHEMA,
        **facts,
        "rows": [each.as_json() for each in results if isinstance(each, Comparison)],
        "missing": [each.as_json() for each in results if isinstance(each, Missing)],
    }
    return json.dumps(document, indent=2)
