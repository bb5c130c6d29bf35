"""Names of people in all scripts, and the character sets that can hold them."""

import re
import unicodedata
import warnings
from typing import Final, NamedTuple

from pydicom.charset import convert_encodings, encode_string
from pydicom.valuerep import PersonName

UTF8: Final = "ISO_IR 192"
LATIN1: Final = "ISO_IR 100"
# pydicom does not know the one, and leaves the escape sequences of the other out.
LATIN9: Final = "ISO_IR 203"
CHINESE: Final = "\\ISO 2022 IR 58"
# These hold every script, and text in any normal form.
UNICODE: Final = (UTF8, "GB18030")


class Script(NamedTuple):
    """Names, and values of Specific Character Set (PS3.3 C.12.1.1.2) for them."""

    terms: tuple[str, ...]
    names: tuple[str, ...]


GERMAN: Final = Script(
    (LATIN1, UTF8, "ISO 2022 IR 100", "ISO 2022 IR 6\\ISO 2022 IR 100"),
    ("Müller^Jürgen", "Schröder^Käthe^Änne", "Weiß^Zoë", "Åström^Örjan^^Dr"),
)
JAPANESE: Final = Script(
    ("\\ISO 2022 IR 87", UTF8, "ISO 2022 IR 6\\ISO 2022 IR 87"),
    ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Suzuki^Hanako=鈴木^花子=すずき^はなこ"),
)
SCRIPTS: Final = (
    Script(("", LATIN1, UTF8, "ISO 2022 IR 6"), ("Doe^Jane", "Roe^Richard^Q^^Jr")),
    GERMAN,
    JAPANESE,
    Script(
        ("ISO_IR 101", UTF8, "ISO 2022 IR 6\\ISO 2022 IR 101"),
        ("Dvořák^Jiří", "Łukasiewicz^Paweł", "Őri^Győző"),
    ),
    Script(("ISO_IR 109", UTF8, "\\ISO 2022 IR 109"), ("Ĉapelo^Ŝanĝo", "Ħamrun^Ġużè")),
    Script(("ISO_IR 110", UTF8, "\\ISO 2022 IR 110"), ("Ķēniņš^Jānis", "Ąžuolas^Ūla")),
    Script(
        ("ISO_IR 148", UTF8, "\\ISO 2022 IR 148"),
        ("Yıldız^Şule", "Doğan^İsmail"),  # noqa: RUF001 - it is Turkish
    ),
    Script((LATIN9, UTF8), ("Œuvrard^Zoë", "Šimek^Žofie")),
    Script(
        ("ISO_IR 144", UTF8, "\\ISO 2022 IR 144", "GB18030"),
        ("Иванов^Пётр", "Сидорова^Анна^Юрьевна"),
    ),
    Script(("ISO_IR 126", UTF8, "\\ISO 2022 IR 126"), ("Διονύσης^Άρης", "Νίκου^Ζωή")),
    Script(("ISO_IR 127", UTF8, "\\ISO 2022 IR 127"), ("قباني^لنزار", "حداد^منى")),
    Script(("ISO_IR 138", UTF8, "\\ISO 2022 IR 138"), ("שרון^דבורה", "לוי^משה")),
    Script(("ISO_IR 166", UTF8, "\\ISO 2022 IR 166"), ("สมชาย^ใจดี", "นามสกุล^ปราณี")),
    Script(
        ("ISO 2022 IR 13\\ISO 2022 IR 87", UTF8),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",),
    ),
    Script(("ISO_IR 13", UTF8), ("ﾔﾏﾀﾞ^ﾀﾛｳ", "ｽｽﾞｷ^ﾊﾅｺ")),
    Script(
        ("\\ISO 2022 IR 149", UTF8),
        ("Hong^Gildong=洪^吉洞=홍^길동", "Kim^Minsu=金^敏洙=김^민수"),
    ),
    Script(
        ("GB18030", "GBK", CHINESE, UTF8),
        ("Wang^XiaoDong=王^小东", "Zhang^Wei=张^伟"),
    ),
)


def encoded(text: str, terms: str, *, is_name: bool = False) -> bytes:
    """Return *text* in the character set of these *terms*; raises ValueError."""
    if text.isascii():
        return text.encode("ascii")
    if not terms:
        raise ValueError("the default repertoire is ASCII")
    if terms == LATIN9:
        return text.encode("iso8859_15")
    if terms == CHINESE:
        return b"".join(map(_escaped, re.findall(r"[\^=]|[^\^=]+", text)))
    with warnings.catch_warnings():
        # Combinations that the standard forbids, and letters that are not to be had.
        warnings.simplefilter("error")
        try:
            encodings = convert_encodings(terms.split("\\"))
            if is_name:
                return PersonName(text, encodings).encode(encodings)
            return encode_string(text, encodings)
        except UserWarning as problem:
            raise ValueError(f"{terms} has no such letters") from problem


def _escaped(part: str) -> bytes:
    """Return a part of a name with the escape sequence that announces it."""
    return part.encode() if part.isascii() else b"\x1b$)A" + part.encode("gb2312")


def is_possible(text: str, terms: str, *, is_name: bool = False) -> bool:
    """Whether *text* can be written in the character set of these *terms*."""
    try:
        encoded(text, terms, is_name=is_name)
    except ValueError:
        return False
    return True


def compared(name: str) -> str:
    """Return a person name as it is compared: in case, form and carets alike."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    return "=".join(
        "^".join(part.strip() for part in group.split("^")).rstrip("^")
        for group in folded.split("=")
    ).rstrip("=")
