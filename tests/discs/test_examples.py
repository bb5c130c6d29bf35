"""The examples of the library, in its docstrings and in the manual, do what they say."""

import doctest
import re
from pathlib import Path
from types import ModuleType
from typing import Final

import fsspec
import pytest

from dicomfs.discs import disc, nodes, opening
from dicomfs.discs.filesystem import DicomFileSystem
from tests.support.mounting import ROOT, SAMPLES

PAGES: Final = (ROOT / "README.md", ROOT / "docs/library.md")
_PLACE: Final = "/media/cd"
_CLUSTER: Final = "tcp://scheduler:8786"


def examples(page: Path) -> list[str]:
    """Return the programs in *page*: blocks of code that use the library."""
    blocks = re.findall(r"(?:^(?: {4}.*)?\n)+", page.read_text("utf-8"), re.MULTILINE)
    found = [
        each for each in blocks if re.search(r"dicomfs\.open\(|fsspec\.files", each)
    ]
    return [each for each in found if _CLUSTER not in each]


@pytest.mark.slow
@pytest.mark.parametrize("module", [disc, nodes, opening])
def test_the_examples_of_the_docstrings_are_right(module: ModuleType) -> None:
    outcome = doctest.testmod(module, extraglobs={"sample": SAMPLES / "DICOMDIR"})

    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_programs_in_the_manual_run(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fsspec.register_implementation("dicom", DicomFileSystem, clobber=True)
    names: dict[str, object] = {}
    programs = examples(page)

    assert programs
    for program in programs:
        lines = [line.removeprefix("    ") for line in program.splitlines()]
        exec("\n".join(lines).replace(_PLACE, str(SAMPLES)), names)
    assert "Doe, Peter (98890234)" in capsys.readouterr().out
