"""File-sets that were moved: found where they are, and never taken for others."""

import os
import random
import shutil
from pathlib import Path
from typing import Final

import pytest

from dicomfs.check.check import check
from dicomfs.dicom import tags
from dicomfs.dicom.header import read_header
from dicomfs.errors import FileIdError
from dicomfs.fileset import moved
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.fileset.fileset import FileSet
from dicomfs.fileset.moved import Move, Sample, find_move
from dicomfs.findings import Kind
from dicomfs.media.medium import Place
from dicomfs.source.source import Source
from dicomfs.tree.selection import Instance
from tests.build.medium import (
    Record,
    Value,
    build_dicomdir,
    image,
    instance_bytes,
    patient,
    series,
    study,
    write_medium,
)
from tests.support.mounting import Mounter
from tests.support.trees import CountingMedium, FakeMedium, look, opened, walk

SERIES: Final = ("1.1", "1.2")
SLICES: Final = 4
# The File ID of each instance, by its UID.
FILE_IDS: Final = {
    f"{uid}.{number}": f"DICOM/S{uid[-1]}/IM{number:06}"
    for uid in SERIES
    for number in range(1, SLICES + 1)
}


def medium(file_ids: dict[str, str] = FILE_IDS) -> list[Record]:
    """Return the records of two series of one patient."""
    below = [
        series(
            uid,
            [
                image(i, number=int(i[4:]), file=f)
                for i, f in file_ids.items()
                if i[:3] == uid
            ],
            number=int(uid[-1]),
            description=f"Series {uid}",
        )
        for uid in SERIES
    ]
    return [patient("Doe^Jane", "4711", [study("1", below, description="Thorax")])]


DICOMDIR: Final = build_dicomdir(medium())


def samples(root: str = "") -> list[Sample]:
    """Return all instances, by their File IDs without the folder *root*."""
    return [
        Sample(path(file_id.removeprefix(root)), uid.encode())
        for uid, file_id in FILE_IDS.items()
    ]


def path(text: str) -> tuple[bytes, ...]:
    return tuple(os.fsencode(part) for part in text.split("/") if part)


def instances(folder: str = "", **more: Value) -> dict[str, bytes]:
    """Return the files of all instances, by their File IDs in *folder*."""
    return {
        f"{folder}{file_id}": instance_bytes({**more, "SOPInstanceUID": uid})
        for uid, file_id in FILE_IDS.items()
    }


def file_set_of(files: dict[str, bytes]) -> FileSet:
    [file_set] = open_file_sets(FakeMedium({"DICOMDIR": DICOMDIR, **files}))
    return file_set


def located(file_set: FileSet) -> list[str | None]:
    """Return where the file of each instance is found, None where it is not."""
    found = file_set.locate_all(
        [file_id.replace("/", "\\").encode() for file_id in FILE_IDS.values()]
    )
    return [
        None if isinstance(each, Exception) else os.fsdecode(b"/".join(each[0]))
        for each in found
    ]


NOWHERE: Final[list[str | None]] = [None] * len(FILE_IDS)


# -- where they are --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefix", "base", "root"),
    [
        ("", "CD1", ""),
        ("", "CD1/export/2023", ""),
        ("DICOM", "", ""),
        ("DICOM", "In/Vendor", ""),
        ("", "DICOM", ""),
        ("", "", "CD1"),
        ("", "", "CD1/export"),
        ("", "CD1/deeper", "CD1"),
        ("", "CD2", "CD1"),
        ("DICOM", "CD1", "CD1"),
    ],
)
def test_the_folder_is_found_that_the_files_are_in(
    prefix: str, base: str, root: str
) -> None:
    files = {
        "/".join(filter(None, (base, file_id.removeprefix(prefix).strip("/")))): data
        for file_id, data in instances().items()
    }
    fake = FakeMedium({f"{root or 'X'}/README.TXT": b"", **files})

    assert find_move(fake, path(root), samples()) == Move(path(prefix), path(base))


def test_files_in_no_folder_are_found_where_the_writer_put_them() -> None:
    names = {f"IM{number}": f"1.1.{number}" for number in range(1, 5)}
    files = {
        f"a/images/{name.lower()}.dcm": instance_bytes(SOPInstanceUID=uid)
        for name, uid in names.items()
    }
    wanted = [Sample((name.encode(),), uid.encode()) for name, uid in names.items()]

    assert find_move(FakeMedium(files), (), wanted) == Move((), (b"a", b"images"))


@pytest.mark.parametrize("place", ["CD1", "DICOM", "a/b/c"])
def test_a_moved_file_set_has_the_tree_that_it_had(tmp_path: Path, place: str) -> None:
    write_medium(tmp_path / "old", medium())
    before = look(tmp_path / "old")
    (tmp_path / "new" / place).mkdir(parents=True)
    shutil.move(tmp_path / "old/DICOM", tmp_path / "new" / place / "DICOM")
    shutil.copy2(tmp_path / "old/DICOMDIR", tmp_path / "new")

    assert look(tmp_path / "new") == before


def test_a_move_is_reported_and_nothing_is_missing_or_unlisted(tmp_path: Path) -> None:
    write_medium(tmp_path, medium(), rename=lambda name: f"In/Vendor{name[5:]}")

    counting = CountingMedium(tmp_path)
    report = check(open_file_sets(counting))
    counting.close()

    [finding] = report.findings
    assert finding.kind is Kind.FILES_MOVED
    assert finding.detail == "what is listed in /DICOM lies in /In/Vendor"


def test_what_is_missing_of_a_moved_file_set_is_missing() -> None:
    files = instances("CD1/")
    del files["CD1/DICOM/S2/IM000002"]
    # Nor is one taken that has the same name in another folder.
    files["CD1/DICOM/IM000002"] = instance_bytes(SOPInstanceUID="1.2.2")

    found = located(file_set_of(files))

    assert found.count(None) == 1
    assert found[5] is None


def test_what_lies_where_it_is_listed_is_not_looked_for_elsewhere() -> None:
    here = {"DICOM/S2/IM000003": instance_bytes(SOPInstanceUID="1.2.3", size=400)}

    found = located(file_set_of({**instances("CD1/"), **here}))

    assert found[6] == "DICOM/S2/IM000003"
    assert found[5] == "CD1/DICOM/S2/IM000002"


@pytest.mark.mount
def test_a_moved_file_set_is_mounted(tmp_path: Path, mount: Mounter) -> None:
    (tmp_path / "medium").mkdir()
    made = write_medium(
        tmp_path / "medium", medium(), rename=lambda name: f"CD1/{name}"
    )

    mounted = mount(tmp_path / "medium")

    found = sorted(each.read_bytes() for each in mounted.files())
    assert found == sorted(each.read_bytes() for each in made.files.values())
    report = (mounted.place / ".dicomfs/report.txt").read_text(encoding="utf-8")
    assert "[files-moved]" in report
    assert "[missing-file]" not in report


def kinds(file_set: FileSet) -> set[Kind]:
    return {each.kind for each in file_set.findings.all()}


# -- doubt -----------------------------------------------------------------------------


def test_files_that_are_where_they_should_be_are_not_looked_for(tmp_path: Path) -> None:
    write_medium(tmp_path, medium())
    counting = CountingMedium(tmp_path)

    with opened(counting) as tree:
        counting.listed.clear()  # what was listed for DICOMDIRs
        assert len([*walk(tree.root)]) == 12

    assert counting.opened == ["DICOMDIR"]
    assert counting.listed == []


def test_a_missing_file_among_others_stays_missing(tmp_path: Path) -> None:
    write_medium(tmp_path, medium())
    (tmp_path / "COPY/DICOM/S1").mkdir(parents=True)
    lost = tmp_path / "DICOM/S1/IM000002"
    lost.rename(tmp_path / "COPY/DICOM/S1/IM000002")
    counting = CountingMedium(tmp_path)

    with opened(counting) as tree:
        counting.listed.clear()  # what was listed for DICOMDIRs
        nodes = [node for _, node in walk(tree.root) if isinstance(node, Instance)]

    assert [node.error for node in nodes].count(2) == 1
    # Nor does it cost a look at other folders than its own.
    assert counting.listed == ["DICOM/S1"]
    assert counting.opened == ["DICOMDIR"]


def test_other_files_of_the_same_names_are_not_taken_for_them() -> None:
    strange = {
        f"COPY/{file_id}": instance_bytes(SOPInstanceUID=f"1.9.{number}")
        for number, file_id in enumerate(FILE_IDS.values())
    }

    assert located(file_set_of(strange)) == NOWHERE


def test_one_other_file_among_them_is_reason_enough_for_doubt() -> None:
    files = instances("COPY/")
    files["COPY/DICOM/S2/IM000004"] = instance_bytes(SOPInstanceUID="1.9")

    assert located(file_set_of(files)) == NOWHERE


def test_too_few_of_them_are_not_taken_for_the_file_set() -> None:
    files = dict(list(instances("COPY/").items())[: len(FILE_IDS) // 2])

    assert located(file_set_of(files)) == NOWHERE


def test_files_that_do_not_say_what_they_are_are_not_taken() -> None:
    files = {f"COPY/{file_id}": b"no DICOM" * 40 for file_id in FILE_IDS.values()}

    assert located(file_set_of(files)) == NOWHERE


def test_files_whose_records_have_no_uids_are_not_taken_for_others() -> None:
    roots = medium()
    for each in roots[0].children[0].children:
        for one in each.children:
            del one.attributes[tags.REFERENCED_SOP_INSTANCE_UID]
    files = {"DICOMDIR": build_dicomdir(roots), **instances("CD1/")}
    [file_set] = open_file_sets(FakeMedium(files))

    assert located(file_set) == NOWHERE


def test_a_file_id_that_is_the_folder_of_others_is_one_that_is_missing() -> None:
    roots = medium({**FILE_IDS, "1.1.1": "DICOM", "1.2.1": "DICOM/S1"})
    files = {f"CD1{name[5:]}": data for name, data in instances().items()}
    [file_set] = open_file_sets(
        FakeMedium({"DICOMDIR": build_dicomdir(roots), **files})
    )

    assert None not in located(file_set)
    for missing in file_set.locate_all([b"DICOM", b"DICOM\\S1"]):
        assert isinstance(missing, FileNotFoundError)


def test_of_two_copies_the_one_that_is_nearer_is_taken() -> None:
    files = {**instances("B/far/"), **instances("C/"), **instances("D/")}

    assert located(file_set_of(files))[0] == "C/DICOM/S1/IM000001"


def test_of_two_copies_the_one_that_is_more_complete_is_taken() -> None:
    files = {**instances("B/"), **instances("C/")}
    del files["B/DICOM/S2/IM000002"]

    assert None not in located(file_set_of(files))


def test_of_two_versions_none_is_taken() -> None:
    files = {**instances("B/"), **instances("C/", PatientComments="of another length")}

    assert located(file_set_of(files)) == NOWHERE


def test_a_file_id_that_leads_out_is_refused_in_a_moved_file_set_too() -> None:
    file_set = file_set_of(instances("CD1/"))
    assert None not in located(file_set)

    [found] = file_set.locate_all([b"..\\DICOM\\S1\\IM000001"])

    assert isinstance(found, FileIdError)


@pytest.mark.parametrize("seed", range(200))
def test_no_file_is_shown_that_is_not_the_one_that_is_listed(seed: int) -> None:
    numbers = random.Random(seed)
    files: dict[str, bytes] = {}
    for _ in range(numbers.choice((1, 2, 4))):
        folder = "/".join(
            numbers.choices(("A", "B", "DICOM", "S1"), k=numbers.randint(0, 3))
        )
        dropped = numbers.choice(("", "DICOM/"))
        wrong = numbers.choice((0, 0, 0.05, 0.5, 1))
        for uid, file_id in FILE_IDS.items():
            is_wrong = numbers.random() < wrong
            other = numbers.choice(list(FILE_IDS)) if is_wrong else uid
            if numbers.random() < 0.95:
                place = f"{folder}/{file_id.removeprefix(dropped)}".strip("/")
                files.setdefault(place, instance_bytes(SOPInstanceUID=other))
    as_listed = set(FILE_IDS.values())
    fake = FakeMedium({"DICOMDIR": DICOMDIR, **files})
    [file_set] = open_file_sets(fake)

    found = dict(zip(FILE_IDS, located(file_set), strict=True))

    # What lies where it is listed is what the medium says, whatever that is.
    moved_there = {uid: at for uid, at in found.items() if at and at not in as_listed}
    for uid, at in moved_there.items():
        header = read_header(fake.open(path(at)))
        assert header.raw(tags.SOP_INSTANCE_UID) == uid.encode()
    assert len(set(filter(None, found.values()))) == len(
        [*filter(None, found.values())]
    )


# -- bounds ----------------------------------------------------------------------------


class Counting(FakeMedium):
    """A medium in memory that counts what is listed and opened."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__({"DICOMDIR": DICOMDIR, **files})
        self.listings = 0
        self.opens = 0

    def names(self, folder: Place) -> list[bytes]:
        """List, and count it."""
        self.listings += 1
        return super().names(folder)

    def open(self, path: Place) -> Source:
        """Open, and count it."""
        self.opens += 1
        return super().open(path)


def test_files_that_are_nowhere_are_looked_for_once() -> None:
    fake = Counting({f"A{number}/README.TXT": b"" for number in range(100)})
    [file_set] = open_file_sets(fake)
    assert located(file_set) == NOWHERE
    looked = fake.listings

    for _ in range(10):
        assert located(file_set) == NOWHERE

    # All folders, each of them once, and some when DICOMDIRs were looked for.
    assert 100 < looked < 140
    # From then on it is only the folder that they should be in.
    assert fake.listings == looked


@pytest.mark.slow
def test_a_medium_of_many_folders_is_not_looked_through_to_its_end() -> None:
    # All of them look as if they were the one; none has anything else.
    data = instance_bytes(SOPInstanceUID="1.9")
    decoys = {
        f"A{number:04}/{file_id}": data
        for number in range(moved.MOST_FOLDERS // 3)
        for file_id in FILE_IDS.values()
    }
    fake = Counting(decoys)
    [file_set] = open_file_sets(fake)
    opens = fake.opens

    assert located(file_set) == NOWHERE

    assert moved.MOST_FOLDERS < fake.listings < 3 * moved.MOST_FOLDERS
    assert fake.opens - opens <= moved.MOST_HEADERS
    assert Kind.SEARCH_ENDED in kinds(file_set)


@pytest.mark.parametrize(
    ("bound", "value", "is_said"),
    [
        ("MOST_FOLDERS", 10, True),
        ("MOST_FOLDERS", 1000, False),
        ("_MOST_NAMES", 10, True),
        ("MAX_DEPTH", 1, True),
        ("MOST_HEADERS", 2, True),
    ],
)
def test_a_search_that_comes_to_a_bound_is_said(
    monkeypatch: pytest.MonkeyPatch, bound: str, value: int, is_said: bool
) -> None:
    monkeypatch.setattr(moved, bound, value)
    strange = instance_bytes(SOPInstanceUID="1.9")
    names = {
        f"A{n}/{file_id}": strange for n in range(20) for file_id in FILE_IDS.values()
    }
    [file_set] = open_file_sets(FakeMedium({"DICOMDIR": DICOMDIR, **names}))

    assert located(file_set) == NOWHERE

    assert (Kind.SEARCH_ENDED in kinds(file_set)) is is_said


def test_a_search_that_found_what_it_sought_has_no_bound_to_be_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(moved, "MOST_FOLDERS", 3)
    file_set = file_set_of({**instances("A/"), **{f"B{n}/x": b"" for n in range(20)}})

    assert None not in located(file_set)

    assert Kind.SEARCH_ENDED not in kinds(file_set)


@pytest.mark.parametrize(("depth", "is_found"), [(8, True), (9, False)])
def test_files_are_sought_so_many_folders_deep(depth: int, is_found: bool) -> None:
    file_set = file_set_of(instances("A/" * depth))

    assert (located(file_set) != NOWHERE) is is_found


def test_a_folder_that_cannot_be_read_costs_only_itself() -> None:
    files = {"DICOMDIR": DICOMDIR, **instances("B/"), "A/x": b""}
    errors = {"A": OSError(5, "a bad sector")}
    [file_set] = open_file_sets(FakeMedium(files, errors))

    assert None not in located(file_set)


def test_a_header_that_cannot_be_read_speaks_neither_for_nor_against() -> None:
    files = {"DICOMDIR": DICOMDIR, **instances("B/")}
    files["B/DICOM/S1/IM000001"] = b"no DICOM" * 40
    [file_set] = open_file_sets(FakeMedium(files))

    assert None not in located(file_set)


def test_a_medium_that_fails_is_not_one_whose_files_were_moved() -> None:
    errors = {file_id: OSError(5, "a bad sector") for file_id in FILE_IDS.values()}
    files = {"DICOMDIR": DICOMDIR, **instances(), **instances("B/")}
    [file_set] = open_file_sets(FakeMedium(files, errors))

    assert located(file_set) == NOWHERE
