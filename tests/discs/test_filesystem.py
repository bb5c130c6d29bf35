"""Media as a file system of fsspec, alone and chained on others."""

import errno
import hashlib
import json
import os
import pickle
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pydicom
import pytest

import dicomfs
from dicomfs.discs.nodes import Folder, Keeper
from dicomfs.tree.node import Fixed, FolderNode, Frozen, Once
from tests.build.archives import files_in, zipped
from tests.build.medium import image, patient, series, study, write_medium
from tests.support.mounting import ROOT, SAMPLES, need_packages, run
from tests.support.servers import s3_server, web_server

pytestmark = pytest.mark.slow

need_packages("fsspec")

import fsspec  # noqa: E402 - may be missing
from fsspec.tests.abstract import AbstractFixtures  # noqa: E402
from fsspec.tests.abstract import AbstractGetTests as _Get  # noqa: E402

from dicomfs.discs.filesystem import DicomFileSystem  # noqa: E402

SERIES: Final = "/Doe, Jane (12345)/2023-07-05 CT Thorax/001 CT"


@pytest.fixture(autouse=True)
def dicom() -> Iterator[None]:
    """Have fsspec know ``dicom://``, as the entry point makes it where we are installed."""
    fsspec.register_implementation("dicom", DicomFileSystem, clobber=True)
    yield
    DicomFileSystem.clear_instance_cache()


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    """Return a disc of one series; of its three images one is missing."""
    listed = [image(f"1.2.3.{n}", number=n) for n in (1, 2, 3)]
    listed[2].path = None
    thorax = study("1.2", [series("1.2.3", listed)], description="CT Thorax")
    write_medium(tmp_path / "disc", [patient("Doe^Jane", "12345", [thorax])])
    return tmp_path / "disc"


def test_parts_of_files_are_given_counted_from_either_end(disc: Path) -> None:
    fs = fsspec.filesystem("dicom", fo=str(disc))
    path = f"{SERIES}/0001.dcm"
    whole = fs.cat_file(path)

    assert fs.cat_file(path, -4) == whole[-4:]
    assert fs.cat_file(path, 128, -1) == whole[128:-1]
    assert fs.cat_file(path, 128, 132) == b"DICM"
    assert fs.read_block(path, 128, 4) == b"DICM"
    assert fs.read_block(path, len(whole) - 4, 100) == whole[-4:]
    assert fs.head(path, 132) == whole[:132]
    assert fs.tail(path, 16) == whole[-16:]
    assert fs.cat_ranges([path, path], [128, -4], [132, len(whole)]) == [
        b"DICM",
        whole[-4:],
    ]
    assert fs.open(path).size == len(whole)


def test_paths_may_begin_with_a_slash_or_not(disc: Path) -> None:
    fs = fsspec.filesystem("dicom", fo=str(disc))

    assert fs.ls(SERIES) == fs.ls(SERIES.lstrip("/"))
    assert fs.info(fs.disc.patients[0].path) == fs.info(f"/{fs.disc.patients[0].path}")


def test_an_option_that_there_is_not_is_refused(disc: Path) -> None:
    with pytest.raises(TypeError, match="no option sacn"):
        fsspec.filesystem("dicom", fo=str(disc), sacn=True)
    fsspec.filesystem("dicom", fo=str(disc), skip_instance_cache=True)


def test_whatever_would_write_is_refused(disc: Path, tmp_path: Path) -> None:
    fs = fsspec.filesystem("dicom", fo=str(disc))
    path, other = f"{SERIES}/0001.dcm", f"{SERIES}/9.dcm"
    (tmp_path / "file").write_bytes(b"x")
    attempts: list[Callable[[], object]] = [
        lambda: fs.pipe(other, b"x"),
        lambda: fs.pipe({other: b"x"}),
        lambda: fs.pipe_file(other, b"x", mode="create"),
        lambda: fs.write_bytes(other, b"x"),
        lambda: fs.write_text(other, "x"),
        lambda: fs.put(str(tmp_path / "file"), other),
        lambda: fs.put_file(str(tmp_path / "file"), other),
        lambda: fs.touch(other),
        lambda: fs.touch(path, truncate=False),
        lambda: fs.open(path, "ab"),
        lambda: fs.open(path, "r+b"),
        lambda: fs.rm(path),
        lambda: fs.rm_file(path),
        lambda: fs.mv(path, other),
        lambda: fs.copy(path, other),
        lambda: fs.mkdir("/new"),
        lambda: fs.makedirs("/new"),
    ]
    for attempt in attempts:
        with pytest.raises(OSError, match="Read-only file system"):
            attempt()


def test_a_medium_is_listed_searched_and_told_of(disc: Path) -> None:
    fs = fsspec.filesystem("dicom", fo=str(disc))

    assert fs.ls("", detail=False) == ["/Doe, Jane (12345)"]
    assert fs.find("")[0] == f"{SERIES}/0001.dcm"
    assert fs.glob("**/0002.dcm") == [f"{SERIES}/0002.dcm"]
    assert [info["name"] for info in fs.ls(f"dicom:/{SERIES}")] == fs.find("")
    assert fs.isdir(SERIES)
    assert fs.isfile(f"{SERIES}/0001.dcm")
    assert not fs.exists(f"{SERIES}/0009.dcm")
    assert fs.du("") == sum(info["size"] for info in fs.ls(SERIES))
    assert fs.modified(SERIES).year == 2023


def test_patients_that_are_got_one_after_the_other_stay_apart(tmp_path: Path) -> None:
    fs = fsspec.filesystem("dicom", fo=SAMPLES)
    patients = fs.ls("", detail=False)
    (tmp_path / "out").mkdir()

    for name in patients:
        fs.get(name, str(tmp_path / "out"), recursive=True)

    assert {f"/{path.name}" for path in (tmp_path / "out").iterdir()} == set(patients)


def test_info_has_the_attributes(disc: Path) -> None:
    info = fsspec.filesystem("dicom", fo=disc).info(f"{SERIES}/0001.dcm")

    assert info["type"] == "file"
    assert info["uid"] == info["attributes"]["SOPInstanceUID"] == "1.2.3.1"
    assert info["attributes"]["PatientID"] == "12345"


def test_what_is_missing_is_listed_and_cannot_be_opened(disc: Path) -> None:
    fs = fsspec.filesystem("dicom", fo=disc)
    [missing] = [info for info in fs.ls(SERIES) if info["error"]]

    assert missing["name"].endswith("0003 (missing).dcm")
    with pytest.raises(FileNotFoundError):
        fs.open(missing["name"])
    with pytest.raises(FileNotFoundError):
        fs.ls("nobody")
    with pytest.raises(IsADirectoryError):
        fs.open(SERIES)


def test_nothing_can_be_changed(disc: Path) -> None:
    fs = fsspec.filesystem("dicom", fo=disc)
    changes: list[Callable[[], object]] = [
        lambda: fs.open("new", "wb"),
        lambda: fs.mkdir("new"),
        lambda: fs.makedirs("new"),
        lambda: fs.rmdir(SERIES),
        lambda: fs.rm(f"{SERIES}/0001.dcm"),
        lambda: fs.touch("new"),
        lambda: fs.pipe_file("new", b""),
        lambda: fs.cp_file(f"{SERIES}/0001.dcm", "new"),
    ]

    for change in changes:
        with pytest.raises(OSError) as refused:  # noqa: PT011 - which one is seen below
            change()
        assert refused.value.errno == errno.EROFS


def test_it_has_to_be_said_which_medium() -> None:
    with pytest.raises(ValueError, match="fo="):
        fsspec.filesystem("dicom")


def test_another_process_opens_the_medium_itself(disc: Path) -> None:
    fs = fsspec.filesystem("dicom", fo=str(disc))

    again = pickle.loads(pickle.dumps(fs))

    assert again.find("") == fs.find("")


def test_options_are_those_of_the_library(disc: Path) -> None:
    (disc / "DICOMDIR").unlink()
    with pytest.raises(dicomfs.Failure):
        fsspec.filesystem("dicom", fo=str(disc))

    assert len(fsspec.filesystem("dicom", fo=str(disc), scan=True).find("")) == 2


# -- chained ---------------------------------------------------------------------------


def read(url: str, **options: Any) -> str:
    """Return the UID of the instance at *url*, by pydicom."""
    with fsspec.open(url, **options) as file:
        return str(pydicom.dcmread(file).SOPInstanceUID)


_READ: Final = """
import json, sys, fsspec, pydicom
from dicomfs.discs.filesystem import DicomFileSystem
fsspec.register_implementation("dicom", DicomFileSystem, clobber=True)
with fsspec.open(sys.argv[1], **json.loads(sys.argv[2])) as file:
    print(pydicom.dcmread(file).SOPInstanceUID)
"""


def read_apart(url: str, **options: Any) -> str:
    """Do the same in a process of its own: other tests load what speaks HTTP anew."""
    command = [sys.executable, "-P", "-c", _READ, url, json.dumps(options)]
    done = run(command)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("form", ["folder", "image"])
def test_it_can_be_chained_on_this_machine(
    disc: Path, tmp_path: Path, form: str
) -> None:
    archive = tmp_path / "disc.zip"
    archive.write_bytes(zipped(files_in(disc)))
    medium = disc if form == "folder" else archive

    assert read(f"dicom:/{SERIES}/0002.dcm::file://{medium}") == "1.2.3.2"


@pytest.mark.parametrize("form", ["folder", "image"])
def test_it_can_be_chained_on_a_zip_archive(
    disc: Path, tmp_path: Path, form: str
) -> None:
    inner = {"disc.zip": zipped(files_in(disc))}
    if form == "folder":
        inner = {f"disc/{name}": data for name, data in files_in(disc).items()}
    shelf = tmp_path / "shelf.zip"
    shelf.write_bytes(zipped(inner))
    name = "disc" if form == "folder" else "disc.zip"

    url = f"dicom:/{SERIES}/0002.dcm::zip://{name}::file://{shelf}"
    assert read(url) == "1.2.3.2"


def test_it_can_be_chained_on_a_web_server(disc: Path) -> None:
    with web_server({"disc.zip": zipped(files_in(disc))}) as server:
        url = f"dicom:/{SERIES}/0002.dcm::{server.url('disc.zip')}"
        assert read_apart(url) == "1.2.3.2"


@pytest.mark.late
def test_it_can_be_chained_on_an_object_store(disc: Path) -> None:
    with s3_server() as server:
        server.make("shelf")
        server.put("shelf", "disc.zip", zipped(files_in(disc)))
        server.put_folder("shelf", "disc", disc)
        told = server.environment
        s3 = {
            "key": told["AWS_ACCESS_KEY_ID"],
            "secret": told["AWS_SECRET_ACCESS_KEY"],
            "endpoint_url": told["AWS_ENDPOINT_URL"],
        }
        for name in ("disc.zip", "disc"):
            url = f"dicom:/{SERIES}/0002.dcm::s3://shelf/{name}"
            assert read_apart(url, s3=s3) == "1.2.3.2"


# -- programs --------------------------------------------------------------------------


def test_pydicom_reads_every_file_of_it() -> None:
    fs = fsspec.filesystem("dicom", fo=SAMPLES)

    for name in fs.find(""):
        with fs.open(name) as file:
            assert pydicom.dcmread(file).SOPInstanceUID == fs.info(name)["uid"]


def test_pandas_reads_a_document_of_it(tmp_path: Path) -> None:
    pandas: Any = import_module("pandas")
    rows = pandas.DataFrame(fsspec.filesystem("dicom", fo=SAMPLES).ls(""))
    assert set(rows["kind"]) == {"patient"}

    fs = fsspec.filesystem("dicom", fo=SAMPLES, extras=True)
    fs.get("README.txt", str(tmp_path / "README.txt"))
    url = f"dicom://README.txt::file://{SAMPLES}"
    table = pandas.read_csv(
        url, sep="\0", header=None, storage_options={"extras": True}
    )
    first = (tmp_path / "README.txt").read_text("utf-8").splitlines()[0]
    assert table.iloc[0, 0] == first


def test_dask_reads_its_files(disc: Path) -> None:
    need_packages("dask")
    read_bytes: Any = import_module("dask.bytes").read_bytes

    url = f"dicom:/{SERIES}/*[12].dcm::file://{disc}"
    _, blocks = read_bytes(url, blocksize=None, sample=False)
    data = [block.compute(scheduler="threads") for [block] in blocks]

    listed = sorted((disc / "IMAGES").iterdir())
    assert sorted(data) == sorted(path.read_bytes() for path in listed)


def test_the_entry_point_leads_to_it() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    place = settings["project"]["entry-points"]["fsspec.specs"]["dicom"]
    module, _, name = place.partition(":")

    assert getattr(import_module(module), name) is DicomFileSystem
    assert "fsspec" in settings["project"]["optional-dependencies"]


# -- fsspec's own tests of getting files, with a medium as their source -----------------


class NodesFileSystem(DicomFileSystem):
    """A tree of nodes with the names that fsspec's tests ask for."""

    cachable = False

    def __init__(self, content: dict[str, Any]) -> None:
        fsspec.AbstractFileSystem.__init__(self)
        self._content = content

    @property
    def disc(self) -> Folder:  # type: ignore[override]
        """The tree, of what is in it by now."""
        return Folder(folder(None, "", self._content), Keeper())

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:  # type: ignore[override]
        """Do nothing: it is there."""

    def touch(self, path: str, truncate: bool = True, **_: Any) -> None:
        """Do nothing: it is there."""


def folder(above: FolderNode | None, name: str, content: dict[str, Any]) -> Fixed:
    """Return a folder in which the folders and the bytes of *content* are."""
    made = Fixed(1, name, above, 0)
    for below, what in content.items():
        made.entries[below] = (
            folder(made, below, what)
            if isinstance(what, dict)
            else Frozen(1, below, made, 0, len(what), Once(partial(bytes, what)))
        )
    return made


NESTED: Final = {"subfile1": b"", "subfile2": b"", "nesteddir": {"nestedfile": b""}}


class TestGet(_Get, AbstractFixtures):  # type: ignore[misc]
    """Files and folders are got from a medium as from any other file system."""

    @pytest.fixture
    def content(self) -> dict[str, Any]:
        """Return what is in the folder ``source``."""
        return {"file1": b"", "file2": b"", "subdir": NESTED}

    @pytest.fixture
    def fs(self, content: dict[str, Any]) -> NodesFileSystem:
        """Return the file system of the source."""
        return NodesFileSystem({"source": content, "src": {"file": b""}})

    @pytest.fixture
    def fs_path(self) -> str:
        """Return the folder in which the sources are."""
        return ""

    @pytest.fixture
    def fs_bulk_operations_scenario_0(self, content: dict[str, Any]) -> str:
        """Have what most tests copy."""
        assert content
        return "source"

    @pytest.fixture
    def fs_glob_edge_cases_files(self, content: dict[str, Any]) -> str:
        """Have files for patterns."""
        del content["subdir"]
        content |= {"subdir0": NESTED, "subdir1": NESTED}
        return "source"

    @pytest.fixture
    def fs_dir_and_file_with_same_name_prefix(self, content: dict[str, Any]) -> str:
        """Have a folder and a file whose names begin alike."""
        content.clear()
        content |= {"subdir.txt": b"", "subdir": {"subfile.txt": b""}}
        return "source"

    @pytest.fixture
    def fs_10_files_with_hashed_names(self, content: dict[str, Any]) -> str:
        """Have files whose order is not that of their names."""
        content.clear()
        for number in range(10):
            name = hashlib.md5(str(number).encode()).hexdigest()
            content[f"{name}.txt"] = str(number).encode()
        return "source"

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        """Return what joins names."""
        return lambda *names: os.path.join(*names)  # noqa: PTH118 - of no file here
