"""What people's own tools find on a mount: what arrives, not how they end.

The commands are those of a Debian system. One medium, of two patients, is mounted once
for all clients, and once more by somebody who is not root.
"""

import hashlib
import json
import re
import shutil
import socket
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pydicom
import pytest
from pydicom import Dataset

from tests.build.medium import Raw, Record, image, leaf, patient, series, study
from tests.build.medium import write_medium as write
from tests.extras.test_beside import pdf, sr
from tests.extras.test_keyimages import choice, choices, lung
from tests.support import mounting
from tests.support.mounting import Finished, Mount, Mounter, User, need, run, until

pytestmark = pytest.mark.mount

_ROOT: Final = "1.2.826.0.1.3680043.8.498"
_THORAX: Final = "Doe, Jane Q (12345)/2023-07-05 CT Thorax"
_SKULL: Final = "Müller, Jürgen (77)/2019-01-02 CT Schädel"

# The files of the tree, and where they lie on the medium.
TREE: Final = {
    **{f"{_THORAX}/003 CT Lung 1.0/{n:04}.dcm": f"DICOM/S3/I{n}" for n in range(1, 7)},
    **{f"{_THORAX}/005 CT Bone 2.0/{n:04}.dcm": f"DICOM/S5/I{n}" for n in range(1, 4)},
    f"{_THORAX}/009 SR/0001 SR.dcm": "DICOM/S9/I1",
    **{f"{_SKULL}/007 CT Kopf/{n:04}.dcm": f"DICOM/S7/I{n}" for n in range(1, 6)},
}
STUDIES: Final = {_THORAX: "2023-07-05", _SKULL: "2019-01-02"}
FOLDERS: Final = {
    str(folder) for path in TREE for folder in Path(path).parents if folder.name
}
# Rows and columns of a series' slices; those of the first are larger than one read.
_SIDES: Final = {3: 320, 5: 64, 7: 64}
_SLICES: Final = {3: 6, 5: 3, 7: 5}


# -- the medium, and who uses it -------------------------------------------------------


@dataclass(frozen=True)
class Medium:
    """A medium in a folder, and what its tree must be: bytes by path."""

    root: Path
    files: dict[str, bytes]


def _voxels(number: int, position: int) -> list[int]:
    """Return the pixels of one slice."""
    return [
        (number * place + position * 31) % 4096 for place in range(_SIDES[number] ** 2)
    ]


def _slice(number: int, position: int) -> Record:
    """Return an image of a CT series that has all that makes it part of a volume."""
    side, voxels = _SIDES[number], _voxels(number, position)
    return image(
        f"{_ROOT}.{number}.{position}",
        number=position,
        file=f"DICOM/S{number}/I{position}",
        header={
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "FrameOfReferenceUID": f"{_ROOT}.{number}.0",
            "ImagePositionPatient": ["-16", "-16", str(position * 2)],
            "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
            "PixelSpacing": ["1", "1"],
            "SliceThickness": "2",
            "Rows": side,
            "Columns": side,
            "BitsAllocated": 16,
            "BitsStored": 12,
            "HighBit": 11,
            "RescaleIntercept": "0",
            "RescaleSlope": "1",
            "PixelData": Raw("OW", struct.pack(f"<{len(voxels)}H", *voxels)),
        },
    )


def _ct(number: int, description: str) -> Record:
    """Return a CT series whose description only its instances have."""
    slices = [_slice(number, place) for place in range(1, _SLICES[number] + 1)]
    return series(
        f"{_ROOT}.{number}", slices, number=number, header_description=description
    )


def _medium() -> list[Record]:
    """Return a medium of two patients, with three CT series and a report."""
    report = leaf("SR DOCUMENT", f"{_ROOT}.9.1", number=1, file="DICOM/S9/I1")
    reports = series(f"{_ROOT}.9", [report], number=9, modality="SR")
    thorax = [_ct(3, "Lung 1.0"), _ct(5, "Bone 2.0"), reports]
    skull = [_ct(7, "Kopf")]
    latin = "ISO_IR 100"
    return [
        patient(
            "Doe^Jane^Q",
            "12345",
            [study(f"{_ROOT}.1", thorax, date="20230705", description="CT Thorax")],
        ),
        patient(
            "Müller^Jürgen",
            "77",
            [
                study(
                    f"{_ROOT}.2",
                    skull,
                    date="20190102",
                    description="CT Schädel",
                    SpecificCharacterSet=latin,
                )
            ],
            SpecificCharacterSet=latin,
        ),
    ]


@pytest.fixture(scope="module")
def someone() -> Iterator[User]:
    """Return somebody who is not root, with a folder of their own."""
    folder = Path(tempfile.mkdtemp(prefix="dicomfs-test-"))
    folder.chmod(0o755)
    user = mounting.ordinary_user(folder)
    yield User(user.uid, user.gid, user.owns(folder))
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def medium(someone: User) -> Medium:
    """Return the medium that all clients look at."""
    root = someone.home / "medium"
    write(root, _medium())
    return Medium(root, {name: (root / on).read_bytes() for name, on in TREE.items()})


@pytest.fixture(scope="module")
def mounted(mount_once: Mounter, medium: Medium) -> Mount:
    """Return the medium, mounted by us."""
    return mount_once(medium.root)


@pytest.fixture(scope="module")
def their_mount(someone: User, medium: Medium) -> Iterator[Mount]:
    """Return the medium, mounted by somebody who is not root."""
    with mounting.mounter(someone.home) as made:
        yield made(medium.root, user=someone)


@pytest.fixture
def workplace(someone: User) -> Iterator[Path]:
    """Return an empty folder of somebody who is not root."""
    folder = Path(tempfile.mkdtemp(dir=someone.home))
    yield someone.owns(folder)
    shutil.rmtree(folder)


def use(*command: str | Path, cwd: Path | None = None) -> Finished:
    """Run a client, which must not complain."""
    need(str(command[0]))
    done = run([str(each) for each in command], cwd=cwd, env=_ENVIRONMENT)
    assert (done.returncode, done.stderr) == (0, "")
    return done


def use_as(user: User, *command: str | Path) -> Finished:
    """Run a client as *user*."""
    need(str(command[0]))
    done = run(user.command([str(each) for each in command]), env=_ENVIRONMENT)
    assert (done.returncode, done.stderr) == (0, "")
    return done


# TCP_NODELAY is DCMTK's: without it, each instance sent takes a twentieth of a second.
_ENVIRONMENT: Final = {"LC_ALL": "C.UTF-8", "TCP_NODELAY": "1"}


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files below *folder*, by path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def sums(medium: Medium) -> dict[str, str]:
    """Return the checksums that the files of the tree must have."""
    return {
        name: hashlib.sha256(data).hexdigest() for name, data in medium.files.items()
    }


# -- looking ---------------------------------------------------------------------------


def test_find_finds_each_file_and_folder(mounted: Mount) -> None:
    files = use("find", ".", "-type", "f", "-printf", "%P\n", cwd=mounted.place)
    folders = use("find", ".", "-type", "d", "-printf", "%P\n", cwd=mounted.place)

    assert sorted(files.stdout.splitlines()) == sorted(TREE)
    assert set(folders.stdout.splitlines()) - {""} == FOLDERS


def test_find_that_asks_for_attributes_finds_the_same(mounted: Mount) -> None:
    attributes = ["-links", "+0", "-size", "-9999999c"]
    found = use("find", ".", *attributes, "-printf", "%P\n", cwd=mounted.place)

    assert set(found.stdout.splitlines()) - {""} == FOLDERS | set(TREE)


def test_find_finds_a_study_by_its_date(mounted: Mount) -> None:
    studies = ["find", ".", "-mindepth", "2", "-maxdepth", "2"]
    newer = use(*studies, "-newermt", "2023-07-05", cwd=mounted.place)
    older = use(*studies, "!", "-newermt", "2023-07-05", cwd=mounted.place)

    assert newer.stdout.splitlines() == [f"./{_THORAX}"]
    assert older.stdout.splitlines() == [f"./{_SKULL}"]


def test_ls_shows_sizes_modes_and_owner_of_everything(
    mounted: Mount, medium: Medium
) -> None:
    shown = use("ls", "-lRn", "--time-style=+%Y-%m-%d", cwd=mounted.place).stdout

    owner = mounted.place.stat()
    folder = ""
    found: dict[str, tuple[str, int, int, int]] = {}
    for line in shown.splitlines():
        if line.startswith("./") and line.endswith(":"):
            folder = line[2:-1] + "/"
        elif line.startswith("-"):
            mode, _, uid, gid, size, _, name = line.split(maxsplit=6)
            found[folder + name] = (mode, int(uid), int(gid), int(size))
    assert found == {
        name: ("-rw-------", owner.st_uid, owner.st_gid, len(data))
        for name, data in medium.files.items()
    }


def test_ls_shows_studies_and_series_with_the_date_of_the_study(mounted: Mount) -> None:
    for name, date in STUDIES.items():
        shown = use("ls", "-la", "--time-style=+%Y-%m-%d", mounted.place / name).stdout

        own = [line.split(maxsplit=6) for line in shown.splitlines()[1:]]
        dates = {name: day for *_, day, name in own if name != ".."}
        assert set(dates.values()) == {date}
        assert len(dates) > 1


# -- copying, as somebody who is not root ----------------------------------------------


@pytest.mark.parametrize("how", ["-r", "-a"])
def test_a_copy_is_whole_and_its_owner_can_delete_it(
    how: str, their_mount: Mount, someone: User, medium: Medium, workplace: Path
) -> None:
    copy = workplace / "copy"
    use_as(someone, "cp", how, their_mount.place, copy)
    copied = contents(copy)
    use_as(someone, "rm", "-r", copy)

    assert copied == medium.files
    assert not copy.exists()


def test_a_copy_that_keeps_times_has_the_dates_of_the_studies(
    their_mount: Mount, someone: User, workplace: Path
) -> None:
    copy = workplace / "copy"
    use_as(someone, "cp", "-a", their_mount.place, copy)

    shown = use("date", "+%F", "-r", copy / _THORAX).stdout
    assert shown.strip() == STUDIES[_THORAX]


def test_rsync_has_nothing_to_do_the_second_time(
    their_mount: Mount, someone: User, medium: Medium, workplace: Path
) -> None:
    rsync = ["rsync", "-a", "--itemize-changes"]
    source, target = f"{their_mount.place}/", f"{workplace}/copy/"
    first = use_as(someone, *rsync, source, target)
    second = use_as(someone, *rsync, source, target)
    third = use_as(someone, *rsync, "--checksum", source, target)

    assert contents(workplace / "copy") == medium.files
    assert first.stdout.count(">f+++++++++") == len(TREE)
    assert second.stdout == ""
    assert third.stdout == ""


def test_rsync_has_nothing_to_do_from_another_mount_of_the_same_medium(
    mounted: Mount, mount: Mounter, medium: Medium, tmp_path: Path
) -> None:
    rsync = ["rsync", "-a", "--itemize-changes"]
    use(*rsync, f"{mounted.place}/", f"{tmp_path}/copy/")
    other = mount(medium.root)
    again = use(*rsync, f"{other.place}/", f"{tmp_path}/copy/")

    assert contents(tmp_path / "copy") == medium.files
    assert again.stdout == ""


def test_tar_takes_everything_and_finds_no_difference(
    their_mount: Mount, someone: User, medium: Medium, workplace: Path
) -> None:
    archive = workplace / "archive.tar"
    use_as(someone, "tar", "-C", their_mount.place, "-cf", archive, ".")
    difference = use_as(someone, "tar", "-C", their_mount.place, "-df", archive)
    (workplace / "out").mkdir()
    someone.owns(workplace / "out")
    use_as(someone, "tar", "-C", workplace / "out", "-xf", archive)

    assert difference.stdout == ""
    assert contents(workplace / "out") == medium.files


# -- reading ---------------------------------------------------------------------------


def test_the_checksum_of_each_file_is_that_of_the_medium(
    mounted: Mount, medium: Medium
) -> None:
    done = use("sha256sum", "--", *TREE, cwd=mounted.place)

    assert _said_sums(done.stdout) == sums(medium)


def _said_sums(said: str) -> dict[str, str]:
    """Return what sha256sum says, by path."""
    lines = (line.split("  ", 1) for line in said.splitlines())
    return {name: digest for digest, name in lines}


def test_sixteen_readers_at_once_read_the_same(
    mount: Mounter, medium: Medium, tmp_path: Path
) -> None:
    need("sha256sum")
    fresh = mount(medium.root)  # nothing is in the kernel's cache yet
    command = ["sha256sum", "--", *TREE]
    outputs = [tmp_path / str(number) for number in range(16)]
    readers = []
    for output in outputs:
        with output.open("w") as stdout:
            readers.append(subprocess.Popen(command, cwd=fresh.place, stdout=stdout))
    codes = [reader.wait(mounting.PATIENCE) for reader in readers]

    assert codes == [0] * 16
    for output in outputs:
        assert _said_sums(output.read_text()) == sums(medium)


def test_diff_finds_no_difference(
    mounted: Mount, medium: Medium, tmp_path: Path
) -> None:
    for name, data in medium.files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    assert use("diff", "-r", tmp_path, mounted.place).stdout == ""


def test_grep_finds_the_mark_of_dicom_in_each_file(mounted: Mount) -> None:
    found = use("grep", "-rlaF", "DICM", ".", cwd=mounted.place).stdout

    assert {line[2:] for line in found.splitlines()} == set(TREE)


_PLACES: Final = {
    "across the mark of DICOM": (100, 64),
    "across a page": (4090, 12),
    "across 128 KiB": (131_066, 12),
    "the last bytes": (-10, 10),
}


@pytest.mark.parametrize(("offset", "size"), _PLACES.values(), ids=_PLACES)
@pytest.mark.parametrize("how", ["read", "mapped"])
def test_any_range_of_a_file_is_what_the_medium_has(
    how: str, offset: int, size: int, mounted: Mount, medium: Medium
) -> None:
    name = f"{_THORAX}/003 CT Lung 1.0/0004.dcm"
    data = medium.files[name]
    offset %= len(data)
    commands = {
        "read": [f"pread -v {offset} {size}"],
        "mapped": [f"mmap -r 0 {len(data)}", f"mread -v {offset} {size}"],
    }[how]
    options = [part for command in commands for part in ("-c", command)]
    done = use("xfs_io", "-r", *options, mounted.place / name)

    assert _dumped(done.stdout) == data[offset : offset + size]


def _dumped(dump: str) -> bytes:
    """Return the bytes of a dump of xfs_io."""
    lines = re.findall(r"^[0-9a-f]{8}:  ((?:[0-9a-f]{2} )+)", dump, re.MULTILINE)
    return bytes.fromhex("".join(lines))


def test_a_read_across_the_end_ends_there(mounted: Mount, medium: Medium) -> None:
    name, data = next(iter(medium.files.items()))
    end = len(data)
    done = use(
        "xfs_io",
        "-r",
        "-c",
        f"pread {end - 10} 4096",
        "-c",
        f"pread {end} 4096",
        mounted.place / name,
    )

    assert f"read 10/4096 bytes at offset {end - 10}" in done.stdout
    assert f"read 0/4096 bytes at offset {end}" in done.stdout


_BLOCK: Final = 4096
_BLOCKS: Final = 512


@pytest.fixture(scope="module")
def patterned(mount_once: Mounter, someone: User) -> Path:
    """Return a mounted file in which each block consists of its own offset."""
    pattern = b"".join(
        struct.pack("<Q", block * _BLOCK) * (_BLOCK // 8) for block in range(_BLOCKS)
    )
    one = image(f"{_ROOT}.8.1", number=1, file="PATTERN", content=pattern)
    in_series = series(f"{_ROOT}.8", [one], number=8, description="Pattern")
    root = someone.home / "patterned"
    write(root, [patient("Doe^Jane", "8", [study(f"{_ROOT}.80", [in_series])])])
    [file] = mount_once(root).files()
    return file


@pytest.mark.parametrize("direct", [0, 1], ids=["cached", "direct"])
@pytest.mark.parametrize(
    ("engine", "depth"),
    [("psync", 1), ("pvsync2", 1), ("mmap", 1), ("libaio", 8), ("posixaio", 8)],
)
def test_random_reads_by_four_jobs_at_once_read_what_is_there(
    engine: str, depth: int, direct: int, patterned: Path
) -> None:
    done = use(
        "fio",
        "--readonly",
        "--name=reads",
        f"--filename={patterned}",
        "--rw=randread",
        f"--bs={_BLOCK}",
        f"--size={_BLOCK * _BLOCKS}",
        "--verify=pattern",
        "--verify_pattern=%o",
        f"--ioengine={engine}",
        f"--direct={direct}",
        "--invalidate=0",
        "--numjobs=4",
        f"--iodepth={depth}",
        "--output-format=json",
    )

    jobs = json.loads(done.stdout)["jobs"]
    assert [job["error"] for job in jobs] == [0] * 4
    assert [job["read"]["total_ios"] for job in jobs] == [_BLOCKS] * 4
    assert [job["read"]["short_ios"] for job in jobs] == [0] * 4


# -- DICOM clients ---------------------------------------------------------------------


def test_pydicom_reads_each_file_as_it_is_on_the_medium(
    mounted: Mount, medium: Medium
) -> None:
    for name, on_medium in TREE.items():
        read = pydicom.dcmread(mounted.place / name)
        expected = pydicom.dcmread(medium.root / on_medium)

        assert read.file_meta == expected.file_meta
        assert read == expected


def test_dcmdump_says_the_name_of_the_patient_of_each_file(mounted: Mount) -> None:
    command = ["dcmdump", "+U8", "+sd", "+r", "+P", "PatientName"]
    done = use(*command, ".", cwd=mounted.place)

    names = re.findall(r"PN \[(.*?)\]", done.stdout)
    assert sorted(names) == ["Doe^Jane^Q"] * 10 + ["Müller^Jürgen"] * 5


def test_dcmftest_knows_each_file_as_dicom(mounted: Mount) -> None:
    done = use("dcmftest", *TREE, cwd=mounted.place)

    assert done.stdout.splitlines() == [f"yes: {name}" for name in TREE]


def test_gdcmscanner_finds_each_file_and_both_patients(mounted: Mount) -> None:
    command = ["gdcmscanner", "-d", ".", "-r", "-t", "0010,0020", "-p"]
    done = use(*command, cwd=mounted.place)

    pairs = re.findall(
        r"Filename: (.*) \(could be read\)\n\(0010,0020\) -> \[(.*?) ?\]", done.stdout
    )
    found = {name.removeprefix("./"): patient_id for name, patient_id in pairs}
    assert found == {name: name.split("(")[1].split(")")[0] for name in TREE}


def test_dcm2niix_makes_the_same_volumes_as_of_the_medium(
    mounted: Mount, medium: Medium, tmp_path: Path
) -> None:
    volumes = {}
    for source in (mounted.place, medium.root):
        made = tmp_path / source.name
        made.mkdir()
        need("dcm2niix")
        run(
            ["dcm2niix", "-z", "n", "-b", "n", "-f", "%s", "-o", str(made), str(source)]
        )
        volumes[source] = contents(made)

    assert volumes[mounted.place] == volumes[medium.root]
    assert {
        name: _voxel_sum(data) for name, data in volumes[mounted.place].items()
    } == {
        f"{number}.nii": sum(
            sum(_voxels(number, position)) for position in range(1, count + 1)
        )
        for number, count in _SLICES.items()
    }


def _voxel_sum(nifti: bytes) -> int:
    """Return the sum of the voxels of a NIfTI volume of 16-bit numbers."""
    (kind,) = struct.unpack_from("<h", nifti, 70)
    (start,) = struct.unpack_from("<f", nifti, 108)
    assert kind in (4, 512)
    count = (len(nifti) - int(start)) // 2
    letter = "h" if kind == 4 else "H"
    return sum(struct.unpack_from(f"<{count}{letter}", nifti, int(start)))


# -- sending ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Receiver:
    """Somebody who takes what is sent to a port, and puts it into a folder."""

    port: int
    folder: Path

    def received(self) -> dict[str, Dataset]:
        """Return what has come, by SOP Instance UID."""
        return by_uid(self.folder.iterdir())


def by_uid(files: Iterable[Path]) -> dict[str, Dataset]:
    """Return the data sets in *files* by SOP Instance UID."""
    return {each.SOPInstanceUID: each for each in map(pydicom.dcmread, files)}


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """Return a running storescp."""
    need("storescp", "echoscu")
    folder = tmp_path / "received"
    folder.mkdir()
    for _ in range(5):  # somebody else may take the port before storescp does
        with _storescp(folder, _free_port()) as port:
            if port:
                yield Receiver(port, folder)
                return
    pytest.fail("storescp does not answer")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _storescp(folder: Path, port: int) -> Iterator[int]:
    """Run storescp as long as the context lasts; 0 if it does not come to answer."""
    process = subprocess.Popen(
        ["storescp", "--output-directory", str(folder), str(port)],
        env=mounting.environment(mounting.new_mark(), _ENVIRONMENT),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        answers = until(lambda: process.poll() is not None or _answers(port))
        yield port if answers and process.poll() is None else 0
    finally:
        process.kill()
        process.wait(mounting.PATIENCE)


def _answers(port: int) -> bool:
    return run(["echoscu", "127.0.0.1", str(port)]).returncode == 0


def _send_with_dcmsend(place: Path, port: int, *options: str) -> Finished:
    need("dcmsend")
    scan = ["--scan-directories", "--recurse"]
    command = ["dcmsend", *options, *scan, "127.0.0.1", str(port), str(place)]
    return run(command, env=_ENVIRONMENT)


def _send_with_storescu(place: Path, port: int) -> Finished:
    need("storescu")
    command = ["storescu", "+sd", "+r", "127.0.0.1", str(port), str(place)]
    return run(command, env=_ENVIRONMENT)


@pytest.mark.parametrize(
    "send", [_send_with_dcmsend, _send_with_storescu], ids=["dcmsend", "storescu"]
)
def test_every_instance_arrives_as_it_is_on_the_medium(
    send: Callable[[Path, int], Finished],
    mounted: Mount,
    medium: Medium,
    receiver: Receiver,
) -> None:
    done = send(mounted.place, receiver.port)

    assert (done.returncode, done.stderr) == (0, "")
    assert receiver.received() == by_uid(medium.root / on for on in TREE.values())


def test_dcmsend_sends_the_rest_where_a_file_is_missing(
    mount: Mounter, tmp_path: Path, receiver: Receiver
) -> None:
    root = tmp_path / "medium"
    write(root, _medium())
    missing = TREE[f"{_THORAX}/003 CT Lung 1.0/0002.dcm"]
    (root / missing).unlink()
    rest = [root / on for on in TREE.values() if on != missing]
    incomplete = mount(root)
    _send_with_dcmsend(incomplete.place, receiver.port, "--no-halt")

    assert len(incomplete.files()) == len(TREE)
    assert receiver.received() == by_uid(rest)


def _with_documents(root: Path) -> list[Path]:
    """Write a medium with a PDF, a report and key images; return its instances."""
    pdfs = series("1.2.4", [pdf(file="PDF1")], number=2, modality="DOC")
    reports = series("1.2.5", [sr(file="SR1")], number=3, modality="SR")
    chosen = choices(choice("1.2.3.1", file="KO1"))
    one = study("1.2", [lung(2), pdfs, reports, chosen])
    root.mkdir()
    write(root, [patient("Doe^Jane", "12345", [one])])
    return [root / name for name in ("L1", "L2", "PDF1", "SR1", "KO1")]


@pytest.mark.parametrize(
    "send", [_send_with_dcmsend, _send_with_storescu], ids=["dcmsend", "storescu"]
)
def test_documents_in_instances_keep_nobody_from_sending(
    send: Callable[[Path, int], Finished],
    mount: Mounter,
    tmp_path: Path,
    receiver: Receiver,
) -> None:
    files = _with_documents(tmp_path / "medium")
    done = send(mount(tmp_path / "medium").place, receiver.port)

    assert (done.returncode, done.stderr) == (0, "")
    assert receiver.received() == by_uid(files)


def test_with_extras_dcmsend_sends_all_if_told_what_to_send(
    mount: Mounter, tmp_path: Path, receiver: Receiver
) -> None:
    files = _with_documents(tmp_path / "medium")
    place = mount(tmp_path / "medium", "--extras").place
    assert _send_with_dcmsend(place, receiver.port).returncode != 0
    assert receiver.received() == {}

    done = _send_with_dcmsend(place, receiver.port, "--scan-pattern", "*.dcm")

    assert done.returncode == 0
    assert receiver.received() == by_uid(files)
