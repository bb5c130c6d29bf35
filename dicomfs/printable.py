"""Text that may be shown: on one line, and without what a terminal would obey or hide."""

from typing import Final

# Format characters, and yet part of how Indic and Persian words are written.
_JOINERS: Final = "\u200c\u200d"


def printable(text: str) -> str:
    """Return *text* on one line, with escapes for what a terminal would obey or hide.

    Bytes of a file name that are not UTF-8 are escaped as such.
    """
    if text.isprintable():
        return text
    return "".join(each if is_harmless(each) else _escape(each) for each in text)


def is_harmless(letter: str) -> bool:
    """Whether a terminal shows *letter* as what it is."""
    return letter.isprintable() or letter in _JOINERS


def _escape(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8 (PEP 383)
        code -= 0xDC00
    return ascii(chr(code))[1:-1]
