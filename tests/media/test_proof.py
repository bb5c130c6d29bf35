"""Stored members with a wrong CRC: given up to the end, and then never again."""

import errno
import io
import random
import zipfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from dicomfs.check.check import check
from dicomfs.errors import DamagedError
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.fileset.open import listen
from dicomfs.findings import Findings, Kind
from dicomfs.media.zip.archive import Zip
from dicomfs.media.zip.proof import Proof, combined
from dicomfs.source.source import BytesSource, Source
from tests.build import archives
from tests.build.archives import DEFLATED, METHODS, STORED, Part, some_bytes
from tests.build.medium import image, patient, series, study, write_medium
from tests.support.mounting import Mounter

_DATA: Final = some_bytes(7, 300_000)
_BLOCK: Final = 32 * 1024


def with_wrong_crc(data: bytes = _DATA, method: int = STORED) -> Part:
    """Return a member whose CRC is that of other bytes, wherever it is written."""
    wrong = {"crc": zlib.crc32(data) ^ 1}
    return Part(b"A", data, method, local=wrong, central=wrong)


def with_changed_bytes() -> bytes:
    """Return an archive one bit of whose member was changed."""
    data = bytearray(archives.archive([Part(b"A", _DATA)]))
    data[1_000] ^= 1
    return bytes(data)


def opened(*parts: Part) -> Zip:
    return Zip(BytesSource(archives.archive(parts)))


def blocks(source: Source, step: int = _BLOCK) -> list[tuple[int, bytes]]:
    """Read *source* in order as far as that goes; return what was read, by offsets."""
    found: list[tuple[int, bytes]] = []
    with suppress(DamagedError):
        found.extend(
            (at, source.read_at(at, step)) for at in range(0, source.size, step)
        )
    return found


@pytest.mark.parametrize("step", [1_000, _BLOCK, 131_072, 1_000_000])
@pytest.mark.parametrize("is_changed", [False, True], ids=["CRC", "bytes"])
def test_the_first_whole_read_of_a_damaged_member_fails_at_its_end(
    step: int, is_changed: bool
) -> None:
    archive = (
        Zip(BytesSource(with_changed_bytes()))
        if is_changed
        else opened(with_wrong_crc())
    )
    noted: list[object] = []
    archive.note = noted.append

    read = blocks(archive.open((b"A",)), step)

    assert len(read) == -(-len(_DATA) // step) - 1
    [found] = noted
    assert getattr(found, "kind", None) is Kind.MEMBER_DAMAGED
    # From then on nobody gets anything of it, and it is said once.
    for source in (archive.open((b"A",)), archive.open_cached((b"A",))):
        assert source is not None
        with pytest.raises(DamagedError, match="its CRC is wrong") as caught:
            source.read_at(0, 10)
        assert caught.value.errno == errno.EIO
        assert source.read_cached(0, memoryview(bytearray(10))) is None
    assert len(noted) == 1


def test_a_sound_member_is_proved_once() -> None:
    archive = opened(Part(b"A", _DATA))
    noted: list[object] = []
    archive.note = noted.append

    for _ in range(2):
        source = archive.open((b"A",))
        assert b"".join(data for _, data in blocks(source)) == _DATA
    assert noted == []


def test_reads_from_memory_prove_a_member_too() -> None:
    archive = opened(with_wrong_crc())
    source = archive.open((b"A",))
    buffer = memoryview(bytearray(_BLOCK))
    last = len(_DATA) // _BLOCK * _BLOCK

    for offset in range(0, last, _BLOCK):
        assert source.read_cached(offset, buffer) == _BLOCK
    assert source.read_cached(last, buffer) is None
    with pytest.raises(DamagedError):
        source.read_at(last, _BLOCK)


@pytest.mark.parametrize("seed", range(5))
def test_a_read_ahead_out_of_order_is_whole_all_the_same(seed: int) -> None:
    archive = opened(with_wrong_crc(), Part(b"B", _DATA))
    chance = random.Random(seed)
    offsets = list(range(0, len(_DATA), 16_384))
    for begin in range(0, len(offsets), 6):
        part = offsets[begin : begin + 6]
        chance.shuffle(part)
        offsets[begin : begin + 6] = part

    good, bad = archive.open((b"B",)), archive.open((b"A",))
    assert all(good.read_at(at, 16_384) == _DATA[at : at + 16_384] for at in offsets)
    for at in offsets[:-1]:
        bad.read_at(at, 16_384)
    with pytest.raises(DamagedError):
        bad.read_at(offsets[-1], 16_384)


def test_what_several_threads_read_is_whole() -> None:
    archive = opened(Part(b"A", _DATA), with_wrong_crc())
    good = opened(Part(b"A", _DATA))

    def read(archive: Zip) -> bool:
        return len(blocks(archive.open((b"A",)))) == -(-len(_DATA) // _BLOCK)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(read, [good] * 16))
        assert not any(threads.map(read, [archive] * 16))


def test_a_part_of_a_damaged_member_may_be_read_as_often_as_one_likes() -> None:
    source = opened(with_wrong_crc()).open((b"A",))
    chance = random.Random(3)

    for _ in range(500):
        at = chance.randrange(1, len(_DATA))
        assert source.read_at(at, 5_000) == _DATA[at : at + 5_000]
    assert source.read_at(0, 5_000) == _DATA[:5_000]


def test_a_read_that_goes_on_where_another_ended_is_a_whole_one() -> None:
    archive = opened(with_wrong_crc())

    archive.open((b"A",)).read_at(0, 100_000)

    with pytest.raises(DamagedError):
        archive.open((b"A",)).read_at(100_000, 200_000)


def test_an_empty_member_with_a_crc_is_damaged() -> None:
    archive = opened(with_wrong_crc(b""), Part(b"B"))

    with pytest.raises(DamagedError):
        archive.open((b"A",)).read_at(0, 10)
    assert archive.open((b"B",)).read_at(0, 10) == b""


@pytest.mark.parametrize("sizes", [(0, 0), (0, 9), (9, 0), (1, 1), (70_000, 3)])
def test_crcs_of_two_parts_are_that_of_both(sizes: Sequence[int]) -> None:
    first, second = (random.Random(size).randbytes(size) for size in sizes)

    both = combined(zlib.crc32(first), zlib.crc32(second), len(second))

    assert both == zlib.crc32(first + second)


def test_what_overlaps_is_counted_once() -> None:
    told: list[bool] = []
    proof = Proof(len(_DATA), zlib.crc32(_DATA), told.append)

    for begin, end in ((0, 9), (5, 99), (200, 300), (90, 250), (150, 300_000), (0, 9)):
        proof.saw(begin, _DATA[begin:end])

    assert told == [True]


# -- check, and a mount ----------------------------------------------------------------


def medium(root: Path, method: int, damaged: int) -> bytes:
    """Return a File-set in an archive, one file of which has a wrong CRC."""
    images = [image(f"1.2.3.4.{n}", number=n, size=40_000) for n in (1, 2, 3)]
    above = study("1.2.3", [series("1.2.3.4", images)])
    write_medium(root, [patient("Doe^Jane", "1", [above])])
    files = archives.files_in(root)
    names = [name for name in files if name != "DICOMDIR"]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as out:
        for name, data in files.items():
            out.writestr(name, data)
        wrong = {out.getinfo(name).CRC for name in names[:damaged]}
    data = made.getvalue()
    for crc in wrong:
        data = data.replace(crc.to_bytes(4, "little"), (crc ^ 1).to_bytes(4, "little"))
    return data


@pytest.mark.parametrize("method", METHODS)
def test_check_says_that_a_crc_is_wrong_whatever_the_method(
    method: int, tmp_path: Path
) -> None:
    archive = Zip(BytesSource(medium(tmp_path, method, damaged=1)))
    findings = Findings()

    report = check(open_file_sets(archive, b"", findings))

    [found] = [each for each in report.findings if each.kind.is_fault]
    assert (found.kind, found.count, found.of) == (Kind.UNREADABLE_FILE, 1, 3)
    assert found.detail == "it is damaged: its CRC is wrong"


@pytest.mark.parametrize("method", METHODS)
def test_check_has_nothing_against_a_right_crc(method: int, tmp_path: Path) -> None:
    archive = Zip(BytesSource(medium(tmp_path, method, damaged=0)))

    assert not check(open_file_sets(archive)).faults


@pytest.mark.parametrize("method", [STORED, DEFLATED])
def test_what_was_read_and_is_damaged_is_among_the_findings(
    method: int, tmp_path: Path
) -> None:
    archive = Zip(BytesSource(medium(tmp_path, method, damaged=1)))
    findings = Findings()
    file_sets = open_file_sets(archive, b"", findings)
    listen(file_sets)

    for name in archive.names((b"IMAGES",)):
        blocks(archive.open((b"IMAGES", name)))

    [found] = [each for each in findings.all() if each.kind is Kind.MEMBER_DAMAGED]
    assert found.files[0].startswith("IMAGES/")


@pytest.mark.slow
@pytest.mark.mount
def test_a_mount_gives_an_error_at_the_end_of_a_damaged_file_and_says_so(
    mount: Mounter, tmp_path: Path
) -> None:
    (tmp_path / "disc.zip").write_bytes(medium(tmp_path / "in", STORED, damaged=1))
    shown = mount(tmp_path / "disc.zip")
    failed = 0

    for path in shown.files():
        try:
            path.read_bytes()
        except OSError as error:
            failed += error.errno == errno.EIO

    assert failed == 1
    report = (shown.place / ".dicomfs/report.txt").read_text()
    assert "a member of an archive is damaged" in report
