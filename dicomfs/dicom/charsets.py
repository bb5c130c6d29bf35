"""Character sets: what Specific Character Set names, and the codecs that read it.

The tables are our own: importing pydicom's takes a third of the time that mounting takes.
The tests hold the two against each other.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

ASCII: Final = "ascii"
UTF_8: Final = "utf_8"
WINDOWS: Final = "cp1252"

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
_STAND_ALONE_TERMS: Final = {"ISO_IR 192": UTF_8, "GB18030": "gb18030", "GBK": "gbk"}
_STANDARD: Final = (
    {f"ISO_IR {number}": codec for number, (codec, _) in _SINGLE_BYTE.items()}
    | {
        f"ISO 2022 IR {number}": codec
        for number, (codec, _) in (_SINGLE_BYTE | _MULTI_BYTE).items()
    }
    # Half-width katakana are the upper half of Shift JIS.
    | dict.fromkeys(("ISO_IR 13", "ISO 2022 IR 13"), "shift_jis")
    | _STAND_ALONE_TERMS
    # As some writers spell them, and pydicom knows them too.
    | {"ISO 2022 GBK": "gbk", "ISO 2022 58": "gb2312"}
)
# The default repertoire (PS3.5 6.1.1).
_DEFAULT_TERMS: Final = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})
# What is not defined by DICOM and can mean one thing only, without blanks and signs.
_OTHER_NAMES: Final = (
    dict.fromkeys(("ISOIR149", "EUCKR", "KSC5601", "KSX1001", "KSC56011987"), "euc_kr")
    | dict.fromkeys(("CP949", "UHC", "MS949", "WINDOWS949"), "cp949")
    | dict.fromkeys(("ISOIR58", "GB2312", "GB231280", "EUCCN", "HZGB2312"), "gb2312")
    | dict.fromkeys(("CP936", "MS936", "WINDOWS936", "ISOIR58GBK"), "gbk")
    | dict.fromkeys(("GB180302000", "GB180302005", "CP54936"), "gb18030")
    | dict.fromkeys(("ISOIR87", "ISOIR168", "ISO2022JP", "JISX0208"), "iso2022_jp")
    | dict.fromkeys(("ISOIR159", "ISO2022JP2", "JISX0212"), "iso2022_jp_2")
    | dict.fromkeys(
        ("SHIFTJIS", "SJIS", "CP932", "MS932", "WINDOWS31J", "JISX0201", "ISOIR14"),
        "cp932",
    )
    | dict.fromkeys(("EUCJP", "UJIS", "CP51932"), "euc_jp")
    | dict.fromkeys(("BIG5", "CP950", "WINDOWS950"), "cp950")
    | dict.fromkeys(("TIS620", "ISO885911", "CP874", "WINDOWS874"), "cp874")
    | dict.fromkeys(("UTF8", "UNICODE", "UNICODE11UTF8"), UTF_8)
    | dict.fromkeys(("ASCII", "USASCII", "ISO646", "ISO646US", "ANSIX34"), ASCII)
    | {"KOI8R": "koi8_r", "KOI8U": "koi8_u"}
    | {f"{prefix}125{n}": f"cp125{n}" for prefix in ("CP", "WINDOWS") for n in range(9)}
    | {f"ISO8859{n}": f"iso8859_{n}" for n in (*range(1, 11), *range(13, 17))}
    | {f"LATIN{n}": f"iso8859_{n}" for n in range(1, 5)}
    | {"LATIN5": "iso8859_9", "LATIN9": "iso8859_15"}
)
# Windows' tables, which have all that the standard's have and more (or what the standard
# leaves to controls that no text has): programs on Windows write these under the names of
# those.
_SUPERSETS: Final = {
    "iso8859_1": "cp1252",
    "iso8859_2": "cp1250",
    "iso8859_4": "cp1257",
    "iso8859_5": "cp1251",
    "iso8859_6": "cp1256",
    "iso8859_7": "cp1253",
    "iso8859_8": "cp1255",
    "iso8859_9": "cp1254",
    "iso8859_15": "cp1252",
    "tis_620": "cp874",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
}
_LATIN: Final = frozenset(
    {"iso8859_1", "iso8859_2", "iso8859_3", "iso8859_4", "iso8859_9", "iso8859_15"}
)
# Escape sequences, and the codec of what follows each.
ESCAPES: Final = (
    {b"\x1b-" + final: codec for codec, final in _SINGLE_BYTE.values()}
    | {escape: codec for codec, escape in _MULTI_BYTE.values()}
    # Of G0: the default repertoire, and JIS X 0201 with its katakana in G1.
    | {b"\x1b(B": "iso8859_1", b"\x1b(J": "shift_jis", b"\x1b)I": "shift_jis"}
    # Outside of DICOM: the JIS of 1978.
    | {b"\x1b$@": "iso2022_jp"}
)
# Outside of DICOM: katakana in G0, where the eighth bit is missing.
KATAKANA: Final = b"\x1b(I"
# What is written in pairs of seven bits: the codec wants its escape sequence in front.
PAIRS: Final = {"iso2022_jp": b"\x1b$B", "iso2022_jp_2": b"\x1b$(D"}
# All that may be needed: the worker loads them before it gives up its rights.
CODECS: Final = frozenset(
    {
        *_STANDARD.values(),
        *_OTHER_NAMES.values(),
        *_SUPERSETS.values(),
        *ESCAPES.values(),
        ASCII,
        WINDOWS,
    }
)
_STAND_ALONE: Final = frozenset(
    {*_STAND_ALONE_TERMS.values(), "cp949", "cp950", "cp932", "euc_jp"}
)
# No text has them (ISO 6429): where they stand, another table is meant.
CONTROLS: Final = re.compile("[\x80-\x9f]")
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_SIGNS: Final = re.compile(r"[\W_]+")


class Declaration(NamedTuple):
    """What a value of Specific Character Set means.

    *codecs* are Python's, the first one first, then those of the code extensions.
    *unknown* is the first term that DICOM does not define, empty if all are defined.
    """

    codecs: tuple[str, ...]
    unknown: str = ""

    @property
    def has_extensions(self) -> bool:
        """Whether escape sequences may switch to another set."""
        return self.codecs[0] not in _STAND_ALONE


def superset_of(codec: str) -> str:
    """Return the codec of Windows' table over the standard's, itself if there is none."""
    return _SUPERSETS.get(codec, codec)


def is_latin(codec: str) -> bool:
    """Whether text in *codec* hardly ever is valid UTF-8 by chance."""
    return codec in _LATIN


@lru_cache(maxsize=256)
def declared(character_set: bytes) -> Declaration | None:
    """Return what a value of Specific Character Set means; None if that is not known.

    Terms in other spellings, and terms that DICOM does not define but that mean one
    thing only, are taken for what they mean.
    """
    terms = [_normal_term(term) for term in character_set.split(b"\\")]
    if terms[0] in _STAND_ALONE_TERMS:
        terms = terms[:1]
    unknown = next((term for term in terms if not _is_defined(term)), "")
    codecs = [_codec(term) for term in terms]
    if codecs[0] is None:
        return None
    return Declaration(
        tuple(
            codec
            for place, codec in enumerate(codecs)
            if codec is not None and (not place or codec not in _STAND_ALONE)
        ),
        unknown,
    )


def _normal_term(term: bytes) -> str:
    """Return a defined term in its right spelling; writers confuse blank and _."""
    text = term.decode("latin-1").strip(" \0").upper()
    if found := re.fullmatch(r"ISO.2022.IR.(\d+)", text):
        return f"ISO 2022 IR {found[1]}"
    if found := re.fullmatch(r"ISO.?IR.?(\d+)", text):
        return f"ISO_IR {found[1]}"
    return text


def _is_defined(term: str) -> bool:
    return term in _STANDARD or term in _DEFAULT_TERMS


def _codec(term: str) -> str | None:
    if term in _DEFAULT_TERMS:
        # pydicom reads it as Latin-1, which nothing declared.
        return ASCII
    return _STANDARD.get(term) or _OTHER_NAMES.get(_SIGNS.sub("", term))


def strictly(value: bytes, codec: str) -> str | None:
    """Return *value* in *codec*, None if it does not fit."""
    try:
        return value.decode(codec)
    except UnicodeError:
        return None


def strictly_or_wider(value: bytes, codec: str) -> str | None:
    """Return *value* in *codec*, or in Windows' table over it; None if in neither."""
    text = strictly(value, codec)
    return strictly(value, superset_of(codec)) if text is None else text


def shown(text: str) -> str:
    """Return *text* with a replacement character for each control that no text has."""
    return CONTROLS.sub(REPLACEMENT, text)


def replaced(value: bytes, codec: str) -> str:
    """Return *value* in *codec*, with replacement characters for what does not fit."""
    return shown(value.decode(codec, "replace"))
