"""A second process looks at files, and whatever it does, nothing is said that is not so."""

import logging
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from dicomfs.check import inspection, listed
from dicomfs.check.check import check
from dicomfs.dicom.header import BEGINNING
from dicomfs.errors import Failure
from dicomfs.fileset import aside, glance
from dicomfs.fileset.aside import Aside, Asked, Job, Redo
from dicomfs.fileset.open import file_sets_of
from dicomfs.fileset.scan import Scan, scan
from dicomfs.findings import Findings
from dicomfs.media.folder import FolderMedium
from dicomfs.media.opening import OpenedFolder, open_sources
from dicomfs.tree import report
from tests.build.breakage import CASES, Case
from tests.build.medium import Record, image, patient, series, study, write_medium
from tests.support.mounting import PATIENCE

pytestmark = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="there is one core"
)

# A process that was just started may take so long on a busy machine.
SOON: Final = 3.0
JOBS: Final[Mapping[str, Job]] = {
    listed.JOB: Job(inspection.told),
    glance.JOB: Job(glance.told, BEGINNING),
    "size": Job(lambda source: source.size),
    "hang": Job(
        lambda source: time.sleep(PATIENCE) if source.size == 1 else source.size
    ),
    "end": Job(lambda source: os._exit(1) if source.size == 1 else source.size),
}
LIES: Final[Mapping[str, Job]] = {
    listed.JOB: Job(lambda _: ["nothing", "of", "use"]),
    glance.JOB: Job(lambda _: {"neither": "this"}),
}


@pytest.fixture(autouse=True)
def _end_it() -> Iterator[None]:
    yield
    aside.end()


class Beside:
    """The process for a medium in *folder*, and how it is asked."""

    def __init__(self, folder: Path, jobs: Mapping[str, Job] = JOBS) -> None:
        sources = open_sources([folder])
        aside.start(sources, jobs, scan=True)
        [source] = sources
        assert isinstance(source, OpenedFolder)
        self.medium = FolderMedium(source.fd, source.file_system)
        found = aside.beside(self.medium)
        assert found is not None
        self.process: Aside = found

    def looks(self, job: str, files: list[Asked]) -> list[object]:
        """Return what *job* says of *files*."""
        return list(self.process.looks(job, self.medium, files, SOON))

    def files(self) -> list[Asked]:
        """Return all files of the medium."""
        names = sorted(self.medium.names(()))
        return [Asked((name,), self.medium.status((name,))) for name in names]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for size in range(2, 60):
        (tmp_path / f"{size:02}").write_bytes(bytes(size))
    return tmp_path


def images(count: int) -> list[Record]:
    made = [image(f"1.2.3.{n}", file=f"CT/I{n}") for n in range(1, count + 1)]
    return [patient("Doe^Jane", "1", [study("1.2", [series("1.2.3", made)])])]


def with_one_of_one_byte(files: Path) -> Path:
    (files / "30").write_bytes(b"x")
    return files


def report_of(
    folder: Path, *, beside: bool, jobs: Mapping[str, Job] = JOBS, scans: bool = False
) -> str:
    """Return what a check says of the medium in *folder*."""
    sources = open_sources([folder])
    if beside:
        aside.start(sources, jobs, scan=scans)
    try:
        file_sets = file_sets_of(sources, Findings(), scan=scans)
    except Failure as failure:
        return str(failure.problem)
    made = check(file_sets, deadline=PATIENCE, is_scan=scans)
    aside.end()
    return report.as_json(made)


def scan_of(folder: Path, *, beside: bool, jobs: Mapping[str, Job] = JOBS) -> Scan:
    [source] = sources = open_sources([folder])
    if beside:
        aside.start(sources, jobs, scan=True)
    assert isinstance(source, OpenedFolder)
    found = scan(FolderMedium(source.fd), lambda *_: None)
    aside.end()
    return found


SOME_CASES: Final = list(CASES.values())[::15]


@pytest.mark.slow
@pytest.mark.parametrize("case", SOME_CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("scans", [False, True])
def test_the_same_is_said_with_and_without_it(
    case: Case, scans: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("dicomfs.findings"), "disabled", True)
    case.write(tmp_path)

    with_it = report_of(tmp_path, beside=True, scans=scans)

    assert with_it == report_of(tmp_path, beside=False, scans=scans)


def test_a_scan_finds_the_same_with_it(tmp_path: Path) -> None:
    write_medium(tmp_path, images(40))
    (tmp_path / "CT" / "link").symlink_to("I1")
    (tmp_path / "CT" / "text.txt").write_text("no instance")
    os.mkfifo(tmp_path / "CT" / "pipe")

    found, expected = scan_of(tmp_path, beside=True), scan_of(tmp_path, beside=False)

    assert found.index == expected.index
    assert (found.files, found.instances) == (expected.files, expected.instances)
    assert found.findings == expected.findings


def test_answers_come_in_the_order_of_the_questions(files: Path) -> None:
    beside = Beside(files)

    assert beside.looks("size", beside.files()) == list(range(2, 60))


def test_a_file_that_is_not_the_one_that_was_listed_is_left_to_the_asker(
    files: Path,
) -> None:
    beside = Beside(files)
    asked = beside.files()
    (files / "10").write_bytes(b"another")

    found = beside.looks("size", asked)

    assert isinstance(found[8], Redo)
    assert [each for each in found if not isinstance(each, Redo)] == [
        size for size in range(2, 60) if size != 10
    ]


def test_a_file_that_is_gone_costs_itself(files: Path) -> None:
    beside = Beside(files)
    asked = beside.files()
    (files / "10").unlink()

    found = beside.looks("size", asked)

    assert isinstance(found[8], FileNotFoundError)
    assert found[9:] == list(range(11, 60))


@pytest.mark.slow
def test_where_a_file_hangs_the_asker_looks_at_it_and_at_what_is_left(
    files: Path,
) -> None:
    beside = Beside(with_one_of_one_byte(files))

    found = beside.looks("hang", beside.files())

    os.kill(beside.process.pid, signal.SIGKILL)
    assert found[:28] == list(range(2, 30))
    # It cannot be said which one hangs, as others may be opened already.
    assert all(isinstance(each, Redo) for each in found[28:])
    assert aside.beside(beside.medium) is None


MIB: Final = 1024 * 1024


@pytest.mark.parametrize(
    ("sizes", "ahead"),
    [
        ([MIB] * 3, [[0, 1, 2], [], []]),
        ([3 * MIB] * 4, [[0, 1], [2], [3], []]),
        ([20 * MIB, MIB, MIB], [[], [1, 2], []]),
        ([MIB, 20 * MIB, MIB], [[0], [], [2]]),
        ([0, 0], [[0, 1], []]),
        ([], []),
    ],
    ids=["all", "as there is room", "what is too large", "in turn", "nothing", "none"],
)
def test_files_are_read_ahead_whole_and_in_their_order(
    sizes: list[int], ahead: list[list[int]]
) -> None:
    assert [[*each] for each in aside.turns_of(sizes)] == ahead


def test_if_it_ends_the_asker_looks_at_what_is_left(files: Path) -> None:
    beside = Beside(with_one_of_one_byte(files))

    found = beside.looks("end", beside.files())

    assert found[:28] == list(range(2, 30))
    assert all(isinstance(each, Redo) for each in found[28:])
    assert aside.beside(beside.medium) is None


@pytest.mark.slow
@pytest.mark.parametrize("scans", [False, True])
def test_whatever_it_says_that_is_no_answer_is_not_believed(
    scans: bool, tmp_path: Path
) -> None:
    write_medium(tmp_path, images(20))

    lied = report_of(tmp_path, beside=True, jobs=LIES, scans=scans)

    assert lied == report_of(tmp_path, beside=False, scans=scans)


def test_it_ends_with_who_started_it(files: Path) -> None:
    beside = Beside(files)

    aside.end()

    with pytest.raises(ProcessLookupError):
        os.kill(beside.process.pid, 0)


def test_it_has_only_the_medium_and_its_pipes(files: Path) -> None:
    beside = Beside(files)
    beside.looks("size", beside.files()[:1])

    held = Path(f"/proc/{beside.process.pid}/fd").iterdir()
    links = {str(each.readlink()).partition(":")[0] for each in held}

    assert links - {"pipe", str(files), os.devnull} <= {
        str(Path(f"/proc/self/fd/{stream}").readlink()) for stream in range(3)
    }


def test_archives_are_not_looked_at_in_this_way(files: Path) -> None:
    (files / "disc.zip").write_bytes(b"PK\5\6" + bytes(18))
    sources = open_sources([files / "disc.zip"])

    assert aside.start(sources, JOBS, scan=False) == ()
