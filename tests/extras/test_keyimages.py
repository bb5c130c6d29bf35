"""Key images: which files are in their folder, under which names."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from dicomfs.dicom.types import Level
from dicomfs.extras import adding
from dicomfs.findings import Finding, Kind
from dicomfs.tree import naming
from dicomfs.tree.node import FileNode, FolderNode
from dicomfs.tree.selection import Instance, Selection
from dicomfs.tree.tree import Tree
from tests.build.medium import (
    Record,
    Value,
    code,
    image,
    leaf,
    patient,
    series,
    study,
    write_medium,
)
from tests.build.reports import CT, evidence, item, reference
from tests.extras.test_beside import content, pdf, with_extras
from tests.support.trees import CountingMedium, opened, walk

STUDY: Final = "Doe, Jane (12345)/2023-07-05 CT Thorax"
FOLDER: Final = f"{STUDY}/Key images of Interest"


def choice(
    *chosen: str,
    uid: str = "1.2.9.1",
    title: Sequence[Mapping[str, Value]] = code("113000", "DCM", "Of Interest"),
    where: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    **more: Value,
) -> Record:
    """Return a Key Object Selection that chooses these instances."""
    made = leaf("KEY OBJECT DOC", uid, (), **more)
    made["ConceptNameCodeSequence"] = title
    images = [
        item("IMAGE", ReferencedSOPSequence=reference(CT, each)) for each in chosen
    ]
    made.say(ContentSequence=images)
    if where is not None:
        made.say(CurrentRequestedProcedureEvidenceSequence=evidence(where))
    return made


def lung(count: int = 3) -> Record:
    slices = [image(f"1.2.3.{n}", number=n, file=f"L{n}") for n in range(1, count + 1)]
    return series("1.2.3", slices, description="Lung")


def bone() -> Record:
    one = image("1.2.4.17", number=17, file="B17")
    return series("1.2.4", [one], number=2, description="Bone")


def choices(*documents: Record, **more: Value) -> Record:
    about: dict[str, Value] = {"modality": "KO", "description": "Choice", **more}
    return series("1.2.9", documents, number=9, **about)


def disc(root: Path, *all_series: Record, name: Value = "Doe^Jane") -> Path:
    """Write a medium with one study."""
    one = study("1.2", all_series, description="CT Thorax")
    write_medium(root, [patient(name, "12345", [one])])
    return root


def paths(tree: Tree) -> list[str]:
    return [path for path, _ in walk(tree.root)]


def node(tree: Tree, path: str) -> FileNode | FolderNode:
    found: FileNode | FolderNode = tree.root
    for name in path.split("/"):
        assert found.is_folder
        found = found.children()[name]
    return found


def names(tree: Tree, path: str = FOLDER) -> list[str]:
    folder = node(tree, path)
    assert folder.is_folder
    return list(folder.children())


def said(tree: Tree) -> list[Finding]:
    return [e for e in tree.findings.all() if e.kind is Kind.KEY_IMAGES_MISSING]


def test_what_was_chosen_is_in_a_folder_in_the_order_of_the_choice(
    tmp_path: Path,
) -> None:
    chosen = choices(choice("1.2.4.17", "1.2.3.3", "1.2.3.1"))
    with with_extras(disc(tmp_path, lung(), bone(), chosen)) as tree:
        assert names(tree) == ["01 002-0017.dcm", "02 001-0003.dcm", "03 001-0001.dcm"]
        assert not said(tree)


def test_the_files_are_the_very_ones_of_the_series(tmp_path: Path) -> None:
    chosen = choices(choice("1.2.4.17", "1.2.3.3"))
    with with_extras(disc(tmp_path, lung(), bone(), chosen)) as tree:
        file = node(tree, f"{FOLDER}/01 002-0017.dcm")
        assert file is node(tree, f"{STUDY}/002 CT Bone/0017.dcm")
        assert isinstance(file, Instance)
        assert file.parent is node(tree, f"{STUDY}/002 CT Bone")
        assert content(file) == (tmp_path / "B17").read_bytes()


def test_a_file_says_in_how_many_folders_it_is(tmp_path: Path) -> None:
    chosen = choices(
        choice("1.2.3.1", "1.2.3.2"),
        choice("1.2.3.1", uid="1.2.9.2", number=2),
    )
    with with_extras(disc(tmp_path, lung(), chosen)) as tree:
        series_ = node(tree, f"{STUDY}/001 CT Lung")
        assert series_.is_folder
        files = [each for each in series_.children().values() if not each.is_folder]
        assert [each.links for each in files] == [3, 2, 1]


def test_a_series_whose_study_was_forgotten_knows_it_too(tmp_path: Path) -> None:
    with with_extras(disc(tmp_path, lung(), choices(choice("1.2.3.1")))) as tree:
        series_ = node(tree, f"{STUDY}/001 CT Lung")
        assert isinstance(series_, Selection)
        adding.add_to(tree, deadline=3600.0)

        [first, *_] = series_.children().values()

        assert isinstance(first, Instance)
        assert first.links == 2


def test_without_extras_there_is_no_such_folder(tmp_path: Path) -> None:
    medium = CountingMedium(disc(tmp_path, lung(), choices(choice("1.2.3.1"))))
    with opened(medium) as tree:
        assert not [path for path in paths(tree) if "Key images" in path]
        file = node(tree, f"{STUDY}/001 CT Lung/0001.dcm")
        assert not file.is_folder
        assert file.links == 1
    assert medium.opened == ["DICOMDIR"]


def test_only_the_choices_are_opened(tmp_path: Path) -> None:
    chosen = choices(choice("1.2.3.1", file="KO1"))
    medium = CountingMedium(disc(tmp_path, lung(), bone(), chosen))
    with opened(medium) as tree:
        adding.add_to(tree, deadline=3600.0)
        assert names(tree) == ["01 001-0001.dcm"]
    assert medium.opened == ["DICOMDIR", "KO1"]


def test_a_study_without_choices_opens_nothing(tmp_path: Path) -> None:
    medium = CountingMedium(disc(tmp_path, lung(), bone()))
    with opened(medium) as tree:
        adding.add_to(tree, deadline=3600.0)
        assert len(paths(tree)) == 9
    assert medium.opened == ["DICOMDIR"]


@pytest.mark.parametrize(
    ("title", "folder"),
    [
        (code("113000", "DCM", "Of Interest"), "Key images of Interest"),
        (code("113003", "DCM", "For Surgery"), "Key images for Surgery"),
        (code("113013", "DCM", "Best In Set"), "Key images of Best In Set"),
        (code("1", "99LOCAL", "Forms"), "Key images of Forms"),
        (code("1", "99LOCAL", "a/b:"), "Key images of a_b_"),
        ([], "Key images"),
    ],
)
def test_the_folder_says_what_they_were_chosen_for(
    title: Sequence[Mapping[str, Value]], folder: str, tmp_path: Path
) -> None:
    chosen = choices(choice("1.2.3.1", title=title))
    with with_extras(disc(tmp_path, lung(), chosen)) as tree:
        assert folder in names(tree, STUDY)


def test_two_choices_of_one_title_are_told_apart(tmp_path: Path) -> None:
    chosen = choices(
        choice("1.2.3.1"), choice("1.2.3.2", uid="1.2.9.2", number=2, file="KO2")
    )
    with with_extras(disc(tmp_path, lung(), chosen)) as tree:
        found = [each for each in names(tree, STUDY) if each.startswith("Key images")]
        inside = {names(tree, f"{STUDY}/{each}")[0] for each in found}

    assert all(re.fullmatch(r"Key images of Interest \[\w{8}\]", e) for e in found)
    assert len(set(found)) == 2
    assert inside == {"01 001-0001.dcm", "01 001-0002.dcm"}


def test_a_series_of_that_name_keeps_it(tmp_path: Path) -> None:
    posing = series("1.2.5", [], number="", modality="Key images of Interest")
    with with_extras(
        disc(tmp_path, lung(), posing, choices(choice("1.2.3.1")))
    ) as tree:
        found = [each for each in names(tree, STUDY) if each.startswith("Key images")]

    assert found[0] == "Key images of Interest"
    assert re.fullmatch(r"Key images of Interest \[\w{8}\]", found[1])


def test_where_the_path_does_not_say_whose_they_are_the_folder_has_a_hash(
    tmp_path: Path,
) -> None:
    root = disc(tmp_path, lung(), choices(choice("1.2.3.1")), name="")
    with with_extras(root) as tree:
        who = next(iter(tree.root.children()))
        folder = f"{who}/2023-07-05 CT Thorax"
        assert "Key images of Interest" in names(tree, folder)

    one = study("1.2", [lung(), choices(choice("1.2.3.1"))], date=None)
    write_medium(tmp_path, [patient("Doe^Jane", "12345", [one])])
    with with_extras(tmp_path) as tree:
        [folder] = [path for path in paths(tree) if path.endswith("]")]

    assert re.search(r"/Key images of Interest \[\w{8}\]$", folder)


def test_choices_without_uids_on_two_discs_do_not_share_the_hash(
    tmp_path: Path,
) -> None:
    found = []
    for number in (1, 2):
        root = tmp_path / f"{number}"
        root.mkdir()
        chosen = choices(choice(f"1.2.3.{number}", uid="", file="KO"))
        one = study("1.2", [lung(), chosen], date=None)
        write_medium(root, [patient("", "", [one])])
        with with_extras(root) as tree:
            found += [path for path in paths(tree) if path.endswith("]")]

    assert len(set(found)) == 2


def test_what_is_not_on_the_medium_is_said(tmp_path: Path) -> None:
    chosen = choices(choice("1.2.3.77", "1.2.3.2", "1.2.3.78"))
    with with_extras(disc(tmp_path, lung(), chosen)) as tree:
        assert names(tree) == ["01 001-0002.dcm"]
        [finding] = said(tree)

    assert (finding.count, finding.of) == (2, 3)
    assert finding.detail == "2 of 3 not found"
    assert finding.where == tuple(FOLDER.split("/"))


def test_a_choice_is_never_a_key_image_itself(tmp_path: Path) -> None:
    first = choice("1.2.3.1", "1.2.9.2")
    second = choice("1.2.9.1", uid="1.2.9.2", number=2, file="KO2")
    with with_extras(disc(tmp_path, lung(), choices(first, second))) as tree:
        found = [each for each in names(tree, STUDY) if each.startswith("Key images")]
        inside = sorted(names(tree, f"{STUDY}/{each}") for each in found)
        links = [
            node.links
            for path, node in walk(tree.root)
            if not node.is_folder and "/009 KO" in path
        ]

    assert inside == [[], ["01 001-0001.dcm"]]
    assert set(links) == {1}
    assert {each.detail for each in said(tree)} == {
        "1 of 1 not found",
        "1 of 2 not found",
    }


def test_a_file_that_is_missing_is_marked_as_in_its_series(tmp_path: Path) -> None:
    root = disc(tmp_path, lung(), choices(choice("1.2.3.2")))
    (root / "L2").unlink()
    with with_extras(root) as tree:
        assert names(tree) == ["01 001-0002 (missing).dcm"]


def test_a_file_that_is_missing_counts_as_a_key_image_that_is_not_there(
    tmp_path: Path,
) -> None:
    root = disc(tmp_path, lung(), choices(choice("1.2.3.1", "1.2.3.2", "1.2.3.9")))
    (root / "L2").unlink()
    with with_extras(root) as tree:
        assert names(tree) == ["01 001-0001.dcm", "02 001-0002 (missing).dcm"]
        [finding] = said(tree)

    assert (finding.count, finding.of) == (2, 3)
    assert finding.detail == "1 of 3 missing or damaged, 1 of 3 not found"


def test_what_belongs_to_another_study_is_said_and_not_shown(tmp_path: Path) -> None:
    where = {"1.2": {"1.2.3": ["1.2.3.1"]}, "1.3": {"1.3.1": ["1.3.1.1"]}}
    chosen = choices(choice("1.3.1.1", "1.2.3.1", where=where))
    other = study("1.3", [series("1.3.1", [image("1.3.1.1")])], date="20240101")
    one = study("1.2", [lung(), chosen], description="CT Thorax")
    write_medium(tmp_path, [patient("Doe^Jane", "12345", [one, other])])
    with with_extras(tmp_path) as tree:
        assert names(tree) == ["01 001-0001.dcm"]
        assert [each.detail for each in said(tree)] == ["1 of 2 of another study"]
        files = [node(tree, path) for path in paths(tree) if path.endswith("/0001.dcm")]
        assert [each.links for each in files if not each.is_folder] == [1, 2]


def test_an_image_is_looked_for_in_the_series_that_the_evidence_names(
    tmp_path: Path,
) -> None:
    # Two instances have one UID, and only one is meant.
    twin = series("1.2.5", [image("1.2.3.1", file="T1")], number=5)
    chosen = choices(choice("1.2.3.1", where={"1.2": {"1.2.5": ["1.2.3.1"]}}))
    medium = CountingMedium(disc(tmp_path, lung(), twin, chosen))
    with opened(medium) as tree:
        adding.add_to(tree, deadline=3600.0)
        assert names(tree) == ["01 005-0001.dcm"]
        listed = tree.listed
        assert names(tree) == ["01 005-0001.dcm"]
        assert tree.listed == listed


def test_of_twins_all_are_shown(tmp_path: Path) -> None:
    twins = series(
        "1.2.5", [image("1.2.5.1", file="T1"), image("1.2.5.1", file="T2")], number=5
    )
    with with_extras(disc(tmp_path, twins, choices(choice("1.2.5.1")))) as tree:
        found = names(tree)

    assert len(found) == 2
    assert [each[:12] for each in found] == ["01 005-0001 ", "02 005-0001 "]


@pytest.mark.parametrize("modality", ["SR", "", "OT"])
def test_a_choice_is_found_by_its_record_if_not_by_its_modality(
    modality: str, tmp_path: Path
) -> None:
    chosen = choices(choice("1.2.3.1"), modality=modality)
    with with_extras(disc(tmp_path, lung(), chosen)) as tree:
        assert names(tree) == ["01 001-0001.dcm"]


@pytest.mark.parametrize("modality", ["CT", "KO", ""])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_choice_is_found_wherever_it_is_among_images(
    modality: str, place: int, tmp_path: Path
) -> None:
    mixed = [image(f"1.2.3.{n}", number=n, file=f"L{n}") for n in (1, 2, 3)]
    mixed.insert(place, choice("1.2.3.2", "1.2.4.17", number=9, file="KO"))
    lungs = series("1.2.3", mixed, modality=modality, description="Lung")
    medium = CountingMedium(disc(tmp_path, lungs, bone()))
    with opened(medium) as tree:
        adding.add_to(tree, deadline=3600.0)
        [chosen] = [e for e in names(tree, STUDY) if e.startswith("Key images")]
        assert medium.opened == ["DICOMDIR", "KO"]
        found = names(tree, f"{STUDY}/{chosen}")
        links = {
            path.rpartition("/")[2]: each.links
            for path, each in walk(tree.root)
            if not each.is_folder and "Key images" not in path
        }

    assert [each[-8:] for each in found] == ["0002.dcm", "0017.dcm"]
    assert links["0002.dcm"] == links["0017.dcm"] == 2
    assert links["0001.dcm"] == links["0003.dcm"] == 1


def test_a_choice_of_another_patient_makes_no_folder(tmp_path: Path) -> None:
    stray = choice("1.2.3.1")
    stray.say(PatientName="Roe^Richard", PatientID="999")
    with with_extras(disc(tmp_path, lung(), choices(stray))) as tree:
        assert not [path for path in paths(tree) if "Key images" in path]
        kinds = {each.kind for each in tree.findings.all()}

    assert kinds == {Kind.NO_DOCUMENT, Kind.PATIENT_DISAGREES}


def test_a_choice_that_cannot_be_read_costs_itself(tmp_path: Path) -> None:
    chosen = choices(
        choice("1.2.3.1", file="KO1"),
        choice("1.2.3.2", uid="1.2.9.2", number=2, file="KO2"),
    )
    root = disc(tmp_path, lung(), chosen)
    (root / "KO1").write_bytes((root / "KO1").read_bytes()[:500])
    with with_extras(root) as tree:
        assert names(tree) == ["01 001-0002.dcm"]
        details = [e.kind for e in tree.findings.all()]

    assert details == [Kind.NO_DOCUMENT]


def test_what_rejects_images_makes_no_folder(tmp_path: Path) -> None:
    title = code("113001", "DCM", "Rejected for Quality Reasons")
    chosen = choices(choice("1.2.3.1", title=title))
    with with_extras(disc(tmp_path, lung(), chosen)) as tree:
        assert not [path for path in paths(tree) if "Key images" in path]


def test_what_is_no_image_can_be_chosen(tmp_path: Path) -> None:
    letters = series("1.2.6", [pdf("1.2.6.1")], number=6, modality="DOC")
    with with_extras(disc(tmp_path, letters, choices(choice("1.2.6.1")))) as tree:
        assert names(tree) == ["01 006-0001 PDF Report.dcm"]


def test_a_long_name_is_cut_and_keeps_what_tells_it_apart(tmp_path: Path) -> None:
    letters = [pdf("1.2.6.1"), pdf("1.2.6.2")]
    for each in letters:
        each["DocumentTitle"] = "A report whose title is long and longer"
    letters[1].path = None
    folder = series("1.2.6", letters, number=6, modality="DOC")
    chosen = choices(choice("1.2.6.1", "1.2.6.2"))
    with with_extras(disc(tmp_path, folder, chosen)) as tree:
        found = names(tree)

    budget = naming.BUDGETS[Level.INSTANCE]
    assert all(len(each) <= budget for each in found)
    assert re.fullmatch(r"01 006-0001 PDF A .* \[\w{8}\]\.dcm", found[0])
    assert re.fullmatch(r"02 006-0001 PDF \[\w{8}\] \(missing\)\.dcm", found[1])


@pytest.mark.slow
def test_more_than_a_hundred_are_in_their_order_too(tmp_path: Path) -> None:
    slices = [image(f"1.2.3.{n}", number=n) for n in range(1, 121)]
    chosen = choices(choice(*(f"1.2.3.{n}" for n in range(120, 0, -1))))
    with with_extras(disc(tmp_path, series("1.2.3", slices), chosen)) as tree:
        found = names(tree)

    assert found == sorted(found)
    assert [found[0], found[-1]] == ["001 001-0120.dcm", "120 001-0001.dcm"]


def test_the_folder_comes_out_the_same_when_it_was_forgotten(tmp_path: Path) -> None:
    with with_extras(disc(tmp_path, lung(), choices(choice("1.2.3.1")))) as tree:
        first = node(tree, FOLDER)
        study_ = node(tree, STUDY)
        before = node(tree, f"{FOLDER}/01 001-0001.dcm")
        for each in (first, study_, before.parent):
            assert each is not None
            assert each.is_folder
            each.forget()

        again = node(tree, FOLDER)
        after = node(tree, f"{FOLDER}/01 001-0001.dcm")

        assert again is not first
        assert (again.inode, after.inode) == (first.inode, before.inode)
        assert again.is_same(first)
        assert after.is_same(before)
