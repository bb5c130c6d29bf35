"""What the names of members of archives mean."""

import re

import pytest

from dicomfs.media.membername import SLASH, UnsafeNameError, path_of

EITHER = re.compile(rb"[\\/]")
ROOTS = (b"/", b"//", b"C:/", b"/C:/", b"//./", b"//?/", b"//?/C:/", b"C:")
NAMES = (
    b"DICOM/I1",
    b"DICOM//I1",
    b"DICOM/./I1",
    b"DICOM//./I1",
    b"DICOM//?/I1",
    b"DICOM/C:/I1",
    b"A?/./I1/",
)


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_rooted_means_the_same_below_the_root(root: bytes, name: bytes) -> None:
    assert path_of(root + name, SLASH) == path_of(name, SLASH)


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("name", NAMES)
def test_that_holds_for_the_separators_of_windows(root: bytes, name: bytes) -> None:
    rooted = (root + name).replace(b"/", b"\\")

    assert path_of(rooted, EITHER) == path_of(name, EITHER)


@pytest.mark.parametrize("root", [b"", *ROOTS])
@pytest.mark.parametrize("name", [b"..", b"../I1", b"DICOM/../../I1", b".//../I1"])
def test_a_name_that_leads_out_of_the_archive_is_refused(
    root: bytes, name: bytes
) -> None:
    with pytest.raises(UnsafeNameError, match="leads out"):
        path_of(root + name, SLASH)
