"""Media as Python objects: what a program gets, and what it never gets."""

import io
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import pydicom
import pytest

import dicomfs
from tests.build.archives import files_in, zipcrypto, zipped
from tests.build.images import make_iso
from tests.build.medium import (
    image,
    patient,
    series,
    study,
    write_medium,
)
from tests.extras import test_keyimages as keyimages
from tests.extras.test_beside import pdf
from tests.support.mounting import SAMPLES
from tests.support.servers import leave_machine, s3_server, web_server
from tests.support.trees import tree_of, walk

THORAX: Final = "Doe, Jane (12345)/2023-07-05 CT Thorax"


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a disc with two patients; one image of the first is missing."""
    root = tmp_path_factory.mktemp("disc")
    listed = [image(f"1.2.3.{n}", number=n) for n in (1, 2, 3)]
    listed[2].path = None
    lungs = series("1.2.3", listed, number=2, modality="CT", description="Lung")
    thorax = study("1.2", [lungs], date="20230705", description="CT Thorax")
    head = study("1.3", [series("1.3.1", [image("1.3.1.1")])], date="20240118")
    jane = patient("Doe^Jane", "12345", [thorax])
    write_medium(root, [jane, patient("Roe^Richard", "7", [head])])
    return root


def descriptors() -> set[str]:
    return {each.name for each in Path("/proc/self/fd").iterdir()}


def test_a_disc_has_patients_and_folders_below_them(disc: Path) -> None:
    with dicomfs.open(disc) as opened:
        jane, richard = opened.patients
        [thorax] = jane.folders
        [lungs] = thorax.folders

        assert [each.name for each in (jane, richard)] == [
            "Doe, Jane (12345)",
            "Roe, Richard (7)",
        ]
        assert [each.kind for each in (jane, thorax, lungs)] == [
            *("patient", "study", "series")
        ]
        assert lungs.path == f"{THORAX}/002 CT Lung"
        assert (thorax.uid, lungs.uid) == ("1.2", "1.2.3")


def test_the_names_are_those_of_a_mount() -> None:
    with dicomfs.open(SAMPLES) as opened, tree_of(SAMPLES) as tree:
        assert sorted(each.path for each in opened.walk()) == sorted(
            path for path, _ in walk(tree.root)
        )


def test_attributes_are_told_by_their_keywords(disc: Path) -> None:
    with dicomfs.open(disc) as opened:
        first = next(opened.files())

        told = first.attributes
        assert told["PatientName"] == "Doe^Jane"
        assert told["StudyDate"] == "20230705"
        assert told["SeriesNumber"] == 2
        assert told["SOPInstanceUID"] == first.uid == "1.2.3.1"
        assert "StudyID" not in told or told["StudyID"]
        assert "SeriesInstanceUID" not in opened.patients[0].attributes


def test_a_file_has_the_bytes_of_the_medium(disc: Path) -> None:
    with dicomfs.open(disc) as opened:
        for file in opened.files():
            if file.error:
                continue
            with file.open() as stream:
                assert stream.read() == (disc / file.source_path).read_bytes()
                assert stream.tell() == file.size


def test_a_file_can_be_read_at_any_place(disc: Path) -> None:
    with dicomfs.open(disc) as opened, next(opened.files()).open() as stream:
        whole = stream.read()

        assert stream.seek(-3, io.SEEK_END) == len(whole) - 3
        assert stream.read(10) == whole[-3:]
        assert stream.read(1) == b""
        stream.seek(128)
        assert stream.read(4) == b"DICM"
        stream.seek(1, io.SEEK_CUR)
        assert stream.tell() == 133
        stream.seek(len(whole) + 7)
        assert stream.read() == b""
        with pytest.raises(ValueError, match="before the beginning"):
            stream.seek(-1)
        stream.seek(133)
        with io.BufferedReader(stream) as buffered:
            assert buffered.read(5) == whole[133:138]


def test_pydicom_reads_a_file() -> None:
    with dicomfs.open(SAMPLES) as opened:
        for file in opened.files():
            assert pydicom.dcmread(file.open()).SOPInstanceUID == file.uid


def test_a_missing_file_says_so_and_cannot_be_opened(disc: Path) -> None:
    with dicomfs.open(disc) as opened:
        [missing] = [each for each in opened.files() if each.error]

        assert missing.name == "0003 (missing).dcm"
        with pytest.raises(FileNotFoundError):
            missing.open()


@pytest.mark.parametrize("uid", ["1.2", "1.2.3", "1.2.3.2", "1.3.1.1"])
def test_a_uid_finds_what_has_it(disc: Path, uid: str) -> None:
    with dicomfs.open(disc) as opened:
        found = opened.find(uid)

        assert found is not None
        assert found.uid == uid
        assert opened[found.path] == found


def test_what_is_not_there_is_not_found(disc: Path) -> None:
    with dicomfs.open(disc) as opened:
        assert opened.find("9.9") is None
        assert opened.find("ü") is None
        for path in ("nobody", f"{THORAX}/nobody", "Doe, Jane (12345)/..", ".dicomfs"):
            with pytest.raises(KeyError):
                opened[path]


def test_the_catalogue_has_the_rows_of_the_command(disc: Path) -> None:
    with dicomfs.open(disc) as opened:
        lungs, head = opened.catalogue()
        asked = ["PatientID", "Rows", "missing"]
        rows = [*opened.catalogue("study", asked, headers=True)]

    assert lungs["SeriesInstanceUID"] == "1.2.3"
    assert (lungs["NumberOfSeriesRelatedInstances"], lungs["missing"]) == (3, 1)
    assert (lungs["source"], head["PatientID"]) == (str(disc), "7")
    assert [list(row) for row in rows] == [asked, asked]
    assert rows[0]["Rows"] is not None


def test_a_column_or_level_that_does_not_exist_is_refused_at_once(disc: Path) -> None:
    with dicomfs.open(disc) as opened:
        with pytest.raises(dicomfs.Failure, match="PatientIdentity"):
            opened.catalogue(columns=["PatientIdentity"])
        with pytest.raises(ValueError, match="level"):
            opened.catalogue("image")


def test_findings_tell_what_is_wrong(disc: Path) -> None:
    with dicomfs.open(disc) as opened:
        list(opened.walk())

        assert dicomfs.Kind.MISSING_FILE in {each.kind for each in opened.findings}


def test_several_sources_become_one_tree(disc: Path) -> None:
    with dicomfs.open(disc, SAMPLES) as opened:
        names = [each.name for each in opened.patients]
        source = opened.find("1.2.3.1")

        assert "Doe, Jane (12345)" in names
        assert "Doe, Peter (98890234)" in names
        assert source is not None
        assert source.sources == [str(disc)]


@pytest.mark.parametrize("form", ["iso", "zip", "stream", "pathlike", "dicomdir"])
def test_every_kind_of_source_can_be_given(
    disc: Path, tmp_path: Path, form: str
) -> None:
    archive = tmp_path / "disc.zip"
    archive.write_bytes(zipped(files_in(disc)))
    sources: dict[str, str | Path | io.BytesIO] = {
        "iso": str(make_iso(disc, tmp_path / "disc.iso")),
        "zip": str(archive),
        "stream": io.BytesIO(archive.read_bytes()),
        "pathlike": disc,
        "dicomdir": str(disc / "DICOMDIR"),
    }

    with dicomfs.open(sources[form]) as opened:
        found = opened.find("1.2.3.2")
        assert isinstance(found, dicomfs.File)
        with found.open() as stream:
            assert pydicom.dcmread(stream).PatientID == "12345"


@pytest.mark.parametrize("password", ["secret", b"secret"], ids=["text", "bytes"])
def test_an_encrypted_archive_is_opened_with_its_password(
    disc: Path, tmp_path: Path, password: str | bytes
) -> None:
    archive = tmp_path / "disc.zip"
    archive.write_bytes(zipcrypto(files_in(disc), b"secret"))

    with pytest.raises(dicomfs.Failure) as failed:
        dicomfs.open(archive)
    assert failed.value.problem is dicomfs.Problem.PASSWORD_NEEDED

    with dicomfs.open(archive, passwords=["wrong", password]) as opened:
        assert len(opened.patients) == 2


def test_a_folder_without_a_dicomdir_can_be_scanned(disc: Path) -> None:
    with pytest.raises(dicomfs.Failure) as failed:
        dicomfs.open(disc / "IMAGES")
    assert failed.value.problem is dicomfs.Problem.NO_DICOMDIR

    with dicomfs.open(disc / "IMAGES", scan=True) as opened:
        assert len([*opened.files()]) == 3


def test_documents_are_listed_if_they_are_wanted(tmp_path: Path) -> None:
    doe = patient("Doe", "1", [study("1", [series("1.9", [pdf("1.9.1")])])])
    write_medium(tmp_path, [doe])

    with dicomfs.open(tmp_path, extras=True) as opened:
        [shown] = [each for each in opened.files() if each.name.endswith(".pdf")]
        assert shown.open().read().startswith(b"%PDF")
        assert (shown.uid, shown.source_path) == ("", "")


def test_a_key_image_has_the_name_of_its_folder(tmp_path: Path) -> None:
    chosen = keyimages.choices(keyimages.choice("1.2.3.3", "1.2.3.1"))
    keyimages.disc(tmp_path, keyimages.lung(), chosen)

    with dicomfs.open(tmp_path, extras=True) as opened:
        folder = opened[keyimages.FOLDER]
        assert isinstance(folder, dicomfs.Folder)
        assert [each.uid for each in folder.files] == ["1.2.3.3", "1.2.3.1"]
        for file in folder.files:
            assert file.path == f"{keyimages.FOLDER}/{file.name}"
            assert opened[file.path] == file


def test_text_is_read_in_the_character_set_that_is_given(tmp_path: Path) -> None:
    doe = patient("\u0418\u0432\u0430\u043d".encode("cp1251"), "1", [])
    write_medium(tmp_path, [doe])

    with dicomfs.open(tmp_path, charset="windows-1251") as opened:
        assert opened.patients[0].name.startswith("\u0418\u0432\u0430\u043d")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"scan": True, "index_only": True}, ValueError),
        ({"charset": "klingon"}, ValueError),
        ({"colour": "blue"}, TypeError),
    ],
)
def test_options_that_make_no_sense_are_refused(
    disc: Path, options: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        dicomfs.open(disc, **options)  # type: ignore[arg-type]


def test_nothing_can_be_opened_of_nothing() -> None:
    with pytest.raises(TypeError):
        dicomfs.open()


def test_a_disc_leaves_no_descriptor_open(disc: Path, tmp_path: Path) -> None:
    iso = make_iso(disc, tmp_path / "disc.iso")
    before = descriptors()

    for source in (disc, iso):
        with dicomfs.open(source) as opened:
            for file in opened.files():
                if not file.error:
                    with file.open() as stream:
                        stream.read()
    with pytest.raises(dicomfs.Failure):
        dicomfs.open(tmp_path)
    with pytest.raises(dicomfs.Failure):
        dicomfs.open(iso, tmp_path / "none")

    assert descriptors() == before


def test_nothing_is_read_of_a_disc_that_was_closed(disc: Path, tmp_path: Path) -> None:
    iso = make_iso(disc, tmp_path / "disc.iso")
    with dicomfs.open(iso) as opened:
        file = next(opened.files())
        stream = file.open()
    # It gets the number of the descriptor that was closed.
    with (tmp_path / "another").open("wb+") as another:
        another.write(b"another patient's" * 100_000)
        another.flush()
        with pytest.raises(ValueError, match="the disc is closed"):
            stream.read(200_000)
    stream.close()
    opened.close()


def test_whatever_is_asked_of_a_disc_that_was_closed_is_one_and_the_same_error(
    disc: Path,
) -> None:
    with dicomfs.open(disc) as opened:
        patient_ = opened.patients[0]
        file = next(opened.files())
        stream = file.open()
        walk, rows = opened.walk(), opened.catalogue("instance")
        next(walk), next(rows)

    entries: list[Callable[[], object]] = [
        partial(getattr, entry, name)
        for entry in (patient_, file)
        for name in ("uid", "sources", "modified", "mtime_ns", "attributes")
    ]
    attempts: list[Callable[[], object]] = [
        *entries,
        opened.__enter__,
        lambda: opened.patients,
        lambda: list(opened),
        lambda: list(opened.files()),
        lambda: opened[""],
        lambda: opened[file.path],
        lambda: opened.find("1.2"),
        lambda: opened.findings,
        lambda: opened.catalogue(),
        lambda: next(walk),
        lambda: next(rows),
        lambda: patient_.kind,
        lambda: patient_.folders,
        lambda: list(patient_.walk()),
        lambda: file.size,
        lambda: file.error,
        lambda: file.source_path,
        file.open,
        stream.read,
        stream.tell,
        lambda: stream.seek(0),
        lambda: stream.readinto(bytearray(4)),
    ]
    for attempt in attempts:
        with pytest.raises(ValueError, match=r"^the disc is closed$"):
            attempt()
    # Those do not ask it.
    opened.close()
    stream.close()
    assert all([repr(file), repr(patient_), file.path])


@pytest.mark.parametrize(
    ("source", "error", "says"),
    [
        (None, TypeError, "a binary file that is open, not NoneType"),
        (3, TypeError, "a binary file that is open, not int"),
        (["disc"], TypeError, "one by one: open(*sources)"),
        (("disc", "disc2"), TypeError, "one by one: open(*sources)"),
        (b"disc", TypeError, "not bytes"),
        ("", ValueError, "an empty path"),
        (io.StringIO("a text file"), TypeError, "mode 'rb'"),
    ],
)
def test_what_can_be_no_source_is_told_in_a_sentence(
    source: object, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=re.escape(says)):
        dicomfs.open(source)  # type: ignore[arg-type]


def test_a_text_file_and_a_pipe_are_no_source(tmp_path: Path) -> None:
    (tmp_path / "text").touch()
    with (tmp_path / "text").open() as file, pytest.raises(TypeError, match="'rb'"):
        dicomfs.open(file)  # type: ignore[arg-type]
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, pytest.raises(ValueError, match="any place"):
        dicomfs.open(pipe)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"passwords": "abc"}, TypeError, "passwords is a list, not str"),
        ({"passwords": b"abc"}, TypeError, "passwords is a list, not bytes"),
        ({"passwords": None}, TypeError, "passwords is a list, not NoneType"),
        ({"passwords": [7]}, TypeError, "a list of str or bytes, not of int"),
        ({"charset": None}, TypeError, "charset is text, not NoneType"),
        ({"deadline": "30"}, TypeError, "a number of seconds, not str"),
        ({"deadline": 0}, ValueError, "not more than 0 seconds"),
        ({"deadline": float("nan")}, ValueError, "not more than 0 seconds"),
    ],
)
def test_an_option_of_the_wrong_kind_is_told_in_a_sentence(
    disc: Path, options: dict[str, object], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        dicomfs.open(disc, **options)  # type: ignore[arg-type]


def test_a_question_of_the_wrong_kind_is_told_in_a_sentence(disc: Path) -> None:
    with dicomfs.open(disc) as opened:
        ask: Any = opened
        attempts: list[tuple[Callable[[], object], str]] = [
            (lambda: ask.find(None), "a UID is text, not NoneType"),
            (lambda: ask[3], "a path is text, not int"),
            (lambda: ask.patients[0][None], "a path is text, not NoneType"),
            (lambda: ask.catalogue(["study"]), "level is text, not list"),
            (lambda: ask.catalogue("study", "PatientID"), "columns is a list, not str"),
            (lambda: ask.catalogue("study", [8]), "a list of str, not of int"),
        ]
        for attempt, says in attempts:
            with pytest.raises(TypeError, match=says):
                attempt()


def test_a_path_may_begin_with_a_slash_as_those_of_fsspec(disc: Path) -> None:
    with dicomfs.open(disc) as opened:
        path = next(opened.files()).path
        assert opened[f"/{path}"] == opened[path]
        assert opened["/"] == opened.root


def test_many_threads_may_read_a_disc() -> None:
    with dicomfs.open(SAMPLES) as opened:
        expected = [each.path for each in opened.walk()]
        seen: list[list[str]] = []
        threads = [
            threading.Thread(
                target=lambda: seen.append([each.path for each in opened.walk()])
            )
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert seen == [expected] * 8


@pytest.mark.slow
def test_a_url_is_read_in_this_process(
    disc: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    leave_machine(monkeypatch, tmp_path)
    data = zipped(files_in(disc))
    with web_server({"disc.zip": data}) as server:
        with dicomfs.open(server.url("disc.zip")) as opened:
            found = opened.find("1.2.3.2")
            assert isinstance(found, dicomfs.File)
            assert pydicom.dcmread(found.open()).PatientID == "12345"
        with pytest.raises(dicomfs.Failure) as failed:
            dicomfs.open(server.url("none.zip"))
        assert failed.value.problem is dicomfs.Problem.URL_MISSING


@pytest.mark.slow
@pytest.mark.late
def test_a_folder_of_an_object_store_is_read(
    disc: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    leave_machine(monkeypatch, tmp_path)
    with s3_server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        server.make("shelf")
        server.put_folder("shelf", "disc", disc)
        with dicomfs.open("s3://shelf/disc") as opened:
            assert [each.uid for each in opened.files()][:2] == ["1.2.3.1", "1.2.3.2"]


# -- what others do not have to fear ---------------------------------------------------


def run(code: str) -> str:
    """Return what a fresh process prints for *code*."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.slow
def test_importing_dicomfs_loads_nothing_of_it() -> None:
    code = "import sys, dicomfs; print([m for m in sys.modules if 'dicomfs.' in m])"

    assert run(code) == "[]\n"


@pytest.mark.slow
def test_the_library_loads_neither_fuse_nor_pydicom_nor_fsspec(disc: Path) -> None:
    code = f"""
import sys, dicomfs
with dicomfs.open({str(disc)!r}) as disc:
    assert len(list(disc.files())) == 4
print([m for m in ("pyfuse3", "trio", "pydicom", "numpy", "fsspec", "argparse",
                   "dicomfs.mount.fuse", "dicomfs.cli.main") if m in sys.modules])
"""

    assert run(code) == "[]\n"


@pytest.mark.slow
def test_nothing_is_printed_about_a_disc_that_is_broken(tmp_path: Path) -> None:
    doe = patient("Doe", "1", [study("1", [series("1.1", [image("1.1.1")])])])
    doe.lower = 7
    write_medium(tmp_path, [doe])
    code = f"import dicomfs; print(len(list(dicomfs.open({str(tmp_path)!r}).files())))"

    assert run(code) == "1\n"


def test_only_what_is_meant_for_others_has_a_name() -> None:
    assert set(dicomfs.__all__) <= set(dir(dicomfs))
    for name in dicomfs.__all__:
        assert getattr(dicomfs, name).__doc__
    with pytest.raises(AttributeError):
        dicomfs.mount_everything  # noqa: B018 - is not there


def test_what_a_disc_is_shown_as_names_nobody(disc: Path) -> None:
    with dicomfs.open(disc) as opened:
        shown = repr([opened, *opened.walk()])

    assert "Doe" not in shown
    assert "12345" not in shown
