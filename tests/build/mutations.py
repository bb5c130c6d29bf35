"""Sound DICOMDIRs, and thousands of broken ones made of them by number.

The same seed and number give the same bytes on every machine. Places in the bytes are
found by what they look like, not by the code under test: it may be wrong.
"""

import re
import struct
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Final, NamedTuple, TypeAlias

import pydicom

from tests.build.medium import (
    OMIT,
    Items,
    Options,
    Record,
    Value,
    code,
    icon,
    image,
    leaf,
    patient,
    record,
    series,
    study,
    write_medium,
)

_SAMPLES: Final = Path(pydicom.__file__).parent / "data/test_files/dicomdirtests"
# More of a sample's files is only pixels.
_MAX_FILE: Final = 4096

# Every value that names or identifies somebody has it: it must not get into a log.
CANARY: Final = "Canary"


# How writers lay out what they mean.
FORMS: Final[tuple[Options, ...]] = (
    {},
    {"undefined_sequences": True, "undefined_items": True},
    {"explicit": False},
    {"explicit": False, "undefined_items": True},
    {"little_endian": False},
    {"record_order": reversed},
    {"prefix": b"", "meta": None},
)


class Medium(NamedTuple):
    """The bytes of a DICOMDIR, and the files beside it, by path."""

    dicomdir: bytes
    files: dict[str, bytes]


# -- sound media -----------------------------------------------------------------------


@cache
def media() -> tuple[Medium, ...]:
    """Return the media that all others are made of."""
    return (*_built_media(), *_sample_media())


def _sample_media() -> Iterator[Medium]:
    """Yield pydicom's DICOMDIRs, each with the files beside it."""
    for dicomdir in sorted(_SAMPLES.rglob("DICOMDIR*")):
        root = dicomdir.parent
        files = {
            str(path.relative_to(root)): path.read_bytes()[:_MAX_FILE]
            for path in sorted(root.rglob("*"))
            if path.is_file() and "DICOMDIR" not in path.name
        }
        yield Medium(dicomdir.read_bytes(), files)


def _built_media() -> Iterator[Medium]:
    for form in FORMS:
        yield _built(_rich_medium(), form)
    yield _built(_flat_medium(), {})
    yield _built(_many_tongues(), {})
    yield _built([], {})


def _built(medium: list[Record], form: Options) -> Medium:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_medium(root, medium, **form)
        files = {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }
    return Medium(files.pop("DICOMDIR"), files)


def _rich_medium() -> list[Record]:
    """Return records of many kinds, with nested sequences and private elements."""
    private: dict[int, Value] = {
        0x00090010: "SOMEBODY",
        0x00091001: Items([{0x00091002: b"x" * 40}, {}], True, True),
    }
    slices = [
        image(f"1.2.3.{n}", number=n, IconImageSequence=icon(4)) for n in range(1, 5)
    ]
    report = leaf(
        "SR DOCUMENT",
        "1.2.4.1",
        ConceptNameCodeSequence=code("11528-7", "LN", f"Report {CANARY}"),
    )
    lent = record("MRDR", file="IMAGES/LENT", attributes=private)
    borrower = leaf("IMAGE", "1.2.5.1", file=OMIT, MRDRDirectoryRecordOffset=lent)
    below = [
        series("1.2.3", slices, number=1, description=f"Lung {CANARY}"),
        # Its description has to be read from an instance.
        series("1.2.4", [report], number=2, modality="SR"),
        series("1.2.5", [borrower], number=3, description="Lent"),
    ]
    return [
        patient(
            f"{CANARY}^Jürgen",
            f"{CANARY}1",
            [study("1.2", below, description=f"Thorax {CANARY}", attributes=private)],
            SpecificCharacterSet="ISO_IR 100",
            attributes=private,
        ),
        patient(
            f"{CANARY}^Jane",
            f"{CANARY}2",
            [study("1.3", [series("1.3.1", [image("1.3.1.1")], description="Head")])],
        ),
        leaf("HANGING PROTOCOL", "1.9", HangingProtocolName="Protocol"),
        lent,
    ]


def _flat_medium() -> list[Record]:
    """Return records that lack the levels above them; one is inactive."""
    whose: dict[str, Value] = {
        "PatientID": f"{CANARY}3",
        "PatientName": f"{CANARY}^Flat",
        "StudyInstanceUID": "1.4",
        "SeriesInstanceUID": "1.4.1",
    }
    return [
        *(image(f"1.4.1.{n}", number=n, header=whose) for n in range(1, 4)),
        series("1.5", [image("1.5.1", header=whose)], **whose),
        study("1.6", [series("1.6.1", [image("1.6.1.1")])], in_use=0),
    ]


def _many_tongues() -> list[Record]:
    """Return a patient for each of several character sets, extensions among them."""
    names: dict[str, str | bytes] = {
        "ISO_IR 192": f"{CANARY}^José=山田^太郎=やまだ^たろう",
        "GB18030": f"{CANARY}^Xiao=王^小东",
        "ISO_IR 144": f"Люксембург^{CANARY}",
        "ISO_IR 13": f"{CANARY}^ﾔﾏﾀﾞ",
        "\\ISO 2022 IR 87": b"Canary^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
        "\\ISO 2022 IR 149": b"Canary^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7",
    }
    return [
        patient(
            name,
            f"{CANARY}{number}",
            [
                study(
                    f"1.7.{number}",
                    [series(f"1.7.{number}.1", [image(f"1.7.{number}.1.1")])],
                    SpecificCharacterSet=term,
                )
            ],
            SpecificCharacterSet=term,
        )
        for number, (term, name) in enumerate(names.items())
    ]


# -- places in the bytes ---------------------------------------------------------------

_ITEM: Final = re.compile(rb"\xfe\xff\x00\xe0|\xff\xfe\xe0\x00")
_LONG_VRS: Final = frozenset({b"SQ", b"OB", b"OW", b"UN", b"UT"})
_LINKS: Final = (0x00041200, 0x00041202, 0x00041400, 0x00041420, 0x00041504)
_IN_USE: Final = 0x00041410
_TYPE: Final = 0x00041430
_FILE_ID: Final = 0x00041500
_CHARACTER_SET: Final = 0x00080005
_TEXTS: Final = (
    *(0x00100010, 0x00100020, 0x00081030, 0x0008103E, 0x00080060, 0x00080104),
    *(0x00200010, 0x00200011, 0x00200013, 0x00080020, 0x00080030, 0x00041511),
)


class Place(NamedTuple):
    """An element: where its header and its value begin, and how long that is."""

    header: int
    value: int
    length: int


def item_starts(data: bytes | bytearray) -> list[int]:
    """Return where items seem to begin."""
    return [found.start() for found in _ITEM.finditer(data)]


def _places(data: bytearray, *tags: int) -> list[Place]:
    """Return where elements of *tags* seem to lie, in any encoding."""
    return [
        place
        for tag in tags
        for order in "<>"
        for found in re.finditer(re.escape(_tag_bytes(order, tag)), data)
        if (place := _place(data, found.start(), order)) is not None
    ]


def _tag_bytes(order: str, tag: int) -> bytes:
    return struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)


def _place(data: bytearray, at: int, order: str) -> Place | None:
    vr = bytes(data[at + 4 : at + 6])
    if vr in _LONG_VRS:
        form, skip = "L", 8
    elif vr.isalpha() and vr.isupper():
        form, skip = "H", 6
    else:
        form, skip = "L", 4
    size = struct.calcsize(form)
    value = at + skip + size
    if value > len(data):
        return None
    [length] = struct.unpack_from(order + form, data, at + skip)
    return Place(at, value, length) if value + length <= len(data) else None


def _order(data: bytearray) -> str:
    return ">" if b"\xff\xfe\xe0\x00" in data else "<"


# -- mutations -------------------------------------------------------------------------

Mutation: TypeAlias = Callable[[bytearray, Random], None]

_TYPES: Final = (
    *(b"PATIENT", b"STUDY", b"SERIES", b"IMAGE", b"MRDR", b"PRIVATE", b"HL7 STRUC DOC"),
    *(b"", b"ROOT", b"TOPIC", b"PALETTE", b"IMPLANT", b"SR DOCUMENT", b"\xff\0/.."),
)
_CHARACTER_SETS: Final = (
    *(b"ISO_IR 192", b"GB18030", b"GBK", b"ISO_IR 13", b"ISO_IR 203", b"nonsense"),
    *(
        b"\\ISO 2022 IR 87",
        b"\\ISO 2022 IR 58",
        b"ISO 2022 IR 149",
        b"\\\\\\\\",
        b"\xff",
    ),
)
_FILE_IDS: Final = (
    *(b"..\\..\\..\\SECRET", b"\\ETC\\PASSWD", b"C:\\IMAGES", b"DICOMDIR", b"\0\0\0"),
    *(b"IMAGES", b"A\\" * 40, b"\\\\\\\\", b"/", b"IMAGES\0\\X", b"\xe4\xf6", b". ."),
)
TEXT: Final = (
    *(b"\x1b$B", b"\x1b)I", b"\x1b(B;3ED", b"\x1b", b"../../x", b"\0\0", b"\r\n\t\f"),
    *("\u202e\u2066\u200b".encode(), b"^^^^=====", b"CON.", b"-rf *", b" . .", b"\x85"),
    *(b"\xff\xfe\xfd", b"99999999999999", b"-1", b"00000000", b"99991331", b"\\" * 9),
)
_LENGTHS: Final = (0, 1, 2, 3, 7, 8, 0x7FFF, 0xFFFE, 0xFFFF)
_LONG_LENGTHS: Final = (
    *_LENGTHS,
    *(0x10000, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFE, 0xFFFFFFFF),
)
_VRS: Final = (b"SQ", b"UN", b"OB", b"UT", b"UL", b"US", b"AT", b"xx", b"ZZ", b"\0\0")


def mutated(seed: int, number: int) -> Medium:
    """Return a broken medium, the same one for the same *seed* and *number*."""
    random = Random(f"{seed} {number}")
    sound = random.choice(media())
    data = bytearray(sound.dicomdir)
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        mutate(data, random)
    files = sound.files
    if files and random.random() < _HEADERS_TOO:
        name = random.choice(list(files))
        content = bytearray(files[name])
        random.choice((_flip_bits, _overwrite_run, _cut_off, _lie_about_length))(
            content, random
        )
        files = files | {name: bytes(content)}
    return Medium(bytes(data), files)


_HEADERS_TOO: Final = 0.25


def mutate(data: bytearray, random: Random) -> None:
    """Break the DICOMDIR *data* in one way."""
    random.choice(_MUTATIONS)(data, random)


def _flip_bits(data: bytearray, random: Random) -> None:
    for _ in range(random.randint(1, 16) if data else 0):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _overwrite_run(data: bytearray, random: Random) -> None:
    at, size = random.randrange(len(data) + 1), random.randint(1, 64)
    filler = random.choice((b"\0", b"\xff", b" ", b"\\", random.randbytes(1)))
    run = filler * size if random.random() < 0.7 else random.randbytes(size)
    data[at : at + size] = run[: len(data[at : at + size])]


def _cut_off(data: bytearray, random: Random) -> None:
    del data[random.randrange(len(data) + 1) :]


def _shift(data: bytearray, random: Random) -> None:
    """Put bytes in or take some out: all that follows is elsewhere now."""
    at, size = random.randrange(len(data) + 1), random.randint(1, 40)
    if random.random() < 0.5:
        data[at:at] = random.randbytes(size)
    else:
        del data[at : at + size]


def _repeat_item(data: bytearray, random: Random) -> None:
    start, end = _one_item(data, random)
    at = random.choice([*item_starts(data), len(data)])
    data[at:at] = data[start:end] * random.choice((1, 1, 2, 20))


def _remove_item(data: bytearray, random: Random) -> None:
    start, end = _one_item(data, random)
    del data[start:end]


def _swap_items(data: bytearray, random: Random) -> None:
    (one, one_end), (other, other_end) = sorted(
        (_one_item(data, random), _one_item(data, random))
    )
    if one_end <= other:
        first, between = data[one:one_end], data[one_end:other]
        data[one:other_end] = data[other:other_end] + between + first


def _one_item(data: bytearray, random: Random) -> tuple[int, int]:
    starts = [*item_starts(data), len(data)]
    place = random.randrange(len(starts))
    return starts[place], starts[min(place + 1, len(starts) - 1)]


def _change_link(data: bytearray, random: Random) -> None:
    """Let a link lead to another record, itself, nowhere, or between records."""
    for place in _some(_places(data, *_LINKS), random):
        starts = item_starts(data) or [0]
        before = max((start for start in starts if start < place.header), default=0)
        target = random.choice(
            (
                random.choice(starts),
                random.choice(starts),
                before,
                starts[0],
                0,
                random.choice(starts) + random.choice((-8, -1, 1, 2, 8, 12)),
                len(data),
                0xFFFFFFFF,
                random.getrandbits(32),
            )
        )
        _put(data, place, struct.pack(_order(data) + "L", max(target, 0)))


def _shift_links(data: bytearray, random: Random) -> None:
    """Let all links be off by the same distance."""
    order, delta = _order(data), random.choice((-132, -8, -2, 1, 8, 128, 0x10000))
    for place in _places(data, *_LINKS):
        if place.length == 4:
            [target] = struct.unpack_from(order + "L", data, place.value)
            moved = (target + delta) % 2**32 if target else 0
            _put(data, place, struct.pack(order + "L", moved))


def _swap_links(data: bytearray, random: Random) -> None:
    if places := _places(data, *_LINKS):
        one, other = random.choice(places), random.choice(places)
        first = bytes(data[one.value : one.value + 4])
        _put(data, one, bytes(data[other.value : other.value + 4]))
        _put(data, other, first)


def _lie_about_length(data: bytearray, random: Random) -> None:
    """Give an item or an element another length."""
    if random.random() < 0.5 and (starts := item_starts(data)):
        length = struct.pack(_order(data) + "L", random.choice(_LONG_LENGTHS))
        at = random.choice(starts) + 4
        data[at : at + 4] = length[: len(data[at : at + 4])]
        return
    for place in _some(_places(data, *_LINKS, _TYPE, _FILE_ID, *_TEXTS), random):
        is_short = place.value - place.header == 8 and data[place.header + 4] >= 0x41
        form, lengths = ("H", _LENGTHS) if is_short else ("L", _LONG_LENGTHS)
        at = place.value - struct.calcsize(form)
        struct.pack_into(_order(data) + form, data, at, random.choice(lengths))


def _change_vr(data: bytearray, random: Random) -> None:
    tags = (*_LINKS, _TYPE, _FILE_ID, _CHARACTER_SET, *_TEXTS)
    for place in _some(_places(data, *tags), random):
        data[place.header + 4 : place.header + 6] = random.choice(_VRS)


def _nest(data: bytearray, random: Random) -> None:
    """Put sequences in sequences into a record, closed or not."""
    order, depth = _order(data), random.choice((1, 5, 63, 64, 65, 500, 5000))
    sequence = _tag_bytes(order, 0x00081140) + b"SQ\0\0\xff\xff\xff\xff"
    item = _tag_bytes(order, 0xFFFEE000) + b"\xff\xff\xff\xff"
    end = _tag_bytes(order, 0xFFFEE00D) + bytes(4) + _tag_bytes(order, 0xFFFEE0DD)
    closing = (end + bytes(4)) * random.choice((0, depth // 2, depth, depth + 1))
    at = random.choice([*item_starts(data), len(data)]) + random.choice((0, 8))
    data[at:at] = random.choice((sequence + item, item)) * depth + closing


def _change_type(data: bytearray, random: Random) -> None:
    _overwrite(data, random, (_TYPE,), _TYPES, b" ")


def _change_character_set(data: bytearray, random: Random) -> None:
    _overwrite(data, random, (_CHARACTER_SET,), _CHARACTER_SETS, b" ")


def _change_file_id(data: bytearray, random: Random) -> None:
    _overwrite(data, random, (_FILE_ID,), _FILE_IDS, b" ")


def _change_text(data: bytearray, random: Random) -> None:
    _overwrite(data, random, _TEXTS, TEXT, random.choice((b" ", b"\0", b"\xe4", b"=")))


def _change_use(data: bytearray, random: Random) -> None:
    _overwrite(data, random, (_IN_USE,), (b"\0\0", b"\1\0", b"\xff\xff"), b"\0")


def _overwrite(
    data: bytearray,
    random: Random,
    tags: tuple[int, ...],
    values: tuple[bytes, ...],
    padding: bytes,
) -> None:
    """Put other values in the place of those of *tags*, as far as there is room."""
    for place in _some(_places(data, *tags), random):
        _put(data, place, random.choice(values).ljust(place.length, padding))


def _splice(data: bytearray, random: Random) -> None:
    """Go on like another DICOMDIR from some item on."""
    other = random.choice(media()).dicomdir
    here = random.choice([*item_starts(data), len(data)])
    data[here:] = other[random.choice([*item_starts(other), len(other)]) :]


def _some(places: list[Place], random: Random) -> list[Place]:
    """Return one of *places*, a few, or all."""
    count = random.choice((1, 1, 1, 3, len(places)))
    return random.sample(places, min(count, len(places)))


def _put(data: bytearray, place: Place, value: bytes) -> None:
    value = value[: place.length]
    data[place.value : place.value + len(value)] = value


_MUTATIONS: Final[tuple[Mutation, ...]] = (
    _flip_bits,
    _overwrite_run,
    _cut_off,
    _shift,
    _repeat_item,
    _remove_item,
    _swap_items,
    _change_link,
    _change_link,
    _shift_links,
    _swap_links,
    _lie_about_length,
    _lie_about_length,
    _change_vr,
    _nest,
    _change_type,
    _change_character_set,
    _change_file_id,
    _change_text,
    _change_use,
    _splice,
)
