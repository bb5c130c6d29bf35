"""The DICOMDIRs of a medium: where they lie, and why one is of no use."""

import threading
from collections.abc import Iterator, Mapping, Sequence

import pytest

from dicomfs.cli.exits import complaint
from dicomfs.errors import Failure, Problem
from dicomfs.fileset.dicomdirs import find_dicomdirs, open_file_sets
from dicomfs.fileset.listener import Listener
from dicomfs.findings import Findings
from dicomfs.media.medium import EntryType, Place
from tests.build.medium import build_dicomdir, build_layout, instance_bytes, patient
from tests.conftest import ExpectLog
from tests.support.mounting import PATIENCE
from tests.support.trees import CountingFake, FakeMedium

# Long enough for a busy machine to list a folder that does not hang.
SOON = 1.0
INDEX = build_dicomdir([patient("Doe^Jane", "1")])


def found(*paths: str) -> list[str]:
    return _paths(find_dicomdirs(_medium(*paths)).places)


def deeper(*paths: str) -> list[str]:
    return _paths(find_dicomdirs(_medium(*paths)).deeper)


def _medium(*paths: str) -> FakeMedium:
    """Return a medium on which everything but text and instances is a DICOMDIR."""
    return FakeMedium(
        {p: b"" if p.endswith(("README.TXT", "I1")) else INDEX for p in paths}
    )


def _paths(places: Sequence[Place]) -> list[str]:
    return [b"/".join(place).decode() for place in places]


@pytest.mark.parametrize(
    "name",
    [
        *("DICOMDIR", "dicomdir", "DicomDir", "DICOMDIR.", "DICOMDIR;1"),
        *("DICOMDIR.;1", "dicomdir.;1"),
    ],
)
def test_a_dicomdir_is_found_whatever_its_spelling(name: str) -> None:
    assert found(name, "README.TXT", "DICOM/I1") == [name]


def test_the_exact_name_is_preferred() -> None:
    assert found("dicomdir", "DICOMDIR") == ["DICOMDIR"]


class HangingMedium(FakeMedium):
    """Files, and a folder that does not answer before the test is over."""

    def __init__(self, hangs: Place, *paths: str) -> None:
        super().__init__(dict.fromkeys(paths, INDEX))
        self.hangs = hangs
        self.over = threading.Event()

    def entries(self, folder: Place) -> Mapping[bytes, EntryType]:
        """List a folder, or never."""
        if folder == self.hangs:
            self.over.wait(PATIENCE)
        return super().entries(folder)


@pytest.fixture
def hanging() -> Iterator[HangingMedium]:
    medium = HangingMedium((b"a",), "a/README.TXT", "b/DICOMDIR")
    yield medium
    medium.over.set()


@pytest.mark.slow
def test_a_folder_that_hangs_costs_itself(hanging: HangingMedium) -> None:
    assert _paths(find_dicomdirs(hanging, SOON).places) == ["b/DICOMDIR"]


@pytest.mark.slow
def test_of_a_medium_whose_root_hangs_it_is_said(hanging: HangingMedium) -> None:
    hanging.hangs = ()

    with pytest.raises(Failure) as raised:
        open_file_sets(hanging, deadline=SOON)

    assert raised.value.problem is Problem.SOURCE_SILENT


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_a_dicomdir_is_found_below_the_root(depth: int) -> None:
    path = "/".join([*"abc"[:depth], "DICOMDIR"])

    assert found(path, "x/README.TXT") == [path]


def test_a_dicomdir_deeper_than_that_is_not_sought() -> None:
    assert found("a/b/c/d/DICOMDIR") == []


def test_the_root_comes_first_and_what_lies_deeper_is_not_taken() -> None:
    assert found("DICOMDIR", "a/DICOMDIR") == ["DICOMDIR"]


@pytest.mark.parametrize(
    ("paths", "others"),
    [
        (["DICOMDIR", "OLD/DICOMDIR"], ["OLD/DICOMDIR"]),
        (
            ["DICOMDIR", "a/b/c/dicomdir", "a/DICOMDIR (1)"],
            ["a/DICOMDIR (1)", "a/b/c/dicomdir"],
        ),
        (["CD1/DICOMDIR", "CD1/OLD/DICOMDIR"], ["CD1/OLD/DICOMDIR"]),
        (["CD1/DICOMDIR", "CD2/x/y/DICOM.DIR"], ["CD2/x/y/DICOM.DIR"]),
        (["DICOMDIR", "a/b/c/d/DICOMDIR"], []),
        (["DICOMDIR", "DICOM/I1"], []),
    ],
    ids=["one", "two", "wrapped", "renamed", "too-deep", "none"],
)
def test_another_dicomdir_that_lies_deeper_is_found_and_not_taken(
    paths: list[str], others: list[str]
) -> None:
    assert deeper(*paths) == others


def test_only_so_many_folders_are_searched_for_another_dicomdir() -> None:
    folders = [f"f{n:03}" for n in range(100)]

    assert deeper("DICOMDIR", *(f"{each}/x" for each in folders)) == []
    assert deeper(
        "DICOMDIR", "f000/DICOMDIR", "f099/DICOMDIR", *(f"{each}/x" for each in folders)
    ) == ["f000/DICOMDIR"]


@pytest.mark.parametrize(
    "name",
    [
        *("DICOM.DIR", "DICOMDIR (1)", "DICOMDIR(2).dcm", "dicomdir_1", "DICOMDIR.bin"),
        *("DICOMDIR - Kopie", "Copy of DICOMDIR", "DICOMDIR.1", "download", "INDEX"),
    ],
)
def test_a_dicomdir_of_another_name_is_known_by_its_content(name: str) -> None:
    medium = FakeMedium(
        {
            name: INDEX,
            "README.TXT": b"text",
            "I1": instance_bytes(),
            "DICOMDIR.txt": b"",
        }
    )

    assert find_dicomdirs(medium).places == [(name.encode(),)]


def test_a_dicomdir_of_nearly_that_name_is_known_in_folders_too() -> None:
    assert found("a/DICOM.DIR", "b/INDEX") == ["a/DICOM.DIR"]


def test_a_name_comes_before_content() -> None:
    assert found("DICOMDIR (1)", "dicomdir") == ["dicomdir"]


def test_of_many_files_in_the_root_only_some_are_opened() -> None:
    medium = CountingFake({f"I{n:04}": instance_bytes() for n in range(500)})

    assert find_dicomdirs(medium).places == []
    assert len(medium.opened) <= 64


class Ear(Listener):
    """A listener that remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def told(self, name: str, what: str) -> None:
        """Remember it."""
        self.heard.append(f"{name}: {what}" if name else what)


def heard(*paths: str, path: str = "", index: bytes = INDEX) -> list[str]:
    """Return what is said when a medium with DICOMDIRs at *paths* is opened."""
    ear, findings = Ear(), Findings()
    open_file_sets(FakeMedium(dict.fromkeys(paths, index)), b"", findings, ear, path)
    assert len({each.kind for each in findings.all()}) == len(ear.heard)
    assert not any(each.kind.is_fault for each in findings.all())
    return ear.heard


def test_nothing_is_said_of_a_dicomdir_that_lies_where_it_should() -> None:
    assert heard("DICOMDIR") == heard("dicomdir.;1") == []


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (["CD/DICOMDIR"], "shown is what CD/DICOMDIR lists"),
        (["DICOM.DIR"], "shown is what DICOM.DIR lists"),
        (["a/DICOMDIR", "b/DICOMDIR"], "shown is what a/DICOMDIR, b/DICOMDIR lists"),
        (
            [f"{n}/DICOMDIR" for n in range(5)],
            "shown is what 0/DICOMDIR, 1/DICOMDIR, 2/DICOMDIR and 2 more lists",
        ),
    ],
    ids=["deeper", "renamed", "two", "many"],
)
def test_it_is_said_which_dicomdir_is_shown(paths: list[str], told: str) -> None:
    assert heard(*paths) == [told]


@pytest.mark.parametrize(
    ("path", "how"),
    [
        ("/media/stick", "give /media/stick/OLD as a SOURCE, too"),
        ("", "--scan shows all files"),
    ],
    ids=["folder", "archive"],
)
def test_it_is_said_how_to_see_another_dicomdir(path: str, how: str) -> None:
    told = heard("DICOMDIR", "OLD/DICOMDIR", path=path)

    assert told == [f"OLD/DICOMDIR is not shown; to see it, {how}"]


@pytest.mark.parametrize("data", [b"", b"text" * 100], ids=["empty", "text"])
def test_another_dicomdir_is_said_where_that_of_the_root_is_of_no_use(
    data: bytes,
) -> None:
    ear = Ear()
    medium = FakeMedium({"DICOMDIR": data, "OLD/DICOMDIR": INDEX})

    with pytest.raises(Failure):
        open_file_sets(medium, listener=ear)

    assert [each.partition(" ")[0] for each in ear.heard] == ["OLD/DICOMDIR"]


def test_a_dicomdir_that_lists_nothing_is_said_to() -> None:
    told = heard("DICOMDIR", index=build_dicomdir([]))

    assert told == ["DICOMDIR lists nothing; --scan shows what lies on the medium"]


def test_the_dicomdir_that_was_named_needs_no_words() -> None:
    ear = Ear()

    open_file_sets(FakeMedium({"DICOM.DIR": INDEX}), b"DICOM.DIR", None, ear)

    assert ear.heard == []


def test_all_of_the_first_level_that_has_any_are_found() -> None:
    paths = ["CD2/dicomdir", "CD1/DICOMDIR", "CD3/x/DICOMDIR", "CD4/README"]

    assert found(*paths) == ["CD1/DICOMDIR", "CD2/dicomdir"]


def test_a_medium_without_a_dicomdir_has_none() -> None:
    assert found("README.TXT", "DICOM/I1") == []


def test_a_folder_of_that_name_is_no_dicomdir() -> None:
    assert found("DICOMDIR/DICOMDIR", "DICOMDIR/I1") == ["DICOMDIR/DICOMDIR"]


def test_a_folder_that_may_not_be_read_is_passed_over() -> None:
    medium = FakeMedium(
        {"lost+found/x": b"", "CD/DICOMDIR": INDEX},
        {"lost+found": PermissionError(13, "Permission denied")},
    )

    assert find_dicomdirs(medium).places == [(b"CD", b"DICOMDIR")]


CUT_OFF = build_layout([patient("Doe", "1")])
BROKEN = CUT_OFF.data[: min(CUT_OFF.offsets.values())]


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"README.TXT": b""}, Problem.NO_DICOMDIR),
        ({}, Problem.NO_DICOMDIR),
        ({"DICOMDIR": b""}, Problem.DICOMDIR_EMPTY),
        ({"DICOMDIR": b"text" * 100}, Problem.NOT_DICOM),
        ({"DICOMDIR": instance_bytes()}, Problem.NOT_DICOM),
        ({"DICOMDIR": BROKEN}, Problem.DICOMDIR_BROKEN),
    ],
    ids=["none", "empty-medium", "empty", "text", "instance", "cut-off"],
)
def test_a_medium_without_a_good_dicomdir_fails_with_its_own_code(
    files: dict[str, bytes], problem: Problem
) -> None:
    with pytest.raises(Failure) as caught:
        open_file_sets(FakeMedium(files))

    assert caught.value.problem is problem
    assert all(complaint(caught.value))


@pytest.mark.parametrize("place", ["", "DICOMDIR"], ids=["folder", "dicomdir"])
def test_a_medium_that_cannot_be_read_fails_with_its_own_code(place: str) -> None:
    medium = FakeMedium({"DICOMDIR": INDEX}, {place: OSError(5, "Input/output error")})

    with pytest.raises(Failure, match="cannot be read") as caught:
        open_file_sets(medium)

    assert caught.value.problem is Problem.SOURCE_UNREADABLE


def test_the_dicomdir_that_was_named_is_opened_and_no_other() -> None:
    medium = FakeMedium(
        {"DICOMDIR": INDEX, "OTHER": build_dicomdir([]), "OTHER.BAK": b""}
    )

    [file_set] = open_file_sets(medium, b"OTHER")

    assert file_set.roots == []


def test_one_broken_file_set_of_several_costs_only_itself(
    expect_log: ExpectLog,
) -> None:
    expect_log("one of several DICOMDIRs is unusable")
    medium = FakeMedium({"A/DICOMDIR": INDEX, "B/DICOMDIR": b"text" * 50})

    [file_set] = open_file_sets(medium)

    assert file_set.place == (b"A", b"DICOMDIR")


def test_two_copies_of_one_dicomdir_are_told_apart() -> None:
    medium = FakeMedium({"A/DICOMDIR": INDEX, "B/DICOMDIR": INDEX})

    one, other = open_file_sets(medium)

    assert one.identity != other.identity
