"""File IDs of a File-set that is rebuilt."""

import pytest

from dicomfs.errors import FileIdError
from dicomfs.original.fileids import FileIds, file_id


def test_file_ids_are_kept_as_they_were_written() -> None:
    ids = FileIds()

    assert file_id(ids.given(b"DICOM\\S1\\I1")) == b"DICOM\\S1\\I1"
    assert file_id(ids.given(b"dicom\\s1\\i1.dcm")) == b"dicom\\s1\\i1.dcm"
    assert ids.changed == 0


@pytest.mark.parametrize(
    "written", [b"D:\\DICOM\\I1", b"\\DICOM\\I1", b"DICOM/I1", b"DICOM\\.\\I1"]
)
def test_what_only_one_reader_understands_is_written_plainly(written: bytes) -> None:
    ids = FileIds()

    assert ids.given(written) == (b"DICOM", b"I1")
    assert ids.changed == 1


@pytest.mark.parametrize(
    "written",
    [
        b"DICOM\\I1",
        b"DICOM",
        b"DICOM\\I1\\X",
        b"DICOMDIR",
        b"DICOMFS",
        b"A\xfcB",
        b"A\nB",
    ],
    ids=[
        "taken",
        "a folder",
        "below a file",
        "the index",
        "ours",
        "no name",
        "no line",
    ],
)
def test_what_cannot_be_kept_is_replaced(written: bytes) -> None:
    ids = FileIds()
    ids.given(b"DICOM\\I1")

    assert ids.given(written) == (b"DICOMFS", b"00000001", b"00000001")
    assert ids.changed == 1


def test_none_is_kept_where_nobody_wrote_any() -> None:
    ids = FileIds(are_kept=False)

    given = [ids.given(b"%08d" % number) for number in range(1001)]

    assert len(set(given)) == 1001
    assert given[-1] == (b"DICOMFS", b"00000002", b"00000001")


@pytest.mark.parametrize("written", [b"", b"..\\A", b"A\\..\\..\\B", b"A\0B"])
def test_what_names_nothing_is_refused(written: bytes) -> None:
    with pytest.raises(FileIdError):
        FileIds().given(written)
