"""Links between records: followed as they are written, until they turn out wrong."""

from collections.abc import Iterable

import pytest

from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.fileset.fileset import FileSet
from dicomfs.fileset.links import LinkCheck, LinksMended
from tests.build.medium import Record, build_dicomdir, image, patient, series, study
from tests.conftest import ExpectLog
from tests.support.trees import FakeMedium


def file_set_of(roots: Iterable[Record], **files: bytes) -> FileSet:
    medium = FakeMedium({"DICOMDIR": build_dicomdir(roots), **files})
    [file_set] = open_file_sets(medium)
    return file_set


def whole(uid: str) -> Record:
    """Return a patient with one instance."""
    below = [series(f"1.{uid}", [image(f"1.{uid}.1", file=f"I{uid}")])]
    return patient("Doe^Jane", uid, [study(uid, below)])


def children(file_set: FileSet) -> list[str]:
    return [
        item.record.type for part in file_set.roots for item in file_set.children(part)
    ]


def test_links_that_are_sound_are_followed_and_not_checked() -> None:
    file_set = file_set_of([whole("1"), whole("2")])

    assert children(file_set) == ["PATIENT", "PATIENT"]
    assert file_set.link_check is LinkCheck.NOT_YET
    assert (file_set.records, file_set.revision, file_set.is_mended) == (0, 0, False)


def test_a_link_that_fails_lets_all_be_checked_and_the_walk_begin_anew(
    expect_log: ExpectLog,
) -> None:
    expect_log("a link leads to no record")
    last = whole("2")
    last.next = 77
    file_set = file_set_of([whole("1"), last])

    with pytest.raises(LinksMended):
        children(file_set)

    assert children(file_set) == ["PATIENT", "PATIENT"]
    assert file_set.link_check is LinkCheck.WHOLE
    assert (file_set.records, file_set.revision, file_set.is_mended) == (8, 1, True)


def test_doubt_that_is_not_confirmed_changes_nothing() -> None:
    file_set = file_set_of([whole("1")])

    file_set.doubt()

    assert file_set.link_check is LinkCheck.WHOLE
    assert (file_set.records, file_set.revision, file_set.is_mended) == (4, 0, False)


def test_more_records_than_were_asked_for_are_not_checked() -> None:
    file_set = file_set_of([whole("1"), whole("2")])

    found = []
    for most in (7, 100):
        file_set.check_links(most)
        found.append(file_set.link_check)

    assert found == [LinkCheck.TOO_LARGE, LinkCheck.WHOLE]


def test_first_records_that_are_wrong_are_found_out_at_once(
    expect_log: ExpectLog,
) -> None:
    expect_log("first root record")
    data = build_dicomdir([whole("1")], first=None)

    [file_set] = open_file_sets(FakeMedium({"DICOMDIR": data}))

    assert file_set.link_check is LinkCheck.WHOLE
    assert children(file_set) == ["PATIENT"]


def test_what_nothing_links_to_is_unlinked(expect_log: ExpectLog) -> None:
    expect_log("nothing links to a record, nor says where it belongs")
    data = build_dicomdir([whole("1")], unlinked=[image("1.9.1", file="LOST")])
    [file_set] = open_file_sets(FakeMedium({"DICOMDIR": data, "LOST": b"no DICOM"}))
    assert file_set.unlinked == []

    file_set.check_links()

    [part] = file_set.unlinked
    assert [item.file_id for item in file_set.children(part)] == [b"LOST"]
    assert file_set.revision == 1
