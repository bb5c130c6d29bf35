"""Locators: from File IDs to the files that the medium has."""

import pytest

from dicomfs.fileset.fileid import components
from dicomfs.fileset.locate import WrittenLocator
from tests.support.trees import FakeMedium


class ListingMedium(FakeMedium):
    """A medium in memory that counts its listings."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(files)
        self.listings = 0

    def names(self, folder: tuple[bytes, ...]) -> list[bytes]:
        """List, and count it."""
        self.listings += 1
        return super().names(folder)


def locate(medium: FakeMedium, file_id: bytes) -> str:
    place, _ = WrittenLocator(medium).locate(components(file_id))
    return b"/".join(place).decode("latin-1")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["DICOM/P1/I1"], "DICOM/P1/I1"),
        (["dicom/p1/i1"], "dicom/p1/i1"),
        (["dicom/P1/i1.dcm"], "dicom/P1/i1.dcm"),
        (["DICOM./P1./I1.;1"], "DICOM./P1./I1.;1"),
        (["Dicom/p1/I1", "Dicom/p1/i1", "Dicom/p2/I1"], "Dicom/p1/I1"),
    ],
    ids=["exact", "lower", "mixed", "versions", "exact-last"],
)
def test_a_file_is_found_whatever_the_medium_makes_of_its_name(
    names: list[str], found: str
) -> None:
    medium = FakeMedium(dict.fromkeys(names, b"data"))

    assert locate(medium, b"DICOM\\P1\\I1") == found


@pytest.mark.parametrize(
    "names",
    [
        ["DICOM/P1/I2"],
        ["P1/I1"],
        ["dicom/P1/I1", "Dicom/P1/I1"],
        ["DICOM/P1/i1", "DICOM/P1/I1."],
    ],
    ids=["other", "elsewhere", "two-folders", "two-files"],
)
def test_a_file_that_is_missing_or_ambiguous_is_not_found(names: list[str]) -> None:
    medium = FakeMedium(dict.fromkeys(names, b"data"))

    with pytest.raises(FileNotFoundError):
        locate(medium, b"DICOM\\P1\\I1")


@pytest.mark.parametrize("file_id", [b"\\I1", b".\\I1", b"C:\\I1", b"I1", b"/I1"])
def test_a_file_in_the_root_is_found_however_it_is_written(file_id: bytes) -> None:
    assert locate(FakeMedium({"I1": b""}), file_id) == "I1"


def test_the_status_comes_with_the_place() -> None:
    _, status = WrittenLocator(FakeMedium({"i1": b"12345"})).locate((b"I1",))

    assert status.size == 5


def test_files_are_sought_below_the_root_of_their_file_set() -> None:
    medium = FakeMedium({"CD1/I1": b"1", "CD2/i1": b"22"})

    assert WrittenLocator(medium, (b"CD2",)).locate((b"I1",))[0] == (b"CD2", b"i1")


def test_a_folder_of_many_files_is_listed_once() -> None:
    names = {f"dicom/i{n}": b"" for n in range(500)}
    medium = ListingMedium(names)
    locator = WrittenLocator(medium)

    for n in range(500):
        locator.locate((b"DICOM", b"I%d" % n))

    assert medium.listings <= 2  # the root, and the folder


def test_a_medium_with_the_names_of_its_file_ids_is_not_listed() -> None:
    medium = ListingMedium({f"DICOM/I{n}": b"" for n in range(500)})
    locator = WrittenLocator(medium)

    for n in range(500):
        locator.locate((b"DICOM", b"I%d" % n))

    assert medium.listings == 0


def test_more_folders_than_are_kept_are_all_found() -> None:
    names = {f"d{n}/i{m}": b"" for n in range(200) for m in range(2)}
    locator = WrittenLocator(FakeMedium(names))

    found = [
        locator.locate((b"D%d" % n, b"I%d" % m))[0] for n in range(200) for m in (0, 1)
    ]

    assert len(set(found)) == 400


def test_a_fault_of_the_medium_is_not_a_missing_file() -> None:
    medium = FakeMedium({"I1": b""}, {"I1": OSError(5, "a bad sector")})

    with pytest.raises(OSError, match="bad sector") as caught:
        locate(medium, b"I1")

    assert caught.value.errno == 5
