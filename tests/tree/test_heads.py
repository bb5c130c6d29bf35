"""Files that say themselves that they are not what their records list."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from dicomfs.check.check import check
from dicomfs.fileset.open import file_sets_of
from dicomfs.findings import Finding, Findings, Kind
from dicomfs.media.opening import open_sources
from dicomfs.tree.selection import Instance
from dicomfs.tree.tree import Tree
from tests.build.medium import Record, image, patient, series, study, write_medium
from tests.conftest import ExpectLog
from tests.support.trees import tree_of, walk

DESCRIBED: Final = "Lung"
TOLD: Final = {Kind.UID_DISAGREES, Kind.PATIENT_DISAGREES}


def disc(root: Path, *images: Record, **of_series: str) -> Path:
    made = series("1.1.1", images, **({"description": DESCRIBED} | of_series))
    write_medium(root, [patient("Doe^Jane", "1", [study("1.1", [made])])])
    return root


def saying(**header: str) -> Record:
    """Return an image whose header says something that its record does not."""
    made = image("1.1.1.1", file="I1")
    made.say(**header)
    return made


def the_file(tree: Tree) -> Instance:
    [file] = [node for _, node in walk(tree.root) if isinstance(node, Instance)]
    return file


def told(tree: Tree) -> list[Finding]:
    return [each for each in tree.findings.all() if each.kind in TOLD]


def read(file: Instance, offset: int = 0, size: int = 4096) -> bytes:
    with closing(file.open()) as source:
        return source.read_at(offset, size)


OTHERS = pytest.mark.parametrize(
    ("header", "kind"),
    [
        ({"SOPInstanceUID": "9.9"}, Kind.UID_DISAGREES),
        ({"PatientID": "2"}, Kind.PATIENT_DISAGREES),
        ({"PatientName": "Roe^Jane"}, Kind.PATIENT_DISAGREES),
        ({"PatientID": "2", "SOPInstanceUID": "9.9"}, Kind.PATIENT_DISAGREES),
    ],
    ids=["instance", "id", "name", "both"],
)


@OTHERS
def test_a_file_that_is_another_one_is_served_and_said_to_be_that_once_it_is_read(
    tmp_path: Path, header: dict[str, str], kind: Kind
) -> None:
    root = disc(tmp_path, saying(**header))
    with tree_of(root) as tree:
        file = the_file(tree)
        before = file.reason, told(tree)
        data = read(file)
        found = told(tree)
        again = the_file(tree)

    assert before == ("", [])
    assert data == (root / "I1").read_bytes()[:4096]
    assert [(each.kind, each.files, each.count) for each in found] == [
        (kind, ("I1",), 1)
    ]
    assert "another" in file.reason
    assert again.reason == file.reason


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"PatientName": "DOE^JANE"},
        {"PatientName": "Doe Jane"},
        {"PatientName": "", "PatientID": ""},
        {"SOPInstanceUID": ""},
    ],
    ids=["same", "case", "no-carets", "no-patient", "no-uid"],
)
def test_a_file_that_is_what_is_listed_is_not_said_to_be_another(
    tmp_path: Path, header: dict[str, str]
) -> None:
    with tree_of(disc(tmp_path, saying(**header))) as tree:
        file = the_file(tree)
        read(file)

        assert (file.reason, told(tree)) == ("", [])


@OTHERS
def test_it_is_said_where_the_head_is_read_for_a_name(
    tmp_path: Path, header: dict[str, str], kind: Kind
) -> None:
    root = disc(tmp_path, saying(**header), description="")
    with tree_of(root) as tree:
        file = the_file(tree)

        assert [each.kind for each in told(tree)] == [kind]
        assert file.reason


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ({"PatientID": "2"}, "001 CT Second"),
        ({"SOPInstanceUID": "9.9", "SeriesInstanceUID": "9"}, "001 CT Second"),
        ({"SOPInstanceUID": "9.9"}, "001 CT First"),
    ],
    ids=["patient", "series", "instance"],
)
def test_a_series_is_not_named_by_the_file_of_another_one(
    tmp_path: Path, header: dict[str, str], name: str
) -> None:
    first = saying(SeriesDescription="First", **header)
    second = image("1.1.1.2", number=2, file="I2")
    second.say(SeriesDescription="Second")
    with tree_of(disc(tmp_path, first, second, description="")) as tree:
        names = {
            path.split("/")[2] for path, _ in walk(tree.root) if path.count("/") == 2
        }

    assert names == {name}


def test_discs_that_were_copied_over_each_other_do_not_pass_without_a_word(
    tmp_path: Path,
) -> None:
    for who in ("2", "1"):
        images = [image(f"{who}.1.{n}", number=n, file=f"I{n}") for n in range(3)]
        made = study(f"{who}.1", [series(f"{who}.1.1", images)])
        write_medium(tmp_path / who, [patient(f"Name{who}", who, [made])])
    for n in range(3):
        (tmp_path / "2" / f"I{n}").rename(tmp_path / "1" / f"I{n}")

    with tree_of(tmp_path / "1") as tree:
        nodes = [node for _, node in walk(tree.root) if isinstance(node, Instance)]
        first = told(tree)
        for node in nodes:
            read(node)
        second = told(tree)

    assert [each.count for each in first] == [2]
    assert [each.count for each in second] == [3]


def test_check_says_it_once(tmp_path: Path) -> None:
    root = disc(tmp_path, saying(SOPInstanceUID="9.9"), description="")
    file_sets = file_sets_of(open_sources([root]), Findings())
    report = check(file_sets)
    for each in file_sets:
        each.medium.close()

    assert [each.kind for each in report.findings if each.kind in TOLD] == [
        Kind.UID_DISAGREES
    ]


def test_a_file_whose_head_cannot_be_read_is_served(tmp_path: Path) -> None:
    root = disc(tmp_path, saying())
    (root / "I1").write_bytes(b"no DICOM" * 1000)
    with tree_of(root) as tree:
        file = the_file(tree)

        assert read(file).startswith(b"no DICOM")
        assert (file.reason, told(tree)) == ("", [])


# -- files about which only the time of the last change is new -------------------------


TOUCHES = pytest.mark.parametrize(
    "touch",
    [
        lambda path: path.chmod(0o400),
        lambda path: path.with_name("LINK").hardlink_to(path),
    ],
    ids=["chmod", "link"],
)


@TOUCHES
@pytest.mark.parametrize("before", [False, True], ids=["unread", "read"])
def test_a_file_that_was_touched_can_be_opened(
    tmp_path: Path, touch: Callable[[Path], None], *, before: bool
) -> None:
    root = disc(tmp_path, image("1.1.1.1", file="I1"))
    with tree_of(root) as tree:
        file = the_file(tree)
        if before:
            read(file)
        touch(root / "I1")

        renewed = []
        for _ in range(2):
            assert read(file) == (root / "I1").read_bytes()[:4096]
            with closing(file.open()) as source:
                renewed.append(source.is_renewed)
        assert renewed == [False, False]


def test_what_the_kernel_kept_of_a_file_that_was_touched_is_read_anew(
    tmp_path: Path,
) -> None:
    root = disc(tmp_path, image("1.1.1.1", file="I1"))
    with tree_of(root) as tree:
        file = the_file(tree)
        (root / "I1").chmod(0o400)

        with closing(file.open()) as source:
            assert source.is_renewed
        with closing(file.open()) as source:
            assert not source.is_renewed


@TOUCHES
def test_a_dicomdir_that_was_touched_is_read_on(
    tmp_path: Path, touch: Callable[[Path], None]
) -> None:
    root = disc(tmp_path, image("1.1.1.1", file="I1"))
    with tree_of(root) as tree:
        tree.root.children()
        touch(root / "DICOMDIR")

        the_file(tree)
        assert tree.findings.all() == []


def overwrite(path: Path, data: bytes) -> None:
    """Write *data* over what is in *path*, and set its times back."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path, data: bytes) -> None:
    """Let another file of the same times take the place of *path*."""
    before = path.stat()
    beside = path.with_name("NEW")
    beside.write_bytes(data)
    os.utime(beside, ns=(before.st_atime_ns, before.st_mtime_ns))
    beside.rename(path)


WAYS = pytest.mark.parametrize("way", [overwrite, replace])


@WAYS
@pytest.mark.parametrize("where", ["head", "end"])
def test_a_file_that_was_written_over_where_it_was_read_is_never_served(
    tmp_path: Path, way: Callable[[Path, bytes], None], where: str
) -> None:
    root = disc(tmp_path, image("1.1.1.1", file="I1", size=20_000))
    data = (root / "I1").read_bytes()
    changed = data[:-1] + b"?" if where == "end" else b"?" + data[1:]
    with tree_of(root) as tree:
        file = the_file(tree)
        read(file)
        read(file, len(data) - 100, 100)
        way(root / "I1", changed)

        for _ in range(2):
            with pytest.raises(OSError, match="not the one that was listed"):
                file.open()
            assert file.open_cached() is None


@WAYS
@pytest.mark.parametrize(
    "header",
    [{"SOPInstanceUID": "9.9"}, {"PatientID": "2"}, {"PatientName": "Roe^Jane"}],
)
def test_a_file_that_was_not_read_and_now_is_another_one_is_never_served(
    tmp_path: Path, way: Callable[[Path, bytes], None], header: dict[str, str]
) -> None:
    root = disc(tmp_path / "one", image("1.1.1.1", file="I1"))
    other = disc(tmp_path / "two", saying(**header))
    data = (other / "I1").read_bytes()
    size = max(len(data), (root / "I1").stat().st_size)
    (root / "I1").write_bytes((root / "I1").read_bytes().ljust(size, b"\0"))
    with tree_of(root) as tree:
        file = the_file(tree)
        way(root / "I1", data.ljust(size, b"\0"))

        with pytest.raises(OSError, match="not the one that was listed"):
            file.open()


def test_a_dicomdir_that_was_written_over_is_not_read_on(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("the DICOMDIR was changed after mounting")
    root = disc(tmp_path, image("1.1.1.1", file="I1"))
    data = (root / "DICOMDIR").read_bytes()
    with tree_of(root) as tree:
        tree.root.children()
        replace(root / "DICOMDIR", data.replace(b"Doe^Jane", b"Roe^Jane"))

        with pytest.raises(OSError, match="the DICOMDIR was changed"):
            the_file(tree)
