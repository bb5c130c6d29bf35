"""Several File-sets in one tree: what each of them may know of the others, and cost."""

import errno
from collections.abc import Mapping
from pathlib import Path
from time import process_time

import pytest

from dicomfs.check.check import check
from dicomfs.cli.codes import Exit
from dicomfs.fileset.links import LinkCheck
from dicomfs.fileset.open import file_sets_of
from dicomfs.findings import Findings, Kind
from dicomfs.media.opening import open_sources
from dicomfs.tree.node import Node
from dicomfs.tree.report import Report
from dicomfs.tree.selection import Selection
from dicomfs.tree.tree import Tree
from tests.build.medium import OMIT, image, patient, series, study, write_medium
from tests.conftest import ExpectLog
from tests.support.mounting import Mounter, dicomfs
from tests.support.trees import CountingMedium, look, opened, walk


def disc(root: Path, number: int, name: str = "Doe^Jane", **of_patient: str) -> Path:
    """Write a disc with a study of two images."""
    uid = f"1.{number}"
    images = [image(f"{uid}.1.{n}", number=n) for n in (1, 2)]
    made = study(uid, [series(f"{uid}.1", images)], description=f"Disc {number}")
    write_medium(root, [patient(name, name, [made], **of_patient)])
    return root


def spoil(root: Path) -> None:
    """Change the DICOMDIR of a disc, as somebody may who can write to it."""
    with (root / "DICOMDIR").open("ab") as index:
        index.write(b"x")


def folder(node: Node) -> Selection:
    assert isinstance(node, Selection)
    return node


# -- text ------------------------------------------------------------------------------

# A patient's record says which character set it is in, what is below does not.
STUDIES = {"ISO_IR 100": "Schädel", "ISO_IR 192": "Głowa", "ISO_IR 144": "Голова"}


def in_character_set(root: Path, number: int, term: str) -> Path:
    description = STUDIES[term].encode(
        {"ISO_IR 100": "latin-1", "ISO_IR 192": "utf-8", "ISO_IR 144": "iso8859-5"}[
            term
        ]
    )
    uid = f"1.{number}"
    made = study(uid, [series(f"{uid}.1", [image(f"{uid}.1.1")])])
    made["StudyDescription"] = description
    who = patient("Doe^Jane", "1", [made], SpecificCharacterSet=term)
    for record in (made, *made.children, *made.children[0].children):
        record["SpecificCharacterSet"] = OMIT
    write_medium(root, [who])
    return root


def test_records_are_in_the_character_sets_of_their_own_disc(tmp_path: Path) -> None:
    discs = [
        in_character_set(tmp_path / f"{number}", number, term)
        for number, term in enumerate(STUDIES)
    ]

    joined = look(*discs)

    assert {path.split("/")[1][11:] for path in joined if path.count("/") == 1} == set(
        STUDIES.values()
    )
    assert checked(*discs).faults == 0


def checked(*discs: Path) -> Report:
    file_sets = file_sets_of(open_sources(discs), Findings())
    try:
        return check(file_sets)
    finally:
        for each in file_sets:
            each.medium.close()


# -- who is the same -------------------------------------------------------------------


def of_nobody(root: Path, *studies: str) -> Path:
    """Write a disc of these studies, whose patient has a placeholder for a name."""
    made = [study(uid, [series(f"{uid}.1", [image(f"{uid}.1.1")])]) for uid in studies]
    write_medium(root, [patient("Anonymous", "0", made)])
    return root


def test_discs_of_nobody_are_one_folder_only_if_a_study_is_on_both(
    tmp_path: Path,
) -> None:
    one, two, three = (
        of_nobody(tmp_path / name, *studies)
        for name, studies in {"1": ["1.1"], "2": ["1.1", "1.2"], "3": ["1.3"]}.items()
    )

    assert len(roots(look(one, two))) == 1
    assert len(roots(look(one, three))) == 2
    assert look(three, two, one) == look(one, two, three)
    assert len(roots(look(one, two, three))) == 2


def roots(seen: Mapping[str, object]) -> set[str]:
    return {path.partition("/")[0] for path in seen}


def test_studies_of_nobody_are_read_only_where_that_may_join_them(
    tmp_path: Path,
) -> None:
    media = [
        CountingMedium(of_nobody(tmp_path / "nobody", "1.1")),
        CountingMedium(disc(tmp_path / "doe", 2)),
    ]
    with opened(*media) as tree:
        before = media[0].bytes_read
        tree.expand(tree.root)

        assert media[0].bytes_read - before < 4096


@pytest.mark.parametrize("name", ["DOE^JANE", "Doe^Jane "])
def test_a_spelling_that_was_passed_over_is_a_remark(tmp_path: Path, name: str) -> None:
    one, two = disc(tmp_path / "one", 1), disc(tmp_path / "two", 2)
    write_medium(two, [patient(name, "Doe^Jane", [study("1.2")])])

    found = [each for each in checked(one, two).findings if each.kind is Kind.SPELLINGS]

    assert len(roots(look(one, two))) == 1
    assert len(found) == (name == "DOE^JANE")
    assert not Kind.SPELLINGS.is_fault
    for each in found:
        assert {"'Doe^Jane'", "'DOE^JANE'"} == set(each.detail.split(" and "))


def test_names_that_grow_when_they_are_compared_hold_up_no_other_disc(
    tmp_path: Path,
) -> None:
    good = disc(tmp_path / "good", 1)
    name = ("\ufdfa" * 1360).encode()
    many = [
        patient(name, f"{n}".encode() + name, SpecificCharacterSet="ISO_IR 192")
        for n in range(300)
    ]
    write_medium(tmp_path / "bad", many)

    with opened(good, tmp_path / "bad") as tree:
        began = process_time()
        assert len(tree.root.children()) == 301
        # Normalised, they are 14 million letters.
        assert process_time() - began < 1


# -- copies ----------------------------------------------------------------------------


def test_a_file_that_is_missing_on_one_of_two_copies_is_shown_and_reported(
    tmp_path: Path,
) -> None:
    one, two = disc(tmp_path / "one", 1), disc(tmp_path / "two", 1)
    next(two.glob("*/*")).unlink()

    shown = look(one, two)
    report = checked(one, two)

    assert [each.error for each in shown.values() if not each.is_folder] == [0, 0]
    missing = [each for each in report.findings if each.kind is Kind.MISSING_FILE]
    assert [(each.source, each.count) for each in missing] == [(str(two), 1)]


# -- one that fails --------------------------------------------------------------------


def test_a_disc_that_is_changed_costs_what_only_it_has(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("a source cannot be read any more")
    expect_log("the DICOMDIR was changed after mounting")
    one, two = disc(tmp_path / "one", 1), disc(tmp_path / "two", 2, "Roe")
    file_sets = file_sets_of(open_sources([one, two]), Findings())
    tree = Tree(file_sets, read_headers=True)
    spoil(two)

    assert list(tree.root.children()) == ["Doe, Jane (Doe^Jane)"]
    failed = [each for each in tree.findings.all() if each.kind is Kind.SOURCE_FAILED]
    assert [each.source for each in failed] == [str(two)]
    for each in file_sets:
        each.medium.close()


def test_a_folder_that_would_lack_files_is_an_error(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("the DICOMDIR was changed after mounting")
    one, two = disc(tmp_path / "one", 1), disc(tmp_path / "two", 2)
    with opened(one, two) as tree:
        [joined] = tree.root.children().values()
        spoil(two)

        with pytest.raises(OSError, match="was changed") as raised:
            folder(joined).children()
    assert raised.value.errno == errno.EIO


def test_if_no_disc_can_be_read_the_root_cannot_either(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("a source cannot be read any more")
    expect_log("the DICOMDIR was changed after mounting")
    one, two = disc(tmp_path / "one", 1), disc(tmp_path / "two", 2)
    with opened(one, two) as tree:
        spoil(one)
        spoil(two)
        with pytest.raises(OSError, match="was changed"):
            tree.root.children()


@pytest.mark.mount
def test_a_mount_goes_on_without_a_source_that_is_gone(
    mount: Mounter, tmp_path: Path
) -> None:
    one, two = disc(tmp_path / "one", 1), disc(tmp_path / "two", 2, "Roe")
    shown = mount(one, two)
    shown.expect_log("a source cannot be read any more")
    shown.expect_log("the DICOMDIR was changed after mounting")
    spoil(two)

    assert len(shown.files()) == 2
    assert str(two) in (shown.place / ".dicomfs/report.txt").read_text()


def test_check_goes_on_without_a_source_and_says_that_it_was_not_all(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("a source cannot be read any more")
    expect_log("the DICOMDIR was changed after mounting")
    one, two = disc(tmp_path / "one", 1), disc(tmp_path / "two", 2, "Roe")
    file_sets = file_sets_of(open_sources([one, two]), Findings())
    # As of an image that was changed: what is read of it is an error.
    failing = next(each for each in file_sets if each.findings.source == str(two))
    with (two / "DICOMDIR").open("r+b") as index:
        index.write(bytes(400))

    report = check(file_sets)

    assert failing.findings.source in {
        each.source for each in report.findings if each.kind is Kind.SOURCE_FAILED
    }
    assert report.failure == "1 of several sources could not be read"
    assert not report.is_complete
    assert {each.count for each in report.progress if each.stage.code == "files"} == {2}
    for each in file_sets:
        each.medium.close()


@pytest.mark.slow
def test_check_of_sources_of_which_one_is_left_out_ends_as_not_all_was_read(
    tmp_path: Path,
) -> None:
    one = disc(tmp_path / "one", 1)
    (tmp_path / "junk.iso").write_bytes(bytes(100))

    done = dicomfs("check", one, tmp_path / "junk.iso")

    assert done.returncode == Exit.UNCHECKED
    assert "not all was read: 1 of several sources could not be read" in done.stdout
    assert "junk.iso" in done.stdout


# -- looking through -------------------------------------------------------------------


def test_a_folder_waits_for_its_own_discs_and_for_no_others(tmp_path: Path) -> None:
    media = [
        CountingMedium(disc(tmp_path / f"{number}", number, f"P{number}"))
        for number in range(4)
    ]
    with opened(*media, most_awaited=0) as tree:
        root = tree.root.children()
        before = [medium.bytes_read for medium in media]

        list(walk(folder(root["P2 (P2)"])))

        read = [
            medium.bytes_read > was for medium, was in zip(media, before, strict=True)
        ]
        checked = [each.link_check for each in tree.file_sets]
    assert read == [False, False, True, False]
    assert checked.count(LinkCheck.WHOLE) == 1


def test_what_belongs_nowhere_is_known_when_all_discs_were_looked_through(
    tmp_path: Path,
) -> None:
    media = [disc(tmp_path / f"{number}", number) for number in range(4)]

    with opened(*media, most_awaited=0) as tree:
        early = tree.root.children()
        nowhere = folder(early["Unlinked"]).children()
        checked = {each.link_check for each in tree.file_sets}
        late = tree.root.children()

    assert list(early) == ["Doe, Jane (Doe^Jane)", "Unlinked"]
    assert nowhere == {}
    assert checked == {LinkCheck.WHOLE}
    assert list(late) == ["Doe, Jane (Doe^Jane)"]


def test_discs_that_are_too_large_are_left_alone(tmp_path: Path) -> None:
    media = [disc(tmp_path / f"{number}", number) for number in range(4)]

    with opened(*media, most_checked=4) as tree:
        root = list(tree.root.children())
        list(walk(tree.root))
        checked = {each.link_check for each in tree.file_sets}

    assert root == ["Doe, Jane (Doe^Jane)"]
    assert checked == {LinkCheck.TOO_LARGE}
