"""The rows of a catalogue: each file counts once, and what is told is what records say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest

from dicomfs.catalogue.columns import LEVELS, asked_for, default
from dicomfs.catalogue.groups import Share
from dicomfs.catalogue.rows import rows
from dicomfs.dicom.types import Level
from dicomfs.errors import Failure, Problem
from dicomfs.tree.tree import Tree
from tests.build.medium import image, leaf, patient, record, series, study, write_medium
from tests.support.trees import SAMPLES, CountingMedium, opened, tree_of, walk


def table(tree: Tree, level: str, *names: str) -> list[dict[str, Any]]:
    """Return the rows on a *level* of *tree* by column, all by default."""
    of = LEVELS[level]
    columns = asked_for(names, of) if names else default(of)
    heads = [each.name for each in columns]
    return [
        dict(zip(heads, row, strict=True))
        for group in rows(tree.root, of, columns)
        for row in group
    ]


def write_sample(root: Path) -> None:
    """Write a medium with all that a group may be, and a file that is missing."""
    images = [image("1.1.1.1", number=1), image("1.1.1.2", number=2)]
    gone = image("1.1.2.1", file="AWAY/I1", path=None)
    several = [
        series("1.1.1", images, description="Lung"),
        series("1.1.2", [gone], number=2, modality="MR"),
    ]
    report = series("1.2.1", [leaf("SR DOCUMENT", "1.2.1.1")])
    other = study("1.2", [report], date="20240118")
    medium = [
        patient("Doe^Jane^^Dr", "12", [study("1.1", several), other]),
        patient("Zoe", "7"),
        leaf("HANGING PROTOCOL", "1.9", HangingProtocolName="Chest"),
        # Directly in a patient, which the standard does not have.
        patient("Roe", "9", [image("1.3")]),
    ]
    write_medium(root, medium)


def is_of(file: Path, series_uid: str) -> bool:
    """Whether a file is an instance of a series."""
    return bool(pydicom.dcmread(file).get("SeriesInstanceUID") == series_uid)


def test_a_series_is_a_row_with_what_its_record_and_those_above_say(
    tmp_path: Path,
) -> None:
    write_sample(tmp_path)

    with opened(tmp_path) as tree:
        first, second, *_ = table(tree, "series")
    files = [file for file in tmp_path.rglob("IMAGES/*") if is_of(file, "1.1.1")]

    assert (first["PatientID"], first["PatientName"]) == ("12", "Doe^Jane^^Dr")
    assert (first["StudyInstanceUID"], first["StudyDate"]) == ("1.1", "20230705")
    assert (first["SeriesNumber"], first["SeriesDescription"]) == (1, "Lung")
    assert (first["PatientSex"], first["AccessionNumber"]) == (None, None)
    assert first["NumberOfSeriesRelatedInstances"] == 2
    assert first["bytes"] == sum(file.stat().st_size for file in files)
    assert first["missing"] == 0
    assert first["path"] == "Doe, Jane (12)/2023-07-05 Study 1/001 CT Lung"
    assert first["source_path"] == "IMAGES"
    assert (second["missing"], second["bytes"], second["source_path"]) == (1, 0, None)


@pytest.mark.parametrize("level", LEVELS)
def test_each_file_is_in_one_row_whatever_the_level(level: str, tmp_path: Path) -> None:
    write_sample(tmp_path)

    with opened(tmp_path) as tree:
        made = table(tree, level)
        files = [path for path, node in walk(tree.root) if not node.is_folder]

    if level == "instance":
        assert sorted(row["path"] for row in made) == sorted(files)
        return
    # What belongs to no study counts in the row of its folder.
    count = f"NumberOf{level.capitalize()}RelatedInstances"
    assert sum(row[count] for row in made) == len(files)
    for row in made:
        above = f"{row['path']}/"
        assert row[count] == sum(1 for path in files if path.startswith(above))


@pytest.mark.parametrize("level", LEVELS)
def test_who_has_nothing_is_not_passed_over(level: str, tmp_path: Path) -> None:
    write_sample(tmp_path)

    with opened(tmp_path) as tree:
        paths = [row["path"] for row in table(tree, level)]

    assert ("Zoe (7)" in paths) == (level != "instance")


def test_a_row_further_up_has_each_different_value_from_below(tmp_path: Path) -> None:
    write_sample(tmp_path)

    with opened(tmp_path) as tree:
        columns = ("PatientID", "ModalitiesInStudy", "SeriesNumber", "SOPInstanceUID")
        of_studies = table(tree, "study", *columns)

    assert list(of_studies[0].values()) == [
        "12",
        "CT\\MR",
        "1\\2",
        "1.1.1.1\\1.1.1.2\\1.1.2.1",
    ]
    assert list(of_studies[1].values()) == ["12", "CT", "1", "1.2.1.1"]


def test_of_more_values_than_anybody_reads_it_is_said_that_there_are_more(
    tmp_path: Path,
) -> None:
    images = [image(f"1.1.1.{n}", number=n) for n in range(1, 121)]
    lungs = series("1.1.1", images)
    write_medium(tmp_path, [patient("Doe", "1", [study("1.1", [lungs])])])

    with opened(tmp_path) as tree:
        [row] = table(tree, "series", "InstanceNumber")

    numbers = row["InstanceNumber"].split("\\")
    assert numbers == [*map(str, range(1, 101)), "..."]


def test_an_instance_is_a_row_with_what_is_wrong_with_it(tmp_path: Path) -> None:
    write_sample(tmp_path)

    with opened(tmp_path) as tree:
        by_uid = {row["SOPInstanceUID"]: row for row in table(tree, "instance")}

    sound, missing = by_uid["1.1.1.1"], by_uid["1.1.2.1"]
    assert sound["ReferencedFileID"].replace("\\", "/") == sound["source_path"]
    assert (sound["error"], missing["error"]) == (None, "No such file or directory")
    assert (missing["ReferencedFileID"], missing["source_path"]) == ("AWAY\\I1", None)
    assert by_uid["1.2.1.1"]["DirectoryRecordType"] == "SR DOCUMENT"
    assert by_uid["1.9"]["PatientID"] is None


def test_what_lies_on_two_discs_names_both(tmp_path: Path) -> None:
    for name, uid in (("one", "1.1.1"), ("two", "1.1.2")):
        lungs = series(uid, [image(f"{uid}.1")])
        doe = patient("Doe", "1", [study("1.1", [lungs])])
        write_medium(tmp_path / name, [doe])

    with tree_of(tmp_path / "one", tmp_path / "two") as tree:
        [of_study] = table(tree, "study", "source", "source_path", "path")
        of_series = table(tree, "series", "source", "source_path")

    both = {str(tmp_path / "one"), str(tmp_path / "two")}
    assert set(of_study["source"].split("; ")) == both
    assert of_study["source_path"] is None
    assert {row["source"] for row in of_series} == both
    assert {row["source_path"] for row in of_series} == {"IMAGES"}


def test_shares_make_the_whole_and_look_into_no_folder_twice() -> None:
    with opened(SAMPLES) as tree:
        columns = default(Level.SERIES)
        whole = list(rows(tree.root, Level.SERIES, columns))
        before = tree.listed
        parts = [
            list(rows(tree.root, Level.SERIES, columns, share=Share(number, 3)))
            for number in range(3)
        ]
        upper = 1 + 2 + 6

        assert tree.listed - before == 3 * upper + len(whole)

    in_turn = [parts[number % 3][number // 3] for number in range(sum(map(len, parts)))]
    assert in_turn == whole


def test_no_instance_is_opened_where_records_have_what_names_need(
    tmp_path: Path,
) -> None:
    lungs = series("1.1.1", [image("1.1.1.1")], description="Lung")
    write_medium(tmp_path, [patient("Doe", "1", [study("1.1", [lungs])])])
    medium = CountingMedium(tmp_path)

    with opened(medium) as tree:
        before = len(medium.opened)
        assert len(table(tree, "instance")) == 1
        assert medium.opened[before:] == []


def test_a_description_is_told_as_it_is_in_the_name(tmp_path: Path) -> None:
    lungs = series("1.1.1", [image("1.1.1.1")], header_description="Lung")
    write_medium(tmp_path, [patient("Doe", "1", [study("1.1", [lungs])])])

    with opened(tmp_path) as tree:
        [row] = table(tree, "series", "SeriesDescription", "path")

    assert row["SeriesDescription"] == "Lung"
    assert row["path"].endswith("/001 CT Lung")


def test_a_catalogue_keeps_what_others_look_at_and_nothing_else(tmp_path: Path) -> None:
    write_sample(tmp_path)

    with opened(tmp_path) as tree:
        doe = tree.root.children()["Doe, Jane (12)"]
        assert doe.is_folder
        table(tree, "instance")

        assert tree.root.children_cached() is not None
        assert doe.children_cached() is None


def test_a_deep_tree_has_each_file_in_one_row(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("too deep")
    deep = leaf("SR DOCUMENT", "1.1")
    for _ in range(100):
        deep = record("PRIVATE", [deep])
    write_medium(tmp_path, [deep])

    with opened(tmp_path) as tree:
        tree.check_links()
        paths = [row["path"] for row in table(tree, "instance")]

    assert len(paths) == 1


@pytest.mark.parametrize(
    ("name", "level", "problem", "facts"),
    [
        ("PatientNmae", "series", Problem.COLUMN_UNKNOWN, {"nearest": "PatientName"}),
        ("x", "series", Problem.COLUMN_UNKNOWN, {}),
        ("error", "series", Problem.COLUMN_LEVEL, {"levels": "instance"}),
        (
            "missing",
            "instance",
            Problem.COLUMN_LEVEL,
            {"levels": "patient or study or series"},
        ),
    ],
)
def test_a_column_that_there_is_not_is_refused(
    name: str, level: str, problem: Problem, facts: dict[str, str]
) -> None:
    with pytest.raises(Failure) as refused:
        asked_for([name], LEVELS[level])

    assert refused.value.problem is problem
    assert facts.items() <= refused.value.facts.items()
