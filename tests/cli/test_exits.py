"""How commands end: a code for each, and for each problem two lines that say why."""

import ast
from collections.abc import Iterator
from string import Formatter
from typing import Final

import pytest

from dicomfs.cli.codes import MEANINGS, Exit
from dicomfs.cli.complaints import TABLE
from dicomfs.cli.exits import complaint
from dicomfs.errors import Failure, Problem
from tests.support.mounting import ROOT

# How a command ends that has no problem of its own.
WITHOUT_A_PROBLEM: Final = {Exit.OK, Exit.FAULTS, Exit.UNCHECKED, Exit.INTERRUPTED}


def test_every_exit_code_has_a_meaning_and_a_number_of_its_own() -> None:
    assert set(MEANINGS) == set(Exit)
    assert len({code.value for code in Exit}) == len(Exit)
    assert len(set(MEANINGS.values())) == len(MEANINGS)


def test_every_problem_has_a_row_and_every_exit_code_a_problem() -> None:
    assert set(TABLE) == set(Problem)
    assert {row.exit_code for row in TABLE.values()} == set(Exit) - WITHOUT_A_PROBLEM


# -- facts -----------------------------------------------------------------------------


@pytest.mark.parametrize("problem", Problem)
@pytest.mark.parametrize("facts", [{}, {"within": 7, "kind": ["?"], "name": None}])
def test_people_are_told_of_a_failure_that_lacks_its_facts(
    problem: Problem, facts: dict[str, object]
) -> None:
    told = complaint(Failure(problem, **facts))

    assert told.exit_code is TABLE[problem].exit_code
    assert told.what
    assert told.mend


def placeholders(text: str) -> set[str]:
    """Return the facts that a sentence needs."""
    return {name for _, name, _, _ in Formatter().parse(text) if name} - {"dicomfs"}


def raised() -> Iterator[tuple[str, set[str], str]]:
    """Yield the problem that each raiser names, the facts that it gives, and where.

    A raiser that chooses among several does so in a module that names those, and is
    taken to raise each that the module does not raise by its name.
    """
    for path in sorted((ROOT / "dicomfs").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if is_failure(node)]
        by_name = {name: facts for call in calls for name, facts in [parts(call)]}
        for name, facts in map(parts, calls):
            if name:
                yield name, facts, path.name
        if "" in by_name:
            named = {problem_of(node) for node in ast.walk(tree)} - {""}
            for name in sorted(named - set(by_name)):
                yield name, by_name[""], path.name


def is_failure(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Failure"
        and all(keyword.arg for keyword in node.keywords)
    )


def parts(call: ast.AST) -> tuple[str, set[str]]:
    """Return the problem that *call* names, empty if it chooses one, and its facts."""
    assert isinstance(call, ast.Call)
    return problem_of(call.args[0]), {str(each.arg) for each in call.keywords}


def problem_of(node: ast.AST) -> str:
    match node:
        case ast.Attribute(value=ast.Name(id="Problem"), attr=name):
            return name
    return ""


RAISED: Final = sorted(
    {(name, *sorted(facts), where) for name, facts, where in raised()}
)


def test_every_problem_is_raised_by_somebody() -> None:
    assert {name for name, *_ in RAISED} == {problem.name for problem in Problem}


@pytest.mark.parametrize("raiser", RAISED, ids="-".join)
def test_a_sentence_needs_only_facts_that_its_raiser_gives(
    raiser: tuple[str, ...],
) -> None:
    name, *facts, _ = raiser
    row = TABLE[Problem[name]]

    assert placeholders(row.what) | placeholders(row.mend) <= set(facts)


# -- sentences -------------------------------------------------------------------------


def test_a_path_in_a_command_is_as_a_shell_takes_it() -> None:
    failure = Failure(Problem.MOUNTPOINT_MISSING, mountpoint="/mnt/a b")

    told = complaint(failure)

    assert told.what == "the mountpoint /mnt/a b does not exist"
    assert told.mend == "make it: mkdir -p '/mnt/a b'"


def test_what_lies_in_a_source_is_told_with_it() -> None:
    failure = Failure(Problem.SOURCE_SILENT).found_in("discs.zip")

    assert complaint(failure).what == "discs.zip: the medium does not answer"


def test_braces_in_a_path_are_part_of_it() -> None:
    failure = Failure(Problem.SOURCE_MISSING, name="{name}{reason}")

    assert complaint(failure).what == "there is no {name}{reason}"
