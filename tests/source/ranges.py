"""Bytes of a source, and the places and sizes with which they are read."""

from typing import Final

import pytest

DATA: Final = bytes(range(256)) * 4
RANGES: Final = pytest.mark.parametrize(
    ("offset", "size"),
    [(0, 10), (100, 1), (0, 1024), (1000, 100), (1024, 1), (5000, 10), (7, 0)],
    ids=["start", "middle", "all", "over-end", "at-end", "behind-end", "nothing"],
)
