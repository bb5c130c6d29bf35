"""A data set with its sequences, sound and hostile."""

import struct
import time
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomfs.dicom import tags
from dicomfs.dicom.dataset import DataSet, read_data_set
from dicomfs.dicom.element import EXPLICIT_LITTLE, sniff
from dicomfs.dicom.header import read_meta
from dicomfs.errors import ElementError
from dicomfs.source.source import BytesSource
from dicomfs.source.window import Window
from tests.build.medium import Items, Raw, Value, instance_bytes

SEQUENCES: Final = {tags.CONTENT_SEQUENCE, tags.CONCEPT_NAME_CODE_SEQUENCE}
SYNTAXES: Final = {
    "explicit": "1.2.840.10008.1.2.1",
    "implicit": "1.2.840.10008.1.2",
    "big endian": "1.2.840.10008.1.2.2",
}


def parsed(data: bytes, most: int = 10_000) -> DataSet:
    """Return the data set of an instance."""
    window = Window(BytesSource(data))
    start = read_meta(window).start
    return read_data_set(window, start, sniff(window.read(start, 8)), SEQUENCES, most)


def shape(found: DataSet) -> list[object]:
    """Return the texts of content items, nested as they are."""
    return [
        (item.attributes.text(tags.TEXT_VALUE), shape(item))
        for item in found.items(tags.CONTENT_SEQUENCE)
    ]


def item(text: str, *below: dict[str, Value]) -> dict[str, Value]:
    return {"TextValue": text, **({"ContentSequence": [*below]} if below else {})}


TREE: Final = [item("a", item("b", item("c")), item("d")), item("e")]
SHAPE: Final[list[object]] = [("a", [("b", [("c", [])]), ("d", [])]), ("e", [])]


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
@pytest.mark.parametrize("form", [False, True], ids=["defined", "undefined"])
def test_items_are_found_however_they_are_written(syntax: str, form: bool) -> None:
    content = Items(TREE, undefined_sequence=form, undefined_items=form)
    found = parsed(instance_bytes({"ContentSequence": content}, syntax=syntax))

    assert shape(found) == SHAPE


def test_sequences_that_nobody_wants_are_passed_over() -> None:
    other = Items([item("x", item("y"))], undefined_sequence=True, undefined_items=True)
    found = parsed(
        instance_bytes({"RequestAttributesSequence": other, "PatientID": "7"})
    )

    assert found.attributes.text(tags.PATIENT_ID) == "7"
    assert not found.sequences


def test_text_is_in_the_character_set_of_the_item_or_of_those_above() -> None:
    content: list[dict[str, Value]] = [
        {"TextValue": "Müller"},
        {"SpecificCharacterSet": "ISO_IR 192", "TextValue": "山田"},
    ]
    data = instance_bytes(
        {"SpecificCharacterSet": "ISO_IR 100", "ContentSequence": content}
    )

    assert shape(parsed(data)) == [("Müller", []), ("山田", [])]


@pytest.mark.parametrize(
    ("syntax", "form"), [(s, f) for s in SYNTAXES.values() for f in "f"]
)
def test_numbers_are_in_the_order_of_the_data_set(syntax: str, form: str) -> None:
    found = parsed(instance_bytes({"GraphicData": [1.5, -2.0]}, syntax=syntax))

    assert found.numbers(tags.GRAPHIC_DATA, form) == [1.5, -2.0]


def test_a_number_that_is_cut_is_left_out() -> None:
    found = parsed(instance_bytes({"GraphicData": Raw("FL", bytes(6))}))

    assert found.numbers(tags.GRAPHIC_DATA, "f") == [0.0]


def nested(depth: int, undefined: bool) -> bytes:
    """Return content sequences in each other."""
    inner = b""
    for _ in range(depth):
        if undefined:
            ends = b"\xfe\xff\x0d\xe0" + bytes(4), b"\xfe\xff\xdd\xe0" + bytes(4)
            inner = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + inner + ends[0]
            head = struct.pack("<HH2sHL", 0x40, 0xA730, b"SQ", 0, 0xFFFFFFFF)
            inner = head + inner + ends[1]
        else:
            inner = b"\xfe\xff\x00\xe0" + struct.pack("<L", len(inner)) + inner
            head = struct.pack("<HH2sHL", 0x40, 0xA730, b"SQ", 0, len(inner))
            inner = head + inner
    return inner


def read(data: bytes) -> DataSet:
    return read_data_set(Window(BytesSource(data)), 0, EXPLICIT_LITTLE, SEQUENCES)


@pytest.mark.parametrize("undefined", [False, True])
def test_nesting_has_a_bound(undefined: bool) -> None:
    assert shape(read(nested(64, undefined)))
    with pytest.raises(ElementError, match="deeper"):
        read(nested(65, undefined))


@pytest.mark.slow
def test_deep_and_broad_costs_what_it_is_long() -> None:
    wide = b"".join(struct.pack("<HH2sH", 0x40, 0xA010, b"CS", 0) for _ in range(9_000))

    def seconds(data: bytes) -> float:
        begun = time.process_time()
        read(data)
        return time.process_time() - begun

    deep = nested(60, True)
    at = len(deep) // 2
    least = min(seconds(wide) for _ in range(3))
    assert (
        min(seconds(deep[:at] + wide + deep[at:]) for _ in range(3)) < 10 * least + 0.05
    )


def test_there_is_a_bound_of_elements() -> None:
    with pytest.raises(ElementError, match="too many"):
        parsed(instance_bytes({"ContentSequence": TREE}), most=5)


DAMAGE: Final[dict[str, Callable[[bytes], bytes]]] = {
    "cut": lambda data: data[:-7],
    "a length of 4 GiB": lambda data: data.replace(
        b"UT\0\0\x02\0\0\0", b"UT\0\0\xfe\xff\xff\xff"
    ),
    "no item": lambda data: data.replace(b"\xfe\xff\x00\xe0", b"\xfe\xff\x01\xe0"),
    "no end": lambda data: data.replace(b"\xfe\xff\xdd\xe0", b"\xfe\xff\xde\xe0"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_is_damaged_is_an_error(damage: Callable[[bytes], bytes]) -> None:
    content = Items(TREE, undefined_sequence=True)
    data = instance_bytes({"ContentSequence": content}, size=None)
    broken = damage(data)
    assert broken != data

    with pytest.raises(ElementError):
        parsed(broken)


@pytest.mark.slow
@given(st.data())
def test_nothing_but_element_errors_comes_of_damage(data: st.DataObject) -> None:
    form = data.draw(st.booleans())
    content = Items(TREE, undefined_sequence=form, undefined_items=form)
    sound = bytearray(instance_bytes({"ContentSequence": content}, size=None))
    start = read_meta(Window(BytesSource(bytes(sound)))).start
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(start, len(sound) - 1))
        sound[at] = data.draw(st.sampled_from([0, 1, 0xE0, 0xFE, 0xFF]))

    try:
        parsed(bytes(sound))
    except ElementError:
        return
