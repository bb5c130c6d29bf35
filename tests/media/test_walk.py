"""One walk through the folders of a medium: its order and its bounds."""

import errno

import pytest

from dicomfs.errors import FileIdError
from dicomfs.media.walk import Walk
from tests.support.trees import FakeMedium

FILES = dict.fromkeys(
    ("b/2/x", "b/1/y", "b/f", "a/3/z", "c/g", "a/h", "readme", "DICOMDIR"), b""
)


def walked(walk: Walk) -> list[str]:
    return [b"/".join(each.place).decode() for each in walk]


def test_a_folder_comes_just_before_those_in_it() -> None:
    order = walked(Walk(FakeMedium(FILES), depth=9))

    assert order == ["", "a", "a/3", "b", "b/1", "b/2", "c"]


def test_by_level_the_nearest_folders_come_first() -> None:
    order = walked(Walk(FakeMedium(FILES), depth=9, by_level=True))

    assert order == ["", "a", "b", "c", "a/3", "b/1", "b/2"]


def test_a_walk_may_start_in_a_folder() -> None:
    assert walked(Walk(FakeMedium(FILES), (b"b",), depth=9)) == ["b", "b/1", "b/2"]


def test_a_folder_is_listed_in_the_order_of_its_names() -> None:
    [root] = Walk(FakeMedium(FILES), depth=0)

    assert list(root.entries) == [b"DICOMDIR", b"a", b"b", b"c", b"readme"]
    assert root.files == [b"DICOMDIR", b"readme"]
    assert root.folders == [(b"a",), (b"b",), (b"c",)]


def test_folders_that_lie_deeper_are_not_read() -> None:
    assert walked(Walk(FakeMedium(FILES), depth=1)) == ["", "a", "b", "c"]


@pytest.mark.parametrize(
    ("by_level", "order"), [(True, ["", "a", "b", "c"]), (False, ["", "a", "b", "c"])]
)
def test_the_depth_may_be_made_less_on_the_way(
    by_level: bool, order: list[str]
) -> None:
    walk = Walk(FakeMedium(FILES), depth=9, by_level=by_level)
    seen = []
    for folder in walk:
        seen.append(b"/".join(folder.place).decode())
        if folder.place:
            walk.depth = 1

    assert seen == order


def test_a_folder_is_read_when_it_is_asked_for() -> None:
    medium = Counting(FILES)
    walk = iter(Walk(medium, depth=9))

    assert medium.read == []
    next(walk)
    assert medium.read == [()]
    next(walk)
    assert medium.read == [(), (b"a",)]


def test_each_folder_is_read_once() -> None:
    medium = Counting(FILES)
    order = [each.place for each in Walk(medium, depth=9)]

    assert medium.read == order


def test_known_folders_are_passed_over_with_what_is_below() -> None:
    walk = Walk(FakeMedium(FILES), depth=9, known={(b"b",), (b"a", b"3")})

    assert walked(walk) == ["", "a", "c"]


@pytest.mark.parametrize(
    ("most", "cut"),
    [
        (14, []),
        (13, ["c"]),
        (12, ["b/2", "c"]),
        (7, ["a/3", "b", "c"]),
        (2, ["", "a"]),
        (0, [""]),
    ],
)
def test_a_folder_that_has_more_than_is_left_is_cut(most: int, cut: list[str]) -> None:
    folders = [*Walk(FakeMedium(FILES), depth=9, most=most)]

    assert sum(len(each.entries) for each in folders) <= most
    assert [b"/".join(each.place).decode() for each in folders if each.is_cut] == cut


@pytest.mark.parametrize(
    ("place", "order"),
    [
        ("", [""]),
        ("b", ["", "a", "a/3", "b", "c"]),
        ("b/1", ["", "a", "a/3", "b", "b/1", "b/2", "c"]),
    ],
)
def test_a_folder_that_cannot_be_read_says_why_and_costs_itself(
    place: str, order: list[str]
) -> None:
    error = OSError(errno.EIO, "a bad sector")
    folders = [*Walk(FakeMedium(FILES, {place: error}), depth=9)]

    names = [b"/".join(each.place).decode() for each in folders]
    assert names == order
    assert [each.error for each in folders] == [
        error if name == place else None for name in names
    ]
    assert not folders[names.index(place)].entries


def test_a_folder_whose_name_is_too_long_costs_itself() -> None:
    [root, folder] = Walk(Narrow({"long/x": b""}), depth=9)

    assert root.error is None
    assert folder.error is not None
    assert folder.error.errno == errno.ENAMETOOLONG


class Counting(FakeMedium):
    """A medium that notes which folders are read."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(files)
        self.read: list[tuple[bytes, ...]] = []

    def names(self, folder: tuple[bytes, ...]) -> list[bytes]:
        """List, and note it."""
        self.read.append(folder)
        return super().names(folder)


class Narrow(FakeMedium):
    """A medium with a name that only its file system takes."""

    def names(self, folder: tuple[bytes, ...]) -> list[bytes]:
        """List, or refuse the folder by its name."""
        if folder:
            raise FileIdError("a path component is too long")
        return super().names(folder)
