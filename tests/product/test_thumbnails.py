"""What desktops do with a mount: the thumbnail service, asked over D-Bus as Thunar does."""

import hashlib
import io
import os
import subprocess
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from PIL import Image

from scripts.screenshots import disc
from tests.pictures.discs import write_disc
from tests.support import trees
from tests.support.mounting import ROOT, Mounter, lack, need

# Reads in order: what is refused comes first, so it is decided when the other is there.
_SCRIPT: Final = """
gdbus call --session --timeout 60 --dest org.freedesktop.thumbnails.Thumbnailer1 \
    --object-path /org/freedesktop/thumbnails/Thumbnailer1 \
    --method org.freedesktop.thumbnails.Thumbnailer1.Queue \
    "$URIS" "$TYPES" normal foreground "uint32 0" || exit
count=0
while [ ! -s "$LAST" ] && [ $count -lt 1200 ]; do sleep 0.1; count=$((count + 1)); done
"""
# On a busy machine the service takes seconds for each.
_FEW: Final = 3
_NAME: Final = "user.dicomfs.thumbnail"
_SERVICE: Final = "/usr/share/dbus-1/services/org.xfce.Tumbler.Thumbnailer1.service"


@pytest.fixture(scope="module")
def medium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the disc of the screenshots."""
    root = tmp_path_factory.mktemp("desktop") / "medium"
    disc.write(root)
    return root


@pytest.mark.slow
def test_the_disc_of_the_screenshots_is_what_it_is_said_to_be(medium: Path) -> None:
    seen = trees.look(medium)

    assert {path.rpartition("/")[0] for path in trees.files(seen)} == {
        f"{disc.STUDY}/{series}" for series in disc.SERIES
    }
    assert not [path for path, each in seen.items() if each.error]


@dataclass(frozen=True)
class Asked:
    """What the service was asked for, and the home of who asked."""

    home: Path
    images: list[Path]
    nameless: Path
    broken: Path

    def kept(self, file: Path) -> Path:
        """Return where the service keeps the thumbnail of *file*."""
        digest = hashlib.md5(_uri(file).encode(), usedforsecurity=False).hexdigest()
        return self.home / f"cache/thumbnails/normal/{digest}.png"


@pytest.fixture(scope="module")
def asked(
    medium: Path, mount_once: Mounter, tmp_path_factory: pytest.TempPathFactory
) -> Asked:
    """Ask the service for thumbnails of images, and of what is to have none.

    It may take long to come up, so that is not a part of a test.
    """
    _need_service()
    home = tmp_path_factory.mktemp("home")
    series = mount_once(medium).place / disc.STUDY / disc.SERIES[1]
    [nameless] = mount_once(write_disc(home / "disc", date="")).files()
    broken = home / "broken.dcm"
    broken.write_bytes(b"")
    made = Asked(home, sorted(series.iterdir())[:_FEW], nameless, broken)
    _ask_for([broken, nameless, *made.images], made.kept(made.images[-1]), home)
    return made


@pytest.mark.mount
@pytest.mark.slow
@pytest.mark.late
def test_the_thumbnail_service_gets_the_picture_of_each_image(asked: Asked) -> None:
    pictures = [asked.kept(image).read_bytes() for image in asked.images]

    for image, picture in zip(asked.images, pictures, strict=True):
        assert _pixels(picture) == _pixels(os.getxattr(image, _NAME))
    assert len(set(map(_pixels, pictures))) == len(asked.images)


@pytest.mark.mount
@pytest.mark.slow
@pytest.mark.late
def test_the_thumbnail_service_keeps_no_picture_of_whom_the_path_does_not_name(
    asked: Asked,
) -> None:
    assert asked.kept(asked.images[0]).exists()
    assert not asked.kept(asked.nameless).exists()
    assert not asked.kept(asked.broken).exists()


def _need_service() -> None:
    need("dbus-run-session", "gdbus", "getfattr")
    if not Path(_SERVICE).exists():
        lack("needs tumblerd")


def _ask_for(files: list[Path], last: Path, home: Path) -> None:
    """Have thumbnails of *files* made, until that is there which is to come *last*."""
    data = f"{ROOT / 'share'}:/usr/share"
    environment = {
        "GIO_USE_VFS": "local",
        "GIO_USE_VOLUME_MONITOR": "unix",
        "HOME": str(home),
        "PATH": f"{ROOT / 'share/dicomfs'}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_DATA_DIRS": data,
        "XDG_RUNTIME_DIR": str(home),
        "URIS": repr([_uri(each) for each in files]),
        "TYPES": repr(["application/dicom"] * len(files)),
        "LAST": str(last),
    }
    command = ["dbus-run-session", "--", "sh", "-c", _SCRIPT]
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr


def _uri(file: Path) -> str:
    return f"file://{urllib.parse.quote(str(file))}"


def _pixels(picture: bytes) -> bytes:
    with Image.open(io.BytesIO(picture)) as opened:
        return opened.convert("RGB").tobytes()
