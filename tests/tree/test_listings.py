"""Listings: computed once, kept for a while, and mended where links were wrong."""

import errno
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest

from dicomfs.dicom.types import Level
from dicomfs.errors import DirectoryError
from dicomfs.fileset.fileset import FileSet, Part
from dicomfs.tree.identity import file_inode
from dicomfs.tree.listings import Listings, merged
from dicomfs.tree.selection import Instance, Listing, Selection

# -- fakes -----------------------------------------------------------------------------


class Changing:
    """A tree in which each folder has the children that *names* has at the moment."""

    def __init__(self, *names: str) -> None:
        self.names = names or ("below",)
        self.revision = 0
        # The check of links: it is this tree's own.
        self.completeness = self
        self.is_settled = True
        self.is_begun = False
        self.completed: list[str] = []
        self.expanded: list[str] = []
        self.before: Callable[[], None] = lambda: None
        self.listings = Listings(self)

    def expand(self, folder: Selection) -> Listing:
        """Return children, which are new each time."""
        self.expanded.append(folder.name)
        self.before()
        return {name: self.folder(name, folder) for name in self.names}

    def folder(self, name: str, parent: Selection | None = None) -> Selection:
        """Return a folder of this tree."""
        inode = 2 + int.from_bytes(name.encode()[:6])
        return Selection(inode, name, parent, 0, Level.OTHER, [], self.listings)

    def complete(self, folder: Selection) -> None:
        """Remember who waited."""
        self.completed.append(folder.name)

    def begin(self) -> bool:
        """Remember it."""
        self.is_begun = True
        return False

    def settle_all(self) -> None:
        """Find other children, perhaps, which the tree has from now on."""
        self.is_settled = True
        self.before()


def failing(error: Exception) -> Callable[[], None]:
    """Return what raises *error*."""

    def fail() -> None:
        raise error

    return fail


# -- asking ----------------------------------------------------------------------------


def test_two_who_ask_get_the_same_nodes() -> None:
    tree = Changing()
    folder = tree.folder("root")

    assert folder.children()["below"] is folder.children()["below"]
    assert folder.lookup("below") is folder.children()["below"]
    assert tree.expanded == ["root"]


def test_what_is_in_memory_is_had_without_computing_it() -> None:
    tree = Changing()
    folder = tree.folder("root")

    before = folder.children_cached()
    listing = folder.children()

    assert before is None
    assert folder.children_cached() is listing


def test_threads_that_ask_at_once_share_one_listing() -> None:
    tree = Changing()
    folder = tree.folder("root")
    gate = threading.Event()
    tree.before = lambda: cast(None, gate.wait(10))

    with ThreadPoolExecutor(20) as threads:
        answers = [threads.submit(folder.children) for _ in range(20)]
        gate.set()

    assert tree.expanded == ["root"]
    assert len({id(answer.result()) for answer in answers}) == 1


def test_folders_are_computed_beside_each_other() -> None:
    tree = Changing()
    both = threading.Barrier(2, timeout=10)
    tree.before = lambda: cast(None, both.wait())

    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda name: tree.folder(name).children(), "ab"))

    assert [list(answer) for answer in answers] == [["below"], ["below"]]


def test_a_failure_is_raised_to_all_who_wait_and_tried_again() -> None:
    tree = Changing()
    folder = tree.folder("root")
    tree.before = failing(OSError(errno.EIO, "bad sector"))
    with pytest.raises(OSError, match="bad sector"):
        folder.children()

    tree.before = lambda: None

    assert list(folder.children()) == ["below"]


def test_a_forgotten_folder_is_computed_anew() -> None:
    tree = Changing()
    folder = tree.folder("root")
    before = folder.children()

    folder.forget()

    assert folder.children_cached() is None
    assert folder.children() is not before
    assert tree.expanded == ["root", "root"]


def test_only_so_many_listings_are_kept_and_those_asked_for_last_longest() -> None:
    tree = Changing()
    tree.listings = Listings(tree, most=3)
    several = [tree.folder(str(number)) for number in range(4)]
    for folder in several[:3]:
        folder.children()

    several[0].children()
    several[3].children()

    kept = [folder.children_cached() is not None for folder in several]
    assert kept == [True, False, True, True]


def test_a_listing_larger_than_what_is_kept_is_kept_alone() -> None:
    tree = Changing("a", "b", "c")
    tree.listings = Listings(tree, most=2)
    several = [tree.folder("one"), tree.folder("two")]

    for folder in several:
        folder.children()

    assert [each.children_cached() is None for each in several] == [True, False]


def test_a_large_listing_is_kept_beside_all_that_is_around_it() -> None:
    tree = Changing(*map(str, range(3)))
    tree.listings = Listings(tree, most=3)
    large, other = tree.folder("large"), tree.folder("other")
    listing = large.children()
    tree.names = ("one",)
    small = [tree.folder(f"small {number}") for number in range(4)]

    for folder in small:
        folder.children()

    assert large.children_cached() is listing
    assert [each.children_cached() is None for each in small] == [True, *[False] * 3]
    tree.names = ("one", "two")
    other.children()
    assert large.children_cached() is None
    assert other.children_cached() is not None


# -- links that turn out to be wrong ---------------------------------------------------


def changed(tree: Changing) -> list[tuple[str, list[str]]]:
    """Let links of *tree* be found wrong by whoever looks; return what will be told."""
    told: list[tuple[str, list[str]]] = []
    tree.listings.on_change = lambda folder, names: told.append(
        (folder.name, sorted(names))
    )
    tree.names = ("came", "kept")
    tree.revision += 1
    return told


def test_what_is_kept_is_mended_when_somebody_asks_for_it_again() -> None:
    tree = Changing("gone", "kept")
    folder = tree.folder("root")
    before = folder.children()
    told = changed(tree)

    after = folder.children()

    assert list(before) == ["gone", "kept"]
    assert list(after) == ["came", "kept"]
    assert after["kept"] is before["kept"]
    assert told == [("root", ["came", "gone"])]


def test_folders_are_mended_from_the_root_down() -> None:
    tree = Changing("gone", "kept")
    root = tree.folder("")
    below = tree.folder("below", root)
    below.children()
    root.children()
    told = changed(tree)

    tree.listings.refresh()

    assert [name for name, _ in told] == ["", "below"]
    assert not tree.listings.is_stale


def test_what_was_mended_is_kept_however_much_there_is() -> None:
    tree = Changing("gone", "kept")
    tree.listings = Listings(tree, most=2)
    mended, other = tree.folder("mended"), tree.folder("other")
    mended.children()
    changed(tree)
    listing = mended.children()

    other.children()

    assert mended.children_cached() is listing
    mended.forget()
    assert mended.children_cached() is None


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EIO, ""), DirectoryError("", 7), ValueError()],
    ids=["the medium", "a record", "unforeseen"],
)
def test_a_folder_that_cannot_be_listed_anew_stays_as_it_was(
    error: Exception, expect_log: Callable[[str], None]
) -> None:
    tree = Changing("gone", "kept")
    folder = tree.folder("root")
    before = folder.children()
    told = changed(tree)
    tree.before = failing(error)

    tree.listings.refresh()

    assert folder.children() is before
    assert told == []
    expect_log("listed anew|listing a folder anew")


def test_what_is_forgotten_while_it_is_listed_anew_is_not_kept() -> None:
    tree = Changing("gone", "kept")
    folder = tree.folder("root")
    folder.children()
    told = changed(tree)
    tree.before = folder.forget

    tree.listings.refresh()

    assert folder.children_cached() is None
    assert told == []


def test_what_is_kept_is_mended_once_the_links_were_checked() -> None:
    tree = Changing("gone", "kept")
    folder = tree.folder("root")
    folder.children()

    def find() -> None:
        tree.before = lambda: None
        changed(tree)

    tree.before = find
    tree.listings.settle()

    assert list(folder.children()) == ["came", "kept"]


def test_a_check_of_links_that_fails_in_an_unforeseen_way_ends_nothing(
    expect_log: Callable[[str], None],
) -> None:
    tree = Changing()
    folder = tree.folder("root")
    before = folder.children()
    tree.before = failing(ValueError())

    tree.listings.settle()

    assert folder.children() is before
    expect_log("checking the links")


def test_a_folder_waits_for_what_it_depends_on_before_it_is_listed() -> None:
    tree = Changing()
    folder = tree.folder("root")

    folder.children()
    folder.children()

    assert tree.completed == ["root"]


def test_a_folder_that_waited_learns_from_above_what_it_consists_of() -> None:
    tree = Changing("below")
    root = tree.folder("")
    below = root.children()["below"]
    assert isinstance(below, Selection)
    told = changed(tree)

    below.children()

    assert [name for name, _ in told] == [""]


def test_the_root_is_kept_as_long_as_it_may_change() -> None:
    tree = Changing()
    tree.listings = Listings(tree, most=1)
    tree.is_settled = False
    root = tree.folder("")
    listing = root.children()

    root.forget()
    tree.folder("other", root).children()

    assert root.children_cached() is listing
    tree.is_settled = True
    root.forget()
    assert root.children_cached() is None


def test_a_folder_that_is_gone_is_found_by_name_and_has_nothing_in_it() -> None:
    tree = Changing("gone", "kept")
    root = tree.folder("")
    gone = root.children()["gone"]
    assert isinstance(gone, Selection)
    gone.parts = [PART]
    changed(tree)
    root.children()

    assert root.lookup("gone") is gone
    assert gone.parts == []
    tree.names = ("gone",)
    tree.revision += 1
    root.children()
    assert root.lookup("gone") is not gone


# -- merging ---------------------------------------------------------------------------


class NamedFileSet:
    """Stands for a File-set of which only the identity is asked."""

    identity = b"one"


FILE_SET = cast(FileSet, NamedFileSet())
PART = Part(FILE_SET, 7, whole_entity=True)
SERIES = Selection(7, "001 CT", None, 0, Level.SERIES, [], Listings(Changing()))


def listing(*files: tuple[str, int, int]) -> Listing:
    """Return a listing of files: name, number in the folder, offset of the record."""
    return {
        name: Instance(
            file_inode(7, number), name, SERIES, 0, FILE_SET, offset, (), 1, 0, ""
        )
        for name, number, offset in files
    }


def test_what_stays_keeps_its_name_and_number_and_no_number_is_given_twice() -> None:
    old = listing(("a", 0, 100), ("b", 1, 200))
    new = listing(("x", 0, 50), ("a [1]", 1, 100), ("b", 2, 200), ("y", 6, 300))

    found = merged(old, new)

    assert list(found) == ["a", "b", "x", "y"]
    assert (found["a"], found["b"]) == (old["a"], old["b"])
    assert len({node.inode for node in found.values()}) == 4


def test_a_name_that_is_taken_is_told_apart() -> None:
    old = listing(("0001.dcm", 0, 100))
    new = listing(("0001.dcm", 0, 50), ("0001 [2].dcm", 1, 100))

    found = merged(old, new)

    assert found["0001.dcm"] is old["0001.dcm"]
    assert len(found) == 2


def test_a_number_that_came_to_mean_another_record_is_noticed() -> None:
    [before] = listing(("a", 0, 100)).values()
    [after] = listing(("a", 0, 200)).values()

    assert before.is_same(before)
    assert not before.is_same(after)
