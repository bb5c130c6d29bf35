"""Clicks as people do, and takes pictures of what they see."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.build.medium import image, patient, series, study, write_medium
from tests.support.desktop import Desktop, desktop, started
from tests.support.mounting import need, run, until

_SIZE: Final = "1000x640x24"
# Where Thunar shows the first file of a folder, in a window that fills the screen.
_FIRST_FILE: Final = (240, 130)
# A window is there before all in it is.
_SETTLES: Final = "2"


def main() -> None:
    """Make pictures in the folder that is named on the command line."""
    pictures = Path(sys.argv[1])
    pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        discs = folder / "discs"
        discs.mkdir()
        make_disc(folder / "medium", discs / "Radiology 2024.iso")
        with desktop(folder, listens=False) as desk, screen(desk):
            look(desk, discs, pictures)


def make_disc(medium: Path, disc: Path) -> None:
    """Make an image of a *disc* from which three pictures are missing."""
    images = [image(f"1.2.3.{n}", number=n, file=f"A/I{n}") for n in range(1, 25)]
    more = [image(f"1.2.4.{n}", number=n, file=f"B/I{n}") for n in range(1, 13)]
    ct = [series("1.2.3", images, number=1, description="Lung 1.0")]
    mr = [series("1.2.4", more, number=1, modality="MR", description="T2 tse")]
    thorax = study("1.2", ct, date="20230705", description="CT Thorax")
    knee = study("1.3", mr, date="20240118", description="MR Knee")
    jane, john = (
        patient("Doe^Jane", "12345", [thorax]),
        patient("Roe^John", "77", [knee]),
    )
    write_medium(medium, [jane, john])
    for number in (3, 4, 5):
        (medium / f"A/I{number}").unlink()
    make = ["xorriso", "-as", "mkisofs", "-quiet", "-o", str(disc), str(medium)]
    assert run(make).returncode == 0


@contextmanager
def screen(desk: Desktop) -> Iterator[None]:
    """Have a screen, a window manager, and what shows notifications."""
    need("Xvfb", "openbox", "thunar", "pcmanfm", "dunst", "xdotool", "scrot")
    number = ":97"
    desk.variables |= {"DISPLAY": number, "XDG_CURRENT_DESKTOP": "XFCE"}
    config = desk.folder / "xdg_config_home/openbox"
    config.mkdir(parents=True)
    with started(desk, "Xvfb", number, "-screen", "0", _SIZE):
        assert until(lambda: desk.run("xdotool", "getdisplaygeometry").returncode == 0)
        with started(desk, "openbox"), started(desk, "dunst"):
            desk.run("xdg-mime", "default", "thunar.desktop", "inode/directory")
            yield


def look(desk: Desktop, discs: Path, pictures: Path) -> None:
    """Click on the disc in the folder *discs*, and take *pictures* on the way."""
    with started(desk, "thunar", str(discs)):
        wait_for(desk, discs.name)
        picture(desk, pictures / "1-disc.png")
        x, y = map(str, _FIRST_FILE)
        desk.run("xdotool", "mousemove", x, y, "click", "--repeat", "2", "1")
        wait_for(desk, "Radiology 2024")
        picture(desk, pictures / "2-patients.png")
        (place,) = desk.places
        with started(desk, "pcmanfm", str(place)):
            picture(desk, pictures / "3-side-bar.png")
        assert desk.run("gio", "mount", "-u", place).returncode == 0
        assert desk.has_ended()
        picture(desk, pictures / "4-ended.png")


def wait_for(desk: Desktop, title: str) -> None:
    """Wait for a window of this *title*, and let it fill the screen."""
    search = ["xdotool", "search", "--onlyvisible", "--name", title]
    assert until(lambda: desk.run(*search).returncode == 0), f"no window {title}"
    window = desk.run(*search).stdout.split()[-1]
    desk.run("xdotool", "windowmove", window, "0", "0")
    desk.run("xdotool", "windowsize", window, "100%", "100%")


def picture(desk: Desktop, path: Path) -> None:
    """Take a picture of the screen when it has settled."""
    path.unlink(missing_ok=True)
    done = desk.run("scrot", "--delay", _SETTLES, path)
    assert done.returncode == 0, done.stderr
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
