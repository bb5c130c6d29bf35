"""Data elements in a run of bytes, against pydicom's reader."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_dataset

from dicomfs.dicom.element import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_BIG,
    IMPLICIT_LITTLE,
    ITEM_DELIMITATION,
    MAX_DEPTH,
    Element,
    Syntax,
    elements,
    items,
    read_values,
    sniff,
)
from dicomfs.errors import ElementError
from dicomfs.source.source import BytesSource
from dicomfs.source.window import Window
from tests.build.medium import Items, Raw, Value, element_bytes
from tests.support.trees import CountingSource

SYNTAXES = pytest.mark.parametrize(
    "syntax",
    [EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG, IMPLICIT_BIG],
    ids=["explicit-little", "implicit-little", "explicit-big", "implicit-big"],
)

PATIENT_NAME = 0x00100010
CONTENT = 0x0040A730  # a sequence
ITEM = b"\xfe\xff\x00\xe0"
ITEM_END = b"\xfe\xff\x0d\xe0\0\0\0\0"
SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
UNDEFINED = b"\xff\xff\xff\xff"


def encoded(syntax: Syntax, *pairs: tuple[int, Value]) -> bytes:
    return b"".join(
        element_bytes(tag, value, explicit=syntax.explicit, little_endian=syntax.little)
        for tag, value in pairs
    )


def read(data: bytes, syntax: Syntax, block: int = 64) -> list[Element]:
    return list(elements(Window(BytesSource(data), block), 0, len(data), syntax))


def tags(data: bytes, syntax: Syntax = EXPLICIT_LITTLE) -> list[int]:
    return [element.tag for element in read(data, syntax)]


text = st.text("ABC^ 0123", max_size=40)
plain = st.dictionaries(
    st.sampled_from([0x00080060, 0x00081030, PATIENT_NAME, 0x0020000D, 0x00420011]),
    st.one_of(text, st.binary(max_size=40), st.none()),
    max_size=4,
)


def nested(inner: st.SearchStrategy[Items]) -> st.SearchStrategy[Items]:
    contents = st.builds(
        lambda attributes, sequence: attributes | sequence,
        plain,
        st.dictionaries(st.just(CONTENT), inner, max_size=1),
    )
    return st.builds(
        Items, st.lists(contents, max_size=3), st.booleans(), st.booleans()
    )


sequences = st.recursive(
    st.builds(Items, st.lists(plain, max_size=2), st.booleans(), st.booleans()),
    nested,
    max_leaves=4,
)
datasets = st.builds(
    lambda attributes, sequence: sorted((attributes | sequence).items()),
    plain,
    st.dictionaries(st.sampled_from([0x00081115, CONTENT]), sequences, max_size=2),
)


@SYNTAXES
@given(pairs=datasets, block=st.integers(16, 300))
def test_elements_lie_where_pydicom_finds_them(
    syntax: Syntax, pairs: list[tuple[int, Value]], block: int
) -> None:
    data = encoded(syntax, *pairs)
    oracle = read_dataset(BytesIO(data), not syntax.explicit, syntax.little)

    found = read(data, syntax, block)

    assert [each.tag for each in found] == [int(tag) for tag in sorted(oracle.keys())]
    for each in found:
        raw: object = oracle.get_item(each.tag)
        if isinstance(raw, RawDataElement):
            assert (each.start, each.length) == (raw.value_tell, raw.length)


@SYNTAXES
@given(data=st.binary(max_size=300))
def test_any_bytes_give_elements_or_an_element_error(
    syntax: Syntax, data: bytes
) -> None:
    try:
        found = read(data, syntax)
    except ElementError:
        return

    assert all(each.start <= len(data) for each in found)


WANTED = {0x00080060: 40, 0x00081030: 5, PATIENT_NAME: 40, 0x00420011: 40, CONTENT: 99}


def values_by_element(data: bytes, syntax: Syntax) -> dict[int, bytes]:
    """Return the wanted values as ``elements`` finds them, sequences left out."""
    return {
        each.tag: data[each.start : each.start + each.length]
        for each in read(data, syntax)
        if each.length <= WANTED.get(each.tag, -1) and each.tag != CONTENT
    }


def values(data: bytes, syntax: Syntax, block: int = 64) -> dict[int, bytes]:
    window = Window(BytesSource(data), block)
    values: dict[int, bytes] = {}
    read_values(window, 0, len(data), syntax, WANTED, values)
    return values


@SYNTAXES
@given(pairs=datasets, block=st.integers(16, 300), lost=st.integers(0, 20))
def test_values_are_those_of_the_elements(
    syntax: Syntax, pairs: list[tuple[int, Value]], block: int, lost: int
) -> None:
    data = encoded(syntax, *pairs)
    data = data[: len(data) - lost]
    try:
        expected = values_by_element(data, syntax)
    except ElementError:
        with pytest.raises(ElementError):
            values(data, syntax, block)
        return

    found = values(data, syntax, block)

    assert {tag: found[tag] for tag in found if tag != CONTENT} == expected


@SYNTAXES
@given(data=st.binary(max_size=300))
def test_any_bytes_give_the_values_of_their_elements(
    syntax: Syntax, data: bytes
) -> None:
    try:
        expected = values_by_element(data, syntax)
    except ElementError:
        with pytest.raises(ElementError):
            values(data, syntax)
        return

    found = values(data, syntax)

    assert {tag: found[tag] for tag in found if tag != CONTENT} == expected


@SYNTAXES
def test_values_behind_the_last_tag_are_not_read(syntax: Syntax) -> None:
    data = encoded(
        syntax, (0x00080060, "CT"), (PATIENT_NAME, "Doe^"), (0x00420011, b"x")
    )
    window = Window(BytesSource(data))

    found: dict[int, bytes] = {}
    read_values(window, 0, len(data), syntax, WANTED, found, last_tag=PATIENT_NAME)

    assert found == {0x00080060: b"CT", PATIENT_NAME: b"Doe^"}


@SYNTAXES
def test_elements_carry_their_vr_where_the_encoding_has_it(syntax: Syntax) -> None:
    [element] = read(encoded(syntax, (PATIENT_NAME, "Doe")), syntax)

    assert element.vr == (b"PN" if syntax.explicit else None)


@pytest.mark.parametrize(
    "vr", ["OB", "OD", "OF", "OL", "OV", "OW", "SV", "UC", "UN", "UR", "UT", "UV"]
)
def test_vrs_with_long_headers_are_known(vr: str) -> None:
    data = encoded(EXPLICIT_LITTLE, (0x00091001, Raw(vr, b"x" * 70000)))

    assert read(data, EXPLICIT_LITTLE) == [Element(0x00091001, vr.encode(), 12, 70000)]


def test_an_unknown_vr_is_taken_to_have_a_long_header() -> None:
    data = b"\x09\0\x01\x10ZZ\0\0\x04\0\0\0abcd"

    assert read(data, EXPLICIT_LITTLE) == [Element(0x00091001, b"ZZ", 12, 4)]


def test_an_implicit_element_among_explicit_ones_is_read() -> None:
    data = (
        encoded(EXPLICIT_LITTLE, (0x00080060, "CT"))
        + encoded(IMPLICIT_LITTLE, (PATIENT_NAME, "Doe^"))
        + encoded(EXPLICIT_LITTLE, (0x00100020, "1 "))
    )

    assert tags(data) == [0x00080060, PATIENT_NAME, 0x00100020]


@SYNTAXES
@pytest.mark.parametrize("lost", [1, 3, 5, 8, 11])
def test_what_is_cut_off_is_left_out(syntax: Syntax, lost: int) -> None:
    data = encoded(syntax, (0x00080060, "CT"), (PATIENT_NAME, "Doe^"))

    found = read(data[:-lost], syntax)

    assert [each.tag for each in found] == [0x00080060]


def test_a_value_costs_nothing_until_it_is_read() -> None:
    big = encoded(EXPLICIT_LITTLE, (0x00091001, Raw("OB", bytes(10_000_000))))
    source = CountingSource(big + encoded(EXPLICIT_LITTLE, (PATIENT_NAME, "Doe")))

    found = list(elements(Window(source, 4096), 0, source.size, EXPLICIT_LITTLE))

    assert [each.tag for each in found] == [0x00091001, PATIENT_NAME]
    assert source.bytes_read <= 2 * 4096


def test_an_unknown_value_of_undefined_length_is_implicit_little_endian_inside() -> (
    None
):
    inner = encoded(IMPLICIT_LITTLE, (PATIENT_NAME, "Doe^"))
    hidden = ITEM + UNDEFINED + inner + ITEM_END + SEQUENCE_END
    private = b"\x09\0\x01\x10UN\0\0" + UNDEFINED + hidden
    data = private + encoded(EXPLICIT_LITTLE, (0x00100020, "1"))

    assert tags(data) == [0x00091001, 0x00100020]


def test_fragments_of_pixels_are_passed_over() -> None:
    fragments = ITEM + b"\0\0\0\0" + ITEM + b"\x02\0\0\0\xff\xd8" + SEQUENCE_END
    data = b"\xe0\x7f\x10\0OB\0\0" + UNDEFINED + fragments
    data += encoded(EXPLICIT_LITTLE, (0xFFFCFFFC, Raw("OB", b"\0\0")))

    assert tags(data) == [0x7FE00010, 0xFFFCFFFC]


def nested_sequence(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = (
            b"\x40\0\x30\xa7SQ\0\0"
            + (UNDEFINED + ITEM + UNDEFINED)
            + (data + ITEM_END + SEQUENCE_END)
        )
    return data


def test_sequences_may_nest_as_deeply_as_real_ones_do() -> None:
    assert tags(nested_sequence(MAX_DEPTH)) == [CONTENT]


@pytest.mark.slow
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 10_000])
def test_deeper_nesting_is_refused(depth: int) -> None:
    with pytest.raises(ElementError, match="nest deeper"):
        tags(nested_sequence(depth))


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (ITEM + UNDEFINED, "item of undefined length has no end"),
        (ITEM + UNDEFINED + ITEM_END, "sequence of undefined length has no end"),
        (ITEM + b"\0\0\0\0", "sequence of undefined length has no end"),
        (b"", "sequence of undefined length has no end"),
        (b"\x10\0\x10\0PN\x02\0ab", "no item in a sequence"),
        (ITEM + b"\0\0\0\x7f", "sequence of undefined length has no end"),
    ],
    ids=["item", "sequence", "defined-item", "nothing", "no-item", "too-long-item"],
)
def test_an_undefined_length_that_is_not_closed_is_an_error(
    tail: bytes, message: str
) -> None:
    with pytest.raises(ElementError, match=message):
        tags(b"\x40\0\x30\xa7SQ\0\0" + UNDEFINED + tail)


def test_an_item_delimitation_ends_the_run() -> None:
    data = encoded(EXPLICIT_LITTLE, (PATIENT_NAME, "Doe")) + ITEM_END + b"whatever"

    assert tags(data) == [PATIENT_NAME, ITEM_DELIMITATION]


@SYNTAXES
@pytest.mark.parametrize("undefined_items", [False, True], ids=["defined", "undefined"])
@pytest.mark.parametrize("undefined", [False, True], ids=["defined", "undefined"])
def test_the_items_of_a_sequence_are_found_in_every_form(
    syntax: Syntax, undefined: bool, undefined_items: bool
) -> None:
    contents = [{"PatientID": "1"}, {}, {"PatientID": "22", "PatientName": "Doe"}]
    sequence = Items(contents, undefined, undefined_items)
    data = encoded(syntax, (CONTENT, sequence)) + bytes(40)
    window = Window(BytesSource(data))
    [element] = list(elements(window, 0, len(data) - 40, syntax))
    end = len(data) - 40

    found = [
        [each.tag for each in elements(window, start, stop, syntax)]
        for start, stop in items(window, element.start, end, syntax)
    ]

    found = [[tag for tag in each if tag != ITEM_DELIMITATION] for each in found]
    assert found == [[0x00100020], [], [0x00100010, 0x00100020]]


def test_a_sequence_that_is_cut_off_is_an_error() -> None:
    window = Window(BytesSource(ITEM))

    with pytest.raises(ElementError, match="cut off"):
        list(items(window, 0, 100, EXPLICIT_LITTLE))


@SYNTAXES
@pytest.mark.parametrize(
    "first", [0x00020000, 0x00041130, 0x00080005], ids=["meta", "directory", "instance"]
)
def test_an_encoding_is_known_by_its_first_element(syntax: Syntax, first: int) -> None:
    value: Value = 4 if first == 0x00020000 else "ISO_IR 6"

    found = sniff(encoded(syntax, (first, value)))

    assert (found.explicit, found.little) == (syntax.explicit, syntax.little)


@SYNTAXES
def test_integers_have_the_byte_order_of_the_encoding(syntax: Syntax) -> None:
    data = (0x01020304).to_bytes(4, "little" if syntax.little else "big")

    assert syntax.integer(data) == 0x01020304


def test_an_error_says_where() -> None:
    with pytest.raises(ElementError, match="at offset 12") as caught:
        tags(b"\x40\0\x30\xa7SQ\0\0" + UNDEFINED)

    assert caught.value.offset == 12
