"""Images through all that makes a picture of them, as a mount does: reading and painting.

    scripts/pictures [FILE ...]            which have pictures, by transfer syntax
    scripts/pictures --broken 10000        broken ones, with bombs among them
    scripts/pictures --only 1234           the broken one of this number

Without files they are those that pydicom ships. Each broken image has a number; with the
seed it gives the same bytes everywhere. What must hold for each: reading it raises nothing
but what is documented, and whatever becomes of who paints it, the painter goes on.
"""

import argparse
import random
import socket
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import pydicom
from pydicom.uid import UID

from dicomfs.dicom.header import read_header
from dicomfs.dicom.tags import TRANSFER_SYNTAX_UID
from dicomfs.errors import DicomfsError
from dicomfs.pictures import studio
from dicomfs.pictures.excerpt import Excerpt, excerpt
from dicomfs.pictures.wire import (
    Form,
    ProtocolError,
    Request,
    receive_picture,
    send_request,
)
from dicomfs.source.source import BytesSource
from tests.build.pixels import instance

SHIPPED: Final = Path(pydicom.__file__).parent / "data/test_files"
SEED: Final = 5
COUNT: Final = 10_000

# Larger ones would make most of what is tried.
_LARGEST: Final = 300_000
_PATIENCE: Final = 60.0
_ROWS: Final = b"\x28\x00\x10\x00US\x02\x00"
_COLUMNS: Final = b"\x28\x00\x11\x00US\x02\x00"
_FRAMES: Final = b"\x28\x00\x08\x00IS\x02\x00"
_PIXELS: Final = b"\xe0\x7f\x10\x00"
_EVIL: Final = (b"\xff\xff", b"\x00\x00", b"\x01\x00", b"\xff\x7f", b"\x00\x80")


class Painted(NamedTuple):
    """What came of an image: a *picture*, or why there is none."""

    picture: bytes = b""
    reason: str = ""
    # Whether who painted it ended without an answer.
    is_lost: bool = False


class Painters:
    """Somebody who has pictures painted over a *line*, as the worker of a mount."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line

    def picture(self, data: bytes, form: Form = Form.NORMAL) -> Painted:
        """Return what comes of the image *data*; raises what is not documented."""
        try:
            of = excerpt(BytesSource(data))
        except DicomfsError as error:
            return Painted(reason=str(error))
        return self.paint(of, form)

    def paint(self, of: Excerpt, form: Form = Form.NORMAL) -> Painted:
        """Return what comes of an excerpt; raises OSError if nobody paints any more."""
        self._line.send(b"\0")
        _, descriptors, _, _ = socket.recv_fds(self._line, 1, 1)
        with socket.socket(fileno=descriptors[0]) as connection:
            connection.settimeout(_PATIENCE)
            try:
                send_request(connection, Request(form, of))
                picture = receive_picture(connection)
            except (ConnectionError, ProtocolError):
                return Painted(reason="it ended who painted it", is_lost=True)
        return Painted(picture, "" if picture else "it cannot be decoded")


@contextmanager
def painters() -> Iterator[Painters]:
    """Have the processes that paint for a while."""
    line = studio.start()
    assert line is not None
    with line:
        line.settimeout(_PATIENCE)
        yield Painters(line)


# -- which have pictures ---------------------------------------------------------------


def files_in(paths: Iterable[Path]) -> list[Path]:
    """Return the files of *paths*, and those below the folders among them."""
    found: list[Path] = []
    for path in paths:
        found += sorted(path.rglob("*")) if path.is_dir() else [path]
    return [each for each in found if each.is_file()]


def table(paths: Iterable[Path]) -> Iterator[str]:
    """Yield the lines of a table: how many images have pictures, by transfer syntax."""
    all_, good, seconds = Counter[str](), Counter[str](), defaultdict[str, float](float)
    failed: list[tuple[str, str]] = []
    with painters() as paint:
        for path in files_in(paths):
            data = path.read_bytes()
            try:
                header = read_header(BytesSource(data))
                excerpt(BytesSource(data))
            except DicomfsError as error:
                if "pixels" in str(error) and "no pixels" not in str(error):
                    failed.append((path.name, str(error)))
                continue
            uid = header.raw(TRANSFER_SYNTAX_UID).decode("latin-1")
            name = UID(uid).name if uid else "none is named"
            begun = time.monotonic()
            painted = paint.picture(data)
            seconds[name] += time.monotonic() - begun
            all_[name] += 1
            good[name] += bool(painted.picture)
            if painted.reason:
                failed.append((path.name, painted.reason))
    yield "| transfer syntax | images | with a picture | ms each |"
    yield "|---|---|---|---|"
    for name in sorted(all_):
        each = 1000 * seconds[name] / all_[name]
        yield f"| {name} | {all_[name]} | {good[name]} | {each:.0f} |"
    yield f"| all | {all_.total()} | {good.total()} | |"
    yield ""
    yield from (f"{name}: {reason}" for name, reason in failed)


# -- broken ones -----------------------------------------------------------------------


def seeds() -> list[bytes]:
    """Return sound images to break, in all encodings."""
    shipped = [path.read_bytes() for path in sorted(SHIPPED.glob("*.dcm"))]
    return [data for data in shipped if len(data) <= _LARGEST and _has_pixels(data)]


def _has_pixels(data: bytes) -> bool:
    try:
        excerpt(BytesSource(data))
    except DicomfsError:
        return False
    return True


def broken(number: int, seed: int, sound: Sequence[bytes]) -> bytes:
    """Return the broken image *number*, made of one of *sound*."""
    chance = random.Random(f"{seed} {number}")
    data = bytearray(chance.choice(sound))
    for _ in range(chance.choice((1, 1, 2, 5))):
        chance.choice(_WAYS)(data, chance)
    return bytes(data)


def _flip(data: bytearray, chance: random.Random) -> None:
    """Change bytes anywhere, most of them in the header."""
    for _ in range(chance.choice((1, 3, 20))):
        last = chance.choice((min(len(data), 3000), len(data)))
        data[chance.randrange(last)] = chance.randrange(256)


def _enlarge(data: bytearray, chance: random.Random) -> None:
    """Let the image claim to be large: rows, columns and frames that are not there."""
    for element in chance.sample((_ROWS, _COLUMNS, _FRAMES), chance.randint(1, 3)):
        at = data.find(element)
        if at >= 0:
            data[at + 8 : at + 10] = b"\xff\xff" if element != _FRAMES else b"99"


def _lie(data: bytearray, chance: random.Random) -> None:
    """Give an element of the group that describes pixels an evil value."""
    places = [
        at for at in range(132, min(len(data), 4000)) if data[at : at + 2] == b"(\0"
    ]
    if places:
        at = chance.choice(places) + 8
        data[at : at + 2] = chance.choice(_EVIL)


def _cut(data: bytearray, chance: random.Random) -> None:
    """Leave the end out."""
    del data[chance.randrange(200, max(len(data), 201)) :]


def _repeat(data: bytearray, chance: random.Random) -> None:
    """Let a piece stand twice, or in another place."""
    start, to = chance.randrange(len(data)), chance.randrange(len(data))
    piece = data[start : start + chance.choice((8, 100, 2000))]
    data[to:to] = piece


def _damage_pixels(data: bytearray, chance: random.Random) -> None:
    """Change bytes of the pixels, where decoders are."""
    start = data.rfind(_PIXELS)
    for _ in range(chance.choice((1, 10, 100))):
        if 0 <= start < len(data) - 20:
            data[chance.randrange(start + 12, len(data))] = chance.randrange(256)


_WAYS: Final = (_flip, _enlarge, _lie, _cut, _repeat, _damage_pixels)


def bombs() -> Iterator[bytes]:
    """Yield images that claim to be 65,535 times 65,535 pixels, in all encodings.

    So do their headers, and what is encoded.
    """
    for data in seeds():
        made = bytearray(data)
        pixels = made.rfind(_PIXELS)
        sizes = []
        for element in (_ROWS, _COLUMNS):
            at = made.rfind(element, 0, max(pixels, 0))  # icons are in front
            if at >= 0:
                sizes.append(made[at + 8 : at + 10][::-1])
                made[at + 8 : at + 10] = b"\xff\xff"
        for width, order in ((2, 1), (4, -1)):  # JPEG and JPEG-LS, and JPEG 2000
            said = b"".join(each.rjust(width, b"\0") for each in sizes[::order])
            huge = b"\xff\xff".rjust(width, b"\0") * len(sizes)
            if said:
                made[pixels:] = made[pixels:].replace(said, huge)
        if made != data:
            yield bytes(made)
    size: dict[str, Any] = {"Rows": 65535, "Columns": 65535}
    yield instance(bytes(128), BitsAllocated=16, SamplesPerPixel=3, **size)


class Tally(NamedTuple):
    """What came of broken images."""

    tried: int
    pictures: int
    lost: int
    slowest: float


def try_broken(count: int, seed: int = SEED, first: int = 0) -> Tally:
    """Have pictures painted of *count* broken images from number *first*, and of bombs.

    Raises what is not documented, and OSError if nobody paints any more.
    """
    sound = seeds()
    pictures = lost = tried = 0
    slowest = 0.0
    with painters() as paint:
        for data in chain(bombs(), _broken_ones(first, count, seed, sound)):
            begun = time.monotonic()
            painted = paint.picture(data)
            slowest = max(slowest, time.monotonic() - begun)
            tried += 1
            pictures += bool(painted.picture)
            lost += painted.is_lost
    return Tally(tried, pictures, lost, slowest)


def _broken_ones(
    first: int, count: int, seed: int, sound: Sequence[bytes]
) -> Iterator[bytes]:
    return (broken(number, seed, sound) for number in range(first, first + count))


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="scripts/pictures", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("paths", metavar="FILE", nargs="*", type=Path)
    parser.add_argument("--broken", type=int, metavar="COUNT")
    parser.add_argument("--only", type=int, metavar="NUMBER")
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    if given.only is not None:
        data = broken(given.only, given.seed, seeds())
        with painters() as paint:
            say(str(paint.picture(data)._replace(picture=b"")))
    elif given.broken is not None:
        say(str(try_broken(given.broken, given.seed)))
    else:
        for line in table(given.paths or [SHIPPED]):
            say(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
