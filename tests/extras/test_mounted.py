"""Extras on a real mount: what people's tools read of them, byte by byte."""

import io
import mmap
import re
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.build.archives import files_in, zipped
from tests.build.images import make_iso
from tests.build.medium import image, patient, series, study, write_medium
from tests.documents.test_video import MP4
from tests.extras.test_beside import PDF, pdf, sr, video
from tests.extras.test_keyimages import choice, choices
from tests.support.mounting import Mount, Mounter, dicomfs, need, run

pytestmark = [pytest.mark.mount, pytest.mark.slow]

_STUDY: Final = "Doe, Jane (12345)/2023-07-05 CT Thorax"
_KINDS: Final = {".dcm", ".pdf", ".mp4", ".html", ".txt", ".jpg"}
_EXTRAS: Final = {
    f"{_STUDY}/002 DOC Reports/0001 PDF Report.pdf": PDF,
    f"{_STUDY}/004 XC Cine/0001.mp4": MP4,
}


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a medium with a document of each kind."""
    root = tmp_path_factory.mktemp("disc")
    slices = [image(f"1.2.3.{number}", number=number) for number in range(1, 4)]
    thorax = series("1.2.3", slices, description="Lung")
    reports = series("1.2.4", [pdf()], number=2, modality="DOC", description="Reports")
    cine = series("1.2.6", [video()], number=4, modality="XC", description="Cine")
    findings = series("1.2.5", [sr()], number=3, modality="SR", description="Findings")
    chosen = choices(choice("1.2.3.2", "1.2.3.4"))
    all_series = [thorax, reports, findings, cine, chosen]
    one = study("1.2", all_series, description="CT Thorax")
    write_medium(root, [patient("Doe^Jane", "12345", [one])])
    return root


def _zip(folder: Path, to: Path) -> Path:
    to.write_bytes(zipped(files_in(folder)))
    return to


_MEDIA: Final[Mapping[str, Callable[[Path, Path], Path]]] = {
    "folder": lambda folder, _: folder,
    "zip": _zip,
    "iso": make_iso,
}


@pytest.fixture(scope="module", params=_MEDIA)
def mounted(
    request: pytest.FixtureRequest,
    mount_once: Mounter,
    disc: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Mount:
    """Mount the medium as it is, as an archive, and as an image."""
    packed = tmp_path_factory.mktemp("packed") / f"disc.{request.param}"
    return mount_once(_MEDIA[request.param](disc, packed), "--extras")


def _cat(path: Path, _: Path) -> bytes:
    return subprocess.run(["cat", path], capture_output=True, check=True).stdout


def _copied(*command: str) -> Callable[[Path, Path], bytes]:
    def copy(path: Path, folder: Path) -> bytes:
        need(command[0])
        done = run([*command, str(path), str(folder / "copy")])
        assert done.returncode == 0, done.stderr
        return (folder / "copy").read_bytes()

    return copy


def _tar(path: Path, _: Path) -> bytes:
    command = ["tar", "-cf", "-", "-C", str(path.parent), path.name]
    made = subprocess.run(command, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(made)) as packed:
        file = packed.extractfile(path.name)
        assert file is not None
        return file.read()


def _python(path: Path, _: Path) -> bytes:
    return path.read_bytes()


def _mapped(path: Path, _: Path) -> bytes:
    how = {"flags": mmap.MAP_PRIVATE, "prot": mmap.PROT_READ}
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, **how) as all_:
        return all_[:]


_ways = pytest.mark.parametrize(
    "read",
    [_cat, _copied("cp"), _copied("rsync", "-a"), _tar, _python, _mapped],
    ids=["cat", "cp", "rsync", "tar", "python", "mmap"],
)


@_ways
def test_every_tool_reads_as_many_bytes_as_stat_says(
    mounted: Mount, read: Callable[[Path, Path], bytes], tmp_path: Path
) -> None:
    files = mounted.files()
    assert {each.suffix for each in files} == _KINDS
    for path in files:
        assert len(read(path, tmp_path)) == path.stat().st_size
    for name, data in _EXTRAS.items():
        assert read(mounted.place / name, tmp_path) == data


@_ways
@pytest.mark.parametrize("name", ["report.txt", "report.json", "catalogue.csv"])
def test_what_grows_has_the_size_that_it_had_when_it_was_opened(
    name: str, mounted: Mount, read: Callable[[Path, Path], bytes], tmp_path: Path
) -> None:
    file = mounted.place / ".dicomfs" / name
    # All folders were listed, so it grows no more; the catalogue is made when opened.
    mounted.files()
    first = file.read_bytes()

    assert len(first) == file.stat().st_size > 0
    assert read(file, tmp_path) == first


def test_a_second_rsync_moves_nothing(mounted: Mount, tmp_path: Path) -> None:
    need("rsync")
    command = ["rsync", "-a", "--itemize-changes", f"{mounted.place}/", str(tmp_path)]
    first, second = run(command), run(command)

    assert (first.returncode, second.returncode) == (0, 0)
    assert ".pdf" in first.stdout
    assert second.stdout == ""


def test_tree_prints_what_the_mount_shows(mounted: Mount, disc: Path) -> None:
    told = dicomfs("tree", "--extras", str(disc)).stdout
    shown = sorted(re.sub(r"^[ │├└─]+", "", line) for line in told.splitlines())

    assert shown == sorted(path.name for path in mounted.place.rglob("*"))


def test_mount_8_can_ask_for_extras(mount: Mounter, disc: Path) -> None:
    mounted = mount(disc, "-o", "ro,extras")

    assert [each for each in mounted.files() if each.suffix == ".pdf"]
