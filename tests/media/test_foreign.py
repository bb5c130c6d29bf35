"""Kinds of files that are not read: named, with what makes something of them that is."""

import os
import random
import re
from pathlib import Path
from typing import Final

import pytest

from dicomfs.check.check import check
from dicomfs.cli.exits import complaint
from dicomfs.cli.foreign import MENDS
from dicomfs.errors import Failure, Problem
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.fileset.open import file_sets_of
from dicomfs.fileset.scan import scanned
from dicomfs.findings import Findings, Kind
from dicomfs.media.folder import FolderMedium
from dicomfs.media.foreign import Foreign, foreign, packed_instance
from dicomfs.media.formats import Ways, formats_of
from dicomfs.media.opening import open_sources
from dicomfs.source.source import BytesSource
from tests.build import archives, packed
from tests.build.archives import Part, zipped
from tests.build.medium import Record, image, patient, series, study, write_medium
from tests.build.packed import PACKERS
from tests.conftest import ExpectLog
from tests.support.amounts import part_of
from tests.support.mounting import need, run

_MUTANTS: Final = part_of(1_000)
KINDS: Final = packed.foreign()


def failure_of(*paths: Path, scan: bool = False) -> Failure:
    with pytest.raises(Failure) as caught:
        file_sets_of(open_sources(paths), Findings(), scan=scan)
    return caught.value


# -- named -----------------------------------------------------------------------------


def test_every_kind_has_variants_here_and_a_command_that_mends_it() -> None:
    assert set(KINDS) == {kind.name for kind in Foreign}
    assert set(MENDS) == {kind.name for kind in Foreign}


@pytest.mark.parametrize("kind", Foreign, ids=lambda kind: kind.name)
def test_a_file_of_a_kind_that_is_not_read_is_named_by_its_content(
    kind: Foreign, tmp_path: Path
) -> None:
    for data in KINDS[kind.name]:
        (tmp_path / "it's a disc").write_bytes(data)

        failure = failure_of(tmp_path / "it's a disc")

        assert failure.problem is Problem.SOURCE_FOREIGN
        told = complaint(failure)
        assert told.what.endswith(f"disc is {kind.value}, which is not read")
        assert not re.search(r"[{}]", told.mend)
        # What a shell takes for the name, where the command has it.
        assert "it's a disc" not in told.mend


def test_one_on_a_server_is_to_be_downloaded_first() -> None:
    url = "https://host/a b/study.tar.gz?X-Signature=1"
    facts = {"name": url, "reason": "a tar archive", "kind": "TAR_GZIP"}

    told = complaint(Failure(Problem.SOURCE_FOREIGN, **facts))

    assert told.mend.startswith("download it, and unpack it")
    assert "tar -xf study.tar.gz " in told.mend


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        bytes(1_000_000),
        b"%PDF-1.4" + bytes(600),
        packed.at((510, b"\x55\xaa"), size=512),
        packed.at((1080, b"\x53\xef\x77\x77")),
        b"\x1f\x9d" + bytes(99),
        packed.at((0, b"\x55" * 510), (510, b"\x55\xaa"), size=512),
        bytes(range(256)) * 99,
    ],
)
def test_what_has_no_name_gets_none(data: bytes, tmp_path: Path) -> None:
    assert foreign(BytesSource(data)) is None
    (tmp_path / "x").write_bytes(data)
    assert failure_of(tmp_path / "x").problem is Problem.SOURCE_UNSUPPORTED


def test_the_image_of_a_stick_that_mkfs_made_is_named(tmp_path: Path) -> None:
    need("mkfs.fat")
    (tmp_path / "stick.img").write_bytes(bytes(1_000_000))
    assert run(["mkfs.fat", str(tmp_path / "stick.img")]).returncode == 0

    assert foreign(BytesSource((tmp_path / "stick.img").read_bytes())) is Foreign.FAT


@pytest.mark.slow
@pytest.mark.counted
def test_mutated_files_are_named_or_not_and_nothing_else() -> None:
    chance = random.Random(7)
    every = [data for variants in KINDS.values() for data in variants]
    for _ in range(_MUTANTS):
        data = bytearray(chance.choice(every))
        for _ in range(chance.randint(1, 20)):
            if data:
                data[chance.randrange(min(len(data), 600))] = chance.randrange(256)
        source = BytesSource(bytes(data[: chance.randint(1, len(data) + 1)]))

        assert foreign(source) in {None, *Foreign}
        assert packed_instance(source) in {None, *Foreign}


# -- in archives -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["study.tar.gz", "study.tgz", "STUDY.7Z", "study.rar"])
def test_an_archive_that_holds_only_another_that_is_not_read_says_so(
    name: str, tmp_path: Path
) -> None:
    kind = {"gz": "TAR_GZIP", "tgz": "TAR_GZIP", "7Z": "SEVEN_ZIP", "rar": "RAR"}
    inner = KINDS[kind[name.rpartition(".")[2]]][0]
    (tmp_path / "out.zip").write_bytes(zipped({name: inner, "README": b""}))

    failure = failure_of(tmp_path / "out.zip")

    assert failure.problem is Problem.SOURCE_FOREIGN
    assert name in complaint(failure).what


def test_one_that_lies_beside_a_dicomdir_is_nobodys_business(tmp_path: Path) -> None:
    write_medium(tmp_path / "in", [one_series(1)])
    files = archives.files_in(tmp_path / "in")
    (tmp_path / "out.zip").write_bytes(zipped({**files, "VIEWER.7z": KINDS["RAR"][0]}))
    findings = Findings()

    file_sets_of(open_sources([tmp_path / "out.zip"]), findings)

    assert [each.kind for each in findings.all() if each.kind.is_fault] == []


@pytest.mark.parametrize("scan", [False, True], ids=["by index", "by scan"])
@pytest.mark.parametrize("method", [9, 93, 95, 98])
def test_an_archive_packed_in_a_way_that_is_not_read_says_how_to_unpack_it(
    method: int, scan: bool, tmp_path: Path, expect_log: ExpectLog
) -> None:
    if scan:
        expect_log("1 files or folders of the medium cannot be read")
    fields = {"method": method}
    part = Part(b"DICOMDIR", bytes(999), raw=bytes(50), local=fields, central=fields)
    (tmp_path / "out.zip").write_bytes(archives.archive([part]))

    failure = failure_of(tmp_path / "out.zip", scan=scan)

    assert failure.problem is Problem.METHOD_UNSUPPORTED
    assert "7z x" in complaint(failure).mend


@pytest.mark.parametrize(
    "data",
    [
        archives.archive([Part(b"A", b"a")], {"disk": 1}),
        archives.archive([Part(b"A", b"a")], {"here": 0}),
        b"PK\7\x08" + archives.archive([Part(b"A", b"a")])[:40],
    ],
    ids=["last", "last by counts", "first"],
)
def test_a_part_of_a_split_archive_is_named_as_that(
    data: bytes, tmp_path: Path
) -> None:
    (tmp_path / "out.zip").write_bytes(data)

    failure = failure_of(tmp_path / "out.zip")

    assert failure.problem is Problem.ARCHIVE_SPLIT
    assert "zip -s 0" in complaint(failure).mend


def test_an_archive_with_the_mark_of_one_that_was_to_be_split_is_whole() -> None:
    whole = archives.archive([Part(b"A", b"a")], before=b"PK\7\x08")
    source = BytesSource(whole)

    medium = next(formats_of(source)).medium(source, Ways())

    assert medium.open((b"A",)).read_at(0, 9) == b"a"


# -- files that are packed one by one ---------------------------------------------------


def one_series(count: int, uid: str = "1.2.3") -> Record:
    images = [image(f"{uid}.4.{n}", number=n, size=20_000) for n in range(1, count + 1)]
    return patient("Doe^Jane", "1", [study(uid, [series(f"{uid}.4", images)])])


def folder(root: Path) -> FolderMedium:
    return FolderMedium(os.open(root, os.O_RDONLY | os.O_DIRECTORY))


def pack_files(root: Path, how: str, most: int) -> list[str]:
    """Pack the first few instances below *root*, each for itself; return their names."""
    ending = {"gzip": ".gz", "bzip2": ".bz2", "xz": ".xz"}[how]
    files = sorted(path for path in root.rglob("*") if path.is_file())
    chosen = [path for path in files if path.name != "DICOMDIR"][:most]
    for path in chosen:
        data = PACKERS[how](path.read_bytes())
        path.with_name(path.name + ending).write_bytes(data)
        path.unlink()
    return [path.name + ending for path in chosen]


@pytest.mark.parametrize("how", PACKERS)
def test_check_says_that_a_missing_file_is_there_but_packed(
    how: str, tmp_path: Path
) -> None:
    write_medium(tmp_path, [one_series(3)])
    names = pack_files(tmp_path, how, 2)
    (tmp_path / "README.gz").write_bytes(PACKERS[how](b"no instance" * 99))

    report = check(open_file_sets(folder(tmp_path)))

    [found] = [each for each in report.findings if each.kind is Kind.PACKED_INSTANCE]
    assert found.count == 2
    assert found.detail == f"a file packed with {how}"
    assert [Path(file).name for file in found.files] == names
    [missing] = [each for each in report.findings if each.kind is Kind.MISSING_FILE]
    assert missing.count == 2
    [other] = [each for each in report.findings if each.kind is Kind.UNLISTED_FILE]
    assert other.files == ("README.gz",)


@pytest.mark.parametrize("how", PACKERS)
def test_a_scan_that_finds_only_packed_files_says_so(how: str, tmp_path: Path) -> None:
    write_medium(tmp_path, [one_series(3)])
    pack_files(tmp_path, how, 3)

    failure = failure_of(tmp_path, scan=True)

    assert failure.problem is Problem.ONLY_PACKED
    told = complaint(failure)
    assert told.what.startswith("of 4 files on the medium none is in DICOM format")
    assert "but 3 are packed by themselves" in told.what


def test_a_scan_says_what_is_packed_beside_what_is_not(tmp_path: Path) -> None:
    write_medium(tmp_path, [one_series(3)])
    pack_files(tmp_path, "gzip", 1)
    findings = Findings()

    scanned(folder(tmp_path), findings)

    [found] = [each for each in findings.all() if each.kind is Kind.PACKED_INSTANCE]
    assert found.count == 1


def test_a_packed_file_that_would_grow_without_end_is_not_unpacked() -> None:
    bomb = PACKERS["gzip"](bytes(50_000_000))

    assert packed_instance(BytesSource(bomb)) is None
    assert foreign(BytesSource(bomb)) is Foreign.GZIP
