"""The benchmark completes, and its exact counts hold. No time is judged here."""

import json
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from scripts.benchmark.result import Comparison, Missing, Rule, table
from scripts.benchmark.trace import Counts, counts
from tests.support.mounting import PATIENCE, need, run

pytestmark = pytest.mark.mount

_TINY: Final = ["--quick", "--json", "--runs", "1", "--records", "300"]


def bench(folder: Path, *arguments: str) -> dict[str, Any]:
    """Return what the benchmark says of itself, measured as little as can be."""
    need("bindfs", "dcmdump", "strace", "xorriso", "fusermount3", "/dev/fuse")
    command = [sys.executable, "-P", "-m", "scripts.benchmark", *_TINY]
    size = ["--instance-size", "1M", "--folder", str(folder)]
    done = run([*command, *size, *arguments], seconds=2 * PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def only(*rows: int) -> list[str]:
    return [argument for row in rows for argument in ("--only", str(row))]


@pytest.mark.late
@pytest.mark.parametrize("rows", [(1, 2, 3, 4), (5, 6, 7), (9,), (11,), (12,)], ids=str)
def test_every_row_is_measured(rows: tuple[int, ...], public_folder: Path) -> None:
    document = bench(public_folder, *only(*rows))

    assert {each["row"] for each in document["rows"]} == set(rows)
    assert document["schema"] == 1
    assert [each for each in document["missing"] if each["failed"]] == []
    assert list(public_folder.iterdir()) == []


def test_the_medium_sees_what_was_promised(public_folder: Path) -> None:
    document = bench(public_folder, *only(8, 10))

    exact = {Rule.COUNT.value, Rule.BOUND.value}
    counted = [each for each in document["rows"] if each["rule"] in exact]
    assert {each["row"] for each in counted} == {8, 10}
    assert [each for each in counted if not each["passed"]] == []


def test_a_trace_counts_opens_and_looks(tmp_path: Path) -> None:
    lines = [
        'openat2(3</m>, "I1", {flags=O_RDONLY, resolve=0}, 24) = 7</m/I1>',
        'openat2(3</m>, "I1", {flags=O_RDONLY|O_PATH, resolve=0}, 24) = 7</m/I1>',
        'openat2(3</m>, "I1", {flags=O_RDONLY, resolve=0}, 24) = -1 EAGAIN (x)',
        'newfstatat(3</m>, "I1", {st_mode=S_IFREG|0644}, AT_SYMLINK_NOFOLLOW) = 0',
        'newfstatat(7</m/I1>, "", {st_mode=S_IFREG|0644}, AT_EMPTY_PATH) = 0',
        'openat(AT_FDCWD</>, "/m/DICOMDIR", O_RDONLY) = 8</m/DICOMDIR>',
        "+++ exited with 0 +++",
    ]
    (tmp_path / "trace.1").write_text("\n".join(lines))

    assert counts(tmp_path / "trace", {"/m/I1"}) == Counts(opens=1, stats=2)


@pytest.mark.parametrize(
    ("rule", "a", "target", "passed"),
    [
        (Rule.RATIO, 1.0, 0.5, True),
        (Rule.RATIO, 1.1, 0.5, False),
        (Rule.MORE, 4.0, 2.0, True),
        (Rule.MORE, 4.1, 2.0, False),
        (Rule.COUNT, 2.0, 0.0, True),
        (Rule.COUNT, 1.0, 0.0, False),
        (Rule.BOUND, 1.0, 0.0, True),
        (Rule.BOUND, 3.0, 0.0, False),
    ],
    ids=str,
)
def test_a_target_bounds_what_its_rule_says(
    rule: Rule, a: float, target: float, passed: bool
) -> None:
    found = Comparison(
        row=1, what="", against="", a=[a], b=[2.0], rule=rule, target=target
    )

    assert found.passed == passed


def test_the_table_is_markdown() -> None:
    shown = table([Missing(5, "find | wc", "no tool")]).splitlines()

    assert {line.count(" | ") for line in shown[:3]} == {7}
    assert "row 5: find | wc: no tool" in shown
