"""Text that is not as its writers declared it, and text that must not be taken for that."""

import pytest

from dicomfs.dicom.charsets import declared
from dicomfs.dicom.text import decode, read

LATIN = (
    *(b"ISO_IR 100", b"ISO_IR 101", b"ISO_IR 109", b"ISO_IR 110"),
    *(b"ISO_IR 148", b"ISO_IR 203"),
)


@pytest.mark.parametrize("term", LATIN, ids=bytes.decode)
@pytest.mark.parametrize("text", ["Müller^Jürgen", "O\u2019Brien^Seán", "Łódź", "ß"])
def test_utf_8_under_a_declared_latin_set_is_utf_8(term: bytes, text: str) -> None:
    found = read(text.encode(), [term], is_name=True)

    assert found.text == text
    assert "UTF-8" in found.doubt
    assert term.decode() in found.doubt


@pytest.mark.parametrize(
    ("term", "text"),
    [
        (b"ISO_IR 144", "Иванов^Иван"),
        (b"ISO_IR 126", "Παπαδόπουλος"),
        (b"ISO_IR 127", "بدر^رشيد"),
        (b"ISO_IR 138", "כהן^דוד"),
        (b"ISO_IR 166", "สมชาย^ใจดี"),
        (b"ISO_IR 13", "山田^太郎"),
        (b"GB18030", "张^三丰"),
    ],
    ids=lambda each: each.decode() if isinstance(each, bytes) else each,
)
def test_utf_8_under_another_set_is_utf_8_where_the_evidence_is_strong(
    term: bytes, text: str
) -> None:
    assert decode(text.encode(), [term], is_name=True) == text


@pytest.mark.parametrize(
    ("term", "codec", "text"),
    [
        (b"ISO_IR 13", "shift_jis", "Mori^ﾐｷ"),
        (b"ISO_IR 13", "shift_jis", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        (b"ISO_IR 144", "iso8859_5", "ЮН"),
        (b"ISO_IR 144", "iso8859_5", "Ли^Юн"),
        (b"ISO_IR 166", "tis_620", "ยน"),
        (b"ISO_IR 126", "iso8859_7", "Ωμέγα"),
        (b"ISO_IR 100", "iso8859_1", "Müller^Jürgen"),
        (b"ISO_IR 100", "iso8859_1", "Ångström"),
    ],
)
def test_text_that_is_as_declared_stands(term: bytes, codec: str, text: str) -> None:
    found = read(text.encode(codec), [term], is_name=True)

    assert found == (text, "")


@pytest.mark.parametrize(
    ("term", "codec", "text"),
    [
        (b"ISO_IR 100", "cp1252", "O\u2019Brien^Seán"),
        (b"ISO_IR 100", "cp1252", "Škoda^Žan"),
        (b"ISO_IR 101", "cp1250", "Šťastný^Žák"),
        (b"ISO_IR 148", "cp1254", "Şahin^Œuvre"),
        (b"ISO_IR 166", "cp874", "สมชาย\xa0ใจดี"),
        (b"ISO_IR 13", "cp932", "髙橋^太郎"),
        (b"\\ISO 2022 IR 149", "cp949", "똠방각하"),
        (b"\\ISO 2022 IR 58", "gbk", "李^镕"),
    ],
    ids=lambda each: each if isinstance(each, str) else each.decode(),
)
def test_windows_table_is_read_where_the_declared_one_has_no_character(
    term: bytes, codec: str, text: str
) -> None:
    found = read(text.encode(codec), [term], is_name=True)

    assert found.text == text
    assert found.doubt


@pytest.mark.parametrize(
    ("term", "value", "text"),
    [
        (b"ISO_IR 149", "홍^길동".encode("euc_kr"), "홍^길동"),
        (b"EUC-KR", "홍^길동".encode("euc_kr"), "홍^길동"),
        (b"KS_C_5601-1987", "홍^길동".encode("euc_kr"), "홍^길동"),
        (b"ISO_IR 58", "张^三".encode("gb2312"), "张^三"),
        (b"GB2312", "张^三".encode("gb2312"), "张^三"),
        (b"CP936", "张^三".encode("gbk"), "张^三"),
        (b"BIG5", "陳^大文".encode("big5"), "陳^大文"),
        (b"SHIFT_JIS", "山田^太郎".encode("shift_jis"), "山田^太郎"),
        (b"ISO_IR 87", b"Yamada=\x1b$B;3ED\x1b(B", "Yamada=山田"),
        (b"ISO_IR 159", b"Yamada=\x1b$B;3ED\x1b(B", "Yamada=山田"),
        (b"ISO-8859-2", "Łódź^Żak".encode("iso8859_2"), "Łódź^Żak"),
        (b"WINDOWS-1251", "Иванов^Иван".encode("cp1251"), "Иванов^Иван"),
        (b"KOI8-R", "Иванов^Иван".encode("koi8_r"), "Иванов^Иван"),
        (b"utf-8", "Łódź^Żak".encode(), "Łódź^Żak"),
    ],
    ids=lambda each: each.decode("latin-1") if isinstance(each, bytes) else "",
)
def test_a_term_that_can_mean_one_thing_only_is_taken_for_that_and_named(
    term: bytes, value: bytes, text: str
) -> None:
    found = read(value, [term], is_name=True)

    assert found.text == text
    assert found.doubt == f"there is no {term.decode()!r}"


@pytest.mark.parametrize("term", [b"Not Supplied", b"XXX XXXX", b"ISO_IR 999", b"\xff"])
def test_a_term_that_means_nothing_is_none(term: bytes) -> None:
    assert declared(term) is None


@pytest.mark.parametrize("term", [b"Not Supplied", b"XXX XXXX", b"ISO_IR 192"])
def test_text_of_ascii_alone_is_never_in_doubt(term: bytes) -> None:
    assert read(b"Doe^Jane", [term]) == ("Doe^Jane", "")


@pytest.mark.parametrize(
    ("term", "value", "text"),
    [
        (
            b"\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$@;3ED\x1b(J^\x1b$@B@O:\x1b(J",
            "Yamada^Tarou=山田^太郎",
        ),
        (
            b"ISO 2022 IR 13\\ISO 2022 IR 87",
            b"\x1b(I\x54\x4f\x40\x5e\x1b(J^\x1b(I\x40\x5b\x33\x1b(J=\x1b$B;3ED\x1b(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田",
        ),
        (
            b"\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED^\x1b$BB@O:",
            "Yamada^Tarou=山田^太郎",
        ),
        (
            b"\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED^B@O:",
            "Yamada^Tarou=山田^太郎",
        ),
        (
            b"\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED ^\x1b$BB@O: ",
            "Yamada^Tarou=山田 ^太郎",
        ),
        (
            b"\\ISO 2022 IR 87",
            b"Takahashi=\x1b$B\x7c\x62\x36\x36\x1b(B",
            "Takahashi=髙橋",
        ),
        (
            b"\\ISO 2022 IR 149",
            b"Hong=\x1b$)C\xc8\xab^\xb1\xe6\xb5\xbf",
            "Hong=홍^길동",
        ),
        (b"", b"Yamada=\x1b$B;3ED\x1b(B", "Yamada=山田"),
        (b"ISO_IR 100", b"M\xfcller=\x1b$B;3ED\x1b(B", "Müller=山田"),
        (b"\\ISO 2022 IR 149", "홍^길동".encode("euc_kr"), "홍^길동"),
        (b"\\ISO 2022 IR 58", "张^三".encode("gb2312"), "张^三"),
    ],
    ids=[
        *("jis-1978", "katakana-in-g0", "no-reset-before-caret", "no-reset-at-all"),
        *("blanks-among-pairs", "kanji-of-windows", "korean-no-reset"),
        *("escapes-undeclared", "escapes-beside-latin", "korean-no-escape"),
        "chinese-no-escape",
    ],
)
def test_escape_sequences_are_followed_as_they_were_meant(
    term: bytes, value: bytes, text: str
) -> None:
    assert decode(value, [term], is_name=True) == text


@pytest.mark.parametrize(
    ("term", "value"),
    [
        (b"\\ISO 2022 IR 87", b"\x1b$@;3ED\x1b(J"),
        (b"\\ISO 2022 IR 87", b"\x1b$B;3ED^\x1b$BB@O:"),
        (b"\\ISO 2022 IR 149", b"\xc8\xab"),
        (b"", b"\x1b$B;3ED\x1b(B"),
    ],
    ids=["jis-1978", "no-reset", "no-escape", "undeclared"],
)
def test_other_escape_sequences_than_those_of_the_standard_are_said(
    term: bytes, value: bytes
) -> None:
    assert read(value, [term], is_name=True).doubt


@pytest.mark.parametrize("padding", [b"", b" ", b"\0", b" \0", b"\0rubbish\xff", b"  "])
def test_padding_belongs_to_no_character_set(padding: bytes) -> None:
    value = b"Yamada=\x1b$B;3ED\x1b(B^\x1b$BB@O:" + padding

    assert decode(value, [b"\\ISO 2022 IR 87"], is_name=True) == "Yamada=山田^太郎"


@pytest.mark.parametrize(
    ("term", "value"),
    [
        (b"ISO_IR 192", "Иванов".encode() + b"\xff" + "^Иван".encode()),
        (b"GB18030", "张三".encode("gb18030") + b"\xff^" + "李".encode("gb18030")),
        (b"ISO_IR 126", "Παπα".encode("iso8859_7") + b"\xff"),
        (b"\\ISO 2022 IR 87", b"Yamada=\x1b$B;3ED\x7f\x7f\x1b(B"),
        (b"\\ISO 2022 IR 149", b"Hong=\x1b$)C\xc8\xab\xff"),
    ],
    ids=["utf-8", "gb18030", "greek", "kanji", "korean"],
)
def test_one_bad_byte_costs_one_replacement_character(
    term: bytes, value: bytes
) -> None:
    text = decode(value, [term], is_name=True)

    assert text.count("\ufffd") == 1
    assert len([each for each in text if not each.isascii()]) > 1


@pytest.mark.parametrize("term", [b"ISO_IR 109", b"ISO_IR 100", b"", b"ISO_IR 192"])
def test_no_control_character_is_left_that_could_be_dropped(term: bytes) -> None:
    text = decode(b"A\x81B\x8d", [term])

    assert text == "A\ufffdB\ufffd"


@pytest.mark.parametrize(
    ("term", "value", "preferred", "text"),
    [
        (b"ISO_IR 100", "李四".encode("gbk"), b"GBK", "李四"),
        (b"ISO_IR 144", "Иванов".encode("cp1251"), b"WINDOWS-1251", "Иванов"),
        (b"ISO_IR 127", "بدر".encode("cp1256"), b"CP1256", "بدر"),
        (b"", "Иванов".encode("koi8_r"), b"KOI8-R", "Иванов"),
        (b"", "山田".encode("euc_jp"), b"EUC-JP", "山田"),
        (b"ISO_IR 192", "陳大文".encode("big5"), b"BIG5", "陳大文"),
        (b"ISO_IR 192", "Müller".encode(), b"KOI8-R", "Müller"),
        (b"\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B", b"KOI8-R", "山田"),
    ],
)
def test_what_somebody_says_of_all_text_comes_before_what_nothing_proves(
    term: bytes, value: bytes, preferred: bytes, text: str
) -> None:
    assert decode(value, [term], preferred=preferred) == text
