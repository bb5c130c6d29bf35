"""Text that may be shown, whatever a medium calls its files."""

import os

import pytest

from dicomfs.printable import printable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("山田 太郎", "山田 太郎"),
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("two\nlines", "two\\nlines"),
        ("c1\x9b1m", "c1\\x9b1m"),
        ("turned\u202earound", "turned\\u202earound"),
        (os.fsdecode(b"no \xff UTF-8"), "no \\xff UTF-8"),
        ("\u0646\u200c\u0627", "\u0646\u200c\u0627"),
    ],
)
def test_what_a_terminal_would_obey_or_hide_is_escaped(name: str, shown: str) -> None:
    assert printable(name) == shown
