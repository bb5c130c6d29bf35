"""Loading ahead what could not be loaded in the sandbox."""

import ast
import json
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from dicomfs.dicom import charsets
from dicomfs.fileset import spelling
from dicomfs.sandbox import loading
from tests.support.mounting import ROOT, python


def test_what_is_loaded_ahead_is_there_afterwards() -> None:
    told = python(
        "import json, sys\n"
        "from dicomfs.sandbox import loading\n"
        "loading.load(['shift_jis'], ['colorsys'])\n"
        "print(json.dumps(sorted(sys.modules)))"
    )

    assert {"encodings.shift_jis", "colorsys"} <= set(json.loads(told))


def test_what_cannot_be_loaded_is_said_at_once() -> None:
    with pytest.raises(LookupError):
        loading.load(["no_such_codec"], [])
    with pytest.raises(ImportError):
        loading.load([], ["no_such_module"])


def test_what_is_missing_afterwards_is_no_file_that_may_not_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])

    loading.end()

    assert PathFinder not in sys.meta_path
    with pytest.raises(ImportError):
        __import__("colorsys")


def codecs_named(path: Path) -> Iterator[str]:
    """Yield the codecs that a module asks for by a literal."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            is_asked = node.func.attr in {"encode", "decode"} and node.args
            if is_asked and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value)


def test_no_module_asks_for_a_codec_that_is_not_loaded_ahead() -> None:
    # Python has these without a look at its files.
    built_in = {"ascii", "latin-1", "utf-8"}
    known = built_in | charsets.CODECS | set(spelling.CODECS)

    asked = {
        (path.name, name)
        for path in (ROOT / "dicomfs").rglob("*.py")
        for name in codecs_named(path)
    }

    assert asked
    assert {(path, name) for path, name in asked if name not in known} == set()
