"""README.txt: what it says, its size, and what it costs."""

import os
import re
import time
from pathlib import Path

import pytest

from dicomfs.extras import adding, readme
from dicomfs.extras.readme import SIZE, Readme
from dicomfs.extras.sentences import ENGLISH, Sentences
from dicomfs.findings import Kind
from dicomfs.media.medium import Medium
from dicomfs.tree.node import Frozen
from dicomfs.tree.selection import Listing, Selection
from dicomfs.tree.tree import Tree
from tests.build.medium import (
    Record,
    Value,
    image,
    patient,
    series,
    study,
    write_medium,
)
from tests.extras.test_beside import pdf, with_extras
from tests.extras.test_keyimages import choice, choices
from tests.support.trees import CountingMedium, opened


def person(name: Value = "Doe^Jane", number: str = "12345", images: int = 3) -> Record:
    """Return a patient with a study of two series."""
    slices = [
        image(f"1.{number}.{n}", number=n, file=f"P{number}/I{n}")
        for n in range(1, images + 1)
    ]
    letter = pdf(f"1.{number}.99", file=f"P{number}/D1")
    both = [
        series(f"1.{number}.1.1", slices, description="Lung"),
        series(f"1.{number}.1.2", [letter], number=2, description="Letters"),
    ]
    return patient(
        name, number, [study(f"1.{number}.1", both, description="CT Thorax")]
    )


def readme_in(tree: Tree) -> Frozen:
    """Return the file in the root."""
    [found] = [e for e in tree.root.children().values() if isinstance(e, Frozen)]
    return found


def data_of(tree: Tree) -> bytes:
    source = readme_in(tree).open()
    return source.read_at(0, source.size)


def text_of(root: Path) -> str:
    """Return what README.txt says of a medium, on one line."""
    with with_extras(root) as tree:
        return " ".join(data_of(tree).decode().split())


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    write_medium(tmp_path, [person(), person("Roe^Richard", "77", 1)])
    return tmp_path


def time_of(name: str, seconds: int, folder: Path) -> int:
    """Return the time, in seconds, on a disc of *name* whose DICOMDIR has another."""
    root = folder / name
    root.mkdir(exist_ok=True)
    write_medium(root, [person(name)])
    os.utime(root / "DICOMDIR", (seconds, seconds))
    with with_extras(root) as tree:
        return readme_in(tree).mtime_ns // 10**9


def test_its_time_is_that_of_the_disc(tmp_path: Path) -> None:
    assert time_of("Doe^Jane", 1_700_000_000, tmp_path) == 1_700_000_000


@pytest.mark.parametrize("seconds", [315_532_800, 0])
def test_on_a_disc_without_times_it_has_one_that_tells_the_disc_on_the_day_for_none(
    seconds: int, tmp_path: Path
) -> None:
    first, again = (time_of("Doe^Jane", seconds, tmp_path) for _ in range(2))
    other = time_of("Roe^Richard", seconds, tmp_path)

    assert first == again != other
    for each in (first, other):
        assert time.gmtime(each)[:3] == (1980, 1, 1)


def test_it_says_which_key_images_are_there_and_how_many_are_not(
    tmp_path: Path,
) -> None:
    slices = [image(f"1.3.{n}", number=n, file=f"I{n}") for n in (1, 2)]
    series_ = [
        series("1.3", slices),
        choices(choice("1.3.1", "1.3.2", "1.3.3"), choice("1.9.9", uid="1.2.9.2")),
    ]
    write_medium(tmp_path, [patient("Doe^Jane", "12345", [study("1.2", series_)])])
    (tmp_path / "I2").unlink()
    with with_extras(tmp_path) as tree:
        told = " ".join(data_of(tree).decode().split())
        found = [e for e in tree.findings.all() if e.kind is Kind.KEY_IMAGES_MISSING]

    assert "key images: 1, key images that are not there: 3, missing" in told
    assert sorted((each.count, each.of) for each in found) == [(1, 1), (2, 3)]


def test_it_says_whose_studies_there_are_and_how_many_images(disc: Path) -> None:
    told = text_of(disc)

    assert (
        "Doe, Jane (12345) 2023-07-05 CT Thorax series: 2, images: 3, other files: 1"
        in told
    )
    assert (
        "Roe, Richard (77) 2023-07-05 CT Thorax series: 2, images: 1, other files: 1"
        in told
    )
    assert "No fault is known so far" in told
    assert "the whole folder of a series" in told
    assert "dicomfs umount FOLDER" in told


def test_it_says_what_is_missing(disc: Path) -> None:
    (disc / "P12345/I2").unlink()
    told = text_of(disc)

    assert "images: 3, other files: 1, missing or damaged: 1" in told
    assert "Files that are missing, damaged or cannot be read: 1" in told
    assert "a file is missing: 1" in told
    assert "No fault" not in told


def test_it_names_documents_and_pictures_outside_of_the_index(disc: Path) -> None:
    (disc / "DOCS").mkdir()
    for name in ("LETTER.PDF", "photo.JPG", "viewer.exe", "readme.htm"):
        (disc / "DOCS" / name).write_bytes(b"")
    told = text_of(disc)

    assert "DOCS/LETTER.PDF DOCS/photo.JPG" in told
    assert "viewer.exe" not in told
    assert "There are none." not in told
    assert "There are none." in ENGLISH.nothing_outside


def test_the_size_is_constant_and_known_before_it_is_made(disc: Path) -> None:
    with with_extras(disc) as tree:
        file = readme_in(tree)
        assert file.size == SIZE
        assert file.open_cached() is None
        assert len(data_of(tree)) == SIZE
        assert file.open_cached() is not None


def test_listing_the_root_makes_nothing(disc: Path) -> None:
    medium = CountingMedium(disc)
    with opened(medium) as tree:
        adding.add_to(tree, deadline=3600.0)
        readme_in(tree)
        assert tree.listed == 1
    assert medium.opened == ["DICOMDIR"]


def test_it_stays_as_it_was_made_first(disc: Path) -> None:
    with with_extras(disc) as tree:
        first = data_of(tree)
        (disc / "NEW.PDF").write_bytes(b"")
        tree.root.forget()

        assert data_of(tree) == first
    with with_extras(disc) as tree:
        assert data_of(tree) != first


def test_it_is_plain_text_with_short_lines(disc: Path) -> None:
    with with_extras(disc) as tree:
        data = data_of(tree)

    assert data.endswith(b"\n")
    assert max(map(len, data.splitlines())) <= 78
    assert data.isascii()


@pytest.mark.slow
def test_of_many_patients_some_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    write_medium(
        tmp_path, [person(f"{60 * 'x'}^{n:03}", str(n), 1) for n in range(150)]
    )
    with with_extras(tmp_path) as tree:
        data = data_of(tree)
    told = data.decode()
    shown = told.count("CT Thorax")

    assert len(data) == SIZE
    assert 50 < shown < 150
    assert f"and more that are not listed here: {150 - shown}" in told
    assert "umount" in told


@pytest.mark.parametrize("size", [1, 2, 77, 78, SIZE - 1, SIZE])
def test_any_text_is_filled_up_to_the_size(size: int) -> None:
    text = b"x" * (size - 1) + b"\n"
    padded = readme._padded(text)

    assert len(padded) == SIZE
    assert padded.startswith(text)
    assert padded.endswith(b"\n")
    assert not padded[size:].strip()


def test_a_text_in_any_language_keeps_the_size(disc: Path) -> None:
    long = ENGLISH._replace(what=("中" * 20_000,), how_to_end=("ß" * 9_000,))
    with with_extras(disc) as tree:
        data = Readme(tree, 3600.0, long)()

    assert len(data) == SIZE
    assert data.decode()


def test_a_slow_search_does_not_make_the_count_incomplete(
    disc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with with_extras(disc) as tree:
        made = Readme(tree, 3600.0)
        search = made._search

        def slow(medium: Medium, found: list[str]) -> bool:
            made._end = 0.0
            return search(medium, found)

        monkeypatch.setattr(made, "_search", slow)
        told = made().decode()

    assert "was not counted" not in told
    assert "counted so far" not in told


def test_without_time_it_says_that_not_all_was_counted(disc: Path) -> None:
    with with_extras(disc) as tree:
        told = " ".join(Readme(tree, 0.0)().decode().split())

    assert "There is more on the disc, which was not counted." in told
    assert "Doe, Jane (12345)" in told


def test_a_folder_that_cannot_be_read_is_said(
    disc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with with_extras(disc) as tree:
        expand = tree.expand

        def refuse(folder: Selection) -> Listing:
            if folder.name.endswith("Lung"):
                raise OSError(5, "Input/output error")
            return expand(folder)

        monkeypatch.setattr(tree, "expand", refuse)
        told = " ".join(data_of(tree).decode().split())

    assert "folders that cannot be read: 1" in told


def test_names_are_no_orders_to_a_terminal(tmp_path: Path) -> None:
    write_medium(tmp_path, [person("Doe^\x1b[2JJane")])
    (tmp_path / "\x1b]0;x\x07.pdf").write_bytes(b"")
    with with_extras(tmp_path) as tree:
        told = data_of(tree).decode()

    assert told.replace("\n", "").isprintable()
    assert r"\x1b]0;x\x07.pdf" in told


def test_a_patient_of_its_name_keeps_the_name(tmp_path: Path) -> None:
    write_medium(tmp_path, [person("README.txt", "")])
    with with_extras(tmp_path) as tree:
        found = list(tree.root.children())

    assert "README.txt" in found
    assert re.fullmatch(r"README \[[0-9a-f]{8}\]\.txt", found[0])


def test_all_that_it_says_can_be_translated(disc: Path) -> None:
    (disc / "P12345/I2").unlink()
    (disc / "A.PDF").write_bytes(b"")
    strange = Sentences._make(
        (f"§{name}",) if isinstance(value, tuple) else f"§{name}"
        for name, value in ENGLISH._asdict().items()
    )
    with with_extras(disc) as tree:
        told = Readme(tree, 3600.0, strange)().decode()

    # What is left are names, and what kind of fault it is.
    left = set(re.findall(r"[a-z]{3,}", re.sub(r"§\w+", "", told)))
    assert left <= {"file", "missing", "horax", "ane", "ichard", "oe"}
