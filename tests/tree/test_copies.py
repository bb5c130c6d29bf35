"""Files of one UID: on one medium all are shown, of several media copies are joined."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import permutations
from pathlib import Path

import pytest

from dicomfs.findings import Finding, Kind
from dicomfs.tree.selection import Instance
from tests.build.medium import (
    OMIT,
    Record,
    image,
    instance_bytes,
    patient,
    series,
    study,
    write_medium,
)
from tests.support.trees import Seen, files, look_at, look_into, tree_of, walk

UID = "1.1.1.1"


def in_series(*images: Record) -> list[Record]:
    return [patient("Doe^Jane", "1", [study("1.1", [series("1.1.1", images)])])]


def slices(count: int, number: int | None = 1, size: int = 100) -> list[Record]:
    """Return different images of one UID, one number and one size."""
    made = [image(UID, number=number, file=f"I{n}") for n in range(count)]
    for n, each in enumerate(made):
        each.content = instance_bytes({"SOPInstanceUID": UID}) + bytes([n]) * size
    return made


def disc(root: Path, *images: Record) -> Path:
    write_medium(root, in_series(*images))
    return root


def look(*discs: Path) -> dict[str, Seen]:
    """Return all that the discs are shown to have."""
    with tree_of(*discs) as tree:
        return look_into(tree)


def findings_of(*discs: Path) -> list[Finding]:
    """Return what listing the discs tells."""
    with tree_of(*discs) as tree:
        list(walk(tree.root))
        return tree.findings.all()


def kinds(found: Sequence[Finding]) -> list[tuple[Kind, int, int]]:
    return [(each.kind, each.count, each.of) for each in found]


# -- one medium ------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, None], ids=["one-number", "no-number"])
def test_slices_that_share_uid_number_and_size_are_all_shown(
    tmp_path: Path, number: int | None
) -> None:
    seen = look_at(tmp_path, in_series(*slices(6, number)))

    assert len(files(seen)) == 6
    assert len({seen[path].data for path in files(seen)}) == 6
    assert kinds(findings_of(tmp_path)) == [(Kind.DUPLICATE_INSTANCE, 6, 6)]
    assert Kind.DUPLICATE_INSTANCE.is_fault


@pytest.mark.parametrize("uid", [UID, OMIT], ids=["uid", "no-uid"])
def test_a_file_that_is_listed_for_each_of_its_frames_is_one(
    tmp_path: Path, uid: str
) -> None:
    frames = [image(uid, number=n, file="FRAMES") for n in range(5)]

    assert len(files(look_at(tmp_path, in_series(*frames)))) == 1
    assert kinds(findings_of(tmp_path)) == [(Kind.REPEATED_INSTANCE, 1, 1)]


def test_a_missing_file_stands_beside_one_of_the_same_uid(tmp_path: Path) -> None:
    images = [image(UID, file="I1", path=None), image(UID, file="I2")]

    seen = look_at(tmp_path, in_series(*images))

    assert sorted(bool(seen[path].error) for path in files(seen)) == [False, True]
    assert kinds(findings_of(tmp_path)) == [(Kind.MISSING_FILE, 1, 2)]


# -- several media ---------------------------------------------------------------------


def test_copies_on_several_media_are_one_until_somebody_compares_them(
    tmp_path: Path,
) -> None:
    discs = [disc(tmp_path / name, *slices(1)) for name in ("one", "two", "three")]

    assert len(files(look(*discs))) == 1
    assert kinds(findings_of(*discs)) == [(Kind.ASSUMED_COPIES, 1, 1)]
    assert Kind.ASSUMED_COPIES.is_fault


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        (slices(2), slices(2), 4),
        (slices(1), slices(2), 3),
        (slices(1), slices(1, size=102), 2),
        (slices(1), slices(1, number=2), 2),
        (slices(1), [image(OMIT, file="I1", size=100)], 2),
    ],
    ids=["two-and-two", "one-and-two", "sizes", "numbers", "no-uid"],
)
def test_where_something_speaks_against_it_no_files_are_copies(
    tmp_path: Path, one: list[Record], other: list[Record], shown: int
) -> None:
    discs = disc(tmp_path / "one", *one), disc(tmp_path / "two", *other)

    assert len(files(look(*discs))) == shown
    assert Kind.ASSUMED_COPIES not in {each.kind for each in findings_of(*discs)}


def test_a_file_that_is_missing_on_one_medium_is_the_one_of_the_other(
    tmp_path: Path,
) -> None:
    discs = [disc(tmp_path / name, *slices(1)) for name in ("one", "two")]
    (discs[0] / "I0").unlink()

    seen = look(*discs)

    assert [seen[path].error for path in files(seen)] == [0]


def test_which_copy_is_read_does_not_depend_on_the_order_of_sources(
    tmp_path: Path,
) -> None:
    # Two of the three have the same DICOMDIR.
    discs = [
        disc(tmp_path / f"{n}", *slices(1), image(f"1.1.2.{n // 2}", number=9 + n // 2))
        for n in range(3, 6)
    ]
    for n, each in enumerate(discs):
        (each / "I0").write_bytes(bytes([n]) * (each / "I0").stat().st_size)

    seen = {
        look(*order)["Doe, Jane (1)/2023-07-05 Study 1/001 CT/0001.dcm"].data[:1]
        for order in permutations(discs)
    }

    assert len(seen) == 1


# -- the copy that is read -------------------------------------------------------------


def the_file(nodes: Iterable[tuple[str, object]]) -> Instance:
    [file] = [node for _, node in nodes if isinstance(node, Instance)]
    return file


def test_where_the_first_copy_cannot_be_opened_the_next_one_is_read(
    tmp_path: Path,
) -> None:
    discs = [disc(tmp_path / name, *slices(1)) for name in ("one", "two")]
    with tree_of(*discs) as tree:
        file = the_file(walk(tree.root))
        gone = Path(file.file_set.findings.source) / "I0"
        data = gone.read_bytes()
        gone.unlink()

        with closing(file.open()) as source:
            assert source.read_at(0, source.size) == data
            assert source.is_stand_in
        said = [
            each for each in tree.findings.all() if each.kind is Kind.UNREADABLE_FILE
        ]

    assert [each.done for each in said] == ["a copy of it is read instead"]


def test_where_the_first_copy_is_not_what_was_listed_the_next_one_is_read(
    tmp_path: Path,
) -> None:
    discs = [disc(tmp_path / name, *slices(1)) for name in ("one", "two")]
    with tree_of(*discs) as tree:
        file = the_file(walk(tree.root))
        changed = Path(file.file_set.findings.source) / "I0"
        data = changed.read_bytes()
        changed.write_bytes(b"something else")

        with closing(file.open()) as source:
            assert source.read_at(0, source.size) == data


def test_where_no_copy_can_be_opened_that_is_an_error(tmp_path: Path) -> None:
    discs = [disc(tmp_path / name, *slices(1)) for name in ("one", "two")]
    with tree_of(*discs) as tree:
        file = the_file(walk(tree.root))
        for each in discs:
            (each / "I0").unlink()

        with pytest.raises(FileNotFoundError):
            file.open()


def test_a_copy_that_is_in_order_is_no_stand_in(tmp_path: Path) -> None:
    discs = [disc(tmp_path / name, *slices(1)) for name in ("one", "two")]
    with tree_of(*discs) as tree, closing(the_file(walk(tree.root)).open()) as source:
        assert not source.is_stand_in
