"""What a desktop makes of a medium, by its own tools: types, programs, mounts."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.build.medium import image, patient, series, study, write_medium
from tests.support.desktop import Desktop, desktop
from tests.support.mounting import ROOT, User, need, need_root, run, until

ENTRIES: Final = sorted((ROOT / "share/applications").glob("*.desktop"))
MEDIUM: Final = "x-content/x-dicom-media"

# There is no command that asks GLib what a whole medium is.
GUESS: Final = """
import ctypes, sys
gio = ctypes.CDLL("libgio-2.0.so.0")
gio.g_file_new_for_path.restype = ctypes.c_void_p
guess = gio.g_content_type_guess_for_tree
guess.argtypes, guess.restype = [ctypes.c_void_p], ctypes.POINTER(ctypes.c_char_p)
found = guess(gio.g_file_new_for_path(sys.argv[1].encode()))
while found[0]:
    print(found[0].decode())
    found = ctypes.cast(ctypes.addressof(found.contents) + 8, type(found))
"""


def a_medium(folder: Path) -> Path:
    images = [image(f"1.2.3.{n}", number=n, file=f"I{n}") for n in (1, 2)]
    one = [study("1.2", [series("1", images)])]
    write_medium(folder, [patient("Doe^Jane", "1", one)])
    return folder


def an_image(folder: Path) -> Path:
    """Return an image of a disc from which the first picture is missing."""
    need("xorriso")
    medium = a_medium(folder / "medium")
    (medium / "I1").unlink()
    path = folder / "disc.iso"
    make = ["xorriso", "-as", "mkisofs", "-quiet", "-o", str(path), str(medium)]
    assert run(make).returncode == 0
    return path


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    """Return a desktop for all tests."""
    with desktop(tmp_path_factory.mktemp("desk")) as made:
        yield made


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.stem)
def test_an_entry_for_menus_is_well_formed(entry: Path) -> None:
    need("desktop-file-validate")

    done = run(["desktop-file-validate", str(entry)])

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.slow
def test_a_medium_its_index_and_its_images_have_types_of_their_own(
    desk: Desktop, tmp_path: Path
) -> None:
    medium = a_medium(tmp_path / "cd")
    for name in ("dicomdir", "a.dcm", "b.iso", "c.zip"):
        shutil.copy(medium / "DICOMDIR", medium / name)

    def kind(name: str) -> str:
        said = desk.run("gio", "info", "-a", "standard::content-type", medium / name)
        return said.stdout.split()[-1]

    assert kind("DICOMDIR") == kind("dicomdir") == "application/x-dicomdir"
    assert kind("a.dcm") == kind("I1") == "application/dicom"
    assert kind("b.iso") in {"application/x-cd-image", "application/vnd.efi.iso"}
    asked = desk.run("xdg-mime", "query", "filetype", medium / "DICOMDIR")
    assert asked.stdout == "application/x-dicomdir\n"
    (medium / "dicomdir").rename(medium / "DICOMDIR")
    for folder, expected in ((medium, [MEDIUM]), (medium.parent, [])):
        guessed = desk.run(sys.executable, "-P", "-c", GUESS, folder)
        assert guessed.stdout.split() == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "is_first"),
    [
        (MEDIUM, True),
        ("application/x-dicomdir", True),
        ("application/x-cd-image", True),
        ("application/vnd.efi.iso", True),
        # An archive is opened by what unpacks it.
        ("application/zip", False),
        ("application/x-tar", True),
    ],
)
def test_a_desktop_knows_what_opens_a_medium(
    desk: Desktop, kind: str, is_first: bool
) -> None:
    asked = desk.run("xdg-mime", "query", "default", kind)
    offered = desk.run("gio", "mime", kind).stdout

    assert "dicomfs.desktop" in offered
    assert ("dicomfs.desktop" in asked.stdout) is is_first


@pytest.fixture
def their_desk(ordinary_user: User) -> Iterator[Desktop]:
    """Return the desktop of somebody without rights."""
    folder = ordinary_user.home / "desk"
    folder.mkdir()
    with desktop(folder, user=ordinary_user) as made:
        yield made


def assert_shows_until_unmounted(desk: Desktop, folder: Path) -> None:
    """See what a double click on an image of a disc does, and how it ends."""
    disc = an_image(folder)

    assert desk.run("gio", "open", disc).returncode == 0

    # The notification is the last thing that is done.
    assert until(lambda: desk.notes)
    place = desk.home / "Patients/disc"
    assert desk.opened_by("files") == [str(place)]
    assert desk.run("ls", place).stdout == "Doe, Jane (1)\nREADME.txt\n"
    expected = "a file is missing: 1\nREADME.txt has more."
    assert desk.notes == [("The medium is not whole", expected)]
    assert desk.run("gio", "mount", "-u", place).returncode == 0
    assert desk.has_ended()


@pytest.mark.mount
@pytest.mark.slow
def test_a_double_click_opens_the_patients_until_they_are_unmounted(
    desk: Desktop, tmp_path: Path
) -> None:
    assert_shows_until_unmounted(desk, tmp_path)


@pytest.mark.mount
@pytest.mark.slow
def test_a_double_click_needs_no_rights(
    their_desk: Desktop, public_folder: Path
) -> None:
    assert_shows_until_unmounted(their_desk, public_folder)


@pytest.mark.mount
@pytest.mark.slow
def test_side_bars_call_a_mount_by_its_medium_and_end_it(
    desk: Desktop, tmp_path: Path
) -> None:
    need_root()
    desk.run("dicomfs", "mount", a_medium(tmp_path / "CD 1"))
    place = desk.home / "Patients/CD 1"

    shown = desk.run("gio", "mount", "-l").stdout
    unmounted = desk.run("gio", "mount", "-u", place)

    assert f"Patients: CD 1 -> {place.as_uri()}\n" in shown
    assert unmounted.returncode == 0
    assert desk.has_ended()
