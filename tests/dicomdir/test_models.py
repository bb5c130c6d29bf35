"""Records like those that were read before, against reading each by itself."""

from collections.abc import Callable
from functools import partial
from random import Random

import pytest

from dicomfs.dicom.element import EXPLICIT_LITTLE
from dicomfs.dicomdir.models import MOST_MODELS, Models
from dicomfs.dicomdir.record import DirectoryRecord, read_record
from dicomfs.errors import DirectoryError
from dicomfs.source.source import BytesSource
from dicomfs.source.window import Window
from tests.build.medium import (
    OMIT,
    Raw,
    Record,
    build_layout,
    element_bytes,
    image,
    patient,
    series,
    study,
)
from tests.support.trees import CountingSource


def outcome(
    data: bytes, offset: int, models: Models | None = None
) -> DirectoryRecord | type[DirectoryError]:
    """Return the record at *offset*, or the error that says that there is none."""
    window = Window(BytesSource(data), 4096)
    try:
        if models is None:
            return read_record(window, offset, EXPLICIT_LITTLE, len(data))
        return models.read(window, offset)
    except DirectoryError as error:
        return type(error)


def long_series(count: int = 40) -> list[Record]:
    """Return a series of images, and what is laid out a little differently among them."""
    images = [
        image(
            f"1.2.{10 ** (n % 3)}.{n}",
            number=n if n % 7 else OMIT,
            SpecificCharacterSet="ISO_IR 100" if n % 10 else "ISO_IR 101",
            attributes={0x00280010: 512} if n % 11 else {},
        )
        for n in range(count)
    ]
    return [patient("Doe", "1", [study("1.2", [series("1.2.3", images)])])]


@pytest.mark.parametrize("undefined", [False, True], ids=["defined", "undefined"])
def test_a_record_like_one_before_says_what_its_own_bytes_say(
    undefined: bool,
) -> None:
    layout = build_layout(long_series(), undefined_items=undefined)
    offsets = list(layout.offsets.values())
    models = Models(EXPLICIT_LITTLE, len(layout.data))

    for seed in range(20):
        Random(seed).shuffle(offsets)
        for offset in offsets:
            found = outcome(layout.data, offset, models)
            assert found == outcome(layout.data, offset)


@pytest.mark.slow
def test_a_changed_record_is_never_taken_for_one_before() -> None:
    layout = build_layout(long_series())
    offsets = list(layout.offsets.values())
    models = Models(EXPLICIT_LITTLE, len(layout.data))
    random = Random(4)
    other = 0
    for _ in range(3000):
        offset = random.choice(offsets)
        outcome(layout.data, offset, models)
        changed = bytearray(layout.data)
        for place in random.sample(range(offset, offset + 150), random.randint(1, 3)):
            if place < len(changed):
                changed[place] = random.choice([0, 1, 8, 0x20, 0x31, 0x53, 0xFF])

        found = outcome(bytes(changed), offset, models)

        assert found == outcome(bytes(changed), offset)
        other += found != outcome(layout.data, offset)
    assert other > 2000


def test_a_record_without_a_type_is_no_model() -> None:
    inside = element_bytes(0x00041511, "1.2") + element_bytes(0x00200013, "1 ")
    short = b"\xfe\xff\x00\xe0" + len(inside).to_bytes(4, "little") + inside
    # The length of the second is wrong: its type comes behind it.
    data = bytes(8) + short + short + element_bytes(0x00041430, "IMAGE ")

    first, second = 8, 8 + len(short)
    models = Models(EXPLICIT_LITTLE, len(data))
    found = [outcome(data, at, models) for at in (first, first, second)]

    assert found == [outcome(data, at) for at in (first, first, second)]
    assert found[0] != found[2]


def test_nothing_more_is_read_to_make_a_record_a_model() -> None:
    long = {0x00091001: Raw("LT", b"x" * 900)}
    layout = build_layout([patient(f"Doe{n}", "1", attributes=long) for n in range(9)])

    def reads(read: Callable[[Window, int], DirectoryRecord]) -> list[tuple[int, int]]:
        source = CountingSource(layout.data)
        window = Window(source, 512)
        for offset in layout.offsets.values():
            read(window, offset)
        return source.reads

    end = len(layout.data)
    singly = partial(read_record, syntax=EXPLICIT_LITTLE, end=end)
    assert reads(Models(EXPLICIT_LITTLE, end).read) == reads(singly)


def test_a_directory_learns_nothing_from_another_and_never_very_much() -> None:
    records = [patient("Doe" + "x" * n, "1") for n in range(200)]
    layout = build_layout(records)
    one, other = (Models(EXPLICIT_LITTLE, len(layout.data)) for _ in range(2))
    window = Window(BytesSource(layout.data), len(layout.data))

    sizes = set()
    for offset in layout.offsets.values():
        one.read(window, offset)
        sizes.add(len(one))

    assert max(sizes) == MOST_MODELS
    assert len(other) == 0
