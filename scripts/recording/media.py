"""Media of all kinds, made of what the tests make theirs of."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from scripts.recording import medium
from scripts.recording.entries import RecordingError
from scripts.recording.medium import Medium
from tests.build import udf
from tests.build.archives import METHODS, Part, archive, files_in, zipcrypto, zipped
from tests.build.breakage import CASES
from tests.build.images import (
    ISO_FLAVOURS,
    SECTOR,
    add_session,
    make_iso,
    start_sessions,
    to_sectors,
    without_iso9660,
)
from tests.support.mounting import SAMPLES, need
from tests.support.mounting import run as run_tool

_PASSWORD: Final = "open sesame"
_SOUND: Final = "broken/sound"
_SHIFTED: Final = "broken/shifted-22-too-small"
_UNLOCKED: Final = ("--password-file", "password")
# No folder is recorded in a sector before this one, but all descriptors are.
_FIRST_FOLDER: Final = 20
_OWNED: Final = ("--uid", "1000", "--gid", "1000", "--umask", "022")

# What is mounted too, and with which options.
_MOUNTED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "sample": (),
        "sample, index only": _OWNED,
        "scan": ("--scan",),
        _SOUND: ("--scan",),
        _SHIFTED: (),
        "broken/all-links-random": (),
        "broken/all-files-of-a-series-missing": (),
        "broken/character-set-wrong": (),
        "broken/2000-images-in-a-series": (),
        "broken/dicomdir-is-empty": (),
        "images/plain.iso": (),
        "images/Joliet.iso": (),
        "images/UDF-bridge.iso": (),
        "images/udf-metadata.img": (),
        "images/sectors-mode-2.bin": (),
        "archives/deflated.zip": (),
        "archives/wrong-crc.zip": (),
        "archives/image-in-it.zip": (),
        "archives/locked.zip, unlocked": (),
        "archives/aes.zip, unlocked": (),
        "folder and image": (),
        "three of a kind": (),
        "one of two is missing": (),
    }
)


def make(folder: Path) -> list[Medium]:
    """Make all media in *folder*, which must be empty; raises RecordingError."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise RecordingError(f"{folder} is not empty")
    for name in ("images", "archives", "empty"):
        (folder / name).mkdir()
    found = [
        *_samples(folder),
        *_broken(folder),
        *_images(folder),
        *_archives(folder),
        *_useless(folder),
        *_several(),
    ]
    names = {each.name for each in found}
    assert names.issuperset(_MOUNTED), set(_MOUNTED) - names
    medium.save(found, folder)
    return found


def _given(name: str, *arguments: str) -> Medium:
    """Return the medium in the file or folder *name*, if there are no *arguments*."""
    return Medium(name, arguments or (name,), _MOUNTED.get(name))


def _samples(folder: Path) -> Iterator[Medium]:
    shutil.copytree(SAMPLES, folder / "sample")
    yield _given("sample")
    yield _given("sample, index only", "--index-only", "sample")
    for path in sorted((folder / "sample").glob("DICOMDIR*")):
        yield _given(f"sample/{path.name}")
    without = shutil.ignore_patterns("DICOMDIR*")
    shutil.copytree(SAMPLES, folder / "scan", ignore=without)
    (folder / "scan/empty").mkdir()
    yield _given("scan")


def _broken(folder: Path) -> Iterator[Medium]:
    for case in CASES.values():
        root = folder / "broken" / case.name
        root.mkdir(parents=True)
        case.write(root)
        yield _given(f"broken/{case.name}")


def _images(folder: Path) -> Iterator[Medium]:
    sound, images = folder / _SOUND, folder / "images"
    for flavour, write in ISO_FLAVOURS.items():
        made = write(sound, images / f"{flavour.replace(' ', '-')}.iso")
        yield _given(f"images/{made.name}")
    write_bridge = ISO_FLAVOURS["UDF bridge"]
    without_iso9660(write_bridge(sound, images / "UDF-alone.iso"))
    yield _given("images/UDF-alone.iso")
    for kind in (udf.PLAIN, udf.VIRTUAL, udf.SPARED, udf.METADATA):
        made = images / f"udf-{kind}.img"
        made.write_bytes(udf.Image(_tree(sound), udf.Form(kind=kind)).data)
        yield _given(f"images/{made.name}")
    plain = images / "plain.iso"
    for mode in (1, 2):
        made = to_sectors(plain, images / f"sectors-mode-{mode}.bin", mode)
        yield _given(f"images/{made.name}")
    sessions = start_sessions(sound, images / "sessions.iso")
    add_session(sessions, folder / "sample")
    yield _given("images/sessions.iso")
    make_iso(folder / _SHIFTED, images / "shifted.iso")
    yield _given("images/shifted.iso")
    data = plain.read_bytes()
    half = len(data) // 2 // SECTOR * SECTOR
    for name, damaged in (
        ("cut-off", data[:half]),
        ("cut-off-early", data[: _FIRST_FOLDER * SECTOR]),
        ("without-descriptors", bytes(half) + data[half:]),
    ):
        (images / f"{name}.iso").write_bytes(damaged)
        yield _given(f"images/{name}.iso")


def _tree(folder: Path) -> udf.Tree:
    return {
        path.name: _tree(path) if path.is_dir() else path.read_bytes()
        for path in sorted(folder.iterdir())
    }


def _archives(folder: Path) -> Iterator[Medium]:
    password = _PASSWORD.encode()
    (folder / "password").write_bytes(b"wrong\n" + password + b"\n")
    (folder / "wrong").write_bytes(b"wrong\n")
    for name, data in _contents(folder):
        (folder / "archives" / name).write_bytes(data)
        yield _given(f"archives/{name}")
    files = files_in(folder / _SOUND)
    (folder / "archives/locked.zip").write_bytes(zipcrypto(files, password))
    _write_aes(folder / _SOUND, folder / "archives/aes.zip")
    for name in ("archives/locked.zip", "archives/aes.zip"):
        yield _given(name)
        yield _given(f"{name}, unlocked", *_UNLOCKED, name)
    make_iso(folder / "archives", folder / "images/archives-in-it.iso")
    yield _given("images/archives-in-it.iso")


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes of archives without passwords."""
    files = files_in(folder / _SOUND)
    for name, method in zip(
        ("stored", "deflated", "bzip2", "lzma"), METHODS, strict=True
    ):
        yield f"{name}.zip", zipped(files, method)
    yield "streamed.zip", zipped(files, is_streamed=True)
    wrapped = files_in(folder / _SOUND, "portal/disc/")
    yield "wrapped.zip", zipped(wrapped)
    yield "two-discs.zip", zipped(wrapped | files_in(folder / _SHIFTED, "other/"))
    image = (folder / "images/plain.iso").read_bytes()
    yield "image-in-it.zip", zipped({"disc.iso": image})
    yield "archive-in-it.zip", zipped({"disc.zip": zipped(files)})
    whole = zipped(files)
    yield "cut-off.zip", whole[: len(whole) // 2]
    yield "wrong-crc.zip", archive(_with_one_wrong(files))
    evil = [Part(name, b"evil") for name in (b"../A", b"/etc/A", b"C:A", b"A\0")]
    yield "evil-names.zip", archive([*evil, *_parts(files)])


def _parts(files: Mapping[str, bytes]) -> list[Part]:
    return [Part(name.encode(), data) for name, data in files.items()]


def _with_one_wrong(files: Mapping[str, bytes]) -> list[Part]:
    *others, last = _parts(files)
    lie = {"crc": 0x12345678}
    return [*others, Part(last.name, last.data, local=lie, central=lie)]


def _write_aes(folder: Path, to: Path) -> None:
    need("7z")
    options = ("-tzip", "-mem=AES256", f"-p{_PASSWORD}", "-bd")
    done = run_tool(["7z", "a", *options, str(to), f"{folder}/."])
    assert done.returncode == 0, done.stdout


def _useless(folder: Path) -> Iterator[Medium]:
    (folder / "text.txt").write_text("no medium\n" * 400, encoding="ascii")
    (folder / "empty.iso").touch()
    for name in ("text.txt", "empty.iso", "empty", "nowhere"):
        yield _given(name)


def _several() -> Iterator[Medium]:
    image, packed = "images/plain.iso", "archives/deflated.zip"
    yield _given("sample and another", "sample", _SOUND)
    yield _given("twice the same", "sample", "sample")
    yield _given("folder and image", "sample", image)
    yield _given("three of a kind", _SOUND, image, packed)
    yield _given("sound and shifted", _SOUND, _SHIFTED)
    yield _given("damaged first", "images/cut-off.iso", "sample")
    yield _given("one of two is missing", "sample", "nowhere")
    yield _given("one of two is useless", "sample", "text.txt")
    yield _given("one of two is locked", "archives/locked.zip", "sample")
    yield _given("all are useless", "text.txt", "empty", "broken/dicomdir-is-text")
    yield _given("scanned and listed", "scan", "sample/DICOMDIR")
