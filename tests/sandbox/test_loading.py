"""Loading ahead what could not be loaded in the sandbox."""

import json

import pytest

from dicomfs.sandbox import loading
from tests.support.mounting import python


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
