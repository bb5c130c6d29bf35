"""Text of DICOM values: character sets with code extensions, and person names.

Nothing here raises: text that does not decode is shown as well as it can be. Only
strict decoding tells a right character set from a wrong one, and pydicom's own decoder
warns and replaces instead; the tests hold the two against each other. Nor are its tables
used: to import them takes a third of the time that mounting takes.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

_ESCAPE: Final = b"\x1b"
_FRAGMENT: Final = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*", re.DOTALL)
# PS3.5 6.1.2.5.3: these return to the first character set.
_RESET: Final = re.compile(rb"[\\\r\n\f\t]")
_RESET_IN_NAME: Final = re.compile(rb"[\\\r\n\f\t^=]")
_PADDING: Final = " \0"
# PS3.3 tables C.12-2 and C.12-3, of one byte: codec and final byte of the escape
# sequence for G1, by ISO registration number.
_SINGLE_BYTE: Final = {
    100: ("iso8859_1", b"A"),
    101: ("iso8859_2", b"B"),
    109: ("iso8859_3", b"C"),
    110: ("iso8859_4", b"D"),
    126: ("iso8859_7", b"F"),
    127: ("iso8859_6", b"G"),
    138: ("iso8859_8", b"H"),
    144: ("iso8859_5", b"L"),
    148: ("iso8859_9", b"M"),
    166: ("tis_620", b"T"),
    203: ("iso8859_15", b"b"),
}
# PS3.3 table C.12-4, of several bytes: codec and escape sequence.
_MULTI_BYTE: Final = {
    58: ("gb2312", b"\x1b$)A"),
    87: ("iso2022_jp", b"\x1b$B"),
    149: ("euc_kr", b"\x1b$)C"),
    159: ("iso2022_jp_2", b"\x1b$(D"),
}
# PS3.3 table C.12-5: these know no code extensions.
_STAND_ALONE_TERMS: Final = {"ISO_IR 192": "utf_8", "GB18030": "gb18030", "GBK": "gbk"}
_CODECS: Final = (
    {f"ISO_IR {number}": codec for number, (codec, _) in _SINGLE_BYTE.items()}
    | {
        f"ISO 2022 IR {number}": codec
        for number, (codec, _) in (_SINGLE_BYTE | _MULTI_BYTE).items()
    }
    # Half-width katakana are the upper half of Shift JIS.
    | dict.fromkeys(("ISO_IR 13", "ISO 2022 IR 13"), "shift_jis")
    | _STAND_ALONE_TERMS
    # As some writers spell them.
    | {"ISO 2022 GBK": "gbk", "ISO 2022 58": "gb2312"}
)
_ESCAPES: Final = (
    {b"\x1b-" + final: codec for codec, final in _SINGLE_BYTE.values()}
    | {escape: codec for codec, escape in _MULTI_BYTE.values()}
    # In G0: the default repertoire, and JIS X 0201 with its katakana in G1.
    | {b"\x1b(B": "iso8859_1", b"\x1b(J": "shift_jis", b"\x1b)I": "shift_jis"}
)
# Python's codecs read their own escape sequences; pydicom thinks that of GB 2312, too.
_ESCAPING: Final = frozenset({"iso2022_jp", "iso2022_jp_2"})
# All that may be needed: the worker loads them before it gives up its rights.
CODECS: Final = frozenset({*_CODECS.values(), *_ESCAPES.values()})
_STAND_ALONE: Final = frozenset(_STAND_ALONE_TERMS.values())


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
    if terms[0] in _STAND_ALONE_TERMS:
        terms = terms[:1]
    return tuple(
        _codec(term)
        for place, term in enumerate(terms)
        if not place or term not in _STAND_ALONE_TERMS
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
    # The default repertoire is ASCII (PS3.5 6.1.1); pydicom reads it as Latin-1.
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
