"""Text of DICOM values: as its writers meant it, and how far that is as they declared it.

Nothing here raises: text that does not decode is shown as well as it can be, and a byte
that means nothing costs one replacement character. What is shown follows, in this order:

1. the character set that is declared, with code extensions wherever their escape sequences
   stand, and with Windows' tables where the standard's have no character;
2. UTF-8, where the bytes are UTF-8 and the declared set is one into which any bytes fit;
3. the sets of the records above, in the same way;
4. UTF-8, then Windows-1252.

Only strict decoding tells a right character set from a wrong one, and pydicom's own decoder
warns and replaces instead; the tests hold the two against each other.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from dicomfs.dicom.charsets import (
    ASCII,
    CONTROLS,
    REPLACEMENT,
    UTF_8,
    WINDOWS,
    Declaration,
    declared,
    is_latin,
    replaced,
    shown,
    strictly,
    strictly_or_wider,
    superset_of,
)
from dicomfs.dicom.escapes import ESCAPE, followed, pieces

# Letters of one script that are no accident.
_ENOUGH: Final = 3
_JAPANESE: Final = frozenset({"CJK", "HIRAGANA", "KATAKANA"})
_HALF_WIDTH: Final = re.compile("[\0-\x7f\uff61-\uff9f\xa5\u203e]*")


class Reading(NamedTuple):
    """What a value says, and why that is in doubt: empty if it is as declared."""

    text: str
    doubt: str = ""


def is_beyond_ascii(value: bytes) -> bool:
    """Whether it takes a character set to read *value*."""
    return not value.isascii() or ESCAPE in value


def has_rubbish(value: bytes) -> bool:
    """Whether *value* goes on behind its end, a NUL, as where a buffer was not cleared."""
    return bool(value.partition(b"\0")[2].strip(b"\0 "))


def decode(
    value: bytes,
    character_sets: Sequence[bytes],
    *,
    is_name: bool = False,
    preferred: bytes = b"",
) -> str:
    """Return *value* as text; see ``read``."""
    if value.isascii() and ESCAPE not in value:
        return value.decode(ASCII).partition("\0")[0].strip(" ")
    return read(value, character_sets, is_name=is_name, preferred=preferred).text


def read(
    value: bytes,
    character_sets: Sequence[bytes],
    *,
    is_name: bool = False,
    preferred: bytes = b"",
) -> Reading:
    """Return *value* as text up to the first NUL, without padding.

    *character_sets* are the values of Specific Character Set to try, the record's own
    first, then those of the records above; empty ones are passed over. *is_name* is for
    person names (PN). *preferred* is what somebody said that all text is in: it comes
    first, unless the bytes themselves prove something else.
    """
    value = value.partition(b"\0")[0].strip(b" ")
    if not is_beyond_ascii(value):
        return Reading(value.decode(ASCII))
    sets = [each for each in character_sets if each]
    if preferred and not _is_proved(value, sets, is_name):
        text = _whole(value, declared(preferred))
        if text is not None:
            return Reading(text)
    found = _first_fit(value, sets, is_name) or _best_guess(value, sets, is_name)
    return found._replace(text=found.text.strip(" "))


def _first_fit(value: bytes, sets: Sequence[bytes], is_name: bool) -> Reading | None:
    """Return *value* in the first of *sets* that it fits."""
    doubt = ""
    for each in sets:
        found = declared(each)
        reading = None if found is None else _in(value, found, is_name)
        name = repr(each.decode("latin-1"))
        if reading is not None:
            return reading._replace(doubt=_first((doubt, _doubt(reading, found, name))))
        doubt = doubt or (
            f"there is no {name}" if found is None else f"text that is not in {name}"
        )
    return None


def _doubt(reading: Reading, found: Declaration | None, name: str) -> str:
    if found is not None and found.unknown:
        return f"there is no {name}"
    return f"{reading.doubt}, not {name}" if reading.doubt else ""


def _first(texts: Sequence[str]) -> str:
    return next(filter(None, texts), "")


def _in(value: bytes, found: Declaration, is_name: bool) -> Reading | None:
    """Return *value* in a declared set; None if it does not fit."""
    first, *extensions = found.codecs
    if ESCAPE in value and found.has_extensions:
        return _followed(value, first, is_name)
    if (reading := _in_one(value, first)) is not None:
        return reading
    for codec in extensions:
        if (text := strictly_or_wider(value, codec)) is not None:
            return Reading(text, f"{_named(codec)} without escape sequences")
    return None


def _in_one(value: bytes, codec: str) -> Reading | None:
    """Return *value* in the set of *codec*, or in what is written under its name."""
    text, as_utf_8 = strictly(value, codec), strictly(value, UTF_8)
    if codec == UTF_8:
        return None if text is None else Reading(shown(text))
    if as_utf_8 is not None and _is_utf_8(as_utf_8, text, codec):
        return Reading(shown(as_utf_8), "UTF-8")
    if text is not None and not CONTROLS.search(text):
        return Reading(text)
    wider = superset_of(codec)
    if wider != codec and (as_wider := strictly(value, wider)) is not None:
        return Reading(shown(as_wider), _named(wider))
    return None if text is None else Reading(shown(text), "control characters")


def _followed(value: bytes, first: str, is_name: bool) -> Reading | None:
    found = followed(value, first, is_name)
    if found is None:
        return None
    text, is_usual = found
    return Reading(text, "" if is_usual else "text with other escape sequences")


def _is_utf_8(as_utf_8: str, text: str | None, codec: str) -> bool:
    """Whether bytes that are UTF-8 are meant so, though *codec* makes *text* of them.

    Short names in katakana, Thai and Cyrillic are valid UTF-8 by chance.
    """
    if text is None or is_latin(codec) or CONTROLS.search(text):
        return True
    if codec == "shift_jis" and not _HALF_WIDTH.fullmatch(text):
        return True  # ISO_IR 13 has no kanji
    letters = [each for each in as_utf_8 if not each.isascii() and each.isalpha()]
    return len(letters) >= _ENOUGH and len(set(map(_script, letters))) == 1


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    script = unicodedata.name(letter, "?").partition(" ")[0].partition("-")[0]
    return "JAPANESE" if script in _JAPANESE else script


def _named(codec: str) -> str:
    if codec.startswith("cp125"):
        return f"Windows-{codec[2:]}"
    return {"gb18030": "GBK", "cp949": "UHC"}.get(codec, codec.upper())


def _is_proved(value: bytes, sets: Sequence[bytes], is_name: bool) -> bool:
    """Whether a declared set holds for *value* whatever somebody says."""
    for each in sets:
        found = declared(each)
        if found is None:
            continue
        if found.codecs[0] == UTF_8:
            return strictly(value, UTF_8) is not None
        if ESCAPE in value and found.has_extensions:
            return _followed(value, found.codecs[0], is_name) is not None
        return False
    return False


def _best_guess(value: bytes, sets: Sequence[bytes], is_name: bool) -> Reading:
    """Return *value* as well as it can be shown, if it fits no declared set."""
    doubt = "none is declared"
    if sets:
        name = repr(sets[0].decode("latin-1"))
        known = declared(sets[0]) is not None
        doubt = f"text that is not in {name}" if known else f"there is no {name}"
    if ESCAPE in value and (found := _followed(value, ASCII, is_name)) is not None:
        return Reading(found.text, doubt)
    text = None if ESCAPE in value else strictly(value, UTF_8)
    if text is not None:
        return Reading(shown(text), doubt)
    for each in sets:
        declaration = declared(each)
        if declaration is not None and (text := _mostly(value, declaration, is_name)):
            return Reading(text, doubt)
    if ESCAPE in value:
        return Reading("".join(pieces(value, WINDOWS, is_name)), doubt)
    return Reading(replaced(value, WINDOWS), doubt)


def _mostly(value: bytes, found: Declaration, is_name: bool) -> str:
    """Return *value* in a set that most of it is in; empty if too little is."""
    codec = superset_of(found.codecs[0])
    if ESCAPE in value and found.has_extensions:
        text = "".join(pieces(value, codec, is_name))
    else:
        text = replaced(value, codec)
    bad = text.count(REPLACEMENT)
    good = sum(1 for each in text if not each.isascii()) - bad
    return text if good >= bad else ""


# -- in the set that somebody said -----------------------------------------------------


def _whole(value: bytes, found: Declaration | None) -> str | None:
    """Return *value* in the set that somebody said, or in one of its extensions."""
    texts = (strictly_or_wider(value, each) for each in (found.codecs if found else ()))
    text = next((each for each in texts if each is not None), None)
    return None if text is None or CONTROLS.search(text) else text


# -- person names ----------------------------------------------------------------------


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
