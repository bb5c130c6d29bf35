"""Escape sequences in text: going from one character set to another (PS3.5 6.1.2.5).

They are followed wherever they stand and whatever is declared, as some writers do not
declare them, do not return before a delimiter, or use those of other standards.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from dicomfs.dicom.charsets import (
    ASCII,
    ESCAPES,
    KATAKANA,
    PAIRS,
    REPLACEMENT,
    replaced,
    shown,
    strictly,
    strictly_or_wider,
    superset_of,
)

ESCAPE: Final = b"\x1b"
_FRAGMENT: Final = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*", re.DOTALL)
# PS3.5 6.1.2.5.3: these return to the first character set.
_RESET: Final = re.compile(rb"[\\\r\n\f\t]")
_RESET_IN_NAME: Final = re.compile(rb"[\\\r\n\f\t^=]")
# Single bytes among pairs: blanks, controls and delimiters before which nobody returned.
_SINGLES: Final = frozenset((*range(0x21), *b"^=\\"))


def followed(value: bytes, first: str, is_name: bool) -> tuple[str, bool] | None:
    """Return *value*, which begins in the codec *first*, and whether all of it is usual.

    None if a part does not fit.
    """
    texts = []
    is_usual = True
    codec = first
    for fragment in _FRAGMENT.findall(value):
        length = _length_of_escape(fragment)
        if length is None:
            return None
        escape, rest = fragment[:length], fragment[length:]
        codec = ESCAPES.get(escape, codec) if escape else first
        text, is_part_usual = _part(rest, escape, codec, first, is_name)
        if text is None:
            return None
        is_usual &= is_part_usual
        texts.append(text)
    # Each value ends in the set that it began with (PS3.5 6.1.2.5.3).
    return shown("".join(texts)), is_usual and codec not in PAIRS


def _length_of_escape(fragment: bytes) -> int | None:
    """Return how long the escape sequence in front is; None if it is not known."""
    if not fragment.startswith(ESCAPE):
        return 0
    for length in (4, 3):
        if fragment[:length] in ESCAPES or fragment[:length] == KATAKANA:
            return length
    return None


def _part(
    rest: bytes, escape: bytes, codec: str, first: str, is_name: bool
) -> tuple[str | None, bool]:
    """Return what follows *escape*, None if it does not fit, and whether all is usual."""
    if escape == KATAKANA:
        return strictly(_with_eighth_bit(rest), "shift_jis"), False
    if codec in PAIRS and escape:
        text = strictly(PAIRS[codec] + rest, codec)
        return (
            (text, escape != b"\x1b$@")
            if text is not None
            else (_pairs(rest, codec), False)
        )
    reset = (_RESET_IN_NAME if is_name else _RESET).search(rest)
    cut = reset.start() if reset and escape else len(rest)
    head, tail = strictly_or_wider(rest[:cut], codec), strictly(rest[cut:], first)
    is_usual = head is not None and strictly(rest[:cut], codec) is not None
    if tail is None:
        # The writer meant to go on in the same set.
        tail, is_usual = strictly_or_wider(rest[cut:], codec), False
    return (None if head is None or tail is None else head + tail), is_usual


def _with_eighth_bit(katakana: bytes) -> bytes:
    return bytes(each | 0x80 if 0x21 <= each <= 0x5F else each for each in katakana)


def _pairs(data: bytes, codec: str) -> str | None:
    """Return pairs of seven bits among which single bytes stand; None if that fails.

    From behind: what a byte is depends on whether all that follows comes out even.
    """
    steps = [0] * len(data)
    fits = [*([False] * len(data)), True, False]
    for at in range(len(data) - 1, -1, -1):
        if fits[at + 2] and _pair(data[at : at + 2], codec):
            steps[at] = 2
        elif fits[at + 1] and data[at] in _SINGLES:
            steps[at] = 1
        fits[at] = steps[at] > 0
    if not fits[0]:
        return None
    return "".join(_stepped(data, steps, codec))


def _stepped(data: bytes, steps: Sequence[int], codec: str) -> Iterator[str]:
    at = 0
    while at < len(data):
        step = steps[at] or (1 if data[at] in _SINGLES else 2)
        piece = data[at : at + step]
        yield piece.decode(ASCII) if step == 1 else _pair(piece, codec) or REPLACEMENT
        at += step


@lru_cache(maxsize=4096)
def _pair(pair: bytes, codec: str) -> str:
    """Return the character of a *pair* of seven bits, empty if there is none."""
    if len(pair) < 2:
        return ""
    text = strictly(PAIRS[codec] + pair, codec)
    if text is None and codec == "iso2022_jp":
        text = strictly(_shifted(pair), "cp932")
    return text if text is not None and len(text) == 1 else ""


def _shifted(pair: bytes) -> bytes:
    """Return a pair of JIS X 0208 as Shift JIS has it."""
    row, cell = pair[0] - 0x21, pair[1] - 0x21
    if not (0 <= row < 94 and 0 <= cell < 94):
        return b""
    lead = 0x81 + row // 2
    trail = cell + (0x9F if row % 2 else 0x40)
    return bytes(
        (lead + (0x40 if lead > 0x9F else 0), trail + (not row % 2 and trail >= 0x7F))
    )


def pieces(value: bytes, first: str, is_name: bool) -> Iterator[str]:
    """Yield the parts of *value*, with replacement characters for what does not fit."""
    codec = first
    for fragment in _FRAGMENT.findall(value):
        length = _length_of_escape(fragment)
        if length is None:
            # The escape character itself means nothing; what follows may be text.
            yield REPLACEMENT + replaced(fragment[1:], first)
            continue
        escape, rest = fragment[:length], fragment[length:]
        codec = ESCAPES.get(escape, codec) if escape else first
        text, _ = _part(rest, escape, codec, first, is_name)
        if text is not None:
            yield shown(text)
        elif codec in PAIRS:
            yield "".join(_stepped(rest, [0] * len(rest), codec))
        else:
            yield replaced(rest, superset_of(codec))
