"""File IDs: from what a record says to the file that the medium has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomfs.errors import FileIdError
from dicomfs.fileset.fileid import Locator, Names, components
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
    place, _ = Locator(medium).locate(components(file_id))
    return b"/".join(place).decode("latin-1")


@pytest.mark.parametrize(
    ("file_id", "path"),
    [
        (b"DICOM\\I1", "DICOM/I1"),
        (b"I1", "I1"),
        (b"DICOM/I1", "DICOM/I1"),
        (b"\\DICOM\\I1", "DICOM/I1"),
        (b"/etc/passwd", "etc/passwd"),
        (b"DICOM\\\\I1", "DICOM/I1"),
        (b".\\DICOM\\.\\I1", "DICOM/I1"),
        (b"D:\\DICOM\\I1", "DICOM/I1"),
        (b"c:/DICOM/I1", "DICOM/I1"),
        (b"DICOM \\ I1 \0", "DICOM/I1"),
        (b"dicom\\a..b", "dicom/a..b"),
        (b"BILD\xc4\\1", "BILD\xc4/1"),
        (b"1\\2\\3\\4\\5\\6\\7\\8\\9", "1/2/3/4/5/6/7/8/9"),
    ],
    ids=[
        *("plain", "single", "slash", "leading", "absolute", "doubled", "dots"),
        *("drive", "drive-slash", "blanks", "dots-inside", "latin-1", "nine"),
    ],
)
def test_a_file_id_is_split_into_components(file_id: bytes, path: str) -> None:
    assert b"/".join(components(file_id)).decode("latin-1") == path


@pytest.mark.parametrize(
    "file_id",
    [
        *(b"", b" ", b"\\", b".", b"D:\\", b"..", b"..\\..\\etc\\passwd"),
        *(b"DICOM\\..\\..\\x", b"DICOM/../../x", b"A\\.. \\B", b"A\\ ..\\B"),
        *(b"A\0B\\C", b"A\\B\0.dcm", b"\\".join([b"A"] * 100)),
    ],
    ids=repr,
)
def test_a_file_id_that_leads_nowhere_or_out_is_refused(file_id: bytes) -> None:
    with pytest.raises(FileIdError):
        components(file_id)


@given(st.binary(max_size=100))
def test_no_file_id_leads_above_the_root(file_id: bytes) -> None:
    try:
        path = components(file_id)
    except FileIdError:
        return

    assert path
    assert not {b"", b".", b".."} & set(path)
    assert not any(b"/" in part or b"\\" in part or b"\0" in part for part in path)


MATCHES = [
    ("exact", b"I1", ["I1", "i1", "I1.dcm"], "I1"),
    ("lower-case-on-disc", b"I1", ["i1", "i2"], "i1"),
    ("lower-case-in-record", b"i1", ["I1", "I2"], "I1"),
    ("version", b"I1", ["I1;1", "I2;1"], "I1;1"),
    ("dot-and-version", b"I1", ["I1.;1"], "I1.;1"),
    ("lower-version", b"I1", ["i1.;1"], "i1.;1"),
    ("trailing-dot", b"I1", ["I1.", "I2."], "I1."),
    ("version-in-record", b"I1;1", ["I1"], "I1"),
    ("trailing-dot-in-record", b"I1.", ["I1"], "I1"),
    ("dcm-added", b"I1", ["I1.dcm", "I2.dcm"], "I1.dcm"),
    ("capital-dcm-added", b"I1", ["i1.DCM"], "i1.DCM"),
    ("ima-added", b"I1", ["I1.IMA"], "I1.IMA"),
    ("dcm-lost", b"I1.dcm", ["I1", "I2"], "I1"),
    ("capital-dcm-lost", b"I1.DCM", ["i1"], "i1"),
    ("number-with-dots", b"1.2.3", ["1.2.3.dcm"], "1.2.3.dcm"),
    ("folded-before-extension", b"I1", ["i1", "I1.dcm"], "i1"),
    ("latin-1", b"\xc4", ["\xc4"], None),
    ("missing", b"I1", ["I2"], None),
    ("empty", b"I1", [], None),
    ("longer", b"I1", ["I11", "I1a"], None),
    ("other-extension", b"I1", ["I1.txt", "I1.exe"], None),
    ("stem-of-other", b"I1.txt", ["I1"], None),
    ("two-cases", b"I1", ["i1", "I1."], None),
    ("two-cases-lower", b"ab", ["AB", "Ab"], None),
    ("two-extensions", b"I1", ["I1.dcm", "I1.ima"], None),
]


@pytest.mark.parametrize(
    ("component", "names", "found"),
    [row[1:] for row in MATCHES],
    ids=[row[0] for row in MATCHES],
)
def test_a_component_is_matched_against_the_names_that_are_there(
    component: bytes, names: list[str], found: str | None
) -> None:
    matched = Names(name.encode() for name in names).match(component)

    assert matched == (None if found is None else found.encode())


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
    _, status = Locator(FakeMedium({"i1": b"12345"})).locate((b"I1",))

    assert status.size == 5


def test_files_are_sought_below_the_root_of_their_file_set() -> None:
    medium = FakeMedium({"CD1/I1": b"1", "CD2/i1": b"22"})

    assert Locator(medium, (b"CD2",)).locate((b"I1",))[0] == (b"CD2", b"i1")


def test_a_folder_of_many_files_is_listed_once() -> None:
    names = {f"dicom/i{n}": b"" for n in range(500)}
    medium = ListingMedium(names)
    locator = Locator(medium)

    for n in range(500):
        locator.locate((b"DICOM", b"I%d" % n))

    assert medium.listings <= 2  # the root, and the folder


def test_a_medium_with_the_names_of_its_file_ids_is_not_listed() -> None:
    medium = ListingMedium({f"DICOM/I{n}": b"" for n in range(500)})
    locator = Locator(medium)

    for n in range(500):
        locator.locate((b"DICOM", b"I%d" % n))

    assert medium.listings == 0


def test_more_folders_than_are_kept_are_all_found() -> None:
    names = {f"d{n}/i{m}": b"" for n in range(200) for m in range(2)}
    locator = Locator(FakeMedium(names))

    found = [
        locator.locate((b"D%d" % n, b"I%d" % m))[0] for n in range(200) for m in (0, 1)
    ]

    assert len(set(found)) == 400


def test_a_fault_of_the_medium_is_not_a_missing_file() -> None:
    medium = FakeMedium({"I1": b""}, {"I1": OSError(5, "a bad sector")})

    with pytest.raises(OSError, match="bad sector") as caught:
        locate(medium, b"I1")

    assert caught.value.errno == 5
