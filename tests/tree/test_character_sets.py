"""Whose character set holds for the names of a folder, and what a damaged record lacks."""

from pathlib import Path
from typing import Unpack

import pytest

from dicomfs.fileset.fileset import FileSet
from dicomfs.findings import Kind
from tests.build.medium import (
    Options,
    Record,
    image,
    patient,
    series,
    study,
    write_medium,
)
from tests.conftest import ExpectLog
from tests.support.trees import CountingMedium, opened, walk

ZHANG = "张^三".encode("gb18030")
SHOWN = "张, 三 (7)"


def disc(name: bytes, **header: str) -> list[Record]:
    """Return a patient of this *name* with one image, whose header says the same."""
    leaf = image("1.1.1.1")
    made = patient(name, "7", [study("1.1", [series("1.1.1", [leaf])])])
    made.say(PatientName=name, **header)
    return [made]


def names(root: Path, *, read_headers: bool = True) -> list[str]:
    with opened(root, read_headers=read_headers) as tree:
        return list(tree.root.children())


@pytest.mark.parametrize("undefined", [False, True], ids=["defined", "undefined"])
@pytest.mark.parametrize(
    ("term", "codec", "name", "shown"),
    [
        ("GB18030", "gb18030", "张^三", SHOWN),
        ("ISO_IR 101", "iso8859_2", "Łódź^Żak", "Łódź, Żak (7)"),
        ("ISO_IR 144", "iso8859_5", "Иванов^Иван", "Иванов, Иван (7)"),
    ],
)
def test_a_record_without_a_character_set_has_that_of_the_data_set(
    tmp_path: Path, term: str, codec: str, name: str, shown: str, undefined: bool
) -> None:
    options: Options = {
        "top_level": {0x00080005: term},
        "undefined_sequences": undefined,
    }
    write_medium(tmp_path, disc(name.encode(codec)), **options)

    assert names(tmp_path, read_headers=False) == [shown]


def test_a_record_above_comes_before_the_data_set(tmp_path: Path) -> None:
    medium = disc("Иванов".encode("iso8859_5"))
    medium[0]["SpecificCharacterSet"] = "ISO_IR 144"
    write_medium(tmp_path, medium, top_level={0x00080005: "ISO_IR 100"})

    assert names(tmp_path, read_headers=False) == ["Иванов (7)"]


def test_the_header_of_an_instance_says_what_no_record_says(tmp_path: Path) -> None:
    write_medium(tmp_path, disc(ZHANG, SpecificCharacterSet="GB18030"))

    with opened(tmp_path) as tree:
        assert list(tree.root.children()) == [SHOWN]
        assert Kind.CHARACTER_SET in {each.kind for each in tree.findings.all()}


def test_no_header_is_read_for_names_in_ascii(tmp_path: Path) -> None:
    write_medium(tmp_path, disc(b"Doe^Jane", SpecificCharacterSet="GB18030"))
    medium = CountingMedium(tmp_path)

    with opened(medium) as tree:
        assert list(tree.root.children()) == ["Doe, Jane (7)"]

    assert medium.opened == ["DICOMDIR"]


def preferring(root: Path, charset: bytes, **options: Unpack[Options]) -> list[str]:
    del options
    with opened(root) as tree:
        for file_set in tree.file_sets:
            file_set.shared.charset = charset
        return list(tree.root.children())


def test_what_somebody_says_of_all_text_comes_first(tmp_path: Path) -> None:
    medium = disc("Иванов^Иван".encode("cp1251"))
    medium[0]["SpecificCharacterSet"] = "ISO_IR 144"
    write_medium(tmp_path, medium)

    assert preferring(tmp_path, b"WINDOWS-1251") == ["Иванов, Иван (7)"]


def test_names_of_folders_further_down_are_in_that_set_as_well(tmp_path: Path) -> None:
    medium = disc(b"Doe^Jane")
    medium[0].children[0]["StudyDescription"] = "Голова".encode("koi8_r")
    write_medium(tmp_path, medium)

    with opened(tmp_path) as tree:
        tree.file_sets[0].shared.charset = b"KOI8-R"
        [folder] = tree.root.children().values()
        assert folder.is_folder
        [name] = folder.children()

    assert name.endswith("Голова")


KEYS = {
    "patient": (b"\x10\0\x10\0PN", b"\x10\0\x20\0LO"),
    "study": (b"\x20\0\x0d\0UI",),
    "series": (b"\x08\0\x60\0CS", b"\x20\0\x0e\0UI", b"\x20\0\x11\0IS"),
}


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
def test_a_header_is_asked_for_what_a_damaged_record_lacks(
    tmp_path: Path, keys: tuple[bytes, ...], expect_log: ExpectLog
) -> None:
    if keys != KEYS["study"]:  # behind which there is more that can be read
        expect_log("a record cannot be read to its end")
    write_medium(tmp_path, disc(b"Doe^Jane"))
    with opened(tmp_path) as tree:
        sound = list(dict(walk(tree.root)))
    directory = tmp_path / "DICOMDIR"
    data = bytearray(directory.read_bytes())
    for key in keys:
        at = data.index(key)
        length = 8 + int.from_bytes(data[at + 6 : at + 8], "little")
        data[at : at + length] = b"\xff" * length
    directory.write_bytes(data)

    with opened(tmp_path) as tree:
        assert list(dict(walk(tree.root))) == sound


def test_a_file_set_that_nobody_said_anything_of_prefers_nothing(
    tmp_path: Path,
) -> None:
    write_medium(tmp_path, disc(b"M\xfcller"))

    with opened(tmp_path) as tree:
        [file_set] = tree.file_sets
        assert isinstance(file_set, FileSet)
        assert list(tree.root.children()) == ["Müller (7)"]
