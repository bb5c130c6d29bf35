"""Text of DICOM values: character sets with code extensions, and person names.

Nothing here raises: text that does not decode is shown as well as it can be. Only
strict decoding tells a right character set from a wrong one, and pydicom's own decoder
warns and replaces instead, so its tables are used and not its functions; the tests hold
the two against each other.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from pydicom.charset import (
    CODES_TO_ENCODINGS,
    STAND_ALONE_ENCODINGS,
    python_encoding,
)

_ESCAPE: Final = b"\x1b"
_FRAGMENT: Final = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*", re.DOTALL)
# PS3.5 6.1.2.5.3: these return to the first character set.
_RESET: Final = re.compile(rb"[\\\r\n\f\t]")
_RESET_IN_NAME: Final = re.compile(rb"[\\\r\n\f\t^=]")
_PADDING: Final = " \0"
# Latin-9 is in the standard since 2018 and not yet in pydicom's tables.
_CODECS: Final = python_encoding | {
    "ISO_IR 203": "iso8859_15",
    "ISO 2022 IR 203": "iso8859_15",
}
_ESCAPES: Final = CODES_TO_ENCODINGS | {b"\x1b-b": "iso8859_15"}
# Python's codecs read their own escape sequences; pydicom thinks that of GB 2312, too.
_ESCAPING: Final = frozenset({"iso2022_jp", "iso2022_jp_2"})
# All that may be needed: the worker loads them before it gives up its rights.
CODECS: Final = frozenset({*_CODECS.values(), *_ESCAPES.values()})
_STAND_ALONE: Final = frozenset(_CODECS[term] for term in STAND_ALONE_ENCODINGS)


def decode(
    value: bytes, character_sets: Sequence[bytes], *, is_name: bool = False
) -> str:
    """Return *value* as text, without padding; *is_name* for person names (PN).

    *character_sets* are the values of Specific Character Set to try, the record's own
    first, then its ancestors'; empty ones are passed over. Where none decodes, strict
    UTF-8 and then Latin-1 do.
    """
    if value.isascii() and _ESCAPE not in value:
        return value.decode("ascii").strip(_PADDING)
    for character_set in character_sets:
        if not character_set:
            continue
        try:
            codecs = codecs_of(character_set)
            return _decode_strictly(value, codecs, is_name).strip(_PADDING)
        except ValueError:  # UnicodeError is one
            continue
    try:
        return value.decode("utf-8").strip(_PADDING)
    except UnicodeDecodeError:
        return value.decode("latin-1").strip(_PADDING)


def fits(value: bytes, character_set: bytes, *, is_name: bool = False) -> bool:
    """Whether *value* is text in *character_set*; *is_name* for person names (PN)."""
    try:
        _decode_strictly(value, codecs_of(character_set), is_name)
    except ValueError:  # UnicodeError is one
        return False
    return True


@lru_cache(maxsize=64)
def codecs_of(character_set: bytes) -> tuple[str, ...]:
    """Return the Python codecs for a value of Specific Character Set, first one first.

    Raises ValueError for a term that the standard does not define.
    """
    terms = [_normal_term(term) for term in character_set.split(b"\\")]
    if terms[0] in STAND_ALONE_ENCODINGS:
        terms = terms[:1]
    return tuple(
        _codec(term)
        for place, term in enumerate(terms)
        if not place or term not in STAND_ALONE_ENCODINGS
    )


def person_name(text: str) -> str:
    """Return a PN value as people write it: ``Family, Given Middle`` and ideographs.

    The alphabetic group comes first, then the ideographic one; the phonetic group only
    stands in where both are missing. Prefixes and suffixes are left out.
    """
    alphabetic, ideographic, phonetic = (*text.split("=", 2), "", "")[:3]
    names = [_components(alphabetic, ", "), _components(ideographic, " ")]
    return " ".join(filter(None, names)) or _components(phonetic, " ")


def _components(group: str, joint: str) -> str:
    """Join the components of one group (PS3.5 6.2.1.1), *joint* behind the family."""
    family, given, middle = (*(part.strip() for part in group.split("^")), "", "")[:3]
    rest = " ".join(filter(None, (given, middle)))
    return joint.join(filter(None, (family, rest)))


def _normal_term(term: bytes) -> str:
    """Return a defined term in its right spelling; writers confuse blank and _."""
    text = term.decode("latin-1").strip(_PADDING).upper()
    if found := re.fullmatch(r"ISO.2022.IR.(\d+)", text):
        return f"ISO 2022 IR {found[1]}"
    if found := re.fullmatch(r"ISO.?IR.?(\d+)", text):
        return f"ISO_IR {found[1]}"
    return text


def _codec(term: str) -> str:
    # pydicom reads the default repertoire as Latin-1; strictly it is ASCII (PS3.5 6.1.1).
    if term in {"", "ISO_IR 6", "ISO 2022 IR 6"}:
        return "ascii"
    if term not in _CODECS:
        raise ValueError("unknown character set")
    return _CODECS[term]


def _decode_strictly(value: bytes, codecs: Sequence[str], is_name: bool) -> str:
    if _ESCAPE not in value or codecs[0] in _STAND_ALONE:
        return value.decode(codecs[0])
    return "".join(
        _decode_fragment(fragment, codecs, is_name)
        for fragment in _FRAGMENT.findall(value)
    )


def _decode_fragment(fragment: bytes, codecs: Sequence[str], is_name: bool) -> str:
    """Decode what lies between two escape sequences (PS3.5 6.1.2.4)."""
    if not fragment.startswith(_ESCAPE):
        return fragment.decode(codecs[0])
    length = 4 if fragment[1:3] in (b"$(", b"$)") else 3
    codec = _ESCAPES.get(fragment[:length])
    if codec is None:
        raise ValueError("unknown escape sequence")
    if codec in _ESCAPING:
        return fragment.decode(codec)
    text = fragment[length:]
    reset = (_RESET_IN_NAME if is_name else _RESET).search(text)
    cut = reset.start() if reset else len(text)
    return text[:cut].decode(codec) + text[cut:].decode(codecs[0])
