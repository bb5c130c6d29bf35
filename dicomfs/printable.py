"""Text that may be shown: on one line, and without what a terminal would obey or hide."""

import json
import re
from collections.abc import Callable
from typing import Final

# Letters, marks and symbols that are printable, and yet nothing to see (most of them by
# Default_Ignorable_Code_Point); ranges of a regular expression.
INVISIBLE: Final = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U00016fe4\U0001d159\U000e0000-\U000e0fff"
)
# What a terminal is meant to obey: nothing is left of the line, to be written anew.
CLEAR_LINE: Final = "\r\x1b[K"
JOINERS: Final = "\u200c\u200d"
# Scripts that are written with joiners: Arabic, Syriac and their like, Indic ones,
# Tibetan, Burmese, Khmer, Mongolian.
_JOINED: Final = (
    "[\u0600-\u0dff\u0f00-\u109f\u1780-\u18af\ufb50-\ufdff\ufe70-\ufefc"
    "\U00011000-\U00011fff]"
)
# One that follows no letter of these does nothing, nor does one that keeps two letters
# apart where there is only one.
_IDLE: Final = f"(?:(?<!{_JOINED})|(?<=\\d))[{JOINERS}]|\u200c(?!{_JOINED})"
IDLE_JOINER: Final = re.compile(_IDLE)
_HIDDEN: Final = re.compile(f"[{INVISIBLE}]|{_IDLE}")


def printable(text: str) -> str:
    """Return *text* on one line, with escapes for what a terminal would obey or hide.

    Bytes of a file name that are not UTF-8 are escaped as such.
    """
    return _shown(text, _escape)


def printable_lines(text: str) -> str:
    """Return *text* with the same escapes; its line feeds stay."""
    return _lines_shown(text, _escape)


def printable_json(text: str) -> str:
    """Return the JSON *text* with the same letters escaped, in the way of JSON.

    It means what it meant. Outside of its strings there may be line feeds.
    """
    return _lines_shown(text, _json_escape)


def _lines_shown(text: str, escape: Callable[[str], str]) -> str:
    # Most text is plain, and quicker looked at as a whole.
    if text.replace("\n", "").isprintable() and not _hides(text):
        return text
    return "\n".join(_shown(line, escape) for line in text.split("\n"))


def _hides(text: str) -> bool:
    return not text.isascii() and _HIDDEN.search(text) is not None


def _shown(text: str, escape: Callable[[str], str]) -> str:
    if text.isprintable() and not _hides(text):
        return text
    text = _HIDDEN.sub(lambda found: escape(found[0]), text)
    return "".join(
        each if each.isprintable() or each in JOINERS else escape(each) for each in text
    )


def _escape(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8 (PEP 383)
        code -= 0xDC00
    return ascii(chr(code))[1:-1]


def _json_escape(letter: str) -> str:
    # DEL is the one letter that JSON lets through and a terminal does not.
    return "\\u007f" if letter == "\x7f" else json.dumps(letter)[1:-1]
