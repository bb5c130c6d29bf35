"""What a comparison found, and how it is shown."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median
from typing import Final

# Raised when a field changes its meaning or goes; new fields do not raise it.
SCHEMA: Final = 1

Samples = Sequence[float]


class Rule(Enum):
    """How A and B are compared, and what the target bounds."""

    RATIO = "A/B at most"
    MORE = "A-B at most"
    COUNT = "A equals B"
    BOUND = "A at most B"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One line of the table: all that was measured of A and B."""

    row: int
    what: str
    against: str
    a: Samples
    b: Samples
    rule: Rule = Rule.RATIO
    target: float = 0.0
    unit: str = "s"
    nominal: bool = True  # whether these are the sizes that the target is meant for
    cache: str = ""
    note: str = ""

    @property
    def value(self) -> float:
        """What the target bounds."""
        a, b = median(self.a), median(self.b)
        return a / b if self.rule is Rule.RATIO else a - b

    @property
    def passed(self) -> bool:
        """Whether the target is reached."""
        if self.rule is Rule.COUNT:
            return self.value == 0
        return self.value <= self.target

    @property
    def verdict(self) -> str:
        """Say *passed*; in brackets where other sizes than the target's were used."""
        word = "pass" if self.passed else "FAIL"
        return word if self.nominal else f"({word.lower()})"

    def as_json(self) -> dict[str, object]:
        """Return it for a machine."""
        return {
            "row": self.row,
            "what": self.what,
            "against": self.against,
            "unit": self.unit,
            "a": list(self.a),
            "b": list(self.b),
            "a_median": median(self.a),
            "b_median": median(self.b),
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
            self._amount(median(self.b)),
            self._value(),
            self._target(),
            self.verdict,
        ]

    def _amount(self, amount: float) -> str:
        if self.unit == "s":
            return f"{amount:.3f} s"
        return f"{amount:.0f}" if self.unit == "" else f"{amount:.1f} {self.unit}"

    def _value(self) -> str:
        if self.rule is Rule.RATIO:
            return f"{self.value:.3f}"
        return self._amount(self.value)

    def _target(self) -> str:
        match self.rule:
            case Rule.RATIO:
                return f"{self.target:g}"
            case Rule.MORE:
                return f"{self.target:g} {self.unit}"
            case Rule.COUNT:
                return "A = B"
            case Rule.BOUND:
                return "A <= B"


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
        return [str(self.row), _plain(self.what), "", "", "", "", "", word]


def _plain(text: str) -> str:
    """Return *text* so that it does not end a cell in Markdown."""
    return text.replace("|", "\\|")


Result = Comparison | Missing

_HEAD: Final = ["row", "what", "compared with", "A", "B", "ratio", "target", ""]
_RIGHT: Final = frozenset({"A", "B", "ratio", "target"})


def table(results: Sequence[Result]) -> str:
    """Return a table that is readable as text and as Markdown, and the notes below."""
    rows = [_HEAD, *(each.cells() for each in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = [
        "-" * (width - 1) + (":" if head in _RIGHT else "-")
        for head, width in zip(_HEAD, widths, strict=True)
    ]
    aligned = [
        [
            cell.rjust(width) if head in _RIGHT else cell.ljust(width)
            for head, cell, width in zip(_HEAD, row, widths, strict=True)
        ]
        for row in rows
    ]
    lines = [aligned[0], rule, *aligned[1:]]
    return "\n".join(
        [*(f"| {' | '.join(line)} |" for line in lines), "", *_remarks(results)]
    )


def _remarks(results: Sequence[Result]) -> list[str]:
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
