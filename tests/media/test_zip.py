"""ZIP archives as media: read right, or refused member by member."""

import errno
import hashlib
import hmac
import io
import json
import lzma
import os
import random
import struct
import subprocess
import sys
import threading
import zipfile
import zlib
from calendar import timegm
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

import pytest

from dicomfs.errors import CutOffError, Failure, MediumError, PasswordError
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.findings import Kind
from dicomfs.media.medium import Place
from dicomfs.media.zip import decrypt
from dicomfs.media.zip.archive import Zip, recognises
from dicomfs.media.zip.inflate import PIECE, WHOLE
from dicomfs.source.source import BytesSource, Source, Status
from tests.build import archives
from tests.build.archives import DEFLATED, METHODS, STORED, Part, some_bytes, zipped
from tests.support.mounting import need, run
from tests.support.trees import SAMPLES, CountingSource, Seen, folders_in, look

FILES: Final = {
    "DICOM/A": some_bytes(1, 1000),
    "DICOM/B": some_bytes(2, 70_000),
    "DICOM/DEEP/ER/C": b"",
    "README": b"nothing of note",
}
_LARGE: Final = some_bytes(3, WHOLE + 5 * PIECE + 77)
_PASSWORD: Final = b"open sesame"
# What zipfile raises for what is damaged, as far as it was seen.
_OF_ZIPFILE: Final = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, KeyError, OSError, ValueError),
    *(EOFError, NotImplementedError, RuntimeError, struct.error, OverflowError),
)


def opened(data: bytes | Source, *passwords: bytes) -> Zip:
    return Zip(BytesSource(data) if isinstance(data, bytes) else data, passwords)


def place(name: str) -> Place:
    return tuple(os.fsencode(name).split(b"/"))


def read(archive: Zip, name: str) -> bytes:
    """Return all bytes of a member, by reads as the kernel makes them."""
    source = archive.open(place(name))
    try:
        blocks = [
            source.read_at(offset, 1 << 17)
            for offset in range(0, source.size + 1, 1 << 17)
        ]
    finally:
        source.close()
    data = b"".join(blocks)
    assert len(data) == source.size
    return data


def names(archive: Zip, folder: Place = ()) -> list[str]:
    """Return the paths of all files below *folder*, in order."""
    folders = folders_in(archive, folder)
    found = [
        os.fsdecode(b"/".join((*folder, name)))
        for name in archive.names(folder)
        if name not in folders
    ]
    for name in folders:
        found += names(archive, (*folder, name))
    return sorted(found)


def refusal(archive: Zip, name: str) -> OSError:
    """Return why a member cannot be read, which each way to it has to agree on."""
    where = place(name)
    with pytest.raises(OSError, match=r".") as caught:
        read_all(archive.open(where))
    with pytest.raises(OSError, match=r".") as again:
        read_all(archive.open_cached(where) or archive.open(where))
    assert again.value.errno == caught.value.errno
    return caught.value


def read_all(source: Source) -> bytes:
    return source.read_at(0, source.size)


# -- what is read ----------------------------------------------------------------------


@pytest.mark.parametrize("is_streamed", [False, True], ids=["seekable", "streamed"])
@pytest.mark.parametrize("method", METHODS)
def test_members_are_what_the_standard_library_wrote(
    method: int, is_streamed: bool
) -> None:
    archive = opened(zipped(FILES, method, is_streamed=is_streamed))

    assert names(archive) == sorted(FILES)
    assert {name: read(archive, name) for name in FILES} == FILES
    assert not archive.left_out


@pytest.mark.parametrize(
    "command",
    [
        ("zip", "-r", "-0"),
        ("zip", "-r", "-9"),
        ("zip", "-r", "-Z", "bzip2"),
        ("zip", "-r", "-fz"),
        ("7z", "a", "-tzip", "-mx=0"),
        ("7z", "a", "-tzip", "-mx=9"),
        ("7z", "a", "-tzip", "-mm=LZMA"),
        ("7z", "a", "-tzip", "-mm=BZip2"),
    ],
    ids=" ".join,
)
def test_members_are_what_other_tools_wrote(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    need(command[0])
    pack(tmp_path, FILES, *command)
    archive = opened((tmp_path / "out.zip").read_bytes())

    assert names(archive) == sorted(FILES)
    assert {name: read(archive, name) for name in FILES} == FILES


def pack(folder: Path, files: dict[str, bytes], *command: str) -> None:
    """Let a tool pack *files* into ``out.zip``."""
    for name, data in files.items():
        path = folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    done = run([*command, "../out.zip", "."], cwd=folder / "in")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("method", METHODS)
def test_any_range_of_a_member_is_read(method: int) -> None:
    data = some_bytes(4, 300_000)
    source = opened(zipped({"A": data}, method)).open((b"A",))
    ranges = random.Random(5)

    for _ in range(200):
        offset, size = ranges.randrange(320_000), ranges.randrange(100_000)
        assert source.read_at(offset, size) == data[offset : offset + size]
        buffer = bytearray(size)
        count = source.read_cached(offset, memoryview(buffer))
        assert count is not None
        assert buffer[:count] == data[offset : offset + size]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "reads"), [*zip(METHODS, (60, 60, 2, 9), strict=True)]
)
def test_any_range_of_a_large_member_is_read(method: int, reads: int) -> None:
    data = _LARGE if method <= DEFLATED else striped(0, len(_LARGE))
    source = opened(zipped({"A": data}, method)).open((b"A",))
    ranges = random.Random(6)

    for _ in range(reads):
        offset = ranges.randrange(len(data) + 10)
        size = ranges.choice([1, 4096, 1 << 17, 3 * PIECE])
        assert source.read_at(offset, size) == data[offset : offset + size]


def test_a_stored_member_is_read_in_place() -> None:
    data = some_bytes(7, 1 << 20)
    below = CountingSource(zipped({"A": data}, STORED))
    source = opened(below).open((b"A",))
    below.reads.clear()

    assert source.read_at(500_000, 100) == data[500_000:500_100]
    assert [size for _, size in below.reads] == [100]


@pytest.mark.slow
def test_going_back_in_a_large_member_does_not_inflate_all_of_it_again() -> None:
    packed = zipped({"A": _LARGE})
    below = CountingSource(packed)
    archive = opened(below)
    source = archive.open((b"A",))
    assert source.read_at(len(_LARGE) - 1, 1) == _LARGE[-1:]
    # Seven large members push its pieces out of the cache, but not its states.
    for number in range(7):
        read(opened(zipped({"B": bytes([number]) * WHOLE})), "B")
    below.bytes_read = 0

    offset = 50 * PIECE
    assert source.read_at(offset, 10) == _LARGE[offset : offset + 10]
    assert below.bytes_read < len(packed) / 8


@pytest.mark.slow
def test_one_who_opens_or_stats_does_not_inflate() -> None:
    data = some_bytes(8, 5 << 20)
    below = CountingSource(zipped({"A": data}))
    archive = opened(below)
    below.bytes_read = 0

    archive.open((b"A",))
    assert archive.status((b"A",)).size == len(data)
    assert below.bytes_read < 1000


@pytest.mark.slow
def test_eight_who_read_one_member_inflate_it_once() -> None:
    data = some_bytes(9, 10_000_000)
    packed = zipped({"A": data})
    below = CountingSource(packed)
    archive = opened(below)
    below.bytes_read = 0
    barrier = threading.Barrier(8)

    def work(number: int) -> bytes:
        source = archive.open((b"A",))
        barrier.wait(20)
        return source.read_at(number * 1_000_000, 1_000_000)

    with ThreadPoolExecutor(8) as threads:
        parts = list(threads.map(work, range(8)))

    assert b"".join(parts) == data[:8_000_000]
    # And the header of the member for each, at most.
    assert below.bytes_read < len(packed) + 8 * 1000


@pytest.mark.slow
def test_what_memory_could_not_hold_is_inflated_again() -> None:
    """Eight read twelve members of 8 MB, which are more than are kept."""
    files = {f"{number}": striped(number, 8_000_000) for number in range(12)}
    archive = opened(zipped(files))

    def work(seed: int) -> int:
        chance = random.Random(seed)
        for _ in range(60):
            name = chance.choice(sorted(files))
            offset = chance.randrange(8_000_000)
            source = archive.open(place(name))
            assert (
                source.read_at(offset, 1 << 17)
                == files[name][offset : offset + (1 << 17)]
            )
        return seed

    with ThreadPoolExecutor(8) as threads:
        assert [*threads.map(work, range(8))] == [*range(8)]


def striped(seed: int, size: int) -> bytes:
    """Return bytes that are packed quickly, no two stripes of them alike."""
    stripes = (
        number.to_bytes(4, "big") * 1024 for number in range(seed << 20, 1 << 32)
    )
    return b"".join(islice(stripes, size // 4096 + 1))[:size]


def test_a_member_that_was_closed_is_still_in_memory() -> None:
    below = CountingSource(zipped({"A": some_bytes(10, 1 << 20)}))
    archive = opened(below)
    read(archive, "A")
    below.reads.clear()

    again = archive.open_cached((b"A",))

    assert again is not None
    assert again.read_cached(0, memoryview(bytearray(100))) == 100
    assert below.reads == []


# -- whole media -----------------------------------------------------------------------


@pytest.mark.parametrize("wrapper", ["", "export 7/disc/"], ids=["root", "wrapped"])
@pytest.mark.parametrize("method", [STORED, DEFLATED], ids=["stored", "deflated"])
def test_a_medium_in_an_archive_is_the_tree_of_its_folder(
    method: int, wrapper: str
) -> None:
    archive = opened(zipped(archives.files_in(SAMPLES, wrapper), method))
    expected = comparable(look(SAMPLES))

    assert comparable(look(archive)) == expected
    assert len(expected) > 31


def comparable(tree: dict[str, Seen]) -> dict[str, tuple[bool, int, int, bytes]]:
    """Return of a tree what does not depend on the medium that it lies on."""
    return {
        path: (seen.is_folder, seen.size, seen.error, seen.data)
        for path, seen in tree.items()
    }


# -- names, times, and what is no file -------------------------------------------------


def unicode_path(name: bytes, raw: bytes) -> bytes:
    return archives.extra(0x7075, struct.pack("<BI", 1, zlib.crc32(raw)) + name)


@pytest.mark.parametrize(
    ("part", "path"),
    [
        (Part(b"DICOM/A"), [b"DICOM", b"A"]),
        (Part(b"DICOM\\A"), [b"DICOM", b"A"]),
        (Part(b"./DICOM//./A"), [b"DICOM", b"A"]),
        (Part(b"M\x81LLER/A"), [b"M\x81LLER", b"A"]),
        (Part("Müller/Ä".encode(), central={"flags": 1 << 11}), ["Müller".encode(), "Ä".encode()]),
        # Half of a character in Shift JIS is a backslash.
        (Part("表".encode("cp932") + b"/A"), ["表".encode("cp932"), b"A"]),
        (Part("表".encode() + b"\\A", central={"flags": 1 << 11}), ["表".encode(), b"A"]),
        (Part(b"M\x81", extra=unicode_path("Mü".encode(), b"M\x81")), ["Mü".encode()]),
        (Part(b"M\x81", extra=unicode_path("Mü".encode(), b"other")), [b"M\x81"]),
        (Part(b"N" * 255), [b"N" * 255]),
        (Part(b"\xff\xfe"), [b"\xff\xfe"]),
    ],
)  # fmt: skip
def test_a_name_is_the_path_that_it_means(part: Part, path: list[bytes]) -> None:
    part.data = b"some"
    archive = opened(archives.archive([part]))

    for depth, name in enumerate(path):
        assert archive.names(tuple(path[:depth])) == [name]
    assert archive.open(tuple(path)).read_at(0, 9) == b"some"


_EVIL: Final = (
    *(b"..", b"../A", b"../../etc/passwd", b"A/../../B", b"..\\A", b"A\\..\\..\\B"),
    *(b"/..", b"C:\\..\\A", b"\\\\SERVER\\..\\..\\A", b"C:", b"C:..", b"A\0", b"A\0/../B", b"\0", b"", b".", b"N" * 256),
    *(b"/".join([b"D"] * 33), b"D/" * 5000 + b"A", b"A/..", b"./../A", b"A/" + b"N" * 999),
)  # fmt: skip


@pytest.mark.parametrize("name", _EVIL)
def test_a_member_with_an_evil_name_is_left_out_and_counted(name: bytes) -> None:
    good = Part(b"GOOD", b"good")
    archive = opened(archives.archive([Part(name, b"evil"), good, Part(name)]))

    assert names(archive) == ["GOOD"]
    assert archive.left_out.total() == 2
    assert read(archive, "GOOD") == b"good"
    with pytest.raises(OSError, match=r"."):
        archive.open(tuple(name.split(b"/")))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"/DICOMDIR", "DICOMDIR"),
        (b"//A", "A"),
        (b"/etc/passwd", "etc/passwd"),
        (b"\\etc\\passwd", "etc/passwd"),
        (b"C:\\export\\A", "export/A"),
        (b"c:/export/A", "export/A"),
        (b"C:A", "A"),
        (b"/C:/A", "A"),
        (b"/c:A", "c:A"),
        (b"\\\\srv\\out\\A", "srv/out/A"),
        (b"\\\\?\\C:\\export\\A", "export/A"),
        (b"\\\\.\\A", "A"),
        (b"//./C:/A", "A"),
    ],
)
@pytest.mark.parametrize("flags", [0, 1 << 11], ids=["raw", "UTF-8"])
def test_a_name_that_begins_at_a_root_is_taken_below_that_of_the_archive(
    name: bytes, shown: str, flags: int
) -> None:
    part = Part(name, b"a", central={"flags": flags})
    archive = opened(archives.archive([part, Part(b"B", b"b")]))

    assert names(archive) == sorted([shown, "B"])
    assert read(archive, shown) == b"a"
    [found] = archive.findings()
    assert (found.kind, found.count) == (Kind.ROOTED_NAME, 1)
    assert not found.kind.is_fault


def test_of_names_that_become_the_same_the_last_is_shown() -> None:
    parts = [Part(b"A", b"old"), Part(b"/A", b"new"), Part(b"C:\\B", b"b")]
    archive = opened(archives.archive(parts))

    assert {name: read(archive, name) for name in names(archive)} == {
        "A": b"new",
        "B": b"b",
    }
    assert archive.left_out == {"a name that a later member has, too": 1}


@pytest.mark.parametrize(
    "part",
    [
        Part(b"A", b"some", central={"external": 0x10}),
        Part(b"A", b"some", DEFLATED, central={"external": 0x30}),
        Part(b"A", b"some", central={"external": 0o100644 << 16 | 0x10}),
    ],
)
def test_a_file_with_the_bit_of_a_folder_is_a_file(part: Part) -> None:
    archive = opened(archives.archive([part, Part(b"D/B", b"b")]))

    assert names(archive) == ["A", "D/B"]
    assert read(archive, "A") == b"some"
    assert not archive.left_out


def test_an_empty_file_with_the_bit_of_a_folder_is_one_if_its_mode_says_so() -> None:
    part = Part(b"A", central={"external": 0o100644 << 16 | 0x10})
    archive = opened(archives.archive([part]))

    assert read(archive, "A") == b""


@pytest.mark.parametrize(
    "kind", [0o120777, 0o010644, 0o020644, 0o060644, 0o140755], ids=oct
)
def test_links_devices_and_the_like_are_no_files(kind: int) -> None:
    part = Part(b"A", b"/etc/passwd", central={"external": kind << 16})
    archive = opened(archives.archive([part]))

    assert folders_in(archive, ()) == []
    with pytest.raises(OSError, match="not a regular file"):
        archive.status((b"A",))
    assert refusal(archive, "A").errno == errno.EINVAL


def test_folders_need_no_entries_and_may_have_them_without_a_slash() -> None:
    folder = Part(b"EMPTY", central={"external": 0x10})
    parts = [Part(b"A/B/C", b"c"), Part(b"A/"), Part(b"X/Y/"), folder, Part(b"./")]
    archive = opened(archives.archive(parts))

    assert sorted(folders_in(archive, ())) == [b"A", b"EMPTY", b"X"]
    assert folders_in(archive, (b"X",)) == [b"Y"]
    assert archive.names((b"X", b"Y")) == []
    assert not archive.left_out
    with pytest.raises(OSError, match="not a regular file"):
        archive.open((b"A",))
    with pytest.raises(FileNotFoundError):
        archive.names((b"NONE",))
    with pytest.raises(NotADirectoryError):
        archive.names((b"A", b"B", b"C"))


def test_of_members_with_one_name_the_last_is_shown() -> None:
    parts = [Part(b"A", b"old"), Part(b"B", b"b"), Part(b"A", b"new")]
    archive = opened(archives.archive(parts))

    assert read(archive, "A") == b"new"
    assert read(archive, "B") == b"b"
    assert archive.left_out == {"a name that a later member has, too": 1}


def test_of_a_file_and_a_folder_with_one_name_the_folder_is_shown() -> None:
    parts = [Part(b"A", b"file"), Part(b"A/B", b"below")]
    archive = opened(archives.archive(parts))

    assert names(archive) == ["A/B"]
    assert archive.left_out == {"a name that a folder has, too": 1}


@pytest.mark.parametrize(
    ("part", "when"),
    [
        (Part(b"A", central={"date": 0x5821, "time": 0x6000}), (2024, 1, 1, 12, 0, 0)),
        (Part(b"A", central={"date": 0, "time": 0xFFFF}), (1970, 1, 1, 0, 0, 0)),
        (Part(b"A", extra=archives.extra(0x5455, b"\1" + struct.pack("<i", 86_400))), (1970, 1, 2, 0, 0, 0)),
        (Part(b"A", extra=archives.extra(0x5455, b"\1\2")), (2024, 1, 1, 0, 0, 0)),
    ],
    ids=["dos", "none", "extended", "extended-cut"],
)  # fmt: skip
def test_the_time_of_a_member_is_the_same_on_every_machine(
    part: Part, when: tuple[int, ...]
) -> None:
    status = opened(archives.archive([part])).status((b"A",))

    assert status == Status(0, timegm(when) * 10**9)


# -- the end ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        archives.archive([Part(b"A", b"some")], before=b"#!/bin/sh\n" * 1000),
        archives.archive([Part(b"A", b"some")], comment=b"c" * 0xFFFF),
        archives.archive([Part(b"A", b"some")], comment=b"PK\5\6" * 1000),
        archives.archive([Part(b"A", b"some")]) + b"what was added",
    ],
    ids=["behind-a-program", "comment", "signatures", "added"],
)
def test_the_directory_is_found_whatever_surrounds_it(data: bytes) -> None:
    assert recognises(BytesSource(data))
    assert read(opened(data), "A") == b"some"


def test_an_archive_without_members_is_empty() -> None:
    archive = opened(archives.archive([]))

    assert archive.names(()) == []
    with pytest.raises(Failure, match="there is no DICOMDIR"):
        open_file_sets(archive)


@pytest.mark.parametrize(
    "data",
    [b"", b"PK", b"no archive" * 100, b"PK\5\6", bytes(100_000), b"PK\5\6" * 9999],
    ids=["empty", "two", "text", "signature", "zeros", "signatures"],
)
def test_what_is_no_archive_is_none(data: bytes) -> None:
    with pytest.raises(MediumError):
        opened(data)


@pytest.mark.parametrize("before", range(22))
@pytest.mark.parametrize("behind", range(18))
def test_an_end_record_that_is_cut_off_is_none(before: int, behind: int) -> None:
    with pytest.raises(MediumError):
        opened(bytes(before) + b"PK\5\6" + bytes(behind))


@pytest.mark.parametrize(
    "end",
    [{"disk": 1}, {"first_disk": 3}, {"here": 5}, {"disk": 2, "first_disk": 2}],
    ids=str,
)
def test_a_part_of_a_split_archive_is_named_as_one(end: dict[str, int]) -> None:
    data = archives.archive([Part(b"A")], end)

    assert recognises(BytesSource(data))
    with pytest.raises(MediumError, match="split"):
        opened(data)


@pytest.mark.parametrize(
    "end",
    [{"length": 1}, {"offset": 3}, {"offset": 1 << 30}, {"length": 1 << 30}, {"here": 0, "count": 0}],
    ids=str,
)  # fmt: skip
def test_a_directory_is_found_though_the_end_lies_once(end: dict[str, int]) -> None:
    parts = [Part(b"A", b"some"), Part(b"B", b"more")]
    archive = opened(archives.archive(parts, end))

    assert [read(archive, "A"), read(archive, "B")] == [b"some", b"more"]


def test_members_are_found_though_the_directory_is_nowhere() -> None:
    data = archives.archive([Part(b"A", b"some")], {"offset": 3, "length": 1})
    archive = opened(data)

    assert archive.is_cut_off
    assert read(archive, "A") == b"some"


def test_a_damaged_record_costs_itself() -> None:
    parts = [Part(b"%d" % number, b"x" * number) for number in range(9)]
    data = bytearray(archives.archive(parts))
    fourth = [at for at in range(len(data)) if data.startswith(b"PK\1\2", at)][4]
    # Its name is said to reach over the next one.
    data[fourth + 28] = 90
    archive = opened(bytes(data))

    assert names(archive) == ["0", "1", "2", "3", "5", "6", "7", "8"]
    assert archive.left_out == {"a record of the directory that is damaged": 1}
    assert read(archive, "8") == b"x" * 8


# -- large archives --------------------------------------------------------------------


def test_zip64_is_read() -> None:
    """Sizes and offsets beyond 4 GiB, in an archive that has holes instead of bytes."""
    source = Sparse()
    first = Part(b"FIRST", b"1")
    source.append(first.header() + first.packed())
    huge = (5 << 30) + 3
    middle = Part(b"MIDDLE", raw=b"")
    true = archives.extra(1, struct.pack("<2Q", huge, huge))
    middle.local = middle.central = {"packed": 0xFFFFFFFF, "size": 0xFFFFFFFF}
    middle.local_extra = middle.extra = true
    at_middle = source.size
    source.append(middle.header())
    source.append_hole(huge)
    last = Part(b"LAST", b"the last", DEFLATED)
    last.extra = archives.extra(1, struct.pack("<Q", source.size))
    last.central = {"offset": 0xFFFFFFFF}
    source.append(last.header() + last.packed())
    start = source.size
    source.append(first.record(0) + middle.record(at_middle) + last.record(0))
    source.append(archives.end64(3, source.size - start, start, source.size))
    archive = opened(source)

    assert names(archive) == ["FIRST", "LAST", "MIDDLE"]
    assert [read(archive, "FIRST"), read(archive, "LAST")] == [b"1", b"the last"]
    hole = archive.open((b"MIDDLE",))
    assert hole.size == huge
    assert hole.read_at(huge - 5, 100) == bytes(5)


class Sparse(Source):
    """Bytes, and zeros that nobody has to keep."""

    def __init__(self) -> None:
        self.size = 0
        self.status = Status(0, 0)
        self._runs: list[tuple[int, bytes]] = []

    def append(self, data: bytes) -> None:
        """Add bytes."""
        self._runs.append((self.size, data))
        self.size += len(data)

    def append_hole(self, size: int) -> None:
        """Add zeros."""
        self.size += size

    def read_at(self, offset: int, size: int) -> bytes:
        """Return what is there."""
        data = bytearray(max(0, min(size, self.size - offset)))
        for at, run_ in self._runs:
            begin, end = max(at, offset), min(at + len(run_), offset + len(data))
            if begin < end:
                data[begin - offset : end - offset] = run_[begin - at : end - at]
        return bytes(data)


@pytest.mark.slow
def test_more_members_than_an_old_writer_could_count_are_all_there() -> None:
    part = Part(b"00000")
    record = part.record(0)
    records = [record.replace(part.name, b"%05d" % n) for n in range(66_000)]
    data = archives.with_directory(part.header(), b"".join(records), 464)
    archive = opened(data)

    assert len(archive.names(())) == 66_000
    assert not archive.left_out


# -- forged ones -----------------------------------------------------------------------

_BODY: Final = some_bytes(11, 3000)


@pytest.mark.parametrize("method", [STORED, DEFLATED], ids=["stored", "deflated"])
@pytest.mark.parametrize(
    "lie",
    [
        {"central": {"size": 2999}},
        {"central": {"size": 3001}},
        {"central": {"size": 1 << 31}},
        {"central": {"size": 0xFFFFFFFF}},
        {"central": {"packed": 0}},
        {"central": {"packed": 1}},
        {"central": {"packed": 5000}},
        {"central": {"packed": 1 << 31}},
        {"central": {"packed": 0xFFFFFFFF}},
        {"central": {"crc": 0}},
        {"central": {"offset": 1}},
        {"central": {"offset": 1 << 31}},
        {"central": {"offset": 0xFFFFFFFF}},
        {"central": {"method": 99}},
        {"central": {"method": 9}},
        {"central": {"method": 12}},
        {"central": {"offset": 0xFFFFFFFF}, "extra": archives.extra(1, b"\xff" * 8)},
        {
            "central": {"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF},
            "extra": archives.extra(1, b"\xff" * 16),
        },
        {"central": {"size": 0xFFFFFFFF}, "extra": archives.extra(1, b"\xff" * 8)},
        {"central": {"disk": 1}},
        {"central": {"flags": 1}},
        {"local": {"size": 2999}},
        {"local": {"size": 0}},
        {"local": {"packed": 1}},
        {"local": {"crc": 0}},
        {"local": {"method": 6}},
        {"local": {"flags": 1}},
        {"local_name": b"B"},
        {"local_name": b"AA"},
        {"local": {"size": 3001, "crc": 1}, "central": {"size": 3001, "crc": 1}},
        {"local": {"size": 1 << 30}, "central": {"size": 1 << 30}},
        {"local": {"packed": 9}, "central": {"packed": 9}},
    ],
    ids=str,
)
def test_a_member_that_lies_costs_itself(lie: dict[str, object], method: int) -> None:
    forged = Part(b"A", _BODY, method, **lie)  # type: ignore[arg-type]
    before, after = Part(b"BEFORE", _BODY, method), Part(b"Z", _BODY[::-1], DEFLATED)
    archive = opened(archives.archive([before, forged, after], before=b"#!/bin/sh"))

    assert refusal(archive, "A").errno in {errno.EIO, errno.EACCES}
    assert read(archive, "BEFORE") == _BODY
    assert read(archive, "Z") == _BODY[::-1]


def test_bytes_that_were_changed_are_not_given() -> None:
    part = Part(b"A", _BODY, DEFLATED)
    for at in range(0, len(part.packed()), 37):
        raw = bytearray(part.packed())
        raw[at] ^= 4
        archive = opened(
            archives.archive([Part(b"A", _BODY, DEFLATED, raw=bytes(raw))])
        )

        assert refusal(archive, "A").errno == errno.EIO


@pytest.mark.slow
def test_of_members_that_overlap_each_byte_is_given_once() -> None:
    size = 1 << 20
    wanted = [b"%04d" % number for number in range(500)]
    data = archives.quoted_overlap(wanted, size)
    # It is a real bomb: others inflate all of it.
    assert (
        sum(info.file_size for info in zipfile.ZipFile(io.BytesIO(data)).infolist())
        > 500 * size
    )
    archive = opened(data)

    given = [name for name in wanted if is_given(archive, name)]

    assert given == wanted[-1:]


def is_given(archive: Zip, name: bytes) -> bool:
    try:
        archive.open((name,)).read_at(0, 1)
    except OSError as error:
        assert error.errno == errno.EIO  # noqa: PT017 - others give it
        return False
    return True


def test_many_records_of_one_member_are_one_or_none() -> None:
    kernel = Part(b"A", bytes(1000), DEFLATED)
    others = [
        Part(b"A", bytes(1000), DEFLATED, extra=unicode_path(b"%d" % number, b"A"))
        for number in range(300)
    ]
    body = kernel.header() + kernel.packed()
    records = b"".join(part.record(0) for part in others)
    archive = opened(archives.with_directory(body, records, 300))

    assert len(names(archive)) == 300
    assert [name for name in names(archive) if is_given(archive, name.encode())] == []


def test_a_record_that_leads_into_another_member_does_not_cost_that() -> None:
    astray = Part(b"ASTRAY", b"some", central={"offset": 40})
    archive = opened(archives.archive([Part(b"A", _BODY), astray]))

    assert refusal(archive, "ASTRAY").errno == errno.EIO
    assert read(archive, "A") == _BODY


@pytest.mark.parametrize("gap", [b"", b"\0" * 40], ids=["record", "header"])
def test_a_member_that_reaches_into_the_directory_is_refused(gap: bytes) -> None:
    """What lies before its bytes only its own header tells."""
    reach = {"packed": 60 - len(gap), "size": 60 - len(gap)}
    outer = Part(b"A", raw=b"a" * 10, local_extra=gap, local=reach, central=reach)
    archive = opened(archives.archive([Part(b"B", b"b"), outer]))

    assert "archive" in (refusal(archive, "A").strerror or "")
    assert read(archive, "B") == b"b"


def test_what_inflates_to_more_than_it_says_is_refused() -> None:
    part = Part(b"A", _BODY[:2999], DEFLATED, raw=archives.deflated(_BODY))

    assert "larger" in (refusal(opened(archives.archive([part])), "A").strerror or "")


@pytest.mark.slow
def test_what_grows_two_hundred_fold_is_a_bomb_once_it_is_large() -> None:
    limit = 256 << 20
    parts = [
        archives.zeros_part(b"MASK", limit),
        archives.zeros_part(b"BOMB", limit + 1),
    ]
    archive = opened(archives.archive(parts))

    assert "bomb" in (refusal(archive, "BOMB").strerror or "")
    [status] = archive.statuses((), [b"BOMB"])
    assert isinstance(status, OSError)
    assert archive.open((b"MASK",)).read_at(limit - 9, 100) == bytes(9)


@pytest.mark.slow
def test_the_wrong_crc_of_a_large_member_shows_at_its_end() -> None:
    wrong = {"crc": 1}
    data = striped(1, len(_LARGE))
    part = Part(b"A", data, DEFLATED, local=wrong, central=wrong)
    source = opened(archives.archive([part])).open((b"A",))

    assert source.read_at(0, PIECE) == data[:PIECE]
    with pytest.raises(OSError, match="CRC"):
        source.read_at(len(_LARGE) - 1, 1)
    with pytest.raises(OSError, match="CRC"):
        source.read_at(0, PIECE)
    assert source.read_cached(0, memoryview(bytearray(PIECE))) is None


@pytest.mark.late
@pytest.mark.parametrize("members", [200_000, 200_001])
def test_an_archive_may_have_so_many_members_and_no_more(members: int) -> None:
    part = Part(b"A")
    record = part.record(0)
    data = archives.with_directory(part.header(), record * members, members & 0xFFFF)
    if members == 200_000:
        assert names(opened(data)) == ["A"]
        return
    with pytest.raises(MediumError, match="200000 members"):
        opened(data)


@pytest.mark.slow
def test_an_archive_may_have_so_many_folders_and_no_more() -> None:
    parts = [Part(b"%d/" % number + b"D/" * 31) for number in range(3_300)]

    with pytest.raises(MediumError, match="100000 folders"):
        opened(archives.archive(parts))


@pytest.mark.parametrize(
    ("method", "name"), [(9, "Deflate64"), (93, "Zstandard"), (77, "method 77")]
)
def test_a_method_that_is_not_known_is_named(method: int, name: str) -> None:
    archive = opened(archives.archive([Part(b"A", b"some", method)]))

    assert name in (refusal(archive, "A").strerror or "")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_mutated_archive_gives_the_true_bytes_or_an_error(seed: int) -> None:
    """And in all more of the true ones than the standard library."""
    chance = random.Random(seed)
    files = {
        f"D{number % 3}/{number}": some_bytes(number, number * 400)
        for number in range(1, 9)
    }
    whole = b"".join([zipped(files, METHODS[1 + seed % 3], is_streamed=bool(seed & 1))])
    given = refused = expected = 0
    for _ in range(250):
        data = mutated(whole, chance)
        expected += given_by_the_standard_library(data, files)
        try:
            archive = opened(data)
        except MediumError:
            continue
        for name in names(archive):
            try:
                data = read(archive, name)
                # Without a directory nothing contradicts a name in a header.
                is_renamed = archive.is_cut_off and data in files.values()
                assert data == files.get(name) or is_renamed
                given += 1
            except OSError as error:
                assert error.errno in {errno.EIO, errno.EACCES, errno.EINVAL}  # noqa: PT017 - either is right
                refused += 1
    assert given > expected > 500
    assert refused > 50


def given_by_the_standard_library(data: bytes, files: dict[str, bytes]) -> int:
    """Return how many members of an archive zipfile can read as they are in *files*."""
    count = 0
    with suppress(*_OF_ZIPFILE), zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in files:
            with suppress(*_OF_ZIPFILE):
                count += archive.read(name) == files[name]
    return count


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return *data* with a few bytes changed, most of them where it says what it is."""
    changed = bytearray(data)
    signatures = [at for at in range(len(data)) if data.startswith(b"PK", at)]
    for _ in range(chance.randint(1, 3)):
        at = chance.choice(signatures) + chance.randrange(50)
        if chance.random() < 0.3:
            at = chance.randrange(len(changed))
        if at < len(changed):
            changed[at] = chance.choice(
                [0, 1, 0xFF, changed[at] ^ 1 << chance.randrange(8)]
            )
    if chance.random() < 0.1:
        del changed[chance.randrange(len(changed)) :]
    if chance.random() < 0.1:
        at = chance.randrange(len(changed) + 1)
        changed[at:at] = chance.randbytes(chance.randrange(40))
    return bytes(changed)


# -- cut off ---------------------------------------------------------------------------


def test_of_an_archive_that_was_cut_off_all_is_read_that_is_there() -> None:
    files = {f"D/{number}": some_bytes(number, 5000) for number in range(10)}
    whole = zipped(files)
    last = whole.rfind(b"PK\3\4")
    archive = opened(whole[: last + 200])

    assert archive.is_cut_off
    assert names(archive) == sorted(files)
    assert all(read(archive, name) == files[name] for name in list(files)[:-1])
    assert isinstance(refusal(archive, "D/9"), CutOffError)
    assert not opened(whole).is_cut_off


@pytest.mark.parametrize("seed", range(3))
def test_an_archive_cut_off_anywhere_gives_the_true_bytes_or_an_error(
    seed: int,
) -> None:
    files = {f"D/{number}": some_bytes(number, 999 * number) for number in range(9)}
    whole = zipped(files, is_streamed=seed == 2)
    chance = random.Random(seed)
    given = 0
    for _ in range(100):
        with suppress(MediumError):
            archive = opened(whole[: chance.randrange(len(whole))])
            for name in names(archive):
                with suppress(OSError):
                    assert read(archive, name) == files[name]
                    given += 1
    assert (given > 100) == (seed < 2)


def test_a_bad_sector_in_the_directory_costs_no_member() -> None:
    files = {f"D/{number}": some_bytes(number, 5000) for number in range(10)}
    whole = zipped(files)
    below = Faulty(whole, whole.find(b"PK\1\2") + 99)
    below.is_bad = True
    archive = opened(below)

    assert archive.is_cut_off
    assert {name: read(archive, name) for name in files} == files


def test_an_archive_of_which_nothing_can_be_read_is_none() -> None:
    below = Faulty(zipped(FILES), 0)
    below.is_bad = True

    with pytest.raises(OSError, match="a bad sector"):
        opened(below)


# -- encrypted ones --------------------------------------------------------------------


@pytest.fixture
def aes() -> None:
    """Have the library for AES, as the worker has that was given a password."""
    assert decrypt.load()


@pytest.mark.parametrize(
    "command",
    [
        ("zip", "-r", "-e", f"-P{_PASSWORD.decode()}"),
        ("zip", "-r", "-e", "-0", f"-P{_PASSWORD.decode()}"),
        ("7z", "a", "-tzip", "-mem=ZipCrypto", f"-p{_PASSWORD.decode()}"),
        ("7z", "a", "-tzip", "-mem=AES128", f"-p{_PASSWORD.decode()}"),
        ("7z", "a", "-tzip", "-mem=AES192", "-mx=0", f"-p{_PASSWORD.decode()}"),
        ("7z", "a", "-tzip", "-mem=AES256", f"-p{_PASSWORD.decode()}"),
        ("7z", "a", "-tzip", "-mem=AES256", "-mm=LZMA", f"-p{_PASSWORD.decode()}"),
    ],
    ids=lambda command: " ".join(command[:-1]),
)
@pytest.mark.usefixtures("aes")
def test_members_that_other_tools_encrypted_are_read_with_the_password(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    need(command[0])
    pack(tmp_path, FILES, *command)
    data = (tmp_path / "out.zip").read_bytes()
    archive = opened(data, b"not this one", _PASSWORD, b"nor this")

    assert {name: read(archive, name) for name in FILES} == FILES
    for passwords, why in (((), "no password"), ((b"wrong", b"too"), "fits")):
        archive = opened(data, *passwords)
        assert names(archive) == sorted(FILES)
        error = refusal(archive, "DICOM/A")
        assert isinstance(error, PasswordError)
        assert error.errno == errno.EACCES
        assert why in (error.strerror or "")


def encrypted(
    data: bytes, method: int, version: int = 2, size: int = 32, name: bytes = b"A"
) -> Part:
    """Return a member under AES as WinZip describes it."""
    from Cryptodome.Cipher import AES  # noqa: PLC0415 - an extra
    from Cryptodome.Util import Counter  # noqa: PLC0415 - an extra

    plain = archives.deflated(data) if method == DEFLATED else data
    salt = bytes(range(size // 2))
    keys = hashlib.pbkdf2_hmac("sha1", _PASSWORD, salt, 1000, 2 * size + 2)
    counter = Counter.new(128, little_endian=True, initial_value=1)
    text = AES.new(keys[:size], AES.MODE_CTR, counter=counter).encrypt(plain)
    code = hmac.digest(keys[size : 2 * size], text, "sha1")[:10]
    raw = salt + keys[-2:] + text + code
    strength = size // 8 - 1
    told = archives.extra(
        0x9901, struct.pack("<H2sBH", version, b"AE", strength, method)
    )
    fields = {"method": 99, "flags": 1, "packed": len(raw)}
    if version == 2:
        fields["crc"] = 0
    return Part(name, data, raw=raw, extra=told, local=fields, central=fields)


@pytest.mark.parametrize("size", [16, 24, 32])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("method", [STORED, DEFLATED], ids=["stored", "deflated"])
@pytest.mark.usefixtures("aes")
def test_any_range_of_a_member_under_aes_is_read(
    method: int, version: int, size: int
) -> None:
    data = some_bytes(12, 100_001)
    part = encrypted(data, method, version, size)
    source = opened(archives.archive([part]), _PASSWORD).open((b"A",))

    for offset in range(0, 100_001, 7777):
        assert source.read_at(offset, 5000) == data[offset : offset + 5000]


@pytest.mark.slow
@pytest.mark.parametrize("method", [STORED, DEFLATED], ids=["stored", "deflated"])
@pytest.mark.usefixtures("aes")
def test_any_range_of_a_large_member_under_aes_is_read(method: int) -> None:
    below = CountingSource(archives.archive([encrypted(_LARGE, method)]))
    source = opened(below, _PASSWORD).open((b"A",))
    below.bytes_read = 0
    ranges = random.Random(13)

    for _ in range(30):
        offset = ranges.randrange(len(_LARGE))
        assert source.read_at(offset, 1000) == _LARGE[offset : offset + 1000]
    if method == STORED:
        assert below.bytes_read == 30_000


@pytest.mark.parametrize("at", [40, 500, -3], ids=["data", "more", "code"])
@pytest.mark.parametrize("method", [STORED, DEFLATED], ids=["stored", "deflated"])
@pytest.mark.usefixtures("aes")
def test_bytes_under_aes_that_were_changed_are_not_given(method: int, at: int) -> None:
    part = encrypted(_BODY, method)
    raw = bytearray(part.packed())
    raw[at] ^= 1
    part.raw = bytes(raw)

    archive = opened(archives.archive([part]), _PASSWORD)

    assert refusal(archive, "A").errno == errno.EIO


@pytest.mark.slow
@pytest.mark.usefixtures("aes")
def test_members_with_passwords_of_their_own_are_all_read() -> None:
    """A wrong password seems right for one in 256; then the CRC decides."""
    files = {f"{number}": some_bytes(number, 300) for number in range(40)}
    passwords = [b"%d" % number for number in range(300)]
    archive = opened(archives.zipcrypto(files, passwords[-1]), *passwords)

    assert {name: read(archive, name) for name in files} == files


def test_a_member_under_aes_without_the_library_says_what_is_lacking() -> None:
    code = """
import sys
from dicomfs.media.zip.archive import Zip
from dicomfs.source.source import BytesSource
archive = Zip(BytesSource(sys.stdin.buffer.read()), [b"open sesame"])
try:
    archive.open((b"A",))
except OSError as error:
    print(type(error).__name__, error.errno, error.strerror)
"""
    data = archives.archive([encrypted(b"some", STORED)])
    done = subprocess.run(
        [sys.executable, "-c", code], input=data, capture_output=True, check=True
    )

    what = "it is encrypted with AES, which needs the extra dicomfs[aes]"
    assert done.stdout.decode() == f"LibraryError {errno.EACCES} {what}\n"


def test_strong_encryption_is_named() -> None:
    flags = {"flags": 1 | 1 << 6}
    archive = opened(archives.archive([Part(b"A", local=flags, central=flags)]), b"any")

    assert "encrypted" in (refusal(archive, "A").strerror or "")


# -- media that fail -------------------------------------------------------------------


class Faulty(CountingSource):
    """A source whose reads of what lies from *begin* on can fail or wait."""

    def __init__(self, data: bytes, begin: int) -> None:
        super().__init__(data)
        self.begin = begin
        self.is_bad = False
        self.is_hanging = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def read_at(self, offset: int, size: int) -> bytes:
        """Read, fail, or wait until it is let go on."""
        if offset + size > self.begin:
            if self.is_bad:
                raise OSError(errno.EIO, "a bad sector")
            if not self.go_on.is_set():
                self.is_hanging.set()
                self.go_on.wait(30)
        return super().read_at(offset, size)


@pytest.mark.slow
@pytest.mark.parametrize("size", [3 << 20, len(_LARGE)], ids=["small", "large"])
def test_a_bad_sector_costs_its_member_as_long_as_it_is_bad(size: int) -> None:
    data = _LARGE[:size]
    packed = zipped({"FIRST": b"first" * 99, "A": data, "B": some_bytes(14, 99_999)})
    below = Faulty(packed, packed.find(b"PK\3\4", 9) + 100_000)
    archive = opened(below)
    source = archive.open((b"A",))
    below.is_bad = True

    for _ in range(2):
        with pytest.raises(OSError, match="a bad sector"):
            source.read_at(size - 1, 1)
    assert read(archive, "FIRST") == b"first" * 99
    below.is_bad = False
    assert read(archive, "A") == data


@pytest.mark.slow
def test_a_member_that_hangs_fails_at_once_for_all_others() -> None:
    data = some_bytes(15, 3 << 20)
    packed = zipped({"A": data, "B": b"other" * 99})
    below = Faulty(packed, 100_000)
    archive = opened(below)
    sources = [archive.open((b"A",)) for _ in range(4)]
    below.go_on.clear()
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(sources[0].read_at, 0, 10)
        assert below.is_hanging.wait(20)
        others = [threads.submit(each.read_at, 0, 10) for each in sources[1:]]

        sources[0].hangs(0, 10)

        for other in others:
            with pytest.raises(OSError, match="hangs"):
                other.result(20)
        below.go_on.set()
        assert first.result(20) == data[:10]
    sources[0].hangs_no_more(0, 10)
    assert sources[1].read_at(5, 10) == data[5:15]


@pytest.mark.slow
def test_what_is_not_proved_yet_is_not_given_from_memory() -> None:
    data = some_bytes(16, 5 << 20)
    packed = zipped({"A": data})
    below = Faulty(packed, len(packed) // 2)
    source = opened(below).open((b"A",))
    below.go_on.clear()
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(source.read_at, 0, 10)
        assert below.is_hanging.wait(20)

        assert source.read_cached(0, memoryview(bytearray(10))) is None

        below.go_on.set()
        assert reading.result(20) == data[:10]
    assert source.read_cached(0, memoryview(bytearray(10))) == 10


# -- a process of its own --------------------------------------------------------------

_READER: Final = """
import json, os, sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from dicomfs.sandbox import confine as sandbox
from dicomfs.media.walk import Walk
from dicomfs.media.zip import decrypt
from dicomfs.media.zip.archive import Zip
from dicomfs.source.file import FileSource

decrypt.load()
sources = [FileSource(os.open(path, os.O_RDONLY)) for path in sys.argv[1:]]
status = open("/proc/self/status")
pool = ThreadPoolExecutor(8)
sandbox.restrict(sandbox.Rights([]))
seen = []
sys.addaudithook(lambda event, _: event in ("open", "import") and seen.append(event))

def read(archive, folder, name):
    try:
        source = archive.open((*folder, name))
        return sum(len(source.read_at(at, 1 << 17)) for at in range(0, source.size, 1 << 17))
    except OSError as error:
        return -error.errno

def files(archive):
    for listed in Walk(archive, depth=32):
        for name in listed.files:
            yield listed.place, name

told = []
for source in sources:
    archive = Zip(source, [b"open sesame"])
    told.append(sorted(pool.map(lambda each: read(archive, *each), islice(files(archive), 500)))[:20])
watch = False
peak = [line.split()[1] for line in status if line.startswith("VmHWM")]
print(json.dumps([told, int(peak[0]), seen]))
"""


@pytest.mark.slow
@pytest.mark.usefixtures("aes")
def test_hostile_archives_cost_bounded_memory_and_open_nothing(tmp_path: Path) -> None:
    """16 bombs of 16 MiB for eight threads, two of 200 MiB, 99,000 folders, AES."""
    blank, mask = archives.zeros_part(b"", WHOLE), archives.zeros_part(b"", 200 << 20)
    bombs = [replace(blank, name=b"%d" % number) for number in range(16)]
    large = [replace(mask, name=b"%d" % number) for number in range(2)]
    many = Part(b"FOLDER/MEMBER")
    wide = b"".join(Part(b"%06d/A" % n + b"X" * 200).record(0) for n in range(99_000))
    made = {
        "bombs": archives.archive(bombs),
        "large": archives.archive(large),
        "many": archives.with_directory(many.header(), wide, 99_000 & 0xFFFF),
        "aes": archives.archive([encrypted(_BODY, DEFLATED)]),
        "lzma": zipped({f"{n}": _BODY for n in range(20)}, METHODS[3]),
    }
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)

    done = run(
        [sys.executable, "-c", _READER, *(str(tmp_path / name) for name in made)]
    )

    assert done.returncode == 0, done.stderr
    [(bombs_, large_, many_, aes_, lzma_), peak, events] = json.loads(done.stdout)
    assert bombs_ == [WHOLE] * 16
    assert large_ == [200 << 20] * 2
    assert many_ == [-errno.EIO] * 20
    assert aes_ == [len(_BODY)]
    assert lzma_ == [len(_BODY)] * 20
    assert events == []
    assert peak < 256 * 1024, peak
