"""Directories in directories: records that lead to directory files of their own."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from pydicom import uid

from dicomfs.check.check import check
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.findings import Finding, Kind
from dicomfs.media.reopened import Reopened
from dicomfs.tree.report import Report
from dicomfs.tree.selection import Selection
from dicomfs.tree.tree import Tree
from tests.build.breakage import CASES
from tests.build.medium import (
    Record,
    Value,
    build_dicomdir,
    image,
    instance_bytes,
    patient,
    series,
    study,
)
from tests.conftest import ExpectLog
from tests.support.mounting import Mounter
from tests.support.trees import CountingMedium, FakeMedium, Seen, look, opened, walk

DIRECTORY: Final = uid.MediaStorageDirectoryStorage
JANE: Final = "Doe, Jane (4711)"
# As one vendor writes them, without any offset of a first record.
VENDORS: Final = "directories-of-studies-and-series-without-offsets"


def leads_to(each: Record, file: str, **more: Value) -> Record:
    """Return the record, which leads to the directory in *file*."""
    each.file = file
    keys: dict[str, Value] = {
        "ReferencedSOPClassUIDInFile": DIRECTORY,
        "ReferencedSOPInstanceUIDInFile": "1.8",
        "ReferencedTransferSyntaxUIDInFile": uid.ExplicitVRLittleEndian,
    }
    for keyword, value in {**keys, **more}.items():
        each[keyword] = value
    return each


def slices(series_uid: str, count: int = 2) -> list[Record]:
    return [
        image(f"{series_uid}.{n}", number=n, file=f"S{series_uid[-1]}/I{n}")
        for n in range(1, count + 1)
    ]


def instances(*series_uids: str) -> dict[str, bytes]:
    """Return the files of these series of Jane's, by their paths."""
    return {
        f"S{series_uid[-1]}/I{n}": instance_bytes(
            SOPInstanceUID=f"{series_uid}.{n}",
            PatientName="Doe^Jane",
            PatientID="4711",
            StudyInstanceUID="1",
            SeriesInstanceUID=series_uid,
        )
        for series_uid in series_uids
        for n in (1, 2)
    }


def nest(
    studies: Sequence[Record], files: dict[str, bytes] | None = None, **more: bytes
) -> FakeMedium:
    """Return a medium of Jane's, with *more* directories by their names."""
    dicomdir = build_dicomdir([patient("Doe^Jane", "4711", studies)])
    return FakeMedium({"DICOMDIR": dicomdir, **(files or {}), **more})


def lung() -> bytes:
    """Return a directory of one series."""
    return build_dicomdir([series("1.1", slices("1.1"), description="Lung")])


def thorax(file: str = "DIRFILE", **more: Value) -> Record:
    """Return a study that leads to a directory."""
    return leads_to(study("1", description="Thorax"), file, **more)


def names(seen: dict[str, Seen]) -> list[str]:
    return [path for path, each in seen.items() if not each.is_folder]


LUNG: Final = f"{JANE}/2023-07-05 Thorax/001 CT Lung"


@contextmanager
def taken_apart(
    root: Path, name: str = VENDORS
) -> Iterator[tuple[Tree, CountingMedium]]:
    """Write a medium of the catalogue and open it."""
    CASES[name].write(root)
    medium = CountingMedium(root)
    with opened(medium) as tree:
        yield tree, medium


# -- what is shown ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "study-is-a-directory-of-its-own",
        "all-series-are-directories-of-their-own",
        "studies-and-series-are-directories-of-their-own",
    ],
)
def test_a_medium_that_is_taken_apart_has_the_tree_that_it_had(
    name: str, tmp_path: Path
) -> None:
    CASES["sound"].write(tmp_path / "whole")
    CASES[name].write(tmp_path / "apart")

    whole, apart = look(tmp_path / "whole"), look(tmp_path / "apart")

    assert {path: each.data for path, each in apart.items()} == {
        path: each.data for path, each in whole.items()
    }


def test_the_missing_levels_above_come_from_an_instance_in_a_nested_directory(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("first root record")
    with taken_apart(tmp_path) as (tree, _):
        seen = [path for path, _ in walk(tree.root)]

    assert "Doe, Jane (4711)/2023-07-05 Thorax/001 CT Lung/0001.dcm" in seen
    assert len([each for each in seen if each.endswith(".dcm")]) == 10


def test_what_a_directory_is_need_not_be_said() -> None:
    record = thorax()
    del record.attributes[0x00041510]

    seen = look(nest([record], instances("1.1"), DIRFILE=lung()))

    assert names(seen) == [f"{LUNG}/0001.dcm", f"{LUNG}/0002.dcm"]


@pytest.mark.parametrize("sop_class", [None, uid.CTImageStorage])
def test_a_study_that_has_an_instance_of_its_own_keeps_it(
    sop_class: str | None,
) -> None:
    record = thorax(ReferencedSOPClassUIDInFile=sop_class)

    seen = look(nest([record], DIRFILE=instance_bytes()))

    assert [each.size > 0 for path, each in seen.items() if path.endswith(".dcm")] == [
        True
    ]


def test_records_of_its_own_stand_beside_those_of_the_directory() -> None:
    record = thorax()
    record.children = [series("1.2", slices("1.2"), number=2, description="Bone")]

    seen = look(nest([record], instances("1.1", "1.2"), DIRFILE=lung()))

    assert len(names(seen)) == 4


def test_a_patient_may_lead_to_a_directory_too() -> None:
    jane = leads_to(patient("Doe^Jane", "4711"), "A")
    below = build_dicomdir(
        [
            study(
                "1",
                [series("1.1", slices("1.1"), description="Lung")],
                description="Thorax",
            )
        ]
    )
    files = {"DICOMDIR": build_dicomdir([jane]), "A": below, **instances("1.1")}

    assert names(look(FakeMedium(files))) == [f"{LUNG}/0001.dcm", f"{LUNG}/0002.dcm"]


def test_a_directory_that_begins_at_the_patient_again_hides_nothing() -> None:
    whole = build_dicomdir(
        [
            patient(
                "Doe^Jane",
                "4711",
                [study("1", [series("1.1", slices("1.1"), description="Lung")])],
            )
        ]
    )

    seen = look(nest([thorax()], instances("1.1"), DIRFILE=whole))

    assert len(names(seen)) == 2
    assert {path.split("/")[0] for path in seen} == {JANE}


def test_nodes_of_nested_directories_have_numbers_of_their_own() -> None:
    # Two directories with the same bytes, and one that two studies lead to.
    studies = [
        thorax("A"),
        leads_to(study("2", description="Head"), "B"),
        leads_to(study("3", description="Knee"), "B"),
    ]
    fake = nest(studies, instances("1.1"), A=lung(), B=lung())

    seen = look(fake)

    assert len(names(seen)) == 6
    assert len({each.inode for each in seen.values()}) == len(seen)
    assert look(fake) == seen


def test_a_patient_has_what_two_file_sets_nest() -> None:
    dicomdirs = {
        f"CD{n}/{path}": data
        for n, series_uid in enumerate(("1.1", "1.2"))
        for path, data in {
            "DICOMDIR": build_dicomdir([patient("Doe^Jane", "4711", [thorax()])]),
            "DIRFILE": build_dicomdir(
                [series(series_uid, slices(series_uid), number=n, description="Lung")]
            ),
            **instances(series_uid),
        }.items()
    }

    seen = look(FakeMedium(dicomdirs))

    assert [path for path, each in seen.items() if each.is_folder] == [
        JANE,
        f"{JANE}/2023-07-05 Thorax",
        f"{JANE}/2023-07-05 Thorax/000 CT Lung",
        f"{JANE}/2023-07-05 Thorax/001 CT Lung",
    ]


def test_what_nothing_links_to_in_a_nested_directory_is_unlinked(
    expect_log: ExpectLog,
) -> None:
    expect_log("nothing links to a record, nor says where it belongs")
    lost = image("1.9.1", file="LOST")
    directory = build_dicomdir(
        [series("1.1", slices("1.1"), description="Lung")], unlinked=[lost]
    )
    files = {"LOST": b"no DICOM" * 40, **instances("1.1")}

    with opened(nest([thorax()], files, DIRFILE=directory)) as tree:
        root = [*tree.root.children()]
        everything = [path for path, _ in walk(tree.root)]

    assert root == [JANE, "Unlinked"]
    assert f"{LUNG}/0002.dcm" in everything
    assert [path for path in everything if path.startswith("Unlinked/")]


@pytest.mark.mount
def test_nested_directories_are_mounted(tmp_path: Path, mount: Mounter) -> None:
    (tmp_path / "medium").mkdir()
    medium = CASES[VENDORS].write(tmp_path / "medium")

    mounted = mount(tmp_path / "medium")
    mounted.expect_log("first root record")

    found = sorted(each.read_bytes() for each in mounted.files())
    assert found == sorted(each.data for each in medium.instances)


# -- when it is read -------------------------------------------------------------------


def test_a_directory_is_read_when_the_record_that_leads_to_it_is_listed(
    tmp_path: Path,
) -> None:
    with taken_apart(tmp_path, "studies-and-series-are-directories-of-their-own") as (
        tree,
        medium,
    ):
        root = tree.expand(tree.root)
        assert medium.opened == ["DICOMDIR"]

        jane = root[JANE]
        assert isinstance(jane, Selection)
        studies = tree.expand(jane)
        of_studies = set(medium.opened)
        head = studies["2024-01-18 Head"]
        assert isinstance(head, Selection)
        tree.expand(head)

        # Those of Jane's two studies; the one that is listed leads to no other.
        assert of_studies == {"DICOMDIR", "DICOM/D0/DIRFILE", "DICOM/D3/DIRFILE"}
        assert set(medium.opened) == of_studies


def test_an_ordinary_medium_is_asked_for_nothing_more(tmp_path: Path) -> None:
    CASES["sound"].write(tmp_path)
    medium = CountingMedium(tmp_path)

    with opened(medium) as tree:
        assert len([*walk(tree.root)]) == 19

    assert medium.opened == ["DICOMDIR"]


def test_no_instance_is_opened_for_names_that_the_index_is_to_give(
    tmp_path: Path,
) -> None:
    CASES["studies-and-series-are-directories-of-their-own"].write(tmp_path)
    medium = CountingMedium(tmp_path)

    with opened(medium, read_headers=False) as tree:
        assert len([*walk(tree.root)]) == 19

    assert {each.rpartition("/")[2] for each in medium.opened} == {
        "DICOMDIR",
        "DIRFILE",
    }


# -- what is wrong with it -------------------------------------------------------------


def found(medium: FakeMedium | CountingMedium) -> Report:
    return check(open_file_sets(medium))


def of(report: Report, kind: Kind) -> list[Finding]:
    return [each for each in report.findings if each.kind is kind]


@pytest.mark.slow
def test_check_goes_through_nested_directories_too(tmp_path: Path) -> None:
    CASES["studies-and-series-are-directories-of-their-own"].write(tmp_path)
    medium = CountingMedium(tmp_path)

    report = found(medium)
    medium.close()

    assert report.findings == []
    assert report.is_complete
    # 19 records, and those of three studies and series that lead to their directories.
    assert [each.count for each in report.progress][:3] == [19, 10, 10]


def test_what_a_nested_directory_lacks_is_reported() -> None:
    files = instances("1.1")
    del files["S1/I2"]

    report = found(nest([thorax()], files, DIRFILE=lung()))

    assert {each.kind for each in report.findings} == {Kind.MISSING_FILE}


def test_a_finding_in_a_nested_directory_says_in_which_one(
    expect_log: ExpectLog,
) -> None:
    expect_log("first root record")
    directory = build_dicomdir(
        [series("1.1", slices("1.1"), description="Lung")], first=None
    )

    report = found(nest([thorax()], instances("1.1"), DIRFILE=directory))

    [finding] = of(report, Kind.WRONG_ROOT)
    assert finding.files == ("DIRFILE",)


def test_a_directory_that_is_missing_is_a_missing_file() -> None:
    seen = look(nest([thorax(), study("2", [series("1.1", slices("1.1"))])]))

    [file] = [
        each for path, each in seen.items() if path.count("/") == 1 and each.error
    ]
    assert file.error == 2
    assert f"{JANE}/2023-07-05 Study 1" in seen


@pytest.mark.parametrize(
    "data", [b"", b"text" * 50, instance_bytes(), lung()[:330]], ids=range(4)
)
def test_a_directory_that_is_useless_costs_only_itself(
    data: bytes, expect_log: ExpectLog
) -> None:
    expect_log("one of several DICOMDIRs is unusable")
    studies = [thorax(), leads_to(study("2", description="Head"), "GOOD")]

    report = found(nest(studies, instances("1.1"), DIRFILE=data, GOOD=lung()))

    assert len(of(report, Kind.INDEX_LEFT_OUT)) == 1
    assert [each.count for each in report.progress][2] >= 2


def chained(length: int, last: str) -> dict[str, bytes]:
    """Return directories, each of a study that leads to the next; *last* ends them."""
    following = [*(f"D{number}" for number in range(1, length)), last]
    return {
        f"D{number}": build_dicomdir([leads_to(study(f"1.{number}"), file)])
        for number, file in enumerate(following)
    }


@pytest.mark.parametrize(("length", "last"), [(1, "D0"), (1, "DICOMDIR"), (3, "D1")])
def test_directories_that_lead_round_in_a_circle_come_to_an_end(
    length: int, last: str
) -> None:
    report = found(nest([thorax("D0")], chained(length, last)))

    assert len(of(report, Kind.REFERENCES_ITSELF)) == 1


def test_directories_that_lead_to_each_other_for_ever_come_to_an_end(
    expect_log: ExpectLog,
) -> None:
    expect_log("one of several DICOMDIRs is unusable")

    report = found(nest([thorax("D0")], chained(10, "END")))

    [finding] = of(report, Kind.INDEX_LEFT_OUT)
    assert finding.detail == "directories lead to each other too deeply"


@pytest.mark.slow
def test_of_many_directories_no_more_is_read_than_some(expect_log: ExpectLog) -> None:
    expect_log("one of several DICOMDIRs is unusable")
    large = build_dicomdir(
        [series("1.1", slices("1.1"), description="Lung")], trailing=bytes(20 << 20)
    )
    studies = [
        leads_to(study(f"1.{number}", description=f"{number}"), "LARGE")
        for number in range(10)
    ]

    with opened(nest(studies, instances("1.1"), LARGE=large)) as tree:
        shown = [path for path, _ in walk(tree.root) if "CT Lung/" in path]
        left_out = [
            each for each in tree.findings.all() if each.kind is Kind.INDEX_LEFT_OUT
        ]

    assert len(shown) == 3 * 2
    assert len(left_out) == 7


@pytest.mark.parametrize("seed", range(150))
def test_damage_to_a_nested_directory_is_its_own(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    numbers = random.Random(seed)
    data = bytearray(lung())
    for _ in range(numbers.choice((1, 2, 8, 64))):
        data[numbers.randrange(132, len(data))] = numbers.randrange(256)
    if numbers.random() < 0.2:
        del data[numbers.randrange(len(data)) :]
    other = study("2", [series("1.2", slices("1.2"), number=2, description="Bone")])
    fake = nest([thorax(), other], instances("1.1", "1.2"), DIRFILE=bytes(data))

    with opened(fake) as tree:
        tree.check_links()
        seen = {path for path, _ in walk(tree.root)}
    caplog.clear()

    assert {f"{JANE}/2023-07-05 Study 1/002 CT Bone/000{n}.dcm" for n in (1, 2)} <= seen
    assert {path.split("/")[0] for path in seen} <= {JANE, "Unlinked"}


def test_a_nested_file_set_that_was_moved_is_found() -> None:
    instance = "1.2.3.4"
    directory = build_dicomdir(
        [series("1.1", slices("1.1"), description="Lung")],
        meta={"MediaStorageSOPInstanceUID": instance},
    )
    record = thorax("D/DIRFILE", ReferencedSOPInstanceUIDInFile=instance)
    files = {f"CD1/{path}": data for path, data in instances("1.1").items()}

    seen = look(nest([record], {"CD1/D/DIRFILE": directory, **files}))

    assert names(seen) == [f"{LUNG}/0001.dcm", f"{LUNG}/0002.dcm"]


def test_a_nested_directory_that_is_changed_is_not_read_on(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("the DICOMDIR was changed")
    with taken_apart(tmp_path, "study-is-a-directory-of-its-own") as (tree, _):
        jane = tree.expand(tree.root)[JANE]
        assert isinstance(jane, Selection)
        head = tree.expand(jane)["2024-01-18 Head"]
        assert isinstance(head, Selection)
        with (tmp_path / "DICOM/D0/DIRFILE").open("ab") as file:
            file.write(b"more")

        with pytest.raises(OSError, match="changed"):
            tree.expand(head)
        assert len(tree.expand(jane)) == 2


def test_a_file_that_is_reopened_is_read_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "FILE").write_bytes(b"0123456789")
    medium = CountingMedium(tmp_path)
    source = Reopened(medium, (b"FILE",))

    assert source.size == 10
    assert source.read_at(8, 100) == b"89"
    assert [each.closed for each in medium.sources] == [True]

    (tmp_path / "FILE").write_bytes(b"0123456789+")
    with pytest.raises(OSError, match="changed"):
        source.read_at(0, 1)
    assert all(each.closed for each in medium.sources)
    medium.close()
