"""Text that may be shown, whatever a medium calls its files."""

import json
import os

import pytest

from dicomfs.printable import printable, printable_json, printable_lines


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("山田 太郎", "山田 太郎"),
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("two\nlines", "two\\nlines"),
        ("c1\x9b1m", "c1\\x9b1m"),
        ("turned\u202earound", "turned\\u202earound"),
        (os.fsdecode(b"no \xff UTF-8"), "no \\xff UTF-8"),
        # nothing to see
        ("Doe\u2800, Jane", "Doe\\u2800, Jane"),
        ("Doe\u3164\ufe0f\U000e0101", "Doe\\u3164\\ufe0f\\U000e0101"),
        # what each font shows as it likes
        ("\ue000 \U0010fffd", "\\ue000 \\U0010fffd"),
        # joiners, in Persian and Hindi
        ("\u0646\u200c\u0627", "\u0646\u200c\u0627"),
        ("\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937"),
        # and where they do nothing
        ("Do\u200de", "Do\\u200de"),
        ("\u0646\u200c", "\u0646\\u200c"),
        ("\u200d\u0646", "\\u200d\u0646"),
        ("\u0646\u200d\u200d", "\u0646\u200d\\u200d"),
        ("\u0661\u200d", "\u0661\\u200d"),
    ],
)
def test_what_a_terminal_would_obey_or_hide_is_escaped(name: str, shown: str) -> None:
    assert printable(name) == shown


@pytest.mark.parametrize(
    "text",
    [
        "├── Doe\n│   └── 0001.dcm\n",
        "├── Doe\n│   └── \x1b[31m\r\n\n",
        "\u0646\u200c\n\u0627",
        "\u0646\n\u200d\u0627",
        "plain\n",
        "",
    ],
)
def test_lines_are_escaped_one_by_one(text: str) -> None:
    assert printable_lines(text) == "\n".join(map(printable, text.split("\n")))


def test_json_means_what_it_meant_and_hides_nothing() -> None:
    hidden = "\x7f\x9b\u202e\u2800\ue000\u200d\U000e0101"
    text = json.dumps({"name": f"Doe{hidden}"}, ensure_ascii=False, indent=1)

    shown = printable_json(text)

    assert json.loads(shown) == {"name": f"Doe{hidden}"}
    assert not set(hidden) & set(shown)
    assert len(shown.split("\n")) == 3
