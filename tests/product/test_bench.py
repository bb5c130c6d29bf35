"""The benchmark completes, and its exact counts hold. No time is judged here."""

import json
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from scripts.benchmark import page
from scripts.benchmark.processes import BenchError, Taken, taken
from scripts.benchmark.result import Comparison, Missing, Rule, table
from scripts.benchmark.trace import Counts, counts
from tests.support.mounting import PATIENCE, need, run

pytestmark = pytest.mark.mount

# Before the watchdog barks.
_LONGEST: Final = 50
_TINY: Final = ["--quick", "--json", "--runs", "1", "--records", "300"]


def bench(folder: Path, *arguments: str) -> dict[str, Any]:
    """Return what the benchmark says of itself, measured as little as can be."""
    need("bindfs", "dcmdump", "strace", "xorriso", "fusermount3", "/dev/fuse")
    command = [sys.executable, "-P", "-m", "scripts.benchmark", *_TINY]
    size = ["--instance-size", "1M", "--folder", str(folder)]
    # Who is killed unmounts nothing; SIGTERM it understands.
    limit = ["timeout", "--kill-after=5", f"{_LONGEST}"]
    done = run([*limit, *command, *size, *arguments], seconds=2 * PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def only(*rows: int) -> list[str]:
    return [argument for row in rows for argument in ("--only", str(row))]


@pytest.mark.late
@pytest.mark.parametrize(
    "rows",
    [(1, 2, 3, 4), (5,), (6, 7), (9,), (11, 12), (13,), (14,), (18,)],
    ids=str,
)
def test_every_row_is_measured(rows: tuple[int, ...], public_folder: Path) -> None:
    document = bench(public_folder, *only(*rows))

    assert {each["row"] for each in document["rows"]} == set(rows)
    assert document["schema"] == 2
    assert [each for each in document["missing"] if each["failed"]] == []
    assert list(public_folder.iterdir()) == []


@pytest.mark.parametrize("row", [8, 10, 15])
def test_the_medium_sees_what_was_promised(row: int, public_folder: Path) -> None:
    document = bench(public_folder, *only(row))

    exact = {Rule.COUNT.value, Rule.BOUND.value}
    counted = [each for each in document["rows"] if each["rule"] in exact]
    assert {each["row"] for each in counted} == {row}
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
        (Rule.ALONE, 1.0, 1.0, True),
        (Rule.ALONE, 1.1, 1.0, False),
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

    assert {line.count(" | ") for line in shown[:3]} == {8}
    assert "row 5: find | wc: no tool" in shown


def test_pairs_are_compared_run_by_run() -> None:
    comparison = Comparison(row=1, what="", against="", target=2.0)
    slow_weather, fine_weather = Taken(40.0, 4.0), Taken(1.0, 1.0)

    found = comparison.timed(
        [slow_weather, fine_weather, fine_weather],
        [Taken(20.0, 8.0), Taken(0.5, 2.0), Taken(0.5, 2.0)],
    )

    assert found.value == 2.0
    assert found.cpu_ratio == 0.5


def test_what_a_program_computes_is_counted() -> None:
    computing = "sum(range(3_000_000))"

    found = taken([sys.executable, "-c", computing])

    assert 0 < found.cpu <= found.wall * 1.5


def test_a_page_keeps_the_rows_that_are_not_measured() -> None:
    old = Comparison(row=3, what="find", against="x", a=[1], b=[1], note="old")
    other = Comparison(row=5, what="cat", against="x", a=[2], b=[1], note="kept")
    new = Comparison(row=3, what="find", against="x", a=[3], b=[1], note="new")
    before = f"# Title\n{page.BEGIN}\n{page.END}\nby hand\n"

    first = page.written(before, [old, other], _facts("2026-01-01T12:00:00"))
    shown = page.written(first, [new], _facts("2026-02-02T12:00:00"))

    assert shown.startswith("# Title\n")
    assert shown.endswith("\nby hand\n")
    lines = [each for each in shown.splitlines() if each[:3] in {"| 3", "| 5"}]
    assert [each.split(" | ")[-1] for each in lines] == ["2026-02-02 |", "2026-01-01 |"]
    assert "row 3: find: new" in shown
    assert "old" not in shown
    assert "row 5: cat: kept" in shown


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(BenchError):
        page.written("# Title\n", [], _facts("2026-01-01T12:00:00"))


def _facts(date: str) -> dict[str, object]:
    machine = {
        "cpus": 2,
        "cpu": "x",
        "memory_gib": 8.0,
        "kernel": "6",
        "file_system": "ext4",
        "python": "3.11",
        "load_at_start": 0.5,
    }
    versions = dict.fromkeys(("pyfuse3", "bindfs", "dcmtk", "pydicom"), "1.0")
    return {"date": date, "machine": machine, "versions": versions}
