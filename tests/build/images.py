"""Images of discs, made of a folder by the programs that people make them with.

Each function writes the image *to* a path and returns that; *options* are the program's
own. ``ISO_FLAVOURS`` is what one folder looks like on the discs that there are.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.support.mounting import need, run

SECTOR: Final = 2048

# Where volume descriptors are.
_DESCRIPTORS: Final = range(16, 32)
# What a sector of a CD has before its data, and behind them, in modes 1 and 2.
_PATTERN: Final = b"\0" + b"\xff" * 10 + b"\0"
_BEHIND: Final = 288
_SUBHEADER: Final = bytes((0, 0, 8, 0)) * 2
# An image whose volume is not a whole number of these long is padded to it.
_ALIGNED: Final = 16


def make_iso(folder: Path, to: Path, *options: str) -> Path:
    """Write *folder* with xorriso: by default Rock Ridge, and no Joliet."""
    return _make("xorriso", "-as", "mkisofs", *options, "-o", str(to), str(folder))


def make_plain_iso(folder: Path, to: Path, *options: str) -> Path:
    """Write *folder* with genisoimage: by default level 1, and neither of the two."""
    return _make("genisoimage", "-quiet", *options, "-o", str(to), str(folder))


def _make(program: str, *arguments: str) -> Path:
    need(program)
    done = run([program, *arguments])
    assert done.returncode == 0, done.stderr
    return Path(arguments[arguments.index("-o") + 1])


ISO_FLAVOURS: Final[Mapping[str, Callable[[Path, Path], Path]]] = MappingProxyType(
    {
        "plain": lambda folder, to: make_plain_iso(folder, to),
        "level 2": lambda folder, to: make_plain_iso(folder, to, "-iso-level", "2"),
        "level 3": lambda folder, to: make_iso(
            folder, to, "--norock", "-iso-level", "3"
        ),
        "level 4": lambda folder, to: make_plain_iso(folder, to, "-iso-level", "4"),
        "Joliet": lambda folder, to: make_iso(folder, to, "--norock", "-J"),
        "Joliet of genisoimage": lambda folder, to: make_plain_iso(folder, to, "-J"),
        "Rock Ridge": lambda folder, to: make_iso(folder, to),
        "Rock Ridge of genisoimage": lambda folder, to: make_plain_iso(
            folder, to, "-R"
        ),
        "Rock Ridge and Joliet": lambda folder, to: make_iso(folder, to, "-J"),
        "UDF bridge": lambda folder, to: make_plain_iso(folder, to, "-udf"),
    }
)


def without_iso9660(image: Path) -> Path:
    """Take the half of a bridge disc away that is ISO 9660; what is left is UDF."""
    with image.open("r+b") as out:
        for sector in _DESCRIPTORS:
            out.seek(sector * SECTOR + 1)
            if out.read(5) == b"CD001":
                out.seek(sector * SECTOR)
                out.write(bytes(SECTOR))
    return image


# -- several sessions ------------------------------------------------------------------


def start_sessions(folder: Path, to: Path) -> Path:
    """Write *folder* with xorriso so that sessions can be added, as on a DVD+RW."""
    return _xorriso("-outdev", to, folder)


def add_session(image: Path, folder: Path) -> Path:
    """Add what is in *folder* as a session; the descriptors at the start follow."""
    return _xorriso("-dev", image, folder)


def _xorriso(how: str, image: Path, folder: Path) -> Path:
    need("xorriso")
    done = run(["xorriso", how, str(image), "-map", str(folder), "/", "-commit"])
    assert done.returncode == 0, done.stderr
    return image


def add_track(
    image: Path, folder: Path, *options: str, last: int = 0, gap: int = 0
) -> int:
    """Add what is in *folder* as a session of its own, as on a CD, with genisoimage.

    *last* is the sector at which the session before begins, and *gap* how many come
    between the two. Return the sector at which the new one begins.
    """
    sectors = -(-image.stat().st_size // SECTOR)
    start = -(-sectors // _ALIGNED) * _ALIGNED + gap
    track = image.with_suffix(".track")
    before = ("-M", str(image), "-C", f"{last},{start}")
    make_plain_iso(folder, track, *options, *before)
    with image.open("r+b") as whole, track.open("rb") as added:
        whole.seek(start * SECTOR)
        shutil.copyfileobj(added, whole)
    track.unlink()
    return start


def add_alone(image: Path, folder: Path, *options: str) -> int:
    """Add a session that does not know of those before; return where it begins."""
    sectors = -(-image.stat().st_size // SECTOR)
    start = -(-sectors // _ALIGNED) * _ALIGNED
    track = image.with_suffix(".track")
    # Without -M nothing of the older ones is in it.
    make_plain_iso(folder, track, *options, "-C", f"0,{start}")
    with image.open("r+b") as whole:
        whole.seek(start * SECTOR)
        whole.write(track.read_bytes())
    track.unlink()
    return start


# -- whole sectors of a CD -------------------------------------------------------------


def to_sectors(image: Path, to: Path, mode: int = 1, subchannel: int = 0) -> Path:
    """Write the data of *image* as sectors of 2352 bytes, and so many more."""
    data = image.read_bytes()
    with to.open("wb") as file:
        for number, at in enumerate(range(0, len(data), SECTOR)):
            file.write(_PATTERN + _address(number) + bytes([mode]))
            head = _SUBHEADER if mode == 2 else b""
            file.write(head + data[at : at + SECTOR].ljust(SECTOR, b"\0"))
            file.write(bytes(_BEHIND - len(head) + subchannel))
    return to


def _address(number: int) -> bytes:
    """Return minute, second and frame of a sector, two digits in each byte."""
    minutes, frames = divmod(number + 150, 60 * 75)
    return bytes.fromhex(f"{minutes:02}{frames // 75:02}{frames % 75:02}")
