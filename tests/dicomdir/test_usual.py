"""Usual records found many at a time, against looking at one after the other."""

import struct
from array import array
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final

import pytest

from dicomfs.dicom import tags
from dicomfs.dicom.element import ITEM, Syntax
from dicomfs.dicomdir import indexing as index_module
from dicomfs.dicomdir import usual
from dicomfs.dicomdir.directory import Directory
from dicomfs.dicomdir.index import Index
from dicomfs.dicomdir.indexing import read_index
from dicomfs.dicomdir.recovery.ladder import as_written
from dicomfs.dicomdir.recovery.plain import is_plain
from dicomfs.dicomdir.usual import Kinds, Run
from dicomfs.errors import DirectoryError, NotDicomError
from dicomfs.source.source import BytesSource
from tests.build.breakage import CASES
from tests.build.medium import (
    OMIT,
    Options,
    Record,
    build_dicomdir,
    build_layout,
    icon,
    image,
    patient,
    series,
    study,
)
from tests.build.mutations import media, mutated
from tests.dicomdir.test_models import encodings
from tests.support.amounts import part_of
from tests.support.trees import CountingSource

# The links, the flag and the type, and how long their values are; 16 at most is a type's.
_ELEMENTS: Final = (
    (tags.OFFSET_OF_NEXT_RECORD, b"UL", 4),
    (tags.RECORD_IN_USE_FLAG, b"US", 2),
    (tags.OFFSET_OF_LOWER_ENTITY, b"UL", 4),
    (tags.DIRECTORY_RECORD_TYPE, b"CS", 16),
)


class OneByOne:
    """What ``Piece`` is, made of one record after the other."""

    def __init__(
        self,
        data: bytes,
        _at: int,
        start: int,
        size: int,
        syntax: Syntax,
        kinds: Kinds,
    ) -> None:
        self.data = data
        self._start = start
        self._size = size
        self._syntax = syntax
        self._kinds = kinds

    def run(self, offset: int, most: int) -> Run | None:
        """Return the usual record at *offset* and those behind it, *most* in all."""
        rows: list[tuple[int, ...]] = []
        while len(rows) < most and (row := self._row(offset)) is not None:
            offset = row[0]
            rows.append(row)
        if not rows:
            return None
        ends, offsets, nexts, lowers, in_use, kinds = zip(*rows, strict=True)
        return Run(
            list(offsets),
            array("I", nexts),
            array("I", lowers),
            array("H", in_use),
            bytes(kinds),
            ends[-1],
        )

    def _row(self, offset: int) -> tuple[int, ...] | None:
        at = offset - self._start
        if at < 0 or at + usual.SIZE > len(self.data):
            return None
        tag, _, length, _ = self._syntax.plain_header(self.data, at)
        if tag != ITEM or length < 58 or length == 0xFFFFFFFF:
            return None
        numbers = []
        place = at + 8
        for wanted, kind_of_value, longest in _ELEMENTS:
            tag, vr, size, header = self._syntax.header(self.data, place)
            fits = size <= 16 if longest == 16 else size == longest
            if tag != wanted or vr not in {None, kind_of_value} or not fits:
                return None
            if (vr is None) == self._syntax.explicit:
                return None
            value = self.data[place + header : place + header + size]
            numbers.append(self._syntax.integer(value))
            place += header + size
        end = offset + 8 + length
        kind = self._kinds[self.data[at + 46 : at + 66]]
        if end > self._size or kind == 255:
            return None
        next_, in_use, lower, _ = numbers
        return end, offset, next_, lower, in_use, kind


def read(data: bytes, block: int = 1024 * 1024) -> tuple[Index, int] | None:
    """Return the index in *data* and its root, None where it is not a DICOMDIR."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "_BLOCK", block)
        try:
            directory = Directory(BytesSource(data))
        except (DirectoryError, NotDicomError):
            return None
        return read_index(directory), directory.header.root


def read_one_by_one(data: bytes) -> tuple[Index, int] | None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "Piece", OneByOne)
        return read(data)


def read_carefully(data: bytes) -> Index:
    """Return the index in *data*, each of whose records is read by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module._Reader, "_run", lambda *_: None)
        return read_index(Directory(BytesSource(data)))


def sound() -> list[Record]:
    images = [image(f"1.1.{n}", IconImageSequence=icon(8)) for n in range(1, 9)]
    plain = [image(f"1.2.{n}", in_use=n % 3) for n in range(1, 9)]
    return [
        patient("A", "1", [study("1", [series("1.1", images)])]),
        patient("B", "2", [study("2", [series("2.2", plain)])]),
    ]


def hold(data: bytes) -> None:
    """See that all that is said of *data* in many ways is the same."""
    found = read(data)
    assert found == read_one_by_one(data)
    # Records lie across the borders of what is read at once.
    assert read(data, 700) == found
    if found is not None and is_plain(*found):
        index, root = found
        assert as_written(index).is_sound(index.position(root))


@pytest.mark.slow
def test_media_have_the_same_index_at_once_as_record_by_record() -> None:
    for medium in media():
        hold(medium.dicomdir)


@pytest.mark.slow
@pytest.mark.counted
def test_broken_media_have_the_same_index_at_once_as_record_by_record() -> None:
    for number in range(part_of(4_000)):
        hold(mutated(11, number).dicomdir)


@pytest.mark.slow
def test_media_of_the_catalogue_have_the_same_index_at_once(tmp_path: Path) -> None:
    for case in CASES.values():
        case.write(tmp_path / case.name)

    for path in tmp_path.rglob("*DICOMDIR*"):
        if path.is_file():
            hold(path.read_bytes())


def test_a_usual_index_is_read_as_a_whole_and_is_plainly_sound() -> None:
    layout = build_layout(sound())

    found = read(layout.data)

    assert found is not None
    assert list(found[0].offsets) == sorted(layout.offsets.values())
    assert is_plain(*found)


@encodings
def test_an_index_is_the_same_in_all_encodings_whether_records_are_alike_or_not(
    syntax: Syntax, options: Options
) -> None:
    random = Random(8)
    for _ in range(part_of(40, fewest=2)):
        images = [
            image(
                f"1.1.{random.choice(['', '7.', '77.'])}{n}",
                in_use=random.choice([1] * 9 + [0]),
                DirectoryRecordType=random.choice(
                    ["IMAGE"] * 9 + ["PRIVATE", "ODD", "SR DOCUMENT"]
                ),
                IconImageSequence=icon(2) if random.random() < 0.2 else OMIT,
                SeriesNumber=n if random.random() < 0.1 else OMIT,
            )
            for n in range(50)
        ]
        layout = build_layout(
            [patient("A", "1", [study("1", [series("1.1", images)])])], **options
        )
        data = bytearray(layout.data)
        assert Directory(BytesSource(layout.data)).header.syntax is syntax
        if random.random() < 0.5:
            start = random.choice(list(layout.offsets.values()))
            data[start + random.randrange(60)] = random.choice(
                b"\0\x01\x08\x20\x53\xff"
            )

        found = read(bytes(data))

        with suppress(DirectoryError):
            assert found is not None
            assert found[0] == read_carefully(bytes(data))


def test_records_in_another_order_are_not_plain_and_sound_all_the_same() -> None:
    found = read(build_dicomdir(sound(), record_order=reversed))

    assert found is not None
    index, root = found
    assert not is_plain(index, root)
    assert as_written(index).is_sound(index.position(root))


@pytest.mark.parametrize(
    "target", [0, 8, 0xFFFFFFF0], ids=["none", "no record", "far away"]
)
def test_one_wrong_link_is_not_plain(target: int) -> None:
    layout = build_layout(sound())
    first, *_, last = sorted(layout.offsets.values())
    for wrong in (target, first, last):
        data = bytearray(layout.data)
        struct.pack_into("<L", data, first + 16, wrong)
        found = read(bytes(data))
        assert found is not None
        assert found[0].nexts[0] == wrong
        assert not is_plain(*found)


def test_wrong_lengths_everywhere_do_not_make_each_record_read_the_whole_again() -> (
    None
):
    images = [image(f"1.1.{n}") for n in range(1, 400)]
    data = bytearray(
        build_dicomdir([patient("A", "1", [study("1", [series("1.1", images)])])])
    )
    at = data.find(b"\xfe\xff\x00\xe0")
    count = 0
    while at >= 0:
        length = struct.unpack_from("<L", data, at + 4)[0]
        struct.pack_into("<L", data, at + 4, length - 2)
        at = data.find(b"\xfe\xff\x00\xe0", at + 1)
        count += 1
    source = CountingSource(bytes(data))

    index = read_index(Directory(source))

    assert len(index) == count
    assert source.bytes_read < 4 * len(data)
