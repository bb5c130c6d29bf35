"""The shared thumbnail repository: found by name, never listed, the same each time."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from dicomfs.pictures.repository import (
    FOLDER,
    Picture,
    Shelf,
    repository,
)
from dicomfs.pictures.wire import Form
from dicomfs.tree.node import Node
from dicomfs.tree.selection import Instance, Selection
from tests.build.pixels import corner
from tests.pictures.discs import write_disc
from tests.support.trees import opened, walk


@pytest.fixture
def series(tmp_path: Path) -> Iterator[Selection]:
    with opened(write_disc(tmp_path, {1: corner(8), 2: corner(8)})) as tree:
        folders = [node for _, node in walk(tree.root) if isinstance(node, Selection)]
        yield next(each for each in folders if each.has_images)


def named(name: str) -> str:
    return hashlib.md5(name.encode()).hexdigest() + ".png"


def paint(image: Instance, form: Form) -> bytes:
    """Have a picture of the first image only."""
    return f"{image.name} {form.name}".encode() if image.name == "0001.dcm" else b""


def shelf(series: Selection, name: str = "normal") -> Shelf:
    found = repository(series, paint).lookup(name)
    assert isinstance(found, Shelf)
    return found


def test_only_a_series_has_one(series: Selection) -> None:
    assert series.parent is not None
    assert not series.parent.has_images


def test_it_has_two_sizes_and_lists_no_picture(series: Selection) -> None:
    made = repository(series, paint)

    assert made.name == FOLDER
    assert [*made.children()] == ["normal", "large"]
    assert shelf(series).children() == {}


@pytest.mark.parametrize(("size", "form"), [("normal", "NORMAL"), ("large", "LARGE")])
def test_a_picture_is_found_by_the_hash_of_the_name(
    series: Selection, size: str, form: str
) -> None:
    found = shelf(series, size).lookup(named("0001.dcm"))

    assert isinstance(found, Picture)
    data = f"0001.dcm {form}".encode()
    assert found.open().read_at(0, 100) == data
    assert found.size == len(data)
    assert found.mtime_ns == series.children()["0001.dcm"].mtime_ns


# Thunar hashes names as they stand in URIs; the standard puts ./ in front of that now.
@pytest.mark.parametrize(
    "hashed",
    ["01 KO [ü].dcm", "01%20KO%20%5B%C3%BC%5D.dcm", "./01%20KO%20%5B%C3%BC%5D.dcm"],
)
def test_a_picture_is_found_by_the_hash_of_a_name_in_a_uri(
    series: Selection, hashed: str
) -> None:
    image = next(iter(series.children().values()))

    class Renamed:
        def children(self) -> dict[str, Node]:
            return {"01 KO [ü].dcm": image}

    found = shelf(series)
    found.series = cast(Selection, Renamed())

    assert found.image(named(hashed)) is image


@pytest.mark.parametrize("name", [named("0002.dcm"), named("0003.dcm"), "0001.png"])
def test_what_has_no_picture_is_not_there(series: Selection, name: str) -> None:
    assert shelf(series).lookup(name) is None


def test_looked_up_again_everything_is_the_same(series: Selection) -> None:
    first, second = repository(series, paint), repository(series, paint)
    shelves = [each.lookup("normal") for each in (first, second)]
    pictures = [shelf(series).lookup(named("0001.dcm")) for _ in range(2)]

    for one, other in ((first, second), shelves, pictures):
        assert one is not None
        assert other is not None
        assert one is not other
        assert one.inode == other.inode
        assert one.is_same(other)
    assert not first.is_same(shelves[0])


def test_all_have_numbers_of_their_own(series: Selection) -> None:
    nodes: list[Node | None] = [
        repository(series, paint),
        *repository(series, paint).entries.values(),
    ]
    nodes += [
        shelf(series, size).lookup(named("0001.dcm")) for size in ("normal", "large")
    ]

    assert len({each.inode for each in nodes if each}) == len(nodes) == 5


def test_a_picture_that_is_another_one_than_was_looked_up_cannot_be_opened(
    series: Selection,
) -> None:
    said = [b"long", b"longer"]
    found = Shelf(
        repository(series, paint), "normal", Form.NORMAL, series, lambda *_: said.pop()
    ).lookup(named("0001.dcm"))
    assert found is not None

    with pytest.raises(OSError, match="Input/output"):
        found.open()
