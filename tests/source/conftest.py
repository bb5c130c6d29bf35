"""A file with the bytes of ``ranges``, and that file as a source."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomfs.source.file import FileSource
from tests.source.ranges import DATA


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def source(path: Path) -> Iterator[FileSource]:
    source = FileSource(os.open(path, os.O_RDONLY))
    yield source
    source.close()
