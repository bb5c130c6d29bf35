"""One is one, and all others are many, whoever says it."""

import ast
import re
from pathlib import Path

import pytest

from dicomfs.cli.exits import complaint
from dicomfs.counting import agreed, counted
from dicomfs.errors import Failure, Problem
from tests.support.mounting import ROOT


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1200, "1,200 files")],
)
def test_so_many_files_are_told(count: int, said: str) -> None:
    assert counted(count, "file") == said
    assert counted(count, "child", "children").endswith(
        "child" if count == 1 else "children"
    )


def test_a_word_agrees_with_its_number() -> None:
    assert [agreed(count, "is", "are") for count in range(3)] == ["are", "is", "are"]


@pytest.mark.parametrize(
    ("problem", "facts", "one", "many"),
    [
        (Problem.NO_INSTANCE, ["files"], "of 1 file on", "of 2 files on"),
        (Problem.ONLY_PACKED, ["files", "count"], "1 is packed", "2 are packed"),
        (Problem.TOO_MANY_IMAGES, ["count"], "1 more image in", "2 more images in"),
    ],
)
def test_what_is_wrong_agrees_with_its_numbers(
    problem: Problem, facts: list[str], one: str, many: str
) -> None:
    for count, said in ((1, one), (2, many)):
        told = complaint(Failure(problem, **dict.fromkeys(facts, count)))
        assert said in told.what
    # Who does not give the number is a process in the hands of a medium.
    assert "?" in complaint(Failure(problem)).what


def test_no_sentence_puts_a_plain_plural_behind_a_number() -> None:
    # They are told by ``counted``: others would say "1 files".
    plural = re.compile(
        r"^ (files|images|instances|records|folders|sources|lines|mounts|bytes|hours|minutes)\b"
    )
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in Path(ROOT, "dicomfs").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.JoinedStr)
        for value, text in zip(node.values, node.values[1:], strict=False)
        if isinstance(value, ast.FormattedValue)
        and isinstance(text, ast.Constant)
        and plural.match(str(text.value))
        # What is fixed in the code is more than one.
        and not ast.unparse(value.value).isupper()
    ]

    assert found == []
