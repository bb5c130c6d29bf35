"""Records like those that were read before, against reading each by itself."""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Final

import pytest

from dicomfs.dicom import tags
from dicomfs.dicom.element import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_BIG,
    IMPLICIT_LITTLE,
    Syntax,
)
from dicomfs.dicomdir.models import MOST_LAYOUTS, Models
from dicomfs.dicomdir.record import DirectoryRecord, read_record
from dicomfs.errors import DirectoryError
from dicomfs.source.source import BytesSource
from dicomfs.source.window import Window
from tests.build.medium import (
    OMIT,
    Layout,
    Options,
    Raw,
    Record,
    build_layout,
    element_bytes,
    icon,
    image,
    patient,
    series,
    study,
)
from tests.support.amounts import part_of
from tests.support.trees import CountingSource

ENCODINGS: Final[dict[str, tuple[Syntax, Options]]] = {
    f"{name}, {lengths}": (syntax, {**options, **undefined})
    for name, syntax, options in (
        ("explicit little", EXPLICIT_LITTLE, Options()),
        ("implicit little", IMPLICIT_LITTLE, Options(explicit=False)),
        ("explicit big", EXPLICIT_BIG, Options(little_endian=False)),
        ("implicit big", IMPLICIT_BIG, Options(explicit=False, little_endian=False)),
    )
    for lengths, undefined in (
        ("defined", Options()),
        ("open items", Options(undefined_items=True)),
        ("open sequences", Options(undefined_sequences=True)),
        ("all open", Options(undefined_items=True, undefined_sequences=True)),
    )
}
encodings = pytest.mark.parametrize(
    ("syntax", "options"), ENCODINGS.values(), ids=ENCODINGS
)


def outcome(
    data: bytes,
    offset: int,
    models: Models | None = None,
    syntax: Syntax = EXPLICIT_LITTLE,
) -> DirectoryRecord | type[DirectoryError]:
    """Return the record at *offset*, or the error that says that there is none."""
    window = Window(BytesSource(data), 4096)
    try:
        if models is None:
            return read_record(window, offset, syntax, len(data))
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
            IconImageSequence=icon(2) if n % 5 else OMIT,
            attributes={0x00280010: 512} if n % 11 else {},
        )
        for n in range(count)
    ]
    return [patient("Doe", "1", [study("1.2", [series("1.2.3", images)])])]


def known(layout: Layout, syntax: Syntax) -> Models:
    """Return models that know the records of *layout*."""
    models = Models(syntax, len(layout.data))
    offsets = list(layout.offsets.values())
    for seed in range(4):
        Random(seed).shuffle(offsets)
        for offset in offsets:
            outcome(layout.data, offset, models, syntax)
    return models


@encodings
def test_a_record_like_one_before_says_what_its_own_bytes_say(
    syntax: Syntax, options: Options
) -> None:
    layout = build_layout(long_series(), **options)
    offsets = list(layout.offsets.values())
    models = Models(syntax, len(layout.data))

    for seed in range(4):
        Random(seed).shuffle(offsets)
        for offset in offsets:
            found = outcome(layout.data, offset, models, syntax)
            assert found == outcome(layout.data, offset, syntax=syntax)
    assert len(models) > 3


@encodings
def test_records_that_touch_each_other_say_the_same_many_at_a_time(
    syntax: Syntax, options: Options
) -> None:
    layout = build_layout(long_series(), **options)
    models = known(layout, syntax)
    window = Window(BytesSource(layout.data), len(layout.data))
    window.load(0)

    longest = 0
    for offset in layout.offsets.values():
        if (run := models.run(window, offset, 99)) is None:
            continue
        longest = max(longest, len(run.starts))
        for number, each in enumerate(run.starts):
            record = read_record(window, each, syntax, len(layout.data))
            found = {*run.places, *run.same}
            values = {tag: run.values(tag)[number] for tag in found}
            assert syntax.integer(values[tags.OFFSET_OF_NEXT_RECORD]) == record.next
            assert record.attributes.values.items() <= values.items()
            assert any(values[tags.RECORD_IN_USE_FLAG]) == record.in_use
        end = read_record(window, run.starts[-1], syntax, len(layout.data))
        is_open = options.get("undefined_items", False)
        assert run.end == end.offset + end.length + (8 if is_open else 0)
    assert longest > 2


@pytest.mark.slow
@pytest.mark.counted
@encodings
def test_a_changed_record_is_never_taken_for_one_before(
    syntax: Syntax, options: Options
) -> None:
    layout = build_layout(long_series(), **options)
    offsets = list(layout.offsets.values())
    models = known(layout, syntax)
    random = Random(4)
    other, tries = 0, part_of(600)
    for _ in range(tries):
        offset = random.choice(offsets)
        changed = bytearray(layout.data)
        for place in random.sample(range(offset, offset + 150), random.randint(1, 3)):
            if place < len(changed):
                changed[place] = random.choice([0, 1, 8, 0x20, 0x31, 0x53, 0xFF])
        data = bytes(changed)

        found = outcome(data, offset, models, syntax)
        window = Window(BytesSource(data), len(data))
        window.load(0)
        run = models.run(window, offset, 99)

        assert found == outcome(data, offset, syntax=syntax)
        if run is not None:
            assert isinstance(found, DirectoryRecord)
            is_open = options.get("undefined_items", False)
            end = found.offset + found.length + (8 if is_open else 0)
            assert end == (*run.starts, run.end)[1]
        other += found != outcome(layout.data, offset, syntax=syntax)
    assert other > tries / 3


def test_a_record_without_a_type_is_no_model() -> None:
    inside = element_bytes(0x00041511, "1.2") + element_bytes(0x00200013, "1 ")
    short = b"\xfe\xff\x00\xe0" + len(inside).to_bytes(4, "little") + inside
    # The length of the second is wrong: its type comes behind it.
    data = bytes(8) + short + short + element_bytes(0x00041430, "IMAGE ")

    first, second = 8, 8 + len(short)
    models = Models(EXPLICIT_LITTLE, len(data))
    places = (*[first] * 9, second)
    found = [outcome(data, at, models) for at in places]

    assert found == [outcome(data, at) for at in places]
    assert found[0] != found[-1]


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
    records = [
        patient("Doe", "1", attributes={0x00090010 + n % 40: "x"}) for n in range(999)
    ]
    layout = build_layout(records)
    one, other = (Models(EXPLICIT_LITTLE, len(layout.data)) for _ in range(2))
    window = Window(BytesSource(layout.data), len(layout.data))

    sizes = set()
    for offset in layout.offsets.values():
        one.read(window, offset)
        sizes.add(len(one))

    assert max(sizes) == MOST_LAYOUTS
    assert len(other) == 0
