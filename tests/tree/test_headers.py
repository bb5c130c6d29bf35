"""Headers that are asked where records say too little: read once, and not too many."""

from pathlib import Path

import pytest

from dicomfs.dicom import tags
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.tree import headers
from dicomfs.tree.headers import Headers
from dicomfs.tree.selection import Selection
from tests.build.medium import (
    build_dicomdir,
    image,
    patient,
    series,
    study,
    write_medium,
)
from tests.support.trees import CountingFake, CountingMedium, opened


@pytest.fixture
def medium(tmp_path: Path) -> CountingMedium:
    """Return a medium with three series that only their instances describe."""
    several = [
        series(f"1.1.{n}", [image(f"1.1.{n}.1")], number=n, header_description=f"S{n}")
        for n in range(1, 4)
    ]
    write_medium(tmp_path, [patient("Doe", "1", [study("1.1", several)])])
    return CountingMedium(tmp_path)


def test_a_header_is_read_once(medium: CountingMedium) -> None:
    with opened(medium) as tree:
        [top] = tree.file_sets
        record = next(
            each.record for each in top.everything() if each.record.type == "SERIES"
        )
        kept = Headers(may_be_read=True)
        before = kept.kept(top, record)
        first = kept.below(top, record)
        opens = len(medium.opened)
        again = kept.below(top, record)

    assert before is None
    assert first is not None
    assert first is again
    assert first.text(tags.SERIES_DESCRIPTION) == "S1"
    assert len(medium.opened) == opens


def test_no_header_is_read_that_may_not_be(medium: CountingMedium) -> None:
    with opened(medium) as tree:
        [top] = tree.file_sets
        record = next(
            each.record for each in top.everything() if each.record.type == "SERIES"
        )

        assert Headers(may_be_read=False).below(top, record) is None

    assert medium.opened == ["DICOMDIR"]


def test_a_header_that_was_given_up_is_read_again_and_the_tree_stays_the_same(
    medium: CountingMedium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "_MOST", 1)
    with opened(medium) as tree:
        [doe] = tree.root.children().values()
        assert isinstance(doe, Selection)
        [one] = doe.children().values()
        assert isinstance(one, Selection)
        listings = [tree.expand(one) for _ in range(2)]

    seen = [[(n.name, n.inode, n.mtime_ns) for n in each.values()] for each in listings]
    assert [name for name, *_ in seen[0]] == ["001 CT S1", "002 CT S2", "003 CT S3"]
    assert seen[0] == seen[1]
    assert len(medium.opened) == 1 + 2 * 3


def test_a_header_that_is_unreadable_is_not_asked_for_again() -> None:
    dicomdir = build_dicomdir([series("1.1", [image("1.1.1", file="I1")])])
    fake = CountingFake({"DICOMDIR": dicomdir, "I1": b"no DICOM" * 40})
    [file_set] = open_file_sets(fake)
    [item] = file_set.children(file_set.roots[0])
    kept = Headers(may_be_read=True)

    assert [kept.below(file_set, item.record) for _ in range(3)] == [None] * 3
    assert fake.opened == ["DICOMDIR", "I1"]
