"""File IDs: their components, and the names that those mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomfs.errors import FileIdError
from dicomfs.fileset.fileid import Names, components, in_one_folder


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


_FILE_IDS = st.lists(
    st.sampled_from(
        [
            *(
                b"S\\I1",
                b"S\\I2",
                b"S\\I1.DCM",
                b"S\\ I3",
                b"S/I4",
                b"T\\I1",
                b"I1",
                b"I2",
            ),
            *(
                b"",
                b"S\\",
                b"\\I5",
                b"D:\\S\\I6",
                b"..\\I7",
                b"S\\..",
                b"ST\\I8",
                b"S\\T\\I9",
            ),
            *(b"S\\" + b"I" * 255, b"S\\" + b"I" * 256, b"\\".join([b"A"] * 17)),
            *(b"\\".join([b"A"] * 16), b"S\\I\0", b"D:\\I1"),
        ]
    ),
    max_size=4,
)


@given(_FILE_IDS)
def test_file_ids_in_one_folder_are_split_as_each_of_them(
    file_ids: list[bytes],
) -> None:
    found = in_one_folder(file_ids)

    if found is not None:
        folder, names = found
        assert [(*folder, name) for name in names] == list(map(components, file_ids))


def test_the_file_ids_of_a_series_are_split_together() -> None:
    file_ids = [b"DICOM\\S1\\I2", b"DICOM\\S1\\I10", b"DICOM\\S1\\I1"]

    assert in_one_folder(file_ids) == ((b"DICOM", b"S1"), [b"I2", b"I10", b"I1"])
    assert in_one_folder([b"I2", b"I1"]) == ((), [b"I2", b"I1"])
    assert in_one_folder([*file_ids, b"DICOM\\S2\\I1"]) is None
    assert in_one_folder([]) is None
